//! Every flow of a corpus as the real `ovs-ofctl` sends it, in every version that can express it: read, written back, and printed.

use crate::switch::{self, Received};
use crate::{corpus, ofp_parse};
use openflow::Version;
use std::fmt::Write;
use std::process::Command;

/// The flows that `version` can express.
fn flows(version: Version) -> Vec<&'static str> {
    let minor = char::from(b'0' + version.wire() - 1);
    let lines = include_str!("../data/flows.txt").lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs.filter(|(minors, _)| minors.contains(minor)).map(|(_, flow)| flow).collect()
}

/// Has `ovs-ofctl` send the flows to a switch and gives what arrived.
fn sent(version: Version, options: &[&str]) -> Vec<Received> {
    let dir = tempfile::tempdir().unwrap();
    let (socket, file) = (dir.path().join("switch"), dir.path().join("flows"));
    let flows = flows(version);
    std::fs::write(&file, flows.join("\n")).unwrap();
    let received = switch::listen(&socket, version);
    let mut command = Command::new("ovs-ofctl");
    command.args(["-O", version.name()]).args(options).arg("add-flows");
    let output = command.arg(format!("unix:{}", socket.display())).arg(&file).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{version}: {complaint}");
    let received: Vec<Received> = received.try_iter().collect();
    assert_eq!(received.len(), flows.len(), "{version}: {complaint}");
    received
}

/// Match and actions of a printed flow-mod.
fn reduce(line: &str) -> &str {
    let rest = line.split_once(": ").map_or(line, |(_, rest)| rest).trim_start_matches("ADD ");
    let rest = match rest.split_once(' ') {
        Some((first, rest)) if first.starts_with("table:") => rest,
        _ => rest,
    };
    match rest.split_once([',', ' ']) {
        Some((first, rest)) if first.starts_with("priority=") => rest,
        _ => rest,
    }
}

/// Whether the line tells this match and these actions. Between them stand cookie, times and flags.
fn tells(line: &str, flow_match: &str, actions: &str) -> bool {
    let rest = reduce(line);
    let (head, tail) = rest.split_once("actions=").unwrap_or((rest, ""));
    let head = head.strip_prefix(flow_match).filter(|rest| rest.is_empty() || rest.starts_with(' '));
    tail == actions && (head.is_some() || flow_match.is_empty())
}

fn check(received: &[Received]) -> String {
    let mut bad = String::new();
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for (i, Received { bytes, dialect, flow }) in received.iter().enumerate() {
        let mut out = Vec::new();
        let message = openflow::Message::FlowMod(Box::new(flow.clone()));
        let xid = openflow::Header::parse(bytes).unwrap().xid;
        message.encode(dialect, xid, &mut out).unwrap();
        if out != *bytes {
            writeln!(bad, "{}\n became {}", corpus::hex(bytes), corpus::hex(&out)).unwrap();
        }
        out[4..8].copy_from_slice(&(i as u32).to_be_bytes());
        messages.push(out);
    }
    let text = ofp_parse::print(&messages);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("FLOW_MOD")).collect();
    assert_eq!(lines.len(), received.len());
    for (line, received) in lines.iter().zip(received) {
        let flow_match = received.flow.flow_match.to_string();
        let actions = received.flow.instructions.to_string();
        if !tells(line, &flow_match, &actions) {
            writeln!(bad, "theirs {}\n ours {flow_match} actions={actions}", reduce(line)).unwrap();
        }
    }
    bad
}

#[test]
fn flows_are_read_as_they_are_sent() {
    let mut count = 0;
    for version in Version::ALL {
        let received = sent(version, &[]);
        count += received.len();
        let bad = check(&received);
        assert!(bad.is_empty(), "{version}:\n{bad}");
    }
    assert!(count > 2000, "{count} flows");
}

#[test]
fn flows_in_bundles_are_read_as_they_are_sent() {
    for version in [Version::V13, Version::V14, Version::V15] {
        let bad = check(&sent(version, &["--bundle"]));
        assert!(bad.is_empty(), "{version}:\n{bad}");
    }
}
