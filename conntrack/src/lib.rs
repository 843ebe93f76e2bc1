//! Connection tracking: what a packet means to the connection it belongs to.
//!
//! The tracker itself is not here yet. What stands is what the rest of the switch needs to speak of it: the bits of a packet's
//! connection state ([`state`]) with their names, which live in the `packet` crate beside the key they are a field of,
//! and the rule which of them can stand together ([`state::is_possible`]).
//!
//! Nothing in this crate does I/O or reads a clock.
//!
//! ```
//! use conntrack::state;
//! assert_eq!(state::format(state::NEW | state::TRK, u32::MAX), "new|trk");
//! assert!(!state::is_possible(state::NEW));
//! ```

pub mod nat;
mod parse;
mod proto;
mod related;
pub mod request;
pub mod state;
pub mod timeout;
pub mod tuple;
mod view;
