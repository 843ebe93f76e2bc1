//! Translation in small: one bridge, a few rules. That a mask is never too wide is tried at random; what the daemon says to
//! whole scenarios is in `tests/trace`.

use std::sync::Arc;

use datapath::action::{Action as Dp, DropReason, PortNo};
use datapath::owner::{Hits, Miss, Owner, Translation};
use datapath::stamps::Stamps;
use openflow::action::{SetField, SetForm};
use openflow::{Action, FieldId, FlowMod, FlowModCommand, Instructions, Match, OfPort};
use packet::FlowKey;
use packet::key::VLAN_PRESENT;
use proptest::prelude::*;

use crate::config::{Attachment, BridgeConfig, InterfaceConfig, PortConfig, VlanMode};
use crate::{Bridge, Filter, Switch};

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) struct Rig {
    pub(super) switch: Switch,
    pub(super) bridge: Arc<Bridge>,
}

impl Rig {
    /// A bridge with ports 1 to 4, which are 11 to 14 in the datapath; the last is an access port of VLAN 7.
    pub(super) fn new() -> Self {
        let switch = Switch::new(Arc::new(Stamps::default()), 5);
        let bridge = switch.add_bridge("br0", BridgeConfig::default()).unwrap();
        for n in 1..=4 {
            let name = format!("p{n}");
            let attachment = Attachment::Datapath(PortNo(10 + n));
            let interface = InterfaceConfig {
                name: name.clone(),
                attachment,
                local: false,
                ofport_request: None,
                hw_addr: [0; 6],
            };
            let port = bridge.add_interface(&interface, 0).unwrap();
            let vlan_mode = if n == 4 { VlanMode::Access } else { VlanMode::Trunk };
            bridge.set_port(PortConfig {
                name,
                members: vec![port],
                vlan_mode,
                tag: 7,
                ..PortConfig::default()
            });
        }
        Self { switch, bridge }
    }

    pub(super) fn add(&self, table: u8, priority: u16, m: Match, instructions: Instructions) {
        let fm =
            FlowMod { table_id: Some(table), priority, flow_match: m, instructions, ..FlowMod::default() };
        self.bridge.flow_mods([&fm], SECOND).unwrap();
    }

    /// A second bridge behind a patch port of the first: that port, the bridge.
    pub(super) fn patched(&self) -> (OfPort, Arc<Bridge>) {
        let other = self.switch.add_bridge("br1", BridgeConfig::default()).unwrap();
        let patch = |bridge: &Bridge, name: &str, peer: &str| {
            let (name, attachment) = (name.into(), Attachment::Patch(peer.into()));
            let config =
                InterfaceConfig { name, attachment, local: false, ofport_request: None, hw_addr: [0; 6] };
            bridge.add_interface(&config, 0).unwrap()
        };
        patch(&other, "b", "a");
        (patch(&self.bridge, "a", "b"), other)
    }

    pub(super) fn translate(&self, key: &FlowKey, now_ns: u64) -> Translation {
        self.translate_miss(Miss { key, frame: &[0; 60], version: self.bridge.version(), now_ns, dry: false })
    }

    /// Translates again without a packet.
    pub(super) fn look_again(&self, key: &FlowKey, now_ns: u64) -> Translation {
        self.translate_miss(Miss { key, frame: &[], version: self.bridge.version(), now_ns, dry: true })
    }

    fn translate_miss(&self, miss: Miss<'_>) -> Translation {
        let mut out = Translation::default();
        self.switch.translate(&miss, &mut out);
        out
    }
}

pub(super) fn output(port: u32) -> Action {
    Action::Output { port: OfPort(port), max_len: 0 }
}

pub(super) fn set(field: FieldId, value: u128) -> Action {
    Action::SetField(SetField { field, value, mask: field.info().exact(), form: SetForm::SetField })
}

pub(super) fn ipv4(in_port: u32) -> FlowKey {
    let mut key = FlowKey { nw_proto: 6, nw_ttl: 64, eth_src: [2, 0, 0, 0, 0, 1], ..FlowKey::default() };
    key.in_port.set(10 + in_port);
    key.eth_type.set(0x0800);
    key
}

