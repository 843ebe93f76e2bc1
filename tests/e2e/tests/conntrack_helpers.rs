//! Real FTP and TFTP clients and servers through `ct(alg=...)`, as they are and behind address translation, IPv4 and IPv6.

use std::fs;
use std::process::{Child, Stdio};

use e2e::{Host, Netns, Sandbox, wait_until};

/// A server in a namespace, ended with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(netns: &Netns, program: &str, args: &[&str]) -> Server {
    let mut command = netns.command(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Server(command.spawn().expect("a server"))
}

/// A switch between a client (10.0.0.1, fd00::1) and a server (10.0.0.2, fd00::2) that knows 10.0.0.240 and fd00::240 at the client's MAC; the
/// client knows 10.0.0.241 and fd00::241 at the server's.
struct Rig {
    sandbox: Sandbox,
    client: Host,
    server: Host,
}

impl Rig {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let client = Host::new(sandbox.netns(), "p1", "10.0.0.1/24");
        let server = Host::new(sandbox.netns(), "p2", "10.0.0.2/24");
        sandbox.add_bridge("br0", &["p1", "p2"]);
        let addresses = [
            (&client, &server, "10.0.0.241", "fd00::241", 1),
            (&server, &client, "10.0.0.240", "fd00::240", 2),
        ];
        for (host, other, v4, v6, n) in addresses {
            host.netns().ip(&format!("addr add fd00::{n}/64 dev eth0 nodad"));
            for address in [v4, v6] {
                host.netns().ip(&format!("neigh replace {address} lladdr {} dev eth0", other.mac()));
            }
        }
        wait_until("the switch to forward", || client.pings("10.0.0.2") && client.pings("fd00::2"));
        Self { sandbox, client, server }
    }

    /// Lets in what the client opens to the port and what that announces, nothing else; `nat` is done to the control connection.
    fn rules(&self, proto: &str, port: u16, alg: &str, nat: &str) {
        self.sandbox.appctl(&["dpctl/flush-conntrack"]);
        let translate = if nat.is_empty() { String::new() } else { format!(",nat({nat})") };
        let again = if nat.is_empty() { "" } else { ",nat" };
        let mut flows =
            "priority=1,actions=drop\npriority=10,arp,actions=normal\npriority=10,icmp6,actions=normal\n"
                .to_owned();
        let protos = match (nat.is_empty(), nat.contains(':')) {
            (true, _) => vec![proto.to_owned(), format!("{proto}6")],
            (_, true) => vec![format!("{proto}6")],
            (_, false) => vec![proto.to_owned()],
        };
        for proto in protos {
            flows += &format!(
                "priority=100,{proto},actions=ct(table=1{again})
                 table=1,priority=100,in_port=1,ct_state=+trk+new-rel,{proto},tp_dst={port},actions=ct(commit,alg={alg}{translate}),2
                 table=1,priority=100,in_port=1,ct_state=+trk+new+rel,{proto},actions=ct(commit{again}),2
                 table=1,priority=100,in_port=2,ct_state=+trk+new+rel,{proto},actions=ct(commit{again}),1
                 table=1,priority=100,in_port=1,ct_state=+trk+est,{proto},actions=2
                 table=1,priority=100,in_port=2,ct_state=+trk+est,{proto},actions=1\n"
            );
        }
        let path = self.sandbox.path("flows");
        fs::write(&path, flows).unwrap();
        self.sandbox.ofctl(&["del-flows", "br0"]);
        self.sandbox.ofctl(&["add-flows", "br0", &path.display().to_string()]);
    }

    /// Fetches a file; whether it is the right one.
    fn fetch(&self, options: &str, url: &str, wanted: &str) {
        let out = self.sandbox.path("got").display().to_string();
        let line = format!("curl -sS -m 10 -g {options} -o {out} '{url}' 2>&1");
        let said = e2e::try_run(self.client.netns().command("sh").args(["-c", &line]));
        let dump = self.sandbox.appctl(&["dpctl/dump-conntrack"]);
        assert_eq!(said.code, 0, "{line}: {said:?}\n{dump}");
        assert!(fs::read_to_string(&out).unwrap() == wanted, "{line}");
        fs::remove_file(out).unwrap();
    }
}

/// Text that takes many segments.
fn text() -> String {
    (0..20_000).map(|n| format!("line {n}\n")).collect()
}

/// `vsftpd` for anonymous clients.
fn vsftpd(rig: &Rig, text: &str) -> Server {
    let root = rig.sandbox.path("ftp");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), text).unwrap();
    let config = rig.sandbox.path("vsftpd.conf");
    let lines = [
        "listen=NO",
        "listen_ipv6=YES",
        "anonymous_enable=YES",
        "background=NO",
        "seccomp_sandbox=NO",
        "run_as_launching_user=NO",
        "connect_from_port_20=YES",
        "port_enable=YES",
        "secure_chroot_dir=/var/run/vsftpd/empty",
        &format!("anon_root={}", root.display()),
    ];
    fs::write(&config, lines.join("\n") + "\n").unwrap();
    let _ = fs::create_dir_all("/var/run/vsftpd/empty");
    // The server's unprivileged user must be able to get there.
    let readable = rig.server.netns().succeeds(&format!(
        "chmod 755 {} {}",
        rig.sandbox.path("").display(),
        root.display()
    ));
    assert!(readable);
    let server = start(rig.server.netns(), "vsftpd", &[&config.display().to_string()]);
    wait_until("vsftpd", || rig.server.netns().succeeds("ss -ltn | grep -q ':21 '"));
    server
}

/// curl's options for EPSV, PASV, EPRT and PORT.
const MODES: [&str; 4] = ["", "--disable-epsv", "--ftp-port -", "--ftp-port - --disable-eprt"];

#[test]
fn ftp_in_all_modes() {
    let rig = Rig::new();
    let text = text();
    let _server = vsftpd(&rig, &text);
    let cases = [
        ("", "10.0.0.2"),
        ("", "[fd00::2]"),
        ("src=10.0.0.240", "10.0.0.2"),
        ("src=fd00::240", "[fd00::2]"),
        ("dst=10.0.0.2", "10.0.0.241"),
        ("dst=fd00::2", "[fd00::241]"),
    ];
    for (nat, host) in cases {
        rig.rules("tcp", 21, "ftp", nat);
        for mode in MODES {
            // There is neither PORT nor PASV for IPv6.
            if !(host.contains(':') && mode.contains("disable")) {
                rig.fetch(mode, &format!("ftp://{host}/file"), &text);
            }
        }
    }
}

#[test]
fn tftp() {
    let rig = Rig::new();
    let text = text();
    let root = rig.sandbox.path("tftp");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), &text).unwrap();
    assert!(rig.server.netns().succeeds(&format!("chmod -R a+rX {}", rig.sandbox.path("").display())));
    let _server = start(rig.server.netns(), "in.tftpd", &["-L", "--secure", &root.display().to_string()]);
    wait_until("in.tftpd", || rig.server.netns().succeeds("ss -lun | grep -q ':69 '"));
    for (nat, host) in
        [("", "10.0.0.2"), ("", "[fd00::2]"), ("src=10.0.0.240", "10.0.0.2"), ("src=fd00::240", "[fd00::2]")]
    {
        rig.rules("udp", 69, "tftp", nat);
        rig.fetch("", &format!("tftp://{host}/file"), &text);
    }
}
