//! `dpctl/dump-conntrack-exp`: connections that FTP and TFTP have announced and that have not come yet, one a line.

use std::fmt::Write as _;

use conntrack::ExpectInfo;

use super::slice::Slice;
use super::{args, dump};
use crate::appctl::{Command, Outcome, Pieces, Progress};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 1] {
    [Command {
        name: "dpctl/dump-conntrack-exp",
        usage: "[dp] [zone=N]",
        min: 0,
        max: 2,
        run: |c, args| run(c, args).unwrap_or_else(|error| Outcome::Done(Err(error))),
    }]
}

/// Lines written between two looks at the clock.
const LINES: usize = 64;

fn run(control: &Control, args: &[String]) -> Result<Outcome<Control>, String> {
    let (_, mut args) = args::split(args)?;
    let zone = args::take_last(&mut args, "zone=").map(|zone| zone as u16);
    args::after_datapath(control, args, 1)?;
    let mut all = control.datapath.tracker().expectations(clock::now_ns());
    all.retain(|expected| zone.is_none_or(|zone| zone == expected.tuple.zone));
    Ok(Outcome::Pieces(lines(all)))
}

/// There are never more than the tracker's bound, some thousands: they are copied at once and written in slices.
fn lines<C>(all: Vec<ExpectInfo>) -> Pieces<C> {
    let mut left = all.into_iter();
    Box::new(move |_, out| {
        let slice = Slice::begin();
        while left.len() > 0 {
            out.extend(left.by_ref().take(LINES).map(|expected| line(&expected)));
            if slice.is_spent() && left.len() > 0 {
                return Progress::More;
            }
        }
        Progress::Done
    })
}

fn line(expected: &ExpectInfo) -> String {
    let mut out = String::new();
    dump::protocol(&mut out, expected.tuple.proto);
    out.push_str(",orig=(");
    dump::tuple(&mut out, &expected.tuple);
    out.push(')');
    if expected.tuple.zone != 0 {
        let _ = write!(out, ",zone={}", expected.tuple.zone);
    }
    if expected.mark != 0 {
        let _ = write!(out, ",mark={}", expected.mark);
    }
    if expected.label != 0 {
        let _ = write!(out, ",labels={:#x}", expected.label);
    }
    let _ = write!(out, ",helper={},parent=(", dump::helper_name(expected.helper));
    dump::tuple(&mut out, &expected.parent);
    out.push_str(")\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use conntrack::Tuple;
    use conntrack::request::Helper;

    fn expected() -> ExpectInfo {
        let addr = |text: &str| conntrack::tuple::addr(text.parse().unwrap());
        let (src, dst) = (addr("10.0.0.2"), addr("10.0.0.1"));
        let tuple = Tuple { src, dst, sport: 0, dport: 4000, zone: 3, proto: 6, family: 4 };
        let parent = Tuple { src: dst, dst: src, sport: 1000, dport: 21, ..tuple };
        ExpectInfo { tuple, parent, helper: Helper::Ftp, nat: None, mark: 0, label: 1, left_ns: 5 }
    }

    #[test]
    fn as_many_as_there_are_come_in_turns() {
        let mut pieces = lines(vec![expected(); 50_000]);
        let (mut out, mut turns) = (String::new(), 1);
        while pieces(&mut (), &mut out) == Progress::More {
            turns += 1;
        }
        assert_eq!(out.lines().count(), 50_000);
        assert!(turns > 1);
    }

    #[test]
    fn a_line_tells_what_is_expected_and_by_whom() {
        assert_eq!(
            line(&expected()),
            "tcp,orig=(src=10.0.0.2,dst=10.0.0.1,sport=0,dport=4000),zone=3,labels=0x1,helper=ftp,\
             parent=(src=10.0.0.1,dst=10.0.0.2,sport=1000,dport=21)\n"
        );
    }
}
