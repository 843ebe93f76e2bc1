//! One cached flow: its hot part, read for every packet, and its cold part, read when something changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use conntrack::Request;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::registry::Record;
use crate::action::{Action, PortNo, SetFields};
use crate::drops::DropReason;
use crate::owner::{Credit, FlowStats, Hits};
use crate::stamps::Slot;

/// What to do with a packet, in the form in which a worker does it: the commonest answers need no list.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// Drop.
    Drop(DropReason),
    /// Send to one port as it is.
    Output(PortNo),
    /// Pass through the connection tracker, then look the packet up again under this recirculation id.
    Track(Box<Request>, u32),
    /// Anything else.
    Actions(Arc<[Action]>),
}

impl Program {
    pub(crate) fn new(actions: &Arc<[Action]>) -> Self {
        match actions[..] {
            [] => Self::Drop(DropReason::NoOutput),
            [Action::Drop(reason)] => Self::Drop(reason),
            [Action::Output(port)] => Self::Output(port),
            [Action::Ct(ref request), Action::Recirc(id)] => Self::Track(request.clone(), id),
            _ => Self::Actions(united(actions)),
        }
    }
}

/// The same actions, with sets that follow each other made one: a packet's headers are gone through once.
fn united(actions: &Arc<[Action]>) -> Arc<[Action]> {
    let pairs = actions.windows(2).any(|pair| matches!(pair, [Action::Set(_), Action::Set(_)]));
    if !pairs {
        return actions.clone();
    }
    let mut out: Vec<Action> = Vec::with_capacity(actions.len());
    for action in &actions[..] {
        match (out.last_mut(), action) {
            (Some(Action::Set(before)), Action::Set(after)) => overlay(before, after),
            _ => out.push(action.clone()),
        }
    }
    out.into()
}

/// Makes of `fields` what it and then `after` come to.
fn overlay(fields: &mut SetFields, after: &SetFields) {
    let new = after.key.words().iter().zip(after.mask.0.words());
    for (word, (new, mask)) in fields.key.words_mut().iter_mut().zip(new) {
        *word = *word & !mask | new & mask;
    }
    fields.mask.unite(&after.mask);
}

/// The action lists in use on one worker, each once, with its program: many flows do the same, and what all of them execute stays
/// in the processor's cache.
#[derive(Debug, Default)]
pub(crate) struct Lists(HashMap<Arc<[Action]>, Program, foldhash::quality::RandomState>);

impl Lists {
    /// The shared copy of a list, and its program.
    pub(crate) fn share(&mut self, actions: &[Action]) -> (Arc<[Action]>, Program) {
        if let Some((list, program)) = self.0.get_key_value(actions) {
            return (list.clone(), program.clone());
        }
        let list: Arc<[Action]> = Arc::from(actions);
        let program = Program::new(&list);
        self.0.insert(list.clone(), program.clone());
        (list, program)
    }

    /// Forgets lists that nobody uses any more.
    pub(crate) fn tidy(&mut self) {
        self.0.retain(|list, program| {
            let mine = matches!(program, Program::Actions(same) if Arc::ptr_eq(same, list));
            Arc::strong_count(list) > 1 + usize::from(mine)
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fill: impl FnOnce(&mut SetFields)) -> Action {
        let mut fields = SetFields { key: packet::FlowKey::default(), mask: packet::FlowMask::default() };
        fill(&mut fields);
        Action::Set(Box::new(fields))
    }

    #[test]
    fn sets_become_one_and_the_later_wins() {
        let ttl = |ttl| set(|f| (f.key.nw_ttl, f.mask.0.nw_ttl) = (ttl, 0xff));
        let source = set(|f| (f.key.eth_src, f.mask.0.eth_src) = ([1; 6], [0xff; 6]));
        let out = Action::Output(PortNo(1));
        let list: Arc<[Action]> = Arc::from([ttl(3), source, ttl(4), out.clone(), ttl(5), out.clone()]);
        let Program::Actions(actions) = Program::new(&list) else { panic!("a list is a list") };
        let both = set(|f| {
            (f.key.nw_ttl, f.mask.0.nw_ttl) = (4, 0xff);
            (f.key.eth_src, f.mask.0.eth_src) = ([1; 6], [0xff; 6]);
        });
        assert_eq!(actions[..], [both, out.clone(), ttl(5), out]);
    }

    #[test]
    fn lists_are_shared_while_they_are_used() {
        let mut lists = Lists::default();
        let action = || [Action::PopVlan, Action::Output(PortNo(1))];
        let (one, _) = lists.share(&action());
        let (other, _) = lists.share(&action());
        assert!(Arc::ptr_eq(&one, &other));
        drop(other);
        lists.tidy();
        assert_eq!(lists.0.len(), 1);
        drop(one);
        lists.tidy();
        assert_eq!(lists.0.len(), 0);
    }
}
