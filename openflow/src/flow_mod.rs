//! Changes to flow tables: the flow-mod message of every version.

use bitflags::bitflags;

use crate::action::{CheckParams, check};
use crate::codec::nxm::put_number;
use crate::codec::{instruction, nxm, ofp10, ofp11};
use crate::wire::{Reader, put_zeros, set_u16};
use crate::{Instructions, Match, OfError, OfPort, Version};

bitflags! {
    /// Flags of a flow, as in OpenFlow 1.3.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct FlowFlags: u16 {
        /// Send a flow-removed when the flow goes.
        const SEND_FLOW_REM = 1;
        /// Refuse to add a flow that overlaps another of its priority.
        const CHECK_OVERLAP = 2;
        /// Set the counters to zero.
        const RESET_COUNTS = 4;
        /// Packets need not be counted.
        const NO_PKT_COUNTS = 8;
        /// Bytes need not be counted.
        const NO_BYT_COUNTS = 16;
    }
}

/// What a flow-mod does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FlowModCommand {
    /// Add a flow, replacing the same one.
    Add = 0,
    /// Change the actions of all flows within the match.
    Modify = 1,
    /// Change the actions of the flow with this match and priority.
    ModifyStrict = 2,
    /// Delete all flows within the match.
    Delete = 3,
    /// Delete the flow with this match and priority.
    DeleteStrict = 4,
}

/// A flow-mod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowMod {
    /// What to do.
    pub command: FlowModCommand,
    /// Table; `None` stands for all tables, or for "the switch chooses" when adding.
    pub table_id: Option<u8>,
    /// What the flow matches.
    pub flow_match: Match,
    /// Priority.
    pub priority: u16,
    /// Modify and delete touch only flows whose cookie agrees with this one in the bits of `cookie_mask`.
    pub cookie: u64,
    /// Which bits of `cookie` count; 0 for none.
    pub cookie_mask: u64,
    /// Cookie of the flow that is added, or given to those that are modified; `None` leaves theirs.
    pub new_cookie: Option<u64>,
    /// Seconds without packets, 0 for ever.
    pub idle_timeout: u16,
    /// Seconds to live, 0 for ever.
    pub hard_timeout: u16,
    /// Eviction rank (OpenFlow 1.4).
    pub importance: u16,
    /// Buffered packet to send; `u32::MAX` for none.
    pub buffer_id: u32,
    /// Delete only flows that output here; [`OfPort::NONE`] for any.
    pub out_port: OfPort,
    /// Delete only flows that use this group; `u32::MAX` for any.
    pub out_group: u32,
    /// Flags.
    pub flags: FlowFlags,
    /// What the flow does.
    pub instructions: Instructions,
}

impl Default for FlowMod {
    fn default() -> Self {
        Self {
            command: FlowModCommand::Add,
            table_id: None,
            flow_match: Match::any(),
            priority: 0x8000,
            cookie: 0,
            cookie_mask: 0,
            new_cookie: Some(0),
            idle_timeout: 0,
            hard_timeout: 0,
            importance: 0,
            buffer_id: u32::MAX,
            out_port: OfPort::NONE,
            out_group: u32::MAX,
            flags: FlowFlags::empty(),
            instructions: Instructions::default(),
        }
    }
}

/// The command proper of 1.0, where Nicira puts a table id above it.
const OFP10_COMMAND_MAX: u16 = 0xff;
/// `OFPTT_ALL`, and in 1.0 with Nicira's extension "the switch chooses".
const ALL_TABLES: u8 = 0xff;
/// The flag of 1.0 that asks for the emergency table.
const EMERGENCY: u16 = 4;

