//! Random flows for the tests of the codecs.

use openflow::action::*;
use openflow::field::{FIELDS, Field, ones};
use openflow::{FieldId, FlowMod, Instructions, Match, OfPort, SubField};

/// A small generator of random numbers (SplitMix64): the same seed gives the same flows.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn flip(&mut self) -> bool {
        self.next() & 1 != 0
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    fn port(&mut self) -> OfPort {
        let named = [OfPort::LOCAL, OfPort::IN_PORT];
        if self.below(4) == 0 { self.one_of(&named) } else { OfPort(self.below(0xfeff) as u32 + 1) }
    }
}

/// A value that a field can have.
fn value(rng: &mut Rng, field: &Field) -> u128 {
    let value = match field.id {
        FieldId::EthType => {
            rng.one_of(&[0x0800, 0x86dd, 0x0800, 0x86dd, 0x0806, 0x8847, 0x8848, 0x8035, 0x88cc, 0])
        }
        FieldId::NwProto => rng.one_of(&[6, 17, 132, 1, 58, 47]),
        FieldId::Icmpv6Type => rng.one_of(&[135, 136, 128]),
        FieldId::Icmpv6Code => rng.one_of(&[0, 0, 1]),
        FieldId::InPortOxm | FieldId::ActsetOutput => rng.port().0.into(),
        FieldId::InPort => rng.port().to_u16().into(),
        FieldId::CtState => rng.wide() & 0xff,
        FieldId::TunFlags => rng.wide() & 1,
        FieldId::NwTos => rng.wide() & 0xfc,
        _ => rng.wide() & ones(field.place.map_or(0, |p| p.bits)),
    };
    let value = if rng.below(4) == 0 { value & 0xff } else { value };
    if field.is_value_valid(value) { value } else { value & ones(field.n_bits) }
}

fn mask(rng: &mut Rng, field: &Field) -> u128 {
    let exact = field.exact();
    match rng.below(4) {
        _ if !field.maskable => exact,
        0 => exact,
        1 => exact & !ones(rng.below(u64::from(field.n_bits)) as u32),
        2 => exact & rng.wide(),
        _ => exact & ones(rng.below(u64::from(field.n_bits)) as u32 + 1),
    }
}

/// A match whose prerequisites hold, of fields that go over the wire.
pub(crate) fn random_match(rng: &mut Rng) -> Match {
    let mut m = Match::any();
    let skip = [FieldId::PacketType, FieldId::RecircId, FieldId::InPort];
    let rounds = rng.below(80);
    if rng.below(5) > 0 {
        let field = FieldId::EthType.info();
        m.set(field.id, value(rng, field));
        if rng.flip() && FieldId::NwProto.info().prereqs_ok(&m) {
            m.set(FieldId::NwProto, value(rng, FieldId::NwProto.info()));
        }
    }
    for _ in 0..rounds {
        let field = &FIELDS[rng.below(FIELDS.len() as u64) as usize];
        let on_wire = field.place.is_some() && !field.wire.is_empty() && !skip.contains(&field.id);
        if !on_wire || hides(field.id, &m) || !field.prereqs_ok(&m) || !m.is_wild(field.id) {
            continue;
        }
        let (value, mask) = (value(rng, field), mask(rng, field));
        m.set_masked(field.id, value & mask, mask);
    }
    m
}

/// Whether matching a field could take away what those matched already presuppose, or cannot be said without another.
fn hides(id: FieldId, m: &Match) -> bool {
    match id {
        FieldId::IpFrag => m.mask.0.nw_proto != 0,
        FieldId::Icmpv6Type | FieldId::Icmpv6Code => {
            !m.is_wild(FieldId::NdTarget) || !m.is_wild(FieldId::NdSll) || !m.is_wild(FieldId::NdTll)
        }
        FieldId::CtTpSrc | FieldId::CtTpDst => m.is_wild(FieldId::CtNwProto),
        _ => false,
    }
}

