//! The commands of `ovs-appctl`, one file for each family.

mod conntrack;
mod daemon;
mod datapaths;
mod dpctl;
mod dpif;
mod fdb;
mod ofproto;
mod upcall;
mod vlog;

pub(crate) use conntrack::event_text;

use crate::appctl::Registry;
use crate::control::Control;

/// All commands.
pub fn all() -> Registry<Control> {
    let mut registry = Registry::default();
    registry.extend(daemon::commands());
    registry.extend(vlog::commands());
    registry.extend(fdb::commands());
    registry.extend(dpif::commands());
    registry.extend(upcall::commands());
    registry.extend(dpctl::commands());
    registry.extend(conntrack::commands());
    registry.extend(ofproto::commands());
    registry
}