impl FlowMod {
    /// Reads the body of a flow-mod: after the header, or after the Nicira header when `nxm`. `table_id` tells whether the peer
    /// turned on Nicira's table ids in the command of 1.0.
    ///
    /// What needs the match or the tables to judge is left to [`FlowMod::check`].
    pub fn decode(version: Version, nxm: bool, table_id: bool, body: &[u8]) -> Result<Self, OfError> {
        let mut r = Reader::new(body);
        let (mut fm, flags) = match (version, nxm) {
            (_, true) => decode_nx(&mut r, table_id)?,
            (Version::V10, false) => decode_10(&mut r, table_id)?,
            _ => decode_11(version, &mut r)?,
        };
        fm.instructions = instruction::decode(version, r.rest())?;
        fm.flags = decode_flags(version, fm.command, flags)?;
        if version == Version::V10 && flags & EMERGENCY != 0 {
            return Err(match fm.idle_timeout | fm.hard_timeout {
                0 => OfError::OFPFMFC_TABLE_FULL,
                _ => OfError::OFPFMFC_BAD_EMERG_TIMEOUT,
            });
        }
        Ok(fm)
    }

    /// Checks the actions against the match and against the ports and tables there are.
    pub fn check(&mut self, version: Version, max_ports: u16, n_tables: u8) -> Result<(), OfError> {
        let params = CheckParams { version, max_ports, table_id: self.table_id, n_tables };
        check(&mut self.instructions, &self.flow_match, &params)
    }

    /// Appends the body in the form of `version`, or in Nicira's of 1.0 when `nxm`.
    pub fn encode_body(&self, version: Version, nxm: bool, table_id: bool, out: &mut Vec<u8>) {
        match (version, nxm) {
            (_, true) => self.put_nx(table_id, out),
            (Version::V10, false) => self.put_10(table_id, out),
            _ => self.put_11(version, out),
        }
        let version = if nxm { Version::V10 } else { version };
        instruction::encode(version, &self.instructions, out);
    }

    fn is_add(&self) -> bool {
        self.command == FlowModCommand::Add
    }

    fn is_delete(&self) -> bool {
        matches!(self.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict)
    }

    fn put_10(&self, table_id: bool, out: &mut Vec<u8>) {
        ofp10::put(out, &self.flow_match);
        put_number(out, self.new_cookie.unwrap_or(u64::MAX).into(), 8);
        for word in [self.command_10(table_id), self.idle_timeout, self.hard_timeout, self.priority] {
            put_number(out, word.into(), 2);
        }
        put_number(out, self.buffer_id.into(), 4);
        put_number(out, self.out_port.to_u16().into(), 2);
        put_number(out, encode_flags(Version::V10, self.flags).into(), 2);
    }

    fn put_nx(&self, table_id: bool, out: &mut Vec<u8>) {
        put_number(out, self.new_cookie.unwrap_or(u64::MAX).into(), 8);
        for word in [self.command_10(table_id), self.idle_timeout, self.hard_timeout, self.priority] {
            put_number(out, word.into(), 2);
        }
        put_number(out, self.buffer_id.into(), 4);
        put_number(out, self.out_port.to_u16().into(), 2);
        put_number(out, encode_flags(Version::V10, self.flags).into(), 2);
        let at = out.len();
        put_zeros(out, 8);
        let cookie = (self.cookie, self.cookie_mask);
        let len = nxm::put_nxm(out, &self.flow_match, Version::V10, cookie);
        set_u16(out, at, len as u16);
    }

    fn command_10(&self, table_id: bool) -> u16 {
        let table = if table_id { self.table_id.unwrap_or(ALL_TABLES) } else { 0 };
        u16::from(table) << 8 | u16::from(self.command as u8)
    }

