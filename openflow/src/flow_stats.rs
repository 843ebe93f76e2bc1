//! What is told of flows: statistics requests, statistics, and notices of removal.

use crate::action::Instructions;
use crate::codec::nxm::put_number;
use crate::codec::oxs::Oxs;
use crate::codec::{instruction, nxm, ofp10, ofp11};
use crate::flow_match::Match;
use crate::flow_mod::{FlowFlags, encode_flags};
use crate::port::OfPort;
use crate::wire::{Reader, put_zeros, set_u16};
use crate::{OfError, Version};

/// Which flows a statistics request is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowStatsRequest {
    /// Table, 0xff for all.
    pub table_id: u8,
    /// Only flows within this match.
    pub flow_match: Match,
    /// Only flows that output here; [`OfPort::NONE`] for any.
    pub out_port: OfPort,
    /// Only flows that use this group; `u32::MAX` for any.
    pub out_group: u32,
    /// Only flows whose cookie agrees with this one in the bits of `cookie_mask`.
    pub cookie: u64,
    /// Which bits of `cookie` count.
    pub cookie_mask: u64,
}

impl Default for FlowStatsRequest {
    fn default() -> Self {
        Self {
            table_id: 0xff,
            flow_match: Match::any(),
            out_port: OfPort::NONE,
            out_group: u32::MAX,
            cookie: 0,
            cookie_mask: 0,
        }
    }
}

/// Statistics of one flow. Counters that are not known are `u64::MAX`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowStats {
    /// Its table.
    pub table_id: u8,
    /// Its priority.
    pub priority: u16,
    /// What it matches.
    pub flow_match: Match,
    /// Its cookie.
    pub cookie: u64,
    /// Age, whole seconds.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Idle timeout, seconds, 0 for none.
    pub idle_timeout: u16,
    /// Hard timeout, seconds, 0 for none.
    pub hard_timeout: u16,
    /// Seconds since its last packet, if known (Nicira's form only).
    pub idle_age: Option<u32>,
    /// Seconds since it was last changed, if known (Nicira's form only).
    pub hard_age: Option<u32>,
    /// Eviction rank (1.4 and later).
    pub importance: u16,
    /// Its flags (1.3 and later).
    pub flags: FlowFlags,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// What it does.
    pub instructions: Instructions,
}

/// Why a flow was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RemovedReason {
    /// No packet for its idle timeout.
    IdleTimeout = 0,
    /// Its hard timeout.
    HardTimeout = 1,
    /// A flow-mod.
    Delete = 2,
    /// Its group was deleted.
    GroupDelete = 3,
    /// Its meter was deleted (1.4 and later).
    MeterDelete = 4,
    /// It was evicted (1.4 and later).
    Eviction = 5,
}

