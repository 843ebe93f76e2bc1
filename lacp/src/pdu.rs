//! The LACPDU (802.1AX-2014, 6.4.2.3): what follows the EtherType, 110 bytes.
//!
//! ```text
//!   0  subtype 1, version
//!   2  type 1, length 20, actor:   system priority, system, key, port priority, port, state, 3 reserved
//!  22  type 2, length 20, partner: the same
//!  42  type 3, length 16, collector: maximum delay, 12 reserved
//!  58  type 0, length 0, 50 reserved
//! ```
//!
//! A receiver looks at subtype, types and lengths; not at the version nor at reserved bytes, so that later versions can
//! be told by it (6.4.2.3 and 6.4.2.4).

use thiserror::Error;

/// Length in bytes, without Ethernet header and frame check sequence.
pub const LEN: usize = 110;
/// The version that is sent.
pub const VERSION: u8 = 1;

const ACTOR: usize = 2;
const PARTNER: usize = 22;
const COLLECTOR: usize = 42;

/// Bytes that are no LACPDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PduError {
    /// Too short.
    #[error("{0} bytes are too few for an LACPDU")]
    Short(usize),
    /// Another slow protocol.
    #[error("subtype {0} is not LACP")]
    Subtype(u8),
    /// A type or length that is not the one at this place.
    #[error("type {kind}, length {len} at offset {at} of an LACPDU")]
    Tlv {
        /// Where.
        at: usize,
        /// Its type.
        kind: u8,
        /// Its length.
        len: u8,
    },
}

/// State of an actor or partner (6.4.2.3, item l).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct State(pub u8);

impl State {
    /// Takes part actively.
    pub const ACTIVITY: u8 = 0x01;
    /// Uses short timeouts.
    pub const TIMEOUT: u8 = 0x02;
    /// Can be aggregated.
    pub const AGGREGATION: u8 = 0x04;
    /// Is attached to the right aggregate.
    pub const SYNCHRONIZATION: u8 = 0x08;
    /// Collects frames.
    pub const COLLECTING: u8 = 0x10;
    /// Distributes frames.
    pub const DISTRIBUTING: u8 = 0x20;
    /// Uses defaults for its partner.
    pub const DEFAULTED: u8 = 0x40;
    /// Its receive machine is expired.
    pub const EXPIRED: u8 = 0x80;

    /// Whether all of these bits are set.
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// One side of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Participant {
    /// System priority: lower is better.
    pub system_priority: u16,
    /// System: a MAC address.
    pub system: [u8; 6],
    /// Key: ports that may be aggregated share it.
    pub key: u16,
    /// Port priority: lower is better.
    pub port_priority: u16,
    /// Port number.
    pub port: u16,
    /// State.
    pub state: State,
}

/// An LACPDU where it lies, at the start of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View<T>(T);

impl<T: AsRef<[u8]>> View<T> {
    /// Wraps bytes after a look at their number, subtype, types and lengths.
    pub fn new_checked(bytes: T) -> Result<Self, PduError> {
        let pdu = bytes.as_ref();
        if pdu.len() < LEN {
            return Err(PduError::Short(pdu.len()));
        }
        if pdu[0] != crate::SUBTYPE_LACP {
            return Err(PduError::Subtype(pdu[0]));
        }
        for (at, expected) in [(ACTOR, [1, 20]), (PARTNER, [2, 20]), (COLLECTOR, [3, 16])] {
            let [kind, len] = [pdu[at], pdu[at + 1]];
            if [kind, len] != expected {
                return Err(PduError::Tlv { at, kind, len });
            }
        }
        Ok(Self(bytes))
    }

    fn word(&self, at: usize) -> u16 {
        let bytes = self.0.as_ref();
        u16::from_be_bytes([bytes[at], bytes[at + 1]])
    }

    fn participant(&self, at: usize) -> Participant {
        let bytes = self.0.as_ref();
        let mut system = [0; 6];
        system.copy_from_slice(&bytes[at + 4..at + 10]);
        Participant {
            system_priority: self.word(at + 2),
            system,
            key: self.word(at + 10),
            port_priority: self.word(at + 12),
            port: self.word(at + 14),
            state: State(bytes[at + 16]),
        }
    }

    /// Version of the sender.
    pub fn version(&self) -> u8 {
        self.0.as_ref()[1]
    }

