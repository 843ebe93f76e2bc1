//! Translation: what the OpenFlow tables come to for a packet, as datapath actions.
//!
//! # Algorithm
//!
//! A translation walks the pipeline with a copy of the packet's key (`flow`), that actions change freely. A second copy (`base`) is
//! what the packet itself looks like so far; at each output the difference becomes datapath actions ([`commit`]). Everything that
//! is looked at is noted in the mask, every table, address and setting used in the dependencies, every rule crossed in the
//! ledger. Patch ports lead the walk into another bridge and back. `ofproto/trace` is the same walk with a [`Tracer`].
//!
//! # Invariants
//!
//! - The answer depends on nothing but the bits of the key in the mask, the version, and what stands behind the dependencies.
//! - Nothing is written but MACs that are learned, and flows once the walk is done, and that only for a real packet. What `learn` adds
//!   is not seen by the walk that it is part of, as in Open vSwitch.
//!
//! # Costs
//!
//! Bounded: at most [`MAX_RESUBMITS`] table lookups, [`MAX_DEPTH`] levels of them.

mod action_set;
mod actions;
mod commit;
mod ct;
mod fields;
mod learn;
mod mpls;
mod normal;
mod output;
mod pipeline;
mod recirc;
pub(crate) mod trace;
mod vlan;

use std::sync::Arc;

use conntrack::request::Nat;
use datapath::action::{Action as DpAction, DropReason};
use datapath::owner::Translation;
use datapath::stamps::Slot;
use openflow::{Action, OfPort};
use packet::key::DP_WORDS;
use packet::{FlowKey, FlowMask};
use smallvec::SmallVec;

use crate::context::Step;
use crate::counter::Ledger;
use crate::port::PortFlags;
use crate::state::{BridgeId, BridgeState, Core, State};
use crate::table::lesson::Lesson;
use crate::table::rule::Rule;
use crate::table::txn::{self, Learning};
use trace::{Kind, Tracer};

/// Levels of table lookups that call each other.
const MAX_DEPTH: u32 = 64;
/// Table lookups in one translation.
const MAX_RESUBMITS: u32 = MAX_DEPTH * MAX_DEPTH;
/// Entries of the stack.
const MAX_STACK: usize = 4096;
/// Datapath actions of one translation.
const MAX_ACTIONS: usize = 4096;
/// Dependencies of one translation beyond which a lookup depends on its whole table.
const MANY_DEPENDS: usize = 64;
/// Dependencies of one translation beyond which it is not cached.
const MAX_DEPENDS: usize = 512;
const ETH_IPV4: u16 = 0x0800;
const ETH_IPV6: u16 = 0x86dd;

/// What a translation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// The packet's key, in terms of datapath ports.
    pub(crate) key: &'a FlowKey,
    pub(crate) version: u64,
    pub(crate) now_ns: u64,
    /// Whether a packet is there: it teaches the MAC table.
    pub(crate) effects: bool,
}

/// A translation in progress.
pub(crate) struct Xlate<'a> {
    core: &'a Core,
    state: &'a State,
    input: Input<'a>,
    bridge: &'a BridgeState,
    flow: FlowKey,
    base: FlowKey,
    mask: FlowMask,
    actions: Vec<DpAction>,
    depends: SmallVec<[Slot; 8]>,
    ledger: Ledger,
    table: u8,
    cookie: u64,
    /// The rule whose actions these are, if they are a rule's.
    rule: Option<&'a Rule>,
    action_set: Vec<Action>,
    stack: Vec<(u128, u16)>,
    depth: u32,
    resubmits: u32,
    error: Option<DropReason>,
    exit: bool,
    in_action_set: bool,
    /// An effect was left out, since there is no packet, that the next packet must have: it may not find this cached.
    effect_due: bool,
    /// These are the actions of a packet-out.
    packet_out: bool,
    /// The bridge that the packet came to first.
    home: BridgeId,
    was_mpls: bool,
    /// The datapath's packet has a connection state.
    conntracked: bool,
    /// Within a `ct()`: what `nat()` asked for.
    nat: Option<Nat>,
    /// Within a `ct()`: the bits of mark and label that were written.
    on_connection: Option<(u32, u128)>,
    /// Steps left for after a recirculation, collected on the way out of the walk.
    frozen: Option<Vec<Step>>,
    /// What the packet teaches.
    lessons: Vec<Lesson>,
    advance: Advance,
    pub(crate) tracer: Option<Tracer>,
}

