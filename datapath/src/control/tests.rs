//! The control side with workers on threads: ports, versions passed under load and asleep, restart.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packet::{FlowKey, Packet};

use super::*;
use crate::action::Action;
use crate::owner::{Miss, Translation};
use crate::port::memory::Wires;
use crate::stamps::Slot;

const LONG: Duration = Duration::from_secs(5);

/// Sends everything to the port that a version said.
#[derive(Debug, Default)]
struct Switchboard {
    /// Since which version, which port.
    ports: Mutex<Vec<(u64, u32)>>,
    translated: AtomicU64,
}

impl Switchboard {
    fn slot() -> Slot {
        Slot::of_hash(77 << 48)
    }

    fn switch_to(&self, datapath: &Datapath, port: u32) -> u64 {
        datapath.stamps().publish(|version| {
            self.ports.lock().unwrap().push((version, port));
            [Self::slot()]
        })
    }
}

impl Owner for Switchboard {
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation) {
        self.translated.fetch_add(1, Ordering::Relaxed);
        let ports = self.ports.lock().unwrap();
        let port = ports.iter().rev().find(|(since, _)| *since <= miss.version);
        out.actions.extend(port.map(|(_, port)| Action::Output(PortNo(*port))));
        out.depends.push(Self::slot());
        out.cacheable = true;
    }

    fn punt(&self, _cookie: u64, _key: &FlowKey, _frame: &[u8]) {}
}

struct Setup {
    datapath: Arc<Datapath>,
    owner: Arc<Switchboard>,
    wires: Vec<Wires>,
}

fn setup(config: Config) -> Setup {
    let datapath = Arc::new(Datapath::new(config).unwrap());
    let owner = Arc::new(Switchboard::default());
    datapath.set_owner(owner.clone());
    let wires: Vec<_> = (0..4).map(|_| Wires::default()).collect();
    for (n, wires) in wires.iter().enumerate() {
        let spec = PortSpec::new(&format!("m{}", n + 1), PortKind::Memory(wires.clone()));
        assert_eq!(datapath.add_port(spec).unwrap().number, PortNo(n as u32 + 1));
    }
    Setup { datapath, owner, wires }
}

fn frame(tag: u64) -> Packet {
    let mut bytes = [0; 60];
    bytes[20..28].copy_from_slice(&tag.to_be_bytes());
    Packet::copy_of(&bytes).unwrap()
}

fn tag(packet: &Packet) -> u64 {
    u64::from_be_bytes(packet.data()[20..28].try_into().unwrap())
}

/// Takes `count` frames with this tag from a wire.
fn expect(wire: &Wires, wanted: u64, count: usize) {
    let mut seen = 0;
    let all = poll_until(LONG, || {
        while let Some(packet) = wire.pop() {
            seen += usize::from(tag(&packet) == wanted);
        }
        seen >= count
    });
    assert!(all, "{seen} of {count} frames of version {wanted}");
}

/// Every frame handed in after a version was passed is treated by that version.
fn barrier_holds(config: Config, load: bool) {
    let Setup { datapath, owner, wires } = setup(config);
    let stop = Arc::new(AtomicBool::new(false));
    let loader = load.then(|| {
        let (stop, wire) = (stop.clone(), wires[3].clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                (0..64).for_each(|_| wire.push(frame(0)));
                std::thread::sleep(Duration::from_micros(20));
            }
        })
    });
    for round in 0..300 {
        let out = 2 + round % 2;
        let version = owner.switch_to(&datapath, out);
        assert!(datapath.wait_passed(version, LONG));
        (0..5).for_each(|_| wires[0].push(frame(version)));
        expect(&wires[out as usize - 1], version, 5);
        let wrong = wires[4 - out as usize].drain();
        assert!(wrong.iter().all(|packet| tag(packet) != version), "a frame went by an older version");
    }
    stop.store(true, Ordering::Relaxed);
    loader.into_iter().for_each(|loader| loader.join().unwrap());
}

#[test]
fn a_version_is_passed_under_load() {
    barrier_holds(Config { workers: 1, ..Config::default() }, true);
}

#[test]
fn a_version_is_passed_by_workers_that_sleep_all_the_time() {
    barrier_holds(Config { workers: 2, spin: Duration::ZERO, ..Config::default() }, false);
}

#[test]
fn ports_come_and_go() {
    let Setup { datapath, owner, wires } = setup(Config { workers: 2, ..Config::default() });
    owner.switch_to(&datapath, 2);
    wires[0].push(frame(1));
    expect(&wires[1], 1, 1);
    datapath.del_port(PortNo(2)).unwrap();
    assert!(matches!(datapath.del_port(PortNo(2)), Err(PortError::NoSuchPort(_))));
    wires[0].push(frame(2));
    let invalid = || datapath.port_stats(PortNo(1)).unwrap().dropped(DropReason::InvalidPort);
    assert!(poll_until(LONG, || invalid() == 1));
    let again = datapath.add_port(PortSpec::new("again", PortKind::Memory(wires[1].clone()))).unwrap();
    assert_eq!(again.number, PortNo(2));
    wires[0].push(frame(3));
    expect(&wires[1], 3, 1);
    let own = datapath.add_port(PortSpec::new(OWN_PORT, PortKind::Null)).unwrap();
    assert_eq!(own.number, PortNo(0));
    let twice = datapath.add_port(PortSpec::new("again", PortKind::Null));
    assert!(matches!(twice, Err(PortError::Exists(_))));
    let long = datapath.add_port(PortSpec::new("a-name-of-sixteen", PortKind::Null));
    assert!(matches!(long, Err(PortError::BadName(_))));
}

