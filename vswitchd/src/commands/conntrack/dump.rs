//! `dpctl/dump-conntrack`: connections, one a line.

use std::fmt::Write as _;

use conntrack::request::Helper;
use conntrack::{ConnInfo, Cursor, ProtoInfo, TcpState, Tuple, WindowScale};

use super::args::{self, Options};
use super::slice::{SLOTS, Slice};
use crate::appctl::{Command, Outcome, Pieces, Progress};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 1] {
    [Command {
        name: "dpctl/dump-conntrack",
        usage: "[-m] [-s] [dp] [zone=N]",
        min: 0,
        max: 4,
        run: |c, args| run(c, args).unwrap_or_else(|error| Outcome::Done(Err(error))),
    }]
}

fn run(control: &Control, args: &[String]) -> Result<Outcome<Control>, String> {
    let (options, mut args) = args::split(args)?;
    let zone = args::take_last(&mut args, "zone=").map(|zone| zone as u16);
    args::after_datapath(control, args, 1)?;
    Ok(Outcome::Pieces(lines(options, zone)))
}

fn lines(options: Options, zone: Option<u16>) -> Pieces<Control> {
    let (mut cursor, mut found) = (Cursor::default(), Vec::new());
    Box::new(move |control, out| {
        let (now_ns, slice) = (clock::now_ns(), Slice::begin());
        while !cursor.is_done() {
            control.datapath.tracker().dump(&mut cursor, now_ns, SLOTS, &mut found);
            let wanted = |conn: &ConnInfo| zone.is_none_or(|zone| zone == conn.zone);
            for conn in found.drain(..).filter(wanted) {
                line(out, &conn, options);
                out.push('\n');
            }
            if slice.is_spent() && !cursor.is_done() {
                return Progress::More;
            }
        }
        Progress::Done
    })
}

/// Appends a connection, without the end of the line. Writing to a string cannot fail, here and below.
pub(super) fn line(out: &mut String, conn: &ConnInfo, options: Options) {
    protocol(out, conn.original.proto);
    out.push_str(",orig=(");
    tuple(out, &conn.original);
    out.push_str("),reply=(");
    tuple(out, &conn.reply);
    out.push(')');
    if options.more {
        let _ = write!(out, ",id={}", conn.id);
    }
    if conn.zone != 0 {
        let _ = write!(out, ",zone={}", conn.zone);
    }
    if options.more {
        out.push_str(",status=0");
    }
    if options.statistics {
        let _ = write!(out, ",timeout={}", conn.timeout_secs);
    }
    if conn.mark != 0 {
        let _ = write!(out, ",mark={}", conn.mark);
    }
    if conn.label != 0 {
        let _ = write!(out, ",labels={:#x}", conn.label);
    }
    protocol_state(out, conn.state, options.more);
    if let Some(helper) = conn.helper {
        let _ = write!(out, ",helper={}", helper_name(helper));
    }
    if let Some(parent) = conn.parent.as_ref().filter(|_| options.more) {
        out.push_str(",parent=(");
        tuple(out, parent);
        out.push(')');
    }
}

/// The name of an application's helper.
pub(super) fn helper_name(helper: Helper) -> &'static str {
    match helper {
        Helper::Ftp => "ftp",
        Helper::Tftp => "tftp",
    }
}

/// Appends the name of an IP protocol, or its number.
pub(super) fn protocol(out: &mut String, number: u8) {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        other => {
            let _ = write!(out, "{other}");
            return;
        }
    };
    out.push_str(name);
}

/// Appends one direction of a connection.
pub(super) fn tuple(out: &mut String, tuple: &Tuple) {
    let _ = write!(out, "src={},dst={}", tuple.src_ip(), tuple.dst_ip());
    let _ = if tuple.is_icmp() {
        let [kind, code] = tuple.dport.to_be_bytes();
        write!(out, ",id={},type={kind},code={code}", tuple.sport)
    } else {
        write!(out, ",sport={},dport={}", tuple.sport, tuple.dport)
    };
}

fn protocol_state(out: &mut String, state: ProtoInfo, more: bool) {
    let _ = match state {
        ProtoInfo::None => return,
        ProtoInfo::Tcp(sides, scales) if more => return tcp_sides(out, sides, scales),
        ProtoInfo::Tcp([orig, reply], _) => {
            write!(out, ",protoinfo=(state={})", TcpState::of_connection(orig, reply).name())
        }
        ProtoInfo::Sctp(state) => write!(out, ",protoinfo=(state={})", state.name()),
    };
}

