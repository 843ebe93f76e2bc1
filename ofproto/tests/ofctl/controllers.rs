//! Controllers that the bridge connects to, and those who watch them.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use ofproto::conn::{ConnConfig, ControllerConfig};

use crate::bench::Bench;

/// A controller behind a Unix-domain socket that the bridge has connected to, with hellos exchanged in OpenFlow 1.0.
fn controller(bench: &Bench) -> UnixStream {
    let path = bench.socket("controller");
    let listener = UnixListener::bind(&path).expect("a socket");
    let row = ControllerConfig::new(format!("unix:{}", path.display()));
    bench.order(move |manager, now_ns| {
        manager.configure("br0", &ConnConfig { controllers: vec![row], ..ConnConfig::default() }, now_ns);
    });
    let (mut peer, _) = listener.accept().expect("a connection");
    peer.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    peer.write_all(&[1, 0, 0, 8, 0, 0, 0, 1]).expect("a hello is sent");
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
    let mut peer = controller(&bench);
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
