//! Sending: to ports, to many ports, to controllers, through patch ports.

use datapath::action::{Action as DpAction, DropReason};
use datapath::stamps::Slot;
use openflow::{FieldId, OfPort};
use packet::key::{DP_WORDS, WORDS};

use super::trace::Kind;
use super::{Xlate, commit};
use crate::context::PuntContext;
use crate::events::PacketInReason;
use crate::port::{Port, PortFlags};
use crate::state::BridgeState;

impl Xlate<'_> {
    /// Brings the packet up to date with its key.
    pub(super) fn commit(&mut self) {
        commit::commit(&self.flow, &mut self.base, &mut self.mask, &mut self.actions);
    }

    /// Sends to a port of whatever kind.
    pub(super) fn output(&mut self, port: OfPort, max_len: u16) {
        match port {
            OfPort::IN_PORT => self.send_to(self.in_port()),
            OfPort::TABLE => self.table_action(self.in_port(), 0, true),
            OfPort::NORMAL => self.normal(),
            OfPort::FLOOD => self.flood(PortFlags::NO_FLOOD),
            OfPort::ALL => self.flood(PortFlags::empty()),
            OfPort::CONTROLLER => {
                let reason = match (self.in_action_set, self.packet_out) {
                    (_, true) => PacketInReason::PacketOut,
                    (true, false) => PacketInReason::ActionSet,
                    (false, false) => PacketInReason::Action,
                };
                self.controller(max_len, reason, 0, &[]);
            }
            OfPort::NONE | OfPort::UNSET => {}
            port if port == self.in_port() => {
                self.note(Kind::Warn, || "skipping output to input port".into());
            }
            port => self.send_to(port),
        }
    }

    /// Sends to every port but the one it came by and those with one of `except`.
    fn flood(&mut self, except: PortFlags) {
        let bridge = self.bridge;
        let in_port = self.in_port();
        for number in bridge.flood_order.iter().filter(|number| **number != in_port) {
            if bridge.ports.get(number).is_some_and(|port| !port.flags.intersects(except)) {
                self.send_to(*number);
            }
        }
    }

    /// Sends the first bytes of the packet.
    pub(super) fn output_trunc(&mut self, port: OfPort, max_len: u32) {
        let to = if port == OfPort::IN_PORT { self.in_port() } else { port };
        if port != OfPort::IN_PORT && to == self.in_port() {
            self.note(Kind::Warn, || "skipping output to input port".into());
            return;
        }
        let Some(target) = self.bridge.ports.get(&to) else {
            self.send_to(to);
            return;
        };
        if target.dp.is_some() {
            self.commit();
            self.actions.push(DpAction::Trunc(max_len));
            self.send_to(to);
        } else {
            self.note(Kind::Detail, || "output_trunc does not support patch output".into());
        }
    }

    /// Sends to one port of this bridge.
    pub(super) fn send_to(&mut self, number: OfPort) {
        let bridge = self.bridge;
        let Some(port) = bridge.ports.get(&number) else {
            self.note(Kind::Warn, || "Nonexistent output port".into());
            return;
        };
        if port.flags.contains(PortFlags::NO_FWD) {
            self.note(Kind::Detail, || "OFPPC_NO_FWD set, skipping output".into());
            return;
        }
        if !port.is_up() {
            return;
        }
        match (port.dp, &port.peer) {
            (Some(dp), _) => {
                self.commit();
                self.actions.push(DpAction::Output(dp));
            }
            (None, Some(peer)) => self.patch(port, peer),
            (None, None) => {}
        }
    }

    /// Goes through a patch port into the bridge at its other end, and comes back. Without a peer whose peer it is, nothing
    /// happens, and nothing is said of it.
    fn patch(&mut self, port: &Port, peer: &str) {
        let state = self.state;
        let there = state.by_patch.get(peer).and_then(|(id, number)| Some((state.bridges.get(id)?, *number)));
        let Some((bridge, number)) = there else { return };
        let mutual =
            bridge.ports.get(&number).filter(|other| other.peer.as_deref() == Some(port.name.as_str()));
        let Some(other) = mutual else { return };
        self.ledger.owe(&port.tx);
        self.ledger.owe(&other.rx);
        let place = self.tracer.as_ref().map(super::trace::Tracer::place);
        let came_from = self.place();
        let saved = self.enter(bridge, number);
        self.enter_bridge_node();
        if self.may_receive_quietly(number) {
            self.table = 0;
            self.table_action_fresh(number);
            self.run_action_set();
            self.finish_freezing();
        }
        self.contain(&came_from);
        self.conntracked = came_from.conntracked;
        self.leave(saved);
        if let (Some(tracer), Some(place)) = (&mut self.tracer, place) {
            tracer.go(place);
        }
    }

    fn may_receive_quietly(&mut self, number: OfPort) -> bool {
        let before = self.actions.len();
        let may = self.may_receive(number);
        self.actions.truncate(before);
        may
    }

    /// Adds the actions that hand a copy to the controllers.
    pub(super) fn controller(
        &mut self,
        max_len: u16,
        reason: PacketInReason,
        controller_id: u16,
        userdata: &[u8],
    ) {
        self.commit();
        let mut pipeline = [0; WORDS - DP_WORDS];
        pipeline.copy_from_slice(&self.flow.words()[DP_WORDS..]);
        let context = PuntContext {
            bridge: self.bridge.id,
            table: self.table,
            cookie: self.cookie,
            reason,
            max_len,
            controller_id,
            userdata: userdata.to_vec(),
            in_port: self.in_port(),
            pipeline,
            pkt_mark: self.flow.pkt_mark.get(),
            tun_id: self.flow.tun_id.get(),
        };
        match self.core.contexts.punts.intern(context) {
            Some(node) => {
                self.actions.push(DpAction::Punt(u64::from(node.id)));
                self.ledger.held.push(node);
            }
            None => self.fail(DropReason::UpcallError, || "too many packet-in contexts".into()),
        }
    }

    /// Where the translation is, to [`contain`](Self::contain) what comes next.
    pub(super) fn place(&self) -> Place {
        let (flow, base, conntracked) = (self.flow, self.base, self.conntracked);
        Place { actions: self.actions.len(), flow, base, conntracked }
    }

    /// Puts what was added since `place` into a `clone` of the packet if it does what no later action undoes: the tracker may have
    /// translated the packet, and has said something of it; and some headers cannot be set back (ports that were both zero).
    pub(super) fn contain(&mut self, place: &Place) {
        let lasts = |action: &DpAction| matches!(action, DpAction::Ct(_) | DpAction::CtClear);
        let stays = place.base == self.base || commit::leads_back(&self.base, &place.flow, &self.mask);
        if !stays || self.actions[place.actions..].iter().any(lasts) {
            let inner = self.actions.split_off(place.actions);
            self.actions.push(DpAction::Clone(inner.into_boxed_slice()));
            self.base = place.base;
        }
    }

    /// Puts what follows into a `clone` of the packet. Returns what [`end_nested`](Self::end_nested) needs.
    pub(super) fn begin_nested(&mut self) -> (Vec<DpAction>, packet::FlowKey) {
        self.commit();
        (std::mem::take(&mut self.actions), self.base)
    }

    /// Ends the clone. One that does nothing is left out.
    pub(super) fn end_nested(&mut self, (outer, base): (Vec<DpAction>, packet::FlowKey)) {
        let inner = std::mem::replace(&mut self.actions, outer);
        if !inner.is_empty() {
            self.actions.push(DpAction::Clone(inner.into_boxed_slice()));
        }
        self.base = base;
    }

    /// Adds a dependency.
    pub(super) fn depends_on(&mut self, slot: Slot) {
        self.depends.push(slot);
    }
}

