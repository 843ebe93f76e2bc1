//! Whose turn it is to change the flow tables of a bridge.
//!
//! # Order
//!
//! - One connection at a time has a change under way; the others' changes wait, and so do all while one that failed is taken back.
//! - A flush (the fail mode changed, the first controller came or the last one went) waits for the change under way, which is
//!   committed whole and then flushed with the rest. It goes before every change that waits: what a controller sends after the
//!   flush was due is there after it.
//! - A flush that is wished while one is under way is that one: nobody has changed anything since.

use mio::Token;
use openflow::FlowMod;

use super::budget::Budget;
use crate::{Bridge, Txn};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    /// The connection that has a change under way.
    writer: Option<Token>,
    flush: Flush,
}

#[derive(Debug, Default)]
enum Flush {
    #[default]
    No,
    Due,
    UnderWay(Box<Txn>),
}

impl Writers {
    /// Whether a change by this connection may begin.
    pub(super) fn may_begin(&self, conn: Token, bridge: &Bridge) -> bool {
        let is_free = self.writer.is_none_or(|writer| writer == conn);
        is_free && !self.is_flushing() && bridge.is_settled()
    }

    /// Notes that a connection has a change under way.
    pub(super) fn begin(&mut self, conn: Token) {
        self.writer = Some(conn);
    }

    /// Notes that it has none any more, if it had one.
    pub(super) fn end(&mut self, conn: Token) {
        self.writer.take_if(|writer| *writer == conn);
    }

    /// Whether a flush is due or under way.
    pub(super) fn is_flushing(&self) -> bool {
        !matches!(self.flush, Flush::No)
    }

    /// Has all rules taken out, as soon as it can be.
    pub(super) fn want_flush(&mut self) {
        if !self.is_flushing() {
            self.flush = Flush::Due;
        }
    }

    /// Goes on with a flush until the turn is over. `then` is the rule that there is to be in the end.
    pub(super) fn run(&mut self, bridge: &Bridge, then: Option<&FlowMod>, now_ns: u64, budget: &Budget) {
        if matches!(self.flush, Flush::Due) && self.writer.is_none() && bridge.is_settled() {
            let mut txn = bridge.begin();
            txn.begin_clear();
            self.flush = Flush::UnderWay(Box::new(txn));
        }
        while let Flush::UnderWay(txn) = &mut self.flush {
            // Nothing that only removes is refused.
            if txn.go_on() != Ok(false) {
                self.end_flush(then, now_ns);
            } else if budget.is_spent() {
                return;
            }
        }
    }

    fn end_flush(&mut self, then: Option<&FlowMod>, now_ns: u64) {
        let Flush::UnderWay(mut txn) = std::mem::take(&mut self.flush) else { return };
        if let Some(then) = then {
            // A table with room for no rule at all is the operator's wish.
            let _ = txn.apply(then, now_ns);
        }
        txn.commit();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datapath::stamps::Stamps;
    use openflow::FlowModCommand;

    use super::*;
    use crate::config::BridgeConfig;
    use crate::{Filter, Switch};

    const A: Token = Token(1);
    const B: Token = Token(2);

    fn rig() -> (Switch, Arc<Bridge>, Writers) {
        let switch = Switch::new(Arc::new(Stamps::default()), 5);
        let bridge = switch.add_bridge("br0", BridgeConfig::default()).unwrap();
        (switch, bridge, Writers::default())
    }

    fn flow(priority: u16) -> FlowMod {
        FlowMod { priority, ..FlowMod::default() }
    }

    fn priorities(bridge: &Bridge) -> Vec<i32> {
        bridge.select(&Filter::default()).iter().map(|rule| rule.spec().priority).collect()
    }

    /// Flushes in as many turns as it takes.
    fn finish(writers: &mut Writers, bridge: &Bridge, then: Option<&FlowMod>) {
        while writers.is_flushing() {
            writers.run(bridge, then, 0, &Budget::turn());
        }
    }

    #[test]
    fn a_flush_waits_for_the_change_under_way_and_goes_before_the_next() {
        let (_switch, bridge, mut writers) = rig();
        bridge.flow_mods([&flow(1)], 0).unwrap();
        writers.begin(A);
        let mut txn = bridge.begin();
        txn.apply(&flow(2), 0).unwrap();
        writers.want_flush();
        writers.run(&bridge, Some(&flow(0)), 0, &Budget::turn());
        assert_eq!(priorities(&bridge), [1], "the flush waits");
        assert!(
            !writers.may_begin(A, &bridge) && !writers.may_begin(B, &bridge),
            "everything else waits for it"
        );
        txn.commit();
        assert_eq!(priorities(&bridge), [1, 2], "what was under way is seen whole");
        writers.end(A);
        finish(&mut writers, &bridge, Some(&flow(0)));
        assert_eq!(priorities(&bridge), [0]);
        assert!(writers.may_begin(A, &bridge) && writers.may_begin(B, &bridge));
    }

    #[test]
    fn a_flush_waits_until_what_failed_is_taken_back() {
        let (switch, bridge, mut writers) = rig();
        let flows: Vec<FlowMod> = (0..2000).map(flow).collect();
        bridge.flow_mods(&flows, 0).unwrap();
        let mut txn = bridge.begin();
        txn.apply(&FlowMod { command: FlowModCommand::Delete, table_id: None, ..flow(0) }, 0).unwrap();
        drop(txn);
        assert!(!writers.may_begin(A, &bridge));
        writers.want_flush();
        writers.run(&bridge, None, 0, &Budget::turn());
        assert_eq!(priorities(&bridge).len(), 2000);
        while !bridge.is_settled() {
            switch.run(1);
        }
        finish(&mut writers, &bridge, None);
        assert_eq!(priorities(&bridge), [0; 0]);
    }

    #[test]
    fn one_writer_at_a_time() {
        let (_switch, bridge, mut writers) = rig();
        writers.begin(A);
        writers.end(B);
        assert!(writers.may_begin(A, &bridge) && !writers.may_begin(B, &bridge));
        writers.end(A);
        assert!(writers.may_begin(B, &bridge));
    }
}
