//! Address translation: to what a new connection is translated ([`choose`]), and packets rewritten so ([`apply`],
//! `apply_error`). `pressure` keeps searches in vain cheap.
//!
//! A translated connection has an original tuple and a reply tuple that is not its reverse. A packet of the original direction is
//! rewritten from the original tuple to the *reverse of the reply tuple*; a packet of the reply direction from the reply tuple to the
//! reverse of the original one. So the two tuples say all, whichever side is translated.

mod apply;
mod choose;
mod hash;
mod pressure;

pub use apply::apply;
pub(crate) use apply::apply_error;
pub use choose::{Dice, TRIES, choose};
pub(crate) use pressure::Pressure;
