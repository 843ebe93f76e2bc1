//! The owner of a datapath: whoever knows what to do with a packet that no cached flow covers.
//!
//! The datapath knows nothing of OpenFlow. It asks its owner, on the worker that has the packet, and caches the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64};

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
    /// There is no packet: a cached flow is looked at again, with the key of the packet that made it and an empty `frame`. The
    /// translation has no effects then.
    pub dry: bool,
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
    /// The version that what this packet taught made current, if nothing else has changed since [`Miss::version`]. Later packets of the
    /// batch are to be treated by it.
    pub advanced: Option<u64>,
}

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hits {
    /// Number of packets; a super-frame is one.
    pub packets: u64,
    /// Number of bytes, from the Ethernet header on.
    pub bytes: u64,
}

/// What one cached flow has counted. Written by the worker that owns the flow, read by anyone.
#[derive(Debug, Default)]
pub struct FlowStats {
    /// Packets forwarded by the cached flow; the one that made it is not among them.
    pub packets: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// When the last one came, in nanoseconds of the monotonic clock; 0 for never.
    pub last_used_ns: AtomicU64,
    /// All TCP flags seen.
    pub tcp_flags: AtomicU16,
}

/// Those to whom the packets of a cached flow are credited: rules, groups, tables, MAC entries. Made by the owner in a
/// translation.
///
/// A statistics reply *pulls*: it adds up what each credited thing counted itself and the [`FlowStats`] of the flows
/// attached to it, each from where it stood when it was attached. So nothing is owed when a reply is written.
pub trait Credit: Send + Sync + std::fmt::Debug {
    /// Counts packets that no cached flow counts: the one that made the flow, one that could not be cached.
    fn count(&self, hits: Hits, tcp_flags: u16, now_ns: u64);

    /// From now on `stats`, less what it holds now, counts here too, under the name `flow`, until detached.
    fn attach(&self, flow: u64, stats: &Arc<FlowStats>);

    /// What `flow` counted since it was attached becomes this side's own; the flow is let go.
    fn detach(&self, flow: u64);

    /// The flow was in use until `last_used_ns`: whatever ages with disuse (a learned MAC) is refreshed. Called at least
    /// once a second while traffic flows.
    fn refresh(&self, last_used_ns: u64);
}

/// Whoever decides.
pub trait Owner: Send + Sync {
    /// Decides what to do with a packet and with all packets that agree with it under the mask that is returned, and
    /// runs the effects of this packet that are not counting (learns its MAC, for instance), unless [`Miss::dry`]. Counts nothing itself: the
    /// datapath calls [`Credit::count`] or counts in the flow.
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation);

    /// Takes a packet that an [`Action::Punt`] sent up.
    fn punt(&self, cookie: u64, key: &FlowKey, frame: &[u8]);
}
