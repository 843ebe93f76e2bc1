//! Connection tracking: what a packet means to the connection it belongs to.
//!
//! - [`Tracker::track`] takes one packet through one `ct()`: reads it, finds its connection, judges it by its
//!   protocol's state machine, keeps a connection where the [`Request`] says so, and writes the connection fields of the flow key.
//! - [`tuple`] says what tells connections apart, [`state`] the bits of a packet's connection state, [`timeout`] how long a
//!   connection is remembered.
//! - [`frag`] holds fragments until their datagram can be tracked.
//! - [`Tracker::sweep`], [`Tracker::dump`], [`Tracker::flush`] walk the table in slices as long as the caller allows.
//! - [`Tracker::subscribe`] tells what becomes of connections, as it happens.
//!
//! Nothing in this crate does I/O or reads a clock: time is an argument, in ns of any clock that does not go back.
//!
//! ```
//! use conntrack::{Config, Request, Tracker, state};
//! use packet::{Packet, extract};
//!
//! let tracker = Tracker::new(Config::default());
//! let frame = frames::Frame::new(frames::Net::V4(frames::V4::default())).build();
//! let mut packet = Packet::copy_of(&frame).unwrap();
//! let (mut key, mut layers) = extract(packet.data(), 2);
//! let commit = Request { zone: 1, commit: true, ..Request::default() };
//! tracker.track(&commit, &mut packet, &mut layers, &mut key, 1_000_000_000);
//! assert_eq!(state::format(key.ct_state.get(), u32::MAX), "new|trk");
//! assert_eq!(tracker.connections(), 1);
//! ```

pub mod alg;
mod conn;
mod counter;
mod dump;
mod event;
mod flush;
pub mod frag;
mod limit;
mod lock;
mod metadata;
pub mod nat;
mod parse;
mod proto;
mod related;
pub mod request;
pub mod state;
mod stats;
mod sweep;
mod table;
pub mod timeout;
mod tracker;
pub mod tuple;
mod view;

pub use alg::expect::ExpectInfo;
pub use dump::{ConnInfo, Cursor, ProtoInfo};
pub use event::{Event, Reason, Subscription, What};
pub use flush::{Filter, TupleFilter};
pub use limit::{Limits, ZoneLimit};
pub use proto::sctp::State as SctpState;
pub use proto::tcp::{State as TcpState, WindowScale};
pub use request::Request;
pub use stats::Stats;
pub use sweep::Swept;
pub use tracker::{Config, Tracked, Tracker};
pub use tuple::Tuple;