    fn put_11(&self, version: Version, out: &mut Vec<u8>) {
        let modify_11 = version == Version::V11 && !self.is_delete() && self.cookie_mask == 0;
        let cookie = match self.is_add() || modify_11 {
            true => self.new_cookie.unwrap_or(u64::MAX),
            false => self.cookie & self.cookie_mask,
        };
        put_number(out, cookie.into(), 8);
        put_number(out, self.cookie_mask.into(), 8);
        let all = if self.is_delete() && version > Version::V11 { ALL_TABLES } else { 0 };
        out.extend_from_slice(&[self.table_id.unwrap_or(all), self.command as u8]);
        for word in [self.idle_timeout, self.hard_timeout, self.priority] {
            put_number(out, word.into(), 2);
        }
        for word in [self.buffer_id, self.out_port.0, self.out_group] {
            put_number(out, word.into(), 4);
        }
        put_number(out, encode_flags(version, self.flags).into(), 2);
        let importance = if version >= Version::V14 { self.importance } else { 0 };
        put_number(out, importance.into(), 2);
        ofp11::put_any(out, &self.flow_match, version);
    }
}

fn decode_command(command: u16, table_id: bool) -> Result<(FlowModCommand, Option<u8>), OfError> {
    let (command, table) = match table_id {
        true => (command & OFP10_COMMAND_MAX, (command >> 8) as u8),
        false => (command, ALL_TABLES),
    };
    let command = match command {
        0 => FlowModCommand::Add,
        1 => FlowModCommand::Modify,
        2 => FlowModCommand::ModifyStrict,
        3 => FlowModCommand::Delete,
        4 => FlowModCommand::DeleteStrict,
        _ => return Err(OfError::OFPFMFC_BAD_COMMAND),
    };
    Ok((command, (table != ALL_TABLES).then_some(table)))
}

/// The cookie to give: for commands other than "add", all ones leave the flows' own.
fn new_cookie(command: FlowModCommand, cookie: u64) -> Option<u64> {
    (command == FlowModCommand::Add || cookie != u64::MAX).then_some(cookie)
}

fn decode_10(r: &mut Reader<'_>, table_id: bool) -> Result<(FlowMod, u16), OfError> {
    let exact = r.peek().first_chunk::<4>().is_some_and(|w| u32::from_be_bytes(*w) & 0x3f_ffff == 0);
    let flow_match = ofp10::pull(r)?;
    let (cookie, command) = (r.u64()?, r.u16()?);
    let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
    let (buffer_id, out_port, flags) = (r.u32()?, OfPort::from_u16(r.u16()?), r.u16()?);
    let (command, table_id) = decode_command(command, table_id)?;
    let fm = FlowMod {
        command,
        table_id,
        flow_match,
        priority: if exact { u16::MAX } else { priority },
        new_cookie: new_cookie(command, cookie),
        idle_timeout,
        hard_timeout,
        buffer_id,
        out_port,
        ..FlowMod::default()
    };
    Ok((fm, flags))
}

fn decode_nx(r: &mut Reader<'_>, table_id: bool) -> Result<(FlowMod, u16), OfError> {
    let (cookie, command) = (r.u64()?, r.u16()?);
    let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
    let (buffer_id, out_port, flags) = (r.u32()?, OfPort::from_u16(r.u16()?), r.u16()?);
    let match_len = r.u16()?;
    r.skip(6)?;
    let nx = nxm::pull_nxm(r, match_len.into(), nxm::Rules { cookie: true, loose: false })?;
    let (matched, mask) = nx.cookie.unwrap_or((0, 0));
    if command & OFP10_COMMAND_MAX == 0 && mask != 0 {
        return Err(OfError::NXBRC_NXM_INVALID);
    }
    let (command, table_id) = decode_command(command, table_id)?;
    let fm = FlowMod {
        command,
        table_id,
        flow_match: nx.flow_match,
        priority,
        cookie: matched,
        cookie_mask: mask,
        new_cookie: new_cookie(command, cookie),
        idle_timeout,
        hard_timeout,
        buffer_id,
        out_port,
        ..FlowMod::default()
    };
    Ok((fm, flags))
}