/// What came of a translation, and what `ofproto/trace` shows of it.
pub(crate) struct Outcome {
    pub(crate) translation: Translation,
    /// The key at the end, in terms of OpenFlow ports.
    pub(crate) flow: FlowKey,
    /// The mask before it is made fit for the datapath.
    pub(crate) looked_at: FlowMask,
    pub(crate) tracer: Option<Tracer>,
    /// Why it was given up, if it was.
    pub(crate) error: Option<DropReason>,
    /// What the packet teaches.
    lessons: Vec<Lesson>,
    advance: Advance,
}

/// The version that a translation was made at, moved on by its own effects as long as nobody else's changes come between.
#[derive(Clone, Copy, Debug)]
struct Advance(u64);

impl Advance {
    /// An effect was published as `version`.
    fn to(&mut self, version: u64) {
        if version == self.0 + 1 {
            self.0 = version;
        }
    }
}

impl Outcome {
    /// Has the bridges learn what the packet teaches. Nobody may hold the state.
    fn teach(mut self, core: &Arc<Core>, input: Input<'_>) -> Self {
        for lesson in self.lessons.drain(..) {
            match txn::teach(core, lesson, input.now_ns) {
                Learning::Known => {}
                Learning::Since(version) => self.advance.to(version),
                Learning::Open => self.translation.cacheable = false,
            }
        }
        self.translation.advanced = (self.advance.0 != input.version).then_some(self.advance.0);
        self
    }
}

/// Translates a packet that came in by a datapath port, or comes back from recirculation.
pub(crate) fn translate(core: &Arc<Core>, input: Input<'_>, tracer: Option<Tracer>) -> Outcome {
    walk(core, input, tracer).teach(core, input)
}

fn walk(core: &Core, input: Input<'_>, tracer: Option<Tracer>) -> Outcome {
    let state = core.read();
    if input.key.recirc_id.get() != 0 {
        return recirc::thaw(core, &state, input, tracer);
    }
    let dp = datapath::action::PortNo(input.key.in_port.get());
    let place = state.by_dp.get(&dp).and_then(|(id, port)| Some((state.bridges.get(id)?, *port)));
    let Some((bridge, port)) = place else {
        return nowhere(&state, input, tracer, DropReason::NoBridge);
    };
    enter(Xlate::new(core, &state, input, bridge, tracer), port)
}

/// Translates a packet as if it had come in by this port of this bridge, whatever its datapath port. `None` if the bridge is gone.
pub(crate) fn translate_on(
    core: &Arc<Core>,
    input: Input<'_>,
    (bridge, port): (BridgeId, OfPort),
    tracer: Option<Tracer>,
) -> Option<Outcome> {
    let state = core.read();
    let bridge = state.bridges.get(&bridge)?;
    let outcome = enter(Xlate::new(core, &state, input, bridge, tracer), port);
    drop(state);
    Some(outcome.teach(core, input))
}

/// Lets the packet into the bridge by `port`.
fn enter(mut xlate: Xlate<'_>, port: OfPort) -> Outcome {
    xlate.flow.in_port.set(port.0);
    xlate.base.in_port.set(port.0);
    xlate.enter_bridge_node();
    xlate.depends.push(xlate.bridge.config_slot());
    if xlate.may_receive(port) {
        xlate.first_table(port);
        xlate.run_action_set();
        xlate.finish_freezing();
    }
    xlate.finish()
}

