//! A worker: the way of a packet.
//!
//! ```text
//! receive ─▶ extract ─▶ sign ─▶ probe ─▶ judge ──────────────▶ execute ─▶ flush
//!  a batch    keys      hash +   cache    version, count ▲        │  counters, then
//!             │         prefetch │                       │        │  per-port batches
//!             │                  └─ no flow, or stale ─▶ resolve   │
//!             └──────────────◀── recirculated ◀───────────────────┘
//! ```
//!
//! Each arrow is a loop over the whole batch ([`Lane`]). The version is loaded once, after the batch was received, and holds for all
//! its passes, but for what its own packets teach. `resolve` ([`miss`]) takes one packet at a time, in order: classifier, else the owner's translation, which is installed
//! before the next packet is looked at. Flows that go away meanwhile keep what packets of this batch need until its end.
//!
//! Between batches: orders and packets from the control side, then a slice of housekeeping ([`sweep`]). Nothing on the way of a
//! packet that hits allocates, locks or logs; the owner's translation is the only foreign code.

mod fragments;
mod miss;
mod out;
mod rounds;
mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod thread;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use packet::parse::{self, Layers};
use packet::{FlowKey, Packet};

pub(crate) use out::Out;

use crate::action::{Action, PortNo};
use crate::cache::Cache;
use crate::control::Config;
use crate::control::shared::{ASLEEP, Command, Coverage, Shared, WorkerShared};
use crate::drops::DropReason;
use crate::execute::Frame;
use crate::megaflow::flow::{Lists, Program};
use crate::megaflow::registry::Writer;
use crate::megaflow::{FlowId, Megaflows};
use crate::owner::{Credit, Hits};
use crate::port::{Port, Readiness, RxQueue};

/// Frames received at once. It also bounds the translations between two looks at orders.
pub const BATCH: usize = 32;

/// How often a packet may be recirculated.
pub const MAX_RECIRCULATIONS: usize = 8;

/// What is to be done with a packet of the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    /// What its flow says.
    Flow(FlowId),
    /// What the translation at this index of [`Lane::own`] says: it is not cached.
    Own(usize),
    /// Not known yet.
    Open,
}

/// A batch on its way: parallel arrays, one element for each packet.
#[derive(Debug, Default)]
struct Lane {
    packets: Vec<Packet>,
    keys: Vec<FlowKey>,
    layers: Vec<Layers>,
    hashes: Vec<u64>,
    plans: Vec<Plan>,
    /// Indices of packets that no good flow was found for at once.
    open: Vec<usize>,
    /// Translations that are not cached.
    own: Vec<Program>,
    /// What packets of this batch name by number, or owe: kept until its end, whatever becomes of their flows.
    held: Vec<Arc<dyn Credit>>,
    /// Keys below this index hold metadata that recirculation or actions left, to be cleared.
    stained: usize,
    /// Packets that go round: the first so many keys and layers are theirs already.
    round: Vec<Packet>,
}

/// What happened since the last flush.
#[derive(Debug, Default)]
struct Tally {
    cache_hit: u64,
    megaflow_hit: u64,
    miss: u64,
}

/// A receive queue and its port.
struct Rx {
    port: Arc<Port>,
    queue: Box<dyn RxQueue>,
}

/// Work in proportion to the number of flows that was ordered: done in slices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Errand {
    Purge,
    SweepAll,
}

