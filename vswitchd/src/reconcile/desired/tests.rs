//! Small databases, made by hand.

use super::*;
use openflow::Versions;
use ovsdb::openvswitch::{OpenVswitch, Port, Ssl};

/// A database under construction; rows are named in the order in which they are made.
#[derive(Default)]
struct Build {
    database: Database,
    made: u8,
}

impl Build {
    fn new(other_config: &[(&str, &str)]) -> Self {
        let root = OpenVswitch { other_config: settings(other_config), ..OpenVswitch::default() };
        Self { database: Database { root: Some(root), ..Database::default() }, made: 0 }
    }

    fn uuid(&mut self) -> Uuid {
        self.made += 1;
        Uuid::from_bytes([self.made; 16])
    }

    fn bridge(&mut self, bridge: Bridge) -> Uuid {
        let uuid = self.uuid();
        self.database.bridges.insert(uuid, Bridge { uuid, ..bridge });
        self.database.root.as_mut().unwrap().bridges.push(uuid);
        uuid
    }

    /// A bridge with its local port.
    fn plain(&mut self, name: &str) -> Uuid {
        let bridge = self.bridge(Bridge { name: name.into(), ..Bridge::default() });
        self.port(bridge, Interface { name: name.into(), kind: "internal".into(), ..Interface::default() });
        bridge
    }

