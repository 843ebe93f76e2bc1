//! `ofproto/trace` against what Open vSwitch 3.1 says, recorded in `expected.txt` by `record.sh`.

mod bench;

/// Differences that stand: Open vSwitch's userspace datapath cannot do some masked sets itself, and says so. Contexts are numbered by
/// whoever comes first, so their numbers say nothing.
fn normalise(text: &str) -> String {
    let slow =
        |line: &&str| !line.starts_with("This flow is handled") && !line.starts_with("  - Uses action");
    let mut out = String::new();
    for line in text.lines().filter(slow) {
        out.push_str(&without_number(&without_number(line, "recirc_id=", ','), "recirc(", ')'));
        out.push('\n');
    }
    out
}

/// A line in which the numbers after `label` are `N`, but for the zero that every megaflow has.
fn without_number(line: &str, label: &str, end: char) -> String {
    let mut parts = line.split(label);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_at(part.find(end).unwrap_or(part.len()));
        out.push_str(label);
        out.push_str(if number == "0" { "0" } else { "N" });
        out.push_str(rest);
    }
    out
}

#[test]
fn says_what_open_vswitch_says() {
    let bench = bench::Bench::new();
    let mut wrong = Vec::new();
    for case in include_str!("expected.txt").trim_start_matches("> ").split("\n> ") {
        let (order, expected) = case.split_once('\n').unwrap_or((case, ""));
        let said = bench.obey(order);
        if normalise(&said) != normalise(expected) {
            wrong.push(format!("> {order}\n--- expected\n{expected}--- said\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
