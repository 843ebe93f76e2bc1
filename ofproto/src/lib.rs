//! Bridges: OpenFlow tables, translation, MAC learning, connections to controllers.
//!
//! # Tour
//!
//! - [`Switch`] holds all bridges on one datapath and is its owner: it translates misses and takes packets sent up.
//! - [`Bridge`] is the handle to one bridge: settings, ports, flow tables, MAC table, events.
//! - [`config`] says what a bridge, a port and an interface are configured to be.
//! - `table` holds rules with versions, the classifier, and transactions that change tables.
//! - `xlate` translates a packet into datapath actions, a mask, dependencies and debts; `trace` shows such a walk.
//! - `counter` holds exact counters that pull from cached flows, `context` what numbers in datapath actions stand for.
//! - [`mac`] is the learning table, `expiry` ends rules whose time is up, slice by slice.
//! - [`events`] carries packets and news to the controllers' connections.
//! - [`conn`] speaks OpenFlow with controllers.
//!
//! # Rules
//!
//! Time and randomness are arguments. Only the control thread changes settings and tables; workers only learn: MACs, and the flows
//! that `learn` asks for, which wait while the control thread is in the middle of a change.

mod bridge;
mod check;
pub mod config;
pub mod conn;
mod context;
mod counter;
pub mod events;
mod expiry;
pub mod mac;
mod owner;
mod packet_out;
pub mod port;
mod state;
mod switch;
pub(crate) mod table;
mod trace;
mod xlate;
mod zones;

pub use bridge::{Bridge, BridgeError, TableStats};
pub use counter::{Counter, Totals};
pub use state::{BridgeId, FragMode};
pub use switch::Switch;
pub use table::flow_table::{Filter, HIDDEN_TABLE, TABLES};
pub use table::rule::{HIDDEN_PRIORITY, Rule, RuleSpec};
pub use table::txn::Txn;
pub use zones::ZonePolicies;
