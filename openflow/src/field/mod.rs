//! Fields: what a match can look at and what actions can read and write.
//!
//! One static table ([`FIELDS`]) describes every field: its names, its width, where it lies in a
//! [`FlowKey`](packet::FlowKey), how it may be masked, what it presupposes, whether actions may write it, and its code points
//! on the wire with the version that brought each in. Everything generic goes by it: the match codecs, `load`, `move`,
//! `set_field`, formatting, parsing.
//!
//! # Values
//!
//! The value of a field is a number, right-justified in a `u128`, as it stands big-endian in an NXM or OXM entry. So
//! `vlan_vid` has the "present" bit at 12, `ip_dscp` is a number below 64 and `nw_tos` the whole byte with the two ECN bits zero.
//!
//! # Fields without a place
//!
//! Some fields that Open vSwitch knows are described, so that they can be listed and named, but have no place in a key yet
//! (NSH, ERSPAN, GTP-U, tunnel options). The codecs refuse them as they would an unknown field.

mod id;
mod prereq;
mod subfield;
mod table;
mod value;
mod wire;

pub use id::FieldId;
pub use prereq::Prereq;
pub use subfield::{SubField, SubFieldError};
pub use table::{FIELDS, N_FIELDS};
pub use wire::{Header, LookupError, WireId};

/// How values of a field are written in text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A decimal number.
    Decimal,
    /// A hexadecimal number with `0x`, alone `0` without.
    Hex,
    /// An Ethernet address.
    Ethernet,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A 16-bit port number or name.
    Port16,
    /// A 32-bit port number or name.
    Port32,
    /// `no`, `yes`, `first`, `later`, `not_later`.
    Frag,
    /// Flag names joined by `+`.
    TunFlags,
    /// Flag names joined by `+` and `-`.
    CtState,
    /// Flag names joined by `+` and `-`.
    TcpFlags,
    /// `(namespace,type)`.
    PacketType,
}

/// Where a field lies in a [`FlowKey`](packet::FlowKey): `bits` bits, `shift` above the least significant, of the big-endian number in
/// the `len` bytes at byte `offset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Byte offset in the key.
    pub offset: usize,
    /// Length of the container in bytes: 1, 2, 4, 6, 8 or 16.
    pub len: usize,
    /// Distance from the least significant bit of the container.
    pub shift: u32,
    /// How many bits of the container, and of the value, can be non-zero.
    pub bits: u32,
}

/// One row of the table.
#[derive(Debug)]
pub struct Field {
    /// Which field this is.
    pub id: FieldId,
    /// The name that is printed.
    pub name: &'static str,
    /// Another name that is understood.
    pub alias: Option<&'static str>,
    /// Bytes of a value on the wire.
    pub n_bytes: u32,
    /// Bits that actions can address, counted from the least significant.
    pub n_bits: u32,
    /// Where it lies in a key; `None` when it has no place yet.
    pub place: Option<Place>,
    /// How its values are written.
    pub format: Format,
    /// Whether any bitmask goes (else only all or nothing).
    pub maskable: bool,
    /// Whether actions may write it.
    pub writable: bool,
    /// What must be matched for the field to be there.
    pub prereq: Prereq,
    /// Its code points, in the order of the versions that brought them.
    pub wire: &'static [WireId],
}

impl FieldId {
    /// The description of this field.
    pub fn info(self) -> &'static Field {
        &FIELDS[self as usize]
    }

    /// The name that is printed.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The field of this name or alias, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        let same = |field: &&Field| {
            field.name.eq_ignore_ascii_case(name) || field.alias.is_some_and(|a| a.eq_ignore_ascii_case(name))
        };
        FIELDS.iter().find(same).map(|field| field.id)
    }

    /// All fields, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        FIELDS.iter().map(|field| field.id)
    }
}

impl Field {
    /// The mask of an exact match, which can be wider than the values.
    pub fn exact(&self) -> u128 {
        ones(self.place.map_or(self.n_bits, |place| place.bits))
    }

    /// Whether every bit set in `value` is one that the field can have.
    pub fn is_value_valid(&self, value: u128) -> bool {
        let valid = match self.id {
            FieldId::NwTos => 0xfc,
            FieldId::TcpFlags | FieldId::Ipv6Label => ones(self.n_bits),
            _ => self.exact(),
        };
        value & !valid == 0
    }

    /// Every bit of the field's bytes, those that are always zero included: the mask that stands for "exact" on the wire.
    pub fn all_ones(&self) -> u128 {
        ones(self.n_bytes * 8)
    }

    /// Whether this is a register of any width.
    pub fn is_register(&self) -> bool {
        (FieldId::Reg0..=FieldId::Xxreg3).contains(&self.id)
    }
}

/// A number whose `bits` least significant bits are set; all 128 from 128 on.
pub const fn ones(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

#[cfg(test)]
mod tests;
