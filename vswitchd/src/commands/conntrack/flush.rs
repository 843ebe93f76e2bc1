//! `dpctl/flush-conntrack`: connections are forgotten.

use conntrack::{Cursor, Filter};

use super::args;
use super::flush_args::{self, Target};
use super::slice::{SLOTS, Slice};
use crate::appctl::{Command, Outcome, Pieces, Progress};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 1] {
    [Command {
        name: "dpctl/flush-conntrack",
        usage: "[dp] [zone=N] [mark=X[/M]] [labels=X[/M]] [ct-orig-tuple] [ct-reply-tuple]",
        min: 0,
        max: 6,
        run: |c, args| run(c, args).unwrap_or_else(|error| Outcome::Done(Err(error))),
    }]
}

fn run(control: &Control, args: &[String]) -> Result<Outcome<Control>, String> {
    let (_, args) = args::split(args)?;
    let first = args.first().copied();
    let cannot_open = |error| format!("{error}\novs-vswitchd: Cannot open dpif (Invalid argument)");
    let args = args::after_datapath(control, args, 6).map_err(cannot_open)?;
    let Some(target) = flush_args::read(&args)? else {
        // There is one argument too many, and the first of them all is not a datapath.
        args::after_datapath(control, first.into_iter().collect(), 1).map_err(cannot_open)?;
        return Err(super::invalid("too many arguments"));
    };
    match target {
        Target::All(filter) => Ok(Outcome::Pieces(all(filter))),
        Target::One(tuple) if control.datapath.tracker().flush_one(&tuple, clock::now_ns()) => {
            Ok(Outcome::Done(Ok(String::new())))
        }
        Target::One(_) => Err("ovs-vswitchd: failed to flush conntrack (No such file or directory)".into()),
    }
}

fn all(filter: Filter) -> Pieces<Control> {
    let mut cursor = Cursor::at(clock::now_ns());
    Box::new(move |control, _| {
        let slice = Slice::begin();
        while !control.datapath.tracker().flush(&filter, &mut cursor, SLOTS) {
            if slice.is_spent() {
                return Progress::More;
            }
        }
        Progress::Done
    })
}
