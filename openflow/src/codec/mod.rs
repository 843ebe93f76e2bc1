//! Wire formats of matches, actions and instructions.
//!
//! - [`action`]: lists of actions;
//! - [`instruction`] for instructions;
//! - [`nxm`]: matches as lists of NXM or OXM entries (Nicira's extension of 1.0, and 1.2 up);
//! - [`ofp10`], [`ofp11`]: the fixed match structures of 1.0 and 1.1;
//! - [`oxs`]: statistics as 1.5 writes them.

pub mod action;
pub mod instruction;
pub mod nxm;
pub mod ofp10;
pub mod ofp11;
pub mod oxs;
