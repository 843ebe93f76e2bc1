//! The switch as the owner of its datapath: it decides about packets, and takes those that are sent up.

use datapath::action::Action;
use datapath::drops::DropReason;
use datapath::owner::{Miss, Owner, Translation};
use openflow::OfPort;
use packet::FlowKey;
use packet::key::DP_WORDS;

use crate::context::PuntContext;
use crate::events::PacketIn;
use crate::switch::Switch;
use crate::xlate::{self, Input};

impl Owner for Switch {
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation) {
        if self.is_restoring() {
            *out = Translation {
                actions: vec![Action::Drop(DropReason::FlowRestoreWait)],
                ..Translation::default()
            };
            return;
        }
        let input = Input { key: miss.key, version: miss.version, now_ns: miss.now_ns, effects: !miss.dry };
        *out = xlate::translate(&self.core, input, None).translation;
    }

    fn punt(&self, cookie: u64, key: &FlowKey, frame: &[u8]) {
        let Some(node) = u32::try_from(cookie).ok().and_then(|id| self.core.contexts.punts.get(id)) else {
            return;
        };
        let context = &node.value;
        let Some(events) = self.core.read().bridges.get(&context.bridge).map(|bridge| bridge.events.clone())
        else {
            return;
        };
        events.send_up(|| packet_in(context, key, frame));
    }
}

fn packet_in(context: &PuntContext, key: &FlowKey, frame: &[u8]) -> PacketIn {
    let mut key = *key;
    key.words_mut()[DP_WORDS..].copy_from_slice(&context.pipeline);
    key.in_port.set(context.in_port.0);
    key.pkt_mark.set(context.pkt_mark);
    key.tun_id.set(context.tun_id);
    key.recirc_id.set(0);
    if context.in_port == OfPort::NONE {
        key.in_port.set(OfPort::NONE.0);
    }
    PacketIn {
        frame: frame.to_vec(),
        key,
        reason: context.reason,
        table: context.table,
        cookie: context.cookie,
        max_len: context.max_len,
        controller_id: context.controller_id,
        userdata: context.userdata.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datapath::stamps::Stamps;

    use super::*;

    #[test]
    fn while_flows_are_restored_packets_are_dropped_and_nothing_is_cached() {
        let switch = Switch::new(Arc::new(Stamps::default()), 1);
        let miss = Miss { key: &FlowKey::default(), frame: &[], version: 1, now_ns: 1, dry: false };
        let mut out = Translation { cacheable: true, ..Translation::default() };
        switch.set_restoring(true);
        switch.translate(&miss, &mut out);
        assert_eq!(out.actions, [Action::Drop(DropReason::FlowRestoreWait)]);
        assert!(!out.cacheable);
        switch.set_restoring(false);
        switch.translate(&miss, &mut out);
        assert_ne!(out.actions, [Action::Drop(DropReason::FlowRestoreWait)]);
    }
}
