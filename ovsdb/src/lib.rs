//! An OVSDB client (RFC 7047) for the `Open_vSwitch` database, without threads.
//!
//! From the wire up:
//!
//! - [`jsonrpc`] cuts a byte stream into JSON texts and reads them as JSON-RPC 1.0 messages. The `ovs-appctl` server uses it
//!   too.
//! - [`schema`] and [`value`] are the server's types, and values of them; [`snapshot`] is a copy of what is monitored,
//!   kept up to date by notifications; [`transaction`] is a change to be made.
//! - [`session`] is the conversation with one server: schema, lock, monitor, transactions. Bytes in, bytes out.
//! - [`client`] does the I/O, and connects again whenever the connection breaks. What was learned stays meanwhile.
//! - [`openvswitch`] is the typed view of the rows that configure a switch.
//!
//! # Rules
//!
//! Nothing blocks; time is an argument, but for the sockets in [`client`] nothing touches the system. A server may have an
//! older or a newer schema: what it lacks reads as the default and is never written, what is new is passed over. What a
//! server says is bounded in size and depth, and no nonsense of it is worse than the end of the connection.
//!
//! ```
//! use ovsdb::openvswitch::{self, Database};
//! use ovsdb::session::Session;
//!
//! let mut session = Session::new(openvswitch::DATABASE, openvswitch::LOCK, openvswitch::wanted());
//! session.connected();
//! assert!(session.output().starts_with(br#"{"#), "asks for the schema first");
//! session.output().clear();
//! session.receive(br#"{"id":1,"result":{"version":"8.3.1","tables":{"Bridge":{"columns":{"name":{"type":"string"}}}}},"error":null}"#)?;
//! session.receive(br#"{"id":3,"result":[false,"t",{"Bridge":{"11111111-2222-3333-4444-555555555555":{"initial":{"name":"br0"}}}}],"error":null}"#)?;
//! let (database, problems) = Database::read(session.snapshot().expect("a snapshot"));
//! assert!(problems.is_empty());
//! assert_eq!(database.bridges.into_values().next().map(|bridge| bridge.name).as_deref(), Some("br0"));
//! # Ok::<(), ovsdb::session::SessionError>(())
//! ```

pub mod client;
pub mod jsonrpc;
pub mod openvswitch;
mod reconnect;
pub mod schema;
pub mod session;
pub mod snapshot;
pub mod transaction;
pub mod value;
