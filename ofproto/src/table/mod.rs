//! Flow tables: rules with versions, the classifier that finds them, and the changes that are made to them.
//!
//! A rule carries the version from which readers see it and the one from which they no longer do. A change
//! ([`txn`]) puts rules in and marks others, unseen, and then flips the version once.

pub(crate) mod classifier;
pub(crate) mod flow_table;
pub(crate) mod internal;
pub(crate) mod lesson;
pub(crate) mod prefix;
pub(crate) mod retire;
pub(crate) mod rule;
pub(crate) mod selection;
pub(crate) mod shape;
mod slots;
pub(crate) mod trie;
mod tuple;
pub(crate) mod txn;

/// What a classifier needs to know of a rule.
pub(crate) trait Versioned {
    /// Higher wins.
    fn priority(&self) -> i32;
    /// Whether a reader at this version sees it.
    fn visible_at(&self, version: u64) -> bool;
    /// Its place among the rules of its tuple when they are listed; another one at the same place has replaced it.
    fn order(&self) -> u64;
}

#[cfg(test)]
mod tests;
