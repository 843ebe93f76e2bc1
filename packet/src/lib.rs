//! Packets: buffers, header views, the flow key that is extracted from them and the edits that are made to them.
//!
//! - [`Packet`]: the handle of a frame, its pooled buffer ([`pool`]) and its [`offload`] state.
//! - [`checksum`]: whole and incremental sums.
//! - [`FlowKey`], [`FlowMask`]: every field a lookup can look at.
//! - [`ct_state`]: the connection state bits and their text.
//! - [`parse`]: from a frame to its key and the places of its headers.
//! - [`edit`]: fields set under masks, tags and labels pushed and popped, checksums kept right.
//! - [`gso`]: checksums completed and super-frames cut for ports that cannot.
//!
//! Nothing in this crate does I/O or reads a clock.

pub mod buffer;
pub mod checksum;
pub mod ct_state;
pub mod edit;
pub mod gso;
pub mod key;
pub mod offload;
pub mod parse;
pub mod pool;

pub use buffer::{HEADROOM, MAX_LEN, Packet, TooLong};
pub use key::{FlowKey, FlowMask};
pub use offload::{Checksum, Gso, GsoKind, Offload};
pub use parse::{Layers, extract, extract_into};
pub use pool::Class;
