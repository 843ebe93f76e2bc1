//! Packets: buffers, header views, the flow key that is extracted from them and the edits that are made to them.
//!
//! Nothing in this crate does I/O or reads a clock.

pub mod key;

pub use key::{FlowKey, FlowMask};
