//! From what the packet is to what it should be: the fewest datapath actions between two keys.
//!
//! Translation changes a key freely and only says, at an output, what the packet has to look like there. This module compares
//! that with what the packet looks like so far (the *base*) and brings it up to date. The order and grouping are those of Open
//! vSwitch, since people read them: Ethernet, network, transport, MPLS, VLAN, priority, mark; one `set` for each header, that names the
//! fields that differ.

use std::mem::offset_of;
use std::ops::Range;

use datapath::action::{Action, SetFields};
use packet::key::{HEADER_WORDS, VLAN_PRESENT, VlanTag};
use packet::{FlowKey, FlowMask};
use zerocopy::IntoBytes;

use super::mpls;

const ETH_IPV4: u16 = 0x0800;
const ETH_ARP: u16 = 0x0806;
const ETH_RARP: u16 = 0x8035;
const ETH_IPV6: u16 = 0x86dd;
const ETH_VLAN: u16 = 0x8100;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

macro_rules! bytes_of {
    ($field:ident, $len:expr) => {
        (offset_of!(FlowKey, $field), $len)
    };
}

/// Bytes of a key that one `set` may change together: offset and length of each field.
type Group = &'static [(usize, usize)];

/// The places of a group's fields.
fn ranges(group: Group) -> impl Iterator<Item = Range<usize>> {
    group.iter().map(|(start, len)| *start..start + len)
}

const ETHERNET: Group = &[bytes_of!(eth_src, 6), bytes_of!(eth_dst, 6)];
const IPV4: Group = &[bytes_of!(nw_src, 4), bytes_of!(nw_dst, 4), bytes_of!(nw_tos, 1), bytes_of!(nw_ttl, 1)];
const IPV6: Group = &[
    bytes_of!(ipv6_src, 16),
    bytes_of!(ipv6_dst, 16),
    bytes_of!(ipv6_label, 4),
    bytes_of!(nw_tos, 1),
    bytes_of!(nw_ttl, 1),
];
const ARP: Group = &[
    bytes_of!(nw_src, 4),
    bytes_of!(nw_dst, 4),
    bytes_of!(nw_proto, 1),
    bytes_of!(arp_sha, 6),
    bytes_of!(arp_tha, 6),
];
const ND: Group = &[bytes_of!(nd_target, 16), bytes_of!(arp_sha, 6), bytes_of!(arp_tha, 6)];
const PORTS: Group = &[bytes_of!(tp_src, 2), bytes_of!(tp_dst, 2)];
const MPLS_TOP: Group = &[bytes_of!(mpls_lse, 4)];
const PRIORITY: Group = &[bytes_of!(skb_priority, 4)];
const MARK: Group = &[bytes_of!(pkt_mark, 4)];

/// Whether a frame of this type is IPv4 or IPv6.
pub(super) fn is_ip(key: &FlowKey) -> bool {
    matches!(key.eth_type.get(), ETH_IPV4 | ETH_IPV6)
}

/// How many tags the key has.
pub(super) fn count_vlans(key: &FlowKey) -> usize {
    key.vlan.iter().take_while(|tag| tag.tci.get() & VLAN_PRESENT != 0).count()
}

/// Appends to `out` what makes a packet that looks like `base` look like `flow`, and brings `base` up to date. `mask` is what
/// translation has un-wildcarded; it covers all that was changed. A tag that is popped is looked at.
pub(super) fn commit(flow: &FlowKey, base: &mut FlowKey, mask: &mut FlowMask, out: &mut Vec<Action>) {
    let mut commit = Commit { flow, base, mask, out };
    if flow.packet_type.get() == 0 {
        commit.set(ETHERNET);
    }
    let leaves_mpls = mpls::is_mpls(commit.base) && !mpls::is_mpls(flow);
    if leaves_mpls {
        commit.mpls();
    }
    commit.network();
    commit.transport();
    if !leaves_mpls {
        commit.mpls();
    }
    commit.vlans();
    commit.set(PRIORITY);
    commit.set(MARK);
}

/// Whether [`commit`] can make a packet that looks like `base` look like `flow`: there are headers that it leaves alone, as Open vSwitch
/// does.
pub(super) fn leads_back(base: &FlowKey, flow: &FlowKey, mask: &FlowMask) -> bool {
    let (mut reached, mut mask) = (*base, *mask);
    commit(flow, &mut reached, &mut mask, &mut Vec::new());
    reached.words()[HEADER_WORDS] == flow.words()[HEADER_WORDS]
        && (reached.skb_priority, reached.pkt_mark) == (flow.skb_priority, flow.pkt_mark)
}

struct Commit<'a> {
    flow: &'a FlowKey,
    base: &'a mut FlowKey,
    mask: &'a mut FlowMask,
    out: &'a mut Vec<Action>,
}

