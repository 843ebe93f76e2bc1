//! `ovs-ofctl` prints the same on our switch as on Debian's Open vSwitch, in 1.0 and in 1.3.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use e2e::{Pair, Sandbox, normalise, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const VERSIONS: [&str; 2] = ["OpenFlow10", "OpenFlow13"];

const FLOWS: &str = "\
table=0,priority=100,in_port=1,ip,nw_dst=10.0.0.2,cookie=0x1234,actions=mod_nw_tos:32,output:2
table=0,priority=100,in_port=2,ip,nw_src=10.0.0.0/24,idle_timeout=600,actions=output:1
table=0,priority=90,arp,actions=NORMAL
table=0,priority=80,tcp,tp_dst=80,dl_vlan=10,hard_timeout=3000,actions=strip_vlan,resubmit(,2)
table=0,priority=70,udp,tp_src=0x1000/0xf000,actions=load:0x5->NXM_NX_REG0[],move:NXM_NX_REG0[0..7]->NXM_NX_REG1[8..15],resubmit(3,4)
table=0,priority=60,ipv6,ipv6_dst=fd00::/64,actions=set_field:fd00::1->ipv6_src,dec_ttl,output:1
table=0,priority=50,icmp6,icmp_type=135,nd_target=fd00::1,actions=CONTROLLER:128
table=0,priority=40,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=FLOOD
table=2,priority=10,reg0=0x5,tun_id=0,actions=mod_vlan_vid:101,ALL
table=2,priority=5,mpls,actions=pop_mpls:0x0800,IN_PORT
table=4,priority=1,sctp,tp_dst=5,send_flow_rem,actions=note:01.02.03.04.05.06,exit
table=4,priority=0,actions=drop
";

