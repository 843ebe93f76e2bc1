//! Two interfaces joined like a cable, by one rule each way, with NORMAL below: what the founding document on links between
//! virtual machines does in its last part.

use std::process::Child;

use e2e::{Host, Netns, Sandbox, wait_until};

/// An LLDPDU of chassis, port and time to live, to the nearest bridge.
const LLDP: &str = "0180c200000e02000000000188cc020704020000000001040501657468300602007800000000000000000000000000000000000000000000000000000000";

/// Sends one frame out of `eth0` of a host.
fn send(host: &Host, frame: &str) {
    let script = format!(
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(bytes.fromhex('{frame}'))"
    );
    e2e::run(host.netns().command("python3").args(["-c", &script]));
}

/// A `tcpdump` that ends at the first LLDP frame that comes in on `eth0`.
struct Listener(Child);

impl Listener {
    fn start(host: &Netns) -> Self {
        let mut command = host.command("tcpdump");
        command.args(["-i", "eth0", "-Q", "in", "-c", "1", "-U", "-w", "/dev/null", "ether proto 0x88cc"]);
        let child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        let listening = || host.succeeds("grep -qi ' 88cc\\| 0003 ' /proc/net/packet");
        wait_until("tcpdump to listen", listening);
        Self(child)
    }

    fn heard(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The packets that the rule of this text has counted.
fn packets(sandbox: &Sandbox, rule: &str) -> u64 {
    let flows = sandbox.ofctl(&["--no-names", "dump-flows", "br0"]);
    let line =
        flows.lines().find(|line| line.contains(rule)).unwrap_or_else(|| panic!("{rule} not in {flows}"));
    line.split("n_packets=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
}

#[test]
fn rules_pass_what_normal_keeps() {
    let sandbox = Sandbox::new();
    let a = Host::quiet(sandbox.netns(), "p1", 1);
    let b = Host::quiet(sandbox.netns(), "p2", 2);
    sandbox.netns().sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    sandbox.add_bridge("br0", &["p1", "p2"]);
    assert!(a.pings(b.address()), "NORMAL forwards");

    let mut listener = Listener::start(b.netns());
    let normal = packets(&sandbox, "actions=NORMAL");
    send(&a, LLDP);
    wait_until("NORMAL to count the LLDP frame", || packets(&sandbox, "actions=NORMAL") == normal + 1);
    assert!(!listener.heard(), "reserved multicast does not pass NORMAL");

    sandbox.ofctl(&["add-flow", "br0", "in_port=1,actions=output:2"]);
    sandbox.ofctl(&["add-flow", "br0", "in_port=2,actions=output:1"]);
    send(&a, LLDP);
    wait_until("the LLDP frame", || listener.heard());

    // The frame has left, so it is counted: no waiting here.
    assert_eq!(packets(&sandbox, "in_port=1 actions=output:2"), 1);
    for n in 1..=5 {
        assert!(a.pings(b.address()));
        assert_eq!(packets(&sandbox, "in_port=1 actions=output:2"), 1 + n, "counters are exact at once");
        assert_eq!(packets(&sandbox, "in_port=2 actions=output:1"), n);
    }
}
