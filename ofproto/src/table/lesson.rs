//! A flow that a packet teaches (`learn`): what it is to be, and whether the table has it already.
//!
//! A `learn` that would change nothing only lets the time of the flow begin anew, as in Open vSwitch. So does, later, the use of the
//! cached flow that came of that packet, which holds on to the rule by [`Taught`].

use std::sync::{Arc, OnceLock};

use openflow::action::{Learn, LearnDst, LearnFlags, LearnSrc, SetField, SetForm};
use openflow::{Action, FlowFlags, FlowMod, FlowModCommand, Instructions, Match, OfError, OfPort, SubField};
use packet::FlowKey;

use super::flow_table::FlowTable;
use super::rule::Rule;
use crate::state::BridgeId;

/// The rule that came of a lesson, once it is there.
pub(crate) type Taught = Arc<OnceLock<Arc<Rule>>>;

/// Highest number of an ordinary port in OpenFlow 1.0, plus one.
const PORTS_END: u32 = 0xff00;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Lesson {
    pub(crate) bridge: BridgeId,
    /// A strict modification of one flow, which adds it if it is not there.
    pub(crate) flow: Box<FlowMod>,
    pub(crate) table: u8,
    /// Flows of its table and cookie that there may be, 0 for any number.
    limit: usize,
    pub(crate) taught: Taught,
}

/// What a lesson comes to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The flow is there as it should be.
    Known(Arc<Rule>),
    /// It has to be added, or take the place of this rule.
    New(Option<Arc<Rule>>),
    /// There are too many already.
    Limit,
    /// There is no such table, or no room in it.
    Refused(OfError),
}

impl Lesson {
    /// What a packet whose key is `key` teaches.
    pub(crate) fn new(learn: &Learn, bridge: BridgeId, key: &FlowKey) -> Self {
        let mut flow_match = Match::any();
        let mut actions = Vec::new();
        if learn.fin_idle_timeout != 0 || learn.fin_hard_timeout != 0 {
            let (idle, hard) = (learn.fin_idle_timeout, learn.fin_hard_timeout);
            actions.push(Action::FinTimeout { idle, hard });
        }
        for spec in &learn.specs {
            let value = match &spec.src {
                LearnSrc::Field(src) => src.get(key),
                LearnSrc::Immediate(value) => *value,
            };
            match spec.dst {
                LearnDst::Match(dst) => restrict(&mut flow_match, dst, value),
                LearnDst::Load(dst) => actions.push(load(dst, value)),
                LearnDst::Output => actions.extend(output(value)),
            }
        }
        let remind = learn.flags.0 & LearnFlags::SEND_FLOW_REM != 0;
        let flow = FlowMod {
            command: FlowModCommand::ModifyStrict,
            table_id: Some(learn.table),
            flow_match,
            priority: learn.priority,
            new_cookie: (learn.cookie != u64::MAX).then_some(learn.cookie),
            idle_timeout: learn.idle_timeout,
            hard_timeout: learn.hard_timeout,
            flags: if remind { FlowFlags::SEND_FLOW_REM } else { FlowFlags::empty() },
            instructions: Instructions::apply(actions),
            ..FlowMod::default()
        };
        let limit = usize::try_from(learn.limit).unwrap_or(usize::MAX);
        Self { bridge, flow: Box::new(flow), table: learn.table, limit, taught: Taught::default() }
    }

    /// What it comes to in its table, once this many more flows of its cookie are there.
    pub(crate) fn judge(&self, flows: &FlowTable, more: usize) -> Verdict {
        let priority = i32::from(self.flow.priority);
        match flows.find_exactly(&self.flow.flow_match, priority) {
            Some(rule) if rule.was_published() && self.is_taught_by(rule) => Verdict::Known(Arc::clone(rule)),
            Some(rule) => Verdict::New(Some(Arc::clone(rule))),
            None if self.limit != 0 && flows.with_cookie(self.cookie()) + more >= self.limit => {
                Verdict::Limit
            }
            None if flows.is_full() && !flows.config.evict => Verdict::Refused(OfError::OFPFMFC_TABLE_FULL),
            None => Verdict::New(None),
        }
    }

    /// Whether it adds a flow that counts towards the limit of `other`, which is about another flow of the same table.
    pub(crate) fn adds_beside(&self, other: &Self, flows: &FlowTable) -> bool {
        let flow = |lesson: &Self| (lesson.flow.flow_match, lesson.flow.priority);
        let place = |lesson: &Self| (lesson.bridge, lesson.table, lesson.cookie());
        place(self) == place(other)
            && flow(self) != flow(other)
            && flows.find_exactly(&self.flow.flow_match, i32::from(self.flow.priority)).is_none()
    }

    pub(crate) fn cookie(&self) -> u64 {
        self.flow.new_cookie.unwrap_or(u64::MAX)
    }

    /// Whether a rule of the same match and priority is all that is taught.
    fn is_taught_by(&self, rule: &Rule) -> bool {
        let (spec, flow) = (rule.spec(), &self.flow);
        flow.new_cookie.is_none_or(|cookie| cookie == spec.cookie)
            && (flow.idle_timeout, flow.hard_timeout) == (rule.idle_timeout(), rule.hard_timeout())
            && spec.importance == flow.importance
            && spec.flags == flow.flags
            && *spec.instructions == flow.instructions
    }

    /// The flow as a trace tells of it.
    pub(crate) fn text(&self) -> String {
        let flow = &self.flow;
        let mut text = format!("table={} {}", self.table, flow.flow_match).trim_end().to_owned();
        text.push_str(&format!(" priority={}", flow.priority));
        for (name, value) in [("idle", flow.idle_timeout), ("hard", flow.hard_timeout)] {
            if name == "idle" && self.cookie() != 0 {
                text.push_str(&format!(" cookie={:#x}", self.cookie()));
            }
            if value != 0 {
                text.push_str(&format!(" {name}={value}"));
            }
        }
        if flow.flags.contains(FlowFlags::SEND_FLOW_REM) {
            text.push_str(" send_flow_rem");
        }
        text.push_str(&format!(" actions={}", flow.instructions));
        text
    }
}

fn restrict(m: &mut Match, dst: SubField, value: u128) {
    dst.set(&mut m.key, value);
    dst.set(&mut m.mask.0, u128::MAX);
}

fn load(dst: SubField, value: u128) -> Action {
    let (value, mask) = (value.checked_shl(u32::from(dst.ofs)).unwrap_or(0), dst.mask());
    Action::SetField(SetField { field: dst.field, value: value & mask, mask, form: SetForm::Load })
}

/// An output, if the value is a port of OpenFlow 1.0 that one may send to.
fn output(value: u128) -> Option<Action> {
    let port = OfPort::from_u16(u16::try_from(value).ok()?);
    let special = [OfPort::IN_PORT, OfPort::FLOOD, OfPort::ALL, OfPort::LOCAL];
    (port.0 < PORTS_END || special.contains(&port)).then_some(Action::Output { port, max_len: 0 })
}
