//! A datapath on memory ports, an owner of plain rules, and those rules applied directly.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use packet::{FlowKey, FlowMask, Packet};

use crate::action::{Action, PortNo};
use crate::owner::{Credit, FlowStats, Hits, Miss, Owner, Translation};
use crate::port::memory::Wires;
use crate::port::{PortKind, PortSpec};
use crate::stamps::{Slot, Stamps};
use crate::worker::Worker;
use crate::{Config, Datapath};

/// An Ethernet, IPv4, UDP frame of 60 bytes.
pub(super) fn frame(src: u8, dst: u8, tp_dst: u16) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[5] = dst;
    frame[11] = src;
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..34].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, src, 10, 0, 0, dst]);
    frame[34..38].copy_from_slice(&[0, 9, (tp_dst >> 8) as u8, tp_dst as u8]);
    frame[38..40].copy_from_slice(&[0, 26]);
    frame
}

/// What packets of a rule do.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    key: FlowKey,
    mask: FlowMask,
    cacheable: bool,
    actions: Vec<Action>,
}

impl Rule {
    /// A rule on those of port, source, destination, transport port whose bit is set.
    pub(super) fn new(
        bits: [bool; 4],
        port: u32,
        src: u8,
        dst: u8,
        tp: u16,
        cacheable: bool,
        actions: Vec<Action>,
    ) -> Self {
        let (mut key, mut mask) = (FlowKey::default(), FlowMask::default());
        if bits[0] {
            key.in_port.set(port);
            mask.0.in_port.set(u32::MAX);
        }
        if bits[1] {
            key.eth_src[5] = src;
            mask.0.eth_src = [0xff; 6];
        }
        if bits[2] {
            key.eth_dst[5] = dst;
            mask.0.eth_dst[5] = 1;
            key.eth_dst[5] &= 1;
        }
        if bits[3] {
            key.tp_dst.set(tp);
            mask.0.tp_dst.set(0xffff);
        }
        Self { key, mask, cacheable, actions }
    }

    pub(super) fn on_port(port: u32, actions: Vec<Action>) -> Self {
        Self::new([true, false, false, false], port, 0, 0, 0, true, actions)
    }

    pub(super) fn on_tp_dst(tp: u16, actions: Vec<Action>) -> Self {
        Self::new([false, false, false, true], 0, 0, 0, tp, true, actions)
    }

    /// A rule on packets fresh from a port that have a connection state already.
    pub(super) fn on_fresh_but_tracked(state: u32, actions: Vec<Action>) -> Self {
        let mut rule = Self::on_recirc(0, actions);
        rule.key.ct_state.set(state);
        rule.mask.0.ct_state.set(u32::MAX);
        rule
    }

    pub(super) fn on_recirc(id: u32, actions: Vec<Action>) -> Self {
        let (mut key, mut mask) = (FlowKey::default(), FlowMask::default());
        key.recirc_id.set(id);
        mask.0.recirc_id.set(u32::MAX);
        Self { key, mask, cacheable: true, actions }
    }
}

type Attached = HashMap<u64, (Arc<FlowStats>, Hits)>;

/// Counts of one rule.
#[derive(Debug, Default)]
struct Count {
    own: Mutex<Hits>,
    attached: Mutex<Attached>,
}

fn read(stats: &FlowStats) -> Hits {
    Hits { packets: stats.packets.load(Ordering::Relaxed), bytes: stats.bytes.load(Ordering::Relaxed) }
}

impl Count {
    fn total(&self) -> Hits {
        let mut total = *self.own.lock().unwrap();
        for (stats, since) in self.attached.lock().unwrap().values() {
            total.packets += read(stats).packets - since.packets;
            total.bytes += read(stats).bytes - since.bytes;
        }
        total
    }
}

impl Credit for Count {
    fn count(&self, hits: Hits, _tcp_flags: u16, _now_ns: u64) {
        let mut own = self.own.lock().unwrap();
        own.packets += hits.packets;
        own.bytes += hits.bytes;
    }

    fn attach(&self, flow: u64, stats: &Arc<FlowStats>) {
        let before = self.attached.lock().unwrap().insert(flow, (stats.clone(), read(stats)));
        assert!(before.is_none(), "attached twice");
    }

    fn detach(&self, flow: u64) {
        let (stats, since) =
            self.attached.lock().unwrap().remove(&flow).expect("detached without having been attached");
        let mut own = self.own.lock().unwrap();
        own.packets += read(&stats).packets - since.packets;
        own.bytes += read(&stats).bytes - since.bytes;
    }