/// A notice that a flow was removed. Counters that are not known are `u64::MAX`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowRemoved {
    /// Why.
    pub reason: RemovedReason,
    /// Its table.
    pub table_id: u8,
    /// Its priority.
    pub priority: u16,
    /// What it matched.
    pub flow_match: Match,
    /// Its cookie.
    pub cookie: u64,
    /// Age, whole seconds.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Idle timeout, seconds.
    pub idle_timeout: u16,
    /// Hard timeout, seconds.
    pub hard_timeout: u16,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl FlowStatsRequest {
    /// Reads the body of a request for flow or aggregate statistics, Nicira's when `nxm`.
    pub fn decode(version: Version, nxm: bool, body: &[u8]) -> Result<Self, OfError> {
        let mut r = Reader::new(body);
        let out = match (version, nxm) {
            (_, true) => Self::decode_nx(&mut r)?,
            (Version::V10, false) => Self::decode_10(&mut r)?,
            // Bytes after the match are passed over, as Open vSwitch does.
            _ => return Self::decode_11(&mut r),
        };
        if r.is_empty() { Ok(out) } else { Err(OfError::OFPBRC_BAD_LEN) }
    }

    fn decode_10(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let (flow_match, table_id) = (ofp10::pull(r)?, r.u8()?);
        r.skip(1)?;
        Ok(Self { table_id, flow_match, out_port: OfPort::from_u16(r.u16()?), ..Self::default() })
    }

    fn decode_nx(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let (out_port, match_len, table_id) = (OfPort::from_u16(r.u16()?), r.u16()?, r.u8()?);
        r.skip(3)?;
        let nx = nxm::pull_nxm(r, match_len.into(), nxm::Rules { cookie: true, loose: false })?;
        let (cookie, cookie_mask) = nx.cookie.unwrap_or((0, 0));
        Ok(Self { table_id, flow_match: nx.flow_match, out_port, out_group: u32::MAX, cookie, cookie_mask })
    }

    fn decode_11(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let table_id = r.u8()?;
        r.skip(3)?;
        let (out_port, out_group) = (OfPort::from_u32(r.u32()?)?, r.u32()?);
        r.skip(4)?;
        let (cookie, cookie_mask) = (r.u64()?, r.u64()?);
        Ok(Self { table_id, flow_match: ofp11::pull_any(r)?, out_port, out_group, cookie, cookie_mask })
    }

    /// Appends the body of a request.
    pub fn encode_body(&self, version: Version, nxm: bool, out: &mut Vec<u8>) {
        match (version, nxm) {
            (_, true) => {
                put_number(out, self.out_port.to_u16().into(), 2);
                let at = out.len();
                out.extend_from_slice(&[0, 0, self.table_id, 0, 0, 0]);
                let cookie = (self.cookie, self.cookie_mask);
                let len = nxm::put_nxm(out, &self.flow_match, Version::V10, cookie);
                set_u16(out, at, len as u16);
            }
            (Version::V10, false) => {
                ofp10::put(out, &self.flow_match);
                out.extend_from_slice(&[self.table_id, 0]);
                put_number(out, self.out_port.to_u16().into(), 2);
            }
            _ => {
                out.extend_from_slice(&[self.table_id, 0, 0, 0]);
                put_number(out, self.out_port.0.into(), 4);
                put_number(out, self.out_group.into(), 4);
                put_zeros(out, 4);
                put_number(out, self.cookie.into(), 8);
                put_number(out, self.cookie_mask.into(), 8);
                ofp11::put_any(out, &self.flow_match, version);
            }
        }
    }
}

impl FlowStats {
    /// Reads one flow of a reply, Nicira's when `nxm`.
    pub fn decode(version: Version, nxm: bool, reader: &mut Reader<'_>) -> Result<Self, OfError> {
        let head = reader.peek().first_chunk::<2>().ok_or(OfError::OFPBRC_BAD_LEN)?;
        let len = usize::from(u16::from_be_bytes(*head)).max(2);
        let mut r = Reader::new(reader.bytes(len)?);
        r.skip(2)?;
        let (mut out, version) = match (version, nxm) {
            (_, true) => (Self::decode_nx(&mut r)?, Version::V10),
            (Version::V10, false) => (Self::decode_10(&mut r)?, version),
            (Version::V15, _) => (Self::decode_15(&mut r)?, version),
            _ => (Self::decode_11(version, &mut r)?, version),
        };
        out.instructions = instruction::decode(version, r.rest())?;
        Ok(out)
    }

    fn decode_10(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let table_id = r.u8()?;
        r.skip(1)?;
        let flow_match = ofp10::pull(r)?;
        let (duration_sec, duration_nsec, priority) = (r.u32()?, r.u32()?, r.u16()?);
        let (idle_timeout, hard_timeout) = (r.u16()?, r.u16()?);
        r.skip(6)?;
        let (cookie, packets, bytes) = (r.u64()?, r.u64()?, r.u64()?);
        Ok(Self {
            table_id,
            priority,
            flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            packets,
            bytes,
            ..Self::default()
        })
    }

