//! What actions can only be judged by with the flow at hand: prerequisites that the match must meet, ports and tables that can be.
//!
//! A walk over the actions keeps a copy of the match as it stands after each: a pushed tag is there for what follows.
//! OpenFlow 1.0 lets a flow set fields that its match does not promise; later versions refuse that, and Nicira's actions
//! are strict in every version.

use crate::action::{Action, Ct, CtZone, Instructions, L4Port, LearnDst, LearnSrc, Nat};
use crate::field::{Prereq, SubField};
use crate::{FieldId, Match, OfError, OfPort, Version};

/// What a flow is checked against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckParams {
    /// The version that the message came in.
    pub version: Version,
    /// Ports from here on, but for reserved ones, do not exist; 0xff00 for no limit.
    pub max_ports: u16,
    /// The flow's table; `None` when it is not known.
    pub table_id: Option<u8>,
    /// How many tables there are; 255 for no limit.
    pub n_tables: u8,
}

/// The highest id of a meter.
const METER_MAX: u32 = 0xffff_0000;
const PRESENT: u16 = packet::key::VLAN_PRESENT;

/// Checks the instructions of a flow with this match. What later encoding needs to know of the match is noted in the actions.
pub fn check(instructions: &mut Instructions, m: &Match, params: &CheckParams) -> Result<(), OfError> {
    let mut walk = Walk { m: *m, params: *params, loose: false, inconsistent: false };
    check_connection(m)?;
    if let Some(id) = instructions.meter {
        check_meter(id)?;
    }
    walk.list(&mut instructions.apply)?;
    if let Some(write) = &mut instructions.write {
        let mut inner = Walk { loose: true, ..walk.clone() };
        inner.list(write)?;
    }
    if let Some(table) = instructions.goto_table {
        check_goto(table, params)?;
    }
    walk.verdict()
}

/// Checks a list of actions outside a flow: a packet-out's or a bucket's.
pub fn check_list(actions: &mut [Action], m: &Match, params: &CheckParams) -> Result<(), OfError> {
    let mut walk = Walk { m: *m, params: *params, loose: false, inconsistent: false };
    walk.list(actions)?;
    walk.verdict()
}

/// The addresses of a connection's original direction need an EtherType beside them.
fn check_connection(m: &Match) -> Result<(), OfError> {
    let is_matched = |fields: [FieldId; 2]| fields.into_iter().any(|field| !m.is_wild(field));
    let v4 = is_matched([FieldId::CtNwSrc, FieldId::CtNwDst]) && !Prereq::Ipv4.holds(&m.key);
    let v6 = is_matched([FieldId::CtIpv6Src, FieldId::CtIpv6Dst]) && !Prereq::Ipv6.holds(&m.key);
    if v4 || v6 { Err(OfError::OFPBAC_MATCH_INCONSISTENT) } else { Ok(()) }
}

fn check_meter(id: u32) -> Result<(), OfError> {
    if id == 0 || id > METER_MAX { Err(OfError::OFPMMFC_INVALID_METER) } else { Ok(()) }
}

fn check_goto(table: u8, params: &CheckParams) -> Result<(), OfError> {
    let back = params.table_id.is_some_and(|from| table <= from);
    let beyond = params.n_tables != 255 && table >= params.n_tables;
    if back || beyond { Err(OfError::OFPBIC_BAD_TABLE_ID) } else { Ok(()) }
}

/// The walk over a list.
#[derive(Clone)]
struct Walk {
    /// The match as it stands.
    m: Match,
    params: CheckParams,
    /// Whether missing prerequisites of plain actions do not matter: an action set runs who knows when.
    loose: bool,
    /// Whether a plain action was met that only 1.0 allows.
    inconsistent: bool,
}

impl Walk {
    fn verdict(&self) -> Result<(), OfError> {
        let refused = self.inconsistent && !self.loose && self.params.version > Version::V10;
        if refused { Err(OfError::OFPBAC_MATCH_INCONSISTENT) } else { Ok(()) }
    }

    fn list(&mut self, actions: &mut [Action]) -> Result<(), OfError> {
        actions.iter_mut().try_for_each(|action| self.one(action))
    }

