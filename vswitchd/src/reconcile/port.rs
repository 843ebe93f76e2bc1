//! VLAN settings of a port.

use std::collections::BTreeSet;

use ofproto::config::{PortConfig, PriorityTags, VlanMode};
use ovsdb::openvswitch::Port;

use super::spec::Complaint;

/// Reads a port, all but its interfaces.
pub(super) fn port(row: &Port) -> PortConfig {
    let tag = row.tag.and_then(|tag| u16::try_from(tag).ok()).filter(|&tag| tag <= 4095);
    let vlan_mode = vlan_mode(row, tag);
    let mut trunks = vlans(&row.trunks);
    if matches!(vlan_mode, VlanMode::NativeTagged | VlanMode::NativeUntagged) && !trunks.is_empty() {
        trunks.insert(tag.unwrap_or(0));
    }
    PortConfig {
        name: row.name.clone(),
        members: Vec::new(),
        vlan_mode,
        tag: if vlan_mode == VlanMode::Trunk { 0 } else { tag.unwrap_or(0) },
        trunks: if vlan_mode == VlanMode::Access { BTreeSet::new() } else { trunks },
        cvlans: vlans(&row.cvlans),
        qinq_ethtype: match row.other_config.get("qinq-ethtype").map(String::as_str) {
            Some("802.1q") => 0x8100,
            _ => 0x88a8,
        },
        priority_tags: match row.other_config.get("priority-tags").map(String::as_str) {
            Some("always") => PriorityTags::Always,
            Some("if-nonzero" | "true") => PriorityTags::IfNonzero,
            _ => PriorityTags::Never,
        },
        protected: row.protected,
    }
}

fn vlan_mode(row: &Port, tag: Option<u16>) -> VlanMode {
    match row.vlan_mode.as_deref() {
        Some("access") => VlanMode::Access,
        Some("native-tagged") => VlanMode::NativeTagged,
        Some("native-untagged") => VlanMode::NativeUntagged,
        Some("dot1q-tunnel") => VlanMode::Dot1qTunnel,
        Some(_) => VlanMode::Trunk,
        None if tag.is_some() => VlanMode::Access,
        None => VlanMode::Trunk,
    }
}

/// What in a port's VLAN settings contradicts itself.
pub(super) fn vlan_complaints(row: &Port) -> Option<Complaint> {
    let known = ["access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel"];
    match row.vlan_mode.as_deref() {
        None if row.tag.is_some() && !(row.trunks.is_empty() && row.cvlans.is_empty()) => {
            Some(Complaint::Warn(format!("port {}: ignoring trunks in favor of implicit vlan", row.name)))
        }
        Some(mode) if !known.contains(&mode) => {
            let text = format!("port {}: unknown VLAN mode {mode}, falling back to trunk mode", row.name);
            Some(Complaint::Error(text))
        }
        _ => None,
    }
}

fn vlans(numbers: &[i64]) -> BTreeSet<u16> {
    numbers.iter().filter_map(|&vlan| u16::try_from(vlan).ok()).filter(|&vlan| vlan <= 4095).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tag: Option<i64>, trunks: &[i64], mode: Option<&str>) -> Port {
        Port {
            name: "p0".into(),
            tag,
            trunks: trunks.to_vec(),
            vlan_mode: mode.map(str::to_owned),
            ..Port::default()
        }
    }

    fn read(tag: Option<i64>, trunks: &[i64], mode: Option<&str>) -> (VlanMode, u16, Vec<u16>) {
        let spec = port(&row(tag, trunks, mode));
        (spec.vlan_mode, spec.tag, spec.trunks.into_iter().collect())
    }

    #[test]
    fn the_mode_follows_from_the_tag_unless_said() {
        assert_eq!(read(None, &[], None), (VlanMode::Trunk, 0, vec![]));
        assert_eq!(read(Some(5), &[], None), (VlanMode::Access, 5, vec![]));
        assert_eq!(read(Some(5), &[1, 2], None), (VlanMode::Access, 5, vec![]));
        assert_eq!(read(Some(5), &[1, 2], Some("trunk")), (VlanMode::Trunk, 0, vec![1, 2]));
        assert_eq!(read(None, &[], Some("access")), (VlanMode::Access, 0, vec![]));
    }

    #[test]
    fn a_native_vlan_is_among_the_trunks() {
        assert_eq!(read(Some(1), &[2, 3], Some("native-tagged")), (VlanMode::NativeTagged, 1, vec![1, 2, 3]));
        assert_eq!(read(Some(1), &[], Some("native-untagged")), (VlanMode::NativeUntagged, 1, vec![]));
    }

    #[test]
    fn contradictions_are_complained_about() {
        let text = |row: &Port| match vlan_complaints(row) {
            Some(Complaint::Warn(text) | Complaint::Error(text)) => text,
            _ => String::new(),
        };
        assert_eq!(text(&row(Some(5), &[3], None)), "port p0: ignoring trunks in favor of implicit vlan");
        assert!(text(&row(None, &[], Some("odd"))).contains("unknown VLAN mode odd"));
        assert_eq!(vlan_complaints(&row(Some(5), &[3], Some("trunk"))), None);
    }
}
