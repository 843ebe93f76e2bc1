//! Actions, one by one.

use openflow::action::{Controller, DecTtl, LearnSpec, LearnSrc, Resubmit};
use openflow::{Action, OfPort};
use packet::key::FRAG_LATER;

use super::commit::is_ip;
use super::trace::Kind;
use super::{Xlate, mpls};
use crate::context::Step;
use crate::events::PacketInReason;

const ETH_IPV4: u16 = 0x0800;
const TTL_OF_LSE: u32 = 0xff;

/// Whether to go on with the next action.
#[derive(PartialEq, Eq)]
pub(super) enum Then {
    /// Go on.
    GoOn,
    /// The rest of this rule is not done.
    Stop,
}

impl Xlate<'_> {
    /// Does a list of actions, as far as it goes: after [`Then::Stop`] nothing more of the rule is done.
    pub(super) fn actions(&mut self, list: &[Action]) -> Then {
        for (index, action) in list.iter().enumerate() {
            if self.error.is_some() || self.exit {
                return Then::GoOn;
            }
            if self.was_mpls && needs_inner(action) {
                self.freeze_here(Step::Action(action.clone()));
                self.freeze_rest(&list[index + 1..]);
                return Then::GoOn;
            }
            self.note(Kind::Action, || action.to_string());
            let then = self.action(action);
            if self.frozen.is_some() {
                self.freeze_rest(&list[index + 1..]);
                return Then::GoOn;
            }
            if then == Then::Stop {
                return Then::Stop;
            }
        }
        Then::GoOn
    }

    fn action(&mut self, action: &Action) -> Then {
        match action {
            Action::Output { port, max_len } => self.output(*port, *max_len),
            Action::OutputReg { src, max_len, .. } => self.output_reg(*src, *max_len),
            Action::OutputTrunc { port, max_len } => self.output_trunc(*port, *max_len),
            Action::Controller(controller) => self.controller_action(controller),
            Action::Enqueue { port, queue } => self.enqueue(*port, *queue),
            Action::SetQueue(queue) => {
                self.mask.0.skb_priority.set(u32::MAX);
                self.flow.skb_priority.set(*queue);
            }
            Action::PopQueue => {
                self.mask.0.skb_priority.set(u32::MAX);
                self.flow.skb_priority = self.input.key.skb_priority;
                let queue = self.flow.skb_priority.get();
                self.note(Kind::Detail, || format!("queue = {queue:#x}").replace("0x0", "0"));
            }
            Action::Resubmit(resubmit) => self.resubmit(*resubmit),
            Action::Clone(actions) => self.clone_actions(actions),
            Action::Exit => {
                self.exit = true;
                return Then::Stop;
            }
            Action::DecTtl(dec) => return self.dec_ttl(dec),
            Action::DecMplsTtl => return self.dec_mpls_ttl(),
            Action::StripVlan | Action::PopVlan => self.strip_vlan(),
            Action::PushVlan(tpid) => self.push_vlan(*tpid),
            Action::SetVlanVid { vid, push_if_needed, .. } => self.set_vlan_vid(*vid, *push_if_needed),
            Action::SetVlanPcp { pcp, push_if_needed, .. } => self.set_vlan_pcp(*pcp, *push_if_needed),
            Action::PushMpls(eth_type) => self.push_mpls(*eth_type),
            Action::PopMpls(eth_type) => self.pop_mpls(*eth_type),
            Action::SetField(set) => self.set_field(set),
            Action::Move { src, dst, .. } => self.move_field(*src, *dst),
            Action::StackPush(src) => self.stack_push(*src),
            Action::StackPop(dst) => self.stack_pop(*dst),
            Action::SetTunnel { id, .. } => self.flow.tun_id.set(*id),
            Action::Ct(ct) => self.ct(ct),
            Action::Nat(nat) => self.nat(nat),
            Action::CtClear => self.ct_clear(),
            Action::Learn(learn) => self.learn_flow(learn),
            Action::FinTimeout { idle, hard } => self.fin_timeout(*idle, *hard),
            _ => self.set_header(action),
        }
        Then::GoOn
    }

    /// The actions that overwrite one header field. What is not known here was refused when the flow was added.
    fn set_header(&mut self, action: &Action) {
        let ipv4 = self.flow.eth_type.get() == ETH_IPV4;
        match action {
            Action::SetEthSrc(mac) => {
                self.mask.0.eth_src = [0xff; 6];
                self.flow.eth_src = *mac;
            }
            Action::SetEthDst(mac) => {
                self.mask.0.eth_dst = [0xff; 6];
                self.flow.eth_dst = *mac;
            }
            Action::SetIpv4Src(address) if ipv4 => {
                self.mask.0.nw_src.set(u32::MAX);
                self.flow.nw_src.set(*address);
            }
            Action::SetIpv4Dst(address) if ipv4 => {
                self.mask.0.nw_dst.set(u32::MAX);
                self.flow.nw_dst.set(*address);
            }
            Action::SetIpDscp(_) | Action::SetIpEcn(_) | Action::SetIpTtl(_) if is_ip(&self.flow) => {
                self.set_ip(action);
            }
            Action::SetL4Src(_) | Action::SetL4Dst(_) if self.has_transport() => self.set_l4(action),
            Action::SetMplsLabel(_) | Action::SetMplsTc(_) | Action::SetMplsTtl(_)
                if mpls::is_mpls(&self.flow) =>
            {
                self.set_mpls(action);
            }
            _ => {}
        }
    }

    fn set_ip(&mut self, action: &Action) {
        let (mask, flow) = (&mut self.mask.0, &mut self.flow);
        match action {
            Action::SetIpDscp(dscp) => {
                mask.nw_tos |= 0xfc;
                flow.nw_tos = flow.nw_tos & 3 | dscp & 0xfc;
            }
            Action::SetIpEcn(ecn) => {
                mask.nw_tos |= 3;
                flow.nw_tos = flow.nw_tos & 0xfc | ecn & 3;
            }
            Action::SetIpTtl(ttl) => {
                mask.nw_ttl = 0xff;
                flow.nw_ttl = *ttl;
            }
            _ => {}
        }
    }

    fn set_mpls(&mut self, action: &Action) {
        let (bits, value) = match action {
            Action::SetMplsLabel(label) => (0xffff_f000, label << 12),
            Action::SetMplsTc(tc) => (0xe00, u32::from(*tc) << 9),
            Action::SetMplsTtl(ttl) => (TTL_OF_LSE, u32::from(*ttl)),
            _ => return,
        };
        self.set_lse(bits, value);
    }

    fn set_lse(&mut self, bits: u32, value: u32) {
        let mask = &mut self.mask.0.mpls_lse[0];
        mask.set(mask.get() | bits);
        let lse = &mut self.flow.mpls_lse[0];
        lse.set(lse.get() & !bits | value & bits);
    }

    fn has_transport(&self) -> bool {
        is_ip(&self.flow) && self.flow.nw_frag & FRAG_LATER == 0
    }

    fn set_l4(&mut self, action: &Action) {
        self.mask.0.nw_proto = 0xff;
        let has_ports = matches!(self.flow.nw_proto, 6 | 17 | 132);
        let (mask, field, port) = match action {
            Action::SetL4Src(port) => (&mut self.mask.0.tp_src, &mut self.flow.tp_src, port.port),
            Action::SetL4Dst(port) => (&mut self.mask.0.tp_dst, &mut self.flow.tp_dst, port.port),
            _ => return,
        };
        mask.set(u16::MAX);
        if has_ports {
            field.set(port);
        }
    }

    fn dec_ttl(&mut self, dec: &DecTtl) -> Then {
        if !is_ip(&self.flow) {
            return Then::GoOn;
        }
        self.mask.0.nw_ttl = 0xff;
        if self.flow.nw_ttl > 1 {
            self.flow.nw_ttl -= 1;
            return Then::GoOn;
        }
        for id in &dec.ids {
            self.controller(u16::MAX, PacketInReason::InvalidTtl, *id, &[]);
        }
        let version = if self.flow.eth_type.get() == ETH_IPV4 { 4 } else { 6 };
        self.note(Kind::Warn, || format!("IPv{version} decrement TTL exception"));
        Then::Stop
    }

    fn dec_mpls_ttl(&mut self) -> Then {
        if !mpls::is_mpls(&self.flow) {
            return Then::GoOn;
        }
        let ttl = self.flow.mpls_lse[0].get() & TTL_OF_LSE;
        let mask = &mut self.mask.0.mpls_lse[0];
        mask.set(mask.get() | TTL_OF_LSE);
        if ttl > 1 {
            self.set_lse(TTL_OF_LSE, ttl - 1);
            return Then::GoOn;
        }
        self.controller(u16::MAX, PacketInReason::InvalidTtl, 0, &[]);
        self.note(Kind::Warn, || "MPLS decrement TTL exception".into());
        Then::Stop
    }

    fn resubmit(&mut self, resubmit: Resubmit) {
        let in_port = if resubmit.port == OfPort::IN_PORT { self.in_port() } else { resubmit.port };
        let table = if resubmit.table == 255 { self.table } else { resubmit.table };
        self.table_action(in_port, table, false);
    }

    /// Does actions to a copy, then the action set as it stands there: what they change does not last. Since headers are only brought up to date at an output, no datapath
    /// action is needed but to undo what is undone anyway, unless the copy is cut or recirculated.
    fn clone_actions(&mut self, actions: &[Action]) {
        let saved = (self.flow, self.stack.clone(), self.action_set.clone(), self.was_mpls);
        let place = self.place();
        let outer = if actions.iter().all(is_reversible) { None } else { Some(self.begin_nested()) };
        self.actions(actions);
        self.run_action_set();
        self.finish_freezing();
        match outer {
            Some(outer) => self.end_nested(outer),
            None => self.contain(&place),
        }
        self.conntracked = place.conntracked;
        (self.flow, self.stack, self.action_set, self.was_mpls) = saved;
    }

    fn controller_action(&mut self, controller: &Controller) {
        let Controller { max_len, controller_id, reason, userdata, .. } = controller;
        self.controller(*max_len, PacketInReason::from_number(*reason), *controller_id, userdata);
    }

    fn enqueue(&mut self, port: OfPort, queue: u32) {
        let before = self.flow.skb_priority;
        self.mask.0.skb_priority.set(u32::MAX);
        self.flow.skb_priority.set(queue);
        let to = if port == OfPort::IN_PORT { self.in_port() } else { port };
        if port == OfPort::IN_PORT || to != self.in_port() {
            self.send_to(to);
        }
        self.flow.skb_priority = before;
    }
}

