//! BPF programs of the switch and what loads them.
//!
//! The one program so far is two instructions long and made by hand, so that nobody needs clang or libbpf: it drops every frame
//! that the traffic-control ingress hook shows it ([`drop_program`]). A port that reads its frames through a packet socket attaches
//! it, because a packet socket only gets copies: without it, the host's own stack would see each frame too and might answer.
//! Packet sockets are served before that hook, XDP programs run before both, which is why this is no XDP program.
//!
//! There are two ways to attach it. [`TcxLink`] (Linux 6.6 and later) holds it by a descriptor and lets go when that is closed,
//! so also when the process dies. Where tcx is missing, the program's descriptor goes into a `clsact` filter, by netlink, which is
//! the caller's business.

mod program;
mod tcx;

use thiserror::Error;

pub use program::{Program, drop_program};
pub use tcx::TcxLink;

/// What the kernel refused.
#[derive(Debug, Error)]
pub enum BpfError {
    /// The program was not accepted
    #[error("loading a BPF program: {0}")]
    Load(#[source] std::io::Error),
    /// The program was not attached to the device
    #[error("attaching a BPF program to interface {ifindex}: {source}")]
    Attach {
        /// Index of the device.
        ifindex: u32,
        /// What the kernel said; `EINVAL` where it has no tcx.
        source: std::io::Error,
    },
}
