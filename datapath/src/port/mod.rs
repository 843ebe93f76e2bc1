//! Ports: what a worker needs of one, and what opens one.
//!
//! A port is opened once, by the control side, into queues: receive queues, each owned by one worker, and one transmit
//! queue for each worker. From then on no two threads share a queue, so none of them is locked. What threads do share of a
//! port (its name, counters, MTU) stands in [`Port`], in atomics.
//!
//! Drivers are thin: they move frames between the kernel and [`Packet`]s and set and honour the offload state of each; all that
//! a driver cannot do (checksums, segmentation) the worker has done before it calls [`TxQueue::send`], going by the
//! [`Capabilities`] that the driver gave.
//!
//! Kernel devices: [`packet_socket`] (with a receive ring, and [`silence`] for the host's stack behind it) and [`tap`] ([`taps`] knows
//! those that are open). In memory: [`replay`], [`null`], [`memory`].

mod counters;
mod landing;
pub mod memory;
pub mod null;
pub mod packet_socket;
pub mod replay;
mod ring;
pub mod silence;
mod spec;
pub mod tap;
pub mod taps;
mod verify;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use packet::Packet;

pub use counters::{Counters, PortStats};
pub use spec::{PortKind, PortSpec, ReplayOptions};

use crate::action::PortNo;

/// When a receive queue may have frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// When this descriptor is readable. It stays the same while the queue lives.
    Fd(RawFd),
    /// Always, without asking anyone: the worker does not sleep.
    Now,
    /// From this instant on, in nanoseconds of the monotonic clock.
    At(u64),
    /// Never again.
    Never,
}

/// A receive queue, owned by one worker.
pub trait RxQueue: Send {
    /// Appends at most `max` frames to `out`, in the order of their arrival; returns how many. Sets their offload state;
    /// their port of arrival and the counting of what was received are the worker's. Never blocks. Frames that had to be
    /// dropped are counted by the driver in [`Port::counters`].
    fn receive(&mut self, max: usize, now_ns: u64, out: &mut Vec<Packet>) -> usize;

    /// When to call [`receive`](Self::receive) again, once it has returned nothing.
    fn readiness(&self, now_ns: u64) -> Readiness;
}

/// A transmit queue, owned by one worker.
pub trait TxQueue: Send {
    /// Sends frames from the front of `batch`, and takes those out of it that were sent, or that never can be (counted by
    /// the driver in [`Port::counters`]). What stays in `batch` waits for room: the worker offers it again, in order, before
    /// newer frames. Never blocks.
    fn send(&mut self, batch: &mut Vec<Packet>);

    /// What becomes writable when there is room again, for a queue that may leave frames in a batch.
    fn poll_fd(&self) -> Option<RawFd> {
        None
    }
}

bitflags::bitflags! {
    /// What a port takes as it is on transmit. What it lacks, the worker does in software first.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Capabilities: u32 {
        /// Partial checksums (TCP, UDP).
        const CHECKSUM = 1;
        /// TCP over IPv4 super-frames.
        const TSO4 = 1 << 1;
        /// TCP over IPv6 super-frames.
        const TSO6 = 1 << 2;
        /// UDP super-frames, to be cut into datagrams (USO), over IPv4.
        const USO4 = 1 << 3;
        /// The same over IPv6.
        const USO6 = 1 << 4;
        /// TCP super-frames with congestion marks (CWR).
        const TSO_ECN = 1 << 5;
        /// Partial checksums of SCTP (CRC32c).
        const SCTP_CHECKSUM = 1 << 6;
    }
}

/// What all threads may know of a port.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    pub number: PortNo,
    /// How it was asked for.
    pub spec: PortSpec,
    /// Counters.
    pub counters: Counters,
    mtu: AtomicU32,
    capabilities: AtomicU32,
}

