//! Roles of controllers and which asynchronous messages they get.

use crate::error::OfError;
use crate::message::prop::{self, PropType};
use crate::version::Version;
use crate::wire::{Reader, put_zeros};
use bytes::BufMut;

/// A controller's role, with the numbers of OpenFlow 1.2 and later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum Role {
    /// Only asks (not in Nicira's form).
    NoChange = 0,
    /// Full access, shared.
    #[default]
    Equal = 1,
    /// Full access, at most one.
    Primary = 2,
    /// Read only.
    Secondary = 3,
}

impl Role {
    fn from_wire(wire: u32) -> Result<Role, OfError> {
        Ok(match wire {
            0 => Role::NoChange,
            1 => Role::Equal,
            2 => Role::Primary,
            3 => Role::Secondary,
            _ => return Err(OfError::OFPRRFC_BAD_ROLE),
        })
    }
}

/// A role request or reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoleMsg {
    /// The role.
    pub role: Role,
    /// Which election this belongs to.
    pub generation_id: Option<u64>,
    /// Nicira's form (any version, no generation, no [`Role::NoChange`]) rather than that of 1.2.
    pub nicira: bool,
}

impl RoleMsg {
    /// Reads the body of a request or reply of 1.2 and later.
    pub(super) fn decode(body: &[u8], is_request: bool) -> Result<RoleMsg, OfError> {
        let mut reader = Reader::new(body);
        let role = Role::from_wire(reader.u32()?)?;
        reader.skip(4)?;
        let generation = reader.u64()?;
        let absent = if is_request { role == Role::NoChange } else { generation == u64::MAX };
        Ok(RoleMsg { role, generation_id: (!absent).then_some(generation), nicira: false })
    }

    /// Reads the body of Nicira's request or reply.
    pub(super) fn decode_nicira(body: &[u8]) -> Result<RoleMsg, OfError> {
        let wire = Reader::new(body).u32()?;
        let role = Role::from_wire(wire.saturating_add(1))?;
        Ok(RoleMsg { role, generation_id: None, nicira: true })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        if self.nicira {
            out.put_u32((self.role as u32).saturating_sub(1));
            return;
        }
        out.put_u32(self.role as u32);
        put_zeros(out, 4);
        out.put_u64(self.generation_id.unwrap_or(u64::MAX));
    }
}

/// Why a controller's role changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RoleReason {
    /// Another controller became primary.
    PrimaryRequest = 0,
    /// The switch's configuration.
    Config = 1,
    /// Something of an experimenter's.
    Experimenter = 2,
}

/// Tells a controller that its role changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoleStatus {
    /// Its role now.
    pub role: Role,
    /// Why.
    pub reason: RoleReason,
    /// The election; `u64::MAX` if there was none.
    pub generation_id: u64,
}

impl RoleStatus {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<RoleStatus, OfError> {
        let mut reader = Reader::new(body);
        let role = Role::from_wire(reader.u32()?)?;
        let reason = match reader.u8()? {
            0 => RoleReason::PrimaryRequest,
            1 => RoleReason::Config,
            2 => RoleReason::Experimenter,
            _ => return Err(OfError::NXBRC_BAD_REASON),
        };
        reader.skip(3)?;
        Ok(RoleStatus { role, reason, generation_id: reader.u64()? })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u32(self.role as u32);
        out.put_u8(self.reason as u8);
        put_zeros(out, 3);
        out.put_u64(self.generation_id);
    }
}

/// Kinds of asynchronous messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum AsyncKind {
    /// Packet-in.
    PacketIn = 0,
    /// Port status.
    PortStatus = 1,
    /// Flow removed.
    FlowRemoved = 2,
    /// Role status.
    RoleStatus = 3,
    /// Table status.
    TableStatus = 4,
    /// Forwarded requests.
    RequestForward = 5,
}

/// Number of kinds of asynchronous messages.
pub const ASYNC_KINDS: usize = 6;

/// Which reasons exist for each kind: before 1.4, and from 1.4 on.
const REASONS: [(u32, u32); ASYNC_KINDS] =
    [(0x7, 0x3f), (0x7, 0x7), (0xf, 0x3f), (0, 0x3), (0, 0x18), (0, 0x3)];

/// How many of them the form with masks knows: the first ones.
const LEGACY_KINDS: usize = 3;

/// Bit of a packet-in reason: a table-miss flow sent the packet. Not on the wire.
pub const EXPLICIT_MISS: u32 = 1 << 6;
/// Bit of a packet-in reason: no flow matched and no miss flow exists. Not on the wire.
pub const IMPLICIT_MISS: u32 = 1 << 7;

/// Which asynchronous messages a controller wants: for each kind a bitmap of reasons, where bit N is reason N.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AsyncConfig {
    /// While its role is primary or equal.
    pub primary: [u32; ASYNC_KINDS],
    /// While its role is secondary.
    pub secondary: [u32; ASYNC_KINDS],
}

impl AsyncConfig {
    /// What a controller gets that has not said what it wants.
    pub fn default_for(version: Version) -> AsyncConfig {
        let implicit = if version <= Version::V12 { IMPLICIT_MISS } else { 0 };
        let removed = if version >= Version::V14 { 0x3f } else { 0xf };
        AsyncConfig {
            primary: [0x3b | EXPLICIT_MISS | implicit, 0x7, removed, 0, 0, 0],
            secondary: [0, 0x7, 0, 0, 0, 0],
        }
    }

    /// Whether the message of `kind` for the reason with number `reason` is wanted.
    pub fn wants(&self, role: Role, kind: AsyncKind, reason: u8) -> bool {
        let masks = if role == Role::Secondary { &self.secondary } else { &self.primary };
        reason < 32 && masks[kind as usize] & 1 << reason != 0
    }
}

