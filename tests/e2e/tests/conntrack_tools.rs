//! What operators see of connection tracking is what Open vSwitch shows: `dpctl/*`, `ovs-ofctl ct-flush`, timeouts from the database,
//! connection fields in packet-ins. And what only this switch has: events.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::{Output, Pair, Sandbox, try_run, wait_for};
use frames::{Frame, L4, Net, V4};
use serde_json::Value;

/// A frame from 10.0.0.`a` to 10.0.0.`b`.
fn frame(a: u8, b: u8, l4: L4) -> String {
    let net = Net::V4(V4 { src: [10, 0, 0, a], dst: [10, 0, 0, b], l4, ..V4::default() });
    Frame::new(net).build().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn udp(a: u8, src: u16, b: u8, dst: u16) -> String {
    frame(a, b, L4::Udp { src, dst, checksum: true, payload: vec![1, 2, 3, 4] })
}

fn syn(src: u16, dst: u16, options: Vec<u8>) -> String {
    frame(1, 2, L4::Tcp { src, dst, flags: 2, options, payload: Vec::new() })
}

fn ping(id: u8) -> String {
    // The four bytes behind the checksum are the identifier and the sequence number.
    frame(1, 2, L4::Icmp { kind: 8, code: 0, body: vec![0, id, 0, 1] })
}

fn send(sandbox: &Sandbox, frame: &str, actions: &str) {
    sandbox.ofctl(&["packet-out", "br0", &format!("in_port=local,packet={frame},actions={actions}")]);
}

/// Connections of several protocols, in zones 0, 5, 6 and 7.
fn fill(sandbox: &Sandbox) {
    let marked = "ct(commit,zone=5,exec(load:0x7->NXM_NX_CT_MARK[],set_field:0x123->ct_label))";
    send(sandbox, &udp(1, 1000, 2, 2000), marked);
    send(sandbox, &udp(1, 1001, 3, 53), "ct(commit)");
    send(sandbox, &udp(3, 53, 1, 1001), "ct");
    send(sandbox, &syn(1100, 80, Vec::new()), "ct(commit,zone=6,nat(src=10.1.1.1:5000))");
    send(sandbox, &syn(1200, 80, vec![3, 3, 7, 0]), "ct(commit,zone=7)");
    send(sandbox, &syn(1300, 21, Vec::new()), "ct(commit,zone=7,alg=ftp)");
    send(sandbox, &ping(5), "ct(commit,zone=5)");
    send(sandbox, &frame(1, 2, L4::Raw { proto: 47, bytes: vec![0; 8] }), "ct(commit,zone=5)");
}

/// Takes out what differs and may: the order of connections, their numbers, and what is left of their time.
fn comparable(mut output: Output) -> Output {
    let mut lines: Vec<String> = output.stdout.lines().map(|line| masked(line, ",timeout=")).collect();
    if lines.iter().any(|line| line.contains(",orig=(")) {
        lines = lines.iter().map(|line| masked(line, "),id=")).collect();
        lines.sort();
    }
    output.stdout = lines.join("\n");
    output
}

fn masked(line: &str, key: &str) -> String {
    let Some((before, after)) = line.split_once(key) else { return line.to_owned() };
    format!("{before}{key}?{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn same(pair: &Pair, words: &str) {
    let args: Vec<&str> = words.split_whitespace().collect();
    pair.same(&format!("ovs-appctl {words}"), |sandbox| comparable(sandbox.try_appctl(&args)));
}

fn all_same(pair: &Pair, commands: &str) {
    commands.lines().for_each(|words| same(pair, words));
}

#[test]
fn dumps_and_figures() {
    let pair = Pair::new("secure");
    pair.both(|side| fill(&side.sandbox));
    all_same(
        &pair,
        "dpctl/dump-conntrack
dpctl/dump-conntrack -m
dpctl/dump-conntrack -s
dpctl/dump-conntrack --more --statistics netdev@ovs-netdev zone=5
dpctl/dump-conntrack zone=7x
dpctl/dump-conntrack zone=65543
dpctl/dump-conntrack zone=99
dpctl/dump-conntrack zone=x
dpctl/dump-conntrack nodp
dpctl/dump-conntrack netdev@nodp
dpctl/dump-conntrack -z
dpctl/dump-conntrack a b zone=99
dpctl/dump-conntrack a b c d e
dpctl/ct-stats-show
dpctl/ct-stats-show -m
dpctl/ct-stats-show verbose zone=7
dpctl/ct-stats-show netdev@ovs-netdev zone=5 verbose
dpctl/ct-stats-show zone=x
dpctl/ct-stats-show a b c d
dpctl/ct-bkts foo
dpctl/ct-bkts gt=x
dpctl/ct-bkts a b c
dpctl/ct-get-nconns
dpctl/ct-get-nconns foo",
    );
    let (ours, theirs) = pair.both(|side| side.sandbox.appctl(&["dpctl/dump-conntrack"]).lines().count());
    assert_eq!((ours, theirs), (7, 7));
}

/// Connections: how many, how strictly, how many in a zone.
const SETTINGS: &str = "\
dpctl/ct-get-maxconns
dpctl/ct-set-maxconns
dpctl/ct-set-maxconns x
dpctl/ct-set-maxconns -1
dpctl/ct-set-maxconns 10x
dpctl/ct-get-maxconns netdev@ovs-netdev
dpctl/ct-set-maxconns netdev@ovs-netdev 100
dpctl/ct-set-maxconns foo 100
dpctl/ct-set-maxconns a b c
dpctl/ct-get-maxconns
dpctl/ct-get-tcp-seq-chk
dpctl/ct-disable-tcp-seq-chk
dpctl/ct-get-tcp-seq-chk
dpctl/ct-enable-tcp-seq-chk foo
dpctl/ct-enable-tcp-seq-chk a b
dpctl/ct-get-tcp-seq-chk foo
dpctl/ct-get-tcp-seq-chk netdev@ovs-netdev
dpctl/ct-get-limits
dpctl/ct-set-limits
dpctl/ct-set-limits default=10
dpctl/ct-set-limits default=x
dpctl/ct-set-limits zone=1,limit=5 zone=0x2,limit=6
dpctl/ct-get-limits
dpctl/ct-get-limits zone=1,2,3
dpctl/ct-get-limits zone=x
dpctl/ct-get-limits foo
dpctl/ct-set-limits netdev@ovs-netdev default=20 zone=7,limit=1
dpctl/ct-get-limits netdev@ovs-netdev zone=2
dpctl/ct-set-limits zone=5
dpctl/ct-set-limits zone=70000,limit=5
dpctl/ct-set-limits zone=8,limit=5,foo=7
dpctl/ct-set-limits zone=1,limit=9 default=8
dpctl/ct-set-limits zone=14,limit=
dpctl/ct-del-limits
dpctl/ct-del-limits zone=1
dpctl/ct-del-limits zone=7,99
dpctl/ct-del-limits foo
dpctl/ct-del-limits foo zone=1
dpctl/ct-get-limits zone=1 zone=2
dpctl/ct-get-limits";

/// Fragments.
const FRAGMENTS: &str = "\
dpctl/ipf-get-status
dpctl/ipf-get-status -m
dpctl/ipf-get-status foo
dpctl/ipf-set-disabled v4
dpctl/ipf-set-enabled v5
dpctl/ipf-set-enabled foo v6
dpctl/ipf-set-min-frag v4 500
dpctl/ipf-set-min-frag v5 1300
dpctl/ipf-set-min-frag v4 10
dpctl/ipf-set-min-frag v4 x
dpctl/ipf-set-min-frag netdev@ovs-netdev v6 1300
dpctl/ipf-set-min-frag foo v4 1200
dpctl/ipf-set-max-nfrags x
dpctl/ipf-set-max-nfrags 6000
dpctl/ipf-set-max-nfrags 500
dpctl/ipf-get-status netdev@ovs-netdev";

#[test]
fn settings() {
    let pair = Pair::new("secure");
    all_same(&pair, SETTINGS);
    all_same(&pair, FRAGMENTS);
    // A zone holds no more than it may, and a half-empty one takes more.
    pair.both(|side| {
        (1..=5).for_each(|port| send(&side.sandbox, &udp(1, port, 2, 53), "ct(commit,zone=2)"));
        side.sandbox.appctl(&["dpctl/ct-set-limits", "zone=2,limit=3"]);
    });
    pair.both(|side| {
        side.sandbox.appctl(&["dpctl/flush-conntrack", "zone=2"]);
        (1..=5).for_each(|port| send(&side.sandbox, &udp(1, port, 2, 53), "ct(commit,zone=2)"));
    });
    all_same(&pair, "dpctl/dump-conntrack\ndpctl/ct-get-limits zone=2");
}

#[test]
fn flushes() {
    let pair = Pair::new("secure");
    let whole = "ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_src=1000,ct_tp_dst=2000";
    for words in [
        "zone=7",
        "zone=5 ct_nw_proto=17",
        "ct_nw_dst=10.0.0.3",
        "ct_nw_proto=6,ct_tp_dst=80",
        "zone=6 , ct_nw_dst=10.1.1.1",
        whole,
        &format!("zone=5 {whole}"),
        &format!("zone=5 {whole} ct_nw_src=10.0.0.9"),
        "zone=x",
        "foo",
        "foo=bar",
        "ct_tp_src=80",
        "ct_nw_proto=6,icmp_type=1",
        "ct_nw_src=1.2.3.4/24",
        "ct_ipv6_src=::1,ct_nw_src=1.1.1.1",
        "zone=1 ct_nw_src=1.2.3.4 ct_nw_src=1.1.1.1 x",
        "zone=1 ct_nw_src=1.2.3.4 x",
    ] {
        pair.both(|side| fill(&side.sandbox));
        same(&pair, &format!("dpctl/flush-conntrack {words}"));
        same(&pair, "dpctl/dump-conntrack");
    }
    same(&pair, "dpctl/flush-conntrack");
    same(&pair, "dpctl/ct-get-nconns");
    for words in [
        "ct-flush-zone br0 5",
        "ct-flush br0 zone=7",
        "ct-flush br0 zone=5 ct_nw_proto=17",
        "ct-flush br0 ct_nw_dst=10.0.0.3",
        "ct-flush br0 zone=6 ct_nw_src=10.0.0.1 ct_nw_dst=10.1.1.1",
        &format!("ct-flush br0 {whole}"),
        &format!("ct-flush br0 zone=5 {whole}"),
        "-O OpenFlow15 ct-flush br0 ct_nw_src=10.0.0.1",
        "ct-flush br0",
    ] {
        pair.both(|side| fill(&side.sandbox));
        pair.ofctl(words);
        same(&pair, "dpctl/dump-conntrack");
    }
}

#[test]
fn timeouts_from_the_database() {
    let pair = Pair::new("secure");
    let vsctl = |words: &str| {
        let args: Vec<&str> = words.split_whitespace().collect();
        pair.same(&format!("ovs-vsctl {words}"), |sandbox| sandbox.try_vsctl(&args));
    };
    pair.both(|side| {
        let create =
            "-- --id=@m create Datapath datapath_version=0 -- set Open_vSwitch . datapaths:netdev=@m";
        side.sandbox.vsctl(&create.split(' ').collect::<Vec<_>>());
    });
    let left = |port: u16, zone: u16| {
        let seen = pair.both(|side| {
            send(&side.sandbox, &syn(port, 80, Vec::new()), &format!("ct(commit,zone={zone})"));
            let line = side.sandbox.appctl(&["dpctl/dump-conntrack", "-s", &format!("zone={zone}")]);
            let text = line.split_once("timeout=").unwrap_or_else(|| panic!("{line}")).1;
            text.split(',').next().unwrap().parse::<u32>().unwrap()
        });
        pair.both(|side| side.sandbox.appctl(&["dpctl/flush-conntrack"]));
        seen
    };
    let about = |(ours, theirs): (u32, u32), want: u32| {
        assert!((want - 5..=want).contains(&ours) && (want - 5..=want).contains(&theirs), "{ours} {theirs}");
    };
    about(left(1, 1), 30);
    vsctl("add-zone-tp netdev zone=1 tcp_syn_sent=1000 udp_first=7");
    vsctl("add-zone-tp netdev zone=1 tcp_syn_sent=1");
    vsctl("list-zone-tp netdev");
    about(left(2, 1), 1000);
    about(left(2, 2), 30);
    pair.both(|side| {
        let policy = side.sandbox.vsctl(&["--bare", "--columns=_uuid", "list", "CT_Timeout_Policy"]);
        side.sandbox.vsctl(&["set", "CT_Timeout_Policy", policy.trim(), "timeouts:tcp_syn_sent=500"]);
    });
    about(left(3, 1), 500);
    vsctl("del-zone-tp netdev zone=1");
    vsctl("list-zone-tp netdev");
    about(left(4, 1), 30);
    let ct = |sandbox: &Sandbox| {
        let all = sandbox.vsctl(&["list-dp-cap", "netdev"]);
        let mut ct: Vec<_> =
            all.split_whitespace().filter(|word| word.starts_with("ct_")).map(str::to_owned).collect();
        ct.sort();
        ct
    };
    let (ours, theirs) = pair.both(|side| ct(&side.sandbox));
    assert_eq!(ours, theirs);
    assert!(ours.contains(&"ct_zone=true".to_owned()));
}

#[test]
fn counters_are_in_coverage() {
    let sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    let count = || sandbox.appctl(&["coverage/read-counter", "conntrack_zone_full"]);
    assert_eq!(count(), "0\n");
    sandbox.appctl(&["dpctl/ct-set-limits", "zone=3,limit=1"]);
    (1..=3).for_each(|port| send(&sandbox, &udp(1, port, 2, 53), "ct(commit,zone=3)"));
    wait_for("two that were refused", || (count() == "2\n").then_some(()));
}

/// `conntrack/events` with these arguments, which has begun to listen when this returns.
fn listen(sandbox: &Sandbox, args: &[&str]) -> thread::JoinHandle<Output> {
    let mut command: Command = sandbox.command("ovs-appctl");
    command.arg("conntrack/events").args(args);
    let requests = || sandbox.log().matches("received request conntrack/events").count();
    sandbox.appctl(&["vlog/set", "unixctl:file:dbg"]);
    let before = requests();
    let listener = thread::spawn(move || try_run(&mut command));
    wait_for("the listener", || (requests() > before).then_some(()));
    listener
}

#[test]
fn events_as_a_stream() {
    let sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    let stream = wait_for("the socket", || UnixStream::connect(sandbox.path("conntrack.events")).ok());
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut lines = BufReader::new(stream).lines();
    // The switch has let us in when it tells of something.
    let first = wait_for("an event", || {
        send(&sandbox, &udp(1, 1000, 2, 53), "ct(commit,zone=5)");
        sandbox.appctl(&["dpctl/flush-conntrack", "zone=5"]);
        lines.next()
    });
    let event = |line: std::io::Result<String>| serde_json::from_str::<Value>(&line.unwrap()).unwrap();
    assert_eq!(event(first)["event"], "new");
    assert_eq!(event(lines.next().unwrap())["reason"], "flushed");
}

#[test]
fn events() {
    let sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    let text = listen(&sandbox, &["count=5", "timeout=30"]);
    let json = listen(&sandbox, &["--json", "zone=5", "new", "destroy", "count=2", "timeout=30"]);
    let short = listen(&sandbox, &["zone=77", "timeout=0.1"]);
    assert_eq!(short.join().unwrap().stdout, "");
    send(&sandbox, &udp(1, 1000, 2, 53), "ct(commit,zone=5)");
    send(&sandbox, &udp(2, 53, 1, 1000), "ct(zone=5)");
    send(&sandbox, &udp(1, 1000, 2, 53), "ct(commit,zone=5,exec(load:1->NXM_NX_CT_MARK[]))");
    send(&sandbox, &ping(3), "ct(commit,zone=6)");
    sandbox.appctl(&["dpctl/flush-conntrack", "zone=5"]);
    let text = text.join().unwrap().stdout;
    let kinds: Vec<_> = text.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(kinds, ["new", "update", "update", "new", "destroy"], "{text}");
    assert!(
        text.lines().nth(3).unwrap().contains(" new icmp,orig=(src=10.0.0.1,dst=10.0.0.2,id=3,"),
        "{text}"
    );
    assert!(text.ends_with(",mark=1,reason=flushed\n"), "{text}");
    let json: Vec<Value> =
        json.join().unwrap().stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = json.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["new", "destroy"]);
    assert_eq!(
        (&json[1]["reason"], &json[1]["mark"], &json[1]["orig"]["dport"]),
        (&"flushed".into(), &1.into(), &53.into())
    );
    assert!(json[1]["time"].as_f64() > json[0]["time"].as_f64());
    assert_eq!(json[0]["id"], json[1]["id"]);
    let bad = sandbox.try_appctl(&["conntrack/events", "zone=70000"]);
    assert!(bad.stderr.contains("invalid argument zone=70000"), "{bad:?}");
}
