//! Rules: what they match and do, in the oracle's own terms, and the same for the switch under test ([`to_flow_mod`]) and for
//! `ovs-ofctl` (`Display`).

use std::fmt;
use std::net::IpAddr;

use openflow::action::{
    self, Action, Controller, CtRange, CtZone, DecTtl, NatFlags, Resubmit, SetField, SetForm,
};
use openflow::{FlowMod, FlowModCommand, Instructions, OfPort, SubField};

use crate::field::{Field, Slot, Values};
use crate::world::FAR;

/// One condition of a match.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Term {
    /// Which field.
    pub field: &'static Field,
    /// Its value; zero outside `mask`.
    pub value: u128,
    /// Which bits count.
    pub mask: u128,
}

/// A match: all terms hold. Each field occurs once; terms are in the order of the table of fields.
pub type Terms = Vec<Term>;

/// Whether a packet meets a match.
pub fn meets(values: &Values, terms: &Terms) -> bool {
    terms.iter().all(|term| term.field.get(values) & term.mask == term.value)
}

/// Whether every packet that meets `terms` meets `filter`, going by the terms.
pub fn is_within(terms: &Terms, filter: &Terms) -> bool {
    filter.iter().all(|wanted| {
        let same = terms.iter().find(|term| term.field == wanted.field);
        same.is_some_and(|t| t.mask & wanted.mask == wanted.mask && t.value & wanted.mask == wanted.value)
    })
}

/// What is done to a packet.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// To a port.
    Output(u16),
    /// Back where it came from.
    InPort,
    /// To all ports but where it came from.
    All,
    /// The same, by `flood`.
    Flood,
    /// As a plain switch would.
    Normal,
    /// To the controller.
    Controller,
    /// The first bytes, to a port.
    OutputTrunc(u16, u32),
    /// To the port that the low 16 bits of a field hold.
    OutputReg(&'static Field),
    /// Set bits of a field.
    Set(Term),
    /// Copy bits: from, first bit, to, first bit, how many.
    Move(&'static Field, u16, &'static Field, u16, u16),
    /// Decrement the TTL.
    DecTtl,
    /// Push a tag of this type.
    PushVlan(u16),
    /// Pop the outer tag.
    PopVlan,
    /// Set the VLAN id, pushing a tag if there is none.
    ModVlanVid(u16),
    /// Set the priority, pushing a tag if there is none.
    ModVlanPcp(u8),
    /// Look up in a table, as if from this port.
    Resubmit(Option<u16>, u8),
    /// Do these to a copy.
    Clone(Vec<Act>),
    /// Push bits of a field on the stack.
    Push(&'static Field),
    /// Pop from the stack into a field.
    Pop(&'static Field),
    /// Stop.
    Exit,
    /// Through the connection tracker.
    Ct(Box<Ct>),
    /// Forget what the connection tracker said.
    CtClear,
}

/// Where the zone of a [`Ct`] comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Zone {
    /// A number.
    Number(u16),
    /// 16 bits of a field, from this one on.
    Field(&'static Field, u16),
}

/// Through the connection tracker.
#[derive(Clone, PartialEq, Debug)]
pub struct Ct {
    /// Keep the connection.
    pub commit: bool,
    /// Replace one of the other direction.
    pub force: bool,
    /// Zone.
    pub zone: Zone,
    /// Where a copy goes on, tracked.
    pub table: Option<u8>,
    /// Translation.
    pub nat: Option<Nat>,
    /// What is written to mark and label of the connection: [`Act::Set`] and [`Act::Move`].
    pub exec: Vec<Act>,
}

/// Address translation: as the connection says (`side` is `None`), or to a range.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Nat {
    /// True for the source.
    pub source: Option<bool>,
    /// First and last address.
    pub addrs: Option<(IpAddr, IpAddr)>,
    /// First and last port.
    pub ports: Option<(u16, u16)>,
    /// By a hash.
    pub hash: bool,
    /// At random.
    pub random: bool,
    /// The same for a client.
    pub persistent: bool,
}

/// What a rule does.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Doing {
    /// At once.
    pub apply: Vec<Act>,
    /// Empty the action set.
    pub clear: bool,
    /// Put into the action set.
    pub write: Vec<Act>,
    /// Bits of the metadata: value, mask.
    pub metadata: Option<(u64, u64)>,
    /// Where to go on.
    pub goto: Option<u8>,
}