/// Whether an action leaves nothing in the datapath that a later one cannot undo.
fn is_reversible(action: &Action) -> bool {
    match action {
        Action::OutputTrunc { .. } | Action::Ct(_) | Action::Nat(_) | Action::Meter(_) => false,
        Action::Clone(inner) => inner.iter().all(is_reversible),
        _ => true,
    }
}

/// Whether an action needs headers that were out of sight below MPLS until the last label was popped.
fn needs_inner(action: &Action) -> bool {
    use openflow::FieldId as F;
    let is_outer = |field: F| {
        field.info().is_register()
            || matches!(
                field,
                F::EthSrc | F::EthDst | F::EthType | F::VlanTci | F::VlanVid | F::VlanPcp | F::Metadata
            )
    };
    match action {
        Action::SetField(set) => !is_outer(set.field),
        Action::Move { src, dst, .. } => !is_outer(src.field) || !is_outer(dst.field),
        Action::Learn(learn) => {
            let src = |spec: &LearnSpec| matches!(&spec.src, LearnSrc::Field(src) if !is_outer(src.field));
            learn.specs.iter().any(src)
        }
        Action::StackPush(sub) | Action::StackPop(sub) | Action::OutputReg { src: sub, .. } => {
            !is_outer(sub.field)
        }
        Action::SetIpv4Src(_)
        | Action::SetIpv4Dst(_)
        | Action::SetIpDscp(_)
        | Action::SetIpEcn(_)
        | Action::SetIpTtl(_)
        | Action::SetL4Src(_)
        | Action::SetL4Dst(_)
        | Action::DecTtl(_)
        | Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::SetMplsLabel(_)
        | Action::SetMplsTc(_)
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl
        | Action::Clone(_) => true,
        _ => false,
    }
}
