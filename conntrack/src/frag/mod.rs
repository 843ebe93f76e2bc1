//! Fragments: put together for the tracker, sent on as they came.
//!
//! A `ct()` needs the ports of a packet and the sum over all of its payload, which a fragment does not have. So fragments wait in a
//! [`Reassembler`] until their datagram is whole; that is tracked once, and then the fragments go on, each of its own size and in
//! order of arrival, with the datagram's connection state and what address translation did to their share of it:
//!
//! ```
//! # use conntrack::frag::{Config, Frag, Fragment, Reassembler};
//! # fn each(reassembler: &Reassembler, packet: packet::Packet, key: packet::FlowKey, layers: packet::Layers) {
//! # let (zone, now_ns, track) = (0, 0, |_: &mut packet::Packet, _: &mut packet::FlowKey| false);
//! let fragment = Fragment { packet, key: &key, layers: &layers, zone, context: 0 };
//! match reassembler.take(fragment, now_ns) {
//!     Frag::NotOne(packet) => { /* track it */ }
//!     Frag::Held => { /* it is gone for now */ }
//!     Frag::Refused(packet, _) => { /* goes on, as `inv|trk` of the zone */ }
//!     Frag::Dropped(reason, fragments) => { /* count them */ }
//!     Frag::Whole(mut whole) => {
//!         let edited = track(&mut whole.packet, &mut whole.key);
//!         for part in whole.release(edited).into_iter().flatten() { /* goes on */ }
//!     }
//! }
//! # }
//! ```
//!
//! # Behaviour
//!
//! It is that of Open vSwitch's userspace datapath: which fragments are taken, the defaults, limits and texts, and that one that is not
//! taken goes on as invalid. Three things differ:
//!
//! - An IPv6 fragment that overlaps spoils its whole datagram, as RFC 5722 demands. (A byte for byte duplicate does not, RFC 8200 4.5;
//!   IPv4 knows no such rule: there, and for duplicates, the later fragment is refused and the earlier ones wait on.)
//! - Fragments that can never become part of a whole (empty; not last but no multiple of 8 long; beyond the end of the datagram or of what
//!   a datagram can be) are refused at once.
//! - Fragments go on in order of arrival; Open vSwitch sends them in order of offset, in batches of 32.
//!
//! # Locks and limits
//!
//! Datagrams are spread over [`SHARDS`] small mutexes by a seeded hash of what identifies them; putting together happens
//! outside. Packets that are no fragments touch none. Fragments and the memory they hold are counted against a common [`Config`] limit
//! before a lock is taken.

mod budget;
mod datagram;
mod part;
mod piece;
mod settings;
mod shard;
mod status;
#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::FixedState;
use packet::parse::eth_type;
use packet::{FlowKey, Layers, Packet};

pub use part::{Part, Resized, Whole};
pub use settings::{LimitError, MAX_FRAGMENTS_CEILING, MIN_SIZE_FLOOR};
pub use status::{FamilyStatus, Incomplete, Status};

use budget::Budget;
use datagram::Datagram;
use piece::Piece;
use settings::Settings;
use shard::{Entered, Shard};
use status::Counters;

/// How long fragments wait for the others, counted from the first that came: 15 s.
pub const TIMEOUT_NS: u64 = 15_000_000_000;

/// Number of mutexes.
pub const SHARDS: usize = 64;

/// What a reassembler is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Most bytes that waiting fragments may hold: their buffers, whole, and what is kept with them.
    pub max_bytes: u64,
    /// Seed of the hash.
    pub seed: u64,
}

impl Default for Config {
    /// 32 MiB.
    fn default() -> Self {
        Self { max_bytes: 32 << 20, seed: 0 }
    }
}

/// Version of IP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    fn of(layers: &Layers) -> Self {
        if layers.eth_type == eth_type::IPV6 { Self::V6 } else { Self::V4 }
    }
}

/// Why a fragment was not taken, or a datagram not put together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Reason {
    /// Putting together is turned off for this version of IP.
    Disabled,
    /// Offload state that no fragment can have: a super-frame, or a partial checksum.
    Offload,
    /// Empty, not last but no multiple of 8 bytes long, or headers that contradict each other.
    Malformed,
    /// Wrong checksum of the IPv4 header.
    BadChecksum,
    /// Not the last one, and smaller than the smallest size that is taken.
    TooSmall,
    /// The datagram would be longer than one can be.
    TooLong,
    /// It overlaps others of its datagram, or repeats one, or contradicts where the datagram ends.
    Overlap,
    /// As many fragments or bytes are waiting as may be, or as many of this one datagram.
    Full,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Disabled,
        Self::Offload,
        Self::Malformed,
        Self::BadChecksum,
        Self::TooSmall,
        Self::TooLong,
        Self::Overlap,
        Self::Full,
    ];

    /// Name of its counter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "conntrack_frag_disabled",
            Self::Offload => "conntrack_frag_offload",
            Self::Malformed => "conntrack_frag_malformed",
            Self::BadChecksum => "conntrack_frag_l3csum_err",
            Self::TooSmall => "conntrack_frag_too_small",
            Self::TooLong => "conntrack_frag_too_long",
            Self::Overlap => "conntrack_frag_overlap",
            Self::Full => "conntrack_frag_full",
        }
    }
}

/// A packet that may be a fragment, and where it was met.
#[derive(Debug)]
pub struct Fragment<'a> {
    /// The packet.
    pub packet: Packet,
    /// Its key. The recirculation id keeps the fragments of one `ct()` from those of another.
    pub key: &'a FlowKey,
    /// Its layers.
    pub layers: &'a Layers,
    /// The zone it is to be tracked in.
    pub zone: u16,
    /// The caller's own; comes back with the [`Part`].
    pub context: u64,
}

