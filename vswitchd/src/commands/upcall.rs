//! `upcall/*`: the cache of flows, in the words that Open vSwitch has for its threads. Here a worker does what handlers and
//! revalidators do there, so each worker is shown as one of them, with the flows that it has.

use std::fmt::Write as _;

use super::datapaths;
use crate::appctl::{Answer, Command};
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 6] {
    let command = |name, run| Command { name, usage: "", min: 0, max: 0, run };
    [
        command("upcall/show", |c, _| Ok(show(c)).into()),
        Command {
            name: "upcall/set-flow-limit",
            usage: "flow-limit-number",
            min: 1,
            max: 1,
            run: |c, args| set_limit(c, &args[0]).into(),
        },
        command("upcall/enable-megaflows", |c, _| set_megaflows(c, true).into()),
        command("upcall/disable-megaflows", |c, _| set_megaflows(c, false).into()),
        command("upcall/enable-ufid", |c, _| Ok(set_ufid(c, true)).into()),
        command("upcall/disable-ufid", |c, _| Ok(set_ufid(c, false)).into()),
    ]
}

fn show(control: &Control) -> String {
    let (stats, limit) = (control.datapath.cache_stats(), control.datapath.config().flow_limit);
    let mut out = String::new();
    for name in datapaths::in_use(control) {
        let _ = write!(
            out,
            "{}:\n  flows         : (current {}) (avg {}) (max {}) (limit {limit})\n  \
             dump duration : {}ms\n  ufid enabled : {}\n\n",
            name.text(),
            stats.current,
            control.upcalls.average(),
            stats.max,
            stats.walk.as_millis(),
            control.upcalls.ufid,
        );
        for (worker, flows) in stats.by_worker.iter().enumerate() {
            let _ = writeln!(out, "  {worker}: (keys {flows})");
        }
    }
    out
}

fn set_limit(control: &Control, text: &str) -> Answer {
    let limit = text.parse::<usize>().map_err(|_| format!("{text}: not a number of flows"))?;
    let config = datapath::Config { flow_limit: limit, ..(*control.datapath.config()).clone() };
    control.datapath.set_config(config).map_err(|error| error.to_string())?;
    Ok(format!("set flow_limit to {limit}\n"))
}

/// Flows of the other kind go at once.
fn set_megaflows(control: &Control, megaflows: bool) -> Answer {
    let config = datapath::Config { megaflows, ..(*control.datapath.config()).clone() };
    control.datapath.set_config(config).map_err(|error| error.to_string())?;
    Ok(if megaflows { "megaflows enabled\n" } else { "megaflows disabled\n" }.into())
}

/// A dump here never carries more than it shows: this is for those who look at what `upcall/show` says of it.
fn set_ufid(control: &mut Control, ufid: bool) -> String {
    control.upcalls.ufid = ufid;
    if ufid {
        "Datapath dumping tersely using UFID enabled for supported datapaths\n"
    } else {
        "Datapath dumping tersely using UFID disabled\n"
    }
    .into()
}
