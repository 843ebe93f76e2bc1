//! `dpctl/*`: the datapath, as `ovs-dpctl` shows the kernel's.

use std::fmt::Write as _;

use datapath::action::PortNo;
use datapath::port::PortKind;

use super::datapaths::{self, DumpOptions, Name};
use crate::appctl::{Answer, Command};
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 4] {
    let dump = "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]";
    [
        Command {
            name: "dpctl/show",
            usage: "[-s] [dp...]",
            min: 0,
            max: usize::MAX,
            run: |c, args| show(c, args).into(),
        },
        Command { name: "dpctl/dump-dps", usage: "", min: 0, max: 0, run: |c, _| Ok(dump_dps(c)).into() },
        Command {
            name: "dpctl/dump-flows",
            usage: dump,
            min: 0,
            max: 7,
            run: |c, args| dump_flows(c, args).into(),
        },
        Command {
            name: "dpctl/del-flows",
            usage: "[dp]",
            min: 0,
            max: 1,
            run: |c, args| del_flows(c, args.first().map(String::as_str)).into(),
        },
    ]
}

fn dump_dps(control: &Control) -> String {
    datapaths::in_use(control).into_iter().map(|name| format!("{}\n", name.text())).collect()
}

fn show(control: &Control, args: &[String]) -> Answer {
    let (options, names): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.starts_with('-'));
    let mut stats = false;
    for option in options {
        match option.as_str() {
            "-s" | "--statistics" => stats = true,
            other => return Err(format!("Unrecognized option {other}")),
        }
    }
    let wanted = if names.is_empty() {
        datapaths::in_use(control)
    } else {
        names.iter().map(|name| datapaths::choose(control, Some(name))).collect::<Result<_, _>>()?
    };
    Ok(wanted.into_iter().map(|name| show_one(control, name, stats)).collect())
}

fn show_one(control: &Control, name: Name, stats: bool) -> String {
    let lookups = control.datapath.lookup_stats();
    let mut out = format!(
        "{}:\n  lookups: hit:{} missed:{} lost:{}\n  flows: {}\n",
        name.text(),
        lookups.hit,
        lookups.missed,
        lookups.lost,
        lookups.flows
    );
    let members = datapaths::ports_of(control, name);
    for port in control.datapath.ports() {
        if port.number.0 != 0 && !members.contains(&port.number) {
            continue;
        }
        let kind = match port.spec.kind {
            PortKind::System => String::new(),
            _ => format!(" ({})", port.spec.kind.type_name()),
        };
        let _ = writeln!(out, "  port {}: {}{kind}", port.number.0, port.name());
        if stats {
            out.push_str(&port_stats(&port.counters.read()));
        }
    }
    out
}

fn port_stats(stats: &datapath::port::PortStats) -> String {
    let (rx, tx) = (stats.rx, stats.tx);
    format!(
        "    RX packets:{} errors:0 dropped:{} overruns:0 frame:0\n    TX packets:{} errors:0 dropped:{} aborted:0 carrier:0\n    \
         collisions:0\n    RX bytes:{}{}  TX bytes:{}{}\n",
        rx.packets,
        stats.rx_dropped(),
        tx.packets,
        stats.tx_dropped(),
        rx.bytes,
        human(rx.bytes),
        tx.bytes,
        human(tx.bytes)
    )
}

/// ` (1.2 MiB)` for what is a KiB or more.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    if value < 1.0 {
        return String::new();
    }
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    format!(" ({value:.1} {})", UNITS[unit])
}

fn dump_flows(control: &Control, args: &[String]) -> Answer {
    let (mut options, mut datapath, mut worker) = (DumpOptions::default(), None, None);
    let mut filter = None;
    for arg in args {
        if options.take(arg) {
        } else if let Some(text) = arg.strip_prefix("filter=") {
            filter = Some(parse_filter(control, text)?);
        } else if let Some(pmd) = arg.strip_prefix("pmd=") {
            worker = Some(if pmd == "-1" {
                0
            } else {
                pmd.parse::<usize>().map_err(|_| format!("Invalid pmd={pmd}"))?
            });
        } else if arg.starts_with("type=") {
            // All flows are of one kind here: none is offloaded.
        } else if arg.starts_with('-') {
            return Err(format!("Unrecognized option {arg}"));
        } else {
            datapath = Some(arg.as_str());
        }
    }
    let members = datapaths::ports_of(control, datapaths::choose(control, datapath)?);
    let (mut out, mut last) = (String::new(), None);
    for flow in datapaths::flows(control) {
        let wanted = members.contains(&PortNo(flow.key.in_port.get()))
            && worker.is_none_or(|worker| worker == flow.worker)
            && filter.as_ref().is_none_or(|filter: &openflow::Match| overlaps(filter, &flow));
        if !wanted {
            continue;
        }
        if last != Some(flow.worker) {
            last = Some(flow.worker);
            out.push_str(&heading(flow.worker));
        }
        let _ = writeln!(out, "{}", datapaths::line(control, &flow, options));
    }
    Ok(out)
}

/// What stands above the flows of a worker: the first one is what a plain set-up of Open vSwitch calls the main thread.
fn heading(worker: usize) -> String {
    match worker {
        0 => "flow-dump from the main thread:\n".into(),
        n => format!("flow-dump from pmd on cpu core: {n}\n"),
    }
}

fn parse_filter(control: &Control, text: &str) -> Result<openflow::Match, String> {
    let port = |name: &str| control.datapath.port_by_name(name).map(|port| openflow::OfPort(port.number.0));
    let found = openflow::text::parse_match(text, &port);
    found.map_err(|error| format!("ovs-vswitchd: Failed to parse filter ({error})"))
}

/// Whether a packet may be of the flow and pass the filter.
fn overlaps(filter: &openflow::Match, flow: &datapath::FlowDump) -> bool {
    let words = filter.mask.0.words().iter().zip(flow.mask.0.words());
    let values = filter.key.words().iter().zip(flow.key.words());
    words.zip(values).all(|((m1, m2), (v1, v2))| (v1 ^ v2) & m1 & m2 == 0)
}

fn del_flows(control: &Control, datapath: Option<&str>) -> Answer {
    datapaths::choose(control, datapath)?;
    control.datapath.purge_flows();
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(human(1000), "");
        assert_eq!(human(1536), " (1.5 KiB)");
        assert_eq!(human(3 << 30), " (3.0 GiB)");
    }
}
