//! What tables can do (OpenFlow 1.3 clause 7.3.5.18).
//!
//! A table's features are a fixed part and properties: for flows that are misses and for all others which tables, instructions, actions and
//! settable fields there are, and which fields can be matched. A reply about 254 tables is over a megabyte long.

use crate::error::OfError;
use crate::field::{FieldId, Header};
use crate::message::prop::{self, PropType};
use crate::version::Version;
use crate::wire::{Reader, put_string, put_zeros, set_u16};
use bytes::BufMut;

/// Property types; those for misses are one higher.
const INSTRUCTIONS: u16 = 0;
const NEXT_TABLES: u16 = 2;
const WRITE_ACTIONS: u16 = 4;
const APPLY_ACTIONS: u16 = 6;
const MATCH: u16 = 8;
const WILDCARDS: u16 = 10;
const WRITE_FIELDS: u16 = 12;
const APPLY_FIELDS: u16 = 14;

/// Bits of the capabilities (1.4 and later).
const EVICTION: u32 = 4;
const VACANCY: u32 = 8;

/// Bytes of the fixed part.
const FIXED_LEN: usize = 64;

/// What instructions of one kind of flow (misses, or others) can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableInstructions {
    /// Tables to which packets can go on.
    pub next_tables: Vec<u8>,
    /// Instructions, by number.
    pub instructions: Vec<u16>,
    /// Actions to write, by number.
    pub write_actions: Vec<u16>,
    /// Actions to apply, by number.
    pub apply_actions: Vec<u16>,
    /// Fields that written actions can set.
    pub write_fields: Vec<FieldId>,
    /// Fields that applied actions can set.
    pub apply_fields: Vec<FieldId>,
}

/// What one table can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableFeatures {
    /// The table.
    pub table_id: u8,
    /// Its name.
    pub name: String,
    /// Metadata bits that can be matched.
    pub metadata_match: u64,
    /// Metadata bits that can be written.
    pub metadata_write: u64,
    /// Eviction is possible (1.4 and later).
    pub eviction: bool,
    /// Vacancy events are possible (1.4 and later).
    pub vacancy: bool,
    /// Flows it may hold.
    pub max_entries: u32,
    /// For flows other than misses.
    pub nonmiss: TableInstructions,
    /// For miss flows.
    pub miss: TableInstructions,
    /// Fields that can be matched; with whether any mask goes.
    pub match_fields: Vec<(FieldId, bool)>,
    /// Fields that can be left out.
    pub wildcards: Vec<FieldId>,
}

/// Actions that can be written and applied, by their numbers in 1.3 and later: output, TTLs, VLAN and MPLS tags, queue, group, set-field.
const ACTIONS: [u16; 12] = [0, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];
/// Instructions by number: goto, metadata, write, apply, clear, meter.
const ALL_INSTRUCTIONS: [u16; 6] = [1, 2, 3, 4, 5, 6];
const GOTO: u16 = 1;
/// Up to 1.4 an instruction, then an action.
const METER: u16 = 6;

impl TableFeatures {
    /// What table `table_id` of a switch with `n_tables` tables can do that does all that Open vSwitch 3.1 does, as it is told in `version`.
    pub fn of_switch(
        version: Version,
        table_id: u8,
        n_tables: u8,
        name: &str,
        max_entries: u32,
    ) -> TableFeatures {
        let known = || FieldId::all().filter(move |id| id.header(version, false).is_some());
        let next_tables: Vec<u8> = (table_id.saturating_add(1)..n_tables).collect();
        let goto = !next_tables.is_empty();
        let keep = |number: &u16| (*number != GOTO || goto) && (*number != METER || version < Version::V15);
        let set_fields: Vec<FieldId> = known().filter(|id| id.info().writable).collect();
        let nonmiss = TableInstructions {
            next_tables,
            instructions: ALL_INSTRUCTIONS.into_iter().filter(keep).collect(),
            write_actions: ACTIONS.to_vec(),
            apply_actions: ACTIONS.to_vec(),
            write_fields: set_fields.clone(),
            apply_fields: set_fields,
        };
        TableFeatures {
            table_id,
            name: name.to_owned(),
            metadata_match: u64::MAX,
            metadata_write: u64::MAX,
            eviction: false,
            vacancy: false,
            max_entries,
            miss: nonmiss.clone(),
            nonmiss,
            match_fields: known().map(|id| (id, id.info().maskable)).collect(),
            wildcards: known().collect(),
        }
    }

