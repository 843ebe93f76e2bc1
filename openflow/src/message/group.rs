//! Groups: changes, descriptions, statistics and features (OpenFlow 1.1 clause 4.4; Nicira's form for 1.0).

use crate::action::Action;
use crate::error::OfError;
use crate::field::Header;
use crate::message::actions;
use crate::message::prop::{self, PropType};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_string, put_zeros, set_u16};
use bitflags::bitflags;
use bytes::BufMut;

/// Highest number of an ordinary group.
pub const GROUP_MAX: u32 = 0xffff_ff00;
/// All groups.
pub const GROUP_ALL: u32 = 0xffff_fffc;
/// Any group, or none.
pub const GROUP_ANY: u32 = 0xffff_ffff;
/// Insert or remove: at the first bucket.
pub const BUCKET_FIRST: u32 = 0xffff_fffd;
/// Insert or remove: at the last bucket.
pub const BUCKET_LAST: u32 = 0xffff_fffe;
/// Remove: all buckets.
pub const BUCKET_ALL: u32 = 0xffff_ffff;

/// How a group uses its buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum GroupType {
    /// All of them.
    #[default]
    All = 0,
    /// One by a hash.
    Select = 1,
    /// Its only one.
    Indirect = 2,
    /// The first live one.
    FastFailover = 3,
}

/// What a group-mod does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum GroupCommand {
    /// A new group.
    Add = 0,
    /// Change one.
    Modify = 1,
    /// Delete one, or all.
    Delete = 2,
    /// Insert buckets (1.5).
    InsertBucket = 3,
    /// Remove buckets (1.5).
    RemoveBucket = 5,
    /// A new group, or change it if it is there (Nicira).
    AddOrModify = 0x8000,
}

/// A bucket of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Share of a select group's packets.
    pub weight: u16,
    /// Port whose liveness is the bucket's; [`OfPort::NONE`] for none.
    pub watch_port: OfPort,
    /// Group whose liveness is the bucket's; [`GROUP_ANY`] for none.
    pub watch_group: u32,
    /// Its number (1.5 and later; counted up before).
    pub bucket_id: u32,
    /// What it does, an action set.
    pub actions: Vec<Action>,
}

/// How a select group chooses (Netronome's extension, 1.5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Name of the method, at most 15 bytes; empty for the default.
    pub method: String,
    /// Its parameter.
    pub param: u64,
    /// Fields that are hashed, with their masks, as OXM entries.
    pub fields: Vec<u8>,
}

/// A group-mod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupCommand,
    /// Type of the group.
    pub kind: GroupType,
    /// Its number.
    pub group_id: u32,
    /// Insert and remove: which bucket.
    pub command_bucket_id: u32,
    /// Buckets.
    pub buckets: Vec<Bucket>,
    /// How it selects.
    pub selection: Selection,
}

/// Description of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupDesc {
    /// Type of the group.
    pub kind: GroupType,
    /// Its number.
    pub group_id: u32,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How it selects.
    pub selection: Selection,
}

/// Packets and bytes of one bucket; `u64::MAX` if not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BucketStats {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Statistics of one group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupStats {
    /// Its number.
    pub group_id: u32,
    /// Flows and groups that use it.
    pub ref_count: u32,
    /// Packets; `u64::MAX` if not known.
    pub packets: u64,
    /// Bytes; `u64::MAX` if not known.
    pub bytes: u64,
    /// Age, seconds (1.3 and later).
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Of each bucket.
    pub buckets: Vec<BucketStats>,
}

bitflags! {
    /// What groups can do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct GroupCapabilities: u32 {
        /// Weights in select groups.
        const SELECT_WEIGHT = 1;
        /// Liveness in select groups.
        const SELECT_LIVENESS = 2;
        /// Groups that use groups.
        const CHAINING = 4;
        /// Chains are checked for loops.
        const CHAINING_CHECKS = 8;
    }
}

