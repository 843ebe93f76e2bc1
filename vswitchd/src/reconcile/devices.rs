//! What is known of the devices behind interfaces, in the terms of the database and of OpenFlow.

use std::collections::BTreeMap;

use datapath::netdev::{Features, Netdevs};
use ofproto::port::LinkState;

use super::spec::Mac;

/// What is written of an interface besides its number and error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceStatus {
    /// Whether it is administratively up.
    pub admin_up: bool,
    /// Whether it has a carrier.
    pub link_up: bool,
    /// How often that changed.
    pub link_resets: u64,
    /// Speed in bit/s, when known.
    pub speed_bps: Option<u64>,
    /// Whether it sends and receives at once, when known.
    pub full_duplex: Option<bool>,
    /// MTU in bytes; none for what is no device.
    pub mtu: Option<u32>,
    /// MAC address.
    pub mac: Mac,
    /// The kernel's number; 0 for what is no device.
    pub ifindex: u32,
    /// Driver and the like.
    pub status: BTreeMap<String, String>,
}

impl DeviceStatus {
    /// Asks about a device; `None` when there is none.
    pub fn of(netdevs: &mut Netdevs, name: &str) -> Option<Self> {
        let device = netdevs.get(name)?.clone();
        let settings = netdevs.settings(name).ok();
        let driver = netdevs.driver(name).ok();
        let status = driver.map(|driver| {
            [
                ("driver_name", driver.name),
                ("driver_version", driver.version),
                ("firmware_version", driver.firmware),
            ]
        });
        Some(Self {
            admin_up: device.link.up,
            link_up: device.link.running,
            link_resets: device.resets,
            speed_bps: settings
                .and_then(|settings| settings.speed_mbps)
                .map(|mbps| u64::from(mbps) * 1_000_000),
            full_duplex: settings.and_then(|settings| settings.full_duplex),
            mtu: Some(device.link.mtu),
            mac: Mac(device.link.mac),
            ifindex: device.link.index,
            status: status.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect(),
        })
    }

    /// Of something that exists in the switch alone, under a MAC address of its own.
    pub fn virtual_port(mac: Mac) -> Self {
        Self { admin_up: true, link_up: true, mac, ..Self::default() }
    }
}

/// A device's state as OpenFlow tells it.
pub fn link_state(netdevs: &mut Netdevs, name: &str) -> LinkState {
    let Some(device) = netdevs.get(name) else {
        return LinkState { link_down: true, admin_down: true, ..LinkState::default() };
    };
    let (link_down, admin_down) = (!device.link.running, !device.link.up);
    let Ok(settings) = netdevs.settings(name) else {
        return LinkState { link_down, admin_down, ..LinkState::default() };
    };
    let kbps = settings.speed_mbps.map_or(0, |mbps| mbps.saturating_mul(1000));
    LinkState {
        link_down,
        admin_down,
        current: settings.current.bits(),
        advertised: settings.advertised.bits(),
        supported: settings.supported.bits(),
        peer: settings.peer.bits(),
        current_kbps: kbps,
        max_kbps: max_kbps(settings.supported),
    }
}

/// The highest speed among some features, 0 for none.
fn max_kbps(features: Features) -> u32 {
    let speeds = [
        (Features::FD_1TB, 1_000_000_000),
        (Features::FD_100GB, 100_000_000),
        (Features::FD_40GB, 40_000_000),
        (Features::FD_10GB, 10_000_000),
        (Features::FD_1GB | Features::HD_1GB, 1_000_000),
        (Features::FD_100MB | Features::HD_100MB, 100_000),
        (Features::FD_10MB | Features::HD_10MB, 10_000),
    ];
    speeds.into_iter().find(|(feature, _)| features.intersects(*feature)).map_or(0, |(_, kbps)| kbps)
}

/// The MAC address of a port that has no device: made up from its place, so that it stays the same.
pub fn made_up_mac(bridge: &str, name: &str) -> Mac {
    // FNV-1a: any hash does that is the same tomorrow.
    let bytes = bridge.bytes().chain([0]).chain(name.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, e, f, ..] = hash.to_le_bytes();
    Mac([a & 0xfc | 2, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_addresses_are_local_stable_and_distinct() {
        let mac = made_up_mac("br0", "patch1");
        assert!(mac.is_local() && !mac.is_multicast());
        assert_eq!(mac, made_up_mac("br0", "patch1"));
        assert_ne!(mac, made_up_mac("br0", "patch2"));
        assert_ne!(made_up_mac("a", "bc"), made_up_mac("ab", "c"));
    }

    #[test]
    fn the_highest_speed_counts() {
        assert_eq!(max_kbps(Features::FD_10GB | Features::FD_1GB), 10_000_000);
        assert_eq!(max_kbps(Features::empty()), 0);
    }
}
