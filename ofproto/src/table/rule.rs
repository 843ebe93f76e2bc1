//! A rule: one flow of a flow table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use openflow::action::Action;
use openflow::{FlowFlags, Instructions, Match, OfPort};
use packet::{FlowKey, FlowMask};

use super::Versioned;
use super::shape::{Shape, Values};
use crate::counter::{Counter, Totals};

/// The version of a rule that is not yet visible, or not yet gone.
const NEVER: u64 = u64::MAX;

/// Lowest priority that no controller can give: rules from here on are the switch's own and are not shown.
pub const HIDDEN_PRIORITY: i32 = 65536;

/// Everything of a rule that is chosen by who adds it.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// Table.
    pub table: u8,
    /// Priority; from [`HIDDEN_PRIORITY`] on for the switch's own.
    pub priority: i32,
    /// Cookie.
    pub cookie: u64,
    /// Seconds without packets, 0 for ever.
    pub idle_timeout: u16,
    /// Seconds to live, 0 for ever.
    pub hard_timeout: u16,
    /// Eviction rank.
    pub importance: u16,
    /// Flags it was added with.
    pub flags: FlowFlags,
    /// What it does.
    pub instructions: Arc<Instructions>,
    /// When it was added, nanoseconds of the monotonic clock.
    pub created_ns: u64,
    /// When it was last changed.
    pub modified_ns: u64,
}

/// A rule. Its specification never changes: a modification replaces the rule.
#[derive(Debug)]
pub struct Rule {
    spec: RuleSpec,
    mask: Arc<FlowMask>,
    shape: Arc<Shape>,
    values: Values,
    /// Place among the rules of its tuple when they are listed.
    pub(crate) order: u64,
    counter: Arc<Counter>,
    added: AtomicU64,
    removed: AtomicU64,
    /// The writer has decided to remove it, whether readers see that already or not.
    doomed: AtomicBool,
    /// When a packet last taught it again, with nothing to change.
    refreshed_ns: AtomicU64,
    /// Cached flows rely on it to stand: they teach it, and would have to teach it again.
    taught: AtomicBool,
    /// Time-outs as they are now: a connection that ended may have made them shorter.
    timeouts: [AtomicU16; 2],
}

impl Rule {
    /// A rule that no reader sees yet.
    pub(crate) fn new(
        spec: RuleSpec,
        key: &FlowKey,
        (mask, shape): (Arc<FlowMask>, Arc<Shape>),
        order: u64,
        counter: Arc<Counter>,
    ) -> Self {
        let values = shape.values(key);
        let timeouts = [spec.idle_timeout.into(), spec.hard_timeout.into()];
        Self {
            spec,
            mask,
            shape,
            values,
            order,
            counter,
            added: AtomicU64::new(NEVER),
            removed: AtomicU64::new(NEVER),
            doomed: AtomicBool::new(false),
            refreshed_ns: AtomicU64::new(0),
            taught: AtomicBool::new(false),
            timeouts,
        }
    }

    /// What was asked for.
    pub fn spec(&self) -> &RuleSpec {
        &self.spec
    }

    /// Value of its match; zero outside [`mask`](Self::mask).
    pub fn key(&self) -> FlowKey {
        self.shape.expand(&self.values)
    }

    /// Which bits its match looks at.
    pub fn mask(&self) -> &FlowMask {
        &self.mask
    }

    /// Its match.
    pub fn flow_match(&self) -> Match {
        Match { key: self.key(), mask: *self.mask }
    }

    /// What it counted.
    pub fn totals(&self) -> Totals {
        self.counter.totals()
    }

