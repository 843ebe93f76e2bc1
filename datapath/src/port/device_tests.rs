//! The drivers of kernel devices on real devices, in namespaces of their own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use packet::Packet;

use super::{Port, PortKind, PortSpec, Queues, open, taps};
use crate::action::PortNo;
use crate::netdev::testing::{guest, in_new_netns, new_netns, ping, run, wait_until};
use crate::netdev::{Links, Netdevs, What};
use crate::netlink::Netns;

/// How long a stalled connection is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn opened(name: &str, kind: PortKind) -> (Arc<Port>, Queues) {
    let port = Arc::new(Port::new(PortNo(1), PortSpec::new(name, kind)));
    let queues = open(&port, 1).unwrap();
    (port, queues)
}

fn failure(name: &str, kind: PortKind) -> String {
    let port = Arc::new(Port::new(PortNo(1), PortSpec::new(name, kind)));
    open(&port, 1).unwrap_err().open_text()
}

/// Receives until there is a frame that `wanted` accepts.
fn await_frame(queues: &mut Queues, wanted: impl Fn(&Packet) -> bool) -> Packet {
    let deadline = Instant::now() + PATIENCE;
    let mut batch = Vec::new();
    loop {
        queues.rx[0].receive(32, 0, &mut batch);
        if let Some(at) = batch.iter().position(&wanted) {
            return batch.swap_remove(at);
        }
        batch.clear();
        assert!(Instant::now() < deadline, "the frame did not come");
    }
}