    fn decode_nx(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let table_id = r.u8()?;
        r.skip(1)?;
        let (duration_sec, duration_nsec, priority) = (r.u32()?, r.u32()?, r.u16()?);
        let (idle_timeout, hard_timeout, match_len) = (r.u16()?, r.u16()?, r.u16()?);
        let (idle_age, hard_age) = (r.u16()?.checked_sub(1), r.u16()?.checked_sub(1));
        let (cookie, packets, bytes) = (r.u64()?, r.u64()?, r.u64()?);
        let nx = nxm::pull_nxm(r, match_len.into(), nxm::Rules::default())?;
        Ok(Self {
            table_id,
            priority,
            flow_match: nx.flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            idle_age: idle_age.map(u32::from),
            hard_age: hard_age.map(u32::from),
            packets,
            bytes,
            ..Self::default()
        })
    }

    fn decode_11(version: Version, r: &mut Reader<'_>) -> Result<Self, OfError> {
        let table_id = r.u8()?;
        r.skip(1)?;
        let (duration_sec, duration_nsec, priority) = (r.u32()?, r.u32()?, r.u16()?);
        let (idle_timeout, hard_timeout) = (r.u16()?, r.u16()?);
        let (flags, importance) = (r.u16()?, r.u16()?);
        r.skip(2)?;
        let (cookie, packets, bytes) = (r.u64()?, r.u64()?, r.u64()?);
        let has_flags = version >= Version::V13;
        Ok(Self {
            table_id,
            priority,
            flow_match: ofp11::pull_any(r)?,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            importance: if version >= Version::V14 { importance } else { 0 },
            flags: if has_flags { FlowFlags::from_bits_truncate(flags) } else { FlowFlags::empty() },
            packets,
            bytes,
            ..Self::default()
        })
    }

    fn decode_15(r: &mut Reader<'_>) -> Result<Self, OfError> {
        r.skip(2)?;
        let table_id = r.u8()?;
        r.skip(1)?;
        let (priority, idle_timeout, hard_timeout) = (r.u16()?, r.u16()?, r.u16()?);
        let (flags, importance, cookie) = (r.u16()?, r.u16()?, r.u64()?);
        let flow_match = ofp11::pull_any(r)?;
        let oxs = Oxs::pull(r)?;
        let (duration_sec, duration_nsec) = oxs.duration.unwrap_or_default();
        Ok(Self {
            table_id,
            priority,
            flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            idle_age: oxs.idle.map(|idle| idle.0),
            importance,
            flags: FlowFlags::from_bits_truncate(flags),
            packets: oxs.packets.unwrap_or(u64::MAX),
            bytes: oxs.bytes.unwrap_or(u64::MAX),
            ..Self::default()
        })
    }

