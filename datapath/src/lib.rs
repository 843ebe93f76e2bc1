//! The datapath: ports, workers, caches, the classifier of megaflows, the execution of actions.
//!
//! - [`Datapath`] is the control side: ports come and go, packets are handed in, flows are dumped.
//! - [`worker`] is the way of a packet, on the threads that have the ports' queues.
//! - [`owner`] is the one trait of whoever decides about packets that no cached flow covers, and [`stamps`] how a cached flow knows that
//!   the decision still stands.
//! - [`action`]: what is decided. [`drops`]: why packets go nowhere.
//! - [`odp`]: flows and actions as text, in the syntax of Open vSwitch's datapath commands.
//! - [`port`]: what a worker needs of a port, and the drivers: packet sockets ([`port::packet_socket`]), taps ([`port::tap`]), null,
//!   replay, memory.
//! - [`netdev`]: the host's network devices: facts, changes, word of what happens to them; [`netlink`] is what it is made of.
//! - [`takeover`]: what the openvswitch kernel module left becomes ours.
//!
//! Rules: a worker's way of a packet that hits neither allocates nor locks nor makes a system call other than the driver's;
//! the control side never stops a worker; time comes in as an argument below [`worker`].

pub mod action;
mod cache;
pub mod clock;
mod control;
pub mod drops;
mod execute;
mod megaflow;
pub mod netdev;
pub mod netlink;
pub mod odp;
pub mod owner;
pub mod port;
pub mod stamps;
pub mod takeover;
pub mod worker;

pub use control::{
    Busy, CacheStats, Config, Datapath, DropLine, LookupStats, OWN_PORT, StartError, parse_cpu_mask,
};
pub use megaflow::registry::{DumpCursor, FlowDump};