#[test]
fn without_a_rule_everything_is_dropped() {
    let rig = Rig::new();
    let out = rig.translate(&ipv4(1), SECOND);
    assert_eq!(out.actions, []);
    let mut stranger = ipv4(1);
    stranger.in_port.set(99);
    assert_eq!(rig.translate(&stranger, SECOND).actions, [Dp::Drop(DropReason::NoBridge)]);
}

#[test]
fn normal_learns_once_and_then_forwards() {
    let rig = Rig::new();
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(OfPort::NORMAL.0)]));
    let before = rig.bridge.version();
    let flood = rig.translate(&ipv4(1), SECOND);
    assert_eq!(flood.actions.len(), 2, "{:?}", flood.actions);
    assert!(rig.switch.core.stamps.changed_since(before, &flood.depends), "learning announces itself");
    let mut back = ipv4(2);
    (back.eth_dst, back.eth_src) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let known = rig.translate(&back, SECOND);
    assert_eq!(known.actions, [Dp::Output(PortNo(11))]);
    let version = rig.bridge.version();
    rig.translate(&back, 2 * SECOND);
    assert_eq!(rig.bridge.version(), version, "what is known changes nothing");
    rig.switch.run(400 * SECOND);
    assert!(rig.switch.core.stamps.changed_since(version, &known.depends), "ageing announces itself");
    assert_eq!(rig.bridge.mac_rows(400 * SECOND), []);
}

#[test]
fn a_change_of_rules_is_seen_from_its_version_on() {
    let rig = Rig::new();
    let old = rig.bridge.version();
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(2)]));
    let mut out = Translation::default();
    let key = ipv4(1);
    rig.switch.translate(&Miss { key: &key, frame: &[], version: old, now_ns: SECOND, dry: true }, &mut out);
    assert_eq!(out.actions, []);
    assert!(rig.switch.core.stamps.changed_since(old, &out.depends));
    assert_eq!(rig.translate(&key, SECOND).actions, [Dp::Output(PortNo(12))]);
}

#[test]
fn rules_count_and_expire() {
    let rig = Rig::new();
    let fm = FlowMod {
        instructions: Instructions::apply(vec![output(2)]),
        idle_timeout: 10,
        hard_timeout: 60,
        ..FlowMod::default()
    };
    rig.bridge.flow_mods([&fm], SECOND).unwrap();
    let out = rig.translate(&ipv4(1), 5 * SECOND);
    out.credit.unwrap().count(Hits { packets: 1, bytes: 60 }, 0, 5 * SECOND);
    let rule = rig.bridge.select(&Filter::default()).pop_front().unwrap();
    assert_eq!((rule.totals().hits.packets, rule.used_ns()), (1, 5 * SECOND));
    assert_eq!(rig.bridge.table_stats(0).matches, 1);
    rig.switch.run(14 * SECOND);
    assert_eq!(rig.bridge.flow_count(), 1);
    rig.switch.run(15 * SECOND);
    assert_eq!(rig.bridge.flow_count(), 0);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let rig = Rig::new();
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(2)]));
    let delete = FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() };
    let bad = FlowMod { instructions: Instructions::apply(vec![Action::Group(1)]), ..FlowMod::default() };
    let version = rig.bridge.version();
    assert_eq!(rig.bridge.flow_mods([&delete, &bad], SECOND).unwrap_err().0, 1);
    assert_eq!((rig.bridge.version(), rig.bridge.flow_count()), (version, 1));
    assert_eq!(rig.translate(&ipv4(1), SECOND).actions, [Dp::Output(PortNo(12))]);
    rig.bridge.flow_mods([&delete, &FlowMod::default()], SECOND).unwrap();
    assert_eq!(rig.bridge.version(), version + 1);
    assert_eq!(rig.bridge.flow_count(), 1);
    assert_eq!(rig.translate(&ipv4(1), SECOND).actions, []);
}

