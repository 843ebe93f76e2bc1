//! Rules, changes and packets at random, from the small pools of [`frames::random`], so that rules meet packets.

use frames::{Rng, random};

use crate::field::{FIELDS, Family, Field, Masks, Slot, field, order};
use crate::random_ct;
use crate::rule::{Act, Doing, Mod, Spec, Term, Terms};
use crate::world::{FAR, World, overlap};

/// Tables that rules are put in.
pub const TABLES: u8 = 5;
/// Ports the bridge has, numbered from 1.
pub const PORTS: u16 = 4;
/// The ports of the second bridge, where there is one, and the ends of the patch to it.
pub const FAR_PORTS: [u16; 2] = [FAR as u16 + 2, FAR as u16 + 3];
/// See [`FAR_PORTS`].
pub const PATCH: (u16, u16) = (PORTS + 1, FAR as u16 + 1);

/// What is matched exactly (EtherType, protocol, ICMPv6 type), and the families of fields that packets have which meet that.
type Kind = (&'static [(&'static str, u128)], &'static [Family]);

/// The kinds of packets a rule can be about.
const KINDS: &[Kind] = &[
    (&[], &[]),
    (&[], &[]),
    (&[("eth_type", 0x0800)], &[Family::V4, Family::Ip]),
    (&[("eth_type", 0x0800)], &[Family::V4, Family::Ip]),
    (&[("eth_type", 0x0800), ("nw_proto", 6)], &[Family::V4, Family::Ip, Family::Tcp]),
    (&[("eth_type", 0x0800), ("nw_proto", 6)], &[Family::V4, Family::Ip, Family::Tcp]),
    (&[("eth_type", 0x0800), ("nw_proto", 17)], &[Family::V4, Family::Ip, Family::Udp]),
    (&[("eth_type", 0x0800), ("nw_proto", 132)], &[Family::V4, Family::Ip, Family::Sctp]),
    (&[("eth_type", 0x0800), ("nw_proto", 1)], &[Family::V4, Family::Ip, Family::Icmp4]),
    (&[("eth_type", 0x86dd)], &[Family::V6, Family::Ip]),
    (&[("eth_type", 0x86dd), ("nw_proto", 6)], &[Family::V6, Family::Ip, Family::Tcp]),
    (&[("eth_type", 0x86dd), ("nw_proto", 17)], &[Family::V6, Family::Ip, Family::Udp]),
    (&[("eth_type", 0x86dd), ("nw_proto", 58)], &[Family::V6, Family::Ip, Family::Icmp6]),
    (
        &[("eth_type", 0x86dd), ("nw_proto", 58), ("icmpv6_type", 135), ("icmpv6_code", 0)],
        &[Family::V6, Family::Ip, Family::Icmp6, Family::Solicitation],
    ),
    (
        &[("eth_type", 0x86dd), ("nw_proto", 58), ("icmpv6_type", 136), ("icmpv6_code", 0)],
        &[Family::V6, Family::Ip, Family::Icmp6, Family::Advertisement],
    ),
    (&[("eth_type", 0x0806)], &[Family::Arp]),
    (&[("eth_type", 0x8847)], &[Family::Mpls]),
];

/// What rules may do, besides matching and output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// NORMAL, with its learning.
    pub normal: bool,
    /// Changes of headers.
    pub edits: bool,
    /// Actions that OpenFlow 1.0 lacks: write, clear, metadata, goto.
    pub instructions: bool,
    /// Rules with time-outs.
    pub timeouts: bool,
    /// Connection tracking.
    pub ct: bool,
    /// Address translation. Addresses and ports are then changed in no other way: what follows a translating `ct()` in the same
    /// walk does not know what it changed.
    pub nat: bool,
    /// A second bridge behind a patch port. No packet goes back where it came from, or it would go to and fro; and none to where addresses
    /// were learned, which are one bridge's.
    pub patch: bool,
}

