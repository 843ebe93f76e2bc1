//! What an operator sees: `dpctl/ipf-get-status`, and counters.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use packet::parse::eth_type;

use super::datagram::Datagram;
use super::piece::Key;
use super::{Family, Reason, Reassembler, lock};
use crate::tuple::Tuple;

/// State of the reassembler. Its text is that of `dpctl/ipf-get-status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// IPv4.
    pub v4: FamilyStatus,
    /// IPv6.
    pub v6: FamilyStatus,
    /// Most fragments that may wait.
    pub max_fragments: u32,
    /// Fragments that wait. A spoiled datagram, remembered until its time is over, counts as one.
    pub held: u32,
    /// Bytes of memory that they hold.
    pub bytes: u64,
}

/// Settings and counters (of fragments) of one version of IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FamilyStatus {
    /// Whether fragments are put together.
    pub enabled: bool,
    /// Least length of a fragment that is not the last, in bytes of the IP packet.
    pub min_size: u32,
    /// Taken in.
    pub accepted: u64,
    /// Sent on with their datagram tracked.
    pub completed: u64,
    /// Given up after their time.
    pub expired: u64,
    /// Refused as too small.
    pub too_small: u64,
    /// Refused or dropped because they overlap others, or repeat them.
    pub overlapped: u64,
    /// Dropped after they had waited, or because others of their datagram were.
    pub purged: u64,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "        Fragmentation Module Status")?;
        writeln!(f, "        ---------------------------")?;
        for (name, family) in [("v4", &self.v4), ("v6", &self.v6)] {
            writeln!(f, "        {name} enabled: {}", u8::from(family.enabled))?;
        }
        writeln!(f, "        max num frags (v4/v6): {}", self.max_fragments)?;
        writeln!(f, "        num frag: {}", self.held)?;
        for (name, family) in [("v4", &self.v4), ("v6", &self.v6)] {
            writeln!(f, "        min {name} frag size: {}", family.min_size)?;
            writeln!(f, "        {name} frags accepted: {}", family.accepted)?;
            writeln!(f, "        {name} frags completed: {}", family.completed)?;
            writeln!(f, "        {name} frags expired: {}", family.expired)?;
            writeln!(f, "        {name} frags too small: {}", family.too_small)?;
            writeln!(f, "        {name} frags overlapped: {}", family.overlapped)?;
            writeln!(f, "        {name} frags purged: {}", family.purged)?;
        }
        Ok(())
    }
}

/// A datagram of which some fragments are missing. Its text is a line of `dpctl/ipf-get-status -m`, without the end of line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incomplete {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// Recirculation id under which its fragments were met.
    pub recirc_id: u32,
    /// Identification.
    pub id: u32,
    /// Zone.
    pub zone: u16,
    /// IP protocol; 0 for IPv6.
    pub proto: u8,
    /// Fragments that are there.
    pub fragments: usize,
    /// Which are there: `first frag`, `last frag`, `first/last frag` or `other frag`; `reass fail` of a spoiled one.
    pub state: &'static str,
}

impl Incomplete {
    pub(super) fn new(key: &Key, datagram: &Datagram) -> Self {
        let family = if key.family == Family::V4 { 4 } else { 6 };
        let tuple = Tuple { src: key.src, dst: key.dst, family, ..Tuple::default() };
        Self {
            src: tuple.src_ip(),
            dst: tuple.dst_ip(),
            recirc_id: key.recirc_id,
            id: key.id,
            zone: key.zone,
            proto: key.proto,
            fragments: datagram.len(),
            state: datagram.state(),
        }
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { src, dst, recirc_id, id, zone, proto, fragments, state } = self;
        let dl_type = if src.is_ipv4() { eth_type::IPV4 } else { eth_type::IPV6 };
        write!(
            f,
            "(src={src},dst={dst},recirc_id={recirc_id},ip_id={id},dl_type={dl_type:#x},zone={zone},\
             nw_proto={proto},num_fragments={fragments},state={state})"
        )
    }
}

impl Reassembler {
    /// Settings and counters.
    pub fn status(&self) -> Status {
        Status {
            v4: self.family_status(Family::V4),
            v6: self.family_status(Family::V6),
            max_fragments: self.budget.max_held(),
            held: self.budget.held(),
            bytes: self.budget.bytes(),
        }
    }

    /// The datagrams that wait, in no particular order. There are never more than fragments may wait.
    pub fn incomplete(&self) -> Vec<Incomplete> {
        let mut out = Vec::new();
        self.shards.iter().for_each(|shard| lock(shard).list(&mut out));
        out
    }

    /// Number of fragments that were refused or dropped for this reason.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counters.reasons[reason as usize].load(Ordering::Relaxed)
    }

    /// Names and values of all counters of refused or dropped fragments.
    pub fn counters(&self) -> [(&'static str, u64); Reason::ALL.len()] {
        Reason::ALL.map(|reason| (reason.name(), self.count(reason)))
    }

    fn family_status(&self, family: Family) -> FamilyStatus {
        let counted = &self.counters.families[family as usize];
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FamilyStatus {
            enabled: self.settings.enabled(family),
            min_size: self.settings.min_size(family),
            accepted: read(&counted.accepted),
            completed: read(&counted.completed),
            expired: read(&counted.expired),
            too_small: read(&counted.too_small),
            overlapped: read(&counted.overlapped),
            purged: read(&counted.purged),
        }
    }
}

#[derive(Debug, Default)]
struct FamilyCounters {
    accepted: AtomicU64,
    completed: AtomicU64,
    expired: AtomicU64,
    too_small: AtomicU64,
    overlapped: AtomicU64,
    purged: AtomicU64,
}

/// Counts of fragments.
#[derive(Debug, Default)]
pub(super) struct Counters {
    families: [FamilyCounters; 2],
    reasons: [AtomicU64; Reason::ALL.len()],
}

impl Counters {
    pub(super) fn accepted(&self, family: Family) {
        add(&self.families[family as usize].accepted, 1);
    }

    pub(super) fn completed(&self, family: Family, fragments: u32) {
        add(&self.families[family as usize].completed, fragments);
    }

    pub(super) fn expired(&self, family: Family, fragments: u32) {
        add(&self.families[family as usize].expired, fragments);
    }

    pub(super) fn refused(&self, family: Family, reason: Reason) {
        add(&self.reasons[reason as usize], 1);
        match reason {
            Reason::TooSmall => add(&self.families[family as usize].too_small, 1),
            Reason::Overlap => add(&self.families[family as usize].overlapped, 1),
            _ => {}
        }
    }

    /// `reason` struck one fragment, and so many went with it.
    pub(super) fn dropped(&self, family: Family, reason: Reason, others: u32) {
        self.refused(family, reason);
        add(&self.reasons[reason as usize], others);
        add(&self.families[family as usize].purged, others);
    }
}

fn add(counter: &AtomicU64, n: u32) {
    counter.fetch_add(u64::from(n), Ordering::Relaxed);
}
