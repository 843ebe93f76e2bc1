//! Tunnels: VXLAN, and Geneve and GRE beside it.
//!
//! - [`Tunnel`]: what a port is configured to do; [`Tunnel::outgoing`] makes of it and of a flow what is to be sent.
//! - [`Tunnels`]: which port a received packet belongs to.
//! - [`Meta`]: what a tunnel header says; the `tun_*` fields of a flow key.
//! - [`decap()`](decap()): the outer headers of a received packet, validated; [`Decap::pull`] takes them off.
//! - [`Template`]: the outer headers of a flow, made once, and put in front of its packets; [`entropy`] for their UDP source port;
//!   [`Template::couple`] makes trains of the packets of a super-frame.
//! - [`too_big`]: the word to a sender whose packet does not fit.
//! - [`header`], [`geneve`], [`gre`]: the headers on the wire. [`Vni`]: a network identifier of 24 bits. [`Inner`]: what is inside.
//! - [`ecn`]: congestion marks across a tunnel.
//!
//! Nothing in this crate does I/O or reads a clock; routes and neighbours come in as values.
//!
//! The way in and the way out:
//!
//! ```
//! use packet::{FlowKey, FlowMask, Packet, extract};
//! use vxlan::tunnel::{Key, Remote};
//! use vxlan::{Fresh, Inner, Kind, Path, PortRange, Service, Template, Tunnel, Tunnels};
//!
//! let (here, there) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
//! let tunnel = Tunnel { out_key: Key::Fixed(5), in_key: Key::Fixed(5), ..Tunnel::new(Kind::Vxlan, Remote::Fixed(there)) };
//! tunnel.check()?;
//!
//! // Sending: what the tunnel and the flow say, and the route; then the same template for all packets of the flow.
//! let mut packet = Packet::copy_of(&[0xaa; 60])?;
//! let (key, _) = extract(packet.data(), 1);
//! let mut meta = tunnel.outgoing(&key, &mut FlowMask::default())?;
//! meta.src = here;
//! let path = Path { src_mac: [2; 6], dst_mac: [4; 6], mtu: 1500 };
//! let template = Template::new(&tunnel, Inner::Ethernet, &meta, &[], &path)?;
//! let src_port = PortRange::default().port(vxlan::entropy::flow_hash(&key));
//! template.push(&mut packet, Fresh { src_port, ..Fresh::default() })?;
//!
//! // Receiving, on the other end.
//! let mut tunnels = Tunnels::new(1000);
//! let back = Tunnel { remote: Remote::Fixed(here), ..tunnel };
//! tunnels.insert(&back, "port 7")?;
//! let (_, layers) = extract(packet.data(), 1);
//! let listener = tunnels.udp_listener(4789).unwrap();
//! let found = vxlan::decap(&packet, &layers, &listener)?;
//! assert_eq!(tunnels.find(listener.service, found.meta.src, found.meta.dst, found.meta.id), Some("port 7"));
//! found.pull(&mut packet)?;
//! assert_eq!(packet.data(), [0xaa; 60]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod decap;
pub mod ecn;
pub mod encap;
pub mod entropy;
pub mod geneve;
pub mod gre;
pub mod header;
mod inner;
mod lco;
pub mod lookup;
pub mod meta;
pub mod too_big;
mod train;
pub mod tunnel;
mod vni;

pub use decap::{Decap, DecapError, decap};
pub use encap::{EncapError, Fresh, Path, Template};
pub use entropy::PortRange;
pub use header::{Header, HeaderError, Policy, View};
pub use inner::{ETH_TYPE_NSH, ETH_TYPE_TEB, Inner};
pub use lookup::{Listener, Service, Tunnels};
pub use meta::{Flags, Meta};
pub use tunnel::{Kind, Tunnel};
pub use vni::Vni;

/// The UDP port that IANA assigned to VXLAN (RFC 7348, 5).
pub const UDP_PORT: u16 = 4789;
