//! `ct()`: what goes to the connection tracker, and what comes back from it.
//!
//! The datapath's tracker decides in the middle of a list of actions, so what depends on its answer is another translation: a *fork* of
//! the packet goes round and on in the table that `ct()` names. The packet itself goes on here, untracked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use conntrack::request::{Helper, Nat, NatChoice, NatRange, NatSide, Request};
use datapath::action::{Action as DpAction, DropReason};
use openflow::Action;
use openflow::action::{self, Ct, CtZone, NatFlags};
use packet::key::DP_WORDS;
use packet::parse::ip_proto;

use super::Xlate;
use super::trace::{Kind, Round, Tracking};
use crate::context::{Frozen, Step};

/// Ports of the control channels that helpers follow.
const FTP: u16 = 21;
const TFTP: u16 = 69;

/// What a `ct()` asks to be done on the connection: values and masks.
#[derive(Default)]
struct OnConnection {
    mark: Option<(u32, u32)>,
    label: Option<(u128, u128)>,
    nat: Option<Nat>,
}

impl Xlate<'_> {
    pub(super) fn ct(&mut self, ct: &Ct) {
        self.commit();
        let zone = match ct.zone {
            CtZone::Number(zone) => zone,
            CtZone::Field(field) => self.read(field) as u16,
        };
        let OnConnection { mark, label, nat } = self.on_connection(&ct.actions);
        let tracking = Tracking { zone, nat: nat.clone() };
        let request = Request {
            zone,
            commit: ct.commit,
            force: ct.force,
            mark,
            label,
            nat,
            helper: match ct.alg {
                FTP => Some(Helper::Ftp),
                TFTP => Some(Helper::Tftp),
                _ => None,
            },
            timeout_policy: self.timeout_policy(zone, ct.commit),
        };
        self.actions.push(DpAction::Ct(Box::new(request)));
        if let Some(table) = ct.recirc_table {
            self.fork(table, tracking);
        }
        self.clear_ct();
        self.conntracked = false;
        self.note(Kind::Detail, || {
            "Sets the packet to an untracked state, and clears all the conntrack fields.".into()
        });
    }

    /// The timeout policy of connections of this packet's protocol that are committed in this zone.
    fn timeout_policy(&mut self, zone: u16, commit: bool) -> Option<u32> {
        if !commit {
            return None;
        }
        self.depends_on(self.core.zones_slot());
        let policy = *self.state.zones.get(&zone)?;
        self.mask.0.nw_proto = 0xff;
        matches!(self.flow.nw_proto, ip_proto::TCP | ip_proto::UDP | ip_proto::ICMP | ip_proto::ICMPV6)
            .then_some(policy)
    }

    /// What is to be done on the connection: bits for its mark and label, and translation. The actions write to the key, and note which
    /// bits; what else they look at is looked at as elsewhere.
    fn on_connection(&mut self, list: &[Action]) -> OnConnection {
        if list.is_empty() {
            self.note(Kind::Action, || "drop".into());
            return OnConnection::default();
        }
        self.on_connection = Some((0, 0));
        self.actions(list);
        let (mark, label) = self.on_connection.take().unwrap_or_default();
        OnConnection {
            mark: (mark != 0).then(|| (self.flow.ct_mark.get() & mark, mark)),
            label: (label != 0).then(|| (u128::from_be_bytes(self.flow.ct_label) & label, label)),
            nat: self.nat.take(),
        }
    }

    /// Makes the packet untracked, in the datapath as well if it is tracked there.
    pub(super) fn ct_clear(&mut self) {
        if self.conntracked {
            self.actions.push(DpAction::CtClear);
            self.conntracked = false;
        }
        self.clear_ct();
    }

    /// From here on the key is that of an untracked packet.
    pub(super) fn clear_ct(&mut self) {
        for key in [&mut self.flow, &mut self.base] {
            datapath::action::clear_ct(key);
        }
    }

    /// Notes what the connection's addresses are to be translated to; `ct()` takes it from there.
    pub(super) fn nat(&mut self, nat: &action::Nat) {
        self.nat = Some(nat_of(nat, self.flow.eth_type.get() == super::ETH_IPV6));
    }

    /// Sends the packet, as it now is, round, to go on in a table.
    fn fork(&mut self, table: u8, tracking: Tracking) {
        let mut pipeline = [0; packet::key::WORDS - DP_WORDS];
        pipeline.copy_from_slice(&self.flow.words()[DP_WORDS..]);
        let frozen = Frozen {
            bridge: self.bridge.id,
            table,
            in_port: self.in_port(),
            pipeline,
            stack: self.stack.clone(),
            action_set: self.action_set.clone(),
            steps: vec![Step::Table(table)],
            conntracked: true,
        };
        self.recirculate(frozen, Some(tracking));
        self.note(Kind::Detail, || {
            format!("A clone of the packet is forked to recirculate. The forked pipeline will be resumed at table {table}.")
        });
    }

    /// Adds a recirculation to what is frozen. A trace follows it if it went through the connection tracker, as in Open vSwitch.
    pub(super) fn recirculate(&mut self, frozen: Frozen, tracking: Option<Tracking>) {
        match self.core.contexts.frozen.intern(frozen) {
            Some(node) => {
                self.actions.push(DpAction::Recirc(node.id));
                if let (Some(tracer), Some(tracking)) = (&mut self.tracer, tracking) {
                    tracer.rounds.push(Round { id: node.id, flow: self.flow, tracking });
                }
                self.ledger.held.push(node);
            }
            None => self.fail(DropReason::NoRecircContext, || "too many recirculation contexts".into()),
        }
    }
}

