//! Both sides side by side: the same rules, packets and changes; every outcome and every counter compared.
//!
//! A *session* is one pair of switches. In it, tables change now and then, and *cases* run: a packet is sent, then the same
//! packet with a bit flipped that no cached mask looks at, then with one flipped that the mask of the flow that took it does look
//! at, then the first again. Each is compared.

mod connections;

use std::collections::BTreeMap;

use frames::Rng;
use packet::FlowKey;

use crate::normal::{Mode, Port};
use crate::random::{self, Style, TABLES};
use crate::reply;
use crate::rig::{Lookups, Rig};
use crate::rule::{Act, Mod};
use crate::tracking::Connections;
use crate::world::{FAR, Outcome, TrackCounts, World};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Sessions.
    pub sessions: u64,
    /// Cases.
    pub cases: u64,
    /// Packets compared.
    pub packets: u64,
    /// Packets that left the switch.
    pub forwarded: u64,
    /// Changes to tables and settings.
    pub changes: u64,
    /// Cases in which a bit outside the cached mask was flipped.
    pub outside: u64,
    /// Of those, how many the caches answered.
    pub outside_hits: u64,
    /// Cases in which a bit inside the cached mask was flipped.
    pub inside: u64,
    /// Packets that the caches answered.
    pub hits: u64,
    /// Packets that were translated.
    pub misses: u64,
    /// Sessions with connection tracking, and what came of it. Their flips are not in `outside`: what the cached mask of a packet that comes
    /// in does not look at may be looked at when it comes back from the tracker.
    pub ct_sessions: u64,
    /// Times that a packet went through the tracker.
    pub tracked: u64,
    /// Of those, how often it belonged to an established connection.
    pub established: u64,
    /// Of those, how often its addresses were translated.
    pub translated: u64,
    /// Of those, how often it was related to another connection.
    pub related: u64,
    /// Of those, how often it made no sense.
    pub invalid: u64,
    /// Hits and misses of sessions with connection tracking.
    pub ct_hits: u64,
    /// See `ct_hits`.
    pub ct_misses: u64,
}

impl Tally {
    /// The share of packets that the caches answered.
    pub fn hit_share(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }

    /// The same of the sessions with connection tracking.
    pub fn ct_hit_share(&self) -> f64 {
        self.ct_hits as f64 / (self.ct_hits + self.ct_misses).max(1) as f64
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Tally) {
        let pairs = [
            (&mut self.sessions, other.sessions),
            (&mut self.cases, other.cases),
            (&mut self.packets, other.packets),
            (&mut self.forwarded, other.forwarded),
            (&mut self.changes, other.changes),
            (&mut self.outside, other.outside),
            (&mut self.outside_hits, other.outside_hits),
            (&mut self.inside, other.inside),
            (&mut self.hits, other.hits),
            (&mut self.misses, other.misses),
            (&mut self.ct_sessions, other.ct_sessions),
            (&mut self.tracked, other.tracked),
            (&mut self.established, other.established),
            (&mut self.translated, other.translated),
            (&mut self.related, other.related),
            (&mut self.invalid, other.invalid),
            (&mut self.ct_hits, other.ct_hits),
            (&mut self.ct_misses, other.ct_misses),
        ];
        pairs.into_iter().for_each(|(mine, theirs)| *mine += theirs);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sessions, cases, packets, forwarded, changes, outside, outside_hits, inside, .. } = self;
        write!(
            f,
            "{cases} cases in {sessions} sessions, {packets} packets ({forwarded} forwarded), {changes} changes, \
             bits flipped outside the cached mask {outside} (hits {outside_hits}), inside {inside}, \
             cache-hit share {:.1} %; {} sessions with connection tracking: {} times through the tracker ({} established, \
             {} translated, {} related, {} invalid), cache-hit share {:.1} %",
            100.0 * self.hit_share(),
            self.ct_sessions,
            self.tracked,
            self.established,
            self.translated,
            self.related,
            self.invalid,
            100.0 * self.ct_hit_share()
        )
    }
}

/// One pair of switches.
#[derive(Debug)]
struct Duel {
    rng: Rng,
    world: World,
    rig: Rig,
    style: Style,
    now_ns: u64,
    /// Frames that come again and again, with the ports they come in at.
    known: Vec<(u16, Vec<u8>)>,
    /// Frames that went out lately, with the ports they left by: who got them may answer.
    heard: Vec<(u16, Vec<u8>)>,
    /// The trackers are swept each on its own: there is no limit that would tell.
    sweeps: bool,
    history: Vec<String>,
    tally: Tally,
}

