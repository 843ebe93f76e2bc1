//! The rows, one struct per table.

use std::collections::BTreeMap;

use super::cell::{self, CellError};
use crate::snapshot::{Row, Snapshot};
use crate::value::Uuid;

/// Declares a table: the struct, the columns it is read from and the columns that only the daemon writes.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $name:ident = $table:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty = $column:literal,)* }
        written { $($written:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            /// The row's own name.
            pub uuid: Uuid,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Name of the table.
            pub const TABLE: &'static str = $table;
            /// Columns that configure the switch.
            pub const READ: &'static [&'static str] = &[$($column),*];
            /// Columns that the switch fills in.
            pub const WRITTEN: &'static [&'static str] = &[$($written),*];

            fn from_row(row: Row<'_>, errors: &mut Vec<CellError>) -> Self {
                Self { uuid: row.uuid, $($field: cell::read(row, $table, $column, errors),)* }
            }

            pub(super) fn all(snapshot: &Snapshot, errors: &mut Vec<CellError>) -> BTreeMap<Uuid, Self> {
                snapshot.rows($table).into_iter().map(|row| (row.uuid, Self::from_row(row, errors))).collect()
            }
        }
    };
}

/// Free settings by name.
type Settings = BTreeMap<String, String>;

table! {
    /// The root of the configuration.
    OpenVswitch = "Open_vSwitch" {
        /// Its bridges.
        bridges: Vec<Uuid> = "bridges",
        /// Grows when a client wants to know that its change is in force.
        next_cfg: i64 = "next_cfg",
        /// Settings of the whole switch.
        other_config: Settings = "other_config",
        /// TLS files.
        ssl: Option<Uuid> = "ssl",
        /// Settings of datapaths, by type.
        datapaths: BTreeMap<String, Uuid> = "datapaths",
    }
    written { "cur_cfg", "datapath_types", "iface_types", "dpdk_initialized", "dpdk_version", }
}

table! {
    /// A bridge.
    Bridge = "Bridge" {
        /// Its name, and that of its local port.
        name: String = "name",
        /// Its ports.
        ports: Vec<Uuid> = "ports",
        /// `""`, `"system"` or `"netdev"`.
        datapath_type: String = "datapath_type",
        /// `"secure"` or `"standalone"`.
        fail_mode: Option<String> = "fail_mode",
        /// `"OpenFlow10"` and so on; none for all.
        protocols: Vec<String> = "protocols",
        /// Its controllers.
        controllers: Vec<Uuid> = "controller",
        /// Settings.
        other_config: Settings = "other_config",
        /// Settings of its tables, by number.
        flow_tables: BTreeMap<i64, Uuid> = "flow_tables",
        /// Whether it takes part in the spanning tree protocol.
        stp_enable: bool = "stp_enable",
        /// Whether it takes part in the rapid spanning tree protocol.
        rstp_enable: bool = "rstp_enable",
        /// Whether multicast goes only where somebody listens.
        mcast_snooping_enable: bool = "mcast_snooping_enable",
        /// What is copied where.
        mirrors: Vec<Uuid> = "mirrors",
        /// NetFlow.
        netflow: Option<Uuid> = "netflow",
        /// sFlow.
        sflow: Option<Uuid> = "sflow",
        /// IPFIX.
        ipfix: Option<Uuid> = "ipfix",
        /// IEEE 802.1 auto-attach.
        auto_attach: Option<Uuid> = "auto_attach",
    }
    written { "datapath_id", "datapath_version", }
}

table! {
    /// A port of a bridge.
    Port = "Port" {
        /// Its name.
        name: String = "name",
        /// Its interfaces; more than one is a bond.
        interfaces: Vec<Uuid> = "interfaces",
        /// The VLAN of an access port, the native VLAN of others.
        tag: Option<i64> = "tag",
        /// The VLANs of a trunk; none for all.
        trunks: Vec<i64> = "trunks",
        /// `"access"`, `"trunk"`, `"native-tagged"`, `"native-untagged"` or `"dot1q-tunnel"`.
        vlan_mode: Option<String> = "vlan_mode",
        /// Customer VLANs of a `dot1q-tunnel` port; none for all.
        cvlans: Vec<i64> = "cvlans",
        /// How the interfaces of a bond share the traffic.
        bond_mode: Option<String> = "bond_mode",
        /// `"active"`, `"passive"` or `"off"`.
        lacp: Option<String> = "lacp",
        /// Whether it may not talk to other protected ports.
        protected: bool = "protected",
        /// Quality of service for what is sent.
        qos: Option<Uuid> = "qos",
        /// Settings.
        other_config: Settings = "other_config",
    }
    written {}
}

