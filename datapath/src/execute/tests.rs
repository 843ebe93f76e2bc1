//! Actions on packets, through a datapath that is stepped by hand: what comes out, byte by byte or judged.

use std::sync::{Arc, Mutex};

use conntrack::Request;
use conntrack::request::{Nat, NatChoice, NatRange, NatSide};
use frames::{Frame as Described, L4, Net, V4};
use packet::{Checksum, FlowKey, FlowMask, Gso, GsoKind, Packet};

use crate::action::{Action, PortNo, SetFields};
use crate::drops::DropReason;
use crate::owner::{Miss, Owner, Translation};
use crate::port::memory::Wires;
use crate::port::{Capabilities, Port, PortKind, PortSpec};
use crate::worker::Worker;
use crate::{Config, Datapath};

#[derive(Debug, Default)]
struct Punted(Mutex<Vec<(u64, FlowKey, Vec<u8>)>>);

impl Owner for Punted {
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation) {
        // A recirculated packet goes out of port 2.
        if miss.key.recirc_id.get() != 0 {
            out.actions.push(Action::Output(PortNo(2)));
        }
        out.cacheable = true;
    }

    fn punt(&self, cookie: u64, key: &FlowKey, frame: &[u8]) {
        self.0.lock().unwrap().push((cookie, *key, frame.to_vec()));
    }
}

struct Setup {
    datapath: Datapath,
    worker: Worker,
    owner: Arc<Punted>,
    wires: [Wires; 2],
    ports: Vec<Arc<Port>>,
}

impl Setup {
    fn new() -> Self {
        let (datapath, mut workers) =
            Datapath::manual(Config { workers: 1, vlan_limit: 2, ..Config::default() }).unwrap();
        let owner = Arc::new(Punted::default());
        datapath.set_owner(owner.clone());
        let wires: [Wires; 2] = Default::default();
        let specs = wires
            .iter()
            .zip(["a", "b"])
            .map(|(wires, name)| PortSpec::new(name, PortKind::Memory(wires.clone())));
        let ports = specs.map(|spec| datapath.add_port(spec).unwrap()).collect();
        Self { datapath, worker: workers.pop().unwrap(), owner, wires, ports }
    }

    /// Executes `actions` on a packet from port 1; returns what came out of port 1 and port 2.
    fn run(&mut self, packet: Packet, actions: Vec<Action>) -> [Vec<Packet>; 2] {
        let (mut key, _) = packet::extract(packet.data(), 2);
        key.in_port.set(1);
        self.datapath.execute(packet, key, actions).unwrap();
        self.worker.settle(1_000_000_000);
        [self.wires[0].drain(), self.wires[1].drain()]
    }

    fn dropped(&self, port: usize, reason: DropReason) -> u64 {
        self.ports[port].counters.read().dropped(reason)
    }
}

fn out(port: u32) -> Action {
    Action::Output(PortNo(port))
}

fn set(fill: impl FnOnce(&mut FlowKey, &mut FlowKey)) -> Action {
    let mut fields = SetFields { key: FlowKey::default(), mask: FlowMask::default() };
    fill(&mut fields.key, &mut fields.mask.0);
    Action::Set(Box::new(fields))
}

fn tcp(payload: usize) -> Described {
    let payload = (0..payload).map(|n| n as u8).collect();
    let l4 = L4::Tcp { src: 1000, dst: 80, flags: 0x10, options: Vec::new(), payload };
    Described::new(Net::V4(V4 { l4, ..V4::default() }))
}

fn packet(frame: &Described) -> Packet {
    Packet::copy_of(&frame.build()).unwrap()
}

/// The frame with its TCP checksum left to be completed, as a socket's sender leaves it.
fn partial(frame: &Described) -> Packet {
    let mut packet = packet(frame);
    let segment = packet.len() - 34;
    let (src, dst) = (packet.data()[26..30].try_into().unwrap(), packet.data()[30..34].try_into().unwrap());
    let sum = packet::checksum::pseudo_v4(src, dst, 6, segment as u32).folded();
    packet.data_mut()[50..52].copy_from_slice(&sum.to_be_bytes());
    packet.offload.checksum = Checksum::Partial { start: 34, offset: 16 };
    packet
}

fn good(packet: &Packet) {
    frames::verify(packet.data()).unwrap_or_else(|e| panic!("{e}: {:02x?}", packet.data()));
}

#[test]
fn a_punt_behind_more_tags_than_are_looked_at_loses_no_layer() {
    let mut setup = Setup::new();
    let ttl = set(|key, mask| {
        key.eth_type.set(0x0800);
        key.nw_ttl = 7;
        mask.nw_ttl = 0xff;
    });
    let push = || Action::PushVlan { tpid: 0x8100, tci: 5 };
    let pop = || Action::PopVlan;
    let actions = vec![push(), push(), push(), Action::Punt(1), ttl, pop(), pop(), pop(), out(2)];
    let [_, sent] = setup.run(packet(&tcp(10)), actions);
    assert_eq!(packet::extract(sent[0].data(), 2).0.nw_ttl, 7);
    good(&sent[0]);
}