fn part(rng: &mut Rng, writable: bool, m: &Match) -> SubField {
    loop {
        let field = &FIELDS[rng.below(FIELDS.len() as u64) as usize];
        let ok = field.place.is_some() && !field.wire.is_empty() && field.prereqs_ok(m);
        let ct = matches!(field.id, FieldId::CtMark | FieldId::CtLabel);
        if !ok || writable && !field.writable || ct && writable {
            continue;
        }
        let ofs = if rng.flip() { 0 } else { rng.below(u64::from(field.n_bits)) };
        let room = u64::from(field.n_bits) - ofs;
        let n_bits = if rng.flip() { room } else { rng.below(room) + 1 };
        return SubField { field: field.id, ofs: ofs as u16, n_bits: n_bits.min(64) as u16 };
    }
}

fn set_field(rng: &mut Rng, m: &Match, only: Option<&[FieldId]>) -> SetField {
    loop {
        let dst = part(rng, true, m);
        let id = only.map_or(dst.field, |ids| rng.one_of(ids));
        let field = id.info();
        let form = rng.one_of(&[SetForm::SetField, SetForm::Load, SetForm::Load2]);
        if id == FieldId::InPortOxm && form == SetForm::SetField {
            continue;
        }
        let mask = match form {
            SetForm::Load if only.is_none() => dst.mask(),
            SetForm::Load => ones(field.n_bits.min(64)),
            _ => mask(rng, field),
        };
        let whole = form != SetForm::Load && mask == field.exact();
        let mask = if whole { field.all_ones() } else { mask };
        let mask = if id == FieldId::VlanVid { mask | 0x1000 } else { mask };
        let mut value = value(rng, field) & mask;
        if id == FieldId::VlanVid {
            value |= 0x1000;
        }
        if mask != 0 {
            return SetField { field: id, value, mask, form };
        }
    }
}

/// An action that may be in a list under `m`.
pub(crate) fn random_action(rng: &mut Rng, m: &Match, depth: u32) -> Action {
    let port = rng.port();
    match rng.below(44) {
        0..=3 => Action::Output { port, max_len: 0 },
        4 => Action::Output { port: OfPort::CONTROLLER, max_len: rng.below(0x10000) as u16 },
        5 => {
            let port = rng.one_of(&[OfPort::NORMAL, OfPort::FLOOD, OfPort::ALL, OfPort::TABLE]);
            Action::Output { port, max_len: 0 }
        }
        6 => Action::OutputReg { src: part(rng, false, m), max_len: 0xffff, wide: rng.flip() },
        7 => Action::OutputTrunc { port, max_len: 14 + rng.below(1000) as u32 },
        8 => Action::Controller(controller(rng)),
        9 => Action::Enqueue { port, queue: rng.next() as u32 },
        10 => Action::SetQueue(rng.next() as u32),
        11 => Action::PopQueue,
        12 => Action::Group(rng.next() as u32),
        13..=18 => Action::SetField(set_field(rng, m, None)),
        19 | 20 => {
            let (src, dst) = (part(rng, false, m), part(rng, true, m));
            let n_bits = src.n_bits.min(dst.n_bits);
            let (src, dst) = (SubField { n_bits, ..src }, SubField { n_bits, ..dst });
            Action::Move { src, dst, onf: false }
        }
        21 => Action::StackPush(part(rng, false, m)),
        22 => Action::StackPop(part(rng, true, m)),
        23 => Action::SetVlanVid { vid: rng.below(4096) as u16, push_if_needed: true, flow_has_vlan: false },
        24 => Action::SetVlanPcp { pcp: rng.below(8) as u8, push_if_needed: true, flow_has_vlan: false },
        25 => rng.one_of(&[0, 1, 2, 3]).pick_vlan(),
        26 => Action::SetEthSrc(rng.next().to_be_bytes()[..6].try_into().unwrap()),
        27 => Action::SetIpv4Dst(rng.next() as u32),
        28 => Action::SetIpDscp(rng.next() as u8 & 0xfc),
        29 => Action::SetIpTtl(rng.next() as u8),
        30 => Action::SetL4Src(L4Port { port: rng.next() as u16, proto: 0 }),
        31 => Action::DecTtl(DecTtl { ids: vec![0], explicit: false }),
        32 => Action::DecTtl(DecTtl { ids: vec![1, rng.next() as u16], explicit: true }),
        33 => Action::PushMpls(0x8847),
        34 => Action::SetTunnel { id: rng.next() >> rng.below(64), wide: rng.flip() },
        35 => {
            let table = rng.next() as u8;
            let port = if table == 255 { port } else { rng.one_of(&[OfPort::IN_PORT, port]) };
            Action::Resubmit(Resubmit { port, table, with_ct_orig: false, explicit: table != 255 })
        }
        36 if depth > 0 => {
            Action::Clone((0..rng.below(3)).map(|_| random_action(rng, m, depth - 1)).collect())
        }
        37 => Action::Exit,
        38 => Action::Note(vec![1; 6 + 8 * rng.below(3) as usize]),
        39 | 40 => Action::Ct(Box::new(ct(rng, m))),
        41 => Action::Learn(Box::new(learn(rng))),
        42 => Action::FinTimeout { idle: rng.below(3) as u16, hard: rng.below(3) as u16 },
        _ => choose(rng, m),
    }
}

