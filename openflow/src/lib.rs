//! OpenFlow on the wire: versions 1.0 to 1.5 with the Nicira and ONF extensions, and one neutral model above them.
//!
//! Nothing in this crate does I/O, reads a clock or knows a switch's state. Bytes become values and values become bytes:
//!
//! - [`version`] and [`header`] cut a stream into messages and agree on a version;
//! - [`error`] names every reason for refusing a message and its number in each version;
//! - [`field`] is the table of fields, by which all that is generic goes;
//! - [`flow_match`] and [`action`] are the neutral model of flows, [`flow_mod`] that of a change to them,
//!   [`flow_stats`] what is told of them;
//! - [`codec`] makes bytes of matches, actions and instructions, each version's own way;
//! - [`message`] has a value for every message and makes bytes of it in every version;
//! - [`text`] writes and reads flow syntax, letter for letter as Open vSwitch 3.1 does.
//!
//! ```
//! use openflow::{FlowMod, Version, text};
//!
//! let flow_match = text::parse_match("tcp,nw_dst=10.0.0.0/8,tp_dst=80", &|_| None)?;
//! let flow_mod = FlowMod { flow_match, ..FlowMod::default() };
//! let mut body = Vec::new();
//! flow_mod.encode_body(Version::V13, false, false, &mut body);
//! let back = FlowMod::decode(Version::V13, false, false, &body)?;
//! assert_eq!(back.flow_match.to_string(), "tcp,nw_dst=10.0.0.0/8,tp_dst=80");
//! assert_eq!(back.instructions.to_string(), "drop");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod action;
pub mod codec;
pub mod error;
pub mod field;
pub mod flow_match;
pub mod flow_mod;
pub mod flow_stats;
pub mod header;
pub mod message;
pub mod port;
pub mod text;
pub mod version;
pub mod wire;

pub use action::{Action, Instructions};
pub use codec::nxm;
pub use error::OfError;
pub use field::{FieldId, SubField};
pub use flow_match::Match;
pub use flow_mod::{FlowFlags, FlowMod, FlowModCommand};
pub use flow_stats::{FlowRemoved, FlowStats, FlowStatsRequest, RemovedReason};
pub use header::Header;
pub use message::{Dialect, Message};
pub use port::OfPort;
pub use version::{Version, Versions};
