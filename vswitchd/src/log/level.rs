//! Levels, destinations, and the table of levels by module and destination.

use std::collections::BTreeMap;
use std::fmt;

/// Severity, most severe first. A destination set to a level takes that level and all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(super) enum Level {
    /// Nothing; only as a setting.
    Off,
    /// The process has failed.
    Emer,
    /// A high-level operation or a subsystem failed.
    Err,
    /// A low-level operation failed.
    Warn,
    /// Information that may be useful in retrospect.
    Info,
    /// Information useful only to someone with intricate knowledge.
    Dbg,
}

impl Level {
    const ALL: [Self; 6] = [Self::Off, Self::Emer, Self::Err, Self::Warn, Self::Info, Self::Dbg];

    /// The name as log lines show it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Emer => "EMER",
            Self::Err => "ERR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Dbg => "DBG",
        }
    }

    /// The syslog severity (RFC 5424 section 6.2.1).
    pub(super) fn syslog_severity(self) -> u8 {
        match self {
            Self::Off | Self::Emer => 1,
            Self::Err => 3,
            Self::Warn => 4,
            Self::Info => 6,
            Self::Dbg => 7,
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(word))
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Err,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            _ => Self::Dbg,
        }
    }
}

/// Where log lines go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Destination {
    /// The system log.
    Syslog,
    /// Standard error.
    Console,
    /// The log file.
    File,
}

impl Destination {
    /// All destinations, in the order in which they are listed.
    pub(super) const ALL: [Self; 3] = [Self::Syslog, Self::Console, Self::File];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syslog => "SYSLOG",
            Self::Console => "CONSOLE",
            Self::File => "FILE",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|destination| destination.name().eq_ignore_ascii_case(word))
    }
}

/// The modules that have levels of their own.
const MODULES: &[&str] = &[
    "backtrace",
    "bfd",
    "bond",
    "bridge",
    "bundle",
    "bundles",
    "cfm",
    "collectors",
    "command_line",
    "connmgr",
    "conntrack",
    "conntrack_tp",
    "coverage",
    "ct_dpif",
    "daemon",
    "daemon_unix",
    "datapath",
    "dns_resolve",
    "dpdk",
    "dpif",
    "dpif_netdev",
    "dpif_netlink",
    "dpif_netlink_rtnl",
    "embedded_db",
    "entropy",
    "fail_open",
    "fatal_signal",
    "flow",
    "hmap",
    "in_band",
    "ipf",
    "ipfix",
    "jsonrpc",
    "lacp",
    "lldp",
    "lockfile",
    "memory",
    "meta_flow",
    "native_tnl",
    "netdev",
    "netdev_afxdp",
    "netdev_dummy",
    "netdev_linux",
    "netdev_vport",
    "netflow",
    "netlink",
    "netlink_conntrack",
    "netlink_notifier",
    "netlink_socket",
    "nx_match",
    "odp_execute",
    "odp_util",
    "ofp_actions",
    "ofp_bundle",
    "ofp_connection",
    "ofp_errors",
    "ofp_flow",
    "ofp_group",
    "ofp_match",
    "ofp_meter",
    "ofp_monitor",
    "ofp_msgs",
    "ofp_packet",
    "ofp_port",
    "ofp_protocol",
    "ofp_queue",
    "ofp_table",
    "ofp_util",
    "ofproto",
    "ofproto_dpif",
    "ofproto_dpif_mirror",
    "ofproto_dpif_monitor",
    "ofproto_dpif_rid",
    "ofproto_dpif_upcall",
    "ofproto_dpif_xlate",
    "ovs_numa",
    "ovs_rcu",
    "ovs_router",
    "ovs_thread",
    "ovsdb_cs",
    "ovsdb_error",
    "ovsdb_idl",
    "packets",
    "pcap",
    "poll_loop",
    "process",
    "rconn",
    "reconnect",
    "route_table",
    "rstp",
    "sflow",
    "signals",
    "socket_util",
    "stp",
    "stream",
    "stream_fd",
    "stream_ssl",
    "stream_tcp",
    "stream_unix",
    "system_stats",
    "tc",
    "timeval",
    "tunnel",
    "unixctl",
    "userspace_tso",
    "util",
    "vconn",
    "vconn_stream",
    "vlog",
    "vswitchd",
];

/// Levels by module and destination.
#[derive(Debug, Clone)]
pub(super) struct Levels(BTreeMap<&'static str, [Level; 3]>);

impl Default for Levels {
    fn default() -> Self {
        Self(MODULES.iter().map(|module| (*module, [Level::Info; 3])).collect())
    }
}

impl Levels {
    /// All modules that have levels.
    pub(super) fn modules() -> &'static [&'static str] {
        MODULES
    }

    /// The module's own name if it is one that has levels.
    pub(super) fn module(word: &str) -> Option<&'static str> {
        let word = word.replace('-', "_");
        MODULES.iter().copied().find(|module| module.eq_ignore_ascii_case(&word))
    }

    /// Sets the level of the given module (or all) at the given destination (or all).
    pub(super) fn set(&mut self, module: Option<&str>, destination: Option<Destination>, level: Level) {
        for (name, levels) in &mut self.0 {
            if module.is_none_or(|module| module == *name) {
                for which in Destination::ALL {
                    if destination.is_none_or(|destination| destination == which) {
                        levels[which as usize] = level;
                    }
                }
            }
        }
    }

    /// The level of a module at a destination; a module without a row has the defaults of its neighbours: INFO.
    pub(super) fn get(&self, module: &str, destination: Destination) -> Level {
        self.0.get(module).map_or(Level::Info, |levels| levels[destination as usize])
    }

    /// The most verbose level in the table.
    pub(super) fn most_verbose(&self) -> Level {
        self.0.values().flatten().copied().max().unwrap_or(Level::Off)
    }
}

impl fmt::Display for Levels {
    /// The text of `vlog/list`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("                 console    syslog    file\n")?;
        f.write_str("                 -------    ------    ------\n")?;
        for (module, levels) in &self.0 {
            let at = |destination: Destination| levels[destination as usize].name();
            let (console, syslog, file) =
                (at(Destination::Console), at(Destination::Syslog), at(Destination::File));
            writeln!(f, "{module:<16}  {console:>4}       {syslog:>4}       {file:>4}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_sorted_and_single() {
        assert!(MODULES.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn levels_are_set_by_module_and_destination() {
        let mut levels = Levels::default();
        levels.set(Some("bridge"), Some(Destination::File), Level::Dbg);
        assert_eq!(levels.get("bridge", Destination::File), Level::Dbg);
        assert_eq!(levels.get("bridge", Destination::Console), Level::Info);
        assert_eq!(levels.most_verbose(), Level::Dbg);
        levels.set(None, None, Level::Off);
        assert_eq!(levels.most_verbose(), Level::Off);
    }
}