trait PickVlan {
    fn pick_vlan(self) -> Action;
}

impl PickVlan for i32 {
    fn pick_vlan(self) -> Action {
        match self {
            0 => Action::StripVlan,
            1 => Action::PopVlan,
            2 => Action::PushVlan(0x8100),
            _ => Action::PushVlan(0x88a8),
        }
    }
}

fn controller(rng: &mut Rng) -> Controller {
    let wide = rng.flip();
    Controller {
        max_len: rng.one_of(&[0xffff, 128]),
        controller_id: rng.below(3) as u16,
        reason: rng.below(3) as u8,
        userdata: vec![7; if wide { rng.below(9) as usize } else { 0 }],
        pause: wide && rng.flip(),
        meter: (wide && rng.flip()).then_some(5),
        wide,
    }
}

fn ct(rng: &mut Rng, m: &Match) -> Ct {
    let commit = rng.flip();
    let reg = SubField { field: FieldId::Reg3, ofs: 16, n_bits: 16 };
    let mut actions = Vec::new();
    if rng.flip() {
        actions.push(Action::Nat(nat(rng, m)));
    }
    if commit && rng.flip() {
        actions.push(Action::SetField(set_field(rng, m, Some(&[FieldId::CtMark, FieldId::CtLabel]))));
    }
    Ct {
        commit,
        force: commit && rng.flip(),
        zone: rng.one_of(&[CtZone::Number(0), CtZone::Number(5), CtZone::Field(reg)]),
        recirc_table: rng.flip().then_some(rng.below(254) as u8),
        alg: rng.one_of(&[0, 0, 21, 69]),
        actions,
    }
}

fn nat(rng: &mut Rng, m: &Match) -> Nat {
    let v4 = [[10, 0, 0, 1], [10, 0, 0, 9]].map(std::net::IpAddr::from);
    let v6 = [1u8, 9].map(|n| std::net::IpAddr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]));
    let [min, max] = if m.key.eth_type.get() == 0x86dd { v6 } else { v4 };
    match rng.below(4) {
        0 => Nat::default(),
        n => {
            let addr = CtRange { min, max: rng.flip().then_some(max) };
            let ports = rng.flip().then_some(CtRange { min: 80, max: rng.flip().then_some(90) });
            let flags = NatFlags(((n as u16 & 1) + 1) | rng.one_of(&[0, 4, 8, 16]));
            Nat { flags, range: NatRange { addr: Some(addr), ports } }
        }
    }
}