fn flow_file(sandbox: &Sandbox, name: &str, text: &str) -> String {
    let path = sandbox.path(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn load(pair: &Pair) {
    pair.both(|side| side.sandbox.ofctl(&["add-flows", "br0", &flow_file(&side.sandbox, "flows", FLOWS)]));
}

fn send_pings(pair: &Pair) {
    pair.both(|side| {
        for _ in 0..3 {
            let flows = || side.sandbox.ofctl(&["dump-flows", "br0"]);
            assert!(side.h1.pings("10.0.0.2"), "{}", flows());
        }
        // Open vSwitch counts what its caches forwarded only when it looks at them.
        side.sandbox.appctl(&["revalidator/wait"]);
    });
}

#[test]
fn what_the_switch_is() {
    let pair = Pair::new("secure");
    for version in VERSIONS {
        for command in ["show", "dump-desc", "dump-ports-desc", "dump-tables", "get-frags", "queue-stats"] {
            pair.ofctl(&format!("-O {version} {command} br0"));
        }
        pair.ofctl(&format!("-O {version} probe br0"));
        pair.ofctl(&format!("-O {version} dump-ports-desc br0 p1"));
    }
    pair.ofctl("-O OpenFlow13 dump-table-features br0");
    pair.ofctl("-O OpenFlow13 dump-groups br0");
    pair.ofctl("-O OpenFlow13 dump-meters br0");
    pair.ofctl("-O OpenFlow14 dump-table-desc br0");
    pair.ofctl("dump-tlv-map br0");
}

#[test]
fn flows_and_their_counters() {
    let pair = Pair::new("secure");
    load(&pair);
    send_pings(&pair);
    for version in ["OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"] {
        pair.ofctl(&format!("-O {version} dump-flows br0"));
        pair.ofctl(&format!("-O {version} --no-names --no-stats dump-flows br0 table=0"));
        pair.ofctl(&format!("-O {version} dump-aggregate br0 ip"));
        pair.ofctl(&format!("-O {version} dump-flows br0 cookie=0x1234/-1"));
        pair.ofctl(&format!("-O {version} dump-flows br0 out_port=1"));
        pair.ofctl(&format!("-O {version} dump-ports br0"));
        pair.ofctl(&format!("-O {version} dump-ports br0 p1"));
        pair.ofctl(&format!("-O {version} dump-tables br0"));
    }
}

#[test]
fn changes_of_flows() {
    let pair = Pair::new("secure");
    load(&pair);
    let file = |sandbox: &Sandbox| {
        flow_file(sandbox, "other", "priority=1,actions=output:1\ntable=2,ip,actions=output:2\n")
    };
    let dump = || pair.ofctl("-O OpenFlow14 --no-stats dump-flows br0");
    for version in VERSIONS {
        pair.ofctl(&format!("-O {version} --strict mod-flows br0 priority=90,arp,actions=output:1"));
        pair.ofctl(&format!("-O {version} mod-flows br0 ip,actions=output:2"));
        pair.ofctl(&format!("-O {version} del-flows br0 table=2"));
        pair.ofctl(&format!("-O {version} add-flow br0 check_overlap,priority=100,ip,actions=drop"));
        pair.ofctl(&format!("-O {version} add-flow br0 priority=7,actions=output:65000"));
        dump();
    }
    pair.same("diff-flows", |sandbox| {
        sandbox.try_ofctl(&["-O", "OpenFlow14", "diff-flows", "br0", &file(sandbox)])
    });
    pair.same("replace-flows", |sandbox| {
        sandbox.try_ofctl(&["-O", "OpenFlow14", "--bundle", "replace-flows", "br0", &file(sandbox)])
    });
    dump();
    pair.same("add-flows --bundle", |sandbox| {
        sandbox.try_ofctl(&["--bundle", "add-flows", "br0", &flow_file(sandbox, "flows", FLOWS)])
    });
    dump();
    let bad = "priority=3,actions=drop\nadd check_overlap,priority=100,ip,actions=drop\n";
    pair.same("a bundle that fails changes nothing", |sandbox| {
        let mut output =
            sandbox.try_ofctl(&["--bundle", "add-flows", "br0", &flow_file(sandbox, "bad", bad)]);
        // The rest is a dump of the message that was refused.
        output.stderr = output.stderr.lines().next().unwrap_or_default().to_owned();
        output
    });
    dump();
    pair.ofctl("-O OpenFlow14 --bundle del-flows br0");
    dump();
}

#[test]
fn ports_are_configured() {
    let pair = Pair::new("secure");
    for version in VERSIONS {
        for change in
            ["no-flood", "no-receive", "down", "up", "receive", "flood", "no-forward", "no-packet-in"]
        {
            pair.ofctl(&format!("-O {version} mod-port br0 p1 {change}"));
            pair.ofctl(&format!("-O {version} dump-ports-desc br0"));
        }
        for change in ["forward", "packet-in"] {
            pair.ofctl(&format!("-O {version} mod-port br0 p1 {change}"));
        }
        pair.ofctl(&format!("-O {version} mod-port br0 nosuch up"));
    }
    pair.ofctl("set-frags br0 drop");
    pair.ofctl("get-frags br0");
}

/// `ovs-ofctl monitor` or `snoop` in the background, writing to files; ended when dropped.
struct Background(Child);

impl Background {
    fn start(sandbox: &Sandbox, out: &str, args: &[&str]) -> Self {
        let file =
            |suffix: &str| Stdio::from(fs::File::create(sandbox.path(&format!("{out}{suffix}"))).unwrap());
        let mut command = sandbox.command("ovs-ofctl");
        let pidfile = format!("--pidfile={}", sandbox.path(&format!("{out}.pid")).display());
        let socket = format!("--unixctl={}", sandbox.path(&format!("{out}.ctl")).display());
        command.args(args).args([&pidfile, &socket]).stdout(file(".out")).stderr(file(""));
        Self(command.spawn().unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.path(name)).unwrap_or_default()
}

/// A ping from 10.0.0.1 to 10.0.0.2, and one with a bad checksum, which nobody answers.
const PING: &str = "02000000000202000000000108004500001c00000000400166df0a0000010a000002080000000000f7ff";
const BAD_PING: &str = "02000000000202000000000108004500001c00000000400166cf0a0000010a000002080000000000f7ff";

#[test]
fn packets_to_the_monitor() {
    let pair = Pair::new("secure");
    pair.ofctl("add-flow br0 in_port=1,icmp,actions=controller(max_len=64,reason=no_match,id=0),output:2");
    pair.ofctl(
        "add-flow br0 in_port=2,cookie=0x77,actions=load:7->NXM_NX_REG3[],controller(userdata=01.02.03)",
    );
    for (n, options) in [
        "-O OpenFlow10",
        "-O OpenFlow13",
        "-O OpenFlow10 -P standard",
        "-O OpenFlow13 -P standard",
        "-O OpenFlow10 -P nxt_packet_in",
    ]
    .iter()
    .enumerate()
    {
        let (ours, theirs) = pair.both(|side| two_pings_in_the_monitor(&side.sandbox, n, options, BAD_PING));
        assert_eq!(ours, theirs, "monitor {options}");
    }
}

/// What `ovs-ofctl monitor` with these options writes of a ping from port 1, and then one from port 2.
fn two_pings_in_the_monitor(sandbox: &Sandbox, n: usize, options: &str, frame: &str) -> String {
    let name = format!("monitor{n}");
    let mut args: Vec<&str> = options.split(' ').collect();
    args.extend(["monitor", "br0", "65534"]);
    let monitor = Background::start(sandbox, &name, &args);
    wait_until("the monitor", || sandbox.path(&format!("{name}.pid")).exists());
    let target = sandbox.path(&format!("{name}.ctl")).display().to_string();
    wait_until("its barrier", || sandbox.try_appctl(&["-t", &target, "ofctl/barrier"]).code == 0);
    sandbox.ofctl(&["packet-out", "br0", &format!("in_port=1,packet={frame},actions=table")]);
    sandbox.ofctl(&["packet-out", "br0", &format!("in_port=2,packet={frame},actions=table")]);
    wait_until("two packet-ins", || text(sandbox, &name).matches("PACKET_IN").count() == 2);
    let seen = normalise(&text(sandbox, &name));
    drop(monitor);
    seen
}

#[test]
fn connections_in_packet_ins_and_flow_removed() {
    let pair = Pair::new("secure");
    for flow in [
        "in_port=1,icmp,actions=ct(commit,zone=5,table=1,exec(load:0x7->NXM_NX_CT_MARK[],set_field:0x123->ct_label))",
        "in_port=2,icmp,actions=ct(zone=5,table=1)",
        "table=1,ct_state=+new+trk,actions=controller(userdata=01)",
        "table=1,ct_state=+trk,ct_mark=0x7,actions=controller(userdata=02)",
    ] {
        pair.ofctl(&format!("add-flow br0 {flow}"));
    }
    for (n, options) in
        ["-O OpenFlow10", "-O OpenFlow13 -P nxt_packet_in", "-O OpenFlow15 -P standard"].iter().enumerate()
    {
        let (ours, theirs) = pair.both(|side| two_pings_in_the_monitor(&side.sandbox, n, options, PING));
        assert_eq!(ours, theirs, "monitor {options}");
        assert!(ours.contains("ct_state=new|trk,ct_zone=5"), "{ours}");
    }
    let removed = pair.both(|side| {
        let monitor = Background::start(&side.sandbox, "removed", &["-O", "OpenFlow13", "monitor", "br0", "65534"]);
        let target = side.sandbox.path("removed.ctl").display().to_string();
        wait_until("its barrier", || {
            side.sandbox.try_appctl(&["-t", &target, "ofctl/barrier"]).code == 0
        });
        let fields = "table=2,ct_state=+est-rpl+trk,ct_zone=9,ct_mark=0x5/0xf,ct_label=0x1/0x3,ct_nw_src=10.0.0.0/8,ct_nw_proto=6,ct_tp_dst=80,ip";
        side.sandbox.ofctl(&["add-flow", "br0", &format!("{fields},send_flow_rem,actions=drop")]);
        side.sandbox.ofctl(&["del-flows", "br0", "table=2"]);
        wait_until("a flow-removed", || text(&side.sandbox, "removed").contains("reason=delete"));
        let seen = normalise(&text(&side.sandbox, "removed"));
        drop(monitor);
        // How long the flow lived follows.
        seen.split(" reason=").next().unwrap().to_owned()
    });
    assert_eq!(removed.0, removed.1);
    assert!(removed.0.contains("ct_zone=9,ct_mark=0x5/0xf"), "{}", removed.0);
}

#[test]
fn packet_out_counts_and_arrives() {
    let pair = Pair::new("secure");
    pair.ofctl("add-flow br0 in_port=1,actions=output:2");
    let frame = "ffffffffffff02000000000908000123456789";
    pair.ofctl(&format!("packet-out br0 in_port=1,packet={frame},actions=output:2"));
    pair.ofctl(&format!("packet-out br0 in_port=1,packet={frame},actions=table"));
    pair.ofctl(&format!("-O OpenFlow13 packet-out br0 in_port=local,packet={frame},actions=output:1"));
    pair.ofctl(&format!("-O OpenFlow13 packet-out br0 in_port=1,packet={frame},actions=output:77"));
    pair.ofctl(&format!("packet-out br0 in_port=99,packet={frame},actions=output:1"));
    for version in VERSIONS {
        pair.ofctl(&format!("-O {version} dump-flows br0"));
        pair.ofctl(&format!("-O {version} dump-ports br0"));
    }
}

#[test]
fn patch_ports_count_what_goes_through() {
    let pair = Pair::new("secure");
    pair.both(|side| {
        side.sandbox.add_bridge("br1", &[]);
        for words in [
            "set bridge br1 fail_mode=secure",
            "add-port br0 a -- set interface a type=patch options:peer=b ofport_request=8",
            "add-port br1 b -- set interface b type=patch options:peer=a ofport_request=9",
            "add-port br0 lone -- set interface lone type=patch options:peer=nobody ofport_request=10",
        ] {
            side.sandbox.vsctl(&words.split(' ').collect::<Vec<_>>());
        }
    });
    let frame = "ffffffffffff02000000000908000123456789";
    pair.ofctl("add-flow br1 in_port=9,actions=in_port");
    pair.ofctl("add-flow br0 in_port=1,actions=output:8,output:10");
    for _ in 0..3 {
        pair.ofctl(&format!("packet-out br0 in_port=1,packet={frame},actions=table"));
    }
    for version in VERSIONS {
        for port in ["br0 a", "br0 lone", "br1 b"] {
            pair.ofctl(&format!("-O {version} dump-ports {port}"));
        }
    }
    for port in ["a", "b", "lone"] {
        let (ours, theirs) = pair.both(|side| {
            let statistics = || side.sandbox.vsctl(&["get", "interface", port, "statistics"]);
            let last = if port == "lone" { "tx_packets=0" } else { "tx_packets=3" };
            wait_until("the statistics", || statistics().contains(last));
            statistics()
        });
        assert_eq!(ours, theirs, "{port}");
    }
    pair.appctl("ofproto/trace br0 in_port=1,ip");
}

#[test]
fn the_cache_takes_orders() {
    let pair = Pair::new("secure");
    for order in [
        "upcall/disable-megaflows",
        "upcall/enable-megaflows",
        "upcall/disable-ufid",
        "upcall/enable-ufid",
        "upcall/set-flow-limit 5000",
        "upcall/set-flow-limit",
        "revalidator/wait",
        "revalidator/purge",
    ] {
        pair.appctl(order);
    }
    let (ours, theirs) = pair.both(|side| {
        let shown = side.sandbox.appctl(&["upcall/show"]);
        shown.lines().take(2).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
    let (ours, theirs) = pair.both(|side| {
        let shown = side.sandbox.appctl(&["memory/show"]);
        let words = shown.split_whitespace().filter(|word| !word.starts_with("idl-cells-"));
        words.map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
}

#[test]
fn the_snooper_sees_what_a_controller_and_the_switch_say() {
    let pair = Pair::new("secure");
    let (ours, theirs) = pair.both(|side| {
        let sandbox = &side.sandbox;
        // A controller that says hello, and asks for the features again and again.
        let listener = UnixListener::bind(sandbox.path("controller")).unwrap();
        sandbox.vsctl(&["set-controller", "br0", &format!("unix:{}", sandbox.path("controller").display())]);
        let (mut controller, _) = listener.accept().unwrap();
        controller.write_all(&[1, 0, 0, 8, 0, 0, 0, 1]).unwrap();
        // What is snooped on is the controller that is connected by then.
        wait_until("the controller", || {
            sandbox.vsctl(&["--columns=is_connected", "--bare", "list", "controller"]).trim() == "true"
        });
        let snooper = Background::start(sandbox, "snoop", &["snoop", "br0"]);
        wait_until("the snooper to see the features", || {
            controller.write_all(&[1, 5, 0, 8, 0, 0, 0, 2]).unwrap();
            text(sandbox, "snoop").contains("FEATURES_REPLY")
        });
        drop(snooper);
        let seen = text(sandbox, "snoop");
        let mut kinds: Vec<&str> =
            seen.lines().filter_map(|line| line.strip_prefix("OFPT_")?.split([' ', ':']).next()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.join(" ")
    });
    assert_eq!(ours, theirs);
}

#[test]
fn pings_are_echoed() {
    let pair = Pair::new("secure");
    pair.both(|side| {
        let text = side.sandbox.ofctl(&["ping", "br0", "100"]);
        assert!(text.contains("100 bytes from br0"), "{text}");
    });
}