#[test]
fn closed_ports_neither_take_nor_give() {
    use crate::port::PortFlags;
    let rig = Rig::new();
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(OfPort::FLOOD.0), output(2)]));
    let out = |rig: &Rig| rig.translate(&ipv4(1), SECOND).actions;
    let to = |ports: &[u32]| ports.iter().map(|n| Dp::Output(PortNo(*n))).collect::<Vec<_>>();
    let ports = |actions: Vec<Dp>| {
        let mut actions: Vec<_> = actions.into_iter().map(|action| format!("{action:?}")).collect();
        actions.sort();
        actions
    };
    let expect = |n: &[u32]| ports(to(n));
    assert_eq!(ports(out(&rig)), expect(&[12, 12, 13, 14]));
    let set =
        |n, flags| rig.bridge.port_mod(OfPort(n), [0; 6], flags, PortFlags::all()).map(|port| port.flags);
    assert_eq!(set(3, PortFlags::NO_FLOOD), Ok(PortFlags::NO_FLOOD));
    assert_eq!(ports(out(&rig)), expect(&[12, 12, 14]));
    set(2, PortFlags::NO_FWD).unwrap();
    assert_eq!(ports(out(&rig)), expect(&[14]));
    set(1, PortFlags::NO_RECV).unwrap();
    assert_eq!(out(&rig), [Dp::Drop(DropReason::ForwardingDisabled)]);
    assert!(rig.bridge.port_mod(OfPort(9), [0; 6], PortFlags::empty(), PortFlags::all()).is_err());
    assert!(rig.bridge.port_mod(OfPort(1), [1; 6], PortFlags::empty(), PortFlags::all()).is_err());
}

#[test]
fn misses_go_to_old_controllers_with_what_is_known() {
    use crate::events::{Event, PacketInReason};
    let rig = Rig::new();
    rig.bridge.set_packet_in_on_miss(true);
    while rig.bridge.events().pop().is_some() {}
    let out = rig.translate(&ipv4(1), SECOND);
    let [Dp::Punt(cookie)] = out.actions[..] else { panic!("{:?}", out.actions) };
    rig.switch.punt(cookie, &ipv4(1), &[7; 60]);
    let Some(Event::PacketIn(packet)) = rig.bridge.events().pop() else { panic!() };
    assert_eq!((packet.reason, packet.table, packet.key.in_port.get()), (PacketInReason::ImplicitMiss, 0, 1));
    assert_eq!((packet.frame.len(), packet.cookie), (60, 0));
    drop(out);
    rig.switch.punt(cookie, &ipv4(1), &[7; 60]);
    assert!(rig.bridge.events().pop().is_none(), "a context goes with the last flow that names it");
}

#[test]
fn a_popped_label_sends_the_packet_round() {
    let rig = Rig::new();
    let dec = Action::DecTtl(openflow::action::DecTtl { ids: vec![0], explicit: false });
    rig.add(0, 1, Match::any(), Instructions::apply(vec![Action::PopMpls(0x0800), dec, output(2)]));
    let mut labelled = ipv4(1);
    labelled.eth_type.set(0x8847);
    labelled.mpls_lse[0].set(0x5140);
    let first = rig.translate(&labelled, SECOND);
    let [Dp::PopMpls { ethertype: 0x0800 }, Dp::Recirc(id)] = first.actions[..] else {
        panic!("{:?}", first.actions)
    };
    let mut again = ipv4(1);
    again.recirc_id.set(id);
    let second = rig.translate(&again, SECOND);
    let [Dp::Set(set), Dp::Output(PortNo(12))] = &second.actions[..] else { panic!("{:?}", second.actions) };
    assert_eq!(set.key.nw_ttl, 63);
    drop((first, second));
    assert_eq!(rig.translate(&again, SECOND).actions, [Dp::Drop(DropReason::NoRecircContext)]);
}

