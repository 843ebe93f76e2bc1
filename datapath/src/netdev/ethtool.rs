//! What only the ethtool ioctl tells: speed, duplex, features, driver (`linux/ethtool.h`).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::netlink::message::{text, u16_at, u32_at};

use super::requests::check_name;

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GSET: u32 = 1;
const ETHTOOL_GDRVINFO: u32 = 3;
const GSET_LEN: usize = 44;
const GDRVINFO_LEN: usize = 196;
const SPEED_UNKNOWN: u32 = u32::MAX;

bitflags::bitflags! {
    /// Speeds, media and abilities of a link: the bits of OpenFlow 1.1 and later (`ofp_port_features`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Features: u32 {
        /// 10 Mbit/s, half duplex.
        const HD_10MB = 1;
        /// 10 Mbit/s, full duplex.
        const FD_10MB = 1 << 1;
        /// 100 Mbit/s, half duplex.
        const HD_100MB = 1 << 2;
        /// 100 Mbit/s, full duplex.
        const FD_100MB = 1 << 3;
        /// 1 Gbit/s, half duplex.
        const HD_1GB = 1 << 4;
        /// 1 Gbit/s, full duplex.
        const FD_1GB = 1 << 5;
        /// 10 Gbit/s.
        const FD_10GB = 1 << 6;
        /// 40 Gbit/s.
        const FD_40GB = 1 << 7;
        /// 100 Gbit/s.
        const FD_100GB = 1 << 8;
        /// 1 Tbit/s.
        const FD_1TB = 1 << 9;
        /// Another speed.
        const OTHER = 1 << 10;
        /// Copper.
        const COPPER = 1 << 11;
        /// Fibre.
        const FIBER = 1 << 12;
        /// Auto-negotiation.
        const AUTONEG = 1 << 13;
        /// Pause frames.
        const PAUSE = 1 << 14;
        /// Pause frames one way.
        const PAUSE_ASYM = 1 << 15;
    }
}

/// Speed, duplex and features of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Speed in Mbit/s, when it is known.
    pub speed_mbps: Option<u32>,
    /// Whether it sends and receives at once, when it is known.
    pub full_duplex: Option<bool>,
    /// What it does now.
    pub current: Features,
    /// What it tells its peer that it can.
    pub advertised: Features,
    /// What it can.
    pub supported: Features,
    /// What its peer told that it can.
    pub peer: Features,
}

/// Name and versions of a driver.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Driver {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the firmware.
    pub firmware: String,
}

/// A socket for the ioctl; it belongs to the namespace it was opened in.
#[derive(Debug)]
pub(super) struct Ethtool(OwnedFd);

impl Ethtool {
    pub(super) fn open() -> io::Result<Self> {
        // SAFETY: plain system call.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn settings(&self, name: &str) -> io::Result<Settings> {
        Ok(read_settings(&self.ask::<GSET_LEN>(name, ETHTOOL_GSET)?))
    }

    pub(super) fn driver(&self, name: &str) -> io::Result<Driver> {
        let info = self.ask::<GDRVINFO_LEN>(name, ETHTOOL_GDRVINFO)?;
        Ok(Driver { name: text(&info[4..36]), version: text(&info[36..68]), firmware: text(&info[68..100]) })
    }

    fn ask<const LEN: usize>(&self, name: &str, command: u32) -> io::Result<[u8; LEN]> {
        check_name(name)?;
        let mut data = [0; LEN];
        data[..4].copy_from_slice(&command.to_ne_bytes());
        // SAFETY: all zeros is a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = data.as_mut_ptr().cast();
        // SAFETY: the request holds a terminated name and points to as much memory as the command writes.
        if unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCETHTOOL, &raw mut request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(data)
    }
}

/// Reads `struct ethtool_cmd`.
fn read_settings(cmd: &[u8; GSET_LEN]) -> Settings {
    let word = |at: usize| u32_at(cmd, at).unwrap_or(0);
    let half = |at: usize| u32::from(u16_at(cmd, at).unwrap_or(0));
    let speed = half(28) << 16 | half(12);
    // 0xffff stood for "unknown" before the upper half existed.
    let speed_mbps = (speed != 0 && speed != SPEED_UNKNOWN && speed != 0xffff).then_some(speed);
    let full_duplex = match cmd[14] {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    let medium = match cmd[15] {
        0 => Features::COPPER,
        3 => Features::FIBER,
        _ => Features::empty(),
    };
    let autoneg = if cmd[18] != 0 { Features::AUTONEG } else { Features::empty() };
    Settings {
        speed_mbps,
        full_duplex,
        current: speed_feature(speed, full_duplex != Some(false)) | medium | autoneg,
        supported: link_modes(word(4)),
        advertised: link_modes(word(8)),
        peer: link_modes(word(32)),
    }
}

fn speed_feature(speed: u32, full: bool) -> Features {
    match (speed, full) {
        (10, true) => Features::FD_10MB,
        (10, false) => Features::HD_10MB,
        (100, true) => Features::FD_100MB,
        (100, false) => Features::HD_100MB,
        (1000, true) => Features::FD_1GB,
        (1000, false) => Features::HD_1GB,
        (10_000, _) => Features::FD_10GB,
        (40_000, _) => Features::FD_40GB,
        (100_000, _) => Features::FD_100GB,
        (1_000_000, _) => Features::FD_1TB,
        _ => Features::empty(),
    }
}

/// `SUPPORTED_*` bits of ethtool, and the features they stand for.
const LINK_MODES: [(u32, Features); 12] = [
    (0, Features::HD_10MB),
    (1, Features::FD_10MB),
    (2, Features::HD_100MB),
    (3, Features::FD_100MB),
    (4, Features::HD_1GB),
    (5, Features::FD_1GB),
    (6, Features::AUTONEG),
    (7, Features::COPPER),
    (10, Features::FIBER),
    (12, Features::FD_10GB),
    (13, Features::PAUSE),
    (14, Features::PAUSE_ASYM),
];

fn link_modes(bits: u32) -> Features {
    LINK_MODES.iter().filter(|(bit, _)| bits >> bit & 1 != 0).map(|(_, feature)| *feature).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethtool_settings_are_read() {
        let mut cmd = [0; GSET_LEN];
        cmd[4..8].copy_from_slice(&0x10c0u32.to_ne_bytes());
        cmd[12..14].copy_from_slice(&10_000u16.to_ne_bytes());
        cmd[14] = 1;
        let settings = read_settings(&cmd);
        assert_eq!(settings.speed_mbps, Some(10_000));
        assert_eq!(settings.current, Features::FD_10GB | Features::COPPER);
        assert_eq!(settings.supported, Features::FD_10GB | Features::COPPER | Features::AUTONEG);
        cmd[12..14].fill(0xff);
        cmd[28..30].fill(0xff);
        cmd[14] = 0xff;
        let unknown = read_settings(&cmd);
        assert_eq!((unknown.speed_mbps, unknown.full_duplex), (None, None));
    }
}