/// Features of groups. Indexed by [`GroupType`] where there are four.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GroupFeatures {
    /// Bit N stands for type N.
    pub types: u32,
    /// What groups can do.
    pub capabilities: GroupCapabilities,
    /// How many there can be of each type.
    pub max_groups: [u32; 4],
    /// Actions of each type, by OpenFlow 1.3's action numbers.
    pub actions: [u32; 4],
}

/// Highest number of a bucket.
pub const BUCKET_MAX: u32 = 0xffff_ff00;

/// Property types of a bucket of 1.5.
const WEIGHT: u16 = 0;
const WATCH_PORT: u16 = 1;
const WATCH_GROUP: u16 = 2;
/// Netronome's experimenter id and its property with a selection method.
const NETRONOME: u32 = 0x0000_154d;
const SELECTION_METHOD: u32 = 1;
const METHOD: PropType = PropType::Exp(NETRONOME, SELECTION_METHOD);

/// Whether the version has 1.5's form, as Nicira's extension for 1.0 has.
fn is_new(version: Version) -> bool {
    matches!(version, Version::V10 | Version::V15)
}

impl GroupType {
    fn from_wire(wire: u8) -> Option<GroupType> {
        Some(match wire {
            0 => GroupType::All,
            1 => GroupType::Select,
            2 => GroupType::Indirect,
            3 => GroupType::FastFailover,
            _ => return None,
        })
    }
}

impl GroupCommand {
    fn from_wire(wire: u16) -> Result<GroupCommand, OfError> {
        Ok(match wire {
            0 => GroupCommand::Add,
            1 => GroupCommand::Modify,
            2 => GroupCommand::Delete,
            3 => GroupCommand::InsertBucket,
            5 => GroupCommand::RemoveBucket,
            0x8000 => GroupCommand::AddOrModify,
            _ => return Err(OfError::OFPGMFC_BAD_COMMAND),
        })
    }
}

impl Bucket {
    fn has_liveness(&self) -> bool {
        self.watch_port != OfPort::NONE || self.watch_group != GROUP_ANY
    }

    fn take_old(version: Version, reader: &mut Reader<'_>, bucket_id: u32) -> Result<Bucket, OfError> {
        let len = usize::from(reader.u16()?);
        let weight = reader.u16()?;
        let watch_port = reader.u32()?;
        let watch_group = reader.u32()?;
        reader.skip(4)?;
        let actions_len =
            len.checked_sub(16).filter(|&n| n <= reader.len()).ok_or(OfError::OFPGMFC_BAD_BUCKET)?;
        let actions = actions::take(version, reader, actions_len)?;
        let watch_port = OfPort::from_u32(watch_port).map_err(|_| OfError::OFPGMFC_BAD_WATCH)?;
        Ok(Bucket { weight, watch_port, watch_group, bucket_id, actions })
    }

    fn take_new(version: Version, kind: GroupType, reader: &mut Reader<'_>) -> Result<Bucket, OfError> {
        let len = usize::from(reader.u16()?);
        let actions_len = usize::from(reader.u16()?);
        let bucket_id = reader.u32()?;
        let rest = len.checked_sub(8).filter(|&n| n <= reader.len()).ok_or(OfError::OFPGMFC_BAD_BUCKET)?;
        let mut entry = Reader::or(reader.bytes(rest)?, OfError::OFPGMFC_BAD_BUCKET);
        if actions_len > entry.len() {
            return Err(OfError::OFPGMFC_BAD_BUCKET);
        }
        let actions = actions::take(version, &mut entry, actions_len)?;
        let weight = u16::from(kind == GroupType::Select);
        let mut bucket =
            Bucket { weight, watch_port: OfPort::NONE, watch_group: GROUP_ANY, bucket_id, actions };
        while !entry.is_empty() {
            let (kind, contents) = prop::take(&mut entry)?;
            match kind {
                PropType::Plain(WEIGHT) => bucket.weight = prop::only_u16(contents)?,
                PropType::Plain(WATCH_PORT) => {
                    let port = OfPort::from_u32(prop::only_u32(contents)?);
                    bucket.watch_port = port.map_err(|_| OfError::OFPGMFC_BAD_WATCH)?;
                }
                PropType::Plain(WATCH_GROUP) => bucket.watch_group = prop::only_u32(contents)?,
                other => return Err(other.unknown()),
            }
        }
        Ok(bucket)
    }