/// Runs one session of `cases` cases.
///
/// # Panics
/// When the two sides differ: with what was done last, and with what on each side.
pub fn session(seed: u64, cases: u64) -> Tally {
    let mut rng = Rng::new(seed);
    let mut style = Style::new(&mut rng);
    if is_tracking(seed) {
        style = style.tracking(&mut rng);
    }
    let ports: BTreeMap<u16, Port> = (1..=random::PORTS).map(|n| (n, random_port(&mut rng))).collect();
    let vlan_limit = rng.pick(&[1, 2]);
    let rig = Rig::new(&mut rng, &ports, vlan_limit, seed);
    let world = World { connections: Connections::new(seed), ..World::new(ports, vlan_limit) };
    let (known, heard, history) = (Vec::new(), Vec::new(), Vec::new());
    let (tally, now_ns) = (Tally { sessions: 1, ..Tally::default() }, SECOND);
    let mut duel = Duel { rng, world, rig, style, now_ns, known, heard, sweeps: true, history, tally };
    duel.begin();
    for _ in 0..cases {
        duel.disturb();
        duel.case();
    }
    duel.compare_counters();
    let Lookups { hit, missed } = duel.rig.lookups();
    let tally = Tally { hits: hit, misses: missed, ..duel.tally };
    if !style.ct {
        return tally;
    }
    duel.compare_connections();
    let TrackCounts { all, established, translated, related, invalid } = duel.world.tracked;
    Tally {
        ct_sessions: 1,
        tracked: all,
        established,
        translated,
        related,
        invalid,
        ct_hits: hit,
        ct_misses: missed,
        ..tally
    }
}

/// Whether a session has connection tracking. Drawn apart, so that the others stay what they were without it.
fn is_tracking(seed: u64) -> bool {
    Rng::new(seed ^ 0x637f).one_in(2)
}

fn random_port(rng: &mut Rng) -> Port {
    let vlan = rng.pick(&[1, 5, 6]);
    let mode = match rng.below(6) {
        0 => Mode::Access(vlan),
        1 => Mode::NativeTagged(vlan),
        2 => Mode::NativeUntagged(vlan),
        _ => Mode::Trunk,
    };
    let trunks = if rng.one_in(3) { [0, 5, 4094].into() } else { Default::default() };
    Port { mode, trunks }
}

impl Duel {
    fn note(&mut self, what: String) {
        if self.history.len() > 40 {
            self.history.drain(..20);
        }
        self.history.push(what);
    }

    fn complain(&self, what: &str) -> ! {
        let rules: Vec<String> = self.world.rules.iter().map(|rule| rule.spec.to_string()).collect();
        panic!(
            "{what}\nports: {:#?}\nrules:\n  {}\nlast done:\n  {}",
            self.world.ports,
            rules.join("\n  "),
            self.history.join("\n  ")
        );
    }

    /// Now and then, something changes.
    fn disturb(&mut self) {
        self.now_ns += self.rng.below(5 * MS as usize) as u64;
        match self.rng.below(60) {
            0..8 => self.change_tables(),
            8 => {
                let seconds = self.rng.pick(&[1, 1, 2, 5, 12, 150, 301]);
                self.advance(seconds * SECOND);
            }
            9 if self.style.normal => {
                self.note("flush MACs".into());
                self.world.macs.flush();
                self.rig.flush_macs();
            }
            10 if self.style.normal => self.change_port(),
            11 => {
                self.note("purge flows".into());
                self.rig.purge(self.now_ns);
            }
            12 => {
                self.note("sweep flows".into());
                self.rig.sweep(self.now_ns);
            }
            13..15 => self.compare_counters(),
            _ => {}
        }
        if self.style.ct {
            self.disturb_connections();
        }
    }

    /// Fills the tables.
    fn begin(&mut self) {
        for table in 0..TABLES {
            if !self.rng.one_in(3) {
                let spec = random::last_resort(&mut self.rng, self.style, table);
                self.commit(&[Mod::Add(spec)]);
            }
        }
        if self.style.ct {
            self.begin_tracking();
        }
        for _ in 0..8 {
            self.change_tables();
        }
    }

    fn commit(&mut self, changes: &[Mod]) {
        for change in changes {
            self.world.change(change, self.now_ns);
            self.note(format!("{change}"));
        }
        self.rig.change(changes, self.now_ns);
        self.tally.changes += changes.len() as u64;
    }

