//! How a port is asked for.

use std::path::PathBuf;

use super::memory::Wires;

/// What stands behind a port.
#[derive(Clone, Debug)]
pub enum PortKind {
    /// An existing network device.
    System,
    /// A device of the switch's own that the host uses as one of its interfaces (a bridge's LOCAL port).
    Internal,
    /// A tap device of the switch's own.
    Tap,
    /// Frames from a file, from memory to memory; transmit counts and drops.
    Replay(ReplayOptions),
    /// Receives nothing; transmit counts and drops.
    Null,
    /// Two queues in memory, for tests.
    Memory(Wires),
}

impl PortKind {
    /// The type's name as Open vSwitch's datapath shows it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Internal | Self::Tap => "tap",
            Self::Replay(_) => "replay",
            Self::Null => "null",
            Self::Memory(_) => "memory",
        }
    }
}

/// A port that is wanted.
#[derive(Clone, Debug)]
pub struct PortSpec {
    /// The device's name.
    pub name: String,
    /// What it is.
    pub kind: PortKind,
    /// The MAC address that a device of our own gets when it is made.
    pub mac: Option<[u8; 6]>,
    /// The MTU that the device is to have.
    pub mtu: Option<u32>,
    /// Number of receive queues wanted; the driver may give fewer.
    pub n_rxq: usize,
}

impl PortSpec {
    /// A port of that name and kind, all else left to the driver.
    pub fn new(name: &str, kind: PortKind) -> Self {
        Self { name: name.to_owned(), kind, mac: None, mtu: None, n_rxq: 1 }
    }
}

/// Options of a replay port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The pcap file.
    pub pcap: PathBuf,
    /// Whether to begin again at its end.
    pub looped: bool,
    /// Frames per second at most.
    pub rate: Option<u64>,
    /// Frames in all at most.
    pub count: Option<u64>,
}
