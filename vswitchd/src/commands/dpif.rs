//! `dpif/*`, `revalidator/*`: bridges as the datapath has them, and its cached flows.

use std::fmt::Write as _;

use datapath::action::PortNo;
use ofproto::Bridge;
use ofproto::port::Port;

use super::datapaths::{self, DumpOptions, Name};
use crate::appctl::{Answer, Command};
use crate::control::Control;
use crate::features::{self, Feature};

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 7] {
    let dump = "[-m] [--names | --no-names] bridge";
    [
        Command { name: "dpif/show", usage: "", min: 0, max: 0, run: |c, _| Ok(show(c)).into() },
        Command { name: "dpif/dump-dps", usage: "", min: 0, max: 0, run: |c, _| Ok(dump_dps(c)).into() },
        Command {
            name: "dpif/dump-flows",
            usage: dump,
            min: 1,
            max: usize::MAX,
            run: |c, args| dump_flows(c, args).into(),
        },
        Command {
            name: "dpif/show-dp-features",
            usage: "bridge",
            min: 1,
            max: 1,
            run: |c, args| features(c, &args[0]).into(),
        },
        Command {
            name: "dpif/show-drops",
            usage: "[port]",
            min: 0,
            max: 1,
            run: |c, args| drops(c, args.first().map(String::as_str)).into(),
        },
        Command { name: "revalidator/wait", usage: "", min: 0, max: 0, run: |c, _| sweep(c).into() },
        Command { name: "revalidator/purge", usage: "", min: 0, max: 0, run: |c, _| purge(c).into() },
    ]
}

fn sorted_bridges(control: &Control) -> Vec<std::sync::Arc<Bridge>> {
    let mut bridges = control.switch.bridges();
    bridges.sort_by(|a, b| a.name().cmp(b.name()));
    bridges
}

fn show(control: &Control) -> String {
    let lookups = control.datapath.lookup_stats();
    let mut out = String::new();
    for name in datapaths::in_use(control) {
        let _ = writeln!(out, "{}: hit:{} missed:{}", name.text(), lookups.hit, lookups.missed);
        for bridge in sorted_bridges(control) {
            if Name::of(control, bridge.name()) == name {
                let _ = writeln!(out, "  {}:", bridge.name());
                let mut ports = bridge.ports();
                ports.sort_by(|a, b| a.name.cmp(&b.name));
                ports.iter().for_each(|port| out.push_str(&port_line(control, port)));
            }
        }
    }
    out
}

fn port_line(control: &Control, port: &Port) -> String {
    let (number, kind) = match (port.dp, &port.peer) {
        (Some(dp), _) => {
            let kind = control.datapath.port(dp).map_or("system", |port| port.spec.kind.type_name());
            (dp.0.to_string(), kind.to_owned())
        }
        (None, Some(peer)) => ("none".into(), format!("patch: peer={peer}")),
        (None, None) => ("none".into(), "system".into()),
    };
    format!("    {} {}/{number}: ({kind})\n", port.name, port.number.to_u16())
}

fn dump_dps(control: &Control) -> String {
    let line = |bridge: &std::sync::Arc<Bridge>| {
        format!("{}@{}\n", control.datapath_type(bridge.name()), bridge.name())
    };
    sorted_bridges(control).iter().map(line).collect()
}

fn dump_flows(control: &Control, args: &[String]) -> Answer {
    let (mut options, mut name) = (DumpOptions::default(), "");
    for arg in args {
        if !options.take(arg) {
            name = arg;
        }
    }
    let bridge = control.switch.bridge(name).ok_or("no such bridge")?;
    let ports: Vec<_> = bridge.ports().iter().filter_map(|port| port.dp).collect();
    let flows = datapaths::flows(control);
    let wanted = flows.iter().filter(|flow| ports.contains(&PortNo(flow.key.in_port.get())));
    Ok(wanted.map(|flow| format!("{}\n", datapaths::line(control, flow, options))).collect())
}

fn features(control: &Control, name: &str) -> Answer {
    control.switch.bridge(name).ok_or("no such bridge")?;
    let line = |feature: &Feature| format!("{}: {}\n", feature.name, feature.shown(&control.datapath));
    Ok(features::ALL.iter().map(line).collect())
}

fn drops(control: &Control, port: Option<&str>) -> Answer {
    if let Some(name) = port
        && control.datapath.port_by_name(name).is_none()
    {
        return Err(format!("no such port: {name}"));
    }
    let mut out = format!("{:<16} {:<28} {:>12}\n", "port", "reason", "packets");
    for line in control.datapath.drops(port) {
        let _ = writeln!(out, "{:<16} {:<28} {:>12}", line.port, line.reason.name(), line.packets);
    }
    Ok(out)
}

fn sweep(control: &Control) -> Answer {
    control.datapath.sweep_flows();
    Ok(String::new())
}

fn purge(control: &Control) -> Answer {
    control.datapath.purge_flows();
    Ok(String::new())
}