    fn refresh(&self, last_used_ns: u64) {
        assert_ne!(last_used_ns, 0);
    }
}

#[derive(Debug, Default)]
struct Table {
    rules: Mutex<Vec<(Rule, Arc<Count>)>>,
}

impl Owner for Table {
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation) {
        assert_eq!(miss.dry, miss.frame.is_empty());
        out.cacheable = true;
        out.depends.push(Slot::of_hash(0));
        for (rule, count) in self.rules.lock().unwrap().iter() {
            out.mask.unite(&rule.mask);
            if rule.mask.matches(miss.key, &rule.key) {
                out.actions.clone_from(&rule.actions);
                out.cacheable = rule.cacheable;
                out.credit = Some(count.clone());
                return;
            }
        }
    }

    fn punt(&self, _cookie: u64, _key: &FlowKey, _frame: &[u8]) {}
}

/// The whole set-up.
pub(super) struct Bench {
    pub(super) datapath: Datapath,
    pub(super) now: u64,
    worker: Worker,
    table: Arc<Table>,
    wires: Vec<Wires>,
    stamps: Arc<Stamps>,
    /// What each rule should have counted.
    expected: Vec<Hits>,
}

impl Bench {
    /// A datapath with ports 1 to `ports` and no rules.
    pub(super) fn new(config: Config, ports: u32) -> Self {
        let (datapath, mut workers) = Datapath::manual(Config { workers: 1, ..config }).unwrap();
        let table = Arc::new(Table::default());
        datapath.set_owner(table.clone());
        let wires: Vec<_> = (0..=ports).map(|_| Wires::default()).collect();
        for number in 1..=ports {
            let kind = PortKind::Memory(wires[number as usize].clone());
            let port = datapath.add_port(PortSpec::new(&format!("p{number}"), kind)).unwrap();
            assert_eq!(port.number, PortNo(number));
        }
        let stamps = datapath.stamps().clone();
        let worker = workers.pop().unwrap();
        Self { datapath, now: 1_000_000_000, worker, table, wires, stamps, expected: Vec::new() }
    }

    pub(super) fn set_rules(&mut self, rules: Vec<Rule>) {
        self.expected = vec![Hits::default(); rules.len()];
        let rules = rules.into_iter().map(|rule| (rule, Arc::default())).collect();
        self.stamps.publish(|_| {
            *self.table.rules.lock().unwrap() = rules;
            [Slot::of_hash(0)]
        });
    }

    pub(super) fn push(&self, port: u32, frame: &[u8]) {
        self.wires[port as usize].push(Packet::copy_of(frame).unwrap());
    }

    pub(super) fn wires(&self, port: u32) -> &Wires {
        &self.wires[port as usize]
    }

    pub(super) fn settle(&mut self) {
        self.worker.settle(self.now);
    }

    pub(super) fn send(&mut self, port: u32, frame: &[u8]) {
        self.push(port, frame);
        self.settle();
    }

    pub(super) fn received(&self, port: u32) -> Vec<Vec<u8>> {
        self.wires[port as usize].drain().iter().map(|packet| packet.data().to_vec()).collect()
    }

    pub(super) fn rule_hits(&self, rule: usize) -> (u64, u64) {
        let total = self.table.rules.lock().unwrap()[rule].1.total();
        (total.packets, total.bytes)
    }

    /// What the frames come to by the rules alone: frames out by port. Counts what each rule should have.
    pub(super) fn expect(&mut self, port: u32, frames: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
        let mut out = vec![Vec::new(); self.wires.len()];
        let rules = self.table.rules.lock().unwrap();
        for frame in frames {
            let (mut key, _) = packet::extract(frame, 2);
            key.in_port.set(port);
            let Some(nth) = rules.iter().position(|(rule, _)| rule.mask.matches(&key, &rule.key)) else {
                continue;
            };
            self.expected[nth].packets += 1;
            self.expected[nth].bytes += frame.len() as u64;
            let mut frame = frame.clone();
            for action in &rules[nth].0.actions {
                match action {
                    Action::Output(to) => out[to.0 as usize].push(frame.clone()),
                    Action::PushVlan { tpid, tci } => {
                        let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
                        frame.splice(12..12, tag);
                    }
                    other => panic!("{other:?} is not among the test's actions"),
                }
            }
        }
        out
    }

    /// Whether every rule has counted what it should.
    pub(super) fn counts_agree(&self) -> bool {
        let rules = self.table.rules.lock().unwrap();
        rules.iter().map(|(_, count)| count.total()).eq(self.expected.iter().copied())
    }
}
