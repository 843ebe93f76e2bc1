//! The interpreter: tables scanned line by line, actions done to bytes. No cache, no classifier, no masks of what was looked at.

use std::collections::{BTreeMap, VecDeque};

use crate::field::{Family, Field, Slot};
use crate::normal::{Macs, Port};
use crate::rule::{Act, Ct, Doing, Mod, Spec, Terms, is_within, meets};
use crate::tracking::{self, Carried, Connections};
use crate::view::View;

/// What tables and ports of the second bridge are counted from.
pub const FAR: u8 = 100;
/// How deep resubmits may nest.
const MAX_DEPTH: usize = 64;
/// How often a packet may come back from the connection tracker.
const MAX_ROUNDS: usize = 8;
/// How many packets may come back of one batch.
const MAX_FORKS: usize = 1024;
/// How many packets are taken in at once.
const BATCH: usize = 32;

/// Why a packet goes to the controller, as OpenFlow numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// An action.
    Action = 1,
    /// A TTL that is used up.
    InvalidTtl = 2,
}

/// What became of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Frames by port, in order.
    pub sent: BTreeMap<u16, Vec<Vec<u8>>>,
    /// Packet-ins: bridge, reason, frame; in order for each bridge.
    pub punted: Vec<(u8, u8, Vec<u8>)>,
}

/// A rule and what it counted.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is.
    pub spec: Spec,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// When it was last used, or made.
    pub used_ns: u64,
    /// When it was made or changed.
    pub modified_ns: u64,
}

/// Counts of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableCounts {
    /// Lookups.
    pub lookups: u64,
    /// Lookups that found a rule.
    pub matches: u64,
}

/// The switch as the oracle has it.
#[derive(Clone, Debug)]
pub struct World {
    /// All rules. Tables of the second bridge are numbered from [`FAR`] on.
    pub rules: Vec<Rule>,
    /// Ports by number. Those of the second bridge are numbered from [`FAR`] on.
    pub ports: BTreeMap<u16, Port>,
    /// The ends of the patch between the bridges, if there is one.
    pub patch: Option<(u16, u16)>,
    /// What NORMAL has learned.
    pub macs: Macs,
    /// Counts by table.
    pub tables: BTreeMap<u8, TableCounts>,
    /// VLAN tags that are looked at.
    pub vlan_limit: usize,
    /// The connection tracker.
    pub connections: Connections,
    /// What it was asked.
    pub tracked: TrackCounts,
}

/// What came of packets that went through the connection tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrackCounts {
    /// All.
    pub all: u64,
    /// Those of established connections.
    pub established: u64,
    /// Those whose addresses are translated.
    pub translated: u64,
    /// Those related to another connection.
    pub related: u64,
    /// Those that made no sense.
    pub invalid: u64,
}

/// One packet on its way.
struct Walk {
    view: View,
    /// What tables and ports of the bridge that it is in are counted from.
    base: u8,
    /// Within its bridge.
    in_port: u16,
    table: u8,
    /// Length as it came.
    len: u64,
    now_ns: u64,
    set: Vec<Act>,
    stack: Vec<u128>,
    depth: usize,
    over: bool,
    out: Outcome,
    carried: Carried,
    /// The pipeline sees what the connection tracker said.
    tracked: bool,
    /// How often it came back from the connection tracker.
    round: usize,
    /// Copies that go on when this packet is done.
    forks: Vec<Walk>,
}

/// Whether a list of actions goes on.
#[derive(PartialEq)]
enum Flow {
    On,
    Stop,
}

impl World {
    /// A switch without rules.
    pub fn new(ports: BTreeMap<u16, Port>, vlan_limit: usize) -> Self {
        let (rules, macs, tables) = (Vec::new(), Macs::default(), BTreeMap::new());
        let (connections, tracked) = (Connections::new(0), TrackCounts::default());
        Self { rules, ports, patch: None, macs, tables, vlan_limit, connections, tracked }
    }

    /// Changes the tables.
    pub fn change(&mut self, change: &Mod, now_ns: u64) {
        match change {
            Mod::Add(spec) => {
                // A rule that takes the place of the same one inherits what that counted and its last use.
                let new =
                    Rule { spec: spec.clone(), packets: 0, bytes: 0, used_ns: now_ns, modified_ns: now_ns };
                match self.rules.iter_mut().find(|rule| is_same(&rule.spec, spec)) {
                    Some(old) => (old.spec, old.modified_ns) = (new.spec, now_ns),
                    None => self.rules.push(new),
                }
            }
            Mod::Modify(spec, strict) => {
                for rule in &mut self.rules {
                    if is_meant(&rule.spec, spec, *strict, false) {
                        rule.spec.doing = spec.doing.clone();
                        rule.modified_ns = now_ns;
                    }
                }
            }
            Mod::Delete { spec, strict, all } => {
                self.rules.retain(|rule| !is_meant(&rule.spec, spec, *strict, *all));
            }
        }
    }

