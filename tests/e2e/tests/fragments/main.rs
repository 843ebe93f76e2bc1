//! Fragments through `ct()`: tracked as the datagram that they are, sent on as they came.
//!
//! Everything here holds of Open vSwitch's userspace datapath too (`TURNOUTD=/usr/lib/openvswitch-switch/ovs-vswitchd`), which sends
//! fragments on in order of offset; what is compared is therefore a set, but where they come in that order.

mod cut;
mod wire;

use cut::{Datagram, join};
use e2e::{Host, Sandbox, wait_until};
use wire::Wire;

/// Sources that the rules below give to frames, by what the tracker says.
const NEW: [u8; 6] = [0, 0, 0, 0, 0, 0x0a];
const INVALID: [u8; 6] = [0, 0, 0, 0, 0, 0x1e];

const RULES: &str = "table=0,priority=1,dl_type=0x0800,in_port=1,actions=ct(table=1,zone=5)
table=0,priority=1,dl_type=0x86dd,in_port=1,actions=ct(table=1,zone=5)
table=1,ct_state=+inv+trk,ct_zone=5,actions=mod_dl_src:00:00:00:00:00:1e,output:2
table=1,ct_state=+new+trk,ct_zone=5,actions=mod_dl_src:00:00:00:00:00:0a,output:2
";

/// What ends each exchange: a whole datagram.
const LAST_ID: u16 = 0xfff0;

struct Bench {
    sandbox: Sandbox,
    hosts: [Host; 2],
    sender: Wire,
    receiver: Wire,
    last: u16,
}

impl Bench {
    fn new(rules: &str) -> Self {
        let sandbox = Sandbox::new();
        sandbox
            .netns()
            .sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
        let hosts = [Host::quiet(sandbox.netns(), "p1", 1), Host::quiet(sandbox.netns(), "p2", 2)];
        sandbox.add_bridge("br0", &["p1", "p2"]);
        let bench = Self {
            sender: Wire::start(hosts[0].netns()),
            receiver: Wire::start(hosts[1].netns()),
            sandbox,
            hosts,
            last: LAST_ID,
        };
        bench.rules(rules);
        bench
    }

    fn rules(&self, rules: &str) {
        self.sandbox.ofctl(&["del-flows", "br0"]);
        rules.lines().for_each(|rule| drop(self.sandbox.ofctl(&["add-flow", "br0", rule])));
    }

    /// Sends frames, and what comes of them: the source that each got, and the frame with its own source.
    fn pass(&mut self, frames: &[Vec<u8>]) -> Vec<([u8; 6], Vec<u8>)> {
        self.receiver.clear();
        frames.iter().for_each(|frame| self.sender.send(frame));
        // One that is not held back shows that the others have been decided upon.
        self.last += 1;
        let end = Datagram::v4(self.last, 100).cut(&[])[0].clone();
        self.sender.send(&end);
        let is_end = |frame: &Vec<u8>| frame.len() == end.len() && frame[14..20] == end[14..20];
        wait_until("the last packet", || self.receiver.heard().iter().any(is_end));
        let heard = self.receiver.heard().into_iter().filter(|frame| !is_end(frame));
        heard
            .map(|mut frame| {
                let mark = std::array::from_fn(|at| frame[6 + at]);
                frame[6..12].copy_from_slice(&end[6..12]);
                (mark, frame)
            })
            .collect()
    }

    /// Demands that these frames pass, each marked so, in any order.
    fn passes(&mut self, what: &str, sent: &[Vec<u8>], want: &[([u8; 6], Vec<u8>)]) {
        let mut got = self.pass(sent);
        let mut want = want.to_vec();
        got.sort();
        want.sort();
        assert!(got == want, "{what}: {}, not {}", tell(&got), tell(&want));
    }

