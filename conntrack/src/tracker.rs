//! [`Tracker`]: one packet through one `ct()`.
//!
//! The packet is read once, before any lock ([`View`]). A known connection costs a look-up and its own lock; what is done under
//! that lock is arithmetic and stores. A new one is kept only when the request commits it; both its tuples are entered at
//! once, so that two workers that bring the first packets of both sides make one connection of them: the later one looks it up
//! again.

mod announce;
mod create;
mod known;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use packet::{FlowKey, Layers, Packet};

use self::known::Outcome;
use crate::alg::expect::{ExpectInfo, Expectations};
use crate::alg::rewrite;
use crate::alg::stream::Stream;
use crate::conn::Conn;
use crate::counter::{Counter, Counters};
use crate::dump::ConnInfo;
use crate::event::{Event, Reason, Subscribers, Subscription, What};
use crate::frag::{self, Reassembler};
use crate::limit::Limits;
use crate::metadata::Metadata;
use crate::nat::{self, Pressure};
use crate::parse::{self, Bad};
use crate::proto::Rules;
use crate::request::Request;
use crate::state::{DNAT, INV, SNAT, TRK};
use crate::table::{MAX_SLOTS, Place, Slot, Table};
use crate::timeout::{Policies, Timeouts};
use crate::tuple::Tuple;
use crate::view::Inner;
use crate::view::View;

/// How often a packet is looked up anew when connections come and go under it.
const RETRIES: usize = 64;

/// Settings of a tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Most connections.
    pub max_connections: u32,
    /// TCP sequence numbers outside the window make a packet invalid.
    pub tcp_seq_check: bool,
    /// How long a round of [`Tracker::sweep`] is meant to take, in ms. For the caller to read back.
    pub sweep_interval_ms: u32,
    /// Secret of hashes and random choices.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_connections: 3_000_000, tcp_seq_check: true, sweep_interval_ms: 30_000, seed: 0 }
    }
}

/// What became of the packet itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracked {
    /// Its bytes are what they were.
    Plain,
    /// Its headers or its payload were changed: layers and the header fields of the key are to be read anew.
    Edited,
}

/// All connections. Shared by all workers.
pub struct Tracker {
    pub(crate) table: Table,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) policies: Policies,
    pub(crate) subscribers: Arc<Subscribers>,
    fragments: Reassembler,
    pub(crate) expectations: Expectations,
    pressure: Pressure,
    pub(crate) sweep_hand: AtomicU32,
    pub(crate) evict_hand: AtomicU32,
    next_id: AtomicU32,
    /// Random choices that were made.
    draws: AtomicU64,
    seed: u64,
    max_connections: AtomicU32,
    tcp_seq_check: AtomicBool,
    sweep_interval_ms: AtomicU32,
}

/// What is to be done with a packet.
struct Verdict {
    metadata: Metadata,
    rewrite: Option<Rewrite>,
}

/// How a packet is translated.
struct Rewrite {
    /// The packet's tuple.
    from: Tuple,
    /// The one that it is to have.
    to: Tuple,
    /// Of an ICMP error: the packet inside, whose reverse the tuples are.
    inner: Option<Inner>,
    /// Of a control connection whose text is edited: the stream that the packet is of, and that which it acknowledges.
    streams: Option<Box<(Stream, Stream)>>,
}

impl Verdict {
    fn plain(metadata: Metadata) -> Self {
        Self { metadata, rewrite: None }
    }
}