#[test]
fn patches_lead_into_the_other_bridge_and_back() {
    let rig = Rig::new();
    let other = rig.switch.add_bridge("br1", BridgeConfig::default()).unwrap();
    let patch = |bridge: &Bridge, name: &str, peer: &str| {
        let attachment = Attachment::Patch(peer.into());
        let config = InterfaceConfig {
            name: name.into(),
            attachment,
            local: false,
            ofport_request: None,
            hw_addr: [0; 6],
        };
        bridge.add_interface(&config, 0).unwrap()
    };
    let here = patch(&rig.bridge, "a", "b");
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(here.0), output(2)]));
    assert_eq!(rig.translate(&ipv4(1), SECOND).actions, [Dp::Output(PortNo(12))], "the peer is not there");
    let before = rig.bridge.version();
    let depends = rig.translate(&ipv4(1), SECOND).depends;
    let there = patch(&other, "b", "a");
    assert!(rig.switch.core.stamps.changed_since(before, &depends));
    let back = Instructions::apply(vec![Action::SetIpTtl(9), output(OfPort::IN_PORT.0)]);
    let fm = FlowMod { instructions: back, ..FlowMod::default() };
    other.flow_mods([&fm], SECOND).unwrap();
    let mut from_patch = Match::any();
    from_patch.set_in_port(here);
    rig.add(0, 9, from_patch, Instructions::apply(vec![output(3)]));
    let out = rig.translate(&ipv4(1), SECOND);
    let [Dp::Set(_), Dp::Output(PortNo(13)), Dp::Set(undo), Dp::Output(PortNo(12))] = &out.actions[..] else {
        panic!("{:?}", out.actions)
    };
    assert_eq!(undo.key.nw_ttl, 64);
    out.credit.unwrap().count(Hits { packets: 1, bytes: 60 }, 0, SECOND);
    let port = other.port(there).unwrap();
    assert_eq!((port.rx.totals().hits.packets, port.tx.totals().hits.packets), (1, 1));
}

#[test]
fn fragments_by_mode() {
    let rig = Rig::new();
    let mut web = Match::any();
    web.set(FieldId::EthType, 0x0800);
    web.set(FieldId::NwProto, 6);
    web.set(FieldId::TcpDst, 80);
    rig.add(0, 9, web, Instructions::apply(vec![output(2)]));
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(3)]));
    let mut first = ipv4(1);
    first.nw_frag = 1;
    first.tp_dst.set(80);
    let under = |mode| {
        rig.bridge.set_frag_mode(mode);
        rig.translate(&first, SECOND).actions
    };
    assert_eq!(under(crate::FragMode::Normal), [Dp::Output(PortNo(13))]);
    assert_eq!(under(crate::FragMode::NxMatch), [Dp::Output(PortNo(12))]);
    assert_eq!(under(crate::FragMode::Drop), [Dp::Drop(DropReason::Fragment)]);
}

#[test]
fn loops_end() {
    let rig = Rig::new();
    let again = Action::Resubmit(openflow::action::Resubmit {
        port: OfPort::IN_PORT,
        table: 0,
        with_ct_orig: false,
        explicit: true,
    });
    rig.add(0, 1, Match::any(), Instructions::apply(vec![output(2), again]));
    assert_eq!(rig.translate(&ipv4(1), SECOND).actions, [Dp::Drop(DropReason::RecursionTooDeep)]);
}

#[test]
fn tables_have_limits_and_evict() {
    use crate::config::TableConfig;
    use openflow::OfError;
    let rig = Rig::new();
    let mut config = rig.bridge.config();
    config.tables.insert(0, TableConfig { flow_limit: Some(2), ..TableConfig::default() });
    rig.bridge.configure(config.clone());
    let flow = |port: u32, hard_timeout: u16| {
        let mut m = Match::any();
        m.set_in_port(OfPort(port));
        FlowMod { flow_match: m, hard_timeout, ..FlowMod::default() }
    };
    rig.bridge.flow_mods([&flow(1, 0), &flow(2, 90)], SECOND).unwrap();
    assert_eq!(rig.bridge.flow_mods([&flow(3, 0)], SECOND), Err((0, OfError::OFPFMFC_TABLE_FULL)));
    rig.bridge.flow_mods([&flow(1, 0)], SECOND).unwrap();
    config.tables.insert(0, TableConfig { flow_limit: Some(2), evict: true, ..TableConfig::default() });
    rig.bridge.configure(config);
    rig.bridge.flow_mods([&flow(3, 0)], SECOND).unwrap();
    let left: Vec<_> =
        rig.bridge.select(&Filter::default()).iter().map(|r| r.flow_match().in_port()).collect();
    assert_eq!(left, [Some(OfPort(1)), Some(OfPort(3))]);
}