    fn change_tables(&mut self) {
        // What comes later in a bundle is made for the tables as what came before leaves them.
        let (mut changes, mut ahead) = (Vec::new(), self.world.clone());
        for _ in 0..1 + self.rng.below(3) {
            let change = random::change(&mut self.rng, &ahead, self.style);
            ahead.change(&change, self.now_ns);
            changes.push(change);
        }
        self.commit(&changes);
    }

    fn change_port(&mut self) {
        let number = 1 + self.rng.below(usize::from(random::PORTS)) as u16;
        let port = random_port(&mut self.rng);
        self.note(format!("port {number} becomes {port:?}"));
        if self.world.ports.get(&number) != Some(&port) {
            self.world.macs.forget(number);
        }
        self.rig.set_port(number, &port);
        self.world.ports.insert(number, port);
        self.tally.changes += 1;
    }

    fn advance(&mut self, by_ns: u64) {
        let before = self.now_ns;
        self.now_ns += by_ns;
        self.note(format!("{} s pass", by_ns / SECOND));
        self.rig.advance(before, self.now_ns);
        self.world.run(self.now_ns);
        self.compare_counters();
    }

    fn case(&mut self) {
        self.tally.cases += 1;
        if self.style.ct && self.rng.one_in(2) {
            self.answer();
        }
        let (in_port, frame) = self.draw();
        self.compare(in_port, &frame);
        let masks = self.masks_of(in_port, &frame);
        let (outside, inside) = self.flips(in_port, &frame, &masks);
        if let Some(flipped) = outside {
            let before = self.rig.lookups();
            self.compare(in_port, &flipped);
            if !self.style.ct {
                self.tally.outside += 1;
                self.tally.outside_hits += u64::from(self.rig.lookups().missed == before.missed);
            }
        }
        if let Some(flipped) = inside {
            self.tally.inside += 1;
            self.compare(in_port, &flipped);
        }
        self.compare(in_port, &frame);
        if self.rng.one_in(8) {
            self.burst(in_port, &frame);
        }
    }

    /// A port and a frame: mostly ones that came before.
    fn draw(&mut self) -> (u16, Vec<u8>) {
        let mut port = 1 + self.rng.below(usize::from(random::PORTS)) as u16;
        if self.style.patch && self.rng.one_in(3) {
            port = self.rng.pick(&random::FAR_PORTS);
        }
        if self.known.len() < 6 || self.rng.one_in(12) {
            let mut frame = random::frame(&mut self.rng, self.style);
            while self.is_unfit(&frame) {
                frame = random::frame(&mut self.rng, self.style);
            }
            self.learn(port, frame);
        }
        let place = self.rng.below(self.known.len());
        let (port, frame) = &self.known[place];
        (*port, frame.clone())
    }

    /// Keeps a frame to come again, instead of another.
    fn learn(&mut self, port: u16, mut frame: Vec<u8>) {
        random::clear_dei(&mut frame);
        if self.known.len() >= 6 {
            let place = self.rng.below(self.known.len());
            self.known.remove(place);
        }
        self.known.push((port, frame));
    }

    fn key(&self, in_port: u16, frame: &[u8]) -> FlowKey {
        let (mut key, _) = packet::extract(frame, self.world.vlan_limit);
        key.in_port.set(self.rig.datapath_port(in_port));
        key
    }

    /// The masks of the cached flows that cover a packet as it comes in.
    fn masks_of(&self, in_port: u16, frame: &[u8]) -> Vec<packet::FlowMask> {
        let key = self.key(in_port, frame);
        let flows = self.rig.flows();
        flows.iter().filter(|flow| flow.mask.matches(&key, &flow.key)).map(|flow| flow.mask).collect()
    }