impl Style {
    /// A style at random.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            normal: rng.one_in(3),
            edits: !rng.one_in(4),
            instructions: !rng.one_in(3),
            timeouts: rng.one_in(3),
            ct: false,
            nat: false,
            patch: false,
        }
    }

    /// The same, with connection tracking.
    pub fn tracking(self, rng: &mut Rng) -> Self {
        let patch = rng.one_in(3);
        Self { ct: true, nat: rng.one_in(2), patch, normal: self.normal && !patch, ..self }
    }
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// A value that packets have, too.
fn value(rng: &mut Rng, field: &Field) -> u128 {
    let value = match field.slot {
        Slot::InPort => 1 + rng.below(usize::from(PORTS)) as u128,
        Slot::EthSrc | Slot::EthDst | Slot::Sha | Slot::Tha => number(&random::mac(rng)),
        Slot::NwSrc | Slot::NwDst => number(&random::v4(rng)),
        Slot::Ip6Src | Slot::Ip6Dst | Slot::NdTarget => number(&random::v6(rng)),
        Slot::TpSrc | Slot::TpDst => u128::from(random::port(rng)),
        Slot::VlanTci => rng.pick(&[0, 1]) * u128::from(random::tci(rng) | 0x1000),
        Slot::Frag => rng.pick(&[0, 1, 3]),
        Slot::TcpFlags => rng.pick(&[2, 0x12, 0x10, 4]),
        Slot::Mpls => rng.pick(&[0, 1, 16, 17, 18]),
        Slot::Proto => rng.pick(&[1, 2, 6, 17]),
        Slot::Tos => rng.pick(&[0, 1, 3, 10, 46, 63]),
        Slot::Ttl => rng.pick(&[0, 1, 2, 63, 64, 255]),
        Slot::Label => rng.pick(&[0, 1, 0xf_ffff, 0x1_2345]),
        _ => rng.below(3) as u128,
    };
    value & field.ones()
}

/// A mask that the field takes; never empty.
pub(crate) fn mask(rng: &mut Rng, field: &Field) -> u128 {
    if field.masks == Masks::Exact {
        return field.ones();
    }
    let mask = match rng.below(8) {
        0..4 => field.ones(),
        // A prefix.
        4..6 => field.ones() & !(field.ones() >> 1 >> rng.below(field.bits as usize)),
        6 => (1 << rng.below(field.bits as usize)) | 1,
        _ => (u128::from(rng.bits()) << 64 | u128::from(rng.bits())) & field.ones(),
    };
    if mask == 0 { field.ones() } else { mask }
}

fn term(rng: &mut Rng, field: &'static Field) -> Term {
    let (value, mask) = (value(rng, field), mask(rng, field));
    if field.slot == Slot::Frag {
        let (value, mask) = rng.pick(&[(0, 3), (1, 1), (1, 3), (3, 3), (0, 2)]);
        return Term { field, value, mask };
    }
    Term { field, value: value & mask, mask }
}

/// A match, and the families of fields that packets which meet it have.
pub fn terms(rng: &mut Rng, style: Style) -> (Terms, &'static [Family]) {
    let (mut fixed, mut families) = rng.pick(KINDS);
    while style.ct && !families.contains(&Family::Ip) && !rng.one_in(3) {
        (fixed, families) = rng.pick(KINDS);
    }
    let mut out: Terms = fixed
        .iter()
        .map(|(name, value)| {
            let field = field(name);
            Term { field, value: *value, mask: field.ones() }
        })
        .collect();
    let usual = [Family::Any, Family::Vlan];
    for _ in 0..rng.below(4) {
        let field = &FIELDS[rng.below(FIELDS.len())];
        let there = usual.contains(&field.family) || families.contains(&field.family);
        // An EtherType alone says which fields there are, so it comes with the kind.
        if there && field.slot != Slot::EthType && !out.iter().any(|term| term.field == field) {
            out.push(term(rng, field));
        }
    }
    out.sort_by_key(|term| order(term.field));
    (out, families)
}

/// What an action list is made for.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) table: u8,
    pub(crate) families: &'static [Family],
    pub(crate) style: Style,
    pub(crate) depth: usize,
}

impl Place {
    fn has(&self, field: &Field) -> bool {
        field.family == Family::Any || self.families.contains(&field.family)
    }

    pub(crate) fn field(&self, rng: &mut Rng, writable: bool) -> &'static Field {
        loop {
            let field = &FIELDS[rng.below(FIELDS.len())];
            let plain =
                matches!(field.slot, Slot::Metadata | Slot::Reg0 | Slot::Reg1 | Slot::Reg2 | Slot::Reg3);
            if self.has(field)
                && (field.writable || !writable)
                && (plain || self.style.edits)
                && field.bits <= 64
                && !(writable && self.style.nat && is_endpoint(field))
            {
                return field;
            }
        }
    }
}

pub(crate) fn register(rng: &mut Rng) -> &'static Field {
    field(rng.pick(&["reg0", "reg1", "reg2", "reg3"]))
}

pub(crate) fn output(rng: &mut Rng, style: Style) -> Act {
    match rng.below(16) {
        0 if style.patch => Act::All,
        0 => Act::InPort,
        1 if rng.one_in(2) => Act::All,
        1 => Act::Flood,
        2 | 3 if style.normal => Act::Normal,
        4 => Act::Controller,
        _ => Act::Output(1 + rng.below(usize::from(PORTS) + 1) as u16),
    }
}

