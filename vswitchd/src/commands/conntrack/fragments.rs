//! `dpctl/ipf-*`: fragments that wait for the rest of their datagram.

use std::fmt::Write as _;

use conntrack::frag::Family;

use super::{args, invalid, not_permitted};
use crate::appctl::{Answer, Command};
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 5] {
    let command = |name, usage, min, max, run| Command { name, usage, min, max, run };
    [
        command("dpctl/ipf-set-enabled", "[dp] v4|v6", 1, 2, |c, args| set_enabled(c, args, true).into()),
        command("dpctl/ipf-set-disabled", "[dp] v4|v6", 1, 2, |c, args| set_enabled(c, args, false).into()),
        command("dpctl/ipf-set-min-frag", "[dp] v4|v6 minfragment", 2, 3, |c, args| set_min(c, args).into()),
        command("dpctl/ipf-set-max-nfrags", "[dp] maxfrags", 1, 2, |c, args| set_max(c, args).into()),
        command("dpctl/ipf-get-status", "[dp]", 0, 1, |c, args| status(c, args).into()),
    ]
}

fn family(text: &str) -> Option<Family> {
    match text {
        "v4" => Some(Family::V4),
        "v6" => Some(Family::V6),
        _ => None,
    }
}

/// A datapath that does not exist is passed over here, as Open vSwitch does.
fn set_enabled(control: &Control, args: &[String], on: bool) -> Answer {
    let (_, args) = args::split(args)?;
    let args = args::after_datapath(control, args, usize::MAX)?;
    let family = args
        .last()
        .and_then(|text| family(text))
        .ok_or_else(|| invalid("parameter missing: 'v4' for IPv4 or 'v6' for IPv6"))?;
    control.datapath.tracker().fragments().set_enabled(family, on);
    Ok(format!("{} fragmentation reassembly successful\n", if on { "enabling" } else { "disabling" }))
}

fn set_min(control: &Control, args: &[String]) -> Answer {
    let (_, args) = args::split(args)?;
    let args = args::after_datapath(control, args, 3)?;
    let [.., version, size] = args.as_slice() else {
        return Err(invalid("parameter missing: v4 for IPv4 or v6 for IPv6"));
    };
    let family = family(version).ok_or_else(|| invalid("parameter missing: v4 for IPv4 or v6 for IPv6"))?;
    let bytes =
        args::scan(size).ok_or_else(|| invalid("parameter missing for minimum fragment size"))? as u32;
    control.datapath.tracker().fragments().set_min_size(family, bytes).map_err(not_permitted)?;
    Ok("setting minimum fragment size successful\n".into())
}

fn set_max(control: &Control, args: &[String]) -> Answer {
    let (_, args) = args::split(args)?;
    let args = args::after_datapath(control, args, 2)?;
    let number = args.last().and_then(|text| args::scan(text));
    let fragments = number.ok_or_else(|| invalid("parameter missing for maximum fragments"))? as u32;
    control.datapath.tracker().fragments().set_max_fragments(fragments).map_err(not_permitted)?;
    Ok("setting maximum fragments successful\n".into())
}

fn status(control: &Control, args: &[String]) -> Answer {
    let (options, args) = args::split(args)?;
    args::after_datapath(control, args, 1)?;
    let fragments = control.datapath.tracker().fragments();
    let mut out = fragments.status().to_string();
    if options.more {
        out.push_str("\n        Fragment Lists:\n\n");
        for datagram in fragments.incomplete() {
            let _ = writeln!(out, "{datagram}");
        }
    }
    Ok(out)
}
