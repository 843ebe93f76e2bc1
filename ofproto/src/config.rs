//! What a bridge is configured to be. The reconciler of the database fills these in; nothing here knows a database.

use std::collections::{BTreeMap, BTreeSet};

use datapath::action::PortNo;

use crate::port::OfPort;

/// What a bridge does while it has controllers but reaches none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailMode {
    /// Forward by a hidden NORMAL rule, as a plain switch would.
    #[default]
    Standalone,
    /// Keep to the rules that are there.
    Secure,
}

/// Settings of a whole bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BridgeConfig {
    /// Datapath id as OpenFlow tells it.
    pub datapath_id: u64,
    /// MAC address of the bridge and of its local port.
    pub hw_addr: [u8; 6],
    /// See [`FailMode`].
    pub fail_mode: FailMode,
    /// Seconds after which an unused learned MAC is forgotten (15 to 3600; default 300).
    pub mac_aging_s: u32,
    /// Most MACs learned at once (10 to 1 000 000; default 8192).
    pub mac_table_size: usize,
    /// Whether NORMAL forwards reserved multicast (01:80:c2:00:00:0x).
    pub forward_bpdu: bool,
    /// VLANs in which nothing is learned, so that all is flooded.
    pub flood_vlans: BTreeSet<u16>,
    /// What OpenFlow's description says of the datapath (`dp-desc`).
    pub description: String,
    /// The serial number there (`dp-sn`).
    pub serial: String,
    /// Settings by table number; a table that is absent has the defaults.
    pub tables: BTreeMap<u8, TableConfig>,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            datapath_id: 0,
            hw_addr: [0; 6],
            fail_mode: FailMode::default(),
            mac_aging_s: 300,
            mac_table_size: 8192,
            forward_bpdu: false,
            flood_vlans: BTreeSet::new(),
            description: "None".to_owned(),
            serial: "None".to_owned(),
            tables: BTreeMap::new(),
        }
    }
}

/// Settings of one flow table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableConfig {
    /// Name told to controllers; empty for "tableN".
    pub name: String,
    /// Most flows; `None` for no limit.
    pub flow_limit: Option<usize>,
    /// Whether a flow that does not fit evicts another one that has a timeout, instead of being refused.
    pub evict: bool,
    /// Fields for which prefixes are tracked (names as in the database: `ip_dst`, `ipv6_src`, ...); `None` for the default,
    /// `ip_dst` and `ip_src`.
    pub prefixes: Option<Vec<String>>,
}

/// How a port treats VLAN tags (`Port.vlan_mode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum VlanMode {
    /// All listed VLANs, always tagged; untagged is VLAN 0.
    #[default]
    Trunk,
    /// One VLAN, untagged.
    Access,
    /// A trunk whose own VLAN is tagged on the way out.
    NativeTagged,
    /// A trunk whose own VLAN is untagged on the way out.
    NativeUntagged,
    /// One VLAN put around whatever comes, tagged or not.
    Dot1qTunnel,
}

/// When a frame of VLAN 0 with a priority goes out with an 802.1p header (`other_config:priority-tags`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PriorityTags {
    /// Never.
    #[default]
    Never,
    /// When its priority is not zero.
    IfNonzero,
    /// Always.
    Always,
}

/// Settings of a port in the sense of the database: one interface or, for a bond, several.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortConfig {
    /// Name.
    pub name: String,
    /// See [`VlanMode`].
    pub vlan_mode: VlanMode,
    /// VLAN of an access, native or tunnel port; 0 when unset.
    pub tag: u16,
    /// VLANs that a trunk carries; empty for all.
    pub trunks: BTreeSet<u16>,
    /// Customer VLANs that a `dot1q-tunnel` port takes; empty for all.
    pub cvlans: BTreeSet<u16>,
    /// Tag protocol identifier that a `dot1q-tunnel` port adds: 0x88a8 (default) or 0x8100; 0 for the default.
    pub qinq_ethtype: u16,
    /// See [`PriorityTags`].
    pub priority_tags: PriorityTags,
    /// Whether NORMAL never forwards between this port and another protected one.
    pub protected: bool,
    /// OpenFlow ports of its interfaces, in the order of the database.
    pub members: Vec<OfPort>,
}

impl PortConfig {
    /// The vlan mode that the database means when `vlan_mode` is unset: access if there is a tag, else trunk.
    pub fn implied_mode(tag: Option<u16>) -> VlanMode {
        if tag.is_some() { VlanMode::Access } else { VlanMode::Trunk }
    }
}

/// What an interface is attached to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attachment {
    /// A port of the datapath.
    Datapath(PortNo),
    /// The patch interface of this name, on this or another bridge; it need not exist yet.
    Patch(String),
}

/// What is needed to add an interface to a bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceConfig {
    /// Name.
    pub name: String,
    /// See [`Attachment`].
    pub attachment: Attachment,
    /// Whether it is the bridge's local port.
    pub local: bool,
    /// OpenFlow port number that is asked for; taken if it is free.
    pub ofport_request: Option<OfPort>,
    /// MAC address as shown to controllers.
    pub hw_addr: [u8; 6],
}
