//! The process itself: `version`, `exit`, `coverage/*`, `memory/show`, `set-options`.

use crate::appctl::{Answer, Command, Outcome};
use crate::cli;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 5] {
    [
        Command { name: "version", usage: "", min: 0, max: 0, run: |_, _| Ok(cli::version_text()).into() },
        Command { name: "exit", usage: "[--cleanup]", min: 0, max: 1, run: exit },
        Command {
            name: "coverage/show",
            usage: "",
            min: 0,
            max: 0,
            run: |c, _| Ok(c.coverage_text()).into(),
        },
        Command {
            name: "coverage/read-counter",
            usage: "COUNTER",
            min: 1,
            max: 1,
            run: |c, args| read(c, &args[0]).into(),
        },
        Command { name: "memory/show", usage: "", min: 0, max: 0, run: |c, _| Ok(c.memory_text()).into() },
    ]
}

/// Ends the switch; the answer comes when the bridges are gone.
fn exit(control: &mut Control, args: &[String]) -> Outcome<Control> {
    control.request_exit(args.first().is_some_and(|arg| arg == "--cleanup"));
    Outcome::Later(Box::new(|control| control.is_torn_down().then(|| Ok(String::new()))))
}

fn read(control: &Control, name: &str) -> Answer {
    let counters = control.coverage();
    let found = counters.iter().find(|(counter, _)| *counter == name);
    found.map(|(_, total)| format!("{total}\n")).ok_or_else(|| "No such counter".into())
}
