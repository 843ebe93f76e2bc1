//! Whatever dies comes back by itself, and traffic goes on meanwhile where it can.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use e2e::{Host, Sandbox, wait_until};
use nix::sys::signal::Signal;

fn two_hosts(sandbox: &Sandbox) -> (Host, Host) {
    let a = Host::new(sandbox.netns(), "p1", "10.0.0.1/24");
    let b = Host::new(sandbox.netns(), "p2", "10.0.0.2/24");
    sandbox.add_bridge("br0", &["p1", "p2"]);
    wait_until("the first ping", || a.pings(b.address()));
    (a, b)
}

#[test]
fn forwarding_goes_on_without_the_database() {
    let mut sandbox = Sandbox::new();
    let (a, b) = two_hosts(&sandbox);
    sandbox.stop_database(Signal::SIGKILL);
    assert!(a.pings(b.address()));
    sandbox.ofctl(&["add-flow", "br0", "priority=9,icmp,actions=drop"]);
    assert!(!a.pings(b.address()), "rules can still be changed");
    sandbox.ofctl(&["del-flows", "br0", "icmp"]);

    sandbox.start_database();
    sandbox.vsctl(&["add-port", "br0", "int1", "--", "set", "interface", "int1", "type=internal"]);
    assert!(sandbox.netns().succeeds("ip link show int1"), "the new server is obeyed");
    assert!(a.pings(b.address()));
    let flows = sandbox.ofctl(&["dump-flows", "br0"]);
    assert!(flows.contains("actions=NORMAL"), "a new server with the same contents changes nothing: {flows}");
}

#[test]
fn a_new_switch_takes_over_after_kill_9() {
    let mut sandbox = Sandbox::new();
    let (a, b) = two_hosts(&sandbox);
    sandbox.netns().ip("addr add 10.0.0.9/24 dev br0");
    sandbox.netns().ip("link set br0 up");
    sandbox.vsctl(&["add-port", "br0", "int1", "--", "set", "interface", "int1", "type=internal"]);
    let guest = e2e::Netns::new("guest");
    sandbox.netns().ip(&format!("link set int1 netns {}", guest.name()));
    guest.ip("addr add 10.0.0.3/24 dev int1");
    guest.ip("link set int1 up");
    wait_until("the guest", || a.pings("10.0.0.3"));
    let index = guest.sh("cat /sys/class/net/int1/ifindex");

    sandbox.stop_switch(Signal::SIGKILL);
    sandbox.start_switch();
    wait_until("forwarding", || a.pings(b.address()));
    wait_until("the local port", || a.pings("10.0.0.9"));
    wait_until("the guest, whose port was found in its namespace", || a.pings("10.0.0.3"));
    assert_eq!(guest.sh("cat /sys/class/net/int1/ifindex"), index, "it is the same device");
}

/// Clock ticks (10 ms) of processor time that the switch has used so far.
fn ticks(sandbox: &Sandbox) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", sandbox.pid().unwrap())).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn waiting_for_the_database_costs_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    sandbox.stop_database(Signal::SIGKILL);
    // Statistics are due every five seconds; what is due must not be asked for in a loop while it cannot be written.
    sandbox.wait_for_log("connection attempt failed");
    let before = ticks(&sandbox);
    let start = std::time::Instant::now();
    wait_until("six seconds to pass", || start.elapsed().as_secs() >= 6);
    assert!(ticks(&sandbox) - before < 100, "the control thread spins");
}

/// Reads one OpenFlow message; its type.
fn message(stream: &mut UnixStream) -> u8 {
    let mut header = [0; 8];
    stream.read_exact(&mut header).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
    stream.read_exact(&mut body).unwrap();
    header[1]
}

#[test]
fn a_controller_is_connected_again() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("controller");
    let listener = UnixListener::bind(&path).unwrap();
    sandbox.add_bridge("br0", &[]);
    sandbox.vsctl(&["set-controller", "br0", &format!("unix:{}", path.display())]);
    let accept = |listener: &UnixListener| {
        let (mut controller, _) = listener.accept().unwrap();
        controller.write_all(&[1, 0, 0, 8, 0, 0, 0, 1]).unwrap();
        assert_eq!(message(&mut controller), 0, "hello");
        controller
    };
    let is_connected = || sandbox.vsctl(&["--bare", "--columns=is_connected", "list", "controller"]);
    let first = accept(&listener);
    wait_until("is_connected", || is_connected().trim() == "true");
    drop((first, listener));
    wait_until("the loss to be written", || is_connected().trim() == "false");

    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let _second = accept(&listener);
    wait_until("is_connected again", || is_connected().trim() == "true");
}

#[test]
fn a_device_that_comes_back_is_a_port_again() {
    let sandbox = Sandbox::new();
    let (a, _b) = two_hosts(&sandbox);
    sandbox.netns().ip("link del p2");
    wait_until("the loss to be written", || {
        sandbox.vsctl(&["get", "interface", "p2", "ofport"]).trim() == "-1"
    });
    let error = sandbox.vsctl(&["get", "interface", "p2", "error"]);
    assert!(error.contains("could not open network device p2 (No such device)"), "{error}");
    let again = Host::new(sandbox.netns(), "p2", "10.0.0.5/24");
    wait_until("the port", || sandbox.vsctl(&["get", "interface", "p2", "ofport"]).trim() == "2");
    wait_until("a ping", || a.pings(again.address()));
    assert_eq!(sandbox.vsctl(&["get", "interface", "p2", "error"]).trim(), "[]");
}