    /// Lets rules and addresses expire.
    pub fn run(&mut self, now_ns: u64) {
        let past =
            |since: u64, seconds: u16| seconds != 0 && now_ns >= since + u64::from(seconds) * 1_000_000_000;
        self.rules.retain(|rule| {
            !past(rule.modified_ns, rule.spec.hard_timeout) && !past(rule.used_ns, rule.spec.idle_timeout)
        });
        self.macs.expire(now_ns);
    }

    /// Treats a packet.
    pub fn packet(&mut self, in_port: u16, frame: &[u8], now_ns: u64) -> Outcome {
        self.packets(in_port, &[frame.to_vec()], now_ns)
    }

    /// Treats packets that wait at a port. Those of one batch first go once through the tables, then those that come back of it from
    /// the connection tracker, and so on.
    pub fn packets(&mut self, in_port: u16, frames: &[Vec<u8>], now_ns: u64) -> Outcome {
        let mut out = Outcome::default();
        for batch in frames.chunks(BATCH) {
            let mut queue: VecDeque<Walk> =
                batch.iter().map(|frame| Walk::new(frame, in_port, self.vlan_limit, now_ns)).collect();
            let mut left = MAX_FORKS;
            while let Some(mut walk) = queue.pop_front() {
                let table = walk.table;
                self.look_up(&mut walk, table);
                self.action_set(&mut walk);
                let forks = walk.forks.len().min(left);
                left -= forks;
                queue.extend(walk.forks.into_iter().take(forks).filter(|fork| fork.round <= MAX_ROUNDS));
                for (port, sent) in walk.out.sent {
                    out.sent.entry(port).or_default().extend(sent);
                }
                out.punted.extend(walk.out.punted);
            }
        }
        out.punted.sort_by_key(|(bridge, ..)| *bridge);
        out
    }

    /// Finds the rule of a table and does what it says.
    fn look_up(&mut self, walk: &mut Walk, table: u8) {
        let place = walk.base + table;
        let counts = self.tables.entry(place).or_default();
        counts.lookups += 1;
        let mut values = walk.view.values.clone();
        if values[Slot::Frag] != 0 {
            // Fragments are looked up as if they had no ports: the mode that is called "normal".
            (values[Slot::TpSrc], values[Slot::TpDst]) = (0, 0);
        }
        let meeting =
            self.rules.iter_mut().filter(|rule| rule.spec.table == place && meets(&values, &rule.spec.terms));
        let Some(rule) = meeting.max_by_key(|rule| rule.spec.priority) else { return };
        counts.matches += 1;
        rule.packets += 1;
        rule.bytes += walk.len;
        rule.used_ns = walk.now_ns;
        let doing = rule.spec.doing.clone();
        walk.view.values[Slot::InPort] = u128::from(walk.in_port);
        let old = std::mem::replace(&mut walk.table, table);
        self.run_rule(walk, &doing);
        walk.table = old;
    }

    fn run_rule(&mut self, walk: &mut Walk, doing: &Doing) {
        if self.acts(walk, &doing.apply) == Flow::Stop {
            return;
        }
        if doing.clear {
            walk.set.clear();
        }
        walk.set.extend(doing.write.iter().cloned());
        if let Some((value, mask)) = doing.metadata {
            walk.view.set(Slot::Metadata, u128::from(value), u128::from(mask));
        }
        if let Some(table) = doing.goto {
            self.look_up(walk, table);
        }
    }

    fn acts(&mut self, walk: &mut Walk, acts: &[Act]) -> Flow {
        for act in acts {
            if self.act(walk, act) == Flow::Stop || walk.over {
                return Flow::Stop;
            }
        }
        Flow::On
    }

