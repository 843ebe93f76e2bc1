//! From database rows to what is wanted. Pure: nothing here knows what is there already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use datapath::port::ReplayOptions;
use ofproto::config::{BridgeConfig, FailMode, TableConfig};
use ovsdb::openvswitch::{Bridge, Database, Interface};
use ovsdb::value::Uuid;
use stream::TlsFiles;

use super::controllers;
use super::port::{port, vlan_complaints};
use super::spec::{
    BridgeSpec, Complaint, ConntrackSpec, DatapathType, Desired, Global, InterfaceKind, InterfaceSpec, Mac,
    PortSpec, Refusal,
};
use super::unsupported;

pub(super) type Settings = BTreeMap<String, String>;

/// Reads what is wanted.
pub(super) fn desired(database: &Database) -> Desired {
    let conntrack = ConntrackSpec::read(database);
    let mut desired = Desired { global: global(database), conntrack, ..Desired::default() };
    let Some(root) = &database.root else { return desired };
    desired.datapaths =
        ["netdev", "system"].iter().filter_map(|kind| root.datapaths.get(*kind).copied()).collect();
    let mut bridges: Vec<&Bridge> =
        root.bridges.iter().filter_map(|uuid| database.bridges.get(uuid)).collect();
    bridges.sort_by(|a, b| a.name.cmp(&b.name));
    let shared = shared_interfaces(database, &bridges);
    for bridge in bridges {
        if bridge.name.contains('/') || bridge.name.is_empty() {
            desired
                .complaints
                .insert(Complaint::Warn(format!("ignoring bridge with invalid name \"{}\"", bridge.name)));
        } else if let Some(kind) = datapath_type(bridge, &mut desired.complaints) {
            let spec = Reader { database, shared: &shared, desired: &mut desired }.bridge(bridge, kind);
            desired.bridges.insert(bridge.name.clone(), spec);
        }
    }
    desired
}

/// Interfaces that ports of more than one bridge claim, with the names of those bridges.
fn shared_interfaces(database: &Database, bridges: &[&Bridge]) -> BTreeMap<Uuid, Vec<String>> {
    let mut claims: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for bridge in bridges {
        let ports = bridge.ports.iter().filter_map(|uuid| database.ports.get(uuid));
        let interfaces: BTreeSet<Uuid> = ports.flat_map(|port| port.interfaces.iter().copied()).collect();
        for interface in interfaces {
            claims.entry(interface).or_default().push(bridge.name.clone());
        }
    }
    claims.retain(|_, bridges| bridges.len() > 1);
    claims
}

fn datapath_type(bridge: &Bridge, complaints: &mut BTreeSet<Complaint>) -> Option<DatapathType> {
    match bridge.datapath_type.as_str() {
        "" | "system" => Some(DatapathType::System),
        "netdev" => Some(DatapathType::Netdev),
        other => {
            complaints.insert(Complaint::Error(format!(
                "failed to create bridge {}: unknown datapath type {other} (Address family not supported by protocol)",
                bridge.name
            )));
            None
        }
    }
}

fn global(database: &Database) -> Global {
    let defaults = Global::default();
    let Some(root) = &database.root else { return defaults };
    let config = &root.other_config;
    let milliseconds = |key: &str, default: Duration| {
        number(config, key).map_or(default, Duration::from_millis).max(Duration::from_millis(1))
    };
    Global {
        vlan_limit: match number(config, "vlan-limit") {
            Some(0) => 2,
            Some(limit) => usize::try_from(limit).map_or(2, |limit| limit.min(2)),
            None => defaults.vlan_limit,
        },
        flow_limit: number(config, "flow-limit").map_or(defaults.flow_limit, clamp_u32),
        max_idle: milliseconds("max-idle", defaults.max_idle).max(Duration::from_millis(500)),
        stats_interval: milliseconds("stats-update-interval", defaults.stats_interval)
            .max(Duration::from_secs(5)),
        workers: number(config, "n-workers")
            .and_then(|count| usize::try_from(count).ok())
            .filter(|&count| count > 0),
        cpus: config.get("pmd-cpu-mask").and_then(|mask| datapath::parse_cpu_mask(mask.trim())),
        flow_restore_wait: flag(config, "flow-restore-wait", false),
        tls: tls(database),
    }
}

fn tls(database: &Database) -> TlsFiles {
    let row = database.root.as_ref().and_then(|root| database.ssl.get(&root.ssl?));
    row.map_or_else(TlsFiles::default, |row| TlsFiles {
        private_key: PathBuf::from(&row.private_key),
        certificate: PathBuf::from(&row.certificate),
        ca_cert: PathBuf::from(&row.ca_cert),
        bootstrap_ca_cert: row.bootstrap_ca_cert,
    })
}