fn tcp_sides(out: &mut String, [orig, reply]: [TcpState; 2], scales: [WindowScale; 2]) {
    let _ = write!(out, ",protoinfo=(state_orig={},state_reply={}", orig.name(), reply.name());
    let [of_orig, of_reply] = scales.map(|scale| match scale {
        WindowScale::Shift(shift) => shift,
        WindowScale::None | WindowScale::Unknown => 0,
    });
    if of_orig != 0 || of_reply != 0 {
        let _ = write!(out, ",wscale_orig={of_orig},wscale_reply={of_reply}");
    }
    let [orig, reply] = scales.map(|scale| match scale {
        WindowScale::Shift(_) => "WINDOW_SCALE",
        WindowScale::None => "0",
        WindowScale::Unknown => "BE_LIBERAL",
    });
    let _ = write!(out, ",flags_orig={orig},flags_reply={reply})");
}

#[cfg(test)]
mod tests {
    use super::*;
    use conntrack::timeout::Stage;

    const PLAIN: Options = Options { more: false, statistics: false };
    const ALL: Options = Options { more: true, statistics: true };

    fn tcp() -> ConnInfo {
        let original = Tuple {
            src: conntrack::tuple::addr("10.0.0.1".parse().unwrap()),
            dst: conntrack::tuple::addr("10.0.0.2".parse().unwrap()),
            sport: 3,
            dport: 80,
            zone: 7,
            proto: 6,
            family: 4,
        };
        ConnInfo {
            original,
            reply: original.reversed(),
            zone: 7,
            mark: 9,
            label: 0x123,
            timeout_secs: 28,
            id: 4,
            stage: Stage::TcpOpening,
            state: ProtoInfo::Tcp(
                [TcpState::Established, TcpState::SynSent],
                [WindowScale::Shift(7), WindowScale::None],
            ),
            nat: None,
            helper: Some(Helper::Ftp),
            parent: Some(original),
        }
    }

    fn text(conn: &ConnInfo, options: Options) -> String {
        let mut out = String::new();
        line(&mut out, conn, options);
        out
    }

    #[test]
    fn a_line_is_open_vswitchs() {
        let (orig, reply) =
            ("src=10.0.0.1,dst=10.0.0.2,sport=3,dport=80", "src=10.0.0.2,dst=10.0.0.1,sport=80,dport=3");
        let start = format!("tcp,orig=({orig}),reply=({reply})");
        assert_eq!(
            text(&tcp(), PLAIN),
            format!("{start},zone=7,mark=9,labels=0x123,protoinfo=(state=ESTABLISHED),helper=ftp")
        );
        assert_eq!(
            text(&tcp(), ALL),
            format!(
                "{start},id=4,zone=7,status=0,timeout=28,mark=9,labels=0x123,protoinfo=(state_orig=ESTABLISHED,\
                 state_reply=SYN_SENT,wscale_orig=7,wscale_reply=0,flags_orig=WINDOW_SCALE,flags_reply=0),helper=ftp,\
                 parent=({orig})"
            )
        );
    }

    #[test]
    fn connections_that_were_open_before_are_judged_liberally() {
        let states = [TcpState::Established, TcpState::SynSent];
        let conn = ConnInfo { state: ProtoInfo::Tcp(states, [WindowScale::Unknown; 2]), ..tcp() };
        let flags = "state_reply=SYN_SENT,flags_orig=BE_LIBERAL,flags_reply=BE_LIBERAL)";
        assert!(text(&conn, ALL).contains(flags), "{}", text(&conn, ALL));
    }

    #[test]
    fn other_protocols_have_their_own_words() {
        let mut conn = ConnInfo { zone: 0, mark: 0, label: 0, helper: None, parent: None, ..tcp() };
        conn.original = Tuple { proto: 1, sport: 5, dport: 0x0800, zone: 0, ..conn.original };
        (conn.reply, conn.state) = (conn.original.reversed(), ProtoInfo::None);
        assert_eq!(
            text(&conn, PLAIN),
            "icmp,orig=(src=10.0.0.1,dst=10.0.0.2,id=5,type=8,code=0),reply=(src=10.0.0.2,dst=10.0.0.1,id=5,type=0,code=0)"
        );
        conn.original = Tuple { proto: 132, ..conn.original };
        conn.state = ProtoInfo::Sctp(conntrack::SctpState::CookieWait);
        assert!(text(&conn, PLAIN).ends_with(",protoinfo=(state=COOKIE_WAIT)"));
        conn.original = Tuple { proto: 47, ..conn.original };
        assert!(text(&conn, PLAIN).starts_with("47,orig="));
    }
}