/// Does actions that came with a packet (a packet-out) as a rule of the bridge would. `None` if the bridge is gone.
pub(crate) fn run_actions(
    core: &Arc<Core>,
    input: Input<'_>,
    bridge: BridgeId,
    in_port: OfPort,
    pipeline: &FlowKey,
    actions: &[Action],
) -> Option<Outcome> {
    let state = core.read();
    let mut xlate = Xlate::new(core, &state, input, state.bridges.get(&bridge)?, None);
    for key in [&mut xlate.flow, &mut xlate.base] {
        key.words_mut()[DP_WORDS..].copy_from_slice(&pipeline.words()[DP_WORDS..]);
        key.in_port.set(in_port.0);
        key.actset_output.set(OfPort::UNSET.0);
    }
    xlate.packet_out = true;
    xlate.actions(actions);
    xlate.run_action_set();
    xlate.finish_freezing();
    let outcome = xlate.finish();
    drop(state);
    Some(outcome.teach(core, input))
}

/// The outcome for a packet that belongs to no bridge.
fn nowhere(state: &State, input: Input<'_>, tracer: Option<Tracer>, why: DropReason) -> Outcome {
    let mut mask = base_mask(input.key);
    let looked_at = mask;
    fit_for_datapath(input.key, &mut mask);
    // Any bridge that gets the port announces its settings as changed; without bridges nothing is cached.
    let depends: SmallVec<[Slot; 8]> =
        state.bridges.values().map(BridgeState::config_slot).take(MAX_DEPENDS).collect();
    let translation = Translation {
        actions: vec![DpAction::Drop(why)],
        mask,
        cacheable: !depends.is_empty(),
        depends,
        credit: None,
        advanced: None,
    };
    let (lessons, advance) = (Vec::new(), Advance(input.version));
    Outcome { translation, flow: *input.key, looked_at, tracer, error: Some(why), lessons, advance }
}

/// What every translation looks at.
fn base_mask(key: &FlowKey) -> FlowMask {
    let mut mask = FlowMask::default();
    mask.0.in_port.set(u32::MAX);
    mask.0.recirc_id.set(u32::MAX);
    mask.0.packet_type.set(u32::MAX);
    mask.0.eth_type.set(u16::MAX);
    if matches!(key.eth_type.get(), ETH_IPV4 | ETH_IPV6) {
        mask.0.nw_frag = packet::key::FRAG_ANY | packet::key::FRAG_LATER;
    }
    mask
}

/// Takes from a mask what the packet cannot have, and what was only written: labels without MPLS, a tunnel key without a tunnel (the
/// port tells whether there is one).
fn forget_absent(key: &FlowKey, mask: &mut FlowMask) {
    if !mpls::is_mpls(key) {
        mask.0.mpls_lse = FlowKey::default().mpls_lse;
    }
    if key.tun_dst.get() == 0 && key.tun_ipv6_dst == [0; 16] && key.tun_id.get() == 0 {
        mask.0.tun_id.set(0);
    }
}

/// Fits a mask to what the datapath can hold: no pipeline fields; whether there is a tag is always looked at.
fn fit_for_datapath(key: &FlowKey, mask: &mut FlowMask) {
    mask.0.words_mut()[DP_WORDS..].fill(0);
    let tags = commit::count_vlans(key);
    for tag in mask.0.vlan[..tags].iter_mut().filter(|tag| tag.tci.get() != 0) {
        tag.tci.set(tag.tci.get() | packet::key::VLAN_PRESENT);
    }
    if mask.0.vlan[0].tci.get() == 0 || tags == 0 {
        mask.0.vlan[0].tci.set(u16::MAX);
    }
    if tags == 1 {
        mask.0.vlan[1].tci.set(u16::MAX);
    }
}

impl<'a> Xlate<'a> {
    fn new(
        core: &'a Core,
        state: &'a State,
        input: Input<'a>,
        bridge: &'a BridgeState,
        tracer: Option<Tracer>,
    ) -> Self {
        let mut flow = *input.key;
        flow.words_mut()[DP_WORDS..].fill(0);
        flow.actset_output.set(OfPort::UNSET.0);
        Self {
            core,
            state,
            input,
            bridge,
            flow,
            base: flow,
            mask: base_mask(input.key),
            actions: Vec::new(),
            depends: SmallVec::new(),
            ledger: Ledger::default(),
            table: 0,
            cookie: u64::MAX,
            rule: None,
            action_set: Vec::new(),
            stack: Vec::new(),
            depth: 0,
            resubmits: 0,
            error: None,
            exit: false,
            in_action_set: false,
            effect_due: false,
            packet_out: false,
            home: bridge.id,
            was_mpls: false,
            conntracked: false,
            nat: None,
            on_connection: None,
            frozen: None,
            lessons: Vec::new(),
            advance: Advance(input.version),
            tracer,
        }
    }