    fn act(&mut self, walk: &mut Walk, act: &Act) -> Flow {
        match act {
            Act::Output(port) => self.output(walk, *port),
            Act::InPort => self.send(walk, walk.in_port),
            Act::All | Act::Flood => {
                for port in self.ports_of(walk.base).filter(|port| *port != walk.in_port).collect::<Vec<_>>()
                {
                    self.send(walk, port);
                }
            }
            Act::Normal => self.normal(walk),
            Act::Controller => walk.punt(Reason::Action),
            Act::OutputTrunc(port, len) => {
                let number = u16::from(walk.base) + *port;
                if *port != walk.in_port && self.ports.contains_key(&number) {
                    let len = walk.view.bytes.len().min(*len as usize);
                    let frame = walk.view.bytes[..len].to_vec();
                    walk.out.sent.entry(number).or_default().push(frame);
                }
            }
            Act::OutputReg(field) => match field.get(&walk.view.values) as u16 {
                // Numbers of reserved ports mean these, from wherever they come.
                0xfff8 => self.send(walk, walk.in_port),
                0xfff9 => self.resubmit(walk, None, 0),
                0xfffa => self.normal(walk),
                0xfffb | 0xfffc => return self.act(walk, &Act::All),
                0xfffd => walk.punt(Reason::Action),
                port => self.output(walk, port),
            },
            Act::Set(term) => walk.set_field(term.field, term.value, term.mask),
            Act::Move(src, from, dst, to, bits) => {
                let ones = if *bits == 128 { u128::MAX } else { (1 << bits) - 1 };
                if walk.has(src) {
                    let value = src.get(&walk.view.values) >> from & ones;
                    walk.set_field(dst, value << to, ones << to);
                }
            }
            Act::DecTtl => return walk.dec_ttl(),
            Act::PushVlan(tpid) => walk.view.push_tag(*tpid, 0),
            Act::PopVlan => walk.view.pop_tag(),
            Act::ModVlanVid(vid) => {
                let tci = walk.view.values[Slot::VlanTci] as u16;
                walk.view.set_tag(tci & 0xe000 | vid);
            }
            Act::ModVlanPcp(pcp) => {
                let tci = walk.view.values[Slot::VlanTci] as u16;
                walk.view.set_tag(tci & 0x0fff | u16::from(*pcp) << 13);
            }
            Act::Resubmit(from, table) => self.resubmit(walk, *from, *table),
            Act::Clone(acts) => self.clone_of(walk, acts),
            Act::Push(field) => walk.stack.push(field.get(&walk.view.values)),
            Act::Pop(field) => {
                if let Some(value) = walk.stack.pop() {
                    walk.set_field(field, value & field.ones(), field.ones());
                }
            }
            Act::Exit => walk.over = true,
            Act::Ct(ct) => self.ct(walk, ct),
            Act::CtClear => {
                if std::mem::take(&mut walk.tracked) {
                    walk.carried = Carried::default();
                }
                walk.clear_ct();
            }
        }
        Flow::On
    }

    /// The packet goes through the tracker, and so goes on, unseen by the pipeline; a copy comes back that sees.
    fn ct(&mut self, walk: &mut Walk, ct: &Ct) {
        let request = tracking::request(ct, &walk.view.values, |field| walk.has(field));
        let said = self.connections.track(&walk.view, walk.carried, &request, walk.now_ns);
        self.tracked.add(&said);
        (walk.view.bytes, walk.carried) = (said.bytes, said.carried);
        if let Some(table) = ct.table {
            let fork = walk.fork(table, &said.values, self.vlan_limit);
            walk.forks.push(fork);
        }
        walk.clear_ct();
        walk.tracked = false;
    }

    fn resubmit(&mut self, walk: &mut Walk, from: Option<u16>, table: u8) {
        if walk.depth >= MAX_DEPTH {
            return;
        }
        walk.depth += 1;
        if let Some(port) = from {
            walk.view.values[Slot::InPort] = u128::from(port);
        }
        let table = if table == 255 { walk.table } else { table };
        self.look_up(walk, table);
        walk.view.values[Slot::InPort] = u128::from(walk.in_port);
        walk.depth -= 1;
    }

    /// Does actions to a copy, and then a copy of the action set; what was sent, punted and counted stays, and so does `exit`.
    fn clone_of(&mut self, walk: &mut Walk, acts: &[Act]) {
        let (view, set, stack) = (walk.view.clone(), walk.set.clone(), walk.stack.clone());
        let (carried, tracked) = (walk.carried, walk.tracked);
        self.acts(walk, acts);
        self.action_set(walk);
        (walk.view, walk.set, walk.stack) = (view, set, stack);
        (walk.carried, walk.tracked) = (carried, tracked);
    }

    fn output(&mut self, walk: &mut Walk, port: u16) {
        if port != walk.in_port {
            self.send(walk, port);
        }
    }

