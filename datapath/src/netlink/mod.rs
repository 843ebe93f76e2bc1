//! Netlink, as thin as the switch needs it: requests, attributes, sockets, network namespaces.
//!
//! - [`message`]: building requests and reading attributes, pure.
//! - [`socket`]: asking and listening, on any netlink protocol (routing, generic).
//! - [`netns`]: doing things inside another network namespace. A netlink socket belongs for life to the namespace it
//!   was opened in, so one that was opened on a helper thread inside a namespace serves that namespace from then on.
//!
//! Why not a library: three families (links, traffic control, the openvswitch module's) use five message types between them,
//! and two of the three families have no crate. One codec of 150 lines covers all.

pub mod message;
pub mod netns;
pub mod socket;

pub use message::{Attributes, Message, Request};
pub use netns::Netns;
pub use socket::Socket;