#[test]
fn flow_mods_find_what_they_are_about() {
    let rig = Rig::new();
    let mut narrow = Match::any();
    narrow.set(FieldId::EthType, 0x0800);
    narrow.set(FieldId::NwProto, 6);
    let mut wide = Match::any();
    wide.set(FieldId::EthType, 0x0800);
    rig.add(0, 5, narrow, Instructions::apply(vec![output(2)]));
    rig.add(1, 5, wide, Instructions::apply(vec![output(3)]));
    let count = |filter: &Filter| rig.bridge.select(filter).len();
    assert_eq!(count(&Filter { within: wide, ..Filter::default() }), 2);
    assert_eq!(count(&Filter { within: narrow, ..Filter::default() }), 1);
    assert_eq!(count(&Filter { out_port: OfPort(3), ..Filter::default() }), 1);
    assert_eq!(count(&Filter { cookie: 1, cookie_mask: 1, ..Filter::default() }), 0);
    let modify = FlowMod {
        command: FlowModCommand::Modify,
        flow_match: wide,
        new_cookie: Some(7),
        instructions: Instructions::apply(vec![output(4)]),
        ..FlowMod::default()
    };
    rig.bridge.flow_mods([&modify], SECOND).unwrap();
    assert_eq!(count(&Filter { cookie: 7, cookie_mask: u64::MAX, ..Filter::default() }), 2);
    let strict = FlowMod {
        command: FlowModCommand::DeleteStrict,
        flow_match: wide,
        priority: 5,
        ..FlowMod::default()
    };
    rig.bridge.flow_mods([&strict], SECOND).unwrap();
    assert_eq!(rig.bridge.flow_count(), 1);
    let mut own = Match::any();
    own.set(FieldId::RecircId, 1);
    let fm = FlowMod { flow_match: own, ..FlowMod::default() };
    assert_eq!(rig.bridge.flow_mods([&fm], SECOND), Err((0, openflow::OfError::OFPBRC_EPERM)));
    let overlap = FlowMod {
        flow_match: wide,
        priority: 5,
        flags: openflow::FlowFlags::CHECK_OVERLAP,
        ..FlowMod::default()
    };
    assert_eq!(rig.bridge.flow_mods([&overlap], SECOND), Err((0, openflow::OfError::OFPFMFC_OVERLAP)));
}

fn packets() -> impl Strategy<Value = FlowKey> {
    let address = prop::sample::select(vec![0x0a00_0001u32, 0x0a00_0102, 0x0a01_0001, 0x0b00_0001]);
    let tci = prop::sample::select(vec![0u16, 0, VLAN_PRESENT | 7, VLAN_PRESENT | 5 | 0x6000, VLAN_PRESENT]);
    let ttl = prop::sample::select(vec![1u8, 2, 64]);
    let frag = prop::sample::select(vec![0u8, 0, 0, 1, 3]);
    let proto = prop::sample::select(vec![6u8, 17, 1, 99]);
    (1u32..5, prop::bool::weighted(0.8), proto, address.clone(), address, tci, ttl, (frag, 0u16..4, 0u8..4))
        .prop_map(|(port, ip, proto, src, dst, tci, ttl, (frag, tp, mac))| {
            let mut key = ipv4(port);
            key.eth_type.set(if ip { 0x0800 } else { 0x0806 });
            (key.nw_proto, key.nw_ttl, key.nw_frag) = if ip { (proto, ttl, frag) } else { (1, 0, 0) };
            key.nw_src.set(src);
            key.nw_dst.set(dst);
            key.vlan[0].tci.set(tci);
            key.vlan[0].tpid.set(if tci == 0 { 0 } else { 0x8100 });
            if ip && proto != 99 && frag != 3 {
                key.tp_src.set(tp);
                key.tp_dst.set(tp ^ 1);
            }
            (key.eth_src[5], key.eth_dst) = (mac, [2, 0, 0, 0, 0, mac ^ 1]);
            key
        })
}