impl Commit<'_> {
    /// Sets the fields of a group that differ.
    fn set(&mut self, group: Group) {
        let mut fields = SetFields { key: FlowKey::default(), mask: FlowMask::default() };
        // What header it is, for who prints it.
        fields.key.eth_type = self.base.eth_type;
        if group == PORTS || group == ND {
            fields.key.nw_proto = self.base.nw_proto;
        }
        let mut changed = false;
        for range in ranges(group) {
            let (new, old) = (&self.flow.as_bytes()[range.clone()], &self.base.as_bytes()[range.clone()]);
            if new == old {
                continue;
            }
            changed = true;
            let looked_at = &self.mask.0.as_bytes()[range.clone()];
            let mask = &mut fields.mask.0.as_mut_bytes()[range.clone()];
            for (i, byte) in mask.iter_mut().enumerate() {
                *byte = looked_at[i] | (new[i] ^ old[i]);
            }
            let mask: Vec<u8> = mask.to_vec();
            let key = &mut fields.key.as_mut_bytes()[range.clone()];
            key.iter_mut().zip(new).zip(mask).for_each(|((byte, new), mask)| *byte = new & mask);
        }
        if !changed {
            return;
        }
        self.out.push(Action::Set(Box::new(fields)));
        for range in ranges(group) {
            let new = &self.flow.as_bytes()[range.clone()];
            self.base.as_mut_bytes()[range.clone()].copy_from_slice(new);
        }
    }

    /// A packet of protocol 0 is left as it is, as Open vSwitch leaves it; so the protocol is looked at.
    fn network(&mut self) {
        if mpls::is_mpls(self.flow) {
            return;
        }
        let group = match self.base.eth_type.get() {
            ETH_IPV4 => IPV4,
            ETH_IPV6 => IPV6,
            ETH_ARP | ETH_RARP => ARP,
            _ => return,
        };
        if self.differs(group) {
            self.mask.0.nw_proto = 0xff;
            if self.flow.nw_proto != 0 {
                self.set(group);
            }
        }
        if group == IPV6 && self.flow.nw_proto == ICMPV6 && self.differs(ND) {
            self.mask.0.nw_proto = 0xff;
            self.mask.0.tp_src.set(u16::MAX);
            if matches!(self.base.tp_src.get(), 135 | 136) {
                self.set(ND);
            }
        }
    }

    fn differs(&self, group: Group) -> bool {
        let (new, old) = (self.flow.as_bytes(), self.base.as_bytes());
        ranges(group).any(|range| new[range.clone()] != old[range])
    }

    fn transport(&mut self) {
        if !is_ip(self.base) || !self.differs(PORTS) {
            return;
        }
        self.mask.0.nw_proto = 0xff;
        if is_icmp(self.flow) {
            self.icmp();
        } else if matches!(self.flow.nw_proto, TCP | UDP | SCTP) {
            self.ports();
        }
    }

    /// Ports that would both become zero are left alone. One bit that is looked at and is one rules that out.
    fn ports(&mut self) {
        let (flow, mask) = (self.flow, &mut self.mask.0);
        if flow.tp_src.get() & mask.tp_src.get() == 0 && flow.tp_dst.get() & mask.tp_dst.get() == 0 {
            mask.tp_src.set(u16::MAX);
            mask.tp_dst.set(u16::MAX);
        }
        if flow.tp_src.get() != 0 || flow.tp_dst.get() != 0 {
            self.set(PORTS);
        }
    }

    /// Type and code are always set together.
    fn icmp(&mut self) {
        if (self.flow.tp_src, self.flow.tp_dst) == (self.base.tp_src, self.base.tp_dst) {
            return;
        }
        let mut fields = SetFields { key: FlowKey::default(), mask: FlowMask::default() };
        (fields.key.eth_type, fields.key.nw_proto) = (self.base.eth_type, self.base.nw_proto);
        (fields.key.tp_src, fields.key.tp_dst) = (self.flow.tp_src, self.flow.tp_dst);
        for mask in [&mut fields.mask.0, &mut self.mask.0] {
            mask.tp_src.set(u16::MAX);
            mask.tp_dst.set(u16::MAX);
        }
        self.out.push(Action::Set(Box::new(fields)));
        (self.base.tp_src, self.base.tp_dst) = (self.flow.tp_src, self.flow.tp_dst);
    }

    fn vlans(&mut self) {
        let (mut have, mut want) = (count_vlans(self.base), count_vlans(self.flow));
        while have > 0 && want > 0 && self.base.vlan[have - 1] == self.flow.vlan[want - 1] {
            (have, want) = (have - 1, want - 1);
        }
        for tag in &mut self.mask.0.vlan[..have] {
            self.out.push(Action::PopVlan);
            *tag = VlanTag { tpid: u16::MAX.into(), tci: u16::MAX.into() };
        }
        for tag in self.flow.vlan[..want].iter().rev() {
            let tpid = if tag.tpid.get() == 0 { ETH_VLAN } else { tag.tpid.get() };
            self.out.push(Action::PushVlan { tpid, tci: tag.tci.get() & !VLAN_PRESENT });
        }
        self.base.vlan = self.flow.vlan;
    }

    fn mpls(&mut self) {
        let (mut have, want) = (mpls::count(self.base), mpls::count(self.flow));
        let same = mpls::common(self.base, have, self.flow, want);
        while have > same {
            if have - 1 == same && want > same {
                let top = self.flow.mpls_lse[want - same - 1];
                if top != self.base.mpls_lse[0] {
                    let mut updated = *self.flow;
                    updated.mpls_lse[0] = top;
                    let (flow, base, mask) = (&updated, &mut *self.base, &mut *self.mask);
                    Commit { flow, base, mask, out: self.out }.set(MPLS_TOP);
                }
                break;
            }
            let ethertype = if have == 1 { self.flow.eth_type.get() } else { self.base.eth_type.get() };
            self.out.push(Action::PopMpls { ethertype });
            mpls::shift_out(self.base, ethertype);
            have -= 1;
        }
        while want > have {
            let lse = self.flow.mpls_lse[want - have - 1];
            let ethertype = self.flow.eth_type.get();
            self.out.push(Action::PushMpls { lse: lse.get(), ethertype });
            mpls::shift_in(self.base, lse.get(), ethertype);
            have += 1;
        }
    }
}

