//! The oracle: what the switch must do, said as plainly as possible, and a harness that compares.
//!
//! Design contract 2: for every table state, connection state and packet, the outcome with caches is the outcome without them. This
//! crate is the side without. It shares no classifier, no un-wildcarding, no key, no parser and no action code with the switch. The
//! connection tracker is the same, since it is no cache: each side has one of its own, fed in its own way, and what they hold is compared
//! after every packet.
//!
//! - [`field`] and [`view`]: a frame read and changed from its bytes.
//! - [`rule`]: rules and changes, which can also be told to the switch under test and to `ovs-ofctl`.
//! - [`world`]: the interpreter. [`normal`]: the learning switch. [`tracking`]: its connections.
//! - [`random`]: rules, changes and packets at random. [`reply`]: packets that answer others.
//! - [`rig`]: the real switch in this process: memory ports and one worker, stepped by hand.
//! - [`duel`]: drives both and compares every outcome and every counter.
//!
//! `cargo run -p oracle --release -- --seconds 1800 --seed 1` soaks; every failure names the seed that brings it back.

pub mod duel;
pub mod field;
pub mod normal;
pub mod random;
mod random_ct;
pub mod reply;
pub mod rig;
pub mod rule;
pub mod tracking;
pub mod view;
pub mod world;