fn matches() -> impl Strategy<Value = Match> {
    let one = prop_oneof![
        (1u128..5).prop_map(|v| vec![(FieldId::InPortOxm, v, u128::MAX)]),
        Just(vec![(FieldId::EthType, 0x0800, 0xffff)]),
        (0u32..3, 8u32..=32).prop_map(|(v, len)| {
            let mask = u128::from(u32::MAX << (32 - len));
            vec![
                (FieldId::EthType, 0x0800, 0xffff),
                (FieldId::Ipv4Dst, 0x0a00_0001 + (u128::from(v) << 16), mask),
            ]
        }),
        (0u128..4).prop_map(|v| vec![
            (FieldId::EthType, 0x0800, 0xffff),
            (FieldId::NwProto, 6, 0xff),
            (FieldId::TcpDst, v, 0xffff)
        ]),
        Just(vec![(FieldId::VlanTci, 0x1007, 0x1fff)]),
        Just(vec![(FieldId::VlanTci, 0, 0x1000)]),
        (0u128..3).prop_map(|v| vec![(FieldId::Reg0, v, u128::MAX)]),
        (0u128..4).prop_map(|v| vec![(FieldId::EthSrc, 0x0200_0000_0000 + v, u128::MAX)]),
    ];
    prop::collection::vec(one, 0..3).prop_map(|parts| {
        let mut m = Match::any();
        for (field, value, mask) in parts.into_iter().flatten() {
            m.set_masked(field, value & field.info().exact(), mask & field.info().exact());
        }
        m
    })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let whole = openflow::SubField::whole;
    let simple = prop_oneof![
        3 => (1u32..5).prop_map(output),
        1 => Just(output(OfPort::NORMAL.0)),
        1 => Just(output(OfPort::IN_PORT.0)),
        1 => Just(Action::Controller(openflow::action::Controller::default())),
        1 => (0u128..3).prop_map(|v| set(FieldId::Reg0, v)),
        1 => (0u32..3).prop_map(|v| Action::SetIpv4Dst(0x0a00_0001 + (v << 16))),
        1 => Just(Action::SetL4Dst(openflow::action::L4Port { port: 1, proto: 0 })),
        1 => Just(Action::DecTtl(openflow::action::DecTtl { ids: vec![0], explicit: false })),
        1 => Just(Action::SetVlanVid { vid: 7, push_if_needed: true, flow_has_vlan: false }),
        1 => Just(Action::SetVlanPcp { pcp: 3, push_if_needed: false, flow_has_vlan: false }),
        1 => Just(Action::StripVlan),
        1 => Just(Action::PushVlan(0x8100)),
        1 => Just(Action::Move { src: whole(FieldId::Ipv4Src), dst: whole(FieldId::Reg0), onf: false }),
        1 => Just(Action::Move { src: whole(FieldId::EthSrc), dst: whole(FieldId::EthDst), onf: false }),
        1 => Just(Action::OutputReg { src: whole(FieldId::Reg0), max_len: 0, wide: false }),
        1 => (1u8..3).prop_map(|table| Action::Resubmit(openflow::action::Resubmit {
            port: OfPort::IN_PORT, table, with_ct_orig: false, explicit: true,
        })),
        1 => Just(Action::PushMpls(0x8847)),
        1 => Just(Action::PopMpls(0x0800)),
    ];
    let list = prop::collection::vec(simple, 0..4);
    (list.clone(), prop::option::weighted(0.2, list)).prop_map(|(mut actions, inner)| {
        actions.extend(inner.map(Action::Clone));
        actions
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn packets_that_agree_under_the_mask_are_treated_alike(
        rules in prop::collection::vec((0u8..3, matches(), actions(), prop::option::weighted(0.2, actions())), 1..12),
        a in packets(), b in packets(), learned in packets(),
    ) {
        let rig = Rig::new();
        for (priority, (table, m, apply, write)) in (1..).zip(rules) {
            let goto_table = if table < 2 && write.is_some() { Some(table + 1) } else { None };
            rig.add(table, priority, m, Instructions { apply, write, goto_table, ..Instructions::default() });
        }
        rig.translate(&learned, SECOND);
        let first = rig.translate(&a, SECOND);
        let mut twin = b;
        let words = twin.words_mut().iter_mut().zip(a.words()).zip(first.mask.0.words());
        words.for_each(|((b, a), mask)| *b = *a & mask | *b & !mask);
        // A tag has a type.
        let tagged = twin.vlan[0].tci.get() & VLAN_PRESENT != 0;
        twin.vlan[0].tpid.set(if tagged { 0x8100 } else { 0 });
        let second = rig.translate(&twin, SECOND);
        prop_assert_eq!(first.actions, second.actions);
    }
}
