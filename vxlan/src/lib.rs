//! Tunnels: VXLAN, and Geneve and GRE beside it.
//!
//! - [`Tunnel`]: what a port is configured to do; [`Tunnel::outgoing`] makes of it and of a flow what is to be sent.
//! - [`Tunnels`]: which port a received packet belongs to.
//! - [`Meta`]: what a tunnel header says; the `tun_*` fields of a flow key.
//! - [`header`], [`geneve`], [`gre`]: the headers on the wire. [`Vni`]: a network identifier of 24 bits. [`Inner`]: what is inside.
//! - [`ecn`]: congestion marks across a tunnel.
//!
//! Nothing in this crate does I/O or reads a clock; routes and neighbours come in as values.
//!
//! ```
//! use vxlan::{Header, Vni};
//! let header = Header { vni: Vni::new(5000).unwrap(), policy: None };
//! let bytes = header.emit();
//! assert_eq!(Header::parse(&bytes), Ok(header));
//! ```

pub mod ecn;
pub mod geneve;
pub mod gre;
pub mod header;
mod inner;
pub mod lookup;
pub mod meta;
pub mod tunnel;
mod vni;

pub use header::{Header, HeaderError, Policy, View};
pub use inner::{ETH_TYPE_NSH, ETH_TYPE_TEB, Inner};
pub use lookup::{Listener, Service, Tunnels};
pub use meta::{Flags, Meta};
pub use tunnel::{Kind, Tunnel};
pub use vni::Vni;

/// The UDP port that IANA assigned to VXLAN (RFC 7348, 5).
pub const UDP_PORT: u16 = 4789;
