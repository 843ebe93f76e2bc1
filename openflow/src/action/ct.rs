//! Connection tracking actions.

use std::net::IpAddr;

use super::Action;
use crate::field::SubField;

/// Where the zone of a [`Ct`] comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CtZone {
    /// A number.
    Number(u16),
    /// A field of the packet.
    Field(SubField),
}

/// `ct`: pass through connection tracking.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ct {
    /// Whether the connection is kept.
    pub commit: bool,
    /// Whether a connection of the other direction is replaced.
    pub force: bool,
    /// Zone.
    pub zone: CtZone,
    /// Table in which a copy goes on with the connection's state; `None` for no copy.
    pub recirc_table: Option<u8>,
    /// Port of the helper: 21 for FTP, 69 for TFTP, 0 for none.
    pub alg: u16,
    /// What is done on the connection: [`Action::Nat`], and set-field, load or move into `ct_mark` and `ct_label`.
    pub actions: Vec<Action>,
}

impl Default for Ct {
    fn default() -> Self {
        let zone = CtZone::Number(0);
        Self { commit: false, force: false, zone, recirc_table: None, alg: 0, actions: Vec::new() }
    }
}

/// Flags of [`Nat`], as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NatFlags(pub u16);

impl NatFlags {
    /// Translate the source.
    pub const SRC: u16 = 1;
    /// Translate the destination.
    pub const DST: u16 = 2;
    /// The mapping survives a restart.
    pub const PERSISTENT: u16 = 4;
    /// Choose ports by a hash.
    pub const HASH: u16 = 8;
    /// Choose ports at random.
    pub const RANDOM: u16 = 16;
    /// All of them.
    pub const ALL: u16 = 31;

    /// Whether one of the flags in `bits` is set.
    pub fn has(self, bits: u16) -> bool {
        self.0 & bits != 0
    }
}

/// A closed range; `max` is `None` when it was not given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CtRange<T> {
    /// First.
    pub min: T,
    /// Last.
    pub max: Option<T>,
}

/// What to translate to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NatRange {
    /// Addresses, both of one family.
    pub addr: Option<CtRange<IpAddr>>,
    /// Ports.
    pub ports: Option<CtRange<u16>>,
}

/// `nat`: translate addresses; without flags, as the connection says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Nat {
    /// Flags.
    pub flags: NatFlags,
    /// Range, empty without flags.
    pub range: NatRange,
}