    /// Notes that only 1.0 allows an action unless `ok`.
    fn expect(&mut self, ok: bool) {
        self.inconsistent |= !ok;
    }

    fn holds(&self, prereq: Prereq) -> bool {
        prereq.holds(&self.m.key)
    }

    fn one(&mut self, action: &mut Action) -> Result<(), OfError> {
        match action {
            Action::Output { port, .. } => self.output(*port),
            Action::OutputReg { src, .. } | Action::StackPush(src) => self.part(src),
            Action::Enqueue { port, .. } => self.enqueue(*port),
            Action::Bundle(bundle) => {
                bundle.members.iter().try_for_each(|port| self.member(*port))?;
                bundle.dst.iter().try_for_each(|dst| self.part(dst))
            }
            Action::SetField(set) => self.set_field(set.field, set.value),
            Action::Move { src, dst, .. } => {
                self.part(src)?;
                self.part(dst)
            }
            Action::StackPop(dst) | Action::CheckPktLarger { dst, .. } => self.part(dst),
            Action::Multipath(multipath) => self.part(&multipath.dst),
            Action::Resubmit(resubmit) if resubmit.with_ct_orig && !self.holds(Prereq::Ct) => {
                Err(OfError::OFPBAC_MATCH_INCONSISTENT)
            }
            Action::Clone(actions) => {
                let mut inner = self.clone();
                inner.list(actions)?;
                self.inconsistent |= inner.inconsistent;
                Ok(())
            }
            Action::Ct(ct) => self.ct(ct),
            Action::Nat(nat) => self.nat(nat),
            Action::Learn(learn) => self.learn(learn),
            Action::Meter(id) => check_meter(*id),
            _ => self.header(action),
        }
    }

    /// Plain actions on headers: they note what they miss, and change what follows.
    fn header(&mut self, action: &mut Action) -> Result<(), OfError> {
        match action {
            Action::SetVlanVid { push_if_needed, flow_has_vlan, .. }
            | Action::SetVlanPcp { push_if_needed, flow_has_vlan, .. } => {
                *flow_has_vlan = self.tci() & PRESENT != 0;
                let ok = *flow_has_vlan || *push_if_needed;
                self.expect(ok);
                self.set_tci(self.tci() | PRESENT);
            }
            Action::StripVlan | Action::PopVlan => {
                self.expect(self.tci() & PRESENT != 0);
                self.pop_vlan();
            }
            Action::PushVlan(_) => return self.push_vlan(),
            Action::SetIpv4Src(_) | Action::SetIpv4Dst(_) => self.expect(self.holds(Prereq::Ipv4)),
            Action::SetIpDscp(_) | Action::SetIpEcn(_) | Action::SetIpTtl(_) | Action::DecTtl(_) => {
                self.expect(self.holds(Prereq::Ip));
            }
            Action::SetL4Src(l4) | Action::SetL4Dst(l4) => self.l4(l4),
            Action::SetMplsLabel(_) | Action::SetMplsTc(_) | Action::SetMplsTtl(_) | Action::DecMplsTtl => {
                self.expect(self.holds(Prereq::Mpls));
            }
            Action::PushMpls(ethertype) => {
                self.expect(self.holds(Prereq::Ethernet));
                self.m.key.eth_type.set(*ethertype);
                self.m.key.nw_proto = 0;
            }
            Action::PopMpls(ethertype) => {
                self.expect(self.holds(Prereq::Ethernet) && self.holds(Prereq::Mpls));
                self.m.key.eth_type.set(*ethertype);
            }
            Action::FinTimeout { .. } => self.expect(self.m.key.nw_proto == 6),
            _ => {}
        }
        Ok(())
    }

    fn output(&self, port: OfPort) -> Result<(), OfError> {
        let named = [
            OfPort::IN_PORT,
            OfPort::TABLE,
            OfPort::NORMAL,
            OfPort::FLOOD,
            OfPort::ALL,
            OfPort::CONTROLLER,
            OfPort::LOCAL,
        ];
        let ok = named.contains(&port) || port.to_u16() < self.params.max_ports;
        if ok { Ok(()) } else { Err(OfError::OFPBAC_BAD_OUT_PORT) }
    }