fn learn(rng: &mut Rng) -> Learn {
    let whole = SubField::whole;
    let reg = |n, ofs| SubField { field: FieldId::reg(n), ofs, n_bits: 8 };
    let spec = |n_bits, src, dst| LearnSpec { n_bits, src, dst };
    let mut specs = vec![
        spec(48, LearnSrc::Field(whole(FieldId::EthSrc)), LearnDst::Match(whole(FieldId::EthDst))),
        spec(
            12,
            LearnSrc::Immediate(5),
            LearnDst::Match(SubField { field: FieldId::VlanTci, ofs: 0, n_bits: 12 }),
        ),
        spec(16, LearnSrc::Immediate(0x800), LearnDst::Match(whole(FieldId::EthType))),
        spec(8, LearnSrc::Field(reg(1, 3)), LearnDst::Load(reg(2, 8))),
        spec(8, LearnSrc::Immediate(0x7f), LearnDst::Load(reg(3, 0))),
        spec(16, LearnSrc::Field(whole(FieldId::InPort)), LearnDst::Output),
    ];
    specs.truncate(rng.below(7) as usize);
    let limit = if rng.flip() { rng.below(100) as u32 } else { 0 };
    let result = limit != 0 && rng.flip();
    Learn {
        idle_timeout: rng.below(2) as u16,
        hard_timeout: rng.below(2) as u16 * 300,
        fin_idle_timeout: rng.below(2) as u16,
        fin_hard_timeout: rng.below(2) as u16,
        priority: rng.one_of(&[0x8000, 1]),
        table: rng.below(254) as u8,
        cookie: rng.one_of(&[0, 0x1234]),
        flags: LearnFlags(rng.below(4) as u16 | if result { LearnFlags::WRITE_RESULT } else { 0 }),
        limit,
        result_dst: result.then_some(SubField { field: FieldId::Reg0, ofs: 7, n_bits: 1 }),
        specs,
    }
}

fn choose(rng: &mut Rng, m: &Match) -> Action {
    let dst = SubField { field: FieldId::Reg5, ofs: 0, n_bits: 16 };
    let fields = rng.one_of(&[
        HashFields::EthSrc,
        HashFields::SymmetricL4,
        HashFields::NwSrc,
        HashFields::SymmetricL3,
    ]);
    match rng.below(4) {
        0 => Action::Multipath(Multipath {
            fields,
            basis: 50,
            algorithm: rng.below(4) as u16,
            max_link: 7,
            arg: 3,
            dst,
        }),
        1 => Action::Bundle(Box::new(Bundle {
            fields,
            basis: 3,
            algorithm: rng.below(2) as u16,
            members: (0..rng.below(6)).map(|n| OfPort(n as u32 + 1)).collect(),
            dst: rng.flip().then_some(dst),
        })),
        2 => Action::Sample(Sample {
            probability: 5,
            collector_set: 1,
            obs_domain: 2,
            obs_point: 3,
            sampling_port: if rng.flip() { OfPort::NONE } else { OfPort(4) },
            direction: rng.below(3) as u8,
            form: 1 + rng.below(3) as u8,
        }),
        _ => {
            let dst = SubField { n_bits: 1, ..part(rng, true, m) };
            Action::CheckPktLarger { len: 1500, dst }
        }
    }
}

/// A flow with a random match and random instructions, not yet checked.
pub(crate) fn random_flow(rng: &mut Rng) -> FlowMod {
    let flow_match = random_match(rng);
    let n = rng.below(4);
    let mut instructions = Instructions::apply((0..n).map(|_| random_action(rng, &flow_match, 2)).collect());
    if rng.below(4) == 0 {
        instructions.metadata = Some((rng.next() & 0xffff, rng.one_of(&[u64::MAX, 0xffff])));
    }
    if rng.below(4) == 0 {
        instructions.goto_table = Some(1 + rng.below(250) as u8);
    }
    if rng.below(8) == 0 {
        instructions.clear = true;
        instructions.write = Some(vec![Action::Output { port: rng.port(), max_len: 0 }]);
        instructions.meter = rng.flip().then_some(3);
    }
    FlowMod { table_id: Some(0), flow_match, instructions, ..FlowMod::default() }
}