/// Reads one bridge.
struct Reader<'a> {
    database: &'a Database,
    shared: &'a BTreeMap<Uuid, Vec<String>>,
    desired: &'a mut Desired,
}

impl Reader<'_> {
    fn bridge(&mut self, bridge: &Bridge, datapath_type: DatapathType) -> BridgeSpec {
        let mut spec = BridgeSpec {
            uuid: bridge.uuid,
            name: bridge.name.clone(),
            datapath_type,
            hwaddr: self.hwaddr(bridge),
            datapath_id: bridge.other_config.get("datapath-id").and_then(|text| datapath_id(text)),
            config: self.config(bridge),
            conn: controllers::conn_config(self.database, bridge),
            controllers: controllers::rows(self.database, bridge),
            ..BridgeSpec::default()
        };
        self.desired.complaints.extend(unsupported::of_bridge(bridge));
        let mut ports: Vec<_> =
            bridge.ports.iter().filter_map(|uuid| self.database.ports.get(uuid)).collect();
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        for row in ports {
            let mut port = PortSpec { config: port(row), members: Vec::new() };
            self.desired.complaints.extend(vlan_complaints(row));
            self.desired.complaints.extend(unsupported::of_port(row));
            let interfaces = row.interfaces.iter().filter_map(|uuid| self.database.interfaces.get(uuid));
            for interface in interfaces {
                self.desired.complaints.extend(unsupported::of_interface(interface));
                if let Some(interface) = self.member(&spec, interface) {
                    port.members.push(interface.name.clone());
                    spec.interfaces.insert(interface.name.clone(), interface);
                }
            }
            spec.ports.insert(row.name.clone(), port);
        }
        spec
    }

    /// An interface, unless it cannot be or is there already.
    fn member(&mut self, bridge: &BridgeSpec, row: &Interface) -> Option<InterfaceSpec> {
        if bridge.interfaces.contains_key(&row.name) {
            let text = format!(
                "bridge {}: interface {} is on multiple ports, the first keeps it",
                bridge.name, row.name
            );
            self.desired.complaints.insert(Complaint::Warn(text));
            return None;
        }
        if let Some(bridges) = self.shared.get(&row.uuid) {
            let error = format!("{}: port is in more than one bridge ({})", row.name, bridges.join(", "));
            self.refuse(row, error.clone(), vec![Complaint::Warn(error)]);
            return None;
        }
        match kind(row, &bridge.name) {
            Ok(kind) => Some(self.interface(row, kind)),
            Err(Refusal { error, complaints }) => {
                self.refuse(row, error, complaints);
                None
            }
        }
    }

    fn refuse(&mut self, row: &Interface, error: String, complaints: Vec<Complaint>) {
        self.desired.complaints.extend(complaints.iter().cloned());
        self.desired.refused.insert(row.uuid, Refusal { error, complaints });
    }

    fn interface(&mut self, row: &Interface, kind: InterfaceKind) -> InterfaceSpec {
        InterfaceSpec {
            uuid: row.uuid,
            name: row.name.clone(),
            ofport_request: row
                .ofport_request
                .and_then(|port| u16::try_from(port).ok())
                .filter(|&port| port != 0),
            mac: self.interface_mac(row, &kind),
            mtu_request: row.mtu_request.and_then(|mtu| u32::try_from(mtu).ok()),
            n_rxq: number(&row.options, "n_rxq").and_then(|count| usize::try_from(count).ok()),
            kind,
        }
    }

    fn interface_mac(&mut self, row: &Interface, kind: &InterfaceKind) -> Option<Mac> {
        let mac = Mac::parse(row.mac.as_deref()?)?;
        let complaint = if *kind == InterfaceKind::Local {
            "ignoring mac in Interface record (use Bridge record to set local port's mac)"
        } else if mac.is_multicast() {
            "cannot set MAC to multicast address"
        } else {
            return Some(mac).filter(|mac| !mac.is_zero());
        };
        self.desired.complaints.insert(Complaint::Error(format!("interface {}: {complaint}", row.name)));
        None
    }

    fn config(&self, bridge: &Bridge) -> BridgeConfig {
        let config = &bridge.other_config;
        let defaults = BridgeConfig::default();
        let seconds = number(config, "mac-aging-time").unwrap_or(300);
        BridgeConfig {
            fail_mode: match bridge.fail_mode.as_deref() {
                Some("secure") => FailMode::Secure,
                _ => FailMode::Standalone,
            },
            mac_aging_s: clamp_u32(seconds).clamp(15, 3600),
            mac_table_size: number(config, "mac-table-size")
                .map_or(8192, |size| clamp_u32(size).clamp(10, 1_000_000) as usize),
            forward_bpdu: flag(config, "forward-bpdu", false),
            description: config.get("dp-desc").cloned().unwrap_or(defaults.description),
            serial: config.get("dp-sn").cloned().unwrap_or(defaults.serial),
            tables: self.tables(bridge),
            ..defaults
        }
    }

    fn hwaddr(&mut self, bridge: &Bridge) -> Option<Mac> {
        let mac = Mac::parse(bridge.other_config.get("hwaddr")?)?;
        let what = if mac.is_multicast() {
            format!("multicast address {mac}")
        } else if mac.is_zero() {
            "all zeros".to_owned()
        } else {
            return Some(mac);
        };
        let text = format!("bridge {}: cannot set MAC address to {what}", bridge.name);
        self.desired.complaints.insert(Complaint::Error(text));
        None
    }

    fn tables(&self, bridge: &Bridge) -> BTreeMap<u8, TableConfig> {
        let tables = bridge.flow_tables.iter().filter_map(|(&number, uuid)| {
            let number = u8::try_from(number).ok().filter(|&number| number < 254)?;
            let row = self.database.flow_tables.get(uuid)?;
            let config = TableConfig {
                name: row.name.clone().unwrap_or_default(),
                flow_limit: row.flow_limit.and_then(|limit| usize::try_from(limit).ok()),
                evict: row.overflow_policy.as_deref() == Some("evict"),
                prefixes: (!row.prefixes.is_empty()).then(|| row.prefixes.clone()),
            };
            Some((number, config))
        });
        tables.collect()
    }
}

