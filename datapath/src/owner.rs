//! The owner of a datapath: whoever knows what to do with a packet that no cached flow covers.
//!
//! The datapath knows nothing of OpenFlow. It asks its owner, on the worker that has the packet, and caches the answer.

use std::sync::Arc;

use packet::{FlowKey, FlowMask};
use smallvec::SmallVec;

use crate::action::Action;
use crate::stamps::Slot;

/// A packet that no cached flow covers.
#[derive(Clone, Copy, Debug)]
pub struct Miss<'a> {
    /// Its key, in terms of datapath ports.
    pub key: &'a FlowKey,
    /// Its bytes as received, for effects that need more than the key.
    pub frame: &'a [u8],
    /// The version at which the batch is processed; the owner's tables are read as they stood then.
    pub version: u64,
    /// Now, in nanoseconds of the monotonic clock.
    pub now_ns: u64,
}

/// What a translation came to: everything that is needed to treat this packet and all like it.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// What to do.
    pub actions: Vec<Action>,
    /// Which bits of the key the answer depends on. May be narrower than it needs to be, never wider.
    pub mask: FlowMask,
    /// What, besides the key, the answer depends on.
    pub depends: SmallVec<[Slot; 8]>,
    /// What packets of this flow owe to the owner: counters to credit, MACs to refresh.
    pub credit: Option<Arc<dyn Credit>>,
    /// Whether the answer may be cached at all.
    pub cacheable: bool,
}

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hits {
    /// Number of packets; a super-frame is one.
    pub packets: u64,
    /// Number of bytes, from the Ethernet header on.
    pub bytes: u64,
}

/// What cached packets owe to the owner.
pub trait Credit: Send + Sync + std::fmt::Debug {
    /// `hits` more packets went through since the last call; the last one at `last_used_ns`. Called on the packet that
    /// made the flow, at least once a second while traffic flows, when the flow dies, and before statistics are read.
    fn credit(&self, hits: Hits, tcp_flags: u16, last_used_ns: u64);
}

/// Whoever decides.
pub trait Owner: Send + Sync {
    /// Decides what to do with a packet and with all packets that agree with it under the mask that is returned, and
    /// runs the effects of this packet that are not in `credit` (learns its MAC, for instance).
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation);

    /// Takes a packet that an [`Action::Punt`] sent up.
    fn punt(&self, cookie: u64, key: &FlowKey, frame: &[u8]);
}
