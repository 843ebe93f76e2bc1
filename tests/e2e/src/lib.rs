//! What the end-to-end tests stand on: namespaces, hosts on veths, a switch with its database, and waiting.
//!
//! - [`Netns`] is a network namespace; [`Host`] one with a veth into a switch.
//! - [`Sandbox`] is a switch with a database of its own, in a directory and a namespace of its own: ours, or Debian's Open
//!   vSwitch ([`Flavor`]), so that a test can do the same to both and compare.
//! - [`Pair`] is one of each with the same set-up.
//! - [`wait_until`] waits for a condition; nothing here sleeps for luck.
//!
//! Everything that is made is removed when it is dropped, also when a test panics. Tests need root.

mod command;
mod netns;
mod pair;
mod sandbox;
mod wait;

pub use command::{Output, run, try_run};
pub use netns::{Host, Netns};
pub use pair::{Pair, Side, normalise};
pub use sandbox::{Flavor, Sandbox};
pub use wait::{wait_for, wait_until, wait_up_to};
