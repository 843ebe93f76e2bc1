//! Tunnels: VXLAN.
//!
//! What stands is the header: [`header::View`] reads it where it lies, [`header::Header`] is its validated value, [`Vni`] a
//! network identifier of 24 bits. Encapsulation, routes and tunnel ports are not here yet.
//!
//! Nothing in this crate does I/O or reads a clock.
//!
//! ```
//! use vxlan::{Header, Vni};
//! let header = Header { vni: Vni::new(5000).unwrap(), policy: None };
//! let bytes = header.emit();
//! assert_eq!(Header::parse(&bytes), Ok(header));
//! ```

pub mod header;
mod vni;

pub use header::{Header, HeaderError, View};
pub use vni::Vni;

/// The UDP port that IANA assigned (RFC 7348, 5).
pub const UDP_PORT: u16 = 4789;
