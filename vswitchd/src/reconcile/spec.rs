//! What is wanted, in plain values: the configuration after it was read, checked and freed of the database's shape.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use datapath::port::ReplayOptions;
use ofproto::config::{BridgeConfig, PortConfig};
use ofproto::conn::config::ConnConfig;
use ovsdb::value::Uuid;
use stream::TlsFiles;

pub use super::conntrack::ConntrackSpec;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads `xx:xx:xx:xx:xx:xx`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.trim().split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }

    /// Whether it names a group.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it was made up by an administrator (or a program), rather than bought.
    pub fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// Whether it is no address at all.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }

    /// As the lower 48 bits of a datapath id.
    pub fn to_u64(self) -> u64 {
        self.0.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// All that is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Settings of the whole switch.
    pub global: Global,
    /// Bridges, by name.
    pub bridges: BTreeMap<String, BridgeSpec>,
    /// The rows of the types of datapaths.
    pub datapaths: Vec<Uuid>,
    /// Connection tracking zones.
    pub conntrack: ConntrackSpec,
    /// Interfaces that cannot be, with the reason.
    pub refused: BTreeMap<Uuid, Refusal>,
    /// What is to be said to the operator.
    pub complaints: BTreeSet<Complaint>,
}

/// Why an interface cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What `Interface.error` gets.
    pub error: String,
    /// Lines for the log.
    pub complaints: Vec<Complaint>,
}

/// A log line about configuration that is not as it should be; logged when it first comes up, not each time it is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complaint {
    /// A warning of module `bridge`.
    Warn(String),
    /// An error of module `bridge`.
    Error(String),
    /// A warning of module `netdev`.
    Netdev(String),
    /// An error of module `netdev_vport`.
    Vport(String),
}

impl Complaint {
    /// Writes it to the log.
    pub fn log(&self) {
        match self {
            Self::Warn(text) => tracing::warn!(target: "bridge", "{text}"),
            Self::Error(text) => tracing::error!(target: "bridge", "{text}"),
            Self::Netdev(text) => tracing::warn!(target: "netdev", "{text}"),
            Self::Vport(text) => tracing::error!(target: "netdev_vport", "{text}"),
        }
    }
}

/// Settings of the whole switch.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Most VLAN tags looked at: 1 or 2.
    pub vlan_limit: usize,
    /// Most cached flows.
    pub flow_limit: u32,
    /// After how long without a packet a cached flow goes.
    pub max_idle: Duration,
    /// How often statistics are written to the database.
    pub stats_interval: Duration,
    /// Number of worker threads, if said.
    pub workers: Option<usize>,
    /// Processors for the workers, if said.
    pub cpus: Option<Vec<usize>>,
    /// Whether to forward nothing yet, because flows are about to be restored.
    pub flow_restore_wait: bool,
    /// TLS files for connections to controllers.
    pub tls: TlsFiles,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            vlan_limit: 1,
            flow_limit: 200_000,
            max_idle: Duration::from_secs(10),
            stats_interval: Duration::from_secs(5),
            workers: None,
            cpus: None,
            flow_restore_wait: false,
            tls: TlsFiles::default(),
        }
    }
}

/// Under which name a bridge's datapath shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DatapathType {
    /// `system`
    #[default]
    System,
    /// `netdev`
    Netdev,
}

impl DatapathType {
    /// The name, as `ovs-appctl` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Netdev => "netdev",
        }
    }
}

/// A bridge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BridgeSpec {
    /// Its row.
    pub uuid: Uuid,
    /// Its name, and that of its local port.
    pub name: String,
    /// Under which name its datapath shows.
    pub datapath_type: DatapathType,
    /// The MAC address of the local port, if said.
    pub hwaddr: Option<Mac>,
    /// The datapath id, if said.
    pub datapath_id: Option<u64>,
    /// All other settings; the two above are filled in when it is known which devices there are.
    pub config: BridgeConfig,
    /// Protocols and controllers.
    pub conn: ConnConfig,
    /// The rows of the controllers, by target.
    pub controllers: BTreeMap<String, Uuid>,
    /// Interfaces, by name.
    pub interfaces: BTreeMap<String, InterfaceSpec>,
    /// Ports, by name.
    pub ports: BTreeMap<String, PortSpec>,
}

/// A port: one interface, or several bonded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortSpec {
    /// The names of its interfaces.
    pub members: Vec<String>,
    /// Its settings; the members are filled in when they have numbers.
    pub config: PortConfig,
}

/// A network device in a bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceSpec {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// The OpenFlow port number that it should have.
    pub ofport_request: Option<u16>,
    /// The MAC address that it should have.
    pub mac: Option<Mac>,
    /// The MTU that it should have.
    pub mtu_request: Option<u32>,
    /// Receive queues.
    pub n_rxq: Option<usize>,
}

/// What an interface is.
#[derive(Clone, Debug, PartialEq)]
pub enum InterfaceKind {
    /// The bridge's local port.
    Local,
    /// A device that exists.
    System,
    /// A device of ours for the host.
    Internal,
    /// A tap of ours for a program.
    Tap,
    /// One end of a wire between two bridges.
    Patch {
        /// The name of the other end.
        peer: String,
    },
    /// Frames from a file.
    Replay(ReplayOptions),
    /// Nothing at all.
    Null,
}

impl InterfaceKind {
    /// Whether the device is made by us: it follows the bridge's MTU, and goes when the port is deleted.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Local | Self::Internal | Self::Tap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_read_and_print() {
        let mac = Mac::parse("02:11:22:33:44:5f").unwrap();
        assert_eq!((mac.to_string().as_str(), mac.to_u64()), ("02:11:22:33:44:5f", 0x0211_2233_445f));
        assert!(mac.is_local() && !mac.is_multicast() && !mac.is_zero());
        for bad in ["", "02:11:22:33:44", "02:11:22:33:44:55:66", "zz:11:22:33:44:55", "002:11:22:33:44:55"] {
            assert_eq!(Mac::parse(bad), None, "{bad}");
        }
    }
}