fn kind(row: &Interface, bridge: &str) -> Result<InterfaceKind, Refusal> {
    if row.name == bridge {
        return Ok(InterfaceKind::Local);
    }
    match row.kind.as_str() {
        "" | "system" => Ok(InterfaceKind::System),
        "internal" => Ok(InterfaceKind::Internal),
        "tap" => Ok(InterfaceKind::Tap),
        "null" => Ok(InterfaceKind::Null),
        "replay" => replay(row),
        "patch" => match row.options.get("peer") {
            None => Err(misconfigured(row, "patch type requires valid 'peer' argument")),
            Some(peer) if *peer == row.name => Err(misconfigured(row, "patch peer must not be self")),
            Some(peer) => Ok(InterfaceKind::Patch { peer: peer.clone() }),
        },
        other => {
            let name = &row.name;
            let error =
                format!("could not open network device {name} (Address family not supported by protocol)");
            let unknown = format!("could not create netdev {name} of unknown type {other}");
            let complaints = vec![Complaint::Netdev(unknown), Complaint::Warn(error.clone())];
            Err(Refusal { error, complaints })
        }
    }
}

fn replay(row: &Interface) -> Result<InterfaceKind, Refusal> {
    let Some(pcap) = row.options.get("pcap").filter(|pcap| !pcap.is_empty()) else {
        return Err(misconfigured(row, "replay type requires valid 'pcap' argument"));
    };
    let limit = |key: &'static str| match row.options.get(key).map(|text| text.parse::<u64>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(misconfigured(row, &format!("replay type: '{key}' must be a number"))),
    };
    let looped = flag(&row.options, "loop", false);
    let pcap = PathBuf::from(pcap);
    Ok(InterfaceKind::Replay(ReplayOptions { pcap, looped, rate: limit("rate")?, count: limit("count")? }))
}

fn misconfigured(row: &Interface, what: &str) -> Refusal {
    let error = format!("{}: {what}", row.name);
    let consequence =
        Complaint::Netdev(format!("{}: could not set configuration (Invalid argument)", row.name));
    Refusal { complaints: vec![Complaint::Vport(error.clone()), consequence], error }
}

/// A datapath id: 16 hexadecimal digits, or up to as many after `0x`; not 0.
fn datapath_id(text: &str) -> Option<u64> {
    let digits = match text.strip_prefix("0x") {
        Some(digits) if (1..=16).contains(&digits.len()) => digits,
        None if text.len() == 16 => text,
        _ => return None,
    };
    u64::from_str_radix(digits, 16).ok().filter(|&id| id != 0)
}

fn flag(settings: &Settings, key: &str, default: bool) -> bool {
    settings.get(key).map_or(default, |text| text == "true")
}

pub(super) fn number(settings: &Settings, key: &str) -> Option<u64> {
    settings.get(key)?.trim().parse().ok()
}

fn clamp_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