    /// Appends one flow of a reply.
    pub fn encode(&self, version: Version, nxm: bool, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 2);
        match (version, nxm) {
            (_, true) => self.put_nx(out),
            (Version::V10, false) => self.put_10(out),
            (Version::V15, _) => self.put_15(out),
            _ => self.put_11(version, out),
        }
        instruction::encode(if nxm { Version::V10 } else { version }, &self.instructions, out);
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }

    fn put_10(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.table_id, 0]);
        ofp10::put(out, &self.flow_match);
        self.put_duration(out);
        for word in [self.priority, self.idle_timeout, self.hard_timeout] {
            put_number(out, word.into(), 2);
        }
        put_zeros(out, 6);
        for word in [self.cookie, known(self.packets), known(self.bytes)] {
            put_number(out, word.into(), 8);
        }
    }

    fn put_nx(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.table_id, 0]);
        self.put_duration(out);
        for word in [self.priority, self.idle_timeout, self.hard_timeout] {
            put_number(out, word.into(), 2);
        }
        let at = out.len();
        put_zeros(out, 2);
        for age in [self.idle_age, self.hard_age] {
            let word = age.map_or(0, |age| age.saturating_add(1).min(u16::MAX.into()));
            put_number(out, word.into(), 2);
        }
        for word in [self.cookie, self.packets, self.bytes] {
            put_number(out, word.into(), 8);
        }
        let len = nxm::put_nxm(out, &self.flow_match, Version::V10, (0, 0));
        set_u16(out, at, len as u16);
    }

    fn put_11(&self, version: Version, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.table_id, 0]);
        self.put_duration(out);
        let flags = if version >= Version::V13 { encode_flags(version, self.flags) } else { 0 };
        let importance = if version >= Version::V14 { self.importance } else { 0 };
        for word in [self.priority, self.idle_timeout, self.hard_timeout, flags, importance, 0] {
            put_number(out, word.into(), 2);
        }
        for word in [self.cookie, self.packets, self.bytes] {
            put_number(out, word.into(), 8);
        }
        // In 1.1 too, as Open vSwitch does it.
        nxm::put_oxm(out, &self.flow_match, version);
    }

    fn put_15(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0, self.table_id, 0]);
        let flags = encode_flags(Version::V15, self.flags);
        for word in [self.priority, self.idle_timeout, self.hard_timeout, flags, self.importance] {
            put_number(out, word.into(), 2);
        }
        put_number(out, self.cookie.into(), 8);
        ofp11::put_any(out, &self.flow_match, Version::V15);
        let oxs = Oxs {
            duration: Some((self.duration_sec, self.duration_nsec)),
            idle: Some((self.idle_age.unwrap_or(0), 0)),
            flows: None,
            packets: Some(self.packets),
            bytes: Some(self.bytes),
        };
        oxs.put(out);
    }

    fn put_duration(&self, out: &mut Vec<u8>) {
        put_number(out, self.duration_sec.into(), 4);
        put_number(out, self.duration_nsec.into(), 4);
    }
}

/// In 1.0 a counter that is not known is zero.
fn known(count: u64) -> u64 {
    if count == u64::MAX { 0 } else { count }
}

impl RemovedReason {
    fn from_wire(reason: u8) -> Result<Self, OfError> {
        Ok(match reason {
            0 => Self::IdleTimeout,
            1 => Self::HardTimeout,
            2 => Self::Delete,
            3 => Self::GroupDelete,
            4 => Self::MeterDelete,
            5 => Self::Eviction,
            _ => return Err(OfError::OFPBRC_BAD_LEN),
        })
    }

    /// The number in a version that may not know the reason.
    fn to_wire(self, version: Version) -> u8 {
        match self {
            Self::MeterDelete if version < Version::V14 => Self::Delete as u8,
            _ => self as u8,
        }
    }
}

impl FlowRemoved {
    /// Reads the body, Nicira's when `nxm`.
    pub fn decode(version: Version, nxm: bool, body: &[u8]) -> Result<Self, OfError> {
        let mut r = Reader::new(body);
        match (version, nxm) {
            (_, true) => Self::decode_nx(&mut r),
            (Version::V10, false) => Self::decode_10(&mut r),
            (Version::V15, _) => Self::decode_15(&mut r),
            _ => Self::decode_11(&mut r),
        }
    }

    fn decode_10(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let flow_match = ofp10::pull(r)?;
        let (cookie, priority, reason) = (r.u64()?, r.u16()?, RemovedReason::from_wire(r.u8()?)?);
        r.skip(1)?;
        let (duration_sec, duration_nsec, idle_timeout) = (r.u32()?, r.u32()?, r.u16()?);
        r.skip(2)?;
        let (packets, bytes) = (r.u64()?, r.u64()?);
        let (table_id, hard_timeout) = (0xff, 0);
        Ok(Self {
            reason,
            table_id,
            priority,
            flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            packets,
            bytes,
        })
    }

    fn decode_nx(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let (cookie, priority, reason) = (r.u64()?, r.u16()?, RemovedReason::from_wire(r.u8()?)?);
        let table_id = r.u8()?.wrapping_sub(1);
        let (duration_sec, duration_nsec, idle_timeout) = (r.u32()?, r.u32()?, r.u16()?);
        let match_len = r.u16()?;
        let (packets, bytes) = (r.u64()?, r.u64()?);
        let flow_match = nxm::pull_nxm(r, match_len.into(), nxm::Rules::default())?.flow_match;
        Ok(Self {
            reason,
            table_id,
            priority,
            flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout: 0,
            packets,
            bytes,
        })
    }

