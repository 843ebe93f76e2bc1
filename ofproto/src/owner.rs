//! The switch as the owner of its datapath: it decides about packets, and takes those that are sent up.

use datapath::owner::{Miss, Owner, Translation};
use openflow::OfPort;
use packet::FlowKey;
use packet::key::DP_WORDS;

use crate::context::PuntContext;
use crate::events::{Event, PacketIn};
use crate::switch::Switch;
use crate::xlate::{self, Input};

impl Owner for Switch {
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation) {
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
        events.push(Event::PacketIn(Box::new(packet_in(context, key, frame))));
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