table! {
    /// A network device that is part of a port.
    Interface = "Interface" {
        /// Its name.
        name: String = "name",
        /// `""` or `"system"`, `"internal"`, `"tap"`, `"patch"` and so on.
        kind: String = "type",
        /// Settings that depend on the type.
        options: Settings = "options",
        /// The OpenFlow port number that it should have.
        ofport_request: Option<i64> = "ofport_request",
        /// The MAC address that an internal one should have.
        mac: Option<String> = "mac",
        /// The MTU that it should have.
        mtu_request: Option<i64> = "mtu_request",
        /// Bidirectional forwarding detection.
        bfd: Settings = "bfd",
        /// Link layer discovery.
        lldp: Settings = "lldp",
        /// Its end of a maintained association (802.1ag).
        cfm_mpid: Option<i64> = "cfm_mpid",
        /// The most that is taken in, kbit/s; 0 for all.
        ingress_policing_rate: i64 = "ingress_policing_rate",
        /// The most that is taken in, thousands of packets a second; 0 for all.
        ingress_policing_kpkts_rate: i64 = "ingress_policing_kpkts_rate",
        /// Settings.
        other_config: Settings = "other_config",
    }
    written {
        "ofport", "error", "admin_state", "link_state", "link_resets", "link_speed", "duplex", "mtu", "mac_in_use",
        "ifindex", "status", "statistics",
    }
}

table! {
    /// An OpenFlow controller.
    Controller = "Controller" {
        /// Where it is, or where we wait for it.
        target: String = "target",
        /// `"in-band"` or `"out-of-band"`.
        connection_mode: Option<String> = "connection_mode",
        /// Longest pause between attempts, in milliseconds.
        max_backoff: Option<i64> = "max_backoff",
        /// Silence after which it is asked for a sign of life, in milliseconds; 0 for never.
        inactivity_probe: Option<i64> = "inactivity_probe",
        /// Packet-ins per second.
        controller_rate_limit: Option<i64> = "controller_rate_limit",
        /// Packet-ins at once.
        controller_burst_limit: Option<i64> = "controller_burst_limit",
        /// Packet-ins that wait.
        controller_queue_size: Option<i64> = "controller_queue_size",
        /// Whether it gets asynchronous messages without asking.
        enable_async_messages: Option<bool> = "enable_async_messages",
        /// Address of the local port, for in-band control.
        local_ip: Option<String> = "local_ip",
        /// Its mask.
        local_netmask: Option<String> = "local_netmask",
        /// Its gateway.
        local_gateway: Option<String> = "local_gateway",
        /// `"primary"` or `"service"`.
        kind: Option<String> = "type",
        /// Settings.
        other_config: Settings = "other_config",
    }
    written { "is_connected", "role", "status", }
}

table! {
    /// Files for TLS.
    Ssl = "SSL" {
        /// Our private key.
        private_key: String = "private_key",
        /// Our certificate.
        certificate: String = "certificate",
        /// Of the authority that signs the other side's.
        ca_cert: String = "ca_cert",
        /// Whether to take the first authority that shows up.
        bootstrap_ca_cert: bool = "bootstrap_ca_cert",
    }
    written {}
}

table! {
    /// Settings of an OpenFlow table.
    FlowTable = "Flow_Table" {
        /// Its name.
        name: Option<String> = "name",
        /// Most rules in it.
        flow_limit: Option<i64> = "flow_limit",
        /// `"refuse"` or `"evict"`, when there are more.
        overflow_policy: Option<String> = "overflow_policy",
        /// Fields by which rules to evict are picked fairly.
        groups: Vec<String> = "groups",
        /// Fields to look up by prefix.
        prefixes: Vec<String> = "prefixes",
    }
    written {}
}

table! {
    /// Settings of a type of datapath.
    Datapath = "Datapath" {
        /// Its connection tracking zones, by number.
        ct_zones: BTreeMap<i64, Uuid> = "ct_zones",
        /// Most connections of a zone that says nothing else. Schemas older than Open vSwitch 3.4's have no such column.
        default_limit: Option<i64> = "ct_zone_default_limit",
    }
    written { "capabilities", }
}

table! {
    /// A connection tracking zone.
    CtZone = "CT_Zone" {
        /// Its timeouts.
        timeout_policy: Option<Uuid> = "timeout_policy",
        /// Most connections. Schemas older than Open vSwitch 3.4's have no such column.
        limit: Option<i64> = "limit",
    }
    written {}
}

table! {
    /// Timeouts of connections.
    CtTimeoutPolicy = "CT_Timeout_Policy" {
        /// Seconds, by name.
        timeouts: BTreeMap<String, i64> = "timeouts",
    }
    written {}
}
