//! `dpctl/dump-conntrack-exp`: connections that FTP and TFTP have announced and that have not come yet, one a line.

use std::fmt::Write as _;

use conntrack::ExpectInfo;

use super::{args, dump};
use crate::appctl::{Answer, Command};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 1] {
    [Command {
        name: "dpctl/dump-conntrack-exp",
        usage: "[dp] [zone=N]",
        min: 0,
        max: 2,
        run: |c, args| run(c, args).into(),
    }]
}

/// There are never more than the tracker's bound, some thousands.
fn run(control: &Control, args: &[String]) -> Answer {
    let (_, mut args) = args::split(args)?;
    let zone = args::take_last(&mut args, "zone=").map(|zone| zone as u16);
    args::after_datapath(control, args, 1)?;
    let all = control.datapath.tracker().expectations(clock::now_ns());
    let wanted = all.iter().filter(|expected| zone.is_none_or(|zone| zone == expected.tuple.zone));
    Ok(wanted.map(line).collect())
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

    #[test]
    fn a_line_tells_what_is_expected_and_by_whom() {
        let addr = |text: &str| conntrack::tuple::addr(text.parse().unwrap());
        let (src, dst) = (addr("10.0.0.2"), addr("10.0.0.1"));
        let tuple = Tuple { src, dst, sport: 0, dport: 4000, zone: 3, proto: 6, family: 4 };
        let parent = Tuple { src: dst, dst: src, sport: 1000, dport: 21, ..tuple };
        let expected =
            ExpectInfo { tuple, parent, helper: Helper::Ftp, nat: None, mark: 0, label: 1, left_ns: 5 };
        assert_eq!(
            line(&expected),
            "tcp,orig=(src=10.0.0.2,dst=10.0.0.1,sport=0,dport=4000),zone=3,labels=0x1,helper=ftp,\
             parent=(src=10.0.0.1,dst=10.0.0.2,sport=1000,dport=21)\n"
        );
    }
}
