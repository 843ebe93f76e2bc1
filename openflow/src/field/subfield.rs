//! Parts of fields, such as `NXM_OF_VLAN_TCI[0..11]`.

use packet::FlowKey;
use thiserror::Error;

use super::{FieldId, ones};

/// `n_bits` bits of a field from bit `ofs` (0 is the least significant) up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SubField {
    /// The field.
    pub field: FieldId,
    /// First bit.
    pub ofs: u16,
    /// Number of bits, at least one.
    pub n_bits: u16,
}

/// Why bits are not a part of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SubFieldError {
    /// The first bit lies outside.
    #[error("bit offset {0} exceeds {1}-bit width of field {2}")]
    Offset(u16, u32, &'static str),
    /// The last bit lies outside.
    #[error("bit offset {0} and width {1} exceeds {2}-bit width of field {3}")]
    Width(u16, u16, u32, &'static str),
}

impl SubField {
    /// All bits of a field.
    pub fn whole(field: FieldId) -> Self {
        Self { field, ofs: 0, n_bits: field.info().n_bits as u16 }
    }

    /// Checks that the bits lie within the field.
    pub fn check(&self) -> Result<(), SubFieldError> {
        let field = self.field.info();
        if u32::from(self.ofs) >= field.n_bits {
            return Err(SubFieldError::Offset(self.ofs, field.n_bits, field.name));
        }
        if u32::from(self.ofs) + u32::from(self.n_bits) > field.n_bits {
            return Err(SubFieldError::Width(self.ofs, self.n_bits, field.n_bits, field.name));
        }
        Ok(())
    }

    /// Whether these are all bits of the field.
    pub fn is_whole(&self) -> bool {
        self.ofs == 0 && u32::from(self.n_bits) == self.field.info().n_bits
    }

    /// The bits as they stand within the field.
    pub fn mask(&self) -> u128 {
        ones(u32::from(self.n_bits)).checked_shl(u32::from(self.ofs)).unwrap_or(0)
    }

    /// The value of these bits in `key`, right-justified.
    pub fn get(&self, key: &FlowKey) -> u128 {
        let value = self.field.get(key).checked_shr(u32::from(self.ofs)).unwrap_or(0);
        value & ones(u32::from(self.n_bits))
    }

    /// Sets these bits in `key`.
    pub fn set(&self, key: &mut FlowKey, value: u128) {
        let value = value.checked_shl(u32::from(self.ofs)).unwrap_or(0);
        self.field.info().set_masked(key, value, self.mask());
    }
}
