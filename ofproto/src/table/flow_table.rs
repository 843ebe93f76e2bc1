//! One flow table: a classifier of rules, its limit, its counters.

use std::sync::Arc;

use datapath::stamps::Slot;
use hashbrown::HashMap;
use openflow::{Match, OfPort};

use super::classifier::{Classifier, Touched};
use super::prefix::PrefixField;
use super::rule::{Rule, RuleSpec};
use super::shape::mix;
use crate::config::TableConfig;
use crate::counter::Counter;

/// Number of tables that controllers see.
pub const TABLES: u8 = 254;
/// The table that is the switch's own.
pub const HIDDEN_TABLE: u8 = 254;

/// Cookies of a table that are counted at most; rules of further ones are looked for each time.
const MAX_COUNTED: usize = 4096;

/// Which rules are meant.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Table; `None` for all that controllers see.
    pub table: Option<u8>,
    /// Rules within this match.
    pub within: Match,
    /// Only rules that output here; [`OfPort::NONE`] for any.
    pub out_port: OfPort,
    /// Only rules that use this group; `u32::MAX` for any.
    pub out_group: u32,
    /// The cookie must agree with this ...
    pub cookie: u64,
    /// ... in these bits.
    pub cookie_mask: u64,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            table: None,
            within: Match::any(),
            out_port: OfPort::NONE,
            out_group: u32::MAX,
            cookie: 0,
            cookie_mask: 0,
        }
    }
}

impl Filter {
    /// Whether rules that look at these bits can be within the match.
    pub(super) fn covers(&self, mask: &packet::FlowMask) -> bool {
        let mut pairs = mask.0.words().iter().zip(self.within.mask.0.words());
        pairs.all(|(narrow, wide)| wide & !narrow == 0)
    }

    /// Whether a rule of a mask that is [covered](Self::covers) passes.
    pub(super) fn selects(&self, rule: &Rule) -> bool {
        let within = self.within.is_any() || self.within.mask.matches(&rule.key(), &self.within.key);
        within && self.takes(rule)
    }

    /// Whether a rule, whose match is known to be within, passes the rest of the filter.
    fn takes(&self, rule: &Rule) -> bool {
        let cookie_ok = (rule.spec().cookie ^ self.cookie) & self.cookie_mask == 0;
        let port_ok = self.out_port == OfPort::NONE || rule.outputs_to(self.out_port);
        let group_ok = self.out_group == u32::MAX || rule.uses_group(self.out_group);
        cookie_ok && port_ok && group_ok
    }

    fn takes_exactly(&self, rule: &Rule, priority: i32) -> bool {
        rule.is_live() && rule.spec().priority == priority && self.takes(rule)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct FlowTable {
    seed: u64,
    /// How many live rules have a cookie, for the cookies that flows are learned under in limited number.
    counted: HashMap<u64, usize>,
    rules: Classifier<Rule>,
    live: usize,
    next_order: u64,
    pub(crate) config: TableConfig,
    /// Packets looked up here.
    pub(crate) lookups: Arc<Counter>,
    /// Packets that matched here.
    pub(crate) matches: Arc<Counter>,
}

fn prefix_fields(config: &TableConfig) -> Vec<PrefixField> {
    match &config.prefixes {
        None => PrefixField::DEFAULT.to_vec(),
        Some(names) => names.iter().filter_map(|name| PrefixField::parse(name)).collect(),
    }
}

impl FlowTable {
    pub(crate) fn new(seed: u64) -> Self {
        let config = TableConfig::default();
        Self {
            seed,
            counted: HashMap::new(),
            rules: Classifier::new(seed, &prefix_fields(&config)),
            live: 0,
            next_order: 0,
            config,
            lookups: Arc::default(),
            matches: Arc::default(),
        }
    }

    /// Rules that stand, as the writer sees it.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn classifier(&self) -> &Classifier<Rule> {
        &self.rules
    }

    /// Whether one more rule would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.config.flow_limit.is_some_and(|limit| self.live >= limit)
    }

    /// Takes over new settings. Other prefix fields mean that the classifier is built anew, rule by rule.
    pub(crate) fn configure(&mut self, config: TableConfig) {
        let fields = prefix_fields(&config);
        if !self.rules.prefix_fields().eq(fields.iter().copied()) {
            self.rules = self.rules.with_prefixes(&fields, Rule::key);
        }
        self.config = config;
    }

