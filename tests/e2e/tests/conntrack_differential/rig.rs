//! A tracker between two devices, and conversations played through it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use e2e::{Flavor, Netns, Sandbox};

use crate::talk::{Talk, stamp};

/// A box that tracks and forwards between `p1` and `p2`, whose other ends are `h1` and `h2` in a namespace that is silent.
pub(crate) struct Rig {
    outside: Netns,
    tracker: Tracker,
}

/// How a switch tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Setting {
    /// As it does by itself.
    Plain,
    /// It translates addresses as [`Nat`](crate::talk::Nat) says.
    Translating,
    /// It does not look at windows of TCP.
    Liberal,
}

/// What came of a conversation.
#[derive(Clone, Default)]
pub(crate) struct Said {
    /// The states of its packets.
    pub(crate) states: Vec<String>,
    /// The packets as they came out.
    pub(crate) frames: Vec<String>,
}

enum Tracker {
    Switch(Sandbox),
    Kernel(Netns),
}

const SILENT: &str = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";

fn cables(inside: &Netns, outside: &Netns) {
    for n in 1..=2 {
        let peer = outside.name();
        inside
            .ip(&format!("link add p{n} address 02:00:00:00:01:0{n} type veth peer name h{n} netns {peer}"));
        outside.ip(&format!("link set h{n} up"));
        inside.ip(&format!("link set p{n} up"));
    }
}

/// The rules of a switch that commits what is new and writes what it says into the MACs.
fn rules(translate: bool) -> String {
    let mut flows = String::new();
    for (ip, ct, vip, server, one) in [
        ("ip", "CT_NW", "nw_dst=10.8.0.1", "10.2.0.1", "10.9.0.1"),
        ("ipv6", "CT_IPV6", "ipv6_dst=fd08::1", "fd02::1", "fd09::1"),
    ] {
        let state = "move:NXM_NX_CT_STATE[0..7]->NXM_OF_ETH_DST[0..7]";
        // What can be asked of a packet that has a connection.
        let all = format!(
            "{state},move:NXM_NX_{ct}_SRC[0..31]->NXM_OF_ETH_DST[8..39],move:NXM_NX_{ct}_DST[0..31]->NXM_OF_ETH_SRC[0..31],move:NXM_NX_CT_NW_PROTO[]->NXM_OF_ETH_SRC[32..39]"
        );
        let (found, to_server, to_one) = match translate {
            true => (",nat", format!(",nat(dst={server})"), format!(",nat(src={one})")),
            false => ("", String::new(), String::new()),
        };
        flows += &format!("table=0,{ip},actions=ct(table=1,zone=1{found})\n");
        let mut rule = |priority, rest: String, actions: String| {
            flows += &format!("table=1,priority={priority},{ip},{rest},actions={actions}\n");
        };
        let new = |nat: &str, to| format!("{all},ct(commit,zone=1{nat}),output:{to}");
        rule(3, format!("in_port=1,{vip},ct_state=+new"), new(&to_server, 2));
        rule(2, "in_port=1,ct_state=+new".into(), new(&to_one, 2));
        rule(2, "in_port=2,ct_state=+new".into(), new("", 1));
        for (from, to) in [(1, 2), (2, 1)] {
            rule(1, format!("in_port={from},ct_state=+est"), format!("{all},output:{to}"));
            rule(1, format!("in_port={from},ct_state=+rel-est"), format!("{all},output:{to}"));
            rule(0, format!("in_port={from}"), format!("{state},output:{to}"));
        }
    }
    flows
}

impl Rig {
    /// A switch that commits what is new and writes into the MACs of each packet what the tracker says of it, in the last byte of the
    /// destination its `ct_state`.
    pub(crate) fn switch(flavor: Flavor, setting: Setting) -> Self {
        let mut sandbox = Sandbox::bare(flavor);
        let outside = Netns::new("out");
        sandbox.netns().sh(SILENT);
        outside.sh(SILENT);
        cables(sandbox.netns(), &outside);
        sandbox.start_database();
        sandbox.start_switch();
        sandbox.add_bridge("br0", &["p1", "p2"]);
        let flows = rules(setting == Setting::Translating);
        std::fs::write(sandbox.path("flows"), flows).unwrap();
        // What is closed is forgotten after 10 seconds otherwise, which is too soon on a busy machine.
        let datapath = "set open . datapaths:netdev=@d".split(' ');
        let create = ["--", "--id=@d", "create", "datapath", "datapath_version=0", "--"];
        sandbox.vsctl(&create.into_iter().chain(datapath).collect::<Vec<_>>());
        sandbox.vsctl(&["add-zone-tp", "netdev", "zone=1", "tcp_close=600"]);
        if setting == Setting::Liberal {
            sandbox.appctl(&["dpctl/ct-disable-tcp-seq-chk"]);
        }
        sandbox.ofctl(&["del-flows", "br0"]);
        sandbox.ofctl(&["add-flows", "br0", sandbox.path("flows").to_str().unwrap()]);
        Self { outside, tracker: Tracker::Switch(sandbox) }
    }