#[test]
fn outputs_see_the_packet_as_it_is_at_their_turn() {
    let mut setup = Setup::new();
    let new_source = set(|key, mask| {
        key.eth_src = [2, 0, 0, 0, 0, 9];
        mask.eth_src = [0xff; 6];
    });
    let ttl = set(|key, mask| {
        key.nw_ttl = 7;
        mask.nw_ttl = 0xff;
    });
    let original = packet(&tcp(10));
    let actions = vec![
        out(1),
        new_source,
        out(1),
        ttl,
        Action::PushVlan { tpid: 0x8100, tci: 0x6005 },
        out(2),
        Action::PopVlan,
        out(1),
    ];
    let [one, two] = setup.run(original.clone(), actions);
    assert_eq!((one.len(), two.len()), (3, 1));
    assert_eq!(one[0].data(), original.data());
    assert_eq!(one[1].data()[6..12], [2, 0, 0, 0, 0, 9]);
    assert_eq!(one[1].data()[22], original.data()[22]);
    assert_eq!(two[0].data()[12..16], [0x81, 0, 0x60, 5]);
    assert_eq!(two[0].data()[26], 7);
    assert_eq!(one[2].data()[22], 7);
    assert_eq!(one[2].len(), original.len());
    one.iter().chain(&two).for_each(good);
}

#[test]
fn arp_addresses_are_set_behind_a_tag_too() {
    let mut setup = Setup::new();
    let target = set(|key, mask| {
        key.eth_type.set(0x806);
        key.nw_dst.set(0x0a00_0002);
        mask.nw_dst.set(u32::MAX);
    });
    let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 0x81, 0, 0x40, 0, 8, 6, 0, 1, 8, 0, 6, 4, 1, 4];
    frame.extend([2, 0, 0, 0, 0, 2, 10, 1, 0, 3, 2, 0, 0, 0, 0, 1, 10, 5, 2, 1]);
    let [one, two] =
        setup.run(Packet::copy_of(&frame).unwrap(), vec![target, out(1), Action::PopVlan, out(2)]);
    assert_eq!(one[0].data()[42..], [10, 0, 0, 2]);
    assert_eq!(two[0].data()[38..], [10, 0, 0, 2]);
}

#[test]
fn a_clone_leaves_the_packet_alone() {
    let mut setup = Setup::new();
    let ports = set(|key, mask| {
        key.tp_dst.set(81);
        mask.tp_dst.set(0xffff);
    });
    let original = packet(&tcp(10));
    let [one, two] =
        setup.run(original.clone(), vec![Action::Clone(Box::new([ports.clone(), out(1)])), out(2)]);
    assert_eq!(one[0].data()[36..38], [0, 81]);
    assert_eq!(two[0].data(), original.data());
    let [one, two] = setup.run(original, vec![out(2), Action::Clone(Box::new([ports, out(1)]))]);
    assert_eq!((one.len(), two.len()), (1, 1));
    good(&one[0]);
}

#[test]
fn truncation_is_for_the_next_output_only() {
    let mut setup = Setup::new();
    let original = packet(&tcp(100));
    let [one, two] =
        setup.run(original.clone(), vec![Action::Trunc(60), out(1), out(2), Action::Trunc(5), out(1)]);
    assert_eq!(one[0].data(), &original.data()[..60]);
    assert_eq!(two[0].data(), original.data());
    assert_eq!(one[1].len(), 14);
}

#[test]
fn recirculation_carries_metadata_and_changes() {
    let mut setup = Setup::new();
    let mark = set(|key, mask| {
        key.pkt_mark.set(7);
        mask.pkt_mark.set(u32::MAX);
    });
    let push = Action::PushMpls { lse: 5 << 12 | 1 << 8 | 64, ethertype: 0x8847 };
    let [one, two] = setup.run(
        packet(&tcp(10)),
        vec![mark, push, Action::Recirc(3), Action::PopMpls { ethertype: 0x800 }, out(1)],
    );
    assert_eq!((two[0].mark, &two[0].data()[12..18]), (7, &[0x88, 0x47, 0, 0, 0x51, 64][..]));
    assert_eq!(one[0].data()[12..15], [8, 0, 0x45]);
    let mut cursor = crate::DumpCursor::default();
    let flows = setup.datapath.dump_flows(&mut cursor);
    assert_eq!(flows.len(), 1);
    assert_eq!(
        (flows[0].key.recirc_id.get(), flows[0].key.pkt_mark.get(), flows[0].key.eth_type.get()),
        (3, 7, 0x8847)
    );
}

#[test]
fn the_owner_gets_whole_frames_and_their_key() {
    let mut setup = Setup::new();
    let source = set(|key, mask| {
        key.nw_src.set(0x0102_0304);
        mask.nw_src.set(u32::MAX);
    });
    setup.run(partial(&tcp(40)), vec![source, Action::Punt(42), out(2)]);
    let punted = setup.owner.0.lock().unwrap();
    let (cookie, key, frame) = &punted[0];
    assert_eq!((*cookie, key.nw_src.get(), key.in_port.get()), (42, 0x0102_0304, 1));
    frames::verify(frame).unwrap();
}