    /// Notes something in the trace, if there is one.
    fn note(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        if let Some(tracer) = &mut self.tracer {
            let text = if tracer.names { trace::name_ports(&text(), self.bridge) } else { text() };
            tracer.add(kind, text);
        }
    }

    /// Notes something, and puts what follows below it.
    fn note_below(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        if let Some(tracer) = &mut self.tracer {
            let text = if tracer.names { trace::name_ports(&text(), self.bridge) } else { text() };
            let place = tracer.add(kind, text);
            tracer.go(place);
        }
    }

    fn enter_bridge_node(&mut self) {
        let bridge = self.bridge;
        self.note_below(Kind::Bridge, || format!("bridge(\"{}\")", bridge.name));
    }

    /// Ends the translation: what it comes to so far is dropped for this reason.
    fn fail(&mut self, why: DropReason, text: impl FnOnce() -> String) {
        self.note(Kind::Error, text);
        self.error.get_or_insert(why);
    }

    fn in_port(&self) -> OfPort {
        OfPort(self.flow.in_port.get())
    }

    /// Whether frames that come in by this port go any further.
    fn may_receive(&mut self, port: OfPort) -> bool {
        let Some(port) = self.bridge.ports.get(&port) else { return true };
        let closed = if self.is_spanning_tree() { PortFlags::NO_RECV_STP } else { PortFlags::NO_RECV };
        let open = !port.flags.intersects(closed | PortFlags::DOWN);
        if !open {
            self.actions.push(DpAction::Drop(DropReason::ForwardingDisabled));
        }
        open
    }

    /// Whether this is an 802.1D frame. Looks at the destination only where port settings make a difference.
    fn is_spanning_tree(&mut self) -> bool {
        let stp = PortFlags::NO_RECV | PortFlags::NO_RECV_STP;
        if !self.bridge.ports.values().any(|port| port.flags.intersects(stp)) {
            return false;
        }
        self.mask.0.eth_dst = [0xff; 6];
        self.flow.eth_dst == [0x01, 0x80, 0xc2, 0, 0, 0]
    }

    /// Counts a packet in a rule, and takes over its place.
    fn enter_rule(&mut self, rule: &'a Rule) {
        self.rule = Some(rule);
        self.ledger.owe(rule.counter());
        self.cookie = rule.spec().cookie;
    }

    fn finish(mut self) -> Outcome {
        if self.error.is_none() && self.actions.len() > MAX_ACTIONS {
            self.fail(DropReason::TooManyActions, || "resubmits yielded over 64 kB of actions".into());
        }
        if let Some(why) = self.error {
            self.actions.clear();
            self.actions.push(DpAction::Drop(why));
        }
        // Nothing follows that a copy would have to be kept for.
        while let Some(inner) = self.actions.pop_if(|last| matches!(last, DpAction::Clone(_))) {
            let DpAction::Clone(inner) = inner else { unreachable!() };
            self.actions.extend(inner);
        }
        forget_absent(self.input.key, &mut self.mask);
        let looked_at = self.mask;
        let mut mask = self.mask;
        fit_for_datapath(self.input.key, &mut mask);
        self.depends.sort_unstable();
        self.depends.dedup();
        let translation = Translation {
            actions: self.actions,
            mask,
            cacheable: self.depends.len() <= MAX_DEPENDS && !self.effect_due,
            depends: self.depends,
            credit: Some(Arc::new(self.ledger)),
            advanced: None,
        };
        let Self { flow, tracer, error, lessons, advance, .. } = self;
        Outcome { translation, flow, looked_at, tracer, error, lessons, advance }
    }
}

#[cfg(test)]
mod tests;