/// What became of a packet.
#[derive(Debug)]
pub enum Frag {
    /// It is no fragment: to be tracked as it is.
    NotOne(Packet),
    /// It waits for others.
    Held,
    /// It was the last one missing.
    Whole(Box<Whole>),
    /// It cannot be put together: it goes on, tracked and invalid.
    Refused(Packet, Reason),
    /// So many fragments are gone for good: this one, and those of its datagram that waited.
    Dropped(Reason, u32),
}

/// Whether a packet with these layers is a fragment. An IPv6 packet whose fragment header says that it is whole is none (RFC 6946).
pub fn is_fragment(layers: &Layers) -> bool {
    layers.nw_frag != 0
}

/// Fragments that wait for others. See the module documentation.
#[derive(Debug)]
pub struct Reassembler {
    shards: Box<[Mutex<Shard>]>,
    hash: FixedState,
    budget: Budget,
    settings: Settings,
    counters: Counters,
    /// Shard at which the next sweep begins.
    hand: AtomicUsize,
}

impl Default for Reassembler {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Reassembler {
    /// An empty one.
    pub fn new(config: Config) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hash: FixedState::with_seed(config.seed),
            budget: Budget::new(config.max_bytes),
            settings: Settings::default(),
            counters: Counters::default(),
            hand: AtomicUsize::new(0),
        }
    }

    /// Takes a packet that is about to be tracked.
    pub fn take(&self, fragment: Fragment<'_>, now_ns: u64) -> Frag {
        if !is_fragment(fragment.layers) {
            return Frag::NotOne(fragment.packet);
        }
        let family = Family::of(fragment.layers);
        let (id, piece) = match self.judge(&fragment, family) {
            Ok(known) => known,
            Err(reason) => return self.refuse(family, fragment.packet, reason),
        };
        let part = Part::new(fragment, piece);
        if !self.budget.reserve(part.charge) {
            return self.refuse(family, part.packet, Reason::Full);
        }
        let entered = lock(self.shard(&id)).enter(id, part, now_ns);
        match entered {
            Entered::Held => {
                self.counters.accepted(family);
                Frag::Held
            }
            Entered::Complete(datagram) => {
                self.counters.accepted(family);
                self.finish(datagram)
            }
            Entered::Refused(packet, charge, reason) => {
                self.budget.release(1, u64::from(charge));
                self.refuse(family, packet, reason)
            }
            Entered::Spoiled { waited, charge } => {
                self.budget.release(waited, charge);
                self.discard(family, Reason::Overlap, waited)
            }
            Entered::Late(charge) => {
                self.budget.release(1, u64::from(charge));
                self.discard(family, Reason::Overlap, 0)
            }
        }
    }

    /// Gives up fragments whose time is over, a datagram at a time, until `expired` holds `budget` or more, and returns how many
    /// there were. Whoever calls it often and with a small budget is never away for long. Open vSwitch lets such fragments go on
    /// as invalid.
    pub fn sweep(&self, now_ns: u64, budget: usize, expired: &mut Vec<Part>) -> usize {
        let before = expired.len();
        if self.budget.is_empty() {
            return 0;
        }
        let hand = self.hand.load(Ordering::Relaxed);
        for step in 0..SHARDS {
            let at = (hand + step) % SHARDS;
            while expired.len() < budget {
                let Some(datagram) = lock(&self.shards[at]).expire(now_ns) else { break };
                self.give_up(datagram, expired);
            }
            if expired.len() >= budget {
                self.hand.store(at, Ordering::Relaxed);
                break;
            }
        }
        expired.len() - before
    }

    fn judge(&self, fragment: &Fragment<'_>, family: Family) -> Result<(piece::Key, Piece), Reason> {
        if !self.settings.enabled(family) {
            return Err(Reason::Disabled);
        }
        let (id, piece) = Piece::read(&fragment.packet, fragment.layers, fragment.key, fragment.zone)?;
        if piece.more && piece.ip_len() < self.settings.min_size(family) as usize {
            return Err(Reason::TooSmall);
        }
        Ok((id, piece))
    }

    fn finish(&self, datagram: Datagram) -> Frag {
        let family = datagram.family();
        let (count, bytes) = datagram.charge();
        self.budget.release(count, bytes);
        match datagram.assemble() {
            Ok(whole) => {
                self.counters.completed(family, count);
                Frag::Whole(Box::new(whole))
            }
            Err(reason) => self.discard(family, reason, count - 1),
        }
    }

    fn give_up(&self, datagram: Datagram, expired: &mut Vec<Part>) {
        let (count, bytes) = datagram.charge();
        self.budget.release(count, bytes);
        self.counters.expired(datagram.family(), datagram.len() as u32);
        expired.extend(datagram.into_parts());
    }

    fn refuse(&self, family: Family, packet: Packet, reason: Reason) -> Frag {
        self.counters.refused(family, reason);
        Frag::Refused(packet, reason)
    }

    /// One fragment and `others` that waited are gone.
    fn discard(&self, family: Family, reason: Reason, others: u32) -> Frag {
        self.counters.dropped(family, reason, others);
        Frag::Dropped(reason, others + 1)
    }

    fn shard(&self, id: &piece::Key) -> &Mutex<Shard> {
        // The maps inside use the upper and the lower bits.
        let bits = (self.hash.hash_one(id) >> 32) as usize;
        &self.shards[bits % SHARDS]
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
