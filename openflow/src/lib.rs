//! OpenFlow on the wire: versions 1.0 to 1.5 with the Nicira and ONF extensions, and one neutral model above them.
//!
//! Nothing in this crate does I/O, reads a clock or knows a switch's state. Bytes become values and values become bytes:
//!
//! - [`version`] and [`header`] cut a stream into messages and agree on a version;
//! - [`error`] names every reason for refusing a message and its number in each version.

pub mod error;
pub mod header;
pub mod port;
pub mod version;
pub mod wire;

pub use error::OfError;
pub use header::Header;
pub use port::OfPort;
pub use version::{Version, Versions};
