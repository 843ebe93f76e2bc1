//! Real clients through address translation by `ct(nat)`, IPv4 and IPv6: web, ping, traceroute, errors, bulk data; ranges of ports, and
//! what happens when they are used up. (FTP and TFTP: `conntrack_helpers`.)

use std::fs;
use std::process::{Child, Stdio};

use e2e::{Host, Netns, Output, Sandbox, try_run, wait_until};

/// A client at a switch, behind it a router, behind that a server:
///
/// | | client | switch | router | server |
/// |---|---|---|---|---|
/// | IPv4 | 10.0.0.1 | p1, p2 | 10.0.0.254, 10.1.0.254 | 10.1.0.2 |
/// | IPv6 | fd00::1 | | fd00::254, fd01::254 | fd01::2 |
///
/// The router has 10.0.0.240 and fd00::240 at the client, who has 10.0.0.241 and fd00::241 at the router.
struct Rig {
    sandbox: Sandbox,
    client: Host,
    router: Host,
    server: Netns,
    children: Vec<Child>,
}

/// Serves on port 80 (HTTP), 7 (says who asks), 7/UDP (the same) and 5201 (iperf3).
const WHO: &str = "
import socket, threading
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.bind(('::', 7))
tcp = socket.create_server(('::', 7), family=socket.AF_INET6, dualstack_ipv6=True)
def text(peer):
    return (peer[0].removeprefix('::ffff:') + ' ' + str(peer[1]) + '\\n').encode()
def answer():
    while True:
        peer = udp.recvfrom(99)[1]
        udp.sendto(text(peer), peer)
threading.Thread(target=answer, daemon=True).start()
while True:
    client, peer = tcp.accept()
    client.sendall(text(peer))
    client.close()
";

/// Open vSwitch's own daemon stands in for ours.
fn is_theirs(sandbox: &Sandbox) -> bool {
    !sandbox.appctl(&["version"]).contains("Turnout")
}