fn is_icmp(key: &FlowKey) -> bool {
    (key.eth_type.get() == ETH_IPV4 && key.nw_proto == ICMP)
        || (key.eth_type.get() == ETH_IPV6 && key.nw_proto == ICMPV6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> FlowKey {
        let mut key = FlowKey { nw_proto: TCP, nw_ttl: 64, ..FlowKey::default() };
        key.eth_type.set(ETH_IPV4);
        key.nw_dst.set(0x0102_0304);
        key.tp_dst.set(80);
        key
    }

    fn run(flow: &FlowKey, base: &FlowKey) -> Vec<Action> {
        let (mut base, mut out) = (*base, Vec::new());
        commit(flow, &mut base, &mut FlowMask::exact(), &mut out);
        assert_eq!(base.as_bytes(), flow.as_bytes());
        out
    }

    #[test]
    fn only_what_differs_is_set() {
        let mut flow = tcp();
        assert_eq!(run(&flow, &tcp()), []);
        flow.nw_ttl = 63;
        let [Action::Set(set)] = &run(&flow, &tcp())[..] else { panic!() };
        assert_eq!((set.key.nw_ttl, set.mask.0.nw_ttl, set.mask.0.nw_dst.get()), (63, 255, 0));
    }

    #[test]
    fn what_cannot_be_set_back_is_known() {
        let mask = FlowMask::default();
        let mut moved = tcp();
        (moved.nw_ttl, moved.vlan[0].tci) = (9, VLAN_PRESENT.into());
        moved.tp_src.set(2);
        assert!(leads_back(&moved, &tcp(), &mask));
        let mut zero = tcp();
        zero.tp_dst.set(0);
        assert!(leads_back(&zero, &tcp(), &mask));
        assert!(!leads_back(&tcp(), &zero, &mask));
        let mut solicitation = FlowKey { nw_proto: ICMPV6, nd_target: [7; 16], ..FlowKey::default() };
        solicitation.eth_type.set(ETH_IPV6);
        solicitation.tp_src.set(135);
        let mut other = solicitation;
        other.nd_target = [8; 16];
        assert!(leads_back(&other, &solicitation, &mask));
        other.tp_src.set(1);
        assert!(!leads_back(&other, &solicitation, &mask));
    }

    #[test]
    fn tags_come_and_go_from_the_outside() {
        let mut flow = tcp();
        flow.vlan[0].tpid.set(ETH_VLAN);
        flow.vlan[0].tci.set(VLAN_PRESENT | 5);
        assert_eq!(run(&flow, &tcp()), [Action::PushVlan { tpid: ETH_VLAN, tci: 5 }]);
        let mut other = flow;
        other.vlan[0].tci.set(VLAN_PRESENT | 6);
        assert_eq!(run(&other, &flow), [Action::PopVlan, Action::PushVlan { tpid: ETH_VLAN, tci: 6 }]);
        other.vlan[1] = flow.vlan[0];
        assert_eq!(run(&other, &flow), [Action::PushVlan { tpid: ETH_VLAN, tci: 6 }]);
        assert_eq!(run(&tcp(), &other), [Action::PopVlan, Action::PopVlan]);
    }
}