/// A rule's specification.
#[derive(Clone, PartialEq, Debug)]
pub struct Spec {
    /// Table.
    pub table: u8,
    /// Priority.
    pub priority: u16,
    /// Cookie.
    pub cookie: u64,
    /// Match.
    pub terms: Terms,
    /// What it does.
    pub doing: Doing,
    /// Seconds unused, 0 for ever.
    pub idle_timeout: u16,
    /// Seconds to live, 0 for ever.
    pub hard_timeout: u16,
}

/// A change to the tables.
#[derive(Clone, PartialEq, Debug)]
pub enum Mod {
    /// Add, replacing the same.
    Add(Spec),
    /// Change what those within do (in the spec's table), strictly or not.
    Modify(Spec, bool),
    /// Delete those within, strictly or not; of all tables if `all`.
    Delete {
        /// Table, match, priority.
        spec: Spec,
        /// Only the same match and priority.
        strict: bool,
        /// In every table.
        all: bool,
    },
}

impl Mod {
    /// What it is about.
    pub fn spec(&self) -> &Spec {
        match self {
            Self::Add(spec) | Self::Modify(spec, _) | Self::Delete { spec, .. } => spec,
        }
    }
}

fn port(number: u16) -> OfPort {
    OfPort(u32::from(number))
}

/// The action of the model under test.
fn to_action(act: &Act) -> Action {
    let output = |port: OfPort| Action::Output { port, max_len: 0 };
    let whole = |field: &'static Field| SubField::whole(field.id);
    match act {
        Act::Output(number) => output(port(*number)),
        Act::InPort => output(OfPort::IN_PORT),
        Act::All => output(OfPort::ALL),
        Act::Flood => output(OfPort::FLOOD),
        Act::Normal => output(OfPort::NORMAL),
        Act::Controller => Action::Controller(Controller::default()),
        Act::OutputTrunc(number, max_len) => Action::OutputTrunc { port: port(*number), max_len: *max_len },
        Act::OutputReg(field) => Action::OutputReg {
            src: SubField { field: field.id, ofs: 0, n_bits: 16 },
            max_len: 0,
            wide: false,
        },
        Act::Set(term) => Action::SetField(SetField {
            field: term.field.id,
            value: term.value,
            mask: term.mask,
            form: SetForm::SetField,
        }),
        Act::Move(src, src_at, dst, dst_at, n_bits) => Action::Move {
            src: SubField { field: src.id, ofs: *src_at, n_bits: *n_bits },
            dst: SubField { field: dst.id, ofs: *dst_at, n_bits: *n_bits },
            onf: false,
        },
        Act::DecTtl => Action::DecTtl(DecTtl { ids: vec![0], explicit: false }),
        Act::PushVlan(tpid) => Action::PushVlan(*tpid),
        Act::PopVlan => Action::StripVlan,
        Act::ModVlanVid(vid) => Action::SetVlanVid { vid: *vid, push_if_needed: true, flow_has_vlan: false },
        Act::ModVlanPcp(pcp) => Action::SetVlanPcp { pcp: *pcp, push_if_needed: true, flow_has_vlan: false },
        Act::Resubmit(from, table) => Action::Resubmit(Resubmit {
            port: from.map_or(OfPort::IN_PORT, port),
            table: *table,
            with_ct_orig: false,
            explicit: true,
        }),
        Act::Clone(acts) => Action::Clone(acts.iter().map(to_action).collect()),
        Act::Push(field) => Action::StackPush(whole(field)),
        Act::Pop(field) => Action::StackPop(whole(field)),
        Act::Exit => Action::Exit,
        Act::Ct(ct) => Action::Ct(Box::new(to_ct(ct))),
        Act::CtClear => Action::CtClear,
    }
}

