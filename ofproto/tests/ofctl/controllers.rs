//! Controllers that the bridge connects to, and those who watch them.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use ofproto::conn::{ConnConfig, ControllerConfig};

use crate::bench::Bench;

/// A controller behind a Unix-domain socket that the bridge has connected to, with hellos exchanged in this version.
fn controller_of(bench: &Bench, version: u8) -> UnixStream {
    let path = bench.socket("controller");
    let listener = UnixListener::bind(&path).expect("a socket");
    let row = ControllerConfig::new(format!("unix:{}", path.display()));
    bench.order(move |manager, now_ns| {
        manager.configure("br0", &ConnConfig { controllers: vec![row], ..ConnConfig::default() }, now_ns);
    });
    let (mut peer, _) = listener.accept().expect("a connection");
    peer.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    peer.write_all(&[version, 0, 0, 8, 0, 0, 0, 1]).expect("a hello is sent");
    let mut hello = [0; 8];
    peer.read_exact(&mut hello).expect("a hello comes");
    assert_eq!(hello[..2], [6, 0]);
    peer
}

/// The type of the next message.
fn next_kind(peer: &mut UnixStream) -> u8 {
    let mut header = [0; 8];
    peer.read_exact(&mut header).expect("a message");
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
    peer.read_exact(&mut body).expect("its body");
    header[1]
}

#[test]
fn a_controller_is_answered_and_watched() {
    let bench = Bench::new();
    let mut peer = controller_of(&bench, 1);
    let mut snoop = UnixStream::connect(bench.socket("br0.snoop")).expect("the snoop socket");
    snoop.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    assert_eq!(next_kind(&mut snoop), 0, "a hello");
    snoop.write_all(&[6, 0, 0, 8, 0, 0, 0, 1]).expect("a hello is sent");
    let start = Instant::now();
    peer.write_all(&[1, 5, 0, 8, 0, 0, 0, 2]).expect("a features request");
    assert_eq!(next_kind(&mut peer), 6, "the features");
    assert_eq!((next_kind(&mut snoop), next_kind(&mut snoop)), (5, 6), "request and reply");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

/// A connection to the management socket that speaks OpenFlow 1.4.
fn client(bench: &Bench) -> UnixStream {
    let mut peer = UnixStream::connect(bench.socket("br0.mgmt")).expect("the management socket");
    peer.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    peer.write_all(&[5, 0, 0, 8, 0, 0, 0, 1]).expect("a hello is sent");
    assert_eq!(next_kind(&mut peer), 0);
    peer
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![5, kind, 0, 8 + body.len() as u8, 0, 0, 0, 9];
    out.extend_from_slice(body);
    out
}

/// The type and code of the error that comes next.
fn next_error(peer: &mut UnixStream) -> (u16, u16) {
    let mut header = [0; 12];
    peer.read_exact(&mut header).expect("a message");
    assert_eq!(header[1], 1, "an error");
    let mut rest = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 12];
    peer.read_exact(&mut rest).expect("the rest");
    (u16::from_be_bytes([header[8], header[9]]), u16::from_be_bytes([header[10], header[11]]))
}

#[test]
fn a_slave_may_only_look_and_old_generations_are_stale() {
    let bench = Bench::new();
    let mut peer = controller_of(&bench, 5);
    let role = |role: u32, generation: u64| {
        let mut body = role.to_be_bytes().to_vec();
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&generation.to_be_bytes());
        message(24, &body)
    };
    peer.write_all(&role(3, 7)).expect("a role request");
    assert_eq!(next_kind(&mut peer), 25, "a role reply");
    peer.write_all(&message(33, &[0, 0, 0, 1, 0, 0, 0, 1])).expect("a bundle is opened");
    assert_eq!(next_error(&mut peer), (1, 10), "bad request, is slave");
    peer.write_all(&role(2, 6)).expect("a role request");
    assert_eq!(next_error(&mut peer), (11, 0), "role request failed, stale");
    bench.order(|manager, _| {
        let (_, status) = &manager.status("br0")[0];
        assert_eq!((status.is_connected, status.role), (true, Some("slave")));
        assert_eq!(status.status["state"], "ACTIVE");
    });
}

