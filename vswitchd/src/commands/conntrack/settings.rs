//! How many connections there are and may be, whether TCP's sequence numbers are checked, how often the table is swept.

use super::{args, invalid};
use crate::appctl::{Answer, Command};
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 8] {
    let command = |name, usage, min, max, run| Command { name, usage, min, max, run };
    [
        command("dpctl/ct-set-maxconns", "[dp] maxconns", 1, 2, |c, args| set_max(c, args).into()),
        command("dpctl/ct-get-maxconns", "[dp]", 0, 1, |c, args| {
            show(c, args, |c| format!("{}\n", c.datapath.tracker().max_connections())).into()
        }),
        command("dpctl/ct-get-nconns", "[dp]", 0, 1, |c, args| {
            show(c, args, |c| format!("{}\n", c.datapath.tracker().connections())).into()
        }),
        command("dpctl/ct-enable-tcp-seq-chk", "[dp]", 0, 1, |c, args| set_check(c, args, true).into()),
        command("dpctl/ct-disable-tcp-seq-chk", "[dp]", 0, 1, |c, args| set_check(c, args, false).into()),
        command("dpctl/ct-get-tcp-seq-chk", "[dp]", 0, 1, |c, args| show(c, args, check).into()),
        command("dpctl/ct-set-sweep-interval", "[dp] ms", 1, 2, |c, args| set_sweep(c, args).into()),
        command("dpctl/ct-get-sweep-interval", "[dp]", 0, 1, |c, args| {
            show(c, args, |c| format!("{}\n", c.datapath.tracker().sweep_interval_ms())).into()
        }),
    ]
}

fn show(control: &Control, args: &[String], text: fn(&Control) -> String) -> Answer {
    let (_, args) = args::split(args)?;
    args::after_datapath(control, args, 1)?;
    Ok(text(control))
}

/// The number that is the last argument.
fn number(control: &Control, args: &[String], what: &str) -> Result<u32, String> {
    let (_, args) = args::split(args)?;
    let last = args.last().copied().unwrap_or_default();
    args::after_datapath(control, args, 2)?;
    let number = args::scan(last).ok_or_else(|| invalid(format_args!("{what} missing or malformed")))?;
    Ok(number as u32)
}

fn set_max(control: &Control, args: &[String]) -> Answer {
    let max = number(control, args, "maxconns")?;
    control.datapath.tracker().set_max_connections(max);
    Ok("setting maxconns successful\n".into())
}

fn set_sweep(control: &Control, args: &[String]) -> Answer {
    let ms = number(control, args, "sweep interval")?;
    control.datapath.tracker().set_sweep_interval_ms(ms);
    Ok("setting sweep interval successful\n".into())
}

/// A datapath that does not exist is passed over here, as Open vSwitch does.
fn set_check(control: &Control, args: &[String], on: bool) -> Answer {
    let (_, args) = args::split(args)?;
    args::after_datapath(control, args, usize::MAX)?;
    control.datapath.tracker().set_tcp_seq_check(on);
    Ok(format!("{} TCP sequence checking successful\n", if on { "enabling" } else { "disabling" }))
}

fn check(control: &Control) -> String {
    let on = control.datapath.tracker().tcp_seq_check();
    format!("TCP sequence checking: {}\n", if on { "enabled" } else { "disabled" })
}
