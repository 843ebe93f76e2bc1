//! [`Request`]: what a `ct()` action asks of the tracker.

use std::net::IpAddr;

/// A `ct()` action without what comes after it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Request {
    /// Zone.
    pub zone: u16,
    /// Keep the connection.
    pub commit: bool,
    /// With `commit`: a connection whose original direction is the packet's reply direction is replaced.
    pub force: bool,
    /// With `commit`: value and mask for the connection's mark.
    pub mark: Option<(u32, u32)>,
    /// With `commit`: value and mask for the connection's label, most significant bit first as in the flow key.
    pub label: Option<(u128, u128)>,
    /// Address translation: [`Nat::Known`] applies what the connection has, the others decide it for a new one.
    pub nat: Option<Nat>,
    /// Whose control channel this is.
    pub helper: Option<Helper>,
    /// Number of the timeout policy of connections that this commits; `None` for the default.
    pub timeout_policy: Option<u32>,
}

/// `nat` of a `ct()` action.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Nat {
    /// `nat`: translate as the connection says.
    Known,
    /// `nat(src=...)` or `nat(dst=...)`.
    Translate(NatRange),
}

/// To what a new connection is translated.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NatRange {
    /// Which side.
    pub side: NatSide,
    /// First and last address, both of the family of the packet; `None` for all-zero, "only if it collides".
    pub addrs: Option<(IpAddr, IpAddr)>,
    /// First and last port; `None` for any.
    pub ports: Option<(u16, u16)>,
    /// How one is chosen.
    pub choice: NatChoice,
    /// The same client is given the same address also after a restart.
    pub persistent: bool,
}

/// Which side is translated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NatSide {
    /// Source.
    Src,
    /// Destination.
    Dst,
}

/// How address and port are chosen from a range.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum NatChoice {
    /// As the tracker likes (a hash).
    #[default]
    Default,
    /// By a hash of the tuple.
    Hash,
    /// At random.
    Random,
}

/// A protocol that announces further connections in its payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Helper {
    /// FTP (RFC 959, RFC 2428).
    Ftp,
    /// TFTP (RFC 1350).
    Tftp,
}
