//! OpenFlow connections: controllers that the switch connects to or that connect to it, and `ovs-ofctl`.
//!
//! # The way of a message
//!
//! Bytes of a [`stream::Stream`] are cut into messages by a `vconn`, which also exchanges hellos. An `rconn` opens the line, probes
//! it and opens it again when it breaks, by the timetable of `reconnect`. An `ofconn` adds what OpenFlow knows of a connection: its
//! `session` (role, formats, messages it wants), its bundles, its queues of packet-ins. `bridge_conns` gives all connections of a bridge
//! their turns; each message goes to a file of `handle`, which answers, refuses, or begins `work` that goes on over many turns.
//! What happens on the bridge comes the other way, through `notify` and `packet_in`.
//!
//! # Rules
//!
//! - No thread and no clock of its own: the control loop calls [`ConnManager::run`] with the time. (Only the length of a turn is
//!   measured, in `budget`.)
//! - A turn of a connection takes a millisecond at most, so an echo never waits for another connection's dump or bundle.
//! - Answers keep the order of requests: while one is under way, nothing else is read from its connection.
//! - One connection at a time changes the tables over several turns; others that want to wait, those that only ask go on.
//! - A barrier is answered when every worker has passed the version that was in force when it was read, and the packets that
//!   controllers sent before it are out. Packets sent meanwhile do not hold it up.
//! - Every queue is bounded: requests are not read while answers wait, packet-ins and notices are dropped for who does not read.
//!
//! Names, texts of the log, errors and the order of ports in replies are those of Open vSwitch 3.1.

mod age;
mod bridge_conns;
mod budget;
mod bundle;
mod change;
pub mod config;
mod devices;
mod door;
mod fail_open;
mod handle;
mod hello;
mod manager;
mod notify;
mod ofconn;
mod packet_in;
mod rconn;
mod reconnect;
mod session;
mod tokens;
mod vconn;
mod work;
mod writers;

pub(crate) use handle::arrange;

pub use config::{ConnConfig, ConnKind, ControllerConfig, ControllerStatus};
pub use manager::ConnManager;
pub use reconnect::Timing;