    /// The sender's own side.
    pub fn actor(&self) -> Participant {
        self.participant(ACTOR)
    }

    /// What the sender knows of the receiver.
    pub fn partner(&self) -> Participant {
        self.participant(PARTNER)
    }

    /// The sender's maximum collector delay, in tens of microseconds.
    pub fn collector_delay(&self) -> u16 {
        self.word(COLLECTOR + 2)
    }
}

/// A valid LACPDU's meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Lacpdu {
    /// The sender's own side.
    pub actor: Participant,
    /// What the sender knows of the receiver.
    pub partner: Participant,
    /// Maximum collector delay, in tens of microseconds.
    pub collector_delay: u16,
}

impl Lacpdu {
    /// Reads and validates what follows the EtherType.
    pub fn parse(bytes: &[u8]) -> Result<Self, PduError> {
        let view = View::new_checked(bytes)?;
        Ok(Self { actor: view.actor(), partner: view.partner(), collector_delay: view.collector_delay() })
    }

    /// Writes what follows the EtherType.
    pub fn emit(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[..2].copy_from_slice(&[crate::SUBTYPE_LACP, VERSION]);
        for (at, kind, side) in [(ACTOR, 1, &self.actor), (PARTNER, 2, &self.partner)] {
            out[at..at + 2].copy_from_slice(&[kind, 20]);
            side.emit(&mut out[at + 2..at + 17]);
        }
        out[COLLECTOR..COLLECTOR + 2].copy_from_slice(&[3, 16]);
        out[COLLECTOR + 2..COLLECTOR + 4].copy_from_slice(&self.collector_delay.to_be_bytes());
        out
    }
}

impl Participant {
    fn emit(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&self.system_priority.to_be_bytes());
        out[2..8].copy_from_slice(&self.system);
        out[8..10].copy_from_slice(&self.key.to_be_bytes());
        out[10..12].copy_from_slice(&self.port_priority.to_be_bytes());
        out[12..14].copy_from_slice(&self.port.to_be_bytes());
        out[14] = self.state.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Lacpdu {
        let actor = Participant {
            system_priority: 0x8000,
            system: [2, 0, 0, 0, 0, 1],
            key: 7,
            port_priority: 0xff,
            port: 3,
            state: State(State::ACTIVITY | State::AGGREGATION),
        };
        Lacpdu { actor, partner: Participant { port: 9, ..Participant::default() }, collector_delay: 5 }
    }

    #[test]
    fn bytes_are_where_the_standard_puts_them() {
        let bytes = example().emit();
        let start = [1, 1, 1, 20, 0x80, 0, 2, 0, 0, 0, 0, 1, 0, 7, 0, 0xff, 0, 3, 0x05, 0, 0, 0, 2, 20];
        assert_eq!(bytes[..24], start);
        assert_eq!(bytes[42..46], [3, 16, 0, 5]);
        assert_eq!(bytes[46..], [0; 64]);
        assert_eq!(Lacpdu::parse(&bytes), Ok(example()));
    }

    #[test]
    fn later_versions_and_reserved_bytes_are_accepted() {
        let mut bytes = example().emit();
        bytes[1] = 9;
        bytes[109] = 1;
        bytes[19] = 1;
        assert_eq!(Lacpdu::parse(&bytes), Ok(example()));
        assert_eq!(View::new_checked(bytes).unwrap().version(), 9);
    }

    #[test]
    fn errors_are_named() {
        let bytes = example().emit();
        assert_eq!(Lacpdu::parse(&bytes[..109]), Err(PduError::Short(109)));
        let spoilt = |at: usize, value: u8| {
            let mut bytes = bytes;
            bytes[at] = value;
            Lacpdu::parse(&bytes).unwrap_err()
        };
        assert_eq!(spoilt(0, 2), PduError::Subtype(2));
        assert_eq!(spoilt(23, 21), PduError::Tlv { at: 22, kind: 2, len: 21 });
        assert_eq!(spoilt(42, 0), PduError::Tlv { at: 42, kind: 0, len: 16 });
    }

    #[test]
    fn states() {
        assert!(State(0x0d).has(State::ACTIVITY | State::SYNCHRONIZATION));
        assert!(!State(0x0d).has(State::TIMEOUT));
    }
}