/// Forwards frames between two ports on a thread of its own until dropped; keeps the length of the longest.
struct Wire {
    stop: Arc<AtomicBool>,
    longest: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Wire {
    fn between(mut one: Queues, mut other: Queues) -> Self {
        let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (halt, seen) = (stop.clone(), longest.clone());
        let thread = std::thread::spawn(move || {
            let mut batches = [Vec::new(), Vec::new()];
            while !halt.load(Ordering::Relaxed) {
                carry(&mut one, &mut other, &mut batches[0], &seen);
                carry(&mut other, &mut one, &mut batches[1], &seen);
            }
        });
        Self { stop, longest, thread: Some(thread) }
    }
}

fn carry(from: &mut Queues, to: &mut Queues, batch: &mut Vec<Packet>, longest: &AtomicUsize) {
    if batch.is_empty() {
        from.rx[0].receive(32, 0, batch);
    }
    for packet in batch.iter() {
        longest.fetch_max(packet.len(), Ordering::Relaxed);
    }
    to.tx[0].send(batch);
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Sends 32 MiB by TCP from one namespace to 10.9.9.`to` in another, checks them there.
fn transfer(from: &Netns, into: &Netns, to: u8) {
    const LEN: usize = 32 << 20;
    let address = (format!("10.9.9.{to}"), 7000);
    let listener = into.run(|| TcpListener::bind(("0.0.0.0", 7000))).unwrap();
    let receiver = std::thread::spawn(move || {
        let mut all = Vec::with_capacity(LEN);
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let bytes: Vec<u8> = (0..LEN).map(|at| (at / 7 % 253) as u8).collect();
    let mut stream = from.run(|| TcpStream::connect((address.0.as_str(), address.1))).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&bytes).unwrap();
    drop(stream);
    assert!(receiver.join().unwrap() == bytes, "the bytes that came are others");
}

#[test]
fn two_guests_talk_through_packet_sockets_by_super_frames() {
    in_new_netns(|| {
        let (one, other) = (guest("p1", 1), guest("p2", 2));
        let wire = Wire::between(opened("p1", PortKind::System).1, opened("p2", PortKind::System).1);
        wait_until(|| ping(&one, "10.9.9.2"));
        transfer(&one, &other, 2);
        assert!(wire.longest.load(Ordering::Relaxed) > 20_000, "no super-frame came");
    });
}

#[test]
fn a_guest_talks_to_the_host_on_a_tap() {
    in_new_netns(|| {
        let guest = guest("p1", 1);
        let host = Netns::current().unwrap();
        let (_, tap) = opened("br0", PortKind::Internal);
        assert!(run("ip address add 10.9.9.2/24 dev br0") && run("ip link set br0 up"));
        let wire = Wire::between(opened("p1", PortKind::System).1, tap);
        wait_until(|| ping(&guest, "10.9.9.2"));
        transfer(&guest, &host, 2);
        transfer(&host, &guest, 1);
        assert!(wire.longest.load(Ordering::Relaxed) > 20_000, "no super-frame came");
        taps::release("br0").unwrap();
    });
}

#[test]
fn tags_are_kept_both_ways() {
    in_new_netns(|| {
        let far = guest("p1", 1);
        let (_, mut near) = opened("p1", PortKind::System);
        let mut peer = far.run(|| Ok(opened("eth0", PortKind::System).1)).unwrap();
        let mut frame = vec![0u8; 60];
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8]);
        for (tpid, tci) in [([0x81, 0x00], [0x20, 0x05]), ([0x88, 0xa8], [0x0f, 0xff])] {
            frame[12..20].copy_from_slice(&[tpid[0], tpid[1], tci[0], tci[1], 0x88, 0xb5, 1, 2]);
            peer.tx[0].send(&mut vec![Packet::copy_of(&frame).unwrap()]);
            let came = await_frame(&mut near, |packet| packet.data().starts_with(&frame[..12]));
            assert_eq!(came.data(), frame);
        }
        let long = [&frame[..], &[5; 1440]].concat();
        near.tx[0].send(&mut vec![Packet::copy_of(&long).unwrap()]);
        assert_eq!(await_frame(&mut peer, |packet| packet.len() == 1500).data(), long);
    });
}

#[test]
fn what_is_too_long_is_counted_and_the_rest_goes_on() {
    in_new_netns(|| {
        let far = guest("p1", 1);
        let (port, mut near) = opened("p1", PortKind::System);
        let mut peer = far.run(|| Ok(opened("eth0", PortKind::System).1)).unwrap();
        let frame = |len: usize| Packet::copy_of(&vec![0x55; len]).unwrap();
        let mut batch = vec![frame(100), frame(4000), frame(101)];
        near.tx[0].send(&mut batch);
        assert!(batch.is_empty());
        await_frame(&mut peer, |packet| packet.len() == 101);
        assert_eq!(port.counters.read().dropped(crate::drops::DropReason::MtuExceeded), 1);
    });
}

#[test]
fn a_tap_outlives_its_port_and_is_found_again_in_another_namespace() {
    in_new_netns(|| {
        let mut netdevs = Netdevs::open().unwrap();
        let (_, tap) = opened("int0", PortKind::Internal);
        let mut links = Links::here().unwrap();
        let index = links.get("int0").unwrap().index;
        let away = new_netns();
        let _holder = HeldByAProcess::of(&away);
        netdevs.poll().unwrap();
        links.move_to(index, &away).unwrap();
        // Moved, it has merely changed, and is still looked after.
        let moved = netdevs.poll().unwrap();
        assert_eq!(moved.iter().rfind(|change| change.name == "int0").unwrap().what, What::Changed);
        netdevs.set_mtu("int0", 1400).unwrap();
        drop(tap);
        // The process ended; somebody gave it an address meanwhile; the switch starts again.
        assert!(away.run(|| Ok(run("ip address add 10.9.9.7/24 dev int0"))).unwrap());
        let (port, tap) = opened("int0", PortKind::Internal);
        assert_eq!(port.mtu(), 1400);
        assert!(links.get("int0").is_err());
        assert_eq!(taps::netns_of("int0").as_ref(), Some(&away));
        assert!(away.run(|| Ok(run("ip link set int0 up"))).unwrap());
        taps::release("int0").unwrap();
        drop(tap);
        assert!(Links::inside(&away).unwrap().get("int0").is_err());
    });
}

#[test]
fn a_namespace_that_is_removed_takes_the_tap_in_it_along() {
    in_new_netns(|| {
        let mut netdevs = Netdevs::open().unwrap();
        let (_, tap) = opened("int0", PortKind::Internal);
        let index = Links::here().unwrap().get("int0").unwrap().index;
        let away = new_netns();
        Links::here().unwrap().move_to(index, &away).unwrap();
        netdevs.poll().unwrap();
        assert!(netdevs.get("int0").is_some());
        let holder = HeldByAProcess::of(&away);
        assert!(netdevs.sweep().is_empty());
        // Word of it is heard from there.
        away.run(|| Ok(run("ip link set int0 up mtu 1300"))).unwrap();
        let heard = netdevs.poll().unwrap();
        assert!(heard.iter().any(|change| change.name == "int0" && change.what == What::Changed));
        assert_eq!(netdevs.get("int0").unwrap().link.mtu, 1300);
        drop((away, holder));
        wait_until(|| netdevs.sweep().iter().any(|change| change.what == What::Gone));
        assert!(netdevs.get("int0").is_none());
        drop(tap);
        // Found again after a restart, it keeps the namespace alive by itself: that is seen, too.
        let away = new_netns();
        drop(opened("int0", PortKind::Internal));
        let index = Links::here().unwrap().get("int0").unwrap().index;
        Links::here().unwrap().move_to(index, &away).unwrap();
        let inode = away.inode();
        let holder = HeldByAProcess::of(&away);
        drop(away);
        super::tap::testing_forget_orphans();
        let (_, tap) = opened("int0", PortKind::Internal);
        assert_eq!(taps::netns_of("int0").map(|netns| netns.inode()), Some(inode));
        netdevs.poll().unwrap();
        assert!(netdevs.get("int0").is_some() && netdevs.sweep().is_empty());
        drop(holder);
        assert_eq!(netdevs.sweep().len(), 1);
        taps::release("int0").unwrap();
        drop(tap);
    });
}

/// A process that sits in a namespace, as those of a container do.
struct HeldByAProcess(std::process::Child);

impl HeldByAProcess {
    fn of(netns: &Netns) -> Self {
        Self(netns.run(|| std::process::Command::new("sleep").arg("60").spawn()).unwrap())
    }
}

impl Drop for HeldByAProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn strays_are_removed_and_nothing_else() {
    in_new_netns(|| {
        let (_, kept) = opened("kept0", PortKind::Internal);
        drop(opened("stray0", PortKind::Tap));
        assert!(run("ip tuntap add dev other0 mode tap"));
        assert_eq!(super::tap::remove_strays().unwrap(), ["stray0"]);
        let mut links = Links::here().unwrap();
        assert!(links.get("kept0").is_ok() && links.get("other0").is_ok());
        drop(kept);
    });
}

#[test]
fn failures_are_told_in_open_vswitchs_words() {
    in_new_netns(|| {
        assert_eq!(
            failure("nosuch0", PortKind::System),
            "could not open network device nosuch0 (No such device)"
        );
        let long = "averyveryverylongname";
        assert_eq!(
            failure(long, PortKind::Internal),
            "could not open network device averyveryverylongname (File name too long)"
        );
        Links::here().unwrap().add_veth("v0", "v1").unwrap();
        assert_eq!(failure("v0", PortKind::Internal), "could not open network device v0 (Invalid argument)");
    });
}
