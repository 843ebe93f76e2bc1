//! Further passes of a batch, for the packets that were recirculated.
//!
//! What goes through the connection tracker and round, as most tracked packets do, stays where it is in the lane, with its key and layers: nothing
//! of it is copied or read again, as long as no packet before it came by the other way, which is [`Out::recirculated`]: so they keep their order.

use std::sync::atomic::Ordering;

use conntrack::{Request, Tracked};
use packet::{FlowKey, Layers, Packet, parse};

use super::{Lane, MAX_RECIRCULATIONS, Out, Worker};
use crate::drops::DropReason;

impl Worker {
    /// Further passes for the packets that asked for them, at the same version.
    pub(super) fn recirculate(&mut self, now_ns: u64) {
        for _ in 0..MAX_RECIRCULATIONS {
            let count = self.lane.gather(&mut self.out, self.config.vlan_limit);
            if count == 0 {
                return;
            }
            self.shared.coverage.recirculate.fetch_add(count as u64, Ordering::Relaxed);
            self.pass(now_ns);
        }
        let left = std::mem::take(&mut self.lane.round);
        left.iter().for_each(|packet| self.out.drop_packet(packet, DropReason::RecircTooDeep));
        let left = std::mem::take(&mut self.out.recirculated);
        left.iter().for_each(|again| self.out.drop_packet(&again.packet, DropReason::RecircTooDeep));
    }
}

impl Lane {
    /// Takes the packet that the key and the layers at `index` are of through the connection tracker, and keeps it for the next pass, under this
    /// recirculation id.
    pub(super) fn track(
        &mut self,
        index: usize,
        mut packet: Packet,
        (request, id): (&Request, u32),
        out: &mut Out,
        vlan_limit: usize,
    ) {
        let (key, layers) = (&mut self.keys[index], &mut self.layers[index]);
        self.stained = self.stained.max(index + 1);
        let tracked = out.tracker().track(request, &mut packet, layers, key, out.now_ns);
        key.recirc_id.set(id);
        if !out.recirculated.is_empty() {
            // Packets go round in the order in which they came.
            return out.recirculate(packet, *key);
        }
        if !out.may_recirculate(&packet) {
            return;
        }
        if tracked == Tracked::Edited {
            *layers = parse::extract_into(packet.data(), vlan_limit, key);
        }
        let place = self.round.len();
        if place != index {
            self.keys.swap(place, index);
            self.layers.swap(place, index);
        }
        self.round.push(packet);
    }

    /// Makes a batch of all that is to go round. Returns how many packets it has.
    fn gather(&mut self, out: &mut Out, vlan_limit: usize) -> usize {
        std::mem::swap(&mut self.packets, &mut self.round);
        let kept = self.packets.len();
        let count = kept + out.recirculated.len();
        if self.keys.len() < count {
            self.keys.resize(count, FlowKey::default());
            self.layers.resize(count, Layers::default());
        }
        for (again, index) in out.recirculated.drain(..).zip(kept..) {
            let key = &mut self.keys[index];
            *key = again.key;
            self.layers[index] = parse::extract_into(again.packet.data(), vlan_limit, key);
            self.packets.push(again.packet);
        }
        self.stained = self.stained.max(count);
        count
    }
}