fn set(rng: &mut Rng, place: Place) -> Act {
    let mut field = place.field(rng, true);
    // Whole IPv6 addresses cannot be read into registers but can be set.
    if rng.one_in(4) && place.style.edits && !place.style.nat && place.has(crate::field::field("ipv6_src")) {
        field = crate::field::field(rng.pick(&["ipv6_src", "ipv6_dst"]));
    }
    let mut set = term(rng, field);
    if is_port(field) {
        // Open vSwitch leaves ports alone when both would become zero.
        (set.value, set.mask) = (set.value.max(1), field.ones());
    }
    Act::Set(set)
}

/// Whether address translation may change it.
fn is_endpoint(field: &Field) -> bool {
    is_port(field) || matches!(field.slot, Slot::NwSrc | Slot::NwDst | Slot::Ip6Src | Slot::Ip6Dst)
}

fn is_port(field: &Field) -> bool {
    matches!(field.slot, Slot::TpSrc | Slot::TpDst)
}

fn copy(rng: &mut Rng, place: Place) -> Act {
    let (src, mut dst) = (place.field(rng, false), place.field(rng, true));
    if is_port(dst) || dst.slot == Slot::Proto {
        dst = register(rng);
    }
    let bits = 1 + rng.below(src.bits.min(dst.bits) as usize) as u16;
    let room = |field: &Field| (field.bits as u16 - bits + 1) as usize;
    Act::Move(src, rng.below(room(src)) as u16, dst, rng.below(room(dst)) as u16, bits)
}

fn edit(rng: &mut Rng, place: Place) -> Act {
    match rng.below(10) {
        0 if place.style.edits && place.families.contains(&Family::Ip) => Act::DecTtl,
        1 if place.style.edits => Act::PushVlan(rng.pick(&[0x8100, 0x88a8])),
        2 if place.style.edits => Act::PopVlan,
        3 if place.style.edits => Act::ModVlanVid(rng.pick(&[0, 1, 5, 4095])),
        4 if place.style.edits => Act::ModVlanPcp(rng.below(8) as u8),
        5 | 6 => copy(rng, place),
        _ => set(rng, place),
    }
}

fn act(rng: &mut Rng, place: Place) -> Act {
    if place.style.ct && place.families.contains(&Family::Ip) && rng.one_in(3) {
        return random_ct::act(rng, place);
    }
    match rng.below(24) {
        0..3 if place.table + 1 < TABLES => {
            let from = rng.one_in(4).then(|| 1 + rng.below(usize::from(PORTS)) as u16);
            let ahead = usize::from(TABLES - place.table - 1);
            Act::Resubmit(from, place.table + 1 + rng.below(ahead) as u8)
        }
        3 if place.depth == 0 => {
            let place = Place { depth: 1, ..place };
            Act::Clone((0..1 + rng.below(3)).map(|_| act(rng, place)).collect())
        }
        4 => Act::OutputReg(register(rng)),
        5 => Act::OutputTrunc(1 + rng.below(usize::from(PORTS)) as u16, rng.pick(&[14, 40, 60, 2000])),
        6 if rng.one_in(4) => Act::Exit,
        7 => Act::Push(place.field(rng, false)),
        8 => Act::Pop(register(rng)),
        9..15 => output(rng, place.style),
        _ => edit(rng, place),
    }
}

fn doing(rng: &mut Rng, place: Place) -> Doing {
    let mut out = Doing { apply: (0..rng.below(5)).map(|_| act(rng, place)).collect(), ..Doing::default() };
    if !rng.one_in(4) {
        out.apply.push(output(rng, place.style));
    }
    if place.style.instructions {
        out.clear = rng.one_in(8);
        if rng.one_in(3) {
            out.write = (0..1 + rng.below(3)).map(|_| written(rng, place)).collect();
        }
        out.metadata = rng.one_in(4).then(|| {
            let mask = rng.pick(&[u64::MAX, 3, 0xff00]);
            (rng.below(4) as u64 & mask, mask)
        });
        if place.table + 1 < TABLES && rng.one_in(3) {
            out.goto = Some(place.table + 1 + rng.below(usize::from(TABLES - place.table - 1)) as u8);
        }
    }
    out
}

fn written(rng: &mut Rng, place: Place) -> Act {
    loop {
        let act = if rng.one_in(2) { output(rng, place.style) } else { edit(rng, place) };
        if !matches!(act, Act::Push(_) | Act::Pop(_)) {
            return act;
        }
    }
}

/// A rule.
pub fn spec(rng: &mut Rng, style: Style) -> Spec {
    let (mut terms, families) = terms(rng, style);
    if style.ct {
        random_ct::add_terms(rng, families, &mut terms);
    }
    let table = rng.below(usize::from(TABLES)).min(rng.below(usize::from(TABLES))) as u8;
    let place = Place { table, families, style, depth: 0 };
    let timeout = |rng: &mut Rng| if style.timeouts && rng.one_in(3) { 1 + rng.below(20) as u16 } else { 0 };
    Spec {
        table,
        priority: 10 + rng.below(12) as u16 * 10,
        cookie: rng.bits(),
        terms,
        doing: doing(rng, place),
        idle_timeout: timeout(rng),
        hard_timeout: timeout(rng),
    }
}