    /// The ports of a bridge, by their numbers in it, the end of a patch among them.
    fn ports_of(&self, base: u8) -> impl Iterator<Item = u16> {
        let (first, past) = (u16::from(base), u16::from(base) + u16::from(FAR));
        let ends = self.patch.iter().flat_map(|(here, there)| [*here, *there]);
        let mut numbers: Vec<u16> = self.ports.keys().copied().chain(ends).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter(move |port| (first..past).contains(port)).map(move |port| port - first)
    }

    fn send(&mut self, walk: &mut Walk, port: u16) {
        let number = u16::from(walk.base) + port;
        if self.ports.contains_key(&number) {
            walk.out.sent.entry(number).or_default().push(walk.view.bytes.clone());
        }
        match self.patch {
            Some((here, there)) if here == number => self.visit(walk, there),
            Some((here, there)) if there == number => self.visit(walk, here),
            _ => {}
        }
    }

    /// A copy goes into the bridge at the other end of a patch, by that port, with nothing of what the pipeline knew.
    fn visit(&mut self, walk: &mut Walk, port: u16) {
        if walk.depth >= MAX_DEPTH {
            return;
        }
        let (base, in_port) = split(port);
        let mut view = walk.view.clone();
        for slot in Slot::PIPELINE.into_iter().chain(Slot::CT) {
            view.values[slot] = 0;
        }
        view.values[Slot::InPort] = u128::from(in_port);
        let mut copy = Walk { view, base, in_port, ..walk.visitor() };
        self.look_up(&mut copy, 0);
        self.action_set(&mut copy);
        (walk.out, walk.forks) = (copy.out, copy.forks);
    }

    fn normal(&mut self, walk: &mut Walk) {
        let sends = self.macs.forward(&self.ports, walk.in_port, &walk.view, walk.now_ns);
        for (port, view) in sends {
            walk.out.sent.entry(port).or_default().push(view.bytes);
        }
    }

    /// Does the action set: pops, pushes, TTL, the sets in their order, then the last output. Nothing of it after `exit`, as
    /// Open vSwitch 3.1.0 has it.
    fn action_set(&mut self, walk: &mut Walk) {
        let set = std::mem::take(&mut walk.set);
        let is_output = |act: &&Act| {
            matches!(
                act,
                Act::Output(_) | Act::InPort | Act::All | Act::Flood | Act::Normal | Act::Controller
            )
        };
        let Some(output) = set.iter().rfind(is_output).cloned() else { return };
        if walk.over {
            return;
        }
        let last = |wanted: fn(&Act) -> bool| set.iter().rfind(|act| wanted(act)).cloned();
        let single = [
            last(|act| matches!(act, Act::PopVlan)),
            last(|act| matches!(act, Act::PushVlan(_))),
            last(|act| matches!(act, Act::DecTtl)),
        ];
        let sets = set.iter().filter(|act| {
            matches!(act, Act::Set(_) | Act::Move(..) | Act::ModVlanVid(_) | Act::ModVlanPcp(_))
        });
        let list: Vec<Act> = single.into_iter().flatten().chain(sets.cloned()).chain([output]).collect();
        self.acts(walk, &list);
    }
}

/// The bridge of a port, and its number there.
fn split(port: u16) -> (u8, u16) {
    if port >= u16::from(FAR) { (FAR, port - u16::from(FAR)) } else { (0, port) }
}

/// Whether two rules are one: same table, priority and match.
fn is_same(a: &Spec, b: &Spec) -> bool {
    a.table == b.table && a.priority == b.priority && a.terms == b.terms
}

/// Whether a change that names `wanted` means this rule.
fn is_meant(rule: &Spec, wanted: &Spec, strict: bool, all: bool) -> bool {
    let table = rule.table == wanted.table || all && rule.table / FAR == wanted.table / FAR;
    table
        && if strict {
            rule.priority == wanted.priority && rule.terms == wanted.terms
        } else {
            is_within(&rule.terms, &wanted.terms)
        }
}

/// Whether two matches have a packet in common, going by terms of the same field.
pub fn overlap(a: &Terms, b: &Terms) -> bool {
    a.iter().all(|term| {
        let other = b.iter().find(|other| other.field == term.field);
        other.is_none_or(|other| (term.value ^ other.value) & term.mask & other.mask == 0)
    })
}

impl TrackCounts {
    fn add(&mut self, said: &tracking::Said) {
        let state =
            said.values.iter().find(|(slot, _)| *slot == Slot::CtState).map_or(0, |(_, state)| *state);
        self.all += 1;
        self.established += u64::from(state & 2 != 0);
        self.related += u64::from(state & 4 != 0);
        self.invalid += u64::from(state & 0x10 != 0);
        self.translated += u64::from(state & 0xc0 != 0);
    }
}