    fn put_old(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 2);
        out.put_u16(self.weight);
        out.put_u32(self.watch_port.0);
        out.put_u32(self.watch_group);
        put_zeros(out, 4);
        actions::put(version, &self.actions, out);
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }

    fn put_new(&self, version: Version, kind: GroupType, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 4);
        out.put_u32(self.bucket_id);
        actions::put(version, &self.actions, out);
        let actions_len = out.len() - start - 8;
        set_u16(out, start + 2, actions_len as u16);
        if kind == GroupType::Select {
            prop::put_u16(out, WEIGHT, self.weight);
        }
        if self.watch_port != OfPort::NONE {
            prop::put_u32(out, WATCH_PORT, self.watch_port.0);
        }
        if self.watch_group != GROUP_ANY {
            prop::put_u32(out, WATCH_GROUP, self.watch_group);
        }
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}

fn take_buckets(version: Version, kind: GroupType, bytes: &[u8]) -> Result<Vec<Bucket>, OfError> {
    let mut reader = Reader::or(bytes, OfError::OFPGMFC_BAD_BUCKET);
    let mut buckets: Vec<Bucket> = Vec::new();
    while !reader.is_empty() {
        if !is_new(version) {
            let bucket_id = buckets.len() as u32;
            buckets.push(Bucket::take_old(version, &mut reader, bucket_id)?);
            continue;
        }
        let bucket = Bucket::take_new(version, kind, &mut reader)?;
        if bucket.bucket_id > BUCKET_MAX {
            return Err(OfError::OFPGMFC_BAD_BUCKET);
        }
        buckets.push(bucket);
    }
    let twice = |(i, bucket): (usize, &Bucket)| buckets[..i].iter().any(|b| b.bucket_id == bucket.bucket_id);
    if buckets.iter().enumerate().any(twice) { Err(OfError::OFPGMFC_BAD_BUCKET) } else { Ok(buckets) }
}

fn put_buckets(version: Version, kind: GroupType, buckets: &[Bucket], out: &mut Vec<u8>) {
    for bucket in buckets {
        if is_new(version) { bucket.put_new(version, kind, out) } else { bucket.put_old(version, out) }
    }
}

impl Selection {
    fn take(
        kind: GroupType,
        command: Result<GroupCommand, OfError>,
        reader: &mut Reader<'_>,
    ) -> Result<Selection, OfError> {
        let mut selection = Selection::default();
        while !reader.is_empty() {
            let (prop_kind, mut contents) = prop::take(reader)?;
            if prop_kind != METHOD {
                return Err(prop_kind.unknown());
            }
            let takes =
                matches!(command, Ok(GroupCommand::Add | GroupCommand::Modify | GroupCommand::AddOrModify));
            if kind != GroupType::Select || (command.is_ok() && !takes) {
                return Err(OfError::OFPBPC_BAD_VALUE);
            }
            command?;
            contents.skip(4)?;
            selection.method = contents.string::<16>()?;
            if !["hash", "dp_hash"].contains(&selection.method.as_str()) {
                return Err(OfError::OFPBPC_BAD_VALUE);
            }
            selection.param = contents.u64()?;
            selection.fields = contents.rest().to_vec();
            check_fields(&selection.fields)?;
        }
        Ok(selection)
    }