    /// The frame with one bit flipped that no mask looks at, and with one that one looks at, where such are found.
    fn flips(
        &mut self,
        in_port: u16,
        frame: &[u8],
        masks: &[packet::FlowMask],
    ) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let (mut outside, mut inside) = (None, None);
        let key = self.key(in_port, frame);
        for _ in 0..12 {
            let mut flipped = frame.to_vec();
            let at = self.rng.below(frame.len().min(80));
            flipped[at] ^= 1 << self.rng.below(8);
            random::clear_dei(&mut flipped);
            if self.style.ct && !self.rng.one_in(4) {
                reply::mend(&mut flipped);
            }
            if self.is_unfit(&flipped) {
                continue;
            }
            let other = self.key(in_port, &flipped);
            let looked_at = masks.iter().any(|mask| !mask.matches(&key, &other));
            let place = if looked_at { &mut inside } else { &mut outside };
            place.get_or_insert(flipped);
        }
        (outside.filter(|_| !masks.is_empty()), inside)
    }

    /// Several packets in one batch. Learning takes effect between batches, so not with NORMAL.
    fn burst(&mut self, in_port: u16, frame: &[u8]) {
        let is_normal = |acts: &[Act]| acts.iter().any(|act| matches!(act, Act::Normal | Act::Clone(_)));
        let rules = &self.world.rules;
        if rules.iter().any(|rule| is_normal(&rule.spec.doing.apply) || is_normal(&rule.spec.doing.write)) {
            return;
        }
        let mut frames = vec![frame.to_vec()];
        for _ in 0..self.rng.below(40) {
            let mut other = frame.to_vec();
            let at = self.rng.below(frame.len().min(60));
            other[at] ^= 1 << self.rng.below(8);
            random::clear_dei(&mut other);
            frames.push(if self.is_unfit(&other) { frame.to_vec() } else { other });
        }
        self.note(format!("a burst of {} from {in_port} like {frame:02x?}", frames.len()));
        let expected = self.world.packets(in_port, &frames, self.now_ns);
        let found = self.rig.send(in_port, &frames, self.now_ns);
        self.judge(frames.len(), &expected, &found);
    }

    fn compare(&mut self, in_port: u16, frame: &[u8]) {
        self.now_ns += self.rng.below(MS as usize) as u64;
        self.note(format!("from {in_port}: {}", hex(frame)));
        let expected = self.world.packet(in_port, frame, self.now_ns);
        let found = self.rig.send(in_port, std::slice::from_ref(&frame.to_vec()), self.now_ns);
        self.judge(1, &expected, &found);
        if self.style.ct {
            self.hear(&expected);
            self.compare_connections();
        }
    }

    fn judge(&mut self, packets: usize, expected: &Outcome, found: &Outcome) {
        self.tally.packets += packets as u64;
        self.tally.forwarded += expected.sent.values().map(|sent| sent.len() as u64).sum::<u64>();
        if expected != found {
            self.complain(&format!("expected {}\nfound    {}", describe(expected), describe(found)));
        }
    }

    /// Every rule, every counter, every learned address.
    fn compare_counters(&mut self) {
        let mut found: Vec<_> =
            self.rig.rules().iter().map(|(base, rule)| counts_of_rule(*base, rule)).collect();
        let mut expected: Vec<_> = self
            .world
            .rules
            .iter()
            .map(|rule| (rule.spec.table, rule.spec.cookie, rule.packets, rule.bytes, rule.used_ns))
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        if expected != found {
            let missing: Vec<_> = expected.iter().filter(|rule| !found.contains(rule)).collect();
            let extra: Vec<_> = found.iter().filter(|rule| !expected.contains(rule)).collect();
            self.complain(&format!(
                "rules (table, cookie, packets, bytes, used) expected {missing:x?}\nfound {extra:x?}"
            ));
        }
        let far = if self.style.patch { FAR..FAR + TABLES } else { 0..0 };
        for table in (0..TABLES).chain(far) {
            let expected = self.world.tables.get(&table).copied().unwrap_or_default();
            let found = self.rig.table(table);
            if expected != found {
                self.complain(&format!("table {table}: expected {expected:?}, found {found:?}"));
            }
        }
        let mut macs: Vec<_> =
            self.rig.macs(self.now_ns).into_iter().map(|(v, m, p)| (v, number(&m), p as u16)).collect();
        macs.sort_unstable();
        let expected: Vec<_> = self.world.macs.rows().collect();
        if expected != macs {
            self.complain(&format!("addresses: expected {expected:x?}, found {macs:x?}"));
        }
    }
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn counts_of_rule(base: u8, rule: &ofproto::Rule) -> (u8, u64, u64, u64, u64) {
    let (spec, totals) = (rule.spec(), rule.totals());
    (base + spec.table, spec.cookie, totals.hits.packets, totals.hits.bytes, rule.used_ns())
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn describe(outcome: &Outcome) -> String {
    let sent = outcome
        .sent
        .iter()
        .flat_map(|(port, frames)| frames.iter().map(move |f| format!("{port}: {}", hex(f))));
    let told =
        |(bridge, reason, frame): &(u8, u8, Vec<u8>)| format!("packet-in {bridge} {reason}: {}", hex(frame));
    let punted = outcome.punted.iter().map(told);
    let all: Vec<String> = sent.chain(punted).collect();
    if all.is_empty() { "nothing".into() } else { all.join("\n         ") }
}
