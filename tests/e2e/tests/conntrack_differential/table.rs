//! What the trackers remember after the conversations.

use crate::differences::Peer;
use crate::talk::{Ends, Kind, Talk};

/// The connections between these hosts in a dump, without what is numbered by each tracker for itself.
fn of(dump: &str, ends: Ends) -> Vec<String> {
    let hosts = [false, true].map(|reply| format!("src={}", ends.text(reply)));
    let is_ours = |line: &&str| {
        let words: Vec<&str> = line.split([' ', ',', '(']).collect();
        hosts.iter().all(|host| words.contains(&host.as_str()))
    };
    let mut lines: Vec<String> = dump.lines().filter(is_ours).map(without_id).collect();
    lines.sort();
    lines
}

fn without_id(line: &str) -> String {
    match line.split_once("),id=") {
        Some((tuples, rest)) => format!("{tuples}),{}", rest.split_once(',').map_or("", |(_, rest)| rest)),
        None => line.to_owned(),
    }
}

/// How two trackers' memories of a conversation differ; `None` if they do not.
pub(crate) fn difference(peer: Peer, talk: &Talk, dumps: [&str; 2]) -> Option<String> {
    let [ours, theirs] = dumps.map(|dump| of(dump, talk.ends));
    let same = match peer {
        Peer::OpenVswitch => ours == theirs,
        Peer::Kernel => {
            let mut theirs: Vec<String> = theirs.iter().map(|line| kernel_shape(line)).collect();
            let mut ours: Vec<String> = ours.iter().map(|line| shape(line)).collect();
            ours.sort();
            theirs.sort();
            ours == theirs
        }
    };
    (!same).then(|| format!("{:?} {:?}\n  {ours:?}\n  {theirs:?}", talk.kind, talk.ends))
}

/// Whether the tables of a conversation of this kind are compared: Open vSwitch's tuples of SCTP have no ports.
pub(crate) fn is_comparable(peer: Peer, talk: &Talk) -> bool {
    peer == Peer::Kernel || talk.kind != Kind::Sctp
}

fn value<'a>(line: &'a str, key: &str) -> &'a str {
    line.split([' ', ',', '(', ')']).find_map(|word| word.strip_prefix(key)).unwrap_or("")
}

/// Protocol, opener and stage of a connection. The kernel holds one state for both sides, so a FIN that is sent again counts as the other
/// side's; so stages are compared, not states.
fn kernel_shape(line: &str) -> String {
    let proto = line.split(' ').next().unwrap_or("");
    let stage = match line.split_whitespace().nth(3).filter(|_| proto == "tcp").unwrap_or("") {
        "" => "",
        "SYN_SENT" | "SYN_SENT2" | "SYN_RECV" => "opening",
        "ESTABLISHED" => "open",
        "CLOSE" => "reset",
        _ => "closing",
    };
    shape_of(proto, line, stage)
}

/// The same of a switch's connection.
fn shape(line: &str) -> String {
    let stage = match (value(line, "state_orig="), value(line, "state_reply=")) {
        ("", "") => "",
        ("TIME_WAIT", "TIME_WAIT") => "reset",
        ("SYN_SENT", "SYN_SENT" | "CLOSED") | ("ESTABLISHED", "SYN_SENT") => "opening",
        ("ESTABLISHED", "ESTABLISHED") => "open",
        _ => "closing",
    };
    shape_of(line.split(',').next().unwrap_or(""), line, stage)
}

fn shape_of(proto: &str, line: &str, stage: &str) -> String {
    format!("{proto} {} {}{} {stage}", value(line, "src="), value(line, "sport="), value(line, "id="))
}
