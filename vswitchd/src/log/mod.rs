//! Logging in Open vSwitch's format ("vlog"): a level per module and destination, patterns, rate limits.
//!
//! The rest of the program logs through `tracing`; the *target* of an event is the vlog module's name (`bridge`,
//! `ofproto`, `vconn`, ...), and what a Rust path would say (`ofproto::conn`) counts as its first part.
//! [`install`] puts a [`Vlog`] under `tracing`; `ovs-appctl vlog/*` drives it later.
//!
//! An event costs one atomic load when no destination wants its level. Nothing here is called for a packet.

mod level;
mod pattern;
mod rate;
mod sink;
mod spec;
mod subscriber;

pub use sink::SyslogMethod;
pub use subscriber::{Vlog, install};
