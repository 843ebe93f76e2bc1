//! The table of tunnel options: Nicira messages of any version.

use crate::error::OfError;
use crate::wire::{Reader, put_zeros};
use bytes::BufMut;

/// What is done to the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum TlvCommand {
    /// Add mappings.
    Add = 0,
    /// Delete mappings.
    Delete = 1,
    /// Delete all mappings.
    Clear = 2,
}

/// That a tunnel option is matched by a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TlvMap {
    /// Class of the option.
    pub option_class: u16,
    /// Its type.
    pub option_type: u8,
    /// Bytes of its value: a multiple of 4, at most 124.
    pub option_len: u8,
    /// Which `tun_metadata` field.
    pub index: u16,
}

/// Number of `tun_metadata` fields.
const N_FIELDS: u16 = 64;

fn decode_maps(reader: &mut Reader<'_>) -> Result<Vec<TlvMap>, OfError> {
    let mut maps = Vec::new();
    while !reader.is_empty() {
        let map = TlvMap {
            option_class: reader.u16()?,
            option_type: reader.u8()?,
            option_len: reader.u8()?,
            index: reader.u16()?,
        };
        reader.skip(2)?;
        if !map.option_len.is_multiple_of(4) || map.option_len > 124 {
            return Err(OfError::NXTTMFC_BAD_OPT_LEN);
        }
        if map.index >= N_FIELDS {
            return Err(OfError::NXTTMFC_BAD_FIELD_IDX);
        }
        maps.push(map);
    }
    Ok(maps)
}

fn encode_maps(maps: &[TlvMap], out: &mut Vec<u8>) {
    for map in maps {
        out.put_u16(map.option_class);
        out.put_u8(map.option_type);
        out.put_u8(map.option_len);
        out.put_u16(map.index);
        out.put_u16(0);
    }
}

/// A change to the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlvTableMod {
    /// What to do.
    pub command: TlvCommand,
    /// With which mappings.
    pub maps: Vec<TlvMap>,
}

impl TlvTableMod {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<TlvTableMod, OfError> {
        let mut reader = Reader::new(body);
        let command = match reader.u16()? {
            0 => TlvCommand::Add,
            1 => TlvCommand::Delete,
            2 => TlvCommand::Clear,
            _ => return Err(OfError::NXTTMFC_BAD_COMMAND),
        };
        reader.skip(6)?;
        Ok(TlvTableMod { command, maps: decode_maps(&mut reader)? })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u16(self.command as u16);
        put_zeros(out, 6);
        encode_maps(&self.maps, out);
    }
}

/// The table as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlvTable {
    /// Bytes of options that a match can hold.
    pub max_option_space: u32,
    /// Fields that there are.
    pub max_fields: u16,
    /// Mappings.
    pub maps: Vec<TlvMap>,
}

impl TlvTable {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<TlvTable, OfError> {
        let mut reader = Reader::new(body);
        let (max_option_space, max_fields) = (reader.u32()?, reader.u16()?);
        reader.skip(10)?;
        Ok(TlvTable { max_option_space, max_fields, maps: decode_maps(&mut reader)? })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u32(self.max_option_space);
        out.put_u16(self.max_fields);
        put_zeros(out, 10);
        encode_maps(&self.maps, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_back() {
        let maps = vec![TlvMap { option_class: 0xffff, option_type: 1, option_len: 8, index: 63 }];
        let change = TlvTableMod { command: TlvCommand::Delete, maps: maps.clone() };
        let mut out = Vec::new();
        change.encode_body(&mut out);
        assert_eq!(TlvTableMod::decode(&out), Ok(change));
        out.clear();
        let table = TlvTable { max_option_space: 256, max_fields: 64, maps };
        table.encode_body(&mut out);
        assert_eq!(TlvTable::decode(&out), Ok(table));
    }

    #[test]
    fn bad_options_are_refused() {
        let with =
            |len: u8, index: u8| TlvTableMod::decode(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, len, 0, index, 0, 0]);
        assert_eq!(with(3, 0), Err(OfError::NXTTMFC_BAD_OPT_LEN));
        assert_eq!(with(4, 64), Err(OfError::NXTTMFC_BAD_FIELD_IDX));
        assert_eq!(TlvTableMod::decode(&[0, 3, 0, 0, 0, 0, 0, 0]), Err(OfError::NXTTMFC_BAD_COMMAND));
    }
}