    fn put(&self, out: &mut Vec<u8>) {
        if self.method.is_empty() {
            return;
        }
        prop::put(out, METHOD, |out| {
            put_zeros(out, 4);
            put_string(out, &self.method, 16);
            out.put_u64(self.param);
            out.extend_from_slice(&self.fields);
        });
    }
}

/// Whether bytes are OXM entries of known fields, each with a mask in place of a value.
fn check_fields(fields: &[u8]) -> Result<(), OfError> {
    let mut reader = Reader::or(fields, OfError::OFPBMC_BAD_LEN);
    while !reader.is_empty() {
        let header = Header::read(reader.peek()).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
        reader.skip(header.n_bytes())?;
        reader.skip(header.payload())?;
        header.lookup().ok_or(OfError::OFPBMC_BAD_FIELD)?;
    }
    Ok(())
}

impl GroupMod {
    /// Reads the body.
    pub(super) fn decode(version: Version, body: &[u8]) -> Result<GroupMod, OfError> {
        let mut reader = Reader::new(body);
        let command = reader.u16()?;
        let kind_wire = reader.u8()?;
        reader.skip(1)?;
        let group_id = reader.u32()?;
        let kind = GroupType::from_wire(kind_wire).unwrap_or_default();
        let mut command_bucket_id = BUCKET_ALL;
        let mut selection = Selection::default();
        let parsed = GroupCommand::from_wire(command);
        let buckets = if is_new(version) {
            let len = usize::from(reader.u16()?);
            reader.skip(2)?;
            command_bucket_id = reader.u32()?;
            check_command_bucket(command, command_bucket_id)?;
            let bytes = reader.bytes(len)?;
            let buckets = take_buckets(version, kind, bytes)?;
            selection = Selection::take(kind, parsed, &mut reader)?;
            buckets
        } else {
            take_buckets(version, kind, reader.rest())?
        };
        if GroupType::from_wire(kind_wire).is_none() {
            return Err(OfError::OFPGMFC_BAD_TYPE);
        }
        // An unknown command is no deletion, and that comes first.
        if kind == GroupType::Indirect && parsed != Ok(GroupCommand::Delete) && buckets.len() != 1 {
            return Err(OfError::OFPGMFC_INVALID_GROUP);
        }
        let group = GroupMod { command: parsed?, kind, group_id, command_bucket_id, buckets, selection };
        group.check()?;
        Ok(group)
    }