    fn status(&self, name: &str) -> u64 {
        let text = self.sandbox.appctl(&["dpctl/ipf-get-status"]);
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

fn tell(frames: &[([u8; 6], Vec<u8>)]) -> String {
    let one = |(mark, frame): &([u8; 6], Vec<u8>)| {
        format!("{:02x}:{}@{:02x?}", mark[5], frame.len(), &frame[18..22])
    };
    frames.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn marked(mark: [u8; 6], frames: &[Vec<u8>]) -> Vec<([u8; 6], Vec<u8>)> {
    frames.iter().map(|frame| (mark, frame.clone())).collect()
}

#[test]
fn fragments_pass_as_they_came_in_any_order() {
    let mut bench = Bench::new(RULES);
    let mut id = 0;
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        id += 1;
        for datagram in Datagram::both(id, 3000) {
            let cut = datagram.cut(&[1304, 2608]);
            let sent: Vec<_> = order.iter().map(|n: &usize| cut[*n].clone()).collect();
            let want = marked(NEW, &cut);
            if order == [0, 1, 2] {
                assert!(bench.pass(&sent) == want, "{}", datagram.family());
            } else {
                bench.passes(datagram.family(), &sent, &want);
            }
        }
    }
    assert_eq!((bench.status("v4 frags completed"), bench.status("v6 frags accepted")), (9, 9));
    assert_eq!(bench.status("num frag"), 0);
}

#[test]
fn every_ct_of_a_pipeline_tracks_the_datagram() {
    let mut bench = Bench::new(
        "table=0,priority=1,dl_type=0x0800,in_port=1,actions=ct(commit,zone=3),ct(zone=5,table=1)
table=0,priority=1,dl_type=0x86dd,in_port=1,actions=ct(commit,zone=3),ct(zone=5,table=1)
table=1,dl_type=0x0800,ct_state=+new+trk,ct_zone=5,actions=ct(zone=6,table=2)
table=1,dl_type=0x86dd,ct_state=+new+trk,ct_zone=5,actions=ct(zone=6,table=2)
table=2,ct_state=+new+trk,ct_zone=6,actions=mod_dl_src:00:00:00:00:00:0a,output:2
",
    );
    for datagram in Datagram::both(1, 3000) {
        let cut = datagram.cut(&[1304, 2608]);
        bench.passes(datagram.family(), &cut, &marked(NEW, &cut));
    }
    let connections = bench.sandbox.appctl(&["dpctl/dump-conntrack", "zone=3"]);
    let udp =
        connections.lines().filter(|line| line.starts_with("udp,") && line.contains("sport=1000,dport=2000"));
    assert_eq!(udp.count(), 2, "{connections}");
}

#[test]
fn duplicates_are_invalid_and_the_datagram_passes() {
    let mut bench = Bench::new(RULES);
    for datagram in Datagram::both(1, 3000) {
        let cut = datagram.cut(&[1304, 2608]);
        let sent = [cut[0].clone(), cut[0].clone(), cut[1].clone(), cut[2].clone()];
        let mut want = marked(NEW, &cut);
        want.push((INVALID, cut[0].clone()));
        bench.passes(datagram.family(), &sent, &want);
        assert_eq!(bench.status(&format!("{} frags overlapped", datagram.family())), 1);
    }
}

#[test]
fn what_overlaps_never_becomes_part_of_a_datagram() {
    let mut bench = Bench::new(RULES);
    for (id, (start, end)) in [(1304 - 8, 2608), (1304, 2608 + 8), (0, 2608)].into_iter().enumerate() {
        let body = vec![0x55; end - start];
        for datagram in Datagram::both(id as u16 + 1, 3000) {
            let cut = datagram.cut(&[1304, 2608]);
            let over = datagram.fragment(start, true, &body[..body.len().min(1400)]);
            let got = bench.pass(&[cut[0].clone(), cut[2].clone(), over, cut[1].clone()]);
            let valid: Vec<_> =
                got.iter().filter(|(mark, _)| *mark == NEW).map(|(_, frame)| frame.clone()).collect();
            // An IPv6 datagram may also be gone as a whole (RFC 5722).
            let gone = valid.is_empty() && datagram.family() == "v6";
            assert!(gone || join(&valid) == join(&cut), "{}: {}", datagram.family(), tell(&got));
        }
    }
}

#[test]
fn small_ones_and_disabled_ones_are_invalid() {
    let mut bench = Bench::new(RULES);
    for datagram in Datagram::both(1, 1800) {
        let family = datagram.family();
        let cut = datagram.cut(&[1000]);
        bench.passes(family, &cut[..1], &marked(INVALID, &cut[..1]));
        assert_eq!(bench.status(&format!("{family} frags too small")), 1);
        let said = bench.sandbox.appctl(&["dpctl/ipf-set-min-frag", family, "1000"]);
        assert_eq!(said.trim(), "setting minimum fragment size successful");
        bench.passes(family, &cut, &marked(NEW, &cut));

        let said = bench.sandbox.appctl(&["dpctl/ipf-set-disabled", family]);
        assert_eq!(said.trim(), "disabling fragmentation reassembly successful");
        bench.passes(family, &cut, &marked(INVALID, &cut));
        let said = bench.sandbox.appctl(&["dpctl/ipf-set-enabled", family]);
        assert_eq!(said.trim(), "enabling fragmentation reassembly successful");
        bench.passes(family, &cut, &marked(NEW, &cut));
    }
}

#[test]
fn only_so_many_wait_and_the_tools_show_them() {
    let mut bench = Bench::new(RULES);
    let said = bench.sandbox.appctl(&["dpctl/ipf-set-max-nfrags", "2"]);
    assert_eq!(said.trim(), "setting maximum fragments successful");
    let [v4, v6] = Datagram::both(65_520, 3000).map(|datagram| datagram.cut(&[1304, 2608]));
    bench.passes("first two", &[v4[0].clone(), v6[1].clone()], &[]);
    bench.passes("a third", &v4[2..], &marked(INVALID, &v4[2..]));
    let text = bench.sandbox.appctl(&["dpctl/ipf-get-status", "-m"]);
    let lists: Vec<_> = text.lines().skip_while(|line| line.trim() != "Fragment Lists:").collect();
    for line in [
        "(src=10.0.0.1,dst=10.0.0.2,recirc_id=0,ip_id=65520,dl_type=0x800,zone=5,nw_proto=17,num_fragments=1,state=first frag)",
        "(src=fd00::1,dst=fd00::2,recirc_id=0,ip_id=65520,dl_type=0x86dd,zone=5,nw_proto=0,num_fragments=1,state=other frag)",
    ] {
        assert!(lists.contains(&line), "{line} not in {text}");
    }
    assert_eq!((bench.status("num frag"), bench.status("max num frags (v4/v6)")), (2, 2));
}

#[test]
fn limits_out_of_range_are_refused() {
    let bench = Bench::new(RULES);
    for (args, error) in [
        (
            ["dpctl/ipf-set-min-frag", "v4", "399"],
            "requested minimum fragment size too small; see documentation (Operation not permitted)",
        ),
        (
            ["dpctl/ipf-set-min-frag", "v6", "399"],
            "requested minimum fragment size too small; see documentation (Operation not permitted)",
        ),
        (
            ["dpctl/ipf-set-min-frag", "vv", "500"],
            "parameter missing: v4 for IPv4 or v6 for IPv6 (Invalid argument)",
        ),
        (
            ["dpctl/ipf-set-min-frag", "v4", "x"],
            "parameter missing for minimum fragment size (Invalid argument)",
        ),
    ] {
        let output = bench.sandbox.try_appctl(&args);
        assert!(output.code != 0 && output.stderr.contains(error), "{args:?}: {output:?}");
    }
    let output = bench.sandbox.try_appctl(&["dpctl/ipf-set-max-nfrags", "5001"]);
    assert!(
        output.stderr.contains("setting maximum fragments failed (Operation not permitted)"),
        "{output:?}"
    );
    let output = bench.sandbox.try_appctl(&["dpctl/ipf-set-enabled", "v7"]);
    let error = "parameter missing: 'v4' for IPv4 or 'v6' for IPv6 (Invalid argument)";
    assert!(output.stderr.contains(error), "{output:?}");
}

#[test]
fn translation_reaches_all_parts() {
    let mut bench = Bench::new(
        "table=0,priority=1,dl_type=0x0800,in_port=1,actions=ct(commit,nat(src=10.0.0.9:7777),table=1,zone=5)
table=0,priority=1,dl_type=0x86dd,in_port=1,actions=ct(commit,nat(src=[fd00::9]:7777),table=1,zone=5)
table=1,ct_state=+new+trk,ct_zone=5,actions=mod_dl_src:00:00:00:00:00:0a,output:2
",
    );
    for datagram in Datagram::both(1, 3000) {
        let cut = datagram.cut(&[1304, 2608]);
        // The packet that ends an exchange is translated too; its header tells it all the same.
        let got = bench.pass(&cut);
        let frames: Vec<_> = got.iter().map(|(_, frame)| frame.clone()).collect();
        assert_eq!(
            frames.iter().map(Vec::len).collect::<Vec<_>>(),
            cut.iter().map(Vec::len).collect::<Vec<_>>()
        );
        frames.iter().for_each(|frame| frames::verify(frame).unwrap());
        let whole = join(&frames);
        frames::verify(&whole).unwrap();
        let (source, ports) = if datagram.family() == "v4" { (26..30, 34) } else { (22..38, 54) };
        assert!(frames.iter().all(|frame| frame[source.end - 1] == 9));
        assert_eq!(whole[ports..ports + 4], [0x1e, 0x61, 0x07, 0xd0]);
        assert_eq!(whole[ports + 8..], join(&cut)[ports + 8..]);
    }
}

#[test]
fn large_pings_pass_a_firewall_one_way() {
    let bench = Bench::new(
        "table=0,dl_type=0x0800,nw_proto=1,actions=ct(table=1,zone=9)
table=1,dl_type=0x0800,nw_proto=1,in_port=1,ct_state=+new+trk,actions=ct(commit,zone=9),output:2
table=1,dl_type=0x0800,nw_proto=1,in_port=1,ct_state=+est+trk,actions=output:2
table=1,dl_type=0x0800,nw_proto=1,in_port=2,ct_state=+est+trk,actions=output:1
",
    );
    let [a, b] = &bench.hosts;
    for size in [1472, 1473, 4000, 40_000] {
        let ping = |from: &Host, to: &Host| {
            from.netns().succeeds(&format!("ping -c 2 -i 0.2 -W 5 -s {size} {}", to.address()))
        };
        assert!(ping(a, b), "{size} bytes");
    }
    assert!(!b.netns().succeeds("ping -c 1 -W 1 -s 4000 10.0.0.1"), "nothing begins on the other side");
}