#[test]
fn an_echo_is_answered_while_another_dumps() {
    let bench = Bench::new();
    let flow = |i| format!("ip,nw_dst=10.0.{}.{},actions=output:2\n", i / 256, i % 256);
    let flows: String = (0..20000).map(flow).collect();
    assert_eq!(bench.ofctl_with("--bundle add-flows br0 -", &flows), "");
    let mut greedy = client(&bench);
    let mut body = vec![0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0];
    body.extend_from_slice(&[0xff; 8]);
    body.extend_from_slice(&[0; 20]);
    body.extend_from_slice(&[0, 1, 0, 4, 0, 0, 0, 0]);
    // Ten dumps of all flows, of which nothing is read.
    (0..10).for_each(|_| greedy.write_all(&message(18, &body)).expect("a dump is asked for"));
    let mut patient = client(&bench);
    for _ in 0..20 {
        let start = Instant::now();
        patient.write_all(&message(2, &[])).expect("an echo request");
        assert_eq!(next_kind(&mut patient), 3, "an echo reply");
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    }
}

#[test]
fn a_bundle_left_alone_is_dropped() {
    let bench = Bench::new();
    let mut peer = client(&bench);
    peer.write_all(&message(33, &[0, 0, 0, 1, 0, 0, 0, 1])).expect("a bundle is opened");
    assert_eq!(next_kind(&mut peer), 33);
    assert_eq!(next_error(&mut peer), (17, 14), "bundle failed, timeout");
    peer.write_all(&message(33, &[0, 0, 0, 1, 0, 4, 0, 1])).expect("it is committed");
    assert_eq!(next_error(&mut peer), (17, 2), "bundle failed, bad id");
}

#[test]
fn standalone_without_a_controller_forwards_when_probes_run_out() {
    let bench = Bench::new();
    let mut config = bench.bridge.config();
    config.fail_mode = ofproto::config::FailMode::Standalone;
    bench.bridge.configure(config);
    bench.order(|manager, now_ns| {
        manager.bridge_changed("br0", now_ns);
        let row = ControllerConfig::new("unix:/no/such/socket");
        manager.configure("br0", &ConnConfig { controllers: vec![row], ..ConnConfig::default() }, now_ns);
    });
    let hidden = || bench.bridge.all_rules().iter().any(|rule| rule.spec().priority > 65535);
    assert!(!hidden());
    let start = Instant::now();
    while !hidden() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never failed open");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(start.elapsed() > Duration::from_secs(14), "three probes take 15 s");
    assert!(!bench.ofctl("dump-flows br0").contains("NORMAL"), "the rule is hidden");
}

#[test]
fn who_comes_when_too_many_are_in_is_refused_and_counted() {
    let bench = Bench::new();
    let connect = || {
        let peer = UnixStream::connect(bench.socket("br0.mgmt")).expect("a connection");
        peer.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        peer
    };
    let mut hello = [0; 8];
    let mut crowd: Vec<_> = (0..256).map(|_| connect()).collect();
    crowd.iter_mut().for_each(|peer| peer.read_exact(&mut hello).expect("a hello"));
    assert_eq!(connect().read(&mut hello).expect("an end"), 0, "one too many was let in");
    let (tell, told) = std::sync::mpsc::channel();
    bench.order(move |manager, _| tell.send(manager.refused()).expect("somebody waits"));
    assert_eq!(told.recv().expect("a number"), 1);
    crowd.clear();
    let start = Instant::now();
    while connect().read(&mut hello).expect("an answer") == 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "there is room again, and nobody is let in");
    }
}

#[test]
fn a_controller_that_reads_late_is_told_of_every_flow_that_went() {
    const FLOWS: u32 = 20_000;
    let bench = Bench::new();
    let mut peer = controller_of(&bench, 4);
    let address = |n: u32| format!("10.{}.{}.{}", n >> 16, n >> 8 & 0xff, n & 0xff);
    let flow = |n: u32| format!("send_flow_rem,ip,nw_dst={},actions=drop\n", address(n));
    let flows: String = (0..FLOWS).map(flow).collect();
    assert_eq!(bench.ofctl_with("-O OpenFlow13 add-flows br0 -", &flows), "");
    assert_eq!(bench.ofctl("-O OpenFlow13 del-flows br0"), "");
    // Far more is queued than a connection may have: it has to wait for us, and nobody else for it.
    assert!(bench.ofctl("-O OpenFlow13 dump-aggregate br0").contains("flow_count=0"));
    let mut told = 0;
    while told < FLOWS {
        told += u32::from(next_kind(&mut peer) == 11);
    }
    assert!(bench.ofctl("-O OpenFlow13 dump-tables br0").contains("table 0"));
}
