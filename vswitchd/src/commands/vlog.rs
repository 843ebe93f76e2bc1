//! `vlog/*`: the log.

use crate::appctl::{Answer, Command};
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 7] {
    let spec = "{spec | PATTERN:destination:pattern}";
    [
        Command {
            name: "vlog/set",
            usage: spec,
            min: 1,
            max: usize::MAX,
            run: |c, args| set(c, args).into(),
        },
        Command { name: "vlog/list", usage: "", min: 0, max: 0, run: |c, _| Ok(c.log.list()).into() },
        Command {
            name: "vlog/list-pattern",
            usage: "",
            min: 0,
            max: 0,
            run: |c, _| Ok(c.log.list_patterns()).into(),
        },
        Command {
            name: "vlog/reopen",
            usage: "",
            min: 0,
            max: 0,
            run: |c, _| c.log.reopen().map(|()| String::new()).into(),
        },
        Command { name: "vlog/close", usage: "", min: 0, max: 0, run: |c, _| close(c).into() },
        Command {
            name: "vlog/enable-rate-limit",
            usage: "[module]...",
            min: 0,
            max: usize::MAX,
            run: |c, args| limit(c, args, true).into(),
        },
        Command {
            name: "vlog/disable-rate-limit",
            usage: "[module]...",
            min: 0,
            max: usize::MAX,
            run: |c, args| limit(c, args, false).into(),
        },
    ]
}

fn set(control: &mut Control, specs: &[String]) -> Answer {
    specs.iter().try_for_each(|spec| control.log.set(spec)).map(|()| String::new())
}

fn close(control: &mut Control) -> Answer {
    control.log.close();
    Ok(String::new())
}

fn limit(control: &mut Control, modules: &[String], on: bool) -> Answer {
    control.log.set_rate_limited(modules, on).map(|()| String::new())
}
