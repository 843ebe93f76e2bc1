//! Protocols whose control channel announces further connections: FTP ([`ftp`]) and TFTP ([`tftp`]).
//!
//! What is announced becomes an *expectation* (`expect`): a tuple without source port whose connection will be `rel`. When the control
//! channel is translated, what it announces must be what the other side can reach: FTP's text is rewritten (`control`, `stream`, `rewrite`), which moves all
//! sequence numbers behind it.
//!
//! The parsers take what anybody may send: they are pure, bounded by their input's length and never fail but by finding nothing.

pub(crate) mod control;
pub(crate) mod expect;
pub mod ftp;
pub(crate) mod rewrite;
pub(crate) mod stream;
pub mod tftp;