impl Tracker {
    /// A tracker without connections.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "settings are made for one tracker; whoever keeps them clones"
    )]
    pub fn new(config: Config) -> Self {
        Self {
            table: Table::new(config.seed),
            limits: Limits::new(),
            counters: Counters::default(),
            policies: Policies::new(),
            subscribers: Arc::default(),
            fragments: Reassembler::new(frag::Config { seed: config.seed, ..frag::Config::default() }),
            expectations: Expectations::new(config.seed),
            pressure: Pressure::new(),
            sweep_hand: AtomicU32::new(0),
            evict_hand: AtomicU32::new(0),
            next_id: AtomicU32::new(1),
            draws: AtomicU64::new(0),
            seed: config.seed,
            max_connections: AtomicU32::new(config.max_connections),
            tcp_seq_check: AtomicBool::new(config.tcp_seq_check),
            sweep_interval_ms: AtomicU32::new(config.sweep_interval_ms),
        }
    }

    /// Takes one packet through one `ct()`: its connection fields in `key` are set, connections come and change, and the packet
    /// is translated where the request asks for it. `layers` are those of the packet as it is; the header fields of `key` may be older. Fragments
    /// have been through [`fragments`](Self::fragments); one that comes here is invalid.
    pub fn track(
        &self,
        request: &Request,
        packet: &mut Packet,
        layers: &mut Layers,
        key: &mut FlowKey,
        now_ns: u64,
    ) -> Tracked {
        let prior = if key.ct_zone.get() == request.zone { key.ct_state.get() } else { 0 };
        let mut verdict = Verdict::plain(Metadata { state: INV | TRK, ..Metadata::default() });
        let mut view = View::default();
        match parse::view(packet, layers, request.zone, &mut view) {
            Ok(()) => {
                let segment = &packet.data()[usize::from(layers.l4)..layers.end as usize];
                let mut asked = known::Packet { request, view: &view, segment, prior, reply: false, now_ns };
                packet.connection = self.decide(&mut asked, packet.connection, &mut verdict);
            }
            Err(bad) => self.count_bad(bad),
        }
        verdict.metadata.write(request.zone, key);
        match &verdict.rewrite {
            Some(Rewrite { from, to, inner, streams }) if from != to => {
                match inner {
                    Some(inner) => nat::apply_error(packet, layers, *inner, from, to),
                    None => nat::apply(packet, layers, from, to),
                }
                if let Some(streams) = streams {
                    rewrite::rewrite(packet, layers, &streams.0, &streams.1);
                }
                Tracked::Edited
            }
            _ => Tracked::Plain,
        }
    }

    fn count_bad(&self, bad: Bad) {
        match bad {
            Bad::L3Checksum => self.counters.add(Counter::L3Csum),
            Bad::L4Checksum => self.counters.add(Counter::L4Csum),
            Bad::Short => self.counters.add(Counter::Short),
            Bad::NotIp | Bad::Fragment | Bad::IcmpType | Bad::Inner => {}
        }
    }

    /// Sets `verdict`, which says that the packet is invalid, to what it is. `hint` is where its connection was found the last time; returns
    /// where it is now, 0 for nowhere. A packet that goes through several `ct()` of a zone is looked up once.
    fn decide(&self, packet: &mut known::Packet<'_>, hint: u32, verdict: &mut Verdict) -> u32 {
        // A packet that was translated in this zone before is found by what replies to it look like.
        let natted = packet.prior & (SNAT | DNAT) != 0;
        let tuple = if natted { packet.view.tuple.reversed() } else { packet.view.tuple };
        let hinted = Place::of_hint(hint).map(|place| Place { reply: place.reply != natted, ..place });
        let mut guess = hinted.filter(|place| self.table.holds(*place, &tuple));
        for _ in 0..RETRIES {
            let found = guess.take().or_else(|| self.table.find(&tuple, self.table.hash(&tuple)));
            let Some(place) = found else {
                packet.reply = false;
                if let Some(made) = self.unknown(packet.request, packet.view, packet.now_ns) {
                    *verdict = made;
                    if packet.request.commit && packet.request.helper.is_some() {
                        self.hear_first(packet);
                    }
                    return 0;
                }
                continue;
            };
            packet.reply = place.reply != natted;
            let judge = |slot: &Slot, conn: &mut Conn| self.judge(packet, slot, conn, verdict);
            match self.table.with(place, &tuple, judge) {
                Some(Outcome::Judged) => return Place { reply: packet.reply, ..place }.hint(),
                Some(Outcome::Gone(reason, deadline_ns)) => {
                    let same = |slot: &Slot| slot.is(place.reply, &tuple) && slot.deadline() == deadline_ns;
                    self.forget(place.slot, reason, packet.now_ns, |slot, _| same(slot));
                }
                None => {}
            }
        }
        0
    }

    /// Forgets the connection in a slot if `condition` holds under its lock. Whether it did.
    pub(crate) fn forget(
        &self,
        index: u32,
        reason: Reason,
        at_ns: u64,
        condition: impl FnOnce(&Slot, &Conn) -> bool,
    ) -> bool {
        let told = |slot: &Slot, conn: &Conn| {
            let goes = condition(slot, conn);
            if goes && self.subscribers.any() {
                let info = ConnInfo::new((slot.tuple(false), slot.tuple(true)), conn, 0);
                self.tell(What::Destroy(reason), info, at_ns);
            }
            goes
        };
        let Some(gone) = self.table.remove(index, told) else { return false };
        self.limits.release(gone.original.zone);
        if gone.conn.helper.is_some() {
            self.expectations.forget_parent(&gone.original);
        }
        true
    }

    /// Tells subscribers. The lock of the connection's slot is held, so that what happens to a connection is told in that order.
    fn tell(&self, what: What, conn: ConnInfo, at_ns: u64) {
        let lost = self.subscribers.tell(&Event { what, at_ns, conn });
        (0..lost).for_each(|_| self.counters.add(Counter::EventsLost));
    }

    fn rules(&self) -> Rules {
        Rules { tcp_seq_check: self.tcp_seq_check.load(Relaxed) }
    }

    /// Nanoseconds that a connection has left after a packet. From seven eighths of the maximum on, half-open ones have
    /// less, down to a second.
    fn lifetime_ns(&self, conn: &Conn) -> u64 {
        let full = self.policies.of(&conn.policy).ns(conn.stage);
        let (live, max) = (u64::from(self.table.len()), u64::from(self.max_connections()));
        let eighth = max / 8;
        if live <= max - eighth || !conn.proto.is_half_open() {
            return full;
        }
        let room = max.saturating_sub(live);
        (full / eighth.max(1) * room).clamp(full.min(1_000_000_000), full)
    }
}

