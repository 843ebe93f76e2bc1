//! What a flow matches.
//!
//! A [`Match`] is a [`FlowKey`] and the [`FlowMask`] of the bits that count; in the key every bit that does not count is zero,
//! so that equal matches are equal values. `in_port` holds an OpenFlow port number in the 32-bit form.

use packet::key::VLAN_PRESENT;
use packet::{FlowKey, FlowMask};

use crate::OfPort;
use crate::field::{Field, FieldId};

/// A key and the bits of it that count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Match {
    /// Values; zero where the mask is zero.
    pub key: FlowKey,
    /// Which bits count.
    pub mask: FlowMask,
}

impl Match {
    /// The match that everything meets.
    pub fn any() -> Self {
        Self::default()
    }

    /// The match of `key` under `mask`.
    pub fn new(key: &FlowKey, mask: &FlowMask) -> Self {
        Self { key: mask.apply(key), mask: *mask }
    }

    /// Whether `key` meets this match.
    pub fn matches(&self, key: &FlowKey) -> bool {
        self.mask.matches(key, &self.key)
    }

    /// Whether everything meets it.
    pub fn is_any(&self) -> bool {
        self.mask.0.words().iter().all(|word| *word == 0)
    }

    /// Whether every packet that meets `self` meets `other`.
    pub fn is_within(&self, other: &Match) -> bool {
        let masks = self.mask.0.words().iter().zip(other.mask.0.words());
        masks.clone().all(|(mine, theirs)| theirs & !mine == 0) && other.mask.matches(&self.key, &other.key)
    }

    /// Whether some packet could meet both.
    pub fn overlaps(&self, other: &Match) -> bool {
        let keys = self.key.words().iter().zip(other.key.words());
        let masks = self.mask.0.words().iter().zip(other.mask.0.words());
        keys.zip(masks).all(|((a, b), (m, n))| (a ^ b) & m & n == 0)
    }

    /// The value of a field, zero where it does not count.
    pub fn value(&self, field: FieldId) -> u128 {
        field.get(&self.key)
    }

    /// The mask of a field.
    pub fn mask_of(&self, field: FieldId) -> u128 {
        field.get(&self.mask.0)
    }

    /// Whether no bit of the field counts.
    pub fn is_wild(&self, field: FieldId) -> bool {
        self.mask_of(field) == 0
    }

    /// Whether every bit of the field counts.
    pub fn is_exact(&self, field: FieldId) -> bool {
        self.mask_of(field) == field.info().exact()
            || (field == FieldId::NwTos && self.mask_of(field) == 0xfc)
    }

    /// Matches a field exactly.
    pub fn set(&mut self, field: FieldId, value: u128) {
        self.set_masked(field, value, field.info().exact());
    }

    /// Matches the bits `mask` of a field.
    pub fn set_masked(&mut self, field: FieldId, value: u128, mask: u128) {
        match field {
            FieldId::DlVlan => self.set_dl_vlan(value),
            _ => self.set_bits(field.info(), value, mask),
        }
    }

    /// Matches nothing of a field any more.
    pub fn clear(&mut self, field: FieldId) {
        match field {
            FieldId::InPort => self.clear(FieldId::InPortOxm),
            _ => {
                let Some(place) = field.info().place else { return };
                place.set(&mut self.key, 0);
                place.set(&mut self.mask.0, 0);
            }
        }
    }

    /// Matches the port.
    pub fn set_in_port(&mut self, port: OfPort) {
        self.set(FieldId::InPortOxm, u128::from(port.0));
    }

    /// The port, if it is matched.
    pub fn in_port(&self) -> Option<OfPort> {
        (!self.is_wild(FieldId::InPortOxm)).then(|| OfPort(self.key.in_port.get()))
    }

    fn set_bits(&mut self, field: &Field, value: u128, mask: u128) {
        field.set(&mut self.mask.0, mask);
        field.set(&mut self.key, value & mask);
    }

    /// OpenFlow 1.0's VLAN id: 0xffff is "no tag".
    fn set_dl_vlan(&mut self, value: u128) {
        let (tci, mask) = match value {
            0xffff => (0, 0xffff),
            vid => (VLAN_PRESENT | vid as u16 & 0xfff, 0x1fff | self.key_tci_mask()),
        };
        let pcp = if value == 0xffff { 0 } else { self.key.vlan[0].tci.get() & 0xe000 };
        self.key.vlan[0].tci.set(tci | pcp);
        self.mask.0.vlan[0].tci.set(mask);
    }

    fn key_tci_mask(&self) -> u16 {
        self.mask.0.vlan[0].tci.get() & 0xe000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(FieldId, u128)]) -> Match {
        let mut m = Match::any();
        fields.iter().for_each(|(field, value)| m.set(*field, *value));
        m
    }

    #[test]
    fn within_and_overlap() {
        let wide = of(&[(FieldId::EthType, 0x800)]);
        let narrow = of(&[(FieldId::EthType, 0x800), (FieldId::NwProto, 6)]);
        let other = of(&[(FieldId::EthType, 0x86dd)]);
        assert!(narrow.is_within(&wide) && !wide.is_within(&narrow) && narrow.is_within(&Match::any()));
        assert!(narrow.overlaps(&wide) && wide.overlaps(&narrow) && !narrow.overlaps(&other));
        assert!(other.overlaps(&of(&[(FieldId::NwProto, 6)])));
    }

    #[test]
    fn vlan_in_the_way_of_1_0() {
        let mut m = of(&[(FieldId::DlVlanPcp, 5), (FieldId::DlVlan, 7)]);
        assert_eq!((m.key.vlan[0].tci.get(), m.mask.0.vlan[0].tci.get()), (0xb007, 0xffff));
        m.set(FieldId::DlVlan, 0xffff);
        assert_eq!((m.key.vlan[0].tci.get(), m.mask.0.vlan[0].tci.get()), (0, 0xffff));
    }

    #[test]
    fn values_outside_the_mask_are_zero() {
        let mut m = Match::any();
        m.set_masked(FieldId::Ipv4Src, 0x0a01_0203, 0xff00_0000);
        assert_eq!(m.value(FieldId::Ipv4Src), 0x0a00_0000);
        m.clear(FieldId::Ipv4Src);
        assert!(m.is_any());
    }
}
