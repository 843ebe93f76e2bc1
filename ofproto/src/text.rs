//! Text of matches and actions, as Open vSwitch prints it.

use openflow::{Action, Match, SubField};

/// A match as in a dump of flows; empty for the one that everything meets.
pub(crate) fn flow_match(m: &Match) -> String {
    format!("{m:?}")
}

/// One action.
pub(crate) fn action(action: &Action) -> String {
    format!("{action:?}")
}

/// Actions, separated by commas.
pub(crate) fn actions(list: &[Action]) -> String {
    list.iter().map(action).collect::<Vec<_>>().join(",")
}

/// Part of a field.
pub(crate) fn subfield(sub: SubField) -> String {
    format!("{sub:?}")
}
