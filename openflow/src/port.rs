//! OpenFlow port numbers.
//!
//! OpenFlow 1.0 has 16-bit numbers, later versions have 32-bit ones whose reserved numbers lie 0xffff0000 higher. As Open vSwitch does,
//! ports are numbered up to 0xfeff everywhere and an [`OfPort`] holds the 32-bit form.

use crate::error::OfError;
use std::fmt;

/// A port number in its 32-bit form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct OfPort(pub u32);

/// What the reserved 16-bit numbers of OpenFlow 1.0 are raised by.
const OFFSET: u32 = 0xffff_0000;

impl OfPort {
    /// First number that is no port's.
    pub const MAX: OfPort = OfPort(0xffff_ff00);
    /// Not in the action set (OpenFlow 1.5).
    pub const UNSET: OfPort = OfPort(0xffff_fff7);
    /// The port that the packet came from.
    pub const IN_PORT: OfPort = OfPort(0xffff_fff8);
    /// Perform the tables' actions (only in a packet-out).
    pub const TABLE: OfPort = OfPort(0xffff_fff9);
    /// Forward as an ordinary switch.
    pub const NORMAL: OfPort = OfPort(0xffff_fffa);
    /// All ports but the ingress and those with flooding off.
    pub const FLOOD: OfPort = OfPort(0xffff_fffb);
    /// All ports but the ingress.
    pub const ALL: OfPort = OfPort(0xffff_fffc);
    /// The controllers.
    pub const CONTROLLER: OfPort = OfPort(0xffff_fffd);
    /// The bridge's own port.
    pub const LOCAL: OfPort = OfPort(0xffff_fffe);
    /// No port, or any.
    pub const NONE: OfPort = OfPort(0xffff_ffff);

    /// Whether this names a place rather than a physical or virtual port (LOCAL is reserved too).
    pub const fn is_reserved(self) -> bool {
        self.0 >= Self::MAX.0
    }

    /// From OpenFlow 1.0's 16 bits.
    pub const fn from_u16(port: u16) -> OfPort {
        if port >= 0xff00 { OfPort(port as u32 + OFFSET) } else { OfPort(port as u32) }
    }

    /// In OpenFlow 1.0's 16 bits.
    pub const fn to_u16(self) -> u16 {
        self.0 as u16
    }

    /// From the 32 bits of OpenFlow 1.1 and later: a number between the two ranges is `OFPBAC_BAD_OUT_PORT`.
    pub const fn from_u32(port: u32) -> Result<OfPort, OfError> {
        if port < 0xff00 || port >= Self::MAX.0 {
            Ok(OfPort(port))
        } else {
            Err(OfError::OFPBAC_BAD_OUT_PORT)
        }
    }

    /// This port, unless it is a number in the reserved range that nothing can be output to: `OFPBAC_BAD_OUT_PORT`.
    pub const fn to_output(self) -> Result<OfPort, OfError> {
        let known = self.0 >= Self::IN_PORT.0 && self.0 <= Self::LOCAL.0;
        if self.is_reserved() && !known { Err(OfError::OFPBAC_BAD_OUT_PORT) } else { Ok(self) }
    }

    /// The reserved name as it is printed, if it has one.
    pub const fn reserved_name(self) -> Option<&'static str> {
        Some(match self {
            OfPort::UNSET => "UNSET",
            OfPort::IN_PORT => "IN_PORT",
            OfPort::TABLE => "TABLE",
            OfPort::NORMAL => "NORMAL",
            OfPort::FLOOD => "FLOOD",
            OfPort::ALL => "ALL",
            OfPort::CONTROLLER => "CONTROLLER",
            OfPort::LOCAL => "LOCAL",
            OfPort::NONE => "ANY",
            _ => return None,
        })
    }
}

impl fmt::Display for OfPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.to_u16()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_numbers_are_raised() {
        assert_eq!(OfPort::from_u16(0xfffe), OfPort::LOCAL);
        assert_eq!(OfPort::LOCAL.to_u16(), 0xfffe);
        assert_eq!(OfPort::from_u16(5), OfPort(5));
        assert_eq!(OfPort::from_u32(0xff00), Err(OfError::OFPBAC_BAD_OUT_PORT));
        assert_eq!(OfPort::from_u32(0xffff_fffb), Ok(OfPort::FLOOD));
    }
}