#[test]
fn another_number_of_workers_keeps_ports_and_forwards_on() {
    let Setup { datapath, owner, wires } = setup(Config { workers: 1, ..Config::default() });
    owner.switch_to(&datapath, 2);
    wires[0].push(frame(1));
    expect(&wires[1], 1, 1);
    datapath.set_config(Config { workers: 3, ..Config::default() }).unwrap();
    wires[0].push(frame(2));
    expect(&wires[1], 2, 1);
    assert_eq!(datapath.ports().len(), 4);
    assert_eq!(datapath.port_stats(PortNo(1)).unwrap().rx.packets, 2);
    assert_eq!(datapath.flow_count(), 1);
}

#[test]
fn flows_are_swept_and_purged_on_order() {
    let Setup { datapath, owner, wires } = setup(Config { workers: 1, ..Config::default() });
    owner.switch_to(&datapath, 2);
    wires[0].push(frame(1));
    expect(&wires[1], 1, 1);
    owner.switch_to(&datapath, 3);
    datapath.sweep_flows();
    let mut cursor = DumpCursor::default();
    let flows = datapath.dump_flows(&mut cursor);
    assert_eq!(flows[0].actions[..], [Action::Output(PortNo(3))]);
    assert!(datapath.dump_flows(&mut cursor).is_empty());
    assert_eq!(owner.translated.load(Ordering::Relaxed), 2);
    datapath.purge_flows();
    assert_eq!(datapath.flow_count(), 0);
    assert!(datapath.dump_flows(&mut DumpCursor::default()).is_empty());
}

#[test]
fn what_was_handed_in_is_out_once_its_ticket_says_so() {
    let Setup { datapath, wires, .. } =
        setup(Config { workers: 2, spin: Duration::ZERO, ..Config::default() });
    for round in 0..200u64 {
        datapath.execute(frame(round), FlowKey::default(), vec![Action::Output(PortNo(3))]).unwrap();
        let ticket = datapath.handed_in();
        assert!(poll_until(LONG, || datapath.is_out(ticket)));
        assert_eq!(wires[2].pop().map(|packet| tag(&packet)), Some(round));
    }
}

#[test]
fn a_stream_of_packets_does_not_hold_up_a_ticket() {
    let Setup { datapath, wires, .. } = setup(Config { workers: 1, ..Config::default() });
    let hand_in = || datapath.execute(frame(1), FlowKey::default(), vec![Action::Output(PortNo(3))]);
    hand_in().unwrap();
    let ticket = datapath.handed_in();
    // The queue is never empty when the ticket is looked at.
    let treated = poll_until(LONG, || {
        wires[2].drain();
        while hand_in().is_ok() {}
        datapath.is_out(ticket)
    });
    assert!(treated, "a packet handed in later holds up the ticket");
}

#[test]
fn what_finds_no_room_is_dropped_with_its_reason_where_it_came_in() {
    let Setup { datapath, wires, .. } = setup(Config { workers: 1, ..Config::default() });
    let mut key = FlowKey::default();
    key.in_port.set(1);
    let refused = |key: FlowKey| {
        poll_until(LONG, || {
            wires[2].drain();
            (0..2 * shared::EXECUTE_QUEUE)
                .any(|_| datapath.execute(frame(1), key, vec![Action::Output(PortNo(3))]).is_err())
        })
    };
    assert!(refused(key));
    key.in_port.set(u32::MAX);
    assert!(refused(key));
    let lines = datapath.drops(None);
    let line = lines.iter().find(|line| line.reason == DropReason::PacketOutFull).unwrap();
    let port = datapath.port(PortNo(1)).unwrap();
    assert_eq!((line.port.as_str(), line.packets), (port.name(), 1));
    assert!(datapath.coverage().contains(&("datapath_drop_packet_out_full", 2)));
}

#[test]
fn what_was_handed_in_goes_out_although_the_workers_are_replaced() {
    let Setup { datapath, wires, .. } = setup(Config { workers: 1, ..Config::default() });
    let mut sent = 0;
    while sent < 900
        && datapath.execute(frame(7), FlowKey::default(), vec![Action::Output(PortNo(3))]).is_ok()
    {
        sent += 1;
    }
    let ticket = datapath.handed_in();
    datapath.set_config(Config { workers: 2, ..Config::default() }).unwrap();
    assert!(poll_until(LONG, || datapath.is_out(ticket)));
    assert_eq!(wires[2].drain().len(), sent);
}
