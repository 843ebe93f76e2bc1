//! One cached flow: its hot part, read for every packet, and its cold part, read when something changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashSet;
use smallvec::SmallVec;

use super::registry::Record;
use crate::action::{Action, PortNo};
use crate::drops::DropReason;
use crate::owner::{Credit, FlowStats, Hits};
use crate::stamps::Slot;

/// What to do with a packet, in the form in which a worker does it: the two commonest answers need no list.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// Drop.
    Drop(DropReason),
    /// Send to one port as it is.
    Output(PortNo),
    /// Anything else.
    Actions(Arc<[Action]>),
}

impl Program {
    pub(crate) fn new(actions: &Arc<[Action]>) -> Self {
        match actions[..] {
            [] => Self::Drop(DropReason::NoOutput),
            [Action::Drop(reason)] => Self::Drop(reason),
            [Action::Output(port)] => Self::Output(port),
            _ => Self::Actions(actions.clone()),
        }
    }
}

/// The action lists in use on one worker, each once: many flows do the same, and what all of them execute stays in the
/// processor's cache.
#[derive(Debug, Default)]
pub(crate) struct Lists(HashSet<Arc<[Action]>, foldhash::quality::RandomState>);

impl Lists {
    /// The shared copy of a list.
    pub(crate) fn share(&mut self, actions: &[Action]) -> Arc<[Action]> {
        self.0.get_or_insert_with(actions, |actions| Arc::from(actions)).clone()
    }

    /// Forgets lists that nobody uses any more.
    pub(crate) fn tidy(&mut self) {
        self.0.retain(|list| Arc::strong_count(list) > 1);
    }
}

/// What every hit reads.
#[derive(Debug)]
pub(crate) struct Hot {
    /// The version at which the flow was last found good; 0 once it is dead (no version is 0).
    pub(crate) good_at: u64,
    pub(crate) program: Program,
    pub(crate) stats: Arc<FlowStats>,
}

/// What is read when something changed, and for ageing.
#[derive(Debug)]
pub(crate) struct Cold {
    /// The version of the translation that it stands for.
    pub(crate) translated_at: u64,
    pub(crate) depends: SmallVec<[Slot; 8]>,
    pub(crate) credit: Option<Arc<dyn Credit>>,
    pub(crate) record: Arc<Record>,
    /// Its place in the registry.
    pub(crate) place: u32,
    /// The last use that was told to the credit.
    pub(crate) refreshed_ns: u64,
    pub(crate) born_ns: u64,
}

impl Cold {
    /// When the flow was last used, or made.
    pub(crate) fn last_use_ns(&self) -> u64 {
        self.record.stats.last_used_ns.load(Ordering::Relaxed).max(self.born_ns)
    }

    /// Tells the credit of uses since the last time.
    pub(crate) fn refresh(&mut self) {
        let last = self.record.stats.last_used_ns.load(Ordering::Relaxed);
        if last > self.refreshed_ns {
            self.refreshed_ns = last;
            if let Some(credit) = &self.credit {
                credit.refresh(last);
            }
        }
    }
}

impl FlowStats {
    /// Counts packets of this flow. Only the worker that owns the flow may call this: there is one writer.
    #[inline]
    pub(crate) fn add(&self, hits: Hits, tcp_flags: u16, now_ns: u64) {
        self.packets.store(self.packets.load(Ordering::Relaxed) + hits.packets, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + hits.bytes, Ordering::Relaxed);
        self.last_used_ns.store(now_ns, Ordering::Relaxed);
        let flags = self.tcp_flags.load(Ordering::Relaxed);
        if flags | tcp_flags != flags {
            self.tcp_flags.store(flags | tcp_flags, Ordering::Relaxed);
        }
    }
}