fn to_ct(ct: &Ct) -> action::Ct {
    let nat = ct.nat.as_ref().map(to_nat);
    action::Ct {
        commit: ct.commit,
        force: ct.force,
        zone: match ct.zone {
            Zone::Number(zone) => CtZone::Number(zone),
            Zone::Field(field, ofs) => CtZone::Field(SubField { field: field.id, ofs, n_bits: 16 }),
        },
        recirc_table: ct.table,
        alg: 0,
        actions: nat.into_iter().chain(ct.exec.iter().map(to_action)).collect(),
    }
}

fn to_nat(nat: &Nat) -> Action {
    let wanted = [
        (nat.source == Some(true), NatFlags::SRC),
        (nat.source == Some(false), NatFlags::DST),
        (nat.persistent, NatFlags::PERSISTENT),
        (nat.hash, NatFlags::HASH),
        (nat.random, NatFlags::RANDOM),
    ];
    let flags = wanted.iter().filter(|(is, _)| *is).fold(0, |flags, (_, flag)| flags | flag);
    let addr = nat.addrs.map(|(min, max)| CtRange { min, max: Some(max) });
    let ports = nat.ports.map(|(min, max)| CtRange { min, max: Some(max) });
    Action::Nat(action::Nat { flags: NatFlags(flags), range: action::NatRange { addr, ports } })
}

/// The instructions of the model under test.
fn to_instructions(doing: &Doing) -> Instructions {
    Instructions {
        meter: None,
        apply: doing.apply.iter().map(to_action).collect(),
        clear: doing.clear,
        write: (!doing.write.is_empty()).then(|| doing.write.iter().map(to_action).collect()),
        metadata: doing.metadata,
        goto_table: doing.goto,
    }
}

fn base(spec: &Spec, command: FlowModCommand) -> FlowMod {
    let mut flow_match = openflow::Match::any();
    for term in &spec.terms {
        flow_match.set_masked(term.field.id, term.value, term.mask);
    }
    FlowMod {
        command,
        table_id: Some(spec.table % FAR),
        flow_match,
        priority: spec.priority,
        new_cookie: Some(spec.cookie),
        idle_timeout: spec.idle_timeout,
        hard_timeout: spec.hard_timeout,
        instructions: to_instructions(&spec.doing),
        ..FlowMod::default()
    }
}

