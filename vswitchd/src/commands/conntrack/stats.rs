//! `dpctl/ct-stats-show` and `dpctl/ct-bkts`: how many connections there are, by what they are and by where they are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use conntrack::{ConnInfo, Cursor, ProtoInfo, TcpState};

use super::args;
use super::slice::{SLOTS, Slice};
use crate::appctl::{Answer, Command, Outcome, Pieces, Progress};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 2] {
    [
        Command {
            name: "dpctl/ct-stats-show",
            usage: "[dp] [zone=N]",
            min: 0,
            max: 3,
            run: |c, args| show(c, args).unwrap_or_else(|error| Outcome::Done(Err(error))),
        },
        Command {
            name: "dpctl/ct-bkts",
            usage: "[dp] [gt=N]",
            min: 0,
            max: 2,
            run: |c, args| buckets(c, args).into(),
        },
    ]
}

/// The protocols that are told apart, in order, with their numbers.
const PROTOCOLS: [(&str, &[u8]); 7] = [
    ("TCP", &[6]),
    ("UDP", &[17]),
    ("UDPLITE", &[136]),
    ("SCTP", &[132]),
    ("ICMP", &[1, 58]),
    ("DCCP", &[33]),
    ("IGMP", &[2]),
];

/// Connections counted so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Counts {
    total: u64,
    /// By place in [`PROTOCOLS`]; the last is all others.
    protocols: [u64; PROTOCOLS.len() + 1],
    tcp_states: BTreeMap<u8, (TcpState, u64)>,
}

impl Counts {
    fn add(&mut self, conn: &ConnInfo) {
        let place = PROTOCOLS.iter().position(|(_, numbers)| numbers.contains(&conn.original.proto));
        self.protocols[place.unwrap_or(PROTOCOLS.len())] += 1;
        self.total += 1;
        if let ProtoInfo::Tcp([orig, reply], _) = conn.state {
            let state = TcpState::of_connection(orig, reply);
            self.tcp_states.entry(state as u8).or_insert((state, 0)).1 += 1;
        }
    }

    fn text(&self, verbose: bool) -> String {
        let mut out = format!("Connections Stats:\n    Total: {}\n", self.total);
        let names = PROTOCOLS.iter().map(|(name, _)| *name).chain(["Other"]);
        for (name, count) in names.zip(self.protocols).filter(|(_, count)| *count > 0) {
            let _ = writeln!(out, "  {name}: {count}");
            if name == "TCP" && verbose {
                out.push_str("    Conn per TCP states:\n");
                for (state, count) in self.tcp_states.values() {
                    let _ = writeln!(out, "\t  [{}]={count}", state.name());
                }
            }
        }
        out
    }
}

fn show(control: &Control, args: &[String]) -> Result<Outcome<Control>, String> {
    let (options, mut args) = args::split(args)?;
    let (mut verbose, mut zone) = (options.more, None);
    loop {
        if args.last() == Some(&"verbose") {
            verbose = true;
            args.pop();
        } else if let Some(found) = args::take_last(&mut args, "zone=") {
            zone = Some(found as u16);
        } else {
            break;
        }
    }
    args::after_datapath(control, args, 1)?;
    Ok(Outcome::Pieces(count(zone, verbose)))
}

fn count(zone: Option<u16>, verbose: bool) -> Pieces<Control> {
    let (mut cursor, mut found, mut counts) = (Cursor::default(), Vec::new(), Counts::default());
    Box::new(move |control, out| {
        let (now_ns, slice) = (clock::now_ns(), Slice::begin());
        while !cursor.is_done() {
            control.datapath.tracker().dump(&mut cursor, now_ns, SLOTS, &mut found);
            let wanted = |conn: &ConnInfo| zone.is_none_or(|zone| zone == conn.zone);
            found.drain(..).filter(wanted).for_each(|conn| counts.add(&conn));
            if slice.is_spent() && !cursor.is_done() {
                return Progress::More;
            }
        }
        out.push_str(&counts.text(verbose));
        Progress::Done
    })
}

fn buckets(control: &Control, args: &[String]) -> Answer {
    let (_, mut args) = args::split(args)?;
    let above = args::take_last(&mut args, "gt=").unwrap_or(0);
    args::after_datapath(control, args, 1)?;
    let tracker = control.datapath.tracker();
    let (_, lens) = tracker.buckets();
    Ok(bucket_table(tracker.connections(), &lens, above))
}

/// The entries of each hash table of the index, eight a line; a dot where there are no more than `above`.
fn bucket_table(connections: u32, lens: &[usize], above: u64) -> String {
    const RULE: &str = "+-----------+-----------------------------------------+\n";
    let mut out = format!("Total Buckets: {}\nCurrent Connections: {connections}\n\n", lens.len());
    if connections > 0 {
        let _ = write!(out, "{RULE}|  Buckets  |         Connections per Buckets         |\n{RULE}");
        for (row, lens) in lens.chunks(8).enumerate() {
            let _ = write!(out, "{:>4}..{:>3}   |", row * 8, row * 8 + 7);
            for len in lens {
                let _ = if *len as u64 > above { write!(out, " {len:>5}") } else { write!(out, "     .") };
            }
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_and_states_are_listed_when_there_are_any() {
        let mut counts = Counts { total: 4, protocols: [3, 0, 0, 0, 0, 0, 0, 1], ..Counts::default() };
        counts.tcp_states.insert(2, (TcpState::SynSent, 2));
        counts.tcp_states.insert(4, (TcpState::Established, 1));
        assert_eq!(counts.text(false), "Connections Stats:\n    Total: 4\n  TCP: 3\n  Other: 1\n");
        assert_eq!(
            counts.text(true),
            "Connections Stats:\n    Total: 4\n  TCP: 3\n    Conn per TCP states:\n\t  [SYN_SENT]=2\n\t  [ESTABLISHED]=1\n  Other: 1\n"
        );
    }

    #[test]
    fn buckets_stand_in_rows_of_eight() {
        assert_eq!(bucket_table(0, &[0; 9], 0), "Total Buckets: 9\nCurrent Connections: 0\n\n");
        let text = bucket_table(9, &[0, 18, 0, 0, 0, 0, 0, 0, 1], 1);
        let rows: Vec<&str> = text.lines().skip(6).collect();
        assert_eq!(
            rows,
            ["   0..  7   |     .    18     .     .     .     .     .     .", "   8.. 15   |     .", ""]
        );
    }
}
