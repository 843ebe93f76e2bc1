//! `dpctl/*conntrack*`, `dpctl/ct-*`, `dpctl/ipf-*` and `conntrack/events`: the connection tracker, as operators see and set it.
//!
//! All zones are in one tracker, by whichever of its names a datapath is asked for. Whatever takes time in proportion to the number
//! of connections is done in [slices](slice::Slice).

mod args;
mod dump;
mod events;
mod expectations;
mod flush;
mod flush_args;
mod fragments;
mod limits;
mod settings;
mod slice;
mod stats;

pub(crate) use events::text as event_text;

use crate::appctl::Command;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> Vec<Command<Control>> {
    let mut all = Vec::new();
    all.extend(dump::commands());
    all.extend(expectations::commands());
    all.extend(flush::commands());
    all.extend(stats::commands());
    all.extend(limits::commands());
    all.extend(settings::commands());
    all.extend(fragments::commands());
    all.extend(events::commands());
    all
}

/// The text of an argument that is not as it should be.
fn invalid(what: impl std::fmt::Display) -> String {
    format!("ovs-vswitchd: {what} (Invalid argument)")
}

/// The text of what may not be.
fn not_permitted(what: impl std::fmt::Display) -> String {
    format!("ovs-vswitchd: {what} (Operation not permitted)")
}
