//! What the database says of interfaces, beside what Debian's Open vSwitch says; and what becomes of their devices.

use e2e::{Netns, Pair, Sandbox, Side, wait_until};

const FACTS: &str = "--columns=name,type,admin_state,link_state,link_speed,duplex,mtu,status,error,ofport";

#[test]
fn rows_are_those_of_open_vswitch() {
    let pair = Pair::new("standalone");
    pair.both(|side| {
        let interfaces = ["int1", "tap1"];
        for (n, name) in interfaces.iter().enumerate() {
            let kind = if name.starts_with("int") { "type=internal" } else { "type=tap" };
            let (request, mac) =
                (format!("ofport_request={}", n + 3), format!("mac=\"02:00:00:00:02:0{n}\""));
            side.sandbox.vsctl(&[
                "add-port",
                "br0",
                name,
                "--",
                "set",
                "interface",
                name,
                kind,
                &request,
                &mac,
            ]);
        }
        side.sandbox.netns().ip("link set int1 up");
        side.sandbox.vsctl(&["set", "interface", "p2", "mtu_request=1400"]);
    });
    let up = |sandbox: &Sandbox| sandbox.vsctl(&["get", "interface", "int1", "admin_state"]).trim() == "up";
    pair.both(|side| wait_until("int1 to be up", || up(&side.sandbox)));
    let mtu = |sandbox: &Sandbox| sandbox.vsctl(&["get", "interface", "int1", "mtu"]).trim().to_owned();
    pair.both(|side| wait_until("internal ports to follow the MTU", || mtu(&side.sandbox) == "1400"));
    for name in ["br0", "p1", "p2", "int1", "tap1"] {
        pair.same(name, |sandbox| sandbox.try_vsctl(&[FACTS, "list", "interface", name]));
    }
    // A tap's MAC is the kernel's choice, whatever the database asks for.
    for name in ["br0", "p1", "p2", "int1"] {
        pair.same(name, |sandbox| sandbox.try_vsctl(&["get", "interface", name, "mac_in_use"]));
    }
    let asked_for = |sandbox: &Sandbox| {
        sandbox.vsctl(&["get", "interface", "tap1", "mac_in_use"]).contains("02:00:00:00:02:01")
    };
    assert_eq!(pair.both(|side| asked_for(&side.sandbox)), (false, false));
}

#[test]
fn statistics_are_those_of_open_vswitch() {
    let pair = Pair::new("standalone");
    let five = |side: &Side| side.h1.netns().succeeds("ping -c 5 -i 0.2 -W 1 -s 1000 10.0.0.2");
    assert_eq!(pair.both(five), (true, true));
    let get = |sandbox: &Sandbox| sandbox.try_vsctl(&["get", "interface", "p1", "statistics"]);
    let arrived = |sandbox: &Sandbox| get(sandbox).stdout.contains("rx_packets=5");
    pair.both(|side| wait_until("the counters to be written", || arrived(&side.sandbox)));
    pair.same("p1", get);
}

#[test]
fn what_cannot_be_opened_is_told_as_open_vswitch_tells_it() {
    let pair = Pair::new("standalone");
    pair.both(|side| side.sandbox.netns().ip("link add v0 type veth peer name v1"));
    let internal = ["add-port", "br0", "v0", "--", "set", "interface", "v0", "type=internal"];
    let cases = [
        ("no such device", &["add-port", "br0", "nosuch0"][..]),
        ("a veth", &internal),
        ("the loopback device", &["add-port", "br0", "lo"]),
    ];
    for (what, words) in cases {
        // The second line names the directory of the log.
        let first_line = |side: &Side| {
            let output = side.sandbox.try_vsctl(words);
            (output.code, output.stderr.lines().next().map(str::to_owned))
        };
        let (ours, theirs) = pair.both(first_line);
        assert_eq!(ours, theirs, "{what}");
    }
    for name in ["nosuch0", "v0", "lo"] {
        pair.same(name, |sandbox| sandbox.try_vsctl(&["--columns=error,ofport", "list", "interface", name]));
    }
}

/// A namespace with a process in it, as a container has.
struct Container {
    netns: Netns,
    process: std::process::Child,
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_internal_port_is_made_again_when_its_device_or_its_namespace_is_removed() {
    let sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    let add =
        |name| sandbox.vsctl(&["add-port", "br0", name, "--", "set", "interface", name, "type=internal"]);
    let made = |name: &str| sandbox.netns().succeeds(&format!("ip link show {name}"));
    add("int1");
    let index = sandbox.netns().sh("cat /sys/class/net/int1/ifindex");
    sandbox.netns().ip("link del int1");
    wait_until("int1 to be made again", || made("int1"));
    assert_ne!(sandbox.netns().sh("cat /sys/class/net/int1/ifindex"), index);

    add("int2");
    let guest = Netns::new("guest");
    let process = guest.command("sleep").arg("600").spawn().unwrap();
    let container = Container { netns: guest, process };
    sandbox.netns().ip(&format!("link set int2 netns {}", container.netns.name()));
    container.netns.ip("link set int2 up mtu 1300");
    let mtu = || sandbox.vsctl(&["get", "interface", "int2", "mtu"]);
    wait_until("its MTU to be known", || mtu().trim() == "1300");
    drop(container);
    wait_until("int2 to be made again", || made("int2"));
}

#[test]
fn whoever_removes_many_ports_at_once_is_told_when_all_are_gone() {
    const PORTS: usize = 30;
    let sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    let names: Vec<String> = (0..PORTS).map(|n| format!("many{n}")).collect();
    let kind = "type=internal";
    let add =
        names.iter().flat_map(|name| ["--", "add-port", "br0", name, "--", "set", "interface", name, kind]);
    sandbox.vsctl(&add.collect::<Vec<_>>());
    let devices = || sandbox.netns().sh("ls /sys/class/net");
    assert_eq!(devices().matches("many").count(), PORTS);
    // One that is added in the same transaction takes the number of one that goes.
    let number = sandbox.vsctl(&["get", "interface", "many7", "ofport"]);
    let request = format!("ofport_request={}", number.trim());
    let delete = names.iter().flat_map(|name| ["--", "del-port", "br0", name]);
    let set = ["--", "add-port", "br0", "one", "--", "set", "interface", "one", kind, &request];
    sandbox.vsctl(&delete.chain(set).collect::<Vec<_>>());
    assert_eq!(devices().matches("many").count(), 0);
    assert_eq!(sandbox.vsctl(&["get", "interface", "one", "ofport"]), number);
    assert!(!sandbox.ofctl(&["show", "br0"]).contains("many"));
}
