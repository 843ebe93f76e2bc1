//! The founding document on connection tracking: two machines on taps, a stateful firewall between them by `a.flow`; ping, TCP and UDP
//! pass in one direction and are dropped in the other, counters and connections as shown there.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;

use e2e::{Netns, Sandbox, try_run, wait_for, wait_until};

/// The rules of the document. (Today's `ovs-ofctl` wants `ip` where `ct(commit)` is.)
const A_FLOW: &str = "\
priority=100,ip,actions=ct(table=1)
priority=10,arp,actions=normal
priority=1,actions=drop

table=1,in_port=2,ip,ct_state=+new,actions=ct(commit),normal
table=1,in_port=2,ct_state=+est,actions=normal
table=1,in_port=3,ct_state=+new,actions=drop
table=1,in_port=3,ct_state=+est,actions=normal
";

/// What QEMU does for a virtual machine's card: it holds the tap that is in the switch, and what comes from there goes to a card
/// `eth1` of a machine, which is a namespace here.
struct Machine {
    qemu: Child,
    netns: Netns,
}

impl Machine {
    fn new(switch: &Netns, tap: &str, address: &str) -> Self {
        let (netns, inside) = (Netns::new(tap), format!("{tap}-in"));
        let mut qemu = switch.command("qemu-system-x86_64");
        qemu.args(["-machine", "none", "-display", "none", "-nodefaults", "-monitor", "none"]);
        for (id, ifname) in [("n0", tap), ("n1", &inside)] {
            let options = "script=no,downscript=no,vhost=off,vnet_hdr=off";
            qemu.args(["-netdev", &format!("tap,id={id},ifname={ifname},{options}")]);
            qemu.args(["-netdev", &format!("hubport,id=hub-{id},hubid=0,netdev={id}")]);
        }
        let qemu = qemu.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let machine = Self { qemu, netns };
        for ifname in [tap, &inside] {
            wait_until("QEMU to open its taps", || switch.succeeds(&format!("ip link show {ifname}")));
        }
        machine.netns.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
        switch.ip(&format!("link set {inside} netns {} name eth1", machine.netns.name()));
        machine.netns.ip(&format!("addr add {address} dev eth1"));
        machine.netns.ip("link set eth1 up");
        switch.ip(&format!("link set {tap} up"));
        machine
    }

    fn python(&self, script: &str) -> bool {
        try_run(self.netns.command("python3").args(["-c", script])).code == 0
    }