impl Port {
    /// A port without queues yet.
    pub fn new(number: PortNo, spec: PortSpec) -> Self {
        Self {
            number,
            mtu: AtomicU32::new(spec.mtu.unwrap_or(DEFAULT_MTU)),
            spec,
            counters: Counters::default(),
            capabilities: AtomicU32::new(0),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The largest payload of an Ethernet frame that it sends, in bytes; 0 for no limit.
    pub fn mtu(&self) -> u32 {
        self.mtu.load(Ordering::Relaxed)
    }

    /// The device's MTU is now this.
    pub fn set_mtu(&self, mtu: u32) {
        self.mtu.store(mtu, Ordering::Relaxed);
    }

    /// What it takes as it is.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::from_bits_truncate(self.capabilities.load(Ordering::Relaxed))
    }

    /// From now on it takes these as they are.
    pub fn set_capabilities(&self, capabilities: Capabilities) {
        self.capabilities.store(capabilities.bits(), Ordering::Relaxed);
    }
}

/// The MTU of a port whose driver has set none.
pub const DEFAULT_MTU: u32 = 1500;

/// Bytes after which a driver that copies frames from the kernel ends a batch: one super-frame, or 32 ordinary frames. What is
/// copied in then is still in the core's cache when it is copied out (measured: up to twice the TCP throughput of batches
/// of 32 super-frames).
const RECEIVE_AT_ONCE: usize = 48 * 1024;

/// The queues of a port that was opened.
#[derive(Default)]
pub struct Queues {
    /// Receive queues, any number.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// One transmit queue for each worker.
    pub tx: Vec<Box<dyn TxQueue>>,
    /// What must live as long as the port does (a BPF link, a device), dropped on the control thread after the queues.
    pub keep: Option<Box<dyn Send>>,
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues")
            .field("rx", &self.rx.len())
            .field("tx", &self.tx.len())
            .finish_non_exhaustive()
    }
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A name that is empty, or too long for a device
    #[error("{0}: bad port name")]
    BadName(String),
    /// There is a port of that name already
    #[error("{0}: port exists")]
    Exists(String),
    /// There is no such port
    #[error("no port {0}")]
    NoSuchPort(String),
    /// All port numbers are in use
    #[error("no port number is free")]
    Full,
    /// The device refused
    #[error("{name}: {what}: {source}")]
    Device {
        /// The device's name.
        name: String,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// What goes out of a loopback device comes back in
    #[error("{0}: cannot add a loopback device")]
    Loopback(String),
    /// An option is bad
    #[error("{name}: {what}")]
    Option {
        /// The port's name.
        name: String,
        /// What is wrong, naming option and value.
        what: String,
    },
}

impl PortError {
    /// What the database's `Interface.error` says of it, in Open vSwitch's words.
    pub fn open_text(&self) -> String {
        match self {
            Self::Device { name, source, .. } => {
                format!("could not open network device {name} ({})", crate::netdev::reason(source))
            }
            Self::BadName(name) => {
                let reason = crate::netdev::check_name(name).err().map(|error| crate::netdev::reason(&error));
                let reason = reason.as_deref().unwrap_or("Invalid argument");
                format!("could not open network device {name} ({reason})")
            }
            Self::Exists(name) => format!("could not open network device {name} (File exists)"),
            Self::Loopback(name) => {
                format!("could not add network device {name} to ofproto (Invalid argument)")
            }
            Self::NoSuchPort(_) | Self::Full | Self::Option { .. } => self.to_string(),
        }
    }
}

/// Opens the device of `port` with a transmit queue for each of `workers` workers. The driver sets MTU and capabilities.
pub fn open(port: &Arc<Port>, workers: usize) -> Result<Queues, PortError> {
    match &port.spec.kind {
        PortKind::Null => Ok(null::open(port, workers)),
        PortKind::Replay(options) => replay::open(port, options, workers),
        PortKind::Memory(wires) => Ok(memory::open(port, wires, workers)),
        PortKind::System => packet_socket::open(port, workers),
        PortKind::Internal | PortKind::Tap => tap::open(port, workers),
    }
}

#[cfg(test)]
mod device_tests;
