//! What the commands about datapaths share: their names, their ports, the lines of their flows.
//!
//! There is one datapath. It goes by the names of Open vSwitch's two, `netdev@ovs-netdev` and `system@ovs-system`, each
//! of which exists while a bridge asks for it and shows the ports of those bridges.

use std::collections::BTreeSet;

use datapath::action::PortNo;
use datapath::{DumpCursor, FlowDump, odp};

use crate::clock;
use crate::control::Control;

/// One of the names that the datapath goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(super) enum Name {
    /// `netdev@ovs-netdev`.
    Netdev,
    /// `system@ovs-system`.
    System,
}

impl Name {
    /// The name of the datapath that a bridge is in.
    pub(super) fn of(control: &Control, bridge: &str) -> Self {
        if control.datapath_type(bridge) == "netdev" { Self::Netdev } else { Self::System }
    }

    /// `TYPE@NAME`.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Netdev => "netdev@ovs-netdev",
            Self::System => "system@ovs-system",
        }
    }

    /// Reads `TYPE@NAME` or, for the kernel's type, `NAME`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "netdev@ovs-netdev" => Some(Self::Netdev),
            "system@ovs-system" | "ovs-system" => Some(Self::System),
            _ => None,
        }
    }
}

/// The names in use.
pub(super) fn in_use(control: &Control) -> Vec<Name> {
    let bridges = control.switch.bridges();
    let names: BTreeSet<_> = bridges.iter().map(|bridge| Name::of(control, bridge.name())).collect();
    names.into_iter().collect()
}

/// The datapath that a command is given, or the only one.
pub(super) fn choose(control: &Control, given: Option<&str>) -> Result<Name, String> {
    let names = in_use(control);
    match given {
        Some(text) => {
            let found = Name::parse(text).filter(|name| names.contains(name));
            found.ok_or_else(|| "ovs-vswitchd: datapath not found (Invalid argument)".into())
        }
        None => {
            let none =
                "ovs-vswitchd: no datapaths exist\novs-vswitchd: datapath not found (Invalid argument)";
            names.first().copied().ok_or_else(|| none.into())
        }
    }
}

/// The datapath ports of the bridges of a datapath, by number, without its own.
pub(super) fn ports_of(control: &Control, name: Name) -> BTreeSet<PortNo> {
    let bridges = control.switch.bridges();
    let wanted = bridges.iter().filter(|bridge| Name::of(control, bridge.name()) == name);
    wanted.flat_map(|bridge| bridge.ports()).filter_map(|port| port.dp).collect()
}

/// All cached flows, without stopping a worker.
pub(super) fn flows(control: &Control) -> Vec<FlowDump> {
    let mut cursor = DumpCursor::default();
    let chunks = std::iter::from_fn(|| {
        Some(control.datapath.dump_flows(&mut cursor)).filter(|flows| !flows.is_empty())
    });
    chunks.flatten().collect()
}

/// Options of the commands that dump flows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DumpOptions {
    /// `-m`, which names ports as well.
    pub(super) verbose: bool,
    /// `--names`.
    pub(super) names: bool,
}

impl DumpOptions {
    /// Takes `word` if it is an option.
    pub(super) fn take(&mut self, word: &str) -> bool {
        match word {
            "-m" | "--more" => self.verbose = true,
            "--names" => self.names = true,
            "--no-names" => self.names = false,
            _ => return false,
        }
        true
    }
}

/// The line of one flow.
pub(super) fn line(control: &Control, flow: &FlowDump, options: DumpOptions) -> String {
    let name = |port: PortNo| control.datapath.port(port).map(|port| port.name().to_owned());
    let punt = |cookie| control.switch.punt_text(cookie);
    let style = odp::Style {
        verbose: options.verbose,
        names: (options.names || options.verbose).then_some(&name as &dyn Fn(PortNo) -> Option<String>),
        punt: Some(&punt),
    };
    odp::flow(flow, clock::now_ns(), &style)
}