/// A range that is open at its end is that one value.
fn closed<T: Copy>(range: &action::CtRange<T>) -> (T, T) {
    (range.min, range.max.unwrap_or(range.min))
}

fn nat_of(nat: &action::Nat, ipv6: bool) -> Nat {
    let flags = nat.flags;
    let side = match () {
        () if flags.has(NatFlags::SRC) => NatSide::Src,
        () if flags.has(NatFlags::DST) => NatSide::Dst,
        () => return Nat::Known,
    };
    // An all-zero range of the packet's family: only what collides is translated.
    let addrs = nat.range.addr.as_ref().map(closed).filter(|(first, last)| {
        let none: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        (*first, *last) != (none, none)
    });
    let choice = match () {
        () if flags.has(NatFlags::RANDOM) => NatChoice::Random,
        () if flags.has(NatFlags::HASH) => NatChoice::Hash,
        () => NatChoice::Default,
    };
    let persistent = flags.has(NatFlags::PERSISTENT);
    Nat::Translate(NatRange { side, addrs, ports: nat.range.ports.as_ref().map(closed), choice, persistent })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Rig, SECOND, ipv4, output, set};
    use datapath::action::PortNo;
    use openflow::action::{NatFlags, Resubmit};
    use openflow::{FieldId, Instructions, Match, OfPort, SubField};

    use super::*;

    fn ct(actions: Vec<Action>) -> Action {
        let commit = true;
        Action::Ct(Box::new(Ct { commit, zone: CtZone::Number(1), actions, ..Ct::default() }))
    }

    fn snat() -> Action {
        let addr = Some(action::CtRange { min: Ipv4Addr::new(9, 9, 9, 9).into(), max: None });
        let range = action::NatRange { addr, ports: None };
        ct(vec![Action::Nat(action::Nat { flags: NatFlags(NatFlags::SRC), range })])
    }

    fn move_field(src: FieldId, dst: FieldId, n_bits: u16) -> Action {
        let sub = |field| SubField { field, ofs: 0, n_bits };
        Action::Move { src: sub(src), dst: sub(dst), onf: false }
    }

    #[test]
    fn what_is_read_for_the_connection_is_looked_at_and_not_written() {
        let rig = Rig::new();
        let Action::SetField(bits) = set(FieldId::CtLabel, 0) else { panic!() };
        let bits = Action::SetField(action::SetField { mask: 0xf00, ..bits });
        let actions = vec![move_field(FieldId::CtMark, FieldId::CtLabel, 8), bits];
        rig.add(0, 1, Match::any(), Instructions::apply(vec![ct(actions)]));
        let mut key = ipv4(1);
        key.ct_mark.set(0x207);
        let out = rig.translate(&key, SECOND);
        let [DpAction::Ct(request)] = &out.actions[..] else { panic!("{:?}", out.actions) };
        assert_eq!((request.mark, request.label), (None, Some((7, 0xfff))));
        assert_eq!((out.mask.0.ct_mark.get(), out.mask.0.ct_label), (0xff, [0; 16]));
    }

    #[test]
    fn whether_the_original_direction_is_known_is_looked_at() {
        let rig = Rig::new();
        let copy = move_field(FieldId::CtNwSrc, FieldId::Reg0, 32);
        rig.add(0, 1, Match::any(), Instructions::apply(vec![copy, output(2)]));
        assert_eq!(rig.translate(&ipv4(1), SECOND).mask.0.ct_state.get(), 0xb);
    }

    #[test]
    fn what_is_tracked_in_a_copy_leaves_the_packet_alone() {
        let rig = Rig::new();
        let resubmit = Action::Resubmit(Resubmit {
            port: OfPort::IN_PORT,
            table: 5,
            with_ct_orig: false,
            explicit: true,
        });
        rig.add(5, 1, Match::any(), Instructions::apply(vec![snat()]));
        rig.add(
            0,
            1,
            Match::any(),
            Instructions::apply(vec![Action::Clone(vec![resubmit.clone()]), output(2)]),
        );
        let out = rig.translate(&ipv4(1), SECOND).actions;
        let [DpAction::Clone(inner), DpAction::Output(PortNo(12))] = &out[..] else { panic!("{out:?}") };
        assert!(matches!(inner[..], [DpAction::Ct(_)]));
        // Nothing comes after it: no copy is needed.
        rig.add(0, 1, Match::any(), Instructions::apply(vec![output(2), Action::Clone(vec![resubmit])]));
        let out = rig.translate(&ipv4(1), SECOND).actions;
        assert!(matches!(out[..], [DpAction::Output(PortNo(12)), DpAction::Ct(_)]), "{out:?}");
    }

    #[test]
    fn what_is_tracked_in_another_bridge_leaves_the_packet_alone() {
        let rig = Rig::new();
        let (here, other) = rig.patched();
        rig.add(0, 1, Match::any(), Instructions::apply(vec![output(here.0), output(2)]));
        let fm = openflow::FlowMod { instructions: Instructions::apply(vec![snat()]), ..Default::default() };
        other.flow_mods([&fm], SECOND).unwrap();
        let out = rig.translate(&ipv4(1), SECOND).actions;
        assert!(matches!(out[..], [DpAction::Clone(_), DpAction::Output(PortNo(12))]), "{out:?}");
    }
}