    pub(crate) fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }

    /// When it was last used, or when it was added, if never. A rule that takes the place of the same one inherits this.
    pub fn used_ns(&self) -> u64 {
        self.totals().used_ns
    }

    /// When it was last changed, or taught again as it is.
    pub fn modified_ns(&self) -> u64 {
        self.spec.modified_ns.max(self.refreshed_ns.load(Ordering::Relaxed))
    }

    /// A packet taught it again as it is: its time begins anew.
    pub(crate) fn refresh(&self, now_ns: u64) {
        self.refreshed_ns.fetch_max(now_ns, Ordering::Relaxed);
    }

    /// Notes that cached flows rely on it to stand.
    pub(crate) fn set_taught(&self) {
        self.taught.store(true, Ordering::Relaxed);
    }

    /// Whether cached flows may rely on it to stand.
    pub(crate) fn is_taught(&self) -> bool {
        self.taught.load(Ordering::Relaxed)
    }

    /// Seconds without packets after which it goes, 0 for never.
    pub fn idle_timeout(&self) -> u16 {
        self.timeouts[0].load(Ordering::Relaxed)
    }

    /// Seconds to live since it was changed, 0 for ever.
    pub fn hard_timeout(&self) -> u16 {
        self.timeouts[1].load(Ordering::Relaxed)
    }

    /// Whether [`shorten_timeouts`](Self::shorten_timeouts) would change something.
    pub(crate) fn would_shorten(&self, idle: u16, hard: u16) -> bool {
        let shorter = |now: u16, most: u16| most != 0 && (now == 0 || now > most);
        shorter(self.idle_timeout(), idle) || shorter(self.hard_timeout(), hard)
    }

    /// Makes its time-outs at most these, in seconds; 0 leaves one as it is.
    pub(crate) fn shorten_timeouts(&self, idle: u16, hard: u16) {
        for (timeout, most) in self.timeouts.iter().zip([idle, hard]).filter(|(_, most)| *most != 0) {
            let shorter = |now: u16| (now == 0 || now > most).then_some(most);
            let _ = timeout.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shorter);
        }
    }

    /// Whether it is one of the switch's own, not shown to controllers.
    pub fn is_hidden(&self) -> bool {
        self.spec.priority >= HIDDEN_PRIORITY
    }

    /// Whether it stands, as the writer sees it: it is there, or about to be, and not about to go.
    pub(crate) fn is_live(&self) -> bool {
        !self.doomed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_doomed(&self, doomed: bool) {
        self.doomed.store(doomed, Ordering::Relaxed);
    }

    /// Whether it went for good: a transaction that removed it was committed, or the one that added it was not.
    pub(crate) fn is_gone(&self) -> bool {
        self.removed.load(Ordering::Relaxed) != NEVER || !self.is_live() && !self.was_published()
    }

    /// Whether a transaction that put it in was committed.
    pub(crate) fn was_published(&self) -> bool {
        self.added.load(Ordering::Relaxed) != NEVER
    }

    /// Readers see it from `version` on.
    pub(crate) fn appear(&self, version: u64) {
        self.added.store(version, Ordering::Relaxed);
    }

    /// Readers see it no more from `version` on.
    pub(crate) fn vanish(&self, version: u64) {
        self.removed.store(version, Ordering::Relaxed);
    }

    /// Whether its actions send to `port`.
    pub(crate) fn outputs_to(&self, port: OfPort) -> bool {
        let instructions = &self.spec.instructions;
        let written = instructions.write.iter().flatten();
        instructions.apply.iter().chain(written).any(|action| sends_to(action, port))
    }

    /// Whether its actions use group `group`.
    pub(crate) fn uses_group(&self, group: u32) -> bool {
        let instructions = &self.spec.instructions;
        let written = instructions.write.iter().flatten();
        instructions
            .apply
            .iter()
            .chain(written)
            .any(|action| matches!(action, Action::Group(id) if *id == group))
    }

    /// When it expires if no packet comes; [`NEVER`] if it has no time-out.
    pub(crate) fn expiry_ns(&self, now_ns: u64) -> u64 {
        let after = |since: u64, seconds: u16| {
            if seconds == 0 { NEVER } else { since.saturating_add(u64::from(seconds) * 1_000_000_000) }
        };
        let idle = if self.idle_timeout() == 0 {
            NEVER
        } else {
            after(self.used_ns().min(now_ns), self.idle_timeout())
        };
        idle.min(after(self.modified_ns(), self.hard_timeout()))
    }

    /// Whether its hard time-out has passed.
    pub(crate) fn is_past_hard_timeout(&self, now_ns: u64) -> bool {
        let seconds = u64::from(self.hard_timeout());
        seconds != 0 && now_ns >= self.modified_ns().saturating_add(seconds * 1_000_000_000)
    }

    /// Whether it could expire.
    pub(crate) fn has_timeout(&self) -> bool {
        self.idle_timeout() != 0 || self.hard_timeout() != 0
    }

    /// Whether it could come to have a time-out.
    pub(crate) fn may_expire(&self) -> bool {
        self.has_timeout()
            || self.spec.instructions.apply.iter().any(|action| matches!(action, Action::FinTimeout { .. }))
    }
}

fn sends_to(action: &Action, port: OfPort) -> bool {
    match action {
        Action::Output { port: to, .. }
        | Action::OutputTrunc { port: to, .. }
        | Action::Enqueue { port: to, .. } => *to == port,
        Action::Controller(_) => port == OfPort::CONTROLLER,
        _ => false,
    }
}

impl Versioned for Rule {
    fn priority(&self) -> i32 {
        self.spec.priority
    }

    fn visible_at(&self, version: u64) -> bool {
        self.added.load(Ordering::Relaxed) <= version && version < self.removed.load(Ordering::Relaxed)
    }

    fn order(&self) -> u64 {
        self.order
    }
}
