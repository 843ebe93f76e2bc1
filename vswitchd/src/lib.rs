//! The daemon: `turnoutd`, or `ovs-vswitchd` when started under that name.
//!
//! - [`cli`] and [`paths`] say what was asked for and where things are; [`daemon`] makes a background process of us.
//! - [`log`] writes what happens in Open vSwitch's format.
//! - [`control`] is the loop on the main thread, in which all but the forwarding of packets happens:
//!   - `reconcile` makes the switch what the database says, and `status` writes back what it is;
//!   - [`appctl`] serves `ovs-appctl`, whose commands are in [`commands`];
//!   - OpenFlow connections are `ofproto::conn`, bridges `ofproto::Switch`, ports and workers `datapath`.
//! - [`event_stream`] tells what becomes of connections, line by line;
//! - [`features`] says what the datapath can do, [`coverage`] tells rates of counters, [`clock`] the time.
//!
//! The rule: packets are not handled here.

pub mod appctl;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod control;
pub mod coverage;
pub mod daemon;
pub mod embedded_db;
pub mod event_stream;
pub mod features;
pub mod log;
pub mod paths;
pub mod reconcile;
mod start;
pub mod status;
mod upcalls;

pub use start::main;
