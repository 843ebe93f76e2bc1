//! The execution of actions on a packet.
//!
//! Actions run in order on the packet itself. An output sends a copy, unless nothing comes after it: the last output takes the
//! packet, so that the common case copies nothing. Changes go into the frame by [`packet::edit`], which keeps checksums and
//! offload state right; metadata changes go into the key and the packet's handle.

pub(crate) mod ct;
#[cfg(test)]
mod tests;

use packet::key::HEADER_WORDS;
use packet::{Checksum, FlowKey, Layers, Packet, TooLong, edit, gso, parse};

use crate::action::{Action, SetFields, clear_ct};
use crate::drops::DropReason;
use crate::worker::Out;

/// A packet that actions are done to.
pub(crate) struct Frame<'a> {
    pub(crate) packet: Packet,
    pub(crate) layers: Layers,
    /// The key it was looked up by. Its metadata follows the actions, its header fields only where somebody asks.
    pub(crate) key: &'a mut FlowKey,
    /// VLAN tags that keys hold.
    pub(crate) vlan_limit: usize,
}

impl Frame<'_> {
    /// Does all of `actions`.
    pub(crate) fn run(self, out: &mut Out, actions: &[Action]) {
        self.go_on(out, actions, false);
    }

    /// Does the `actions` that are left. `used`: the packet has gone somewhere already.
    fn go_on(mut self, out: &mut Out, actions: &[Action], mut used: bool) {
        let mut limit = None;
        for (index, action) in actions.iter().enumerate() {
            let last = index + 1 == actions.len();
            match action {
                Action::Output(port) => {
                    used = true;
                    match limit.take() {
                        Some(limit) => out.output(*port, cut(&self.packet, limit)),
                        None if last => return out.output(*port, self.packet),
                        None => out.output(*port, self.packet.clone()),
                    }
                }
                Action::Recirc(id) => {
                    let mut key = *self.key;
                    key.recirc_id.set(*id);
                    if last {
                        return out.recirculate(self.packet, key);
                    }
                    out.recirculate(self.packet.clone(), key);
                    used = true;
                }
                Action::Clone(actions) => {
                    used = true;
                    if last {
                        return self.run(out, actions);
                    }
                    let mut key = *self.key;
                    let (packet, layers, vlan_limit) = (self.packet.clone(), self.layers, self.vlan_limit);
                    Frame { packet, layers, key: &mut key, vlan_limit }.run(out, actions);
                }
                Action::Punt(cookie) => {
                    used = true;
                    self.punt(out, *cookie);
                }
                Action::Trunc(bytes) => limit = Some(*bytes as usize),
                Action::Drop(reason) => return out.drop_packet(&self.packet, *reason),
                Action::Ct(request) if self.layers.nw_frag != 0 => {
                    return self.track_fragment(out, request, &actions[index + 1..], used);
                }
                Action::Ct(request) => self.track(out, request),
                edit => {
                    if self.edit(edit).is_err() {
                        return out.drop_packet(&self.packet, DropReason::TooLong);
                    }
                }
            }
        }
        if !used {
            out.drop_packet(&self.packet, DropReason::NoOutput);
        }
    }

    /// Does an action that changes the packet.
    fn edit(&mut self, action: &Action) -> Result<(), TooLong> {
        match action {
            Action::Set(fields) => self.set(fields),
            Action::PushVlan { tpid, tci } => {
                edit::push_vlan(&mut self.packet, &mut self.layers, *tpid, *tci)?;
            }
            Action::PopVlan => {
                edit::pop_vlan(&mut self.packet, &mut self.layers);
                self.parse();
            }
            Action::PushMpls { lse, ethertype } => {
                edit::push_mpls(&mut self.packet, &mut self.layers, *lse, *ethertype)?;
                self.parse();
            }
            Action::PopMpls { ethertype } => {
                edit::pop_mpls(&mut self.packet, &mut self.layers, *ethertype);
                self.parse();
            }
            Action::CtClear => clear_ct(self.key),
            // The others are no edits.
            _ => {}
        }
        Ok(())
    }

    /// Looks again where the headers are, and brings the key up to date.
    fn parse(&mut self) {
        self.layers = parse::extract_into(self.packet.data(), self.vlan_limit, self.key);
    }

    fn set(&mut self, fields: &SetFields) {
        edit::apply_set(&mut self.packet, &self.layers, &fields.key, &fields.mask);
        if fields.mask.0.words()[..HEADER_WORDS.start].iter().fold(0, |any, word| any | word) == 0 {
            return;
        }
        let new = fields.key.words().iter().zip(fields.mask.0.words());
        for (word, (new, mask)) in self.key.words_mut()[..HEADER_WORDS.start].iter_mut().zip(new) {
            *word = *word & !mask | new & mask;
        }
        self.packet.mark = self.key.pkt_mark.get();
        self.packet.priority = self.key.skb_priority.get();
    }

    /// Hands the packet, as it now is, to the owner, with nothing left to offload. What is known of the layers stays: behind more tags
    /// than are looked at, looking again would lose them.
    fn punt(&self, out: &Out, cookie: u64) {
        let mut key = *self.key;
        parse::extract_into(self.packet.data(), self.vlan_limit, &mut key);
        if matches!(self.packet.offload.checksum, Checksum::Partial { .. }) {
            let mut whole = self.packet.clone();
            gso::complete(&mut whole);
            out.punt(cookie, &key, whole.data());
        } else {
            out.punt(cookie, &key, self.packet.data());
        }
    }
}

/// A copy of the first `limit` bytes, at least an Ethernet header. Its checksums are those of the whole.
fn cut(packet: &Packet, limit: usize) -> Packet {
    let mut copy = packet.clone();
    if limit < copy.len() {
        gso::complete(&mut copy);
        copy.offload = packet::Offload::default();
        copy.truncate(limit.max(parse::ETH_LEN));
    }
    copy
}