/// A rule of a table's lowest priority that meets everything, so that not all is dropped.
pub fn last_resort(rng: &mut Rng, style: Style, table: u8) -> Spec {
    let place = Place { table, families: &[], style, depth: 0 };
    let mut doing = doing(rng, place);
    doing.apply.push(if table + 1 < TABLES { Act::Resubmit(None, table + 1) } else { output(rng, style) });
    Spec {
        table,
        priority: 1,
        cookie: rng.bits(),
        terms: Vec::new(),
        doing,
        idle_timeout: 0,
        hard_timeout: 0,
    }
}

/// A rule that overlaps no other of its table and priority: which of two would win is nobody's to say.
fn clear_spec(rng: &mut Rng, world: &World, style: Style) -> Spec {
    loop {
        let mut spec = spec(rng, style);
        if style.patch && rng.one_in(2) {
            spec.table += FAR;
        }
        for _ in 0..4 {
            let clash = |other: &crate::world::Rule| {
                let other = &other.spec;
                other.table == spec.table
                    && other.priority == spec.priority
                    && other.terms != spec.terms
                    && overlap(&other.terms, &spec.terms)
            };
            if !world.rules.iter().any(clash) {
                return spec;
            }
            spec.priority = 2 + rng.below(2000) as u16;
        }
    }
}

/// A change to tables that stand so.
pub fn change(rng: &mut Rng, world: &World, style: Style) -> Mod {
    if world.rules.len() < 4 || (world.rules.len() < 40 && rng.one_in(2)) {
        return Mod::Add(clear_spec(rng, world, style));
    }
    let old = world.rules[rng.below(world.rules.len())].spec.clone();
    match rng.below(6) {
        0 => {
            let place = Place { table: old.table % FAR, families: families_of(&old.terms), style, depth: 0 };
            Mod::Add(Spec { doing: doing(rng, place), cookie: rng.bits(), ..old })
        }
        1 | 2 => {
            let place = Place { table: old.table % FAR, families: families_of(&old.terms), style, depth: 0 };
            let strict = rng.one_in(2);
            let terms = if strict { old.terms.clone() } else { fewer(rng, &old.terms) };
            Mod::Modify(Spec { terms, doing: doing(rng, place), ..old }, strict)
        }
        3 => {
            let terms = fewer(rng, &old.terms);
            Mod::Delete { spec: Spec { terms, ..old }, strict: false, all: rng.one_in(4) }
        }
        _ => Mod::Delete { spec: old, strict: true, all: false },
    }
}

/// The families of fields that packets which meet a match have.
fn families_of(terms: &Terms) -> &'static [Family] {
    let fits = |fixed: &[(&str, u128)]| {
        fixed.iter().all(|(name, value)| {
            terms.iter().any(|t| t.field.name == *name && t.value == *value && t.mask == t.field.ones())
        })
    };
    KINDS.iter().rev().find(|(fixed, _)| fits(fixed)).map_or(&[], |(_, families)| families)
}

/// A match with some of the terms, which every packet meets that meets all; none that others presuppose is left out.
fn fewer(rng: &mut Rng, terms: &Terms) -> Terms {
    let kept = |term: &Term| {
        let needed = matches!(
            term.field.slot,
            Slot::EthType | Slot::Proto | Slot::TpSrc | Slot::TpDst | Slot::CtState
        );
        needed.then_some(*term)
    };
    terms.iter().filter_map(|term| kept(term).or_else(|| rng.one_in(2).then_some(*term))).collect()
}

/// A frame of at least an Ethernet header, now and then a spoilt one.
pub fn frame(rng: &mut Rng, style: Style) -> Vec<u8> {
    if style.ct && !rng.one_in(5) {
        return random_ct::frame(rng);
    }
    let mut out = random::frame(rng).build();
    if rng.one_in(8) {
        random::spoil(rng, &mut out);
    }
    out.resize(out.len().max(14), 0);
    clear_dei(&mut out);
    out
}

/// Clears the drop-eligible bit of all tags. Keys do not hold it, so it is lost whenever a tag is written anew, and which tags
/// are is the switch's choice.
pub fn clear_dei(frame: &mut [u8]) {
    let mut at = 12;
    while let Some([0x81, 0x00, tci, _] | [0x88, 0xa8, tci, _]) = frame.get_mut(at..at + 4) {
        *tci &= 0xef;
        at += 4;
    }
}
