//! Byte streams that never block: Unix-domain, TCP and TLS sockets under the names that Open vSwitch gives them. OVSDB
//! and OpenFlow connections stand on these.
//!
//! - [`Target`] is a parsed name: `tcp:HOST:PORT`, `ssl:..`, `unix:..` and the passive `ptcp:`, `pssl:`, `punix:`.
//! - [`Stream`] connects, reads and writes; [`Listener`] accepts. Both are registered with a mio `Registry`,
//!   edge-triggered, by whoever owns the loop.
//! - [`TlsFiles`] says where keys and certificates are. They are read again for each connection, so that a renewed
//!   certificate needs no restart.
//!
//! ```
//! use std::path::Path;
//! use stream::Target;
//!
//! let target = Target::parse("ptcp:6640:127.0.0.1", 6640, Path::new("/run/openvswitch"))?;
//! assert!(target.is_passive());
//! # Ok::<(), stream::TargetError>(())
//! ```

mod socket;
mod target;
mod tls;

pub use socket::{Listener, Stream};
pub use target::{Target, TargetError, Transport};
pub use tls::{TlsFiles, TlsStream};
