//! What the control side and the workers share: queues of commands and packets to each worker, and how far each has come.
//!
//! # Passing a version
//!
//! A worker tells in [`WorkerShared::seen`] a version below which it treats no packet any more. While it sleeps that is
//! [`ASLEEP`], above all versions. It is stored once the version of a batch is loaded, when nothing of the batch before is
//! left in the worker.
//!
//! A worker that wakes first stores a real version, then a sequentially consistent fence, then loads the version for its
//! batch. Whoever asks [`WorkerShared::passed`] has published the version before and fences before it looks. So either it
//! sees that the worker is awake, or the worker sees the new version. (The classic store-buffering pattern.)

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use conntrack::Tracker;
use crossbeam_queue::{ArrayQueue, SegQueue};
use nix::sys::eventfd::{EfdFlags, EventFd};
use packet::{FlowKey, Packet};

use super::config::Config;
use crate::action::{Action, PortNo};
use crate::megaflow::registry::Registry;
use crate::owner::Owner;
use crate::port::{Port, RxQueue, TxQueue};
use crate::stamps::Stamps;

/// [`WorkerShared::seen`] of a worker that sleeps.
pub(crate) const ASLEEP: u64 = u64::MAX;

/// The most packets that wait to be executed on one worker.
pub(crate) const EXECUTE_QUEUE: usize = 1024;

/// What the control side tells a worker to do, between batches.
pub(crate) enum Command {
    /// Serve a port: its transmit queue and some of its receive queues.
    AddPort { port: Arc<Port>, rx: Vec<Box<dyn RxQueue>>, tx: Box<dyn TxQueue> },
    /// Let go of a port and its queues.
    DelPort(PortNo),
    /// Work by these settings.
    Configure(Arc<Config>),
    /// Drop all cached flows.
    Purge,
    /// Look at every cached flow once before this counts as done.
    SweepAll,
    /// End.
    Stop,
}

/// A packet that the control side wants treated.
pub(crate) struct Execute {
    pub(crate) packet: Packet,
    pub(crate) key: FlowKey,
    pub(crate) actions: Vec<Action>,
}

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) owner: OnceLock<Arc<dyn Owner>>,
    /// Cached flows of all workers.
    pub(crate) flows: AtomicUsize,
    /// The most that there ever were.
    pub(crate) flows_max: AtomicUsize,
    /// Number of the next cached flow.
    pub(crate) next_flow: AtomicU64,
    pub(crate) coverage: Coverage,
    /// Drops of ports that are no more.
    pub(crate) nowhere: crate::port::Counters,
    pub(crate) config: RwLock<Arc<Config>>,
    pub(crate) handed_in: HandedIn,
    /// The connection tracker of all workers.
    pub(crate) tracker: Arc<Tracker>,
}

/// How many packets the control side has handed in to be executed, and how many of them are out.
///
/// They are taken in and treated in one order: once `treated` has come to what `submitted` stood at, all that were handed in by
/// then are out, whatever came after them. (All go to one worker, which treats what is left when it ends.)
#[derive(Debug, Default)]
pub(crate) struct HandedIn {
    pub(crate) submitted: AtomicU64,
    pub(crate) treated: AtomicU64,
    /// Held while a packet is put into the queue, so that numbers and queue agree.
    pub(crate) order: Mutex<()>,
}

impl Shared {
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counters of what the datapath as a whole did. What counts hits is added to once per batch; the rest with each event off the hit path.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) cache_hit: AtomicU64,
    pub(crate) megaflow_hit: AtomicU64,
    pub(crate) miss: AtomicU64,
    pub(crate) install: AtomicU64,
    pub(crate) evict: AtomicU64,
    pub(crate) expire: AtomicU64,
    pub(crate) revalidate: AtomicU64,
    pub(crate) revalidate_change: AtomicU64,
    pub(crate) generalise: AtomicU64,
    pub(crate) recirculate: AtomicU64,
    pub(crate) segment: AtomicU64,
    pub(crate) checksum: AtomicU64,
    pub(crate) punt: AtomicU64,
    pub(crate) execute: AtomicU64,
    pub(crate) sleep: AtomicU64,
}

/// One worker, as the control side sees it.
pub(crate) struct WorkerShared {
    pub(crate) index: usize,
    pub(crate) seen: AtomicU64,
    pub(crate) commands: SegQueue<Command>,
    /// Commands ever pushed, and ever done.
    pub(crate) commanded: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) execute: ArrayQueue<Execute>,
    pub(crate) registry: Registry,
    /// Its cached flows.
    pub(crate) flows: AtomicUsize,
    /// How long the last walk through them took, ns.
    pub(crate) walk_ns: AtomicU64,
    /// One order at a time, so that numbers and queue agree.
    ordering: Mutex<()>,
    wake: EventFd,
    asleep: AtomicBool,
}

impl WorkerShared {
    pub(crate) fn new(index: usize) -> nix::Result<Self> {
        Ok(Self {
            index,
            seen: AtomicU64::new(ASLEEP),
            commands: SegQueue::new(),
            commanded: AtomicU64::new(0),
            done: AtomicU64::new(0),
            execute: ArrayQueue::new(EXECUTE_QUEUE),
            registry: Registry::default(),
            flows: AtomicUsize::new(0),
            walk_ns: AtomicU64::new(0),
            ordering: Mutex::new(()),
            wake: EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            asleep: AtomicBool::new(false),
        })
    }

    /// Whether the worker treats no packet below `version`.
    pub(crate) fn passed(&self, version: u64) -> bool {
        fence(Ordering::SeqCst);
        self.seen.load(Ordering::Acquire) >= version
    }

    /// Orders `command`; returns its number, to be compared with [`Self::done`].
    pub(crate) fn order(&self, command: Command) -> u64 {
        let _one_at_a_time = self.ordering.lock().unwrap_or_else(PoisonError::into_inner);
        self.commands.push(command);
        let number = self.commanded.fetch_add(1, Ordering::Release) + 1;
        self.rouse();
        number
    }

    /// Hands over a packet; false when there is no room.
    pub(crate) fn submit(&self, item: Execute) -> bool {
        let taken = self.execute.push(item).is_ok();
        if taken {
            self.rouse();
        }
        taken
    }

    /// Wakes the worker if it sleeps.
    pub(crate) fn rouse(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            // A full counter wakes it as well.
            let _ = self.wake.write(1);
        }
    }

    /// The worker is about to sleep: false if there is something to do after all.
    pub(crate) fn lie_down(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        self.seen.store(ASLEEP, Ordering::Release);
        fence(Ordering::SeqCst);
        let idle = self.commands.is_empty() && self.execute.is_empty();
        if !idle {
            self.asleep.store(false, Ordering::Relaxed);
        }
        idle
    }

    /// The worker is awake, and so far knows of `version` only.
    pub(crate) fn get_up(&self, version: u64) {
        self.seen.store(version, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::Relaxed) {
            // Nothing to read is as good.
            let _ = self.wake.read();
        }
    }

    /// What wakes it, for its epoll set.
    pub(crate) fn wake_fd(&self) -> &EventFd {
        &self.wake
    }
}
