//! The control socket: what `ovs-appctl` talks to ("unixctl").
//!
//! JSON-RPC 1.0 on a Unix stream socket. [`Registry`] says which commands there are and how many arguments they take;
//! [`Server`] reads requests and writes replies, on the control thread, without ever waiting for a client.
//! A command answers at once, or [later](Outcome::Later), when something that it asked for has come about.

mod registry;
mod server;

pub use registry::{Answer, Command, Outcome, Pending, Registry};
pub use server::Server;