    fn decode_11(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let (cookie, priority, reason) = (r.u64()?, r.u16()?, RemovedReason::from_wire(r.u8()?)?);
        let (table_id, duration_sec, duration_nsec) = (r.u8()?, r.u32()?, r.u32()?);
        let (idle_timeout, hard_timeout) = (r.u16()?, r.u16()?);
        let (packets, bytes) = (r.u64()?, r.u64()?);
        let flow_match = ofp11::pull_any(r)?;
        Ok(Self {
            reason,
            table_id,
            priority,
            flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            packets,
            bytes,
        })
    }

    fn decode_15(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let (table_id, reason, priority) = (r.u8()?, RemovedReason::from_wire(r.u8()?)?, r.u16()?);
        let (idle_timeout, hard_timeout, cookie) = (r.u16()?, r.u16()?, r.u64()?);
        let flow_match = ofp11::pull_any(r)?;
        let oxs = Oxs::pull(r)?;
        let (duration_sec, duration_nsec) = oxs.duration.unwrap_or_default();
        let (packets, bytes) = (oxs.packets.unwrap_or(u64::MAX), oxs.bytes.unwrap_or(u64::MAX));
        Ok(Self {
            reason,
            table_id,
            priority,
            flow_match,
            cookie,
            duration_sec,
            duration_nsec,
            idle_timeout,
            hard_timeout,
            packets,
            bytes,
        })
    }

    /// Appends the body in the form of `version`, or in Nicira's when `nxm`.
    pub fn encode_body(&self, version: Version, nxm: bool, out: &mut Vec<u8>) {
        match (version, nxm) {
            (_, true) => {
                self.put_head(version, self.table_id.wrapping_add(1), out);
                let at = out.len();
                put_zeros(out, 2);
                self.put_counters(out, self.packets, self.bytes);
                let len = nxm::put_nxm(out, &self.flow_match, Version::V10, (0, 0));
                set_u16(out, at, len as u16);
            }
            (Version::V10, false) => {
                ofp10::put(out, &self.flow_match);
                self.put_head(version, 0, out);
                put_zeros(out, 2);
                self.put_counters(out, known(self.packets), known(self.bytes));
            }
            (Version::V15, _) => self.put_15(out),
            _ => {
                self.put_head(version, self.table_id, out);
                put_number(out, self.hard_timeout.into(), 2);
                self.put_counters(out, self.packets, self.bytes);
                ofp11::put_any(out, &self.flow_match, version);
            }
        }
    }

    /// Cookie to idle time-out, which all versions before 1.5 have in this order.
    fn put_head(&self, version: Version, table_id: u8, out: &mut Vec<u8>) {
        put_number(out, self.cookie.into(), 8);
        put_number(out, self.priority.into(), 2);
        out.extend_from_slice(&[self.reason.to_wire(version), table_id]);
        put_number(out, self.duration_sec.into(), 4);
        put_number(out, self.duration_nsec.into(), 4);
        put_number(out, self.idle_timeout.into(), 2);
    }

    fn put_counters(&self, out: &mut Vec<u8>, packets: u64, bytes: u64) {
        put_number(out, packets.into(), 8);
        put_number(out, bytes.into(), 8);
    }

    fn put_15(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.table_id, self.reason as u8]);
        for word in [self.priority, self.idle_timeout, self.hard_timeout] {
            put_number(out, word.into(), 2);
        }
        put_number(out, self.cookie.into(), 8);
        ofp11::put_any(out, &self.flow_match, Version::V15);
        let oxs = Oxs {
            duration: Some((self.duration_sec, self.duration_nsec)),
            idle: None,
            flows: None,
            packets: Some(self.packets),
            bytes: Some(self.bytes),
        };
        oxs.put(out);
    }
}
