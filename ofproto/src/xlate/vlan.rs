//! Actions on VLAN tags and label stacks.

use datapath::action::DropReason;
use packet::key::{VLAN_PRESENT, VlanTag};

use super::Xlate;
use super::commit::count_vlans;
use super::mpls;
use super::trace::Kind;

const ETH_VLAN: u16 = 0x8100;
const VID: u16 = 0x0fff;
const PCP: u16 = 0xe000;

impl Xlate<'_> {
    fn look_at_tci(&mut self, bits: u16) {
        let mask = &mut self.mask.0.vlan[0].tci;
        mask.set(mask.get() | bits);
    }

    fn set_tci(&mut self, bits: u16, value: u16, push_if_needed: bool) {
        self.look_at_tci(bits | VLAN_PRESENT);
        let tag = &mut self.flow.vlan[0];
        if tag.tci.get() & VLAN_PRESENT == 0 && !push_if_needed {
            return;
        }
        if tag.tpid.get() == 0 {
            tag.tpid.set(ETH_VLAN);
        }
        tag.tci.set(tag.tci.get() & !bits | value | VLAN_PRESENT);
    }

    pub(super) fn set_vlan_vid(&mut self, vid: u16, push_if_needed: bool) {
        self.set_tci(VID, vid & VID, push_if_needed);
    }

    pub(super) fn set_vlan_pcp(&mut self, pcp: u8, push_if_needed: bool) {
        self.set_tci(PCP, u16::from(pcp & 7) << 13, push_if_needed);
    }

    pub(super) fn push_vlan(&mut self, tpid: u16) {
        let n = count_vlans(&self.flow);
        for tag in &mut self.mask.0.vlan[..n] {
            tag.tpid.set(u16::MAX);
            tag.tci.set(u16::MAX);
        }
        self.flow.vlan[1] = self.flow.vlan[0];
        self.flow.vlan[0] = VlanTag { tpid: tpid.into(), tci: VLAN_PRESENT.into() };
    }

    pub(super) fn strip_vlan(&mut self) {
        let n = count_vlans(&self.flow);
        for tag in &mut self.mask.0.vlan[..n] {
            tag.tpid.set(u16::MAX);
            tag.tci.set(u16::MAX);
        }
        self.flow.vlan[0] = self.flow.vlan[1];
        self.flow.vlan[1] = VlanTag::default();
    }

    pub(super) fn push_mpls(&mut self, eth_type: u16) {
        let n = mpls::count_looking(&self.flow, &mut self.mask);
        if n == 0 {
            self.commit();
        } else if n >= mpls::MAX_LABELS {
            self.fail(DropReason::TooManyMplsLabels, || {
                format!("dropping packet on which an MPLS push action can't be performed as it would have more MPLS LSEs than the {} supported.", mpls::MAX_LABELS)
            });
            return;
        }
        if mpls::is_mpls(self.input.key) {
            // What was popped before may be just what is pushed now.
            self.mask.0.mpls_lse[0].set(u32::MAX);
        }
        mpls::push(&mut self.flow, n, eth_type, &mut self.mask);
    }

    pub(super) fn pop_mpls(&mut self, eth_type: u16) {
        let n = mpls::count_looking(&self.flow, &mut self.mask);
        if mpls::pop(&mut self.flow, n, eth_type, &mut self.mask) {
            if !mpls::is_mpls_type(eth_type) {
                self.was_mpls = true;
            }
        } else if n >= mpls::MAX_LABELS {
            self.fail(DropReason::TooManyMplsLabels, || {
                format!("dropping packet on which an MPLS pop action can't be performed as it has more MPLS LSEs than the {} supported.", mpls::MAX_LABELS)
            });
        } else {
            self.note(Kind::Detail, || "nothing to pop".into());
        }
    }
}
