//! The control socket: what `ovs-appctl` talks to ("unixctl").
//!
//! JSON-RPC 1.0 on a Unix stream socket. [`Registry`] says which commands there are and how many arguments they take;
//! [`Server`] reads requests and writes replies, on the control thread, without ever waiting for a client.
//! A command answers at once, or [later](Outcome::Later), when something that it asked for has come about, or with a long text
//! [piece by piece](Outcome::Pieces), as fast as the client reads it and a slice of work in each turn of the control loop.

mod client;
mod registry;
mod server;

pub use registry::{Answer, Command, Outcome, Pending, Pieces, Progress, Registry};
pub use server::Server;
