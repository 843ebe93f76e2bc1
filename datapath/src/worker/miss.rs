//! Packets that the cache had no good flow for: classifier, re-validation, translation, installation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use packet::FlowKey;

use super::{Plan, Worker};
use crate::action::Action;
use crate::drops::DropReason;
use crate::megaflow::FlowId;
use crate::megaflow::flow::{Cold, Hot, Program};
use crate::megaflow::registry::Record;
use crate::owner::{Hits, Miss, Translation};

/// What became of a flow that was looked at again.
enum Verdict {
    /// It is good at the current version, perhaps with other actions.
    Good,
    /// It is gone. What the owner says now, if it was asked.
    Gone(Option<Box<Translation>>),
}

impl Worker {
    /// Finds out what to do with packet `index` of the lane, and counts it.
    pub(super) fn resolve(&mut self, index: usize, now_ns: u64) -> Plan {
        let key = self.lane.keys[index];
        if let Some(id) = self.flows.find(&key) {
            match self.look_again(id, &key, Some(index), now_ns) {
                Verdict::Good => return self.hit(index, id, now_ns),
                Verdict::Gone(Some(translation)) => {
                    self.tally.miss += 1;
                    return self.settle_miss(index, *translation, now_ns);
                }
                Verdict::Gone(None) => {}
            }
        }
        self.tally.miss += 1;
        let Some(translation) = self.translate(&key, Some(index), now_ns) else {
            self.lane.own.push(Program::Drop(DropReason::NoBridge));
            return Plan::Own(self.lane.own.len() - 1);
        };
        self.settle_miss(index, translation, now_ns)
    }

    /// The classifier, not the cache, had the flow of packet `index`.
    fn hit(&mut self, index: usize, id: FlowId, now_ns: u64) -> Plan {
        let hash = self.flows.signature(&self.lane.keys[index]);
        self.cache.insert(hash, id);
        self.tally.megaflow_hit += 1;
        if let Some(hot) = self.flows.hot(id) {
            let hits = Hits { packets: 1, bytes: self.lane.packets[index].len() as u64 };
            hot.stats.add(hits, self.lane.keys[index].tcp_flags.get(), now_ns);
        }
        Plan::Flow(id)
    }

    /// Asks the owner. Without a packet (`index`), only for what it would say.
    fn translate(&self, key: &FlowKey, index: Option<usize>, now_ns: u64) -> Option<Translation> {
        let owner = self.shared.owner.get()?;
        let frame = index.map_or(&[][..], |index| self.lane.packets[index].data());
        let miss = Miss { key, frame, version: self.version, now_ns, dry: index.is_none() };
        let mut translation = Translation::default();
        owner.translate(&miss, &mut translation);
        Some(translation)
    }

    /// What is looked at from here on in this batch is treated by what a packet has taught. The flow that came of that packet was translated
    /// before.
    fn advance(&mut self, to: Option<u64>) {
        self.version = to.unwrap_or(self.version);
    }

    /// Counts the packet that a translation was made for, and caches the translation if it may be.
    fn settle_miss(&mut self, index: usize, translation: Translation, now_ns: u64) -> Plan {
        let advanced = translation.advanced;
        let plan = self.plan_miss(index, translation, now_ns);
        self.advance(advanced);
        plan
    }

    fn plan_miss(&mut self, index: usize, translation: Translation, now_ns: u64) -> Plan {
        let key = self.lane.keys[index];
        if let Some(credit) = &translation.credit {
            let hits = Hits { packets: 1, bytes: self.lane.packets[index].len() as u64 };
            credit.count(hits, key.tcp_flags.get(), now_ns);
        }
        let program = if translation.cacheable {
            let (actions, program) = self.lists.share(&translation.actions);
            if let Some(id) = self.install(&key, translation, actions, program.clone(), now_ns) {
                return Plan::Flow(id);
            }
            program
        } else {
            self.lane.held.extend(translation.credit);
            Program::new(&Arc::from(translation.actions))
        };
        self.lane.own.push(program);
        Plan::Own(self.lane.own.len() - 1)
    }