    /// The kernel as a router, which writes what its tracker says into the DSCP: see [`kernel_state`].
    pub(crate) fn kernel() -> Self {
        let (inside, outside) = (Netns::new("router"), Netns::new("out"));
        outside.sh(SILENT);
        inside.sh(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.all.forwarding=1",
        );
        cables(&inside, &outside);
        for n in 1..=2 {
            for (ip, gateway, net) in [
                ("-4", format!("10.255.{n}.2"), format!("10.{n}.0.0/16")),
                ("-6", format!("fdff:{n}::2"), format!("fd0{n}::/16")),
            ] {
                inside.sh(&format!(
                    "ip {ip} route add {gateway} dev p{n} && ip {ip} route add {net} via {gateway} dev p{n} && ip {ip} neigh add {gateway} lladdr 02:00:00:00:00:0{n} dev p{n}"
                ));
            }
        }
        let mut rules = "table inet t { chain f { type filter hook forward priority 0;\n".to_owned();
        for ip in ["ip", "ip6"] {
            rules += &format!("ct state invalid {ip} dscp set 1\n");
            for (n, state) in KERNEL_STATES.iter().enumerate().skip(2) {
                rules += &format!("ct state {state} ct direction original {ip} dscp set {n}\n");
                rules += &format!("ct state {state} ct direction reply {ip} dscp set {}\n", n + 8);
            }
        }
        inside.sh(&format!("echo '{rules}}}\n}}' | nft -f -"));
        inside.sh("sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=600");
        Self { outside, tracker: Tracker::Kernel(inside) }
    }

    /// Plays conversations side by side, packet by packet, and gives what the tracker said of each packet, and the packet (in
    /// hexadecimal).
    pub(crate) fn play(&self, talks: &[Talk]) -> Vec<Said> {
        let rounds = talks.iter().map(|talk| talk.steps.len()).max().unwrap_or(0);
        let mut input = String::new();
        for round in 0..rounds {
            for (number, talk) in talks.iter().enumerate() {
                let Some(step) = talk.steps.get(round) else { continue };
                let mut frame = step.frame.clone();
                stamp(&mut frame, number as u16);
                let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
                input += &format!("{} {hex}\n", u8::from(step.reply));
            }
            input.push('\n');
        }
        let output = self.send(&input);
        let mut results = output.lines();
        let mut said = vec![Said::default(); talks.len()];
        for round in 0..rounds {
            for (number, talk) in talks.iter().enumerate() {
                if round < talk.steps.len() {
                    let result = results.next().expect("a result for each frame");
                    said[number].states.push(self.state(result));
                    said[number].frames.push(result.to_owned());
                }
            }
        }
        said
    }

    fn send(&self, input: &str) -> String {
        let player = Path::new(env!("CARGO_MANIFEST_DIR")).join("players/frames.py");
        let mut command = self.outside.command("python3");
        command.arg(player).args(["h1", "h2"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the player failed");
        String::from_utf8(output.stdout).unwrap()
    }

    fn state(&self, result: &str) -> String {
        let byte = |at: usize| u8::from_str_radix(&result[2 * at..2 * at + 2], 16).unwrap();
        if result == "-" {
            return "lost".into();
        }
        match self.tracker {
            Tracker::Switch(_) => switch_state(byte(5)),
            Tracker::Kernel(_) => {
                let class = if byte(12) == 0x08 { byte(15) } else { byte(14) << 4 | byte(15) >> 4 };
                kernel_state(class >> 2)
            }
        }
    }

    /// The connections that the tracker holds, as its tool shows them.
    pub(crate) fn connections(&self) -> String {
        match &self.tracker {
            Tracker::Switch(sandbox) => sandbox.appctl(&["dpctl/dump-conntrack", "-m"]),
            Tracker::Kernel(netns) => {
                netns.sh("conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null")
            }
        }
    }
}

/// The names of the bits of `ct_state`.
fn switch_state(bits: u8) -> String {
    const NAMES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
    let names = NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join("|")
}

const KERNEL_STATES: [&str; 5] = ["untracked", "invalid", "new", "established", "related"];

/// What a DSCP of the router says, in the words of a switch.
fn kernel_state(class: u8) -> String {
    let state = ["untracked", "inv", "new", "est", "rel"].get(usize::from(class & 7)).unwrap_or(&"?");
    let reply = if class & 8 != 0 { "|rpl" } else { "" };
    format!("{state}{reply}|trk")
}
