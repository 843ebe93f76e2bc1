//! Reading and writing a field in a key.

use packet::FlowKey;
use zerocopy::IntoBytes;

use super::{Field, FieldId, Place, ones};
use crate::OfPort;

impl Place {
    /// The value in `key`.
    pub fn get(self, key: &FlowKey) -> u128 {
        self.container(key) >> self.shift & ones(self.bits)
    }

    /// Replaces the value in `key`; bits of `value` that do not fit are dropped.
    pub fn set(self, key: &mut FlowKey, value: u128) {
        let mask = ones(self.bits) << self.shift;
        let merged = self.container(key) & !mask | value << self.shift & mask;
        let bytes = &mut key.as_mut_bytes()[self.offset..self.offset + self.len];
        bytes.copy_from_slice(&merged.to_be_bytes()[16 - self.len..]);
    }

    fn container(self, key: &FlowKey) -> u128 {
        let bytes = &key.as_bytes()[self.offset..self.offset + self.len];
        bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

impl Field {
    /// The value of this field in `key`; 0 for a field without a place.
    pub fn get(&self, key: &FlowKey) -> u128 {
        let value = self.place.map_or(0, |place| place.get(key));
        if self.id == FieldId::NwTos { value & 0xfc } else { value }
    }

    /// Sets this field in `key`. Writing a VLAN id or priority in OpenFlow 1.0's way, or a priority in any way, makes the tag
    /// present; a port of 16 bits becomes one of 32; writing the DSCP leaves the ECN bits alone. A field without a place is left alone.
    ///
    /// Done to a mask with the bits of a mask as `value`, it un-wildcards what a match on the field looks at.
    pub fn set(&self, key: &mut FlowKey, value: u128) {
        let Some(place) = self.place else { return };
        match self.id {
            FieldId::InPort => key.in_port.set(OfPort::from_u16(value as u16).0),
            FieldId::NwTos => place.set(key, value & 0xfc | place.get(key) & 3),
            FieldId::DlVlan | FieldId::DlVlanPcp | FieldId::VlanPcp => {
                place.set(key, value);
                let tci = key.vlan[0].tci.get() | packet::key::VLAN_PRESENT;
                key.vlan[0].tci.set(tci);
            }
            _ => place.set(key, value),
        }
    }

    /// Sets the bits of `mask` to those of `value`.
    pub fn set_masked(&self, key: &mut FlowKey, value: u128, mask: u128) {
        let old = self.get(key);
        self.set(key, old & !mask | value & mask);
    }
}

impl FieldId {
    /// The value of this field in `key`.
    pub fn get(self, key: &FlowKey) -> u128 {
        self.info().get(key)
    }

    /// Sets this field in `key`.
    pub fn set(self, key: &mut FlowKey, value: u128) {
        self.info().set(key, value);
    }
}