    /// Puts a rule in, not yet visible. `keep` hands on the place in listings and the counter of a rule that it replaces.
    pub(crate) fn insert(
        &mut self,
        spec: RuleSpec,
        m: &Match,
        keep: Option<(u64, Arc<Counter>)>,
    ) -> (Arc<Rule>, Touched) {
        let (order, counter) = keep.unwrap_or_else(|| {
            self.next_order += 1;
            (self.next_order, Arc::new(Counter::used_at(spec.created_ns)))
        });
        let shape = self.rules.shape(&m.mask);
        let rule = Arc::new(Rule::new(spec, &m.key, shape, order, counter));
        let touched = self.rules.insert(&m.key, &m.mask, Arc::clone(&rule));
        self.live += 1;
        self.recount(&rule);
        (rule, touched)
    }

    /// Marks a rule as about to go (or no longer so); readers see it until it [`vanish`](Rule::vanish)es.
    pub(crate) fn set_doomed(&mut self, rule: &Rule, doomed: bool) {
        if rule.is_live() == doomed {
            rule.set_doomed(doomed);
            self.live = if doomed { self.live - 1 } else { self.live + 1 };
            self.recount(rule);
        }
    }

    /// What changes for readers when a rule vanishes.
    pub(crate) fn slots_of_remove(&self, rule: &Rule) -> Touched {
        let mut touched = self.rules.slots_of_remove(&rule.key(), rule.mask());
        if rule.is_taught() {
            touched.push(self.rule_slot(&rule.flow_match(), rule.spec().priority));
        }
        if self.counted.contains_key(&rule.spec().cookie) {
            touched.push(self.cookie_slot(rule.spec().cookie));
        }
        touched
    }

    /// The slot that changes when a [taught](Rule::is_taught) rule with this match and priority goes.
    pub(crate) fn rule_slot(&self, m: &Match, priority: i32) -> Slot {
        let words = m.key.words().iter().chain(m.mask.0.words());
        let start = mix(self.seed, u64::from(priority as u32) << 32 | 5);
        Slot::of_hash(words.fold(start, |hash, word| mix(hash, *word)))
    }

    /// The slot that changes when a rule goes that has a [counted](Self::count_cookie) cookie.
    pub(crate) fn cookie_slot(&self, cookie: u64) -> Slot {
        Slot::of_hash(mix(mix(self.seed, 6), cookie))
    }

    /// Counts the rules that have a cookie from now on.
    pub(crate) fn count_cookie(&mut self, cookie: u64) {
        if self.counted.len() < MAX_COUNTED && !self.counted.contains_key(&cookie) {
            let count = self.scan_cookie(cookie);
            self.counted.insert(cookie, count);
        }
    }

    /// How many live rules have a cookie.
    pub(crate) fn with_cookie(&self, cookie: u64) -> usize {
        self.counted.get(&cookie).copied().unwrap_or_else(|| self.scan_cookie(cookie))
    }

    fn scan_cookie(&self, cookie: u64) -> usize {
        self.all().filter(|rule| rule.spec().cookie == cookie && !rule.is_hidden()).count()
    }

    /// A rule came or went.
    fn recount(&mut self, rule: &Rule) {
        if self.counted.is_empty() || rule.is_hidden() {
            return;
        }
        if let Some(count) = self.counted.get_mut(&rule.spec().cookie) {
            *count = if rule.is_live() { *count + 1 } else { count.saturating_sub(1) };
        }
    }

    /// Takes a doomed rule out for good; no reader may see it any more.
    pub(crate) fn purge(&mut self, rule: &Arc<Rule>) {
        self.rules.remove(&rule.key(), rule.mask(), rule);
    }

    /// The live rule with exactly this match and priority.
    pub(crate) fn find_exactly(&self, m: &Match, priority: i32) -> Option<&Arc<Rule>> {
        let mut same = self.rules.same_match(&m.key, &m.mask).iter();
        same.find(|rule| rule.is_live() && rule.spec().priority == priority)
    }

    /// As [`find_exactly`](Self::find_exactly), if the rule passes the rest of the filter.
    pub(crate) fn find_strict(&self, filter: &Filter, priority: i32) -> Option<&Arc<Rule>> {
        let mut same = self.rules.same_match(&filter.within.key, &filter.within.mask).iter();
        same.find(|rule| filter.takes_exactly(rule, priority))
    }

    /// Whether a live rule of this priority could match a packet that `m` matches too.
    pub(crate) fn overlaps(&self, m: &Match, priority: i32) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.is_live() && rule.spec().priority == priority && rule.flow_match().overlaps(m))
    }

    /// Every live rule, hidden ones too.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter().filter(|rule| rule.is_live())
    }

    /// The rule to evict so that another one fits: the one of least importance, and among those the one that expires
    /// first. Only rules with a time-out go, unless importance decides.
    pub(crate) fn eviction_victim(&self, now_ns: u64) -> Option<Arc<Rule>> {
        let candidates = self.all().filter(|rule| !rule.is_hidden() && rule.has_timeout());
        candidates.min_by_key(|rule| (rule.spec().importance, rule.expiry_ns(now_ns))).cloned()
    }
}