/// A worker. It owns its receive queues, transmit queues, caches and flows.
pub struct Worker {
    shared: Arc<Shared>,
    me: Arc<WorkerShared>,
    config: Arc<Config>,
    rx: Vec<Rx>,
    out: Out,
    lane: Lane,
    cache: Cache,
    flows: Megaflows,
    registry: Writer,
    lists: Lists,
    sweep: sweep::Sweep,
    errand: Option<Errand>,
    tally: Tally,
    version: u64,
    /// When to look for expired fragments next.
    fragments_due_ns: u64,
    stopping: bool,
    /// Whether the set of receive queues changed since the thread last looked.
    rx_changed: Cell<bool>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.me.index)
            .field("flows", &self.flows.len())
            .finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, me: Arc<WorkerShared>) -> Self {
        let config = shared.config();
        Self {
            out: Out::new(shared.clone()),
            cache: Cache::new(config.cache_entries),
            flows: Megaflows::new(config.masks()),
            rx: Vec::new(),
            lane: Lane::default(),
            registry: Writer::default(),
            lists: Lists::default(),
            sweep: sweep::Sweep::default(),
            errand: None,
            tally: Tally::default(),
            version: 1,
            fragments_due_ns: 0,
            stopping: false,
            rx_changed: Cell::new(true),
            shared,
            me,
            config,
        }
    }

    /// One step of a worker without a thread: everything that waits now, at this time. Returns the number of packets received
    /// and executed.
    pub fn step(&mut self, now_ns: u64) -> usize {
        self.me.get_up(self.version);
        let packets = self.round(now_ns);
        self.registry.flush(&self.me.registry, true);
        self.me.seen.store(ASLEEP, Ordering::Release);
        packets
    }

    /// Steps until there is nothing to do: no packet, no order under way. Returns the number of packets.
    pub fn settle(&mut self, now_ns: u64) -> usize {
        let mut packets = 0;
        loop {
            let more = self.step(now_ns);
            packets += more;
            if more == 0 && self.errand.is_none() && self.me.commands.is_empty() {
                return packets;
            }
        }
    }

    /// Orders, packets to execute, one batch from each receive queue, a slice of housekeeping.
    fn round(&mut self, now_ns: u64) -> usize {
        self.out.now_ns = now_ns;
        self.obey();
        let mut packets = self.execute_submitted(now_ns) + self.give_up_fragments(now_ns);
        if self.out.retry() {
            for queue in 0..self.rx.len() {
                packets += self.receive(queue, now_ns);
            }
        }
        if packets == 0 {
            self.enter_version();
        }
        self.housekeep(now_ns);
        self.lane.held.clear();
        packets
    }

    /// Takes the current version for what follows, and says so: nothing older is left in this worker.
    fn enter_version(&mut self) {
        self.version = self.shared.stamps.version();
        self.me.seen.store(self.version, Ordering::Release);
    }

    /// Does what the control side ordered.
    fn obey(&mut self) {
        while self.errand.is_none() {
            let Some(command) = self.me.commands.pop() else { return };
            match command {
                Command::AddPort { port, rx, tx } => {
                    self.out.add(port.clone(), tx);
                    self.rx.extend(rx.into_iter().map(|queue| Rx { port: port.clone(), queue }));
                    self.rx_changed.set(true);
                }
                Command::DelPort(number) => {
                    self.rx.retain(|rx| rx.port.number != number);
                    self.out.remove(number);
                    self.rx_changed.set(true);
                }
                Command::Configure(config) => self.configure(config),
                Command::Purge => self.errand = Some(Errand::Purge),
                Command::SweepAll => self.errand = Some(Errand::SweepAll),
                Command::Stop => self.stopping = true,
            }
            match self.errand {
                Some(_) => self.sweep.restart(),
                None => self.order_done(),
            }
        }
    }

    fn order_done(&mut self) {
        self.registry.flush(&self.me.registry, true);
        self.me.done.fetch_add(1, Ordering::Release);
    }

    fn configure(&mut self, config: Arc<Config>) {
        if config.cache_entries != self.config.cache_entries {
            self.cache = Cache::new(config.cache_entries);
        }
        if config.vlan_limit != self.config.vlan_limit || config.megaflows != self.config.megaflows {
            // Flows made from other keys may not cover the packets that they seem to, and wide ones are not wanted any more.
            self.purge_at_once();
        }
        self.flows.set_masks_per_port(config.masks());
        self.config = config;
    }

    /// Treats packets that the control side handed in.
    fn execute_submitted(&mut self, now_ns: u64) -> usize {
        if self.me.execute.is_empty() {
            return 0;
        }
        let items: Vec<_> = std::iter::from_fn(|| self.me.execute.pop()).take(BATCH).collect();
        self.enter_version();
        let count = items.len();
        for item in items {
            let mut key = item.key;
            let mut packet = item.packet;
            packet.in_port = key.in_port.get();
            packet.mark = key.pkt_mark.get();
            packet.priority = key.skb_priority.get();
            let layers = parse::extract_into(packet.data(), self.config.vlan_limit, &mut key);
            let frame = Frame { packet, layers, key: &mut key, vlan_limit: self.config.vlan_limit };
            frame.run(&mut self.out, &item.actions);
        }
        self.shared.coverage.execute.fetch_add(count as u64, Ordering::Relaxed);
        self.recirculate(now_ns);
        self.finish_batch();
        self.shared.handed_in.treated.fetch_add(count as u64, Ordering::AcqRel);
        count
    }

    /// The end: what was handed in still goes out, and what waits for a port that is full is counted as lost.
    fn wind_up(&mut self, now_ns: u64) {
        while self.execute_submitted(now_ns) != 0 {}
        self.out.close();
        self.purge_at_once();
        self.registry.flush(&self.me.registry, true);
    }

    /// Receives a batch from a queue and treats it to the end.
    fn receive(&mut self, queue: usize, now_ns: u64) -> usize {
        let rx = &mut self.rx[queue];
        let packets = &mut self.lane.packets;
        let received = rx.queue.receive(BATCH, now_ns, packets);
        if received == 0 {
            return 0;
        }
        let bytes = packets.iter().map(|packet| packet.len() as u64).sum();
        rx.port.counters.received(Hits { packets: received as u64, bytes });
        packets.retain(|packet| packet.len() >= parse::ETH_LEN);
        if packets.len() < received {
            rx.port.counters.dropped(DropReason::RxInvalid, (received - packets.len()) as u64);
        }
        let in_port = rx.port.number;
        self.enter_version();
        self.extract(in_port);
        self.pass(now_ns);
        self.recirculate(now_ns);
        self.finish_batch();
        received
    }

    /// Gives every packet of a fresh batch its key.
    fn extract(&mut self, in_port: PortNo) {
        let lane = &mut self.lane;
        lane.clean();
        for ((packet, key), layers) in lane.packets.iter_mut().zip(&mut lane.keys).zip(&mut lane.layers) {
            packet.in_port = in_port.0;
            key.in_port.set(in_port.0);
            key.pkt_mark.set(packet.mark);
            key.skb_priority.set(packet.priority);
            *layers = parse::extract_into(packet.data(), self.config.vlan_limit, key);
        }
    }

    /// One pass of the batch in the lane: from keys to executed actions.
    fn pass(&mut self, now_ns: u64) {
        self.sign();
        self.probe();
        self.judge(now_ns);
        for at in 0..self.lane.open.len() {
            let index = self.lane.open[at];
            self.lane.plans[index] = self.resolve(index, now_ns);
        }
        self.execute();
    }

    /// Hashes all keys and fetches their buckets.
    fn sign(&mut self) {
        let lane = &mut self.lane;
        lane.hashes.clear();
        for key in &lane.keys[..lane.packets.len()] {
            let hash = self.flows.signature(key);
            self.cache.prefetch(hash);
            lane.hashes.push(hash);
        }
    }

    /// Finds the flow of each packet in the cache: fetches the likely ones first, then compares.
    fn probe(&mut self) {
        let lane = &mut self.lane;
        for hash in &lane.hashes {
            if let Some(id) = self.cache.candidates(*hash).next() {
                self.flows.prefetch(id);
            }
        }
        lane.plans.clear();
        for (hash, key) in lane.hashes.iter().zip(&lane.keys) {
            let found = self.cache.candidates(*hash).find(|id| self.flows.covers(*id, key));
            lane.plans.push(found.map_or(Plan::Open, Plan::Flow));
        }
    }

    /// Counts the packets whose flow is good at this version; leaves the others open.
    fn judge(&mut self, now_ns: u64) {
        let lane = &mut self.lane;
        lane.open.clear();
        lane.own.clear();
        for (index, plan) in lane.plans.iter_mut().enumerate() {
            let good = match *plan {
                Plan::Flow(id) => self.flows.hot(id).filter(|hot| hot.good_at == self.version),
                _ => None,
            };
            if let Some(hot) = good {
                let hits = Hits { packets: 1, bytes: lane.packets[index].len() as u64 };
                hot.stats.add(hits, lane.keys[index].tcp_flags.get(), now_ns);
            } else {
                *plan = Plan::Open;
                lane.open.push(index);
            }
        }
        self.tally.cache_hit += (lane.plans.len() - lane.open.len()) as u64;
    }

    /// Does to each packet what was found to be done.
    fn execute(&mut self) {
        let lane = &mut self.lane;
        let program = |plan: &Plan| match plan {
            Plan::Flow(id) => self.flows.hot(*id).map(|hot| &hot.program),
            _ => None,
        };
        if let Some(Program::Output(port)) = lane.plans.first().and_then(program)
            && lane
                .plans
                .iter()
                .all(|plan| matches!(program(plan), Some(Program::Output(other)) if other == port))
        {
            self.out.output_all(*port, &mut lane.packets);
            return;
        }
        let (mut batch, own) = (std::mem::take(&mut lane.packets), std::mem::take(&mut lane.own));
        for (index, packet) in batch.drain(..).enumerate() {
            let program = match lane.plans[index] {
                Plan::Flow(id) => self.flows.hot(id).map(|hot| &hot.program),
                Plan::Own(index) => own.get(index),
                Plan::Open => None,
            };
            match program {
                Some(Program::Output(port)) => self.out.output(*port, packet),
                Some(Program::Drop(reason)) => self.out.drop_packet(&packet, *reason),
                Some(Program::Track(request, id)) if lane.layers[index].nw_frag == 0 => {
                    lane.track(index, packet, (request, *id), &mut self.out, self.config.vlan_limit);
                }
                Some(Program::Track(request, id)) => {
                    let frame = lane.frame(index, packet, self.config.vlan_limit);
                    frame.track_fragment(&mut self.out, request, &[Action::Recirc(*id)], false);
                }
                Some(Program::Actions(actions)) => {
                    let frame = lane.frame(index, packet, self.config.vlan_limit);
                    frame.run(&mut self.out, actions);
                }
                None => self.out.drop_packet(&packet, DropReason::UpcallError),
            }
        }
        (lane.packets, lane.own) = (batch, own);
    }

    /// Ends a batch: counters first, then what is to be sent.
    fn finish_batch(&mut self) {
        self.flows.reclaim();
        self.registry.flush(&self.me.registry, false);
        self.tally.flush(&self.shared.coverage);
        self.out.flush();
        self.lane.held.clear();
    }

    /// When there will be something to receive, going by the queues.
    fn readiness(&self, now_ns: u64) -> Readiness {
        let mut soonest = Readiness::Never;
        for rx in &self.rx {
            match (rx.queue.readiness(now_ns), soonest) {
                (Readiness::Now, _) => return Readiness::Now,
                (Readiness::At(at), Readiness::At(other)) => soonest = Readiness::At(at.min(other)),
                (Readiness::At(at), _) => soonest = Readiness::At(at),
                _ => {}
            }
        }
        soonest
    }
}

impl Lane {
    /// The packet that the key and the layers at `index` are of, for actions, which may write to the key's metadata.
    fn frame(&mut self, index: usize, packet: Packet, vlan_limit: usize) -> Frame<'_> {
        self.stained = self.stained.max(index + 1);
        Frame { packet, layers: self.layers[index], key: &mut self.keys[index], vlan_limit }
    }

    /// Makes a key and layers for each packet; metadata of the keys is zero.
    fn clean(&mut self) {
        let stained = self.stained.min(self.keys.len());
        self.keys[..stained].fill(FlowKey::default());
        self.stained = 0;
        if self.keys.len() < self.packets.len() {
            self.keys.resize(self.packets.len(), FlowKey::default());
            self.layers.resize(self.packets.len(), Layers::default());
        }
    }
}

impl Tally {
    fn flush(&mut self, coverage: &Coverage) {
        let Self { cache_hit, megaflow_hit, miss } = std::mem::take(self);
        for (counter, value) in
            [(&coverage.cache_hit, cache_hit), (&coverage.megaflow_hit, megaflow_hit), (&coverage.miss, miss)]
        {
            if value != 0 {
                counter.fetch_add(value, Ordering::Relaxed);
            }
        }
    }
}
