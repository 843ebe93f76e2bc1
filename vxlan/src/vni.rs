//! VXLAN network identifiers.

use std::fmt;

/// A VXLAN network identifier: 24 bits (RFC 7348, 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct Vni(u32);

impl Vni {
    /// The largest.
    pub const MAX: Self = Self(0xff_ffff);

    /// From a number; `None` when it needs more than 24 bits.
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// From its bytes in a header.
    pub const fn from_bytes(bytes: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// As a number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As bytes in a header.
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// As an OpenFlow tunnel id.
    pub const fn tun_id(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_four_bits() {
        assert_eq!(Vni::new(0x0100_0000), None);
        assert_eq!(Vni::new(0xff_ffff), Some(Vni::MAX));
        assert_eq!(Vni::from_bytes([1, 2, 3]).get(), 0x01_0203);
        assert_eq!(Vni::from_bytes([1, 2, 3]).to_bytes(), [1, 2, 3]);
        assert_eq!(Vni::new(7).unwrap().to_string(), "7");
    }
}