    /// Caches a translation.
    fn install(
        &mut self,
        key: &FlowKey,
        translation: Translation,
        actions: Arc<[Action]>,
        program: Program,
        now_ns: u64,
    ) -> Option<FlowId> {
        let (subtable, narrower) = self.flows.place(key, &translation.mask);
        let coverage = self.shared.clone();
        let coverage = &coverage.coverage;
        if narrower && self.config.megaflows {
            coverage.generalise.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(old) = self.flows.find_in(subtable, key) {
            self.remove(old);
        }
        self.make_room();
        let layout = self.flows.layout(subtable)?;
        let number = self.shared.next_flow.fetch_add(1, Ordering::Relaxed);
        let record = Arc::new(Record::new(number, layout, key, actions));
        if let Some(credit) = &translation.credit {
            credit.attach(number, &record.stats);
        }
        let hot = Hot { good_at: self.version, program, stats: record.stats.clone() };
        let place = self.registry.insert(record.clone());
        let cold = Cold {
            translated_at: self.version,
            depends: translation.depends,
            credit: translation.credit,
            record,
            place,
            refreshed_ns: 0,
            born_ns: now_ns,
        };
        let id = self.flows.insert(subtable, key, hot, cold)?;
        let flows = self.shared.flows.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.flows_max.fetch_max(flows, Ordering::Relaxed);
        self.me.flows.store(self.flows.len(), Ordering::Relaxed);
        coverage.install.fetch_add(1, Ordering::Relaxed);
        self.cache.insert(self.flows.signature(key), id);
        Some(id)
    }

    /// Takes a flow out, and lets its credit keep what it counted.
    pub(super) fn remove(&mut self, id: FlowId) {
        let Some(mut cold) = self.flows.remove(id) else { return };
        cold.refresh();
        if let Some(credit) = cold.credit {
            credit.detach(cold.record.number);
            self.lane.held.push(credit);
        }
        self.registry.remove(cold.place);
        self.shared.flows.fetch_sub(1, Ordering::Relaxed);
        self.me.flows.store(self.flows.len(), Ordering::Relaxed);
    }

    /// Finds out whether a flow is good at the current version, and makes it so where possible without making another flow. `index`
    /// is the packet at hand, if any.
    fn look_again(&mut self, id: FlowId, key: &FlowKey, index: Option<usize>, now_ns: u64) -> Verdict {
        let version = self.version;
        let (Some(hot), Some(cold)) = (self.flows.hot(id), self.flows.cold(id)) else {
            return Verdict::Gone(None);
        };
        if hot.good_at == version {
            return Verdict::Good;
        }
        if !self.shared.stamps.changed_since(cold.translated_at, &cold.depends) {
            if let Some(hot) = self.flows.hot_mut(id) {
                hot.good_at = version;
            }
            return Verdict::Good;
        }
        self.shared.coverage.revalidate.fetch_add(1, Ordering::Relaxed);
        let layout = cold.record.layout.clone();
        let Some(translation) = self.translate(key, index, now_ns) else {
            self.remove(id);
            return Verdict::Gone(None);
        };
        if translation.cacheable && layout.covers(&translation.mask) {
            let advanced = translation.advanced;
            self.renew(id, translation);
            self.advance(advanced);
            return Verdict::Good;
        }
        self.remove(id);
        Verdict::Gone(Some(Box::new(translation)))
    }

    /// The flow now stands for `translation`, at the current version; its counters go on.
    fn renew(&mut self, id: FlowId, translation: Translation) {
        let version = self.version;
        let (actions, program) = self.lists.share(&translation.actions);
        let Some(cold) = self.flows.cold_mut(id) else { return };
        cold.refresh();
        let number = cold.record.number;
        if let Some(old) = std::mem::replace(&mut cold.credit, translation.credit) {
            old.detach(number);
        }
        if let Some(new) = &cold.credit {
            new.attach(number, &cold.record.stats);
        }
        cold.translated_at = version;
        cold.depends = translation.depends;
        let changed = cold.record.actions() != actions;
        if changed {
            cold.record.set_actions(actions);
            self.shared.coverage.revalidate_change.fetch_add(1, Ordering::Relaxed);
        }
        let Some(hot) = self.flows.hot_mut(id) else { return };
        hot.good_at = version;
        if changed {
            hot.program = program;
        }
    }

    /// Looks at a flow without a packet: brings it up to the current version, or takes it out.
    pub(super) fn refresh_flow(&mut self, id: FlowId, now_ns: u64) {
        let (Some(hot), Some(cold)) = (self.flows.hot(id), self.flows.cold(id)) else { return };
        if hot.good_at == self.version {
            return;
        }
        let key = cold.record.key();
        // A flow that is gone is translated again when a packet asks for it.
        let _ = self.look_again(id, &key, None, now_ns);
    }
}