    /// The three programs of the document towards `peer`: whether each of `ping`, `telnet` and `dig` is answered.
    fn tries(&self, peer: &str) -> [bool; 3] {
        let tcp = format!(
            "import socket; s = socket.create_connection(('{peer}', 22), 1.5); s.sendall(b'hello')\nassert s.recv(9) == b'olleh'\nassert not s.recv(9)"
        );
        let udp = format!(
            "import socket; s = socket.socket(2, 2); s.settimeout(1.5); s.connect(('{peer}', 53)); s.send(b'question')\nassert s.recv(99) == b'noitseuq'"
        );
        let ping = format!("ping -c 3 -i 0.2 -W 1 {peer}");
        thread::scope(|scope| {
            let (tcp, udp) = (scope.spawn(|| self.python(&tcp)), scope.spawn(|| self.python(&udp)));
            [self.netns.succeeds(&ping), tcp.join().unwrap(), udp.join().unwrap()]
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Servers on the ports of SSH and DNS that answer with what they got, backwards.
struct Servers(Child);

impl Servers {
    fn start(machine: &Machine) -> Self {
        let script = "
import socket, threading
udp = socket.socket(2, 2); udp.bind(('', 53))
tcp = socket.create_server(('', 22))
def answer():
    while True:
        data, peer = udp.recvfrom(99)
        udp.sendto(data[::-1], peer)
threading.Thread(target=answer, daemon=True).start()
while True:
    client = tcp.accept()[0]
    client.sendall(client.recv(99)[::-1])
    client.close()
";
        let mut command = machine.netns.command("python3");
        let child = command.args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
        wait_until("the servers", || machine.netns.succeeds("ss -Hltn 'sport = 22' | grep -q LISTEN"));
        Self(child)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Packets and bytes that the rules counted, in the order of [`A_FLOW`].
fn counts(sandbox: &Sandbox) -> [(u64, u64); 7] {
    let flows = sandbox.ofctl(&["--no-names", "dump-flows", "br0"]);
    let rules = [
        "priority=100,ip actions=ct(table=1)",
        "priority=10,arp actions=NORMAL",
        "priority=1 actions=drop",
        "ct_state=+new,ip,in_port=2 actions=ct(commit),NORMAL",
        "ct_state=+est,in_port=2 actions=NORMAL",
        "ct_state=+new,in_port=3 actions=drop",
        "ct_state=+est,in_port=3 actions=NORMAL",
    ];
    rules.map(|rule| {
        let line =
            flows.lines().find(|line| line.contains(rule)).unwrap_or_else(|| panic!("{rule}: {flows}"));
        let number = |key: &str| {
            let rest = line.split(key).nth(1).unwrap();
            rest.split(',').next().unwrap().parse::<u64>().unwrap()
        };
        (number("n_packets="), number("n_bytes="))
    })
}

fn sum(of: &[(u64, u64)]) -> (u64, u64) {
    of.iter().fold((0, 0), |(packets, bytes), (p, b)| (packets + p, bytes + b))
}

/// The connections, sorted, without the numbers that differ from run to run.
fn connections(sandbox: &Sandbox) -> Vec<String> {
    let dump = sandbox.appctl(&["dpctl/dump-conntrack"]);
    let mut lines: Vec<String> = dump
        .lines()
        .map(|line| {
            let fields = line.split(',').map(|field| match field.trim_end_matches(')').split_once('=') {
                Some((key @ ("sport" | "dport" | "id"), number))
                    if number.parse::<u32>().is_ok_and(|n| n > 1024 || key == "id") =>
                {
                    field.replacen(number, "?", 1)
                }
                _ => field.to_owned(),
            });
            fields.collect::<Vec<_>>().join(",")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn one_side_opens_and_the_other_answers_only() {
    let sandbox = Sandbox::new();
    sandbox.netns().sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    sandbox.netns().ip("link add eth2 type veth peer name cable");
    let vm1 = Machine::new(sandbox.netns(), "tap2", "192.168.0.1/24");
    let vm2 = Machine::new(sandbox.netns(), "tap4", "192.168.0.2/24");
    sandbox.add_bridge("br0", &["eth2", "tap2", "tap4"]);
    let (_servers1, _servers2) = (Servers::start(&vm1), Servers::start(&vm2));
    wait_until("NORMAL", || vm1.netns.succeeds("ping -c 1 -W 1 192.168.0.2"));

    fs::write(sandbox.path("a.flow"), A_FLOW).unwrap();
    sandbox.ofctl(&["del-flows", "br0"]);
    sandbox.ofctl(&["add-flows", "br0", sandbox.path("a.flow").to_str().unwrap()]);

    assert_eq!(vm2.tries("192.168.0.1"), [false; 3], "the second machine may open nothing");
    // Three pings, at least one SYN, a question. (Open vSwitch counts up to a second late.)
    let refused = wait_for("all packets at the drop rule", || {
        let counts = counts(&sandbox);
        (counts[0].0 >= 5 && counts[0] == counts[5]).then_some(counts)
    });
    assert_eq!(sum(&refused[2..]), refused[5], "{refused:?}");
    assert_eq!(connections(&sandbox), [""; 0], "nothing is committed");

    assert_eq!(vm1.tries("192.168.0.2"), [true; 3], "the first machine may");
    // One packet opens each of the three connections. No packet of an answer is new.
    let passed = wait_for("all packets at their rules", || {
        let counts = counts(&sandbox);
        (counts[3].0 == 3 && sum(&counts[3..]) == counts[0]).then_some(counts)
    });
    assert_eq!(passed[5], refused[5], "{passed:?}");
    assert!(passed[4].0 >= 5 && passed[6].0 >= 7, "{passed:?}");
    wait_until("the three connections", || {
        connections(&sandbox)
            == [
                "icmp,orig=(src=192.168.0.1,dst=192.168.0.2,id=?,type=8,code=0),reply=(src=192.168.0.2,dst=192.168.0.1,id=?,type=0,code=0)",
                "tcp,orig=(src=192.168.0.1,dst=192.168.0.2,sport=?,dport=22),reply=(src=192.168.0.2,dst=192.168.0.1,sport=22,dport=?),protoinfo=(state=TIME_WAIT)",
                "udp,orig=(src=192.168.0.1,dst=192.168.0.2,sport=?,dport=53),reply=(src=192.168.0.2,dst=192.168.0.1,sport=53,dport=?)",
            ]
    });
    assert_eq!(vm2.tries("192.168.0.1"), [false; 3], "the second machine still may not");
}
