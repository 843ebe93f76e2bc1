//! Code points of fields: the headers of NXM and OXM entries.
//!
//! A header is 32 bits: class (16), field (7), has-mask (1), payload length (8). In class `0xffff` (experimenter) another 32 bits
//! follow, the experimenter's number, and count as payload. [`Header`] holds both as 64 bits, the experimenter in the lower half.

use super::{FIELDS, Field, FieldId};
use crate::Version;
use crate::error::{NICIRA, ONF};

/// The class of entries that name an experimenter.
const EXPERIMENTER: u16 = 0xffff;
/// The experimenter of the fields of Network Service Headers.
const NSH: u32 = 0x005a_d650;

/// One code point of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireId {
    /// Class.
    pub class: u16,
    /// Field number within the class.
    pub field: u8,
    /// The experimenter, 0 but for class `0xffff`.
    pub experimenter: u32,
    /// The first version of OpenFlow that has it; 1.0 for Nicira's.
    pub since: Version,
}

/// `NXM_OF_*`.
pub(super) const fn of(field: u8) -> WireId {
    WireId { class: 0, field, experimenter: 0, since: Version::V10 }
}
/// `NXM_NX_*`.
pub(super) const fn nx(field: u8) -> WireId {
    WireId { class: 1, field, experimenter: 0, since: Version::V10 }
}
/// `OXM_OF_*`.
pub(super) const fn oxm(field: u8, since: Version) -> WireId {
    WireId { class: 0x8000, field, experimenter: 0, since }
}
/// `OXM_OF_PKT_REG*`.
pub(super) const fn pkt_reg(field: u8) -> WireId {
    WireId { class: 0x8001, field, experimenter: 0, since: Version::V13 }
}
/// `ERICOXM_OF_*`.
pub(super) const fn eric(field: u8) -> WireId {
    WireId { class: 0x1000, field, experimenter: 0, since: Version::V13 }
}
/// `ONFOXM_ET_*`.
pub(super) const fn onf(field: u8, since: Version) -> WireId {
    WireId { class: EXPERIMENTER, field, experimenter: ONF, since }
}
/// `NXOXM_ET_*`.
pub(super) const fn et(field: u8) -> WireId {
    WireId { class: EXPERIMENTER, field, experimenter: NICIRA, since: Version::V10 }
}
/// `NXOXM_NSH_*`.
pub(super) const fn nsh(field: u8) -> WireId {
    WireId { class: EXPERIMENTER, field, experimenter: NSH, since: Version::V10 }
}

/// The header of an NXM or OXM entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header(pub u64);

/// Why a header names no field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupError {
    /// The bytes end within the header.
    Truncated,
    /// The class is that of experimenters, the length leaves no room for one.
    NoExperimenter,
    /// No such field, or not with that length.
    Unknown,
}

impl Header {
    /// The header of `field` at `wire`, with or without a mask.
    pub fn new(field: &Field, wire: WireId, has_mask: bool) -> Self {
        let payload = field.n_bytes << u32::from(has_mask);
        let len = if wire.class == EXPERIMENTER { payload + 4 } else { payload };
        let low = u32::from(wire.field) << 9 | u32::from(has_mask) << 8 | (len & 0xff);
        Self(u64::from(u32::from(wire.class) << 16 | low) << 32 | u64::from(wire.experimenter))
    }

    /// Reads the header at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, LookupError> {
        let head = bytes.first_chunk::<4>().ok_or(LookupError::Truncated)?;
        let header = Self(u64::from(u32::from_be_bytes(*head)) << 32);
        if !header.is_experimenter() {
            return Ok(header);
        }
        if header.raw_len() < 4 {
            return Err(LookupError::NoExperimenter);
        }
        let whole = bytes.first_chunk::<8>().ok_or(LookupError::Truncated)?;
        Ok(Self(u64::from_be_bytes(*whole)))
    }

    /// Appends the header: four bytes, or eight with an experimenter.
    pub fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes()[..self.n_bytes()]);
    }

    /// Bytes of the header itself: 4 or 8.
    pub fn n_bytes(self) -> usize {
        if self.is_experimenter() { 8 } else { 4 }
    }

    /// Bytes of value and mask together.
    pub fn payload(self) -> usize {
        self.raw_len() - (self.n_bytes() - 4)
    }

    /// Whether a mask follows the value.
    pub fn has_mask(self) -> bool {
        self.0 >> 40 & 1 != 0
    }

    /// The same header without the has-mask bit and with the length halved.
    pub fn without_mask(self) -> Self {
        if !self.has_mask() {
            return self;
        }
        let len = (self.payload() / 2 + self.n_bytes() - 4) as u64;
        Self(self.0 & !(0x1ff << 32) | len << 32)
    }

    /// Class.
    pub fn class(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Field number within the class.
    pub fn field_number(self) -> u8 {
        (self.0 >> 41) as u8 & 0x7f
    }

    /// The experimenter, or 0.
    pub fn experimenter(self) -> u32 {
        self.0 as u32
    }

    /// The field that this header names, whatever its mask bit. Its length must be right.
    pub fn lookup(self) -> Option<&'static Field> {
        let field = Self::rows().find(|(_, wire)| self.names(*wire)).map(|(field, _)| field)?;
        (self.payload() == (field.n_bytes << u32::from(self.has_mask())) as usize).then_some(field)
    }

    /// Whether this header names a field, whatever the length it says.
    pub fn names_any(self) -> bool {
        Self::rows().any(|(_, wire)| self.names(wire))
    }

    fn rows() -> impl Iterator<Item = (&'static Field, WireId)> {
        FIELDS.iter().flat_map(|field| field.wire.iter().map(move |wire| (field, *wire)))
    }

    fn names(self, wire: WireId) -> bool {
        self.class() == wire.class
            && self.field_number() == wire.field
            && self.experimenter() == wire.experimenter
    }

    fn is_experimenter(self) -> bool {
        self.class() == EXPERIMENTER
    }

    fn raw_len(self) -> usize {
        (self.0 >> 32) as usize & 0xff
    }
}

impl FieldId {
    /// The code point that Open vSwitch uses for this field in `version`, 1.0 standing for NXM: the newest that is not newer than
    /// the version, or else the oldest. `None` for a field that has none.
    pub fn wire(self, version: Version) -> Option<WireId> {
        let wire = self.info().wire;
        wire.iter().rev().find(|w| w.since <= version).or(wire.first()).copied()
    }

    /// The header of an entry of this field in `version`.
    pub fn header(self, version: Version, has_mask: bool) -> Option<Header> {
        self.wire(version).map(|wire| Header::new(self.info(), wire, has_mask))
    }
}
