//! `ofproto/*` and `bridge/*`: bridges, their rules, and what those would do.

use std::fmt::Write as _;

use openflow::text;

use crate::appctl::{Answer, Command};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 4] {
    let trace = "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]";
    [
        Command { name: "ofproto/list", usage: "", min: 0, max: 0, run: |c, _| Ok(list(c)).into() },
        Command {
            name: "ofproto/trace",
            usage: trace,
            min: 1,
            max: usize::MAX,
            run: |c, args| c.switch.trace(args, clock::now_ns()).into(),
        },
        Command {
            name: "bridge/dump-flows",
            usage: "[--offload-stats] bridge",
            min: 1,
            max: 2,
            run: |c, args| dump(c, args).into(),
        },
        Command {
            name: "bridge/reconnect",
            usage: "[bridge]",
            min: 0,
            max: 1,
            run: |c, args| reconnect(c, args.first().map(String::as_str)).into(),
        },
    ]
}

fn list(control: &Control) -> String {
    let mut names: Vec<_> =
        control.switch.bridges().iter().map(|bridge| format!("{}\n", bridge.name())).collect();
    names.sort();
    names.concat()
}

/// All rules, hidden ones as well.
fn dump(control: &Control, args: &[String]) -> Answer {
    let name = args.iter().find(|arg| *arg != "--offload-stats").ok_or("Unknown bridge")?;
    let bridge = control.switch.bridge(name).ok_or("Unknown bridge")?;
    let now_ns = clock::now_ns();
    let mut out = String::new();
    for rule in bridge.all_rules() {
        let (spec, totals) = (rule.spec(), rule.totals());
        if spec.table != 0 {
            let _ = write!(out, "table_id={}, ", spec.table);
        }
        let seconds = now_ns.saturating_sub(spec.created_ns) / 1_000_000_000;
        let _ = write!(
            out,
            "duration={seconds}s, n_packets={}, n_bytes={}, ",
            totals.hits.packets, totals.hits.bytes
        );
        let prefix = text::rule_prefix(spec.priority, &rule.flow_match());
        let _ = writeln!(out, "{prefix}actions={}", text::instructions(&spec.instructions));
    }
    Ok(out)
}

fn reconnect(control: &mut Control, name: Option<&str>) -> Answer {
    if let Some(name) = name
        && control.switch.bridge(name).is_none()
    {
        return Err("Unknown bridge".into());
    }
    control.connections.reconnect(name, clock::now_ns());
    Ok(String::new())
}
