//! A walk over the rules of a bridge that pass a filter, in slices: for dumps, and to find what a change is about.
//!
//! # Algorithm
//!
//! Tables by number, tuples in the order of a lookup, rules in the order in which they were added. A step looks at no more than
//! [`SLICE`] rules, tuples and tables under the read lock, and remembers where it was.
//!
//! # Invariants
//!
//! - A walk for readers gives the rules of the version at which it began, whatever is added, replaced or deleted meanwhile: it
//!   holds a pin, and while there is one, no rule is taken out of its tuple ([`super::retire`]).
//! - A walk for a writer gives what stands as the writer sees it. Nobody else changes the tables meanwhile, except for rules that
//!   expire, or that packets teach: whoever acts on what was found looks again whether it stands.
//!
//! # Costs
//!
//! O(rules in the tables in question); a tuple whose mask cannot be within the filter's is passed over at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::Versioned;
use super::flow_table::{Filter, HIDDEN_TABLE, TABLES};
use super::rule::Rule;
use super::tuple::Place;
use crate::state::BridgeState;

/// Rules that a step looks at.
pub(crate) const SLICE: usize = 1024;

/// Which rules there are.
#[derive(Debug)]
enum View {
    /// Those that stand as the writer sees it; hidden ones too, or not.
    Writer { hidden: bool },
    /// Those that readers of this version see.
    Readers { version: u64, _pin: Arc<()> },
}

/// See the module documentation.
#[derive(Debug)]
pub struct Selection {
    filter: Filter,
    view: View,
    /// Tables to come.
    tables: Range<u8>,
    /// The one under way, and its tuples to come.
    table: u8,
    tuples: std::vec::IntoIter<u64>,
    /// The tuple under way, and where in it.
    tuple: Option<u64>,
    after: Option<Place>,
    found: VecDeque<Arc<Rule>>,
}

impl Selection {
    fn new(filter: Filter, view: View) -> Self {
        let tables = match filter.table {
            Some(table) if table <= HIDDEN_TABLE => table..table + 1,
            Some(_) => 0..0,
            None => 0..TABLES,
        };
        let (tuples, found) = (Vec::new().into_iter(), VecDeque::new());
        Self { filter, view, tables, table: 0, tuples, tuple: None, after: None, found }
    }

    /// What controllers may change.
    pub(super) fn for_writer(filter: Filter) -> Self {
        Self::new(filter, View::Writer { hidden: false })
    }

    /// Every rule of every table that controllers see, hidden ones too.
    pub(super) fn everything() -> Self {
        Self::new(Filter::default(), View::Writer { hidden: true })
    }

    /// What is shown to controllers.
    pub(crate) fn for_readers(filter: Filter, version: u64, bridge: &BridgeState) -> Self {
        Self::new(filter, View::Readers { version, _pin: Arc::clone(&bridge.pin) })
    }

    /// Goes on for a slice; whether that was all.
    pub(crate) fn step(&mut self, bridge: &BridgeState) -> bool {
        let mut left = SLICE;
        while left > 0 {
            if let Some(id) = self.tuple {
                left -= self.look_at(bridge, id, left);
            } else if self.open_next(bridge) {
                left -= 1;
            } else {
                return true;
            }
        }
        false
    }

    /// Goes to the next tuple, or the next table; false at the end.
    fn open_next(&mut self, bridge: &BridgeState) -> bool {
        (self.tuple, self.after) = (self.tuples.next(), None);
        if self.tuple.is_some() {
            return true;
        }
        let Some(table) = self.tables.next() else { return false };
        self.table = table;
        self.tuples = bridge.tables[usize::from(table)].classifier().tuple_ids().into_iter();
        true
    }

    /// Looks at no more than `most` rules of a tuple; how many those were.
    fn look_at(&mut self, bridge: &BridgeState, id: u64, most: usize) -> usize {
        let tuple = bridge.tables[usize::from(self.table)].classifier().tuple(id);
        let Some(tuple) = tuple.filter(|tuple| self.filter.covers(&tuple.mask)) else {
            self.tuple = None;
            return 0;
        };
        let mut looked = 0;
        for (place, rule) in tuple.iter_after(self.after).take(most) {
            looked += 1;
            self.after = Some(place);
            if self.view.shows(rule) && self.filter.selects(rule) {
                self.found.push_back(Arc::clone(rule));
            }
        }
        if looked < most {
            self.tuple = None;
        }
        looked
    }

    /// What was found so far, to be taken out.
    pub(crate) fn found(&mut self) -> &mut VecDeque<Arc<Rule>> {
        &mut self.found
    }
}

impl View {
    fn shows(&self, rule: &Rule) -> bool {
        match self {
            Self::Writer { hidden } => rule.is_live() && (*hidden || !rule.is_hidden()),
            Self::Readers { version, .. } => rule.visible_at(*version) && !rule.is_hidden(),
        }
    }
}