#[test]
fn checksums_and_segments_are_made_for_a_port_that_cannot() {
    let mut setup = Setup::new();
    let [_, two] = setup.run(partial(&tcp(40)), vec![out(2)]);
    good(&two[0]);
    let mut big = partial(&tcp(5000));
    big.offload.gso = Some(Gso { kind: GsoKind::Tcp4, ecn: false, size: 1000, hdr_len: 54 });
    let [_, segments] = setup.run(big.clone(), vec![out(2)]);
    assert_eq!(segments.len(), 5);
    segments.iter().for_each(good);
    assert_eq!(setup.ports[1].counters.read().tx.packets, 6);
    setup.ports[1].set_capabilities(Capabilities::all());
    let [_, whole] = setup.run(big.clone(), vec![out(2)]);
    assert_eq!((whole.len(), whole[0].data(), whole[0].offload), (1, big.data(), big.offload));
    let coverage = setup.datapath.coverage();
    assert!(
        coverage.contains(&("datapath_segment", 1)) && coverage.contains(&("datapath_checksum", 1)),
        "{coverage:?}"
    );
}

#[test]
fn frames_beyond_the_mtu_are_dropped_and_counted() {
    let mut setup = Setup::new();
    setup.ports[1].set_mtu(100);
    let fitting = packet(&tcp(100 - 40));
    let [_, two] =
        setup.run(fitting.clone(), vec![out(2), Action::PushVlan { tpid: 0x8100, tci: 1 }, out(2)]);
    assert_eq!(two.len(), 2);
    let [_, two] = setup.run(packet(&tcp(101 - 40)), vec![out(2)]);
    assert_eq!((two.len(), setup.dropped(1, DropReason::MtuExceeded)), (0, 1));
    assert_eq!(setup.ports[1].counters.read().tx.packets, 2);
}

#[test]
fn what_leads_nowhere_is_dropped_with_its_reason() {
    let mut setup = Setup::new();
    setup.run(packet(&tcp(1)), vec![Action::PopVlan]);
    setup.run(packet(&tcp(1)), vec![Action::Drop(DropReason::TooManyResubmits)]);
    setup.run(packet(&tcp(1)), vec![out(9)]);
    assert_eq!(setup.dropped(0, DropReason::NoOutput), 1);
    assert_eq!(setup.dropped(0, DropReason::TooManyResubmits), 1);
    assert_eq!(setup.dropped(0, DropReason::InvalidPort), 1);
}

#[test]
fn a_datagram_that_went_out_before_it_was_tracked_is_not_dropped() {
    let mut setup = Setup::new();
    let fragment = |frag: u16| {
        let l4 = L4::Raw { proto: 200, bytes: vec![7; 1480] };
        packet(&Described::new(Net::V4(V4 { frag, l4, ..V4::default() })))
    };
    let commit = Request { commit: true, ..Request::default() };
    let tracked = |first: Vec<Action>| [first, vec![Action::Ct(Box::new(commit.clone()))]].concat();
    let mut both = |actions: Vec<Action>| {
        let first = setup.run(fragment(0x2000), actions.clone());
        let last = setup.run(fragment(1480 / 8), actions);
        (first[1].len() + last[1].len(), setup.dropped(0, DropReason::NoOutput))
    };
    assert_eq!(both(tracked(vec![out(2)])), (2, 0));
    assert_eq!(both(tracked(Vec::new())), (0, 2));
}

#[test]
fn a_translated_packet_is_tracked_again_behind_more_tags_than_keys_hold() {
    let mut setup = Setup::new();
    let udp = L4::Udp { src: 7, dst: 53, checksum: true, payload: vec![1, 2] };
    let frame =
        Described::new(Net::V4(V4 { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], l4: udp, ..V4::default() }));
    let tag = Action::PushVlan { tpid: 0x8100, tci: 5 };
    let range = NatRange {
        side: NatSide::Src,
        addrs: Some(([10, 0, 0, 9].into(), [10, 0, 0, 9].into())),
        ports: None,
        choice: NatChoice::Default,
        persistent: false,
    };
    let translate = Request { zone: 1, commit: true, nat: Some(Nat::Translate(range)), ..Request::default() };
    let commit = Request { zone: 2, commit: true, ..Request::default() };
    let tracked = [translate, commit].map(|request| Action::Ct(Box::new(request)));
    let actions = [vec![tag; 3], tracked.to_vec(), vec![Action::Output(PortNo(2))]].concat();
    let [_, out] = setup.run(Packet::copy_of(&frame.build()).unwrap(), actions);
    assert_eq!(out[0].data()[14 + 12 + 12..][..4], [10, 0, 0, 9]);
    let limits = setup.datapath.tracker().limits();
    assert_eq!((limits.count(1), limits.count(2)), (1, 1));
}
