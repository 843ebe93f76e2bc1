//! How long a connection is remembered after its last packet: [`Timeouts`] by [`Stage`], named by number in [`Policies`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// Where a connection stands in its life, as far as its timeout is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Stage {
    /// TCP: the first SYN (policy attribute `tcp_syn_sent`).
    TcpFirst,
    /// TCP: being opened (`tcp_syn_recv`).
    TcpOpening,
    /// TCP: open (`tcp_established`).
    TcpEstablished,
    /// TCP: one side has closed (`tcp_fin_wait`).
    TcpClosing,
    /// TCP: both sides have closed (`tcp_time_wait`).
    TcpFinWait,
    /// TCP: reset, or all is acknowledged (`tcp_close`).
    TcpClosed,
    /// UDP and others: one packet (`udp_first`).
    OtherFirst,
    /// UDP and others: several packets of one side (`udp_single`).
    OtherMultiple,
    /// UDP and others: packets of both sides (`udp_multiple`).
    OtherBidir,
    /// ICMP: no reply yet (`icmp_first`).
    IcmpFirst,
    /// ICMP: replied (`icmp_reply`).
    IcmpReply,
    /// SCTP: being opened.
    SctpOpening,
    /// SCTP: open.
    SctpEstablished,
    /// SCTP: being shut down.
    SctpClosing,
}

impl Stage {
    /// Number of stages.
    pub const COUNT: usize = 14;
}

/// Timeouts in seconds by [`Stage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts(pub [u32; Stage::COUNT]);

impl Default for Timeouts {
    /// Those of Open vSwitch's userspace tracker; SCTP's are those of Linux.
    fn default() -> Self {
        Self([30, 30, 24 * 60 * 60, 15 * 60, 45, 30, 60, 60, 30, 60, 30, 60, 210, 30])
    }
}

impl Timeouts {
    /// Seconds of a stage.
    pub fn seconds(&self, stage: Stage) -> u32 {
        self.0[stage as usize]
    }
}

/// Timeouts that connections share and that can change under them.
#[derive(Debug)]
pub(crate) struct Policy([AtomicU32; Stage::COUNT]);

impl Policy {
    fn new(timeouts: &Timeouts) -> Self {
        Self(timeouts.0.map(AtomicU32::new))
    }

    fn set(&self, timeouts: &Timeouts) {
        self.0.iter().zip(timeouts.0).for_each(|(held, seconds)| held.store(seconds, Relaxed));
    }

    /// Nanoseconds of a stage.
    pub(crate) fn ns(&self, stage: Stage) -> u64 {
        u64::from(self.0[stage as usize].load(Relaxed)) * 1_000_000_000
    }
}

/// The default policy and the numbered ones. Connections of a policy that is changed follow with their next packet; those of one
/// that is deleted keep its values.
#[derive(Debug)]
pub(crate) struct Policies {
    default: Policy,
    numbered: RwLock<HashMap<u32, Arc<Policy>>>,
}

impl Policies {
    pub(crate) fn new() -> Self {
        Self { default: Policy::new(&Timeouts::default()), numbered: RwLock::default() }
    }

    /// That of a connection.
    pub(crate) fn of<'a>(&'a self, held: &'a Option<Arc<Policy>>) -> &'a Policy {
        held.as_deref().unwrap_or(&self.default)
    }

    /// The policy with a number, if there is one.
    pub(crate) fn numbered(&self, id: u32) -> Option<Arc<Policy>> {
        self.numbered.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Makes or changes a policy; number 0 is the default.
    pub(crate) fn set(&self, id: u32, timeouts: &Timeouts) {
        if id == 0 {
            return self.default.set(timeouts);
        }
        let mut numbered = self.numbered.write().unwrap_or_else(PoisonError::into_inner);
        numbered.entry(id).or_insert_with(|| Arc::new(Policy::new(timeouts))).set(timeouts);
    }

    /// Forgets a policy; the default one gets its first values again. Whether there was one.
    pub(crate) fn delete(&self, id: u32) -> bool {
        if id == 0 {
            self.default.set(&Timeouts::default());
            return true;
        }
        self.numbered.write().unwrap_or_else(PoisonError::into_inner).remove(&id).is_some()
    }
}