/// Settings and figures.
impl Tracker {
    /// Connections.
    pub fn connections(&self) -> u32 {
        self.table.len()
    }

    /// Most connections.
    pub fn max_connections(&self) -> u32 {
        self.max_connections.load(Relaxed)
    }

    /// Sets the most connections. Those above it stay until they end. There are never more than 2^26.
    pub fn set_max_connections(&self, max: u32) {
        self.max_connections.store(max, Relaxed);
    }

    fn room(&self) -> u32 {
        self.max_connections().min(MAX_SLOTS)
    }

    /// Whether TCP sequence numbers outside the window make a packet invalid.
    pub fn tcp_seq_check(&self) -> bool {
        self.tcp_seq_check.load(Relaxed)
    }

    /// Sets whether TCP sequence numbers outside the window make a packet invalid.
    pub fn set_tcp_seq_check(&self, check: bool) {
        self.tcp_seq_check.store(check, Relaxed);
    }

    /// How long a round of [`sweep`](Self::sweep) is meant to take, in ms.
    pub fn sweep_interval_ms(&self) -> u32 {
        self.sweep_interval_ms.load(Relaxed)
    }

    /// Sets how long a round of [`sweep`](Self::sweep) is meant to take, in ms.
    pub fn set_sweep_interval_ms(&self, ms: u32) {
        self.sweep_interval_ms.store(ms, Relaxed);
    }

    /// Where fragments wait for the rest of their datagram, before it is tracked.
    pub fn fragments(&self) -> &Reassembler {
        &self.fragments
    }

    /// Limits of zones.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Makes or changes a timeout policy; number 0 is the default. Its connections follow with their next packet.
    pub fn set_timeout_policy(&self, id: u32, timeouts: &Timeouts) {
        self.policies.set(id, timeouts);
    }

    /// Forgets a timeout policy; its connections keep its values. Number 0 gets its first values again. Whether there was one.
    pub fn delete_timeout_policy(&self, id: u32) -> bool {
        self.policies.delete(id)
    }

    /// A queue of at most `capacity` events from now on.
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.subscribers.subscribe(capacity)
    }

    /// What control connections have announced and has not expired, in no order.
    pub fn expectations(&self, now_ns: u64) -> Vec<ExpectInfo> {
        self.expectations.list(now_ns)
    }

    /// Names and values of the tracker's own counters, as `coverage/show` has them.
    pub fn counters(&self) -> impl IntoIterator<Item = (&'static str, u64)> + use<> {
        self.counters.named().into_iter().chain(self.fragments.counters())
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