fn decode_11(version: Version, r: &mut Reader<'_>) -> Result<(FlowMod, u16), OfError> {
    let (cookie, mask, table, command) = (r.u64()?, r.u64()?, r.u8()?, r.u8()?);
    let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
    let (buffer_id, out_port, out_group) = (r.u32()?, r.u32()?, r.u32()?);
    let (flags, importance) = (r.u16()?, r.u16()?);
    let flow_match = ofp11::pull_any(r)?;
    let deletes = matches!(command, 3 | 4);
    if table == ALL_TABLES && (version == Version::V11 || !deletes) {
        return Err(OfError::OFPFMFC_BAD_TABLE_ID);
    }
    let out_port = OfPort::from_u32(out_port)?;
    let (command, _) = decode_command(command.into(), false)?;
    let gives_cookie = command == FlowModCommand::Add || version == Version::V11 && !deletes && mask == 0;
    let has_importance = version >= Version::V14 && command == FlowModCommand::Add;
    let fm = FlowMod {
        command,
        table_id: (table != ALL_TABLES).then_some(table),
        flow_match,
        priority,
        cookie: if gives_cookie { 0 } else { cookie },
        cookie_mask: if gives_cookie { 0 } else { mask },
        new_cookie: gives_cookie.then_some(cookie),
        idle_timeout,
        hard_timeout,
        importance: if has_importance { importance } else { 0 },
        buffer_id,
        out_port,
        out_group: if deletes { out_group } else { u32::MAX },
        ..FlowMod::default()
    };
    Ok((fm, flags))
}

/// The flags that a version knows.
fn known_flags(version: Version) -> u16 {
    match version {
        Version::V10 | Version::V11 => 3,
        Version::V12 => 7,
        _ => 31,
    }
}

/// Reads the flags. Before 1.2, "add" always resets the counters.
fn decode_flags(version: Version, command: FlowModCommand, raw: u16) -> Result<FlowFlags, OfError> {
    let emergency = if version == Version::V10 { EMERGENCY } else { 0 };
    if raw & !(known_flags(version) | emergency) != 0 {
        return Err(OfError::OFPFMFC_BAD_FLAGS);
    }
    let flags = FlowFlags::from_bits_truncate(raw & known_flags(version));
    let resets = version <= Version::V11 && command == FlowModCommand::Add;
    Ok(if resets { flags | FlowFlags::RESET_COUNTS } else { flags })
}

/// The flags as a version can say them.
pub(crate) fn encode_flags(version: Version, flags: FlowFlags) -> u16 {
    flags.bits() & known_flags(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldId;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn plain_1_0() {
        let match_and_cookie = format!("003820fe0001{}", "00".repeat(42));
        let rest = "000000000000 8000ffffffffffff0000 0000000800020000".replace(' ', "");
        let body = bytes(&format!("{match_and_cookie}{rest}"));
        let fm = FlowMod::decode(Version::V10, false, false, &body).unwrap();
        assert_eq!(fm.flow_match.value(FieldId::InPortOxm), 1);
        assert_eq!((fm.priority, fm.table_id, fm.flags), (0x8000, None, FlowFlags::RESET_COUNTS));
        assert_eq!(fm.instructions.apply, [crate::Action::Output { port: OfPort(2), max_len: 0 }]);
        let mut out = Vec::new();
        fm.encode_body(Version::V10, false, false, &mut out);
        assert_eq!(out, body);
    }

    #[test]
    fn refused() {
        let fm = FlowMod::default();
        let mut out = Vec::new();
        fm.encode_body(Version::V13, false, false, &mut out);
        let decode = |at: usize, byte| {
            let mut body = out.clone();
            body[at] = byte;
            FlowMod::decode(Version::V13, false, false, &body)
        };
        assert!(decode(16, 0).is_ok());
        assert_eq!(decode(16, 255), Err(OfError::OFPFMFC_BAD_TABLE_ID));
        assert_eq!(decode(17, 5), Err(OfError::OFPFMFC_BAD_COMMAND));
        assert_eq!(decode(37, 32), Err(OfError::OFPFMFC_BAD_FLAGS));
        assert_eq!(decode(29, 1), Err(OfError::OFPBAC_BAD_OUT_PORT));
    }
}