    fn enqueue(&self, port: OfPort) -> Result<(), OfError> {
        let ok = port.to_u16() < self.params.max_ports || port == OfPort::IN_PORT || port == OfPort::LOCAL;
        if ok { Ok(()) } else { Err(OfError::OFPBAC_BAD_OUT_PORT) }
    }

    fn member(&self, port: OfPort) -> Result<(), OfError> {
        if port == OfPort::NONE { Ok(()) } else { self.output(port) }
    }

    /// Bits of a field that Nicira's actions read or write.
    fn part(&self, part: &SubField) -> Result<(), OfError> {
        match part.field.info().prereq.holds(&self.m.key) {
            true => Ok(()),
            false => Err(OfError::OFPBAC_MATCH_INCONSISTENT),
        }
    }

    fn set_field(&mut self, field: FieldId, value: u128) -> Result<(), OfError> {
        let has_tag = self.tci() & PRESENT != 0;
        if !self.holds(field.info().prereq) || field == FieldId::VlanVid && !has_tag {
            return Err(OfError::OFPBAC_MATCH_INCONSISTENT);
        }
        if field == FieldId::VlanTci {
            self.set_tci(value as u16);
        }
        Ok(())
    }

    fn l4(&mut self, l4: &mut L4Port) {
        let ok = [Prereq::Tcp, Prereq::Udp, Prereq::Sctp].into_iter().any(|p| self.holds(p));
        self.expect(ok);
        l4.proto = self.m.key.nw_proto;
    }

    fn ct(&mut self, ct: &mut Ct) -> Result<(), OfError> {
        let proto = self.m.key.nw_proto;
        let invalid = self.m.key.ct_state.get() & 0x10 != 0;
        let ok = self.holds(Prereq::Ip)
            && !(invalid && ct.commit)
            && (ct.alg != 21 || proto == 6)
            && (ct.alg != 69 || proto == 17);
        if !ok {
            return Err(OfError::OFPBAC_MATCH_INCONSISTENT);
        }
        if let CtZone::Field(src) = &ct.zone {
            self.part(src)?;
        }
        self.list(&mut ct.actions)
    }

    fn nat(&self, nat: &Nat) -> Result<(), OfError> {
        let family = nat.range.addr.map(|addr| addr.min.is_ipv4());
        let ok = match family {
            Some(true) => self.holds(Prereq::Ipv4),
            Some(false) => self.holds(Prereq::Ipv6),
            None => self.holds(Prereq::Ip),
        };
        if ok { Ok(()) } else { Err(OfError::OFPBAC_MATCH_INCONSISTENT) }
    }

    /// What is read must be there now; what the new flow matches and loads must fit together in it.
    fn learn(&self, learn: &super::Learn) -> Result<(), OfError> {
        let mut new = Match::any();
        for spec in &learn.specs {
            if let LearnSrc::Field(src) = &spec.src {
                self.part(src)?;
            }
            let (LearnDst::Match(dst) | LearnDst::Load(dst)) = &spec.dst else { continue };
            if !dst.field.info().prereqs_ok(&new) {
                return Err(OfError::OFPBAC_MATCH_INCONSISTENT);
            }
            if let (LearnDst::Match(dst), LearnSrc::Immediate(value)) = (&spec.dst, &spec.src) {
                dst.set(&mut new.mask.0, u128::MAX);
                dst.set(&mut new.key, *value);
            }
        }
        learn.result_dst.iter().try_for_each(|dst| self.part(dst))
    }

    fn tci(&self) -> u16 {
        self.m.key.vlan[0].tci.get()
    }

    fn set_tci(&mut self, tci: u16) {
        self.m.key.vlan[0].tci.set(tci);
    }

    fn pop_vlan(&mut self) {
        self.m.key.vlan[0] = self.m.key.vlan[1];
        self.m.key.vlan[1] = packet::key::VlanTag::default();
    }

    fn push_vlan(&mut self) -> Result<(), OfError> {
        if self.m.key.vlan[1].tci.get() & PRESENT != 0 {
            return Err(OfError::OFPBAC_BAD_TAG);
        }
        self.m.key.vlan[1] = self.m.key.vlan[0];
        self.set_tci(PRESENT);
        Ok(())
    }
}