impl Walk {
    /// A packet that comes in.
    fn new(frame: &[u8], port: u16, vlan_limit: usize, now_ns: u64) -> Self {
        let mut view = View::new(frame, vlan_limit);
        let (base, in_port) = split(port);
        view.values[Slot::InPort] = u128::from(in_port);
        Self {
            view,
            base,
            in_port,
            table: 0,
            len: frame.len() as u64,
            now_ns,
            set: Vec::new(),
            stack: Vec::new(),
            depth: 0,
            over: false,
            out: Outcome::default(),
            carried: Carried::default(),
            tracked: false,
            round: 0,
            forks: Vec::new(),
        }
    }

    /// A copy that comes in anew, and sees what the tracker said.
    fn fork(&self, table: u8, said: &[(Slot, u128)], vlan_limit: usize) -> Self {
        let port = u16::from(self.base) + self.in_port;
        let mut fork = Self::new(&self.view.bytes, port, vlan_limit, self.now_ns);
        for slot in Slot::PIPELINE {
            fork.view.values[slot] = self.view.values[slot];
        }
        for (slot, value) in said {
            fork.view.values[*slot] = *value;
        }
        let (set, stack) = (self.set.clone(), self.stack.clone());
        Self { table, set, stack, carried: self.carried, tracked: true, round: self.round + 1, ..fork }
    }

    /// A copy for another bridge, with what has come of the packet so far.
    fn visitor(&mut self) -> Self {
        let (out, forks) = (std::mem::take(&mut self.out), std::mem::take(&mut self.forks));
        let (view, carried) = (self.view.clone(), self.carried);
        let Self { base, in_port, len, now_ns, round, .. } = *self;
        let depth = self.depth + 1;
        let (set, stack, table, over, tracked) = (Vec::new(), Vec::new(), 0, false, false);
        Self {
            view,
            base,
            in_port,
            table,
            len,
            now_ns,
            set,
            stack,
            depth,
            over,
            out,
            carried,
            tracked,
            round,
            forks,
        }
    }

    fn clear_ct(&mut self) {
        Slot::CT.into_iter().for_each(|slot| self.view.values[slot] = 0);
    }

    fn punt(&mut self, reason: Reason) {
        self.out.punted.push((self.base, reason as u8, self.view.bytes.clone()));
    }

    fn dec_ttl(&mut self) -> Flow {
        if !matches!(self.view.values[Slot::EthType], 0x0800 | 0x86dd) {
            return Flow::On;
        }
        let ttl = self.view.values[Slot::Ttl];
        if ttl > 1 {
            self.view.set(Slot::Ttl, ttl - 1, 0xff);
            return Flow::On;
        }
        self.punt(Reason::InvalidTtl);
        Flow::Stop
    }

    /// Whether the packet has a field, as far as its other fields say.
    fn has(&self, field: &Field) -> bool {
        let values = &self.view.values;
        let (kind, proto) = (values[Slot::EthType], values[Slot::Proto]);
        let ip = matches!(kind, 0x0800 | 0x86dd);
        let first = values[Slot::Frag] != 3;
        match field.family {
            Family::Any | Family::Vlan => true,
            Family::Mpls => matches!(kind, 0x8847 | 0x8848),
            Family::V4 => kind == 0x0800,
            Family::V6 => kind == 0x86dd,
            Family::Ip => ip,
            Family::Arp => matches!(kind, 0x0806 | 0x8035),
            Family::Tcp => ip && proto == 6 && first,
            Family::Udp => ip && proto == 17 && first,
            Family::Sctp => ip && proto == 132 && first,
            Family::Icmp4 => kind == 0x0800 && proto == 1 && first,
            Family::Icmp6 => kind == 0x86dd && proto == 58 && first,
            // One of new, est, rpl says so.
            Family::Tracked => values[Slot::CtState] & 0x0b != 0,
            Family::Solicitation => self.is_nd(135),
            Family::Advertisement => self.is_nd(136),
        }
    }

    fn is_nd(&self, kind: u128) -> bool {
        let values = &self.view.values;
        let icmp = values[Slot::EthType] == 0x86dd && values[Slot::Proto] == 58 && values[Slot::Frag] != 3;
        icmp && values[Slot::TpSrc] == kind && values[Slot::TpDst] == 0
    }

    fn set_field(&mut self, field: &Field, value: u128, mask: u128) {
        if self.has(field) {
            self.view.set(field.slot, value << field.shift, mask << field.shift);
        }
    }
}
