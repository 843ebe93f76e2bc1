//! Who a bridge is: the MAC address of its local port, and its datapath id.

use super::spec::{BridgeSpec, Mac};

/// The MAC address of a bridge: the one that is configured, else the lowest that a member device was made with, else the one
/// that the local port has had from the start.
///
/// `members` are the devices of the bridge but for the local port. Made-up addresses (taps, veths) do not count: they
/// change with every start.
pub(super) fn bridge_mac(spec: &BridgeSpec, members: impl IntoIterator<Item = Mac>, own: Mac) -> Mac {
    let made = members.into_iter().filter(|mac| !mac.is_multicast() && !mac.is_local() && !mac.is_zero());
    spec.hwaddr.or_else(|| made.min()).unwrap_or(own)
}

/// The datapath id of a bridge: the one that is configured, else its MAC address.
pub(super) fn datapath_id(spec: &BridgeSpec, mac: Mac) -> u64 {
    spec.datapath_id.unwrap_or_else(|| mac.to_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(text: &str) -> Mac {
        Mac::parse(text).unwrap()
    }

    #[test]
    fn the_lowest_address_that_a_device_was_made_with_wins() {
        let settings = BridgeSpec::default();
        let own = mac("9e:20:eb:99:60:4f");
        let members =
            ["00:11:22:33:44:55", "00:11:22:33:44:44", "02:00:00:00:00:01", "00:00:00:00:00:00"].map(mac);
        assert_eq!(bridge_mac(&settings, members, own), mac("00:11:22:33:44:44"));
        assert_eq!(bridge_mac(&settings, [mac("02:00:00:00:00:01")], own), own);
        let set = BridgeSpec { hwaddr: Some(mac("02:11:22:33:44:55")), ..settings };
        assert_eq!(bridge_mac(&set, members, own), mac("02:11:22:33:44:55"));
    }

    #[test]
    fn the_datapath_id_follows_the_mac_unless_said() {
        let settings = BridgeSpec::default();
        assert_eq!(datapath_id(&settings, mac("00:11:22:33:44:55")), 0x0011_2233_4455);
        let set = BridgeSpec { datapath_id: Some(0x1234), ..settings };
        assert_eq!(datapath_id(&set, mac("00:11:22:33:44:55")), 0x1234);
    }
}