/// A place in a translation.
pub(super) struct Place {
    actions: usize,
    flow: packet::FlowKey,
    base: packet::FlowKey,
    pub(super) conntracked: bool,
}

/// What is put away while a packet is in another bridge.
struct Outside<'a> {
    bridge: &'a BridgeState,
    flow: packet::FlowKey,
    table: u8,
    cookie: u64,
    action_set: Vec<openflow::Action>,
    stack: Vec<(u128, u16)>,
    exit: bool,
    in_action_set: bool,
    was_mpls: bool,
}

impl<'a> Xlate<'a> {
    fn enter(&mut self, bridge: &'a BridgeState, in_port: OfPort) -> Outside<'a> {
        let outside = Outside {
            bridge: std::mem::replace(&mut self.bridge, bridge),
            flow: self.flow,
            table: self.table,
            cookie: self.cookie,
            action_set: std::mem::take(&mut self.action_set),
            stack: std::mem::take(&mut self.stack),
            exit: std::mem::take(&mut self.exit),
            in_action_set: std::mem::take(&mut self.in_action_set),
            was_mpls: self.was_mpls,
        };
        self.flow.in_port.set(in_port.0);
        self.flow.words_mut()[DP_WORDS..].fill(0);
        FieldId::ActsetOutput.set(&mut self.flow, u128::from(OfPort::UNSET.0));
        self.clear_ct();
        self.conntracked = false;
        self.depends_on(bridge.config_slot());
        outside
    }

    fn leave(&mut self, outside: Outside<'a>) {
        self.bridge = outside.bridge;
        self.flow = outside.flow;
        (self.table, self.cookie) = (outside.table, outside.cookie);
        (self.action_set, self.stack) = (outside.action_set, outside.stack);
        (self.exit, self.in_action_set, self.was_mpls) =
            (outside.exit, outside.in_action_set, outside.was_mpls);
    }

    /// Looks up in table 0 of a bridge that was just entered.
    fn table_action_fresh(&mut self, in_port: OfPort) {
        let outer = self.frozen.take();
        self.table_action(in_port, 0, true);
        if outer.is_some() {
            self.frozen = outer;
        }
    }
}
