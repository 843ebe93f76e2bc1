//! What the configuration asks for and this switch does not do yet: said once, by name, so that nobody waits for it in vain.

use ovsdb::openvswitch::{Bridge, Interface, Port};

use super::spec::Complaint;

/// Columns of a bridge that have no effect.
pub(super) fn of_bridge(row: &Bridge) -> Vec<Complaint> {
    let set = [
        ("stp_enable", row.stp_enable, "the spanning tree protocol"),
        ("rstp_enable", row.rstp_enable, "the rapid spanning tree protocol"),
        ("mcast_snooping_enable", row.mcast_snooping_enable, "multicast snooping"),
        ("mirrors", !row.mirrors.is_empty(), "mirroring"),
        ("netflow", row.netflow.is_some(), "NetFlow"),
        ("sflow", row.sflow.is_some(), "sFlow"),
        ("ipfix", row.ipfix.is_some(), "IPFIX"),
        ("auto_attach", row.auto_attach.is_some(), "auto-attach"),
    ];
    complaints("bridge", &row.name, &set)
}

/// Columns of a port that have no effect.
pub(super) fn of_port(row: &Port) -> Vec<Complaint> {
    let lacp = row.lacp.as_deref().is_some_and(|lacp| lacp != "off");
    let set = [
        ("interfaces", row.interfaces.len() > 1, "bonding"),
        ("lacp", lacp, "LACP"),
        ("qos", row.qos.is_some(), "quality of service"),
    ];
    complaints("port", &row.name, &set)
}

/// Columns of an interface that have no effect.
pub(super) fn of_interface(row: &Interface) -> Vec<Complaint> {
    let enabled = |settings: &super::desired::Settings| {
        settings.get("enable").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    let set = [
        ("bfd", enabled(&row.bfd), "BFD"),
        ("lldp", enabled(&row.lldp), "LLDP"),
        ("cfm_mpid", row.cfm_mpid.is_some(), "connectivity fault management"),
        ("ingress_policing_rate", row.ingress_policing_rate > 0, "policing"),
        ("ingress_policing_kpkts_rate", row.ingress_policing_kpkts_rate > 0, "policing"),
    ];
    complaints("interface", &row.name, &set)
}

fn complaints(kind: &str, name: &str, columns: &[(&str, bool, &str)]) -> Vec<Complaint> {
    let set = columns.iter().filter(|(_, is_set, _)| *is_set);
    set.map(|(column, _, what)| {
        Complaint::Warn(format!("{kind} {name}: {column} has no effect: {what} is not supported yet"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::value::Uuid;

    #[test]
    fn what_is_set_is_named() {
        let name = || "br0".to_owned();
        assert!(of_bridge(&Bridge { name: name(), ..Bridge::default() }).is_empty());
        let bridge = Bridge {
            name: name(),
            stp_enable: true,
            sflow: Some(Uuid::from_bytes([1; 16])),
            ..Bridge::default()
        };
        let lines = of_bridge(&bridge);
        let [Complaint::Warn(first), Complaint::Warn(second)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(
            first,
            "bridge br0: stp_enable has no effect: the spanning tree protocol is not supported yet"
        );
        assert!(second.starts_with("bridge br0: sflow "), "{second}");
        let off = Port { lacp: Some("off".into()), ..Port::default() };
        assert!(of_port(&off).is_empty() && of_interface(&Interface::default()).is_empty());
        assert_eq!(
            of_port(&Port { lacp: Some("active".into()), qos: Some(Uuid::from_bytes([1; 16])), ..off }).len(),
            2
        );
        let bfd = [("enable".to_owned(), "true".to_owned())].into();
        assert_eq!(of_interface(&Interface { bfd, ..Interface::default() }).len(), 1);
    }
}
