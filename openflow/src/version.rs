//! Protocol versions, sets of them, and their negotiation by Hello messages (OpenFlow 1.5.1 clause 6.3.1).

use std::fmt;

/// A version of OpenFlow, ordered from old to new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Version {
    /// OpenFlow 1.0.
    V10 = 1,
    /// OpenFlow 1.1.
    V11 = 2,
    /// OpenFlow 1.2.
    V12 = 3,
    /// OpenFlow 1.3.
    V13 = 4,
    /// OpenFlow 1.4.
    V14 = 5,
    /// OpenFlow 1.5.
    V15 = 6,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Version; 6] =
        [Version::V10, Version::V11, Version::V12, Version::V13, Version::V14, Version::V15];

    /// The number in a message's first byte.
    pub const fn wire(self) -> u8 {
        self as u8
    }

    /// The version that a message's first byte names.
    pub const fn from_wire(wire: u8) -> Option<Version> {
        match wire {
            1 => Some(Version::V10),
            2 => Some(Version::V11),
            3 => Some(Version::V12),
            4 => Some(Version::V13),
            5 => Some(Version::V14),
            6 => Some(Version::V15),
            _ => None,
        }
    }

    /// The name that the database and the command line use, such as `OpenFlow13`.
    pub const fn name(self) -> &'static str {
        match self {
            Version::V10 => "OpenFlow10",
            Version::V11 => "OpenFlow11",
            Version::V12 => "OpenFlow12",
            Version::V13 => "OpenFlow13",
            Version::V14 => "OpenFlow14",
            Version::V15 => "OpenFlow15",
        }
    }

    /// The version of that name, in either case.
    pub fn from_name(name: &str) -> Option<Version> {
        Version::ALL.into_iter().find(|v| v.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of versions: bit N stands for the version whose wire number is N, as in a Hello's bitmap.
///
/// Bits of versions that we do not know are kept, so that a peer's bitmap can be shown as it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Versions(pub u32);

impl Versions {
    /// All versions that this crate speaks.
    pub const ALL: Versions = Versions(0x7e);

    /// The set that holds one version.
    pub const fn only(version: Version) -> Versions {
        Versions(1 << version.wire())
    }

    /// What a Hello without a bitmap says: every version up to the one in its header.
    pub const fn up_to(wire: u8) -> Versions {
        let high = if wire >= 31 { u32::MAX } else { (1 << (wire + 1)) - 1 };
        Versions(high & !1)
    }

    /// Whether `version` is in the set.
    pub const fn contains(self, version: Version) -> bool {
        self.0 & (1 << version.wire()) != 0
    }

    /// The set with `version` in it.
    #[must_use]
    pub const fn with(self, version: Version) -> Versions {
        Versions(self.0 | 1 << version.wire())
    }

    /// What both sets hold.
    #[must_use]
    pub const fn and(self, other: Versions) -> Versions {
        Versions(self.0 & other.0)
    }

    /// The newest version of the set that this crate speaks.
    pub fn highest(self) -> Option<Version> {
        Version::ALL.into_iter().rev().find(|&v| self.contains(v))
    }

    /// The versions of the set that this crate speaks, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Version> {
        Version::ALL.into_iter().filter(move |&v| self.contains(v))
    }

    /// The version that both sides speak after exchanging these sets: the newest common one.
    pub fn negotiate(self, peer: Versions) -> Option<Version> {
        self.and(peer).highest()
    }
}

impl FromIterator<Version> for Versions {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Versions {
        versions.into_iter().fold(Versions::default(), Versions::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_common_version_wins() {
        let ours: Versions = [Version::V10, Version::V13].into_iter().collect();
        assert_eq!(ours.negotiate(Versions::ALL), Some(Version::V13));
        assert_eq!(ours.negotiate(Versions::up_to(3)), Some(Version::V10));
        assert_eq!(ours.negotiate(Versions::only(Version::V14)), None);
        assert_eq!(Versions::ALL.negotiate(Versions::up_to(200)), Some(Version::V15));
    }

    #[test]
    fn names_go_both_ways() {
        for version in Version::ALL {
            assert_eq!(Version::from_name(version.name()), Some(version));
            assert_eq!(Version::from_wire(version.wire()), Some(version));
        }
        assert_eq!(Version::from_name("openflow14"), Some(Version::V14));
        assert_eq!(Version::from_wire(7), None);
    }
}