impl Rig {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let client = Host::new(sandbox.netns(), "p1", "10.0.0.1/24");
        let router = Host::new(sandbox.netns(), "p2", "10.0.0.254/24");
        sandbox.add_bridge("br0", &["p1", "p2"]);
        let server = Netns::new("server");
        router.netns().ip(&format!("link add eth1 type veth peer name eth0 netns {}", server.name()));
        router.netns().sh(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 || true",
        );
        server.sh("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0");
        for (netns, device, v4, v6) in [
            (client.netns(), "eth0", "10.0.0.1/24", "fd00::1/64"),
            (router.netns(), "eth0", "10.0.0.254/24", "fd00::254/64"),
            (router.netns(), "eth1", "10.1.0.254/24", "fd01::254/64"),
            (&server, "eth0", "10.1.0.2/24", "fd01::2/64"),
        ] {
            netns.ip(&format!("addr replace {v4} dev {device}"));
            netns.ip(&format!("addr add {v6} dev {device} nodad"));
            netns.ip(&format!("link set {device} up"));
        }
        for (netns, n) in [(client.netns(), 0), (&server, 1)] {
            // The server is not to remember connections which the switch forgets between two cases.
            netns.sh("sysctl -qw net.ipv4.tcp_max_tw_buckets=0");
            netns.ip(&format!("route add default via 10.{n}.0.254"));
            netns.sh(&format!("ip -6 route add default via fd0{n}::254"));
        }
        for (host, other, address) in [
            (&client, &router, "10.0.0.241"),
            (&client, &router, "fd00::241"),
            (&router, &client, "10.0.0.240"),
            (&router, &client, "fd00::240"),
        ] {
            host.netns().ip(&format!("neigh replace {address} lladdr {} dev eth0", other.mac()));
        }
        if is_theirs(&sandbox) {
            // Open vSwitch does not pass on what is to be summed by a card.
            for host in [&client, &router] {
                host.netns().sh("ethtool -K eth0 tx off");
            }
        }
        let mut rig = Self { sandbox, client, router, server, children: Vec::new() };
        rig.serve("python3", &["-c", WHO]);
        wait_until("the server", || rig.server.succeeds("ss -Hltn 'sport = 7' | grep -q LISTEN"));
        wait_until("ways through", || rig.client.pings("10.1.0.2") && rig.client.pings("fd01::2"));
        rig
    }

    fn serve(&mut self, program: &str, args: &[&str]) {
        let mut command = self.server.command(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.children.push(command.current_dir(self.sandbox.path("")).spawn().unwrap());
    }

    /// Lets through what the client opens, translated so; `rules` are more lines.
    fn rules(&self, nat: &str, rules: &str) {
        self.sandbox.appctl(&["dpctl/flush-conntrack"]);
        let ip = if nat.contains(':') && !nat.contains('.') { "ipv6" } else { "ip" };
        let flows = format!(
            "priority=1,actions=drop
             priority=50,{ip},actions=ct(table=1,nat)
             priority=90,icmp6,icmp_type=135,actions=normal
             priority=90,icmp6,icmp_type=136,actions=normal
             priority=90,arp,actions=normal
             table=1,priority=10,in_port=1,{ip},ct_state=+trk+new,actions=ct(commit,nat({nat})),2
             table=1,priority=10,in_port=1,{ip},ct_state=+trk-new-inv,actions=2
             table=1,priority=10,in_port=2,{ip},ct_state=+trk-new-inv,actions=1
             {rules}\n"
        );
        let path = self.sandbox.path("flows");
        fs::write(&path, flows).unwrap();
        self.sandbox.ofctl(&["del-flows", "br0"]);
        self.sandbox.ofctl(&["add-flows", "br0", &path.display().to_string()]);
        // Open vSwitch forwards by rules that are gone until then.
        self.sandbox.try_appctl(&["revalidator/wait"]);
    }

    fn try_client(&self, line: &str) -> Output {
        try_run(self.client.netns().command("sh").args(["-c", line]))
    }

    /// Runs a command line on the client, which must say this.
    fn says(&self, line: &str, wanted: &[&str]) {
        let said = self.try_client(line);
        let text = format!("{}{}", said.stdout, said.stderr);
        for wanted in wanted {
            assert!(text.contains(wanted), "{line}: {wanted:?} not in {text}\n{}", self.connections());
        }
    }

    fn connections(&self) -> String {
        self.sandbox.appctl(&["dpctl/dump-conntrack"])
    }

    fn python(&self, script: &str) -> Output {
        try_run(self.client.netns().command("python3").args(["-c", script]))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A translation, the address at which the client calls the server, and the one by which the server sees the client.
struct Case {
    nat: &'static str,
    call: &'static str,
    seen: &'static str,
}

const CASES: [Case; 8] = [
    Case { nat: "src=10.0.0.240", call: "10.1.0.2", seen: "10.0.0.240 " },
    Case { nat: "src=10.0.0.240:6000-6099", call: "10.1.0.2", seen: "10.0.0.240 60" },
    Case { nat: "src=10.0.0.240-10.0.0.240:6000-6099,random", call: "10.1.0.2", seen: "10.0.0.240 60" },
    Case { nat: "dst=10.1.0.2", call: "10.0.0.241", seen: "10.0.0.1 " },
    Case { nat: "src=fd00::240", call: "fd01::2", seen: "fd00::240 " },
    Case { nat: "src=[fd00::240]:6000-6099", call: "fd01::2", seen: "fd00::240 60" },
    Case { nat: "src=[fd00::240]:6000-6099,hash", call: "fd01::2", seen: "fd00::240 60" },
    Case { nat: "dst=fd01::2", call: "fd00::241", seen: "fd00::1 " },
];

impl Case {
    fn is_v6(&self) -> bool {
        self.call.contains(':')
    }

    /// From where the client has errors that the router sends: behind a translated destination all seems to come from there, as with
    /// Open vSwitch and the kernel.
    fn router(&self) -> &'static str {
        match (self.nat.starts_with("dst"), self.is_v6()) {
            (true, _) => self.call,
            (false, false) => "10.0.0.254",
            (false, true) => "fd00::254",
        }
    }
}

#[test]
fn web_and_questions() {
    let mut rig = Rig::new();
    let text: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
    fs::write(rig.sandbox.path("file"), &text).unwrap();
    rig.serve("python3", &["-m", "http.server", "-b", "::", "80"]);
    wait_until("the web server", || rig.server.succeeds("ss -Hltn 'sport = 80' | grep -q LISTEN"));
    for case in &CASES {
        rig.rules(case.nat, "");
        let Case { call, seen, .. } = case;
        let script = format!(
            "import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for attempt in range(5):
        s = socket.socket(socket.AF_INET6 if ':' in '{call}' else socket.AF_INET, kind); s.settimeout(5)
        s.connect(('{call}', 7)); s.send(b'?'); print(s.recv(99).decode(), end='')"
        );
        let said = rig.python(&script);
        assert_eq!(said.stdout.matches(seen).count(), 10, "{}: {said:?}\n{}", case.nat, rig.connections());
        let out = rig.sandbox.path("got");
        let fetch = format!("curl -sS -m 20 -g -o {} 'http://[{call}]/file' && echo done", out.display());
        rig.says(&if case.is_v6() { fetch } else { fetch.replace(['[', ']'], "") }, &["done"]);
        assert!(fs::read_to_string(&out).unwrap() == text, "{}", case.nat);
    }
}

#[test]
fn ping_errors_and_traceroute() {
    let rig = Rig::new();
    rig.router.netns().ip("link set eth1 mtu 1300");
    for case in &CASES {
        let Case { nat, call, .. } = case;
        let router = case.router();
        rig.rules(nat, "");
        rig.says(&format!("ping -c 2 -i 0.2 -W 5 {call}"), &[" 0% packet loss"]);
        let from = format!("From {router}");
        let expired = ["Time to live exceeded", "Time exceeded: Hop limit"][usize::from(case.is_v6())];
        rig.says(&format!("ping -c 1 -W 5 -t 1 {call}"), &[&from, expired]);
        let too_big = ["(mtu = 1300)", "Packet too big: mtu=1300"][usize::from(case.is_v6())];
        rig.says(&format!("ping -c 1 -W 5 -M do -s 1400 {call}"), &[&from, too_big]);
        // The kernel remembers the size of the way, and would refuse the next by itself.
        rig.client.netns().sh("ip route flush cache; ip -6 route flush cache");
        let trace = rig.try_client(&format!("traceroute -n -q 1 -w 3 -m 4 {call}")).stdout;
        let hops: Vec<_> = trace.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(hops, [router, call], "{nat}: {trace}");
        let refused = format!(
            "import socket
s = socket.socket(socket.AF_INET6 if ':' in '{call}' else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.connect(('{call}', 9)); s.send(b'?')
try: s.recv(9)
except ConnectionRefusedError: print('refused')"
        );
        let said = rig.python(&refused);
        assert_eq!(said.stdout.trim(), "refused", "{nat}: {said:?}\n{}", rig.connections());
    }
}

#[test]
fn bulk_data_both_ways() {
    let mut rig = Rig::new();
    rig.serve("iperf3", &["-s"]);
    wait_until("iperf3", || rig.server.succeeds("ss -Hltn 'sport = 5201' | grep -q LISTEN"));
    for case in &CASES {
        rig.rules(case.nat, "");
        for direction in ["", "-R"] {
            let line = format!("iperf3 -c {} -n 100M -P 2 {direction} --connect-timeout 5000", case.call);
            rig.says(&line, &["iperf Done"]);
        }
    }
    let udp = "iperf3 -u -b 200M -t 1 -c fd00::241 --connect-timeout 5000";
    wait_until("iperf3 by UDP", || rig.try_client(udp).stdout.contains("iperf Done"));
}

/// Opens connections from one port on and keeps them; how many were answered, and from which ports.
fn open(rig: &Rig, kind: &str, call: &str, count: usize) -> Vec<String> {
    let script = format!(
        "import socket
kept = []
for n in range({count}):
    s = socket.socket(socket.AF_INET6 if ':' in '{call}' else socket.AF_INET, socket.SOCK_{kind}); s.settimeout(1)
    kept.append(s)
    try:
        s.connect(('{call}', 7)); s.send(b'?'); print(s.recv(99).decode(), end='', flush=True)
    except OSError: pass"
    );
    rig.python(&script).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_range_that_is_used_up_refuses_and_recovers() {
    let rig = Rig::new();
    for (nat, call) in [("src=10.0.0.240:6000-6003", "10.1.0.2"), ("src=[fd00::240]:6000-6003", "fd01::2")] {
        rig.rules(nat, "");
        for kind in ["STREAM", "DGRAM"] {
            let mut ports = open(&rig, kind, call, 5);
            ports.sort();
            let address = call.replace("10.1.0.2", "10.0.0.240").replace("fd01::2", "fd00::240");
            let wanted = [6000, 6001, 6002, 6003].map(|port| format!("{address} {port}"));
            assert_eq!(ports, wanted, "{nat} {kind}\n{}", rig.connections());
        }
        rig.sandbox.appctl(&["dpctl/flush-conntrack"]);
        assert_eq!(open(&rig, "DGRAM", call, 1).len(), 1, "{nat}: free again");
    }
    let coverage = rig.sandbox.appctl(&["coverage/show"]);
    assert!(is_theirs(&rig.sandbox) || coverage.contains("conntrack_nat_exhausted"), "{coverage}");
}

#[test]
fn all_zero_source_translation_moves_only_what_collides() {
    let rig = Rig::new();
    for (zero, vip, server, ip, dst) in [
        ("0.0.0.0", "10.0.0.241", "10.1.0.2", "ip", "nw_dst"),
        ("::", "fd00::241", "fd01::2", "ipv6", "ipv6_dst"),
    ] {
        let rule = format!(
            "table=1,priority=20,in_port=1,{ip},{dst}={vip},ct_state=+trk+new,actions=ct(commit,nat(dst={server})),2"
        );
        rig.rules(&format!("src={zero}"), &rule);
        let script = format!(
            "import socket
kept = []
for address in ('{server}', '{vip}', '{server}'):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET); s.settimeout(5)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', 5555 if len(kept) else 4444)); kept.append(s)
    s.connect((address, 7)); print(s.recv(99).decode().split()[1])"
        );
        let said = rig.python(&script);
        let ports: Vec<&str> = said.stdout.lines().collect();
        assert_eq!(ports.len(), 3, "{said:?}\n{}", rig.connections());
        assert_eq!(ports[..2], ["4444", "5555"], "no collision, no change");
        assert_ne!(ports[2], "5555", "the same port of the same server would be the same connection");
    }
}