/// The flow-mod of the model under test.
pub fn to_flow_mod(change: &Mod) -> FlowMod {
    match change {
        Mod::Add(spec) => base(spec, FlowModCommand::Add),
        Mod::Modify(spec, strict) => {
            let command = if *strict { FlowModCommand::ModifyStrict } else { FlowModCommand::Modify };
            FlowMod { new_cookie: None, ..base(spec, command) }
        }
        Mod::Delete { spec, strict, all } => {
            let command = if *strict { FlowModCommand::DeleteStrict } else { FlowModCommand::Delete };
            let mut out = FlowMod { instructions: Instructions::default(), ..base(spec, command) };
            if *all {
                out.table_id = None;
            }
            out
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.field.name;
        if self.field.slot == Slot::Frag {
            let text = match (self.value, self.mask) {
                (0, 3) => "no",
                (1, 1) => "yes",
                (1, 3) => "first",
                (3, 3) => "later",
                _ => "not_later",
            };
            return write!(f, "{name}={text}");
        }
        write!(f, "{name}={}", text_of(self.field, self.value))?;
        if self.mask != self.field.ones() {
            write!(f, "/{}", text_of(self.field, self.mask))?;
        }
        Ok(())
    }
}

fn text_of(field: &Field, value: u128) -> String {
    match field.bits {
        128 => std::net::Ipv6Addr::from(value).to_string(),
        48 => value.to_be_bytes()[10..].iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"),
        32 if matches!(field.slot, Slot::NwSrc | Slot::NwDst) => {
            std::net::Ipv4Addr::from(value as u32).to_string()
        }
        _ => format!("0x{value:x}"),
    }
}

fn join<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(number) => write!(f, "output:{number}"),
            Self::InPort => write!(f, "in_port"),
            Self::All => write!(f, "all"),
            Self::Flood => write!(f, "flood"),
            Self::Normal => write!(f, "normal"),
            Self::Controller => write!(f, "controller"),
            Self::OutputTrunc(number, len) => write!(f, "output(port={number},max_len={len})"),
            Self::OutputReg(field) => write!(f, "output:{}[0..15]", field.name),
            Self::Set(term) => {
                let value = term.to_string();
                let (name, value) = value.split_once('=').unwrap_or(("", ""));
                write!(f, "set_field:{value}->{name}")
            }
            Self::Move(src, a, dst, b, n) => {
                let (a_end, b_end) = (a + n - 1, b + n - 1);
                write!(f, "move:{}[{a}..{a_end}]->{}[{b}..{b_end}]", src.name, dst.name)
            }
            Self::DecTtl => write!(f, "dec_ttl"),
            Self::PushVlan(tpid) => write!(f, "push_vlan:0x{tpid:x}"),
            Self::PopVlan => write!(f, "strip_vlan"),
            Self::ModVlanVid(vid) => write!(f, "mod_vlan_vid:{vid}"),
            Self::ModVlanPcp(pcp) => write!(f, "mod_vlan_pcp:{pcp}"),
            Self::Resubmit(None, table) => write!(f, "resubmit(,{table})"),
            Self::Resubmit(Some(number), table) => write!(f, "resubmit({number},{table})"),
            Self::Clone(acts) => write!(f, "clone({})", join(acts)),
            Self::Push(field) => write!(f, "push:{}[]", field.name),
            Self::Pop(field) => write!(f, "pop:{}[]", field.name),
            Self::Exit => write!(f, "exit"),
            // The text of these is not what is under test.
            Self::Ct(_) | Self::CtClear => write!(f, "{}", to_action(self)),
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.apply.iter().map(ToString::to_string).collect();
        if self.clear {
            parts.push("clear_actions".into());
        }
        if !self.write.is_empty() {
            parts.push(format!("write_actions({})", join(&self.write)));
        }
        if let Some((value, mask)) = self.metadata {
            parts.push(format!("write_metadata:0x{value:x}/0x{mask:x}"));
        }
        if let Some(table) = self.goto {
            parts.push(format!("goto_table:{table}"));
        }
        if parts.is_empty() { write!(f, "drop") } else { write!(f, "{}", parts.join(",")) }
    }
}

impl fmt::Display for Spec {
    /// As `ovs-ofctl add-flow` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table={},priority={},cookie=0x{:x}", self.table, self.priority, self.cookie)?;
        for (name, seconds) in [("idle_timeout", self.idle_timeout), ("hard_timeout", self.hard_timeout)] {
            if seconds != 0 {
                write!(f, ",{name}={seconds}")?;
            }
        }
        for term in &self.terms {
            write!(f, ",{term}")?;
        }
        write!(f, ",actions={}", self.doing)
    }
}

impl fmt::Display for Mod {
    /// The command of `ovs-ofctl` and its flow; deletions without actions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without_actions = |spec: &Spec| {
            let text = spec.to_string();
            text.split(",actions=").next().unwrap_or_default().to_owned()
        };
        match self {
            Self::Add(spec) => write!(f, "add {spec}"),
            Self::Modify(spec, false) => write!(f, "modify {spec}"),
            Self::Modify(spec, true) => write!(f, "modify_strict {spec}"),
            Self::Delete { spec, strict: true, .. } => write!(f, "delete_strict {}", without_actions(spec)),
            Self::Delete { spec, all: true, .. } => {
                write!(f, "delete in all tables {}", without_actions(spec))
            }
            Self::Delete { spec, .. } => write!(f, "delete {}", without_actions(spec)),
        }
    }
}