    fn port(&mut self, bridge: Uuid, interface: Interface) -> (Uuid, Uuid) {
        let (port, uuid) = (self.uuid(), self.uuid());
        let row =
            Port { uuid: port, name: interface.name.clone(), interfaces: vec![uuid], ..Port::default() };
        self.database.interfaces.insert(uuid, Interface { uuid, ..interface });
        self.database.ports.insert(port, row);
        self.database.bridges.get_mut(&bridge).unwrap().ports.push(port);
        (port, uuid)
    }
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn interface(name: &str, kind: &str, options: &[(&str, &str)]) -> Interface {
    Interface { name: name.into(), kind: kind.into(), options: settings(options), ..Interface::default() }
}

fn error_of(kind: &str, options: &[(&str, &str)]) -> String {
    let mut build = Build::new(&[]);
    let bridge = build.plain("br0");
    let (_, uuid) = build.port(bridge, interface("x0", kind, options));
    let desired = desired(&build.database);
    assert!(desired.bridges["br0"].interfaces.contains_key("br0"), "all else stands");
    desired.refused[&uuid].error.clone()
}

#[test]
fn a_database_without_a_root_wants_nothing() {
    assert_eq!(desired(&Database::default()), Desired::default());
}

#[test]
fn interfaces_of_every_kind() {
    let mut build = Build::new(&[]);
    let bridge = build.plain("br0");
    build.port(bridge, interface("p0", "", &[]));
    build.port(bridge, interface("p1", "patch", &[("peer", "p2")]));
    build.port(bridge, interface("r0", "replay", &[("pcap", "/a.pcap"), ("loop", "true"), ("rate", "7")]));
    let desired = desired(&build.database);
    let interfaces = &desired.bridges["br0"].interfaces;
    assert_eq!(interfaces["br0"].kind, InterfaceKind::Local);
    assert_eq!(interfaces["p0"].kind, InterfaceKind::System);
    assert_eq!(interfaces["p1"].kind, InterfaceKind::Patch { peer: "p2".into() });
    let replay = ReplayOptions { pcap: "/a.pcap".into(), looped: true, rate: Some(7), count: None };
    assert_eq!(interfaces["r0"].kind, InterfaceKind::Replay(replay));
    assert_eq!(desired.refused, BTreeMap::new());
}

#[test]
fn what_cannot_be_says_why_in_the_known_words() {
    let unknown = "could not open network device x0 (Address family not supported by protocol)";
    assert_eq!(error_of("nonesuch", &[]), unknown);
    assert_eq!(error_of("patch", &[]), "x0: patch type requires valid 'peer' argument");
    assert_eq!(error_of("patch", &[("peer", "x0")]), "x0: patch peer must not be self");
    assert_eq!(error_of("replay", &[]), "x0: replay type requires valid 'pcap' argument");
    assert_eq!(
        error_of("replay", &[("pcap", "a"), ("rate", "fast")]),
        "x0: replay type: 'rate' must be a number"
    );
}

#[test]
fn a_port_in_two_bridges_is_in_neither() {
    let mut build = Build::new(&[]);
    let (first, second) = (build.plain("br0"), build.plain("br1"));
    let (port, uuid) = build.port(first, interface("p0", "", &[]));
    build.database.bridges.get_mut(&second).unwrap().ports.push(port);
    let desired = desired(&build.database);
    assert_eq!(desired.refused[&uuid].error, "p0: port is in more than one bridge (br0, br1)");
    assert!(desired.bridges.values().all(|bridge| bridge.interfaces.len() == 1));
}

#[test]
fn an_interface_in_two_ports_of_a_bridge_stays_in_the_first() {
    let mut build = Build::new(&[]);
    let bridge = build.plain("br0");
    let (_, uuid) = build.port(bridge, interface("p0", "", &[]));
    let (other, _) = build.port(bridge, interface("other", "", &[]));
    build.database.ports.get_mut(&other).unwrap().interfaces = vec![uuid];
    let desired = desired(&build.database);
    let ports = &desired.bridges["br0"].ports;
    assert_eq!(
        (ports["other"].members.as_slice(), ports["p0"].members.len()),
        (["p0".to_owned()].as_slice(), 0)
    );
    assert_eq!(desired.complaints.len(), 1);
}

#[test]
fn bridges_of_unknown_type_or_name_are_left_out() {
    let mut build = Build::new(&[]);
    build.bridge(Bridge { name: "br/0".into(), ..Bridge::default() });
    build.bridge(Bridge { name: "br1".into(), datapath_type: "odd".into(), ..Bridge::default() });
    build.bridge(Bridge { name: "br2".into(), datapath_type: "netdev".into(), ..Bridge::default() });
    build.plain("br3");
    let desired = desired(&build.database);
    assert_eq!(desired.bridges.keys().collect::<Vec<_>>(), ["br2", "br3"]);
    assert_eq!(desired.bridges["br2"].datapath_type, DatapathType::Netdev);
    assert_eq!(desired.complaints.len(), 2);
    assert!(
        desired.complaints.contains(&Complaint::Warn("ignoring bridge with invalid name \"br/0\"".into()))
    );
}

#[test]
fn settings_of_a_bridge_are_kept_in_bounds() {
    let mut build = Build::new(&[]);
    let config = [
        ("mac-aging-time", "5"),
        ("mac-table-size", "5"),
        ("hwaddr", "01:00:00:00:00:01"),
        ("datapath-id", "0x1234"),
        ("forward-bpdu", "true"),
    ];
    build.bridge(Bridge {
        name: "br0".into(),
        fail_mode: Some("secure".into()),
        protocols: vec!["OpenFlow10".into(), "OpenFlow13".into(), "OpenFlow99".into()],
        other_config: settings(&config),
        ..Bridge::default()
    });
    let desired = desired(&build.database);
    let spec = &desired.bridges["br0"];
    assert_eq!((spec.config.mac_aging_s, spec.config.mac_table_size), (15, 10));
    assert_eq!((spec.hwaddr, spec.datapath_id), (None, Some(0x1234)));
    assert_eq!((spec.config.fail_mode, spec.conn.protocols), (FailMode::Secure, Versions(1 << 1 | 1 << 4)));
    assert!(spec.config.forward_bpdu);
    let multicast = "bridge br0: cannot set MAC address to multicast address 01:00:00:00:00:01";
    assert!(desired.complaints.contains(&Complaint::Error(multicast.into())));
}

#[test]
fn datapath_ids_as_they_are_accepted() {
    assert_eq!(datapath_id("0000000000001234"), Some(0x1234));
    assert_eq!(datapath_id("0x1"), Some(1));
    for bad in ["1234", "xyz", "0000000000000000", "0x", "0x0", "000000000000123g"] {
        assert_eq!(datapath_id(bad), None, "{bad}");
    }
}

#[test]
fn a_mac_is_for_other_ports_than_the_local_one() {
    let mut build = Build::new(&[]);
    let bridge = build.plain("br0");
    let mac = |text: &str| Some(text.to_owned());
    build.database.interfaces.values_mut().next().unwrap().mac = mac("02:00:00:00:00:01");
    build.port(bridge, Interface { mac: mac("01:00:00:00:00:01"), ..interface("i0", "internal", &[]) });
    build.port(bridge, Interface { mac: mac("02:00:00:00:00:02"), ..interface("i1", "internal", &[]) });
    let desired = desired(&build.database);
    let interfaces = &desired.bridges["br0"].interfaces;
    assert_eq!((interfaces["br0"].mac, interfaces["i0"].mac), (None, None));
    assert_eq!(interfaces["i1"].mac, Mac::parse("02:00:00:00:00:02"));
    let texts = [
        "interface br0: ignoring mac in Interface record (use Bridge record to set local port's mac)",
        "interface i0: cannot set MAC to multicast address",
    ];
    assert!(texts.iter().all(|text| desired.complaints.contains(&Complaint::Error((*text).into()))));
}

#[test]
fn settings_of_the_switch() {
    let config = [
        ("vlan-limit", "0"),
        ("pmd-cpu-mask", "0x12"),
        ("max-idle", "100"),
        ("stats-update-interval", "60000"),
        ("flow-restore-wait", "true"),
        ("n-workers", "2"),
    ];
    let mut build = Build::new(&config);
    let uuid = build.uuid();
    build.database.root.as_mut().unwrap().ssl = Some(uuid);
    build
        .database
        .ssl
        .insert(uuid, Ssl { private_key: "/k".into(), bootstrap_ca_cert: true, ..Ssl::default() });
    let global = desired(&build.database).global;
    assert_eq!((global.vlan_limit, global.cpus, global.workers), (2, Some(vec![1, 4]), Some(2)));
    assert_eq!(
        (global.max_idle, global.stats_interval),
        (Duration::from_millis(500), Duration::from_secs(60))
    );
    assert!(global.flow_restore_wait && global.tls.bootstrap_ca_cert);
    assert_eq!(global.tls.private_key, PathBuf::from("/k"));
}