    /// Takes one table.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<TableFeatures, OfError> {
        let bad = OfError::OFPBPC_BAD_LEN;
        let len = usize::from(Reader::or(reader.peek(), bad).u16()?);
        if len < FIXED_LEN || len > reader.len() {
            return Err(bad);
        }
        let mut entry = Reader::or(reader.bytes(len)?, bad);
        entry.skip(2)?;
        let mut table = TableFeatures { table_id: entry.u8()?, ..Default::default() };
        entry.skip(5)?;
        table.name = entry.string::<32>()?;
        (table.metadata_match, table.metadata_write) = (entry.u64()?, entry.u64()?);
        let capabilities = entry.u32()?;
        table.eviction = capabilities & EVICTION != 0;
        table.vacancy = capabilities & VACANCY != 0;
        table.max_entries = entry.u32()?;
        while !entry.is_empty() {
            let (kind, contents) = prop::take(&mut entry)?;
            match kind {
                PropType::Plain(kind) => table.decode_prop(kind, contents)?,
                PropType::Exp(..) => return Err(kind.unknown()),
            }
        }
        Ok(table)
    }

    fn decode_prop(&mut self, kind: u16, mut contents: Reader<'_>) -> Result<(), OfError> {
        match kind {
            MATCH => {
                for header in headers(contents)? {
                    let field = header.lookup().map(|field| field.id);
                    self.match_fields.extend(field.map(|id| (id, header.has_mask())));
                }
                return Ok(());
            }
            WILDCARDS => {
                self.wildcards = fields(contents)?;
                return Ok(());
            }
            _ => {}
        }
        let part = if kind & 1 == 0 { &mut self.nonmiss } else { &mut self.miss };
        match kind & !1 {
            INSTRUCTIONS => part.instructions = numbers(contents)?,
            NEXT_TABLES => part.next_tables = contents.rest().to_vec(),
            WRITE_ACTIONS => part.write_actions = numbers(contents)?,
            APPLY_ACTIONS => part.apply_actions = numbers(contents)?,
            WRITE_FIELDS => part.write_fields = fields(contents)?,
            APPLY_FIELDS => part.apply_fields = fields(contents)?,
            _ => return Err(OfError::OFPBPC_BAD_TYPE),
        }
        Ok(())
    }

    /// Appends the table.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 2);
        out.put_u8(self.table_id);
        put_zeros(out, 5);
        put_string(out, &self.name, 32);
        out.put_u64(self.metadata_match);
        out.put_u64(self.metadata_write);
        let bit = |on: bool, bit| if on && version >= Version::V14 { bit } else { 0 };
        out.put_u32(bit(self.eviction, EVICTION) | bit(self.vacancy, VACANCY));
        out.put_u32(self.max_entries);
        self.nonmiss.encode(version, 0, out);
        self.miss.encode(version, 1, out);
        prop::put(out, PropType::Plain(MATCH), |out| {
            let headers = self.match_fields.iter().filter_map(|&(id, masked)| id.header(version, masked));
            headers.for_each(|header| header.put(out));
        });
        put_fields(out, WILDCARDS, version, &self.wildcards);
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}

impl TableInstructions {
    /// Appends the properties; `miss` is 1 for those of misses.
    fn encode(&self, version: Version, miss: u16, out: &mut Vec<u8>) {
        put_numbers(out, INSTRUCTIONS + miss, &self.instructions);
        prop::put(out, PropType::Plain(NEXT_TABLES + miss), |out| out.extend_from_slice(&self.next_tables));
        put_numbers(out, WRITE_ACTIONS + miss, &self.write_actions);
        put_fields(out, WRITE_FIELDS + miss, version, &self.write_fields);
        put_numbers(out, APPLY_ACTIONS + miss, &self.apply_actions);
        put_fields(out, APPLY_FIELDS + miss, version, &self.apply_fields);
    }
}

/// The numbers of actions or instructions without their contents. Experimenters' are passed over.
fn numbers(mut contents: Reader<'_>) -> Result<Vec<u16>, OfError> {
    let mut found = Vec::new();
    while !contents.is_empty() {
        let (number, len) = (contents.u16()?, usize::from(contents.u16()?));
        contents.skip(len.checked_sub(4).ok_or(OfError::OFPBPC_BAD_LEN)?)?;
        found.extend((number != 0xffff).then_some(number));
    }
    Ok(found)
}

fn put_numbers(out: &mut Vec<u8>, kind: u16, numbers: &[u16]) {
    prop::put(out, PropType::Plain(kind), |out| {
        for number in numbers {
            out.put_u16(*number);
            out.put_u16(4);
        }
    });
}

fn headers(mut contents: Reader<'_>) -> Result<Vec<Header>, OfError> {
    let mut found = Vec::new();
    while !contents.is_empty() {
        let header = Header::read(contents.peek()).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
        contents.skip(header.n_bytes())?;
        found.push(header);
    }
    Ok(found)
}

/// The fields of a list of headers; unknown ones are passed over.
fn fields(contents: Reader<'_>) -> Result<Vec<FieldId>, OfError> {
    Ok(headers(contents)?.into_iter().filter_map(|header| header.lookup().map(|field| field.id)).collect())
}

fn put_fields(out: &mut Vec<u8>, kind: u16, version: Version, fields: &[FieldId]) {
    prop::put(out, PropType::Plain(kind), |out| {
        fields.iter().filter_map(|id| id.header(version, false)).for_each(|header| header.put(out));
    });
}