    /// What holds between type, command and buckets.
    fn check(&self) -> Result<(), OfError> {
        if self.kind == GroupType::Indirect && self.command != GroupCommand::Delete && self.buckets.len() != 1
        {
            return Err(OfError::OFPGMFC_INVALID_GROUP);
        }
        if self.command == GroupCommand::RemoveBucket && !self.buckets.is_empty() {
            return Err(OfError::OFPGMFC_BAD_BUCKET);
        }
        for bucket in &self.buckets {
            if bucket.weight != 0 && self.kind != GroupType::Select {
                return Err(OfError::OFPGMFC_INVALID_GROUP);
            }
            match self.kind {
                GroupType::All | GroupType::Indirect if bucket.has_liveness() => {
                    return Err(OfError::OFPGMFC_WATCH_UNSUPPORTED);
                }
                GroupType::FastFailover if !bucket.has_liveness() => {
                    return Err(OfError::OFPGMFC_INVALID_GROUP);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        out.put_u16(self.command as u16);
        out.put_u8(self.kind as u8);
        out.put_u8(0);
        out.put_u32(self.group_id);
        if !is_new(version) {
            put_buckets(version, self.kind, &self.buckets, out);
            return;
        }
        let len_at = out.len();
        put_zeros(out, 4);
        out.put_u32(self.command_bucket_id);
        let start = out.len();
        put_buckets(version, self.kind, &self.buckets, out);
        let len = out.len() - start;
        set_u16(out, len_at, len as u16);
        self.selection.put(out);
    }
}

fn check_command_bucket(command: u16, id: u32) -> Result<(), OfError> {
    let ok = match command {
        3 => id <= BUCKET_MAX || id == BUCKET_FIRST || id == BUCKET_LAST,
        5 => id <= BUCKET_MAX || id >= BUCKET_FIRST,
        _ => id == BUCKET_ALL,
    };
    if ok { Ok(()) } else { Err(OfError::OFPGMFC_BAD_BUCKET) }
}

impl GroupDesc {
    /// Takes one description.
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Result<GroupDesc, OfError> {
        let len = usize::from(reader.u16()?).checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?;
        let mut entry = Reader::new(reader.bytes(len)?);
        let kind = GroupType::from_wire(entry.u8()?).ok_or(OfError::OFPGMFC_BAD_TYPE)?;
        entry.skip(1)?;
        let group_id = entry.u32()?;
        if !is_new(version) {
            let buckets = take_buckets(version, kind, entry.rest())?;
            return Ok(GroupDesc { kind, group_id, buckets, selection: Selection::default() });
        }
        let buckets_len = usize::from(entry.u16()?);
        entry.skip(6)?;
        let buckets = take_buckets(version, kind, entry.bytes(buckets_len)?)?;
        let selection = Selection::take(kind, Ok(GroupCommand::Add), &mut entry)?;
        Ok(GroupDesc { kind, group_id, buckets, selection })
    }

    /// Appends the description.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 2);
        out.put_u8(self.kind as u8);
        out.put_u8(0);
        out.put_u32(self.group_id);
        if is_new(version) {
            put_zeros(out, 8);
        }
        let buckets = out.len();
        put_buckets(version, self.kind, &self.buckets, out);
        if is_new(version) {
            let len = out.len() - buckets;
            set_u16(out, start + 8, len as u16);
            self.selection.put(out);
        }
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}

impl GroupStats {
    /// Takes one entry.
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Result<GroupStats, OfError> {
        let len = usize::from(reader.u16()?).checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?;
        let mut entry = Reader::new(reader.bytes(len)?);
        entry.skip(2)?;
        let mut stats = GroupStats { group_id: entry.u32()?, ref_count: entry.u32()?, ..Default::default() };
        entry.skip(4)?;
        (stats.packets, stats.bytes) = (entry.u64()?, entry.u64()?);
        if has_duration(version) {
            (stats.duration_sec, stats.duration_nsec) = (entry.u32()?, entry.u32()?);
        }
        while !entry.is_empty() {
            stats.buckets.push(BucketStats { packets: entry.u64()?, bytes: entry.u64()? });
        }
        Ok(stats)
    }

    /// Appends the entry.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 4);
        out.put_u32(self.group_id);
        out.put_u32(self.ref_count);
        put_zeros(out, 4);
        out.put_u64(self.packets);
        out.put_u64(self.bytes);
        if has_duration(version) {
            out.put_u32(self.duration_sec);
            out.put_u32(self.duration_nsec);
        }
        for bucket in &self.buckets {
            out.put_u64(bucket.packets);
            out.put_u64(bucket.bytes);
        }
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}

fn has_duration(version: Version) -> bool {
    !matches!(version, Version::V11 | Version::V12)
}

impl GroupFeatures {
    /// Reads the body of a features reply.
    pub(super) fn decode(body: &[u8]) -> Result<GroupFeatures, OfError> {
        let mut reader = Reader::new(body);
        let mut features = GroupFeatures { types: reader.u32()?, ..Default::default() };
        features.capabilities = GroupCapabilities::from_bits_truncate(reader.u32()?);
        for number in features.max_groups.iter_mut().chain(&mut features.actions) {
            *number = reader.u32()?;
        }
        Ok(features)
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u32(self.types);
        out.put_u32(self.capabilities.bits());
        self.max_groups.iter().chain(&self.actions).for_each(|&number| out.put_u32(number));
    }
}
