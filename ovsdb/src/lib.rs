//! An OVSDB client (RFC 7047) for the `Open_vSwitch` database, without threads.
//!
//! From the wire up:
//!
//! - [`jsonrpc`]: cuts a byte stream into JSON texts and reads them as JSON-RPC 1.0 messages. The `ovs-appctl` server uses
//!   it too.

pub mod client;
pub mod jsonrpc;
pub mod openvswitch;
mod reconnect;
pub mod schema;
pub mod session;
pub mod snapshot;
pub mod transaction;
pub mod value;
