//! The `vxlan` crate against the kernel's vxlan device: a host behind our encapsulation talks to one behind the kernel's.
//!
//! ```text
//!  host (10.0.0.1) eth0 ── inner [our encapsulation] under ── eth0 [kernel: vx0 10.0.0.2] peer
//! ```
//!
//! Nothing is switched off anywhere: frames come with partial checksums and as super-frames from both sides.

mod relay;
mod socket;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use e2e::{Host, Netns, wait_until};
use nix::sched::{CloneFlags, setns};

use relay::{Relay, Seen};

const BYTES: usize = 8 << 20;

/// Does something in another namespace; sockets that it makes stay there.
fn inside<T: Send>(netns: &Netns, act: impl FnOnce() -> T + Send) -> T {
    let path = format!("/run/netns/{}", netns.name());
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// Bytes that tell where they belong.
fn pattern() -> Vec<u8> {
    (0..BYTES as u32 / 4).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect()
}

/// Both ends send the pattern to each other, one after the other.
fn exchange(host: &Netns, peer: &Netns) {
    let listener = inside(peer, || TcpListener::bind("10.0.0.2:5001").unwrap());
    let answer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        stream.write_all(&pattern()).unwrap();
        got
    });
    let mut stream = inside(host, || TcpStream::connect("10.0.0.2:5001").unwrap());
    stream.write_all(&pattern()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert!(got == pattern(), "what the peer sent arrives");
    assert!(answer.join().unwrap() == pattern(), "what the host sent arrives");
}

/// Lets them talk over a tunnel between `ours` and `theirs`, and tells what the relay saw.
fn talk(ours: &str, theirs: &str, checksum: bool, options: &str, mtu: u32) -> Seen {
    let switch = Netns::new("vx");
    switch.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    let host = Host::quiet(&switch, "inner", 1);
    let peer = Netns::new("vxpeer");
    switch.ip(&format!(
        "link add under address 02:00:00:00:09:01 type veth peer name eth0 address 02:00:00:00:09:02 netns {}",
        peer.name()
    ));
    switch.ip("link set under up");
    let prefix = if theirs.contains(':') { "64 nodad" } else { "24" };
    peer.ip(&format!("addr add {theirs}/{prefix} dev eth0"));
    peer.ip("link set eth0 up");
    peer.ip(&format!("neigh add {ours} lladdr 02:00:00:00:09:01 dev eth0"));
    peer.ip(&format!(
        "link add vx0 mtu {mtu} address 02:00:00:00:00:02 type vxlan id 7 local {theirs} remote {ours} dstport 4789 {options}"
    ));
    peer.ip("addr add 10.0.0.2/24 dev vx0");
    peer.ip("link set vx0 up");

    let relay = Relay::start(&switch, ours, theirs, checksum);
    wait_until("the peer to answer through the tunnel", || host.pings("10.0.0.2"));
    too_big(&host, mtu);
    exchange(host.netns(), &peer);
    relay.stop()
}

/// A host that does not know how little fits into the tunnel is told, and keeps to it.
fn too_big(host: &Host, mtu: u32) {
    host.netns().ip("link set eth0 mtu 1500");
    let told = host.netns().sh("ping -c 1 -W 1 -M do -s 1472 10.0.0.2 2>&1 || true");
    assert!(told.contains(&format!("mtu = {mtu}")) || told.contains(&format!("mtu={mtu}")), "{told}");
    assert!(host.netns().ip("route get 10.0.0.2").contains(&format!("mtu {mtu}")));
}

fn assert_whole(seen: &Seen) {
    assert!(seen.trains > 0, "super-frames went out as trains: {seen:?}");
    assert!(seen.super_frames > 0, "super-frames came in: {seen:?}");
    assert!(seen.partial > 0, "partial checksums came in: {seen:?}");
    assert_eq!(seen.too_big, 1, "the host keeps to what it was told: {seen:?}");
    assert!(seen.refused.is_empty(), "{seen:?}");
}

#[test]
fn over_ipv4_without_checksum() {
    assert_whole(&talk("10.9.0.1", "10.9.0.2", false, "noudpcsum", 1450));
}

#[test]
fn over_ipv4_with_checksum() {
    assert_whole(&talk("10.9.0.1", "10.9.0.2", true, "udpcsum", 1450));
}

#[test]
fn over_ipv6() {
    assert_whole(&talk("fd09::1", "fd09::2", true, "", 1430));
}

#[test]
fn over_ipv6_with_zero_checksums_from_the_peer() {
    assert_whole(&talk("fd09::1", "fd09::2", true, "udp6zerocsumtx", 1430));
}
