//! The same set-up on our switch and on Debian's, side by side.

use std::thread;

use crate::command::Output;
use crate::netns::Host;
use crate::sandbox::{Flavor, Sandbox};

/// One switch of each flavor, each with two quiet hosts on `p1` and `p2` of `br0`.
#[derive(Debug)]
pub struct Pair {
    /// Ours.
    pub ours: Side,
    /// Debian's.
    pub theirs: Side,
}

/// One of the two.
#[derive(Debug)]
pub struct Side {
    /// The switch.
    pub sandbox: Sandbox,
    /// The host on `p1`, 10.0.0.1.
    pub h1: Host,
    /// The host on `p2`, 10.0.0.2.
    pub h2: Host,
}

impl Pair {
    /// Starts both. All MACs are chosen, IPv6 is off and neighbours are known, so nothing is sent that a test does not send.
    pub fn new(fail_mode: &str) -> Self {
        let theirs = {
            let fail_mode = fail_mode.to_owned();
            thread::spawn(move || Side::new(Flavor::OpenVswitch, &fail_mode))
        };
        let ours = Side::new(Flavor::Turnout, fail_mode);
        Self { ours, theirs: theirs.join().expect("Open vSwitch starts") }
    }

    /// Does the same on both sides.
    pub fn both<T>(&self, act: impl Fn(&Side) -> T) -> (T, T) {
        (act(&self.ours), act(&self.theirs))
    }

    /// Runs a program on both sides and demands the same normalised output and exit code.
    pub fn same(&self, what: &str, act: impl Fn(&Sandbox) -> Output) {
        let (ours, theirs) = self.both(|side| act(&side.sandbox));
        let (ours, theirs) = (normalise_output(&ours), normalise_output(&theirs));
        assert!(ours == theirs, "{what}:\n--- ours ---\n{ours}\n--- Open vSwitch ---\n{theirs}");
    }

    /// `ovs-ofctl` with these words on both sides, demanded to give the same.
    pub fn ofctl(&self, words: &str) {
        let args: Vec<&str> = words.split_whitespace().collect();
        self.same(&format!("ovs-ofctl {words}"), |sandbox| sandbox.try_ofctl(&args));
    }

    /// `ovs-appctl` with these words on both sides, demanded to give the same.
    pub fn appctl(&self, words: &str) {
        let args: Vec<&str> = words.split_whitespace().collect();
        self.same(&format!("ovs-appctl {words}"), |sandbox| sandbox.try_appctl(&args));
    }
}

impl Side {
    fn new(flavor: Flavor, fail_mode: &str) -> Self {
        let sandbox = Sandbox::bare(flavor);
        sandbox
            .netns()
            .sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
        let h1 = Host::quiet(sandbox.netns(), "p1", 1);
        let h2 = Host::quiet(sandbox.netns(), "p2", 2);
        let mut side = Self { sandbox, h1, h2 };
        side.sandbox.start_database();
        side.sandbox.start_switch();
        let fail_mode = format!("fail_mode={fail_mode}");
        side.sandbox.add_bridge("br0", &["p1", "p2"]);
        side.sandbox.vsctl(&[
            "set",
            "bridge",
            "br0",
            &fail_mode,
            "other_config:hwaddr=aa:55:aa:55:00:00",
            "other_config:datapath-id=0000aa55aa550000",
        ]);
        side
    }
}

fn normalise_output(output: &Output) -> String {
    format!("exit {}\n{}{}", output.code, normalise(&output.stdout), normalise(&output.stderr))
}

/// Takes out what must differ between two runs: durations, ages, transaction ids, timestamps, our name. Nothing else.
pub fn normalise(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for key in ["duration=", "idle_age=", "hard_age=", "xid=", "time=", "used:"] {
            line = mask_after(&line, key);
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Replaces the number (and unit) that follows each `key` by `?`.
fn mask_after(line: &str, key: &str) -> String {
    let mut parts = line.split(key);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit() || matches!(c, '.' | 's' | 'x'));
        out.push_str(key);
        out.push('?');
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_and_ids_go() {
        let line = " cookie=0x1, duration=4.5s, table=0, n_packets=2, n_bytes=84, idle_age=1, in_port=1 actions=output:2";
        let want = " cookie=0x1, duration=?, table=0, n_packets=2, n_bytes=84, idle_age=?, in_port=1 actions=output:2\n";
        assert_eq!(normalise(line), want);
        assert_eq!(
            normalise("OFPT_FEATURES_REPLY (xid=0x2): dpid:0000aa"),
            "OFPT_FEATURES_REPLY (xid=?): dpid:0000aa\n"
        );
    }
}