/// A change to an [`AsyncConfig`]: what is `None` stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AsyncChange {
    /// New bitmaps while the role is primary or equal.
    pub primary: [Option<u32>; ASYNC_KINDS],
    /// New bitmaps while the role is secondary.
    pub secondary: [Option<u32>; ASYNC_KINDS],
}

impl AsyncChange {
    /// `config` with the change made.
    pub fn apply(&self, config: &mut AsyncConfig) {
        let pairs = config.primary.iter_mut().zip(self.primary);
        for (mask, new) in pairs.chain(config.secondary.iter_mut().zip(self.secondary)) {
            *mask = new.unwrap_or(*mask);
        }
    }

    /// The change that sets everything.
    pub fn all(config: &AsyncConfig) -> AsyncChange {
        AsyncChange { primary: config.primary.map(Some), secondary: config.secondary.map(Some) }
    }

    /// Reads the body of the form with six masks (1.3, Nicira).
    pub(super) fn decode_masks(version: Version, body: &[u8]) -> Result<AsyncChange, OfError> {
        let mut reader = Reader::new(body);
        let mut change = AsyncChange::default();
        for (kind, &(allowed, _)) in REASONS.iter().enumerate().take(LEGACY_KINDS) {
            // Bits that do not exist are passed over in this form.
            change.primary[kind] = Some(with_misses(version, kind, reader.u32()? & allowed));
            change.secondary[kind] = Some(with_misses(version, kind, reader.u32()? & allowed));
        }
        Ok(change)
    }

    /// Reads the body of the form with properties (1.4, Nicira).
    pub(super) fn decode_props(version: Version, body: &[u8]) -> Result<AsyncChange, OfError> {
        let mut reader = Reader::new(body);
        let mut change = AsyncChange::default();
        while !reader.is_empty() {
            let (kind, contents) = prop::take_aligned(&mut reader, 0xfffe, 8)?;
            let PropType::Plain(number @ 0..=11) = kind else { return Err(kind.unknown()) };
            let (kind, primary) = (usize::from(number / 2), number % 2 == 1);
            let mask = prop::only_u32(contents)?;
            if mask & !REASONS[kind].1 != 0 {
                return Err(OfError::OFPACFC_INVALID);
            }
            let masks = if primary { &mut change.primary } else { &mut change.secondary };
            masks[kind] = Some(with_misses(version, kind, mask));
        }
        Ok(change)
    }

    /// Appends six masks.
    pub(super) fn encode_masks(&self, out: &mut Vec<u8>) {
        for (kind, &(allowed, _)) in REASONS.iter().enumerate().take(LEGACY_KINDS) {
            out.put_u32(self.primary[kind].unwrap_or(0) & allowed);
            out.put_u32(self.secondary[kind].unwrap_or(0) & allowed);
        }
    }

    /// Appends properties.
    pub(super) fn encode_props(&self, out: &mut Vec<u8>) {
        for (kind, reasons) in REASONS.iter().enumerate() {
            for (number, mask) in [self.secondary[kind], self.primary[kind]].into_iter().enumerate() {
                if let Some(mask) = mask {
                    prop::put_u32(out, (2 * kind + number) as u16, mask & reasons.1);
                }
            }
        }
    }
}

/// A packet-in mask with the bits that are not on the wire: who wants misses wants explicit ones, and before 1.3 implicit ones.
fn with_misses(version: Version, kind: usize, mask: u32) -> u32 {
    if kind != AsyncKind::PacketIn as usize || mask & 1 == 0 {
        return mask;
    }
    mask | EXPLICIT_MISS | if version < Version::V13 { IMPLICIT_MISS } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_in_both_forms() {
        let nicira = RoleMsg { role: Role::Primary, generation_id: None, nicira: true };
        let mut out = Vec::new();
        nicira.encode_body(&mut out);
        assert_eq!(out, [0, 0, 0, 1]);
        assert_eq!(RoleMsg::decode_nicira(&out), Ok(nicira));
        assert_eq!(RoleMsg::decode_nicira(&[0, 0, 0, 3]), Err(OfError::OFPRRFC_BAD_ROLE));
        assert_eq!(RoleMsg::decode_nicira(&[255; 4]), Err(OfError::OFPRRFC_BAD_ROLE));
        let plain = RoleMsg { role: Role::Secondary, generation_id: Some(5), nicira: false };
        out.clear();
        plain.encode_body(&mut out);
        assert_eq!(RoleMsg::decode(&out, true), Ok(plain));
    }

    #[test]
    fn masks_and_properties_come_back() {
        for version in Version::ALL {
            let all = AsyncChange::all(&AsyncConfig::default_for(version));
            let mut out = Vec::new();
            all.encode_props(&mut out);
            assert_eq!(AsyncChange::decode_props(version, &out), Ok(all), "{version}");
            out.clear();
            all.encode_masks(&mut out);
            let mut config = AsyncConfig::default();
            AsyncChange::decode_masks(version, &out).unwrap().apply(&mut config);
            assert!(config.wants(Role::Equal, AsyncKind::FlowRemoved, 3));
            assert!(!config.wants(Role::Secondary, AsyncKind::PacketIn, 0));
        }
    }

    #[test]
    fn unknown_reasons_are_refused_in_properties() {
        let mut out = Vec::new();
        prop::put_u32(&mut out, 2, 8);
        assert_eq!(AsyncChange::decode_props(Version::V14, &out), Err(OfError::OFPACFC_INVALID));
        out.clear();
        prop::put_u32(&mut out, 12, 0);
        assert_eq!(AsyncChange::decode_props(Version::V14, &out), Err(OfError::OFPBPC_BAD_TYPE));
    }
}
