//! Tables: statistics, configuration, status. What tables can do is in [`super::table_features`].

use crate::error::OfError;
use crate::message::prop::{self, PropType};
use crate::version::Version;
use crate::wire::{Reader, put_string, put_zeros, set_u16};
use bitflags::bitflags;
use bytes::BufMut;

/// Stands for all tables.
pub const ALL_TABLES: u8 = 0xff;

/// What happens to a packet that no flow of a table matches (1.1 and 1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum TableMiss {
    /// It goes to the controller.
    #[default]
    Controller = 0,
    /// It goes on to the next table.
    Continue = 1,
    /// It is dropped.
    Drop = 2,
}

bitflags! {
    /// Which flows may be evicted from a full table first (1.4).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct EvictionFlags: u32 {
        /// By other criteria of the switch.
        const OTHER = 1;
        /// By the flows' importance.
        const IMPORTANCE = 2;
        /// By the flows' remaining lifetime.
        const LIFETIME = 4;
        // Bits that are not known are kept.
        const _ = !0;
    }
}

/// Thresholds of vacancy events, in percent of free room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Vacancy {
    /// Below this an event is sent.
    pub down: u8,
    /// Above this another.
    pub up: u8,
    /// Room now (only in descriptions).
    pub now: u8,
}

/// A table-mod.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableMod {
    /// Table, or [`ALL_TABLES`].
    pub table_id: u8,
    /// What to do with misses (1.1 and 1.2).
    pub miss: Option<TableMiss>,
    /// Whether flows may be evicted (1.4 and later).
    pub eviction: Option<bool>,
    /// Which flows are evicted.
    pub eviction_flags: Option<EvictionFlags>,
    /// Whether vacancy events are sent (1.4 and later).
    pub vacancy_events: Option<bool>,
    /// When vacancy events are sent.
    pub vacancy: Option<Vacancy>,
}

/// Bits of the `config` field.
const CONFIG_EVICTION: u32 = 4;
const CONFIG_VACANCY: u32 = 8;
/// Property types.
const PROP_EVICTION: u16 = 2;
const PROP_VACANCY: u16 = 3;

impl TableMod {
    /// Reads the body.
    pub(super) fn decode(version: Version, body: &[u8]) -> Result<TableMod, OfError> {
        let mut reader = Reader::new(body);
        let mut table = TableMod { table_id: reader.u8()?, ..Default::default() };
        reader.skip(3)?;
        let config = reader.u32()?;
        match version {
            Version::V10 | Version::V11 | Version::V12 => table.miss = Some(decode_miss(config)),
            // 1.3 has a table-mod but nothing in it.
            Version::V13 => {}
            Version::V14 | Version::V15 => {
                table.eviction = Some(config & CONFIG_EVICTION != 0);
                table.vacancy_events = Some(config & CONFIG_VACANCY != 0);
                table.decode_props(&mut reader)?;
            }
        }
        Ok(table)
    }

    fn decode_props(&mut self, reader: &mut Reader<'_>) -> Result<(), OfError> {
        while !reader.is_empty() {
            let (kind, mut contents) = prop::take(reader)?;
            match kind {
                PropType::Plain(PROP_EVICTION) => {
                    self.eviction_flags = Some(EvictionFlags::from_bits_retain(prop::only_u32(contents)?));
                }
                PropType::Plain(PROP_VACANCY) => {
                    let vacancy = decode_vacancy(&mut contents)?;
                    if vacancy.now != 0 || vacancy.down > vacancy.up || vacancy.up > 100 {
                        return Err(OfError::OFPBPC_BAD_VALUE);
                    }
                    self.vacancy = Some(vacancy);
                }
                // So Open vSwitch answers, where a bad property would be meant.
                _ => return Err(OfError::OFPBRC_BAD_TYPE),
            }
        }
        Ok(())
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        out.put_u8(self.table_id);
        put_zeros(out, 3);
        out.put_u32(match version {
            Version::V14 | Version::V15 => config_bits(self.eviction, self.vacancy_events),
            _ => self.miss.unwrap_or_default() as u32,
        });
        if version >= Version::V14 {
            encode_props(self.eviction_flags, self.vacancy, out);
        }
    }
}

/// The two bits that say it. Open vSwitch refuses none, and neither the bits beyond.
fn decode_miss(config: u32) -> TableMiss {
    match config & 3 {
        1 => TableMiss::Continue,
        2 => TableMiss::Drop,
        _ => TableMiss::Controller,
    }
}

fn decode_vacancy(contents: &mut Reader<'_>) -> Result<Vacancy, OfError> {
    let vacancy = Vacancy { down: contents.u8()?, up: contents.u8()?, now: contents.u8()? };
    contents.skip(1)?;
    prop::nothing(contents)?;
    Ok(vacancy)
}

fn config_bits(eviction: Option<bool>, vacancy: Option<bool>) -> u32 {
    let bit = |on: Option<bool>, bit| if on == Some(true) { bit } else { 0 };
    bit(eviction, CONFIG_EVICTION) | bit(vacancy, CONFIG_VACANCY)
}

fn encode_props(eviction: Option<EvictionFlags>, vacancy: Option<Vacancy>, out: &mut Vec<u8>) {
    if let Some(flags) = eviction {
        prop::put_u32(out, PROP_EVICTION, flags.bits());
    }
    if let Some(vacancy) = vacancy {
        prop::put(out, PropType::Plain(PROP_VACANCY), |out| {
            out.extend_from_slice(&[vacancy.down, vacancy.up, vacancy.now, 0]);
        });
    }
}

/// Description of a table (1.4 and later).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableDesc {
    /// The table.
    pub table_id: u8,
    /// Whether flows may be evicted.
    pub eviction: bool,
    /// Which are.
    pub eviction_flags: EvictionFlags,
    /// When vacancy events are sent; `None` if they are not.
    pub vacancy: Option<Vacancy>,
}

impl TableDesc {
    /// Takes one description.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<TableDesc, OfError> {
        let len = usize::from(reader.u16()?);
        let mut entry = Reader::new(reader.bytes(len.checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?)?);
        let mut table = TableDesc { table_id: entry.u8()?, ..Default::default() };
        entry.skip(1)?;
        let config = entry.u32()?;
        table.eviction = config & CONFIG_EVICTION != 0;
        while !entry.is_empty() {
            let (kind, mut contents) = prop::take(&mut entry)?;
            match kind {
                PropType::Plain(PROP_EVICTION) => {
                    table.eviction_flags = EvictionFlags::from_bits_retain(prop::only_u32(contents)?);
                }
                PropType::Plain(PROP_VACANCY) if config & CONFIG_VACANCY != 0 => {
                    table.vacancy = Some(decode_vacancy(&mut contents)?);
                }
                PropType::Plain(PROP_VACANCY) => {}
                other => return Err(other.unknown()),
            }
        }
        Ok(table)
    }

    /// Appends the description.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u16(0);
        out.put_u8(self.table_id);
        out.put_u8(0);
        out.put_u32(config_bits(Some(self.eviction), Some(self.vacancy.is_some())));
        encode_props(Some(self.eviction_flags), self.vacancy, out);
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}

/// Why a table status was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TableReason {
    /// Less room than the lower threshold.
    VacancyDown = 3,
    /// More room than the upper threshold.
    VacancyUp = 4,
}

/// A table status message (1.4 and later).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableStatus {
    /// What happened.
    pub reason: TableReason,
    /// The table.
    pub desc: TableDesc,
}

impl TableStatus {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<TableStatus, OfError> {
        let mut reader = Reader::new(body);
        let reason = match reader.u8()? {
            3 => TableReason::VacancyDown,
            4 => TableReason::VacancyUp,
            _ => return Err(OfError::OFPBPC_BAD_VALUE),
        };
        reader.skip(7)?;
        Ok(TableStatus { reason, desc: TableDesc::decode(&mut reader)? })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u8(self.reason as u8);
        put_zeros(out, 7);
        self.desc.encode(out);
    }
}

/// Statistics of one table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableStats {
    /// The table.
    pub table_id: u8,
    /// Its name; empty if it has none (up to 1.2).
    pub name: String,
    /// What happens to misses (1.1 and 1.2).
    pub miss: TableMiss,
    /// Flows it may hold (up to 1.2).
    pub max_entries: u32,
    /// Flows it holds.
    pub active: u32,
    /// Packets looked up.
    pub lookups: u64,
    /// Packets that matched.
    pub matched: u64,
}

impl TableStats {
    /// Takes one entry; what it says of the table's abilities is passed over.
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Result<TableStats, OfError> {
        let mut table = TableStats { table_id: reader.u8()?, ..Default::default() };
        reader.skip(if matches!(version, Version::V11 | Version::V12) { 7 } else { 3 })?;
        match version {
            Version::V10 => {
                table.name = reader.string::<32>()?;
                reader.skip(4)?;
                table.max_entries = reader.u32()?;
            }
            Version::V11 => {
                table.name = reader.string::<32>()?;
                reader.skip(20)?;
                table.miss = decode_miss(reader.u32()?);
                table.max_entries = reader.u32()?;
            }
            Version::V12 => {
                table.name = reader.string::<32>()?;
                reader.skip(60)?;
                table.miss = decode_miss(reader.u32()?);
                table.max_entries = reader.u32()?;
            }
            _ => {}
        }
        table.active = reader.u32()?;
        (table.lookups, table.matched) = (reader.u64()?, reader.u64()?);
        Ok(table)
    }

    /// Appends the entry. Up to 1.2 it tells what tables of Open vSwitch can do, all alike but for the last one, which
    /// cannot hand packets on.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        out.put_u8(self.table_id);
        match version {
            Version::V10 => {
                put_zeros(out, 3);
                put_string(out, &self.name, 32);
                out.put_u32(OF10_WILDCARDS);
                out.put_u32(self.max_entries);
            }
            Version::V11 => {
                put_zeros(out, 7);
                put_string(out, &self.name, 32);
                self.encode_of11(out);
            }
            Version::V12 => {
                put_zeros(out, 7);
                put_string(out, &self.name, 32);
                self.encode_of12(out);
            }
            _ => put_zeros(out, 3),
        }
        out.put_u32(self.active);
        out.put_u64(self.lookups);
        out.put_u64(self.matched);
    }
}

/// Every wildcard bit of OpenFlow 1.0.
const OF10_WILDCARDS: u32 = 0x003f_ffff;

/// What OpenFlow 1.1 and 1.2 call the abilities of a table: those that every table of Open vSwitch 3.1 has.
mod abilities {
    /// Fields of 1.1's match structure.
    pub(super) const OF11_FIELDS: u32 = 0xfbff;
    /// Actions by their 1.1 and 1.2 numbers.
    pub(super) const OF11_ACTIONS: u32 = 0x01ff_e7ff;
    pub(super) const OF12_ACTIONS: u32 = 0x03ff_8001;
    /// Basic OXM fields of 1.2 that can be matched and that can be set.
    pub(super) const OF12_FIELDS: u64 = 0x0000_101f_ffff_fffd;
    pub(super) const OF12_SET_FIELDS: u64 = 0x0000_000f_ffff_fbdd;
    /// Instructions by number; the last table cannot go to another.
    pub(super) const INSTRUCTIONS: u32 = 0x3e;
    pub(super) const GOTO_TABLE: u32 = 0x02;
    /// The table that has none after it.
    pub(super) const LAST_TABLE: u8 = 253;
}

impl TableStats {
    fn instructions(&self) -> u32 {
        let goto = if self.table_id >= abilities::LAST_TABLE { abilities::GOTO_TABLE } else { 0 };
        abilities::INSTRUCTIONS & !goto
    }

    fn encode_of11(&self, out: &mut Vec<u8>) {
        out.put_u32(abilities::OF11_FIELDS);
        out.put_u32(abilities::OF11_FIELDS);
        out.put_u32(self.instructions());
        out.put_u32(abilities::OF11_ACTIONS);
        out.put_u32(abilities::OF11_ACTIONS);
        out.put_u32(self.miss as u32);
        out.put_u32(self.max_entries);
    }

    fn encode_of12(&self, out: &mut Vec<u8>) {
        out.put_u64(abilities::OF12_FIELDS);
        out.put_u64(abilities::OF12_FIELDS);
        out.put_u32(abilities::OF12_ACTIONS);
        out.put_u32(abilities::OF12_ACTIONS);
        out.put_u64(abilities::OF12_SET_FIELDS);
        out.put_u64(abilities::OF12_SET_FIELDS);
        // Every bit of the metadata can be matched and written.
        out.put_u64(u64::MAX);
        out.put_u64(u64::MAX);
        out.put_u32(self.instructions());
        out.put_u32(self.miss as u32);
        out.put_u32(self.max_entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_come_back() {
        let stats = TableStats { table_id: 3, active: 1, lookups: 2, matched: 3, ..Default::default() };
        for (version, len) in Version::ALL.into_iter().zip([64, 88, 128, 24, 24, 24]) {
            let mut out = Vec::new();
            stats.encode(version, &mut out);
            assert_eq!(out.len(), len);
            assert_eq!(TableStats::decode(version, &mut Reader::new(&out)), Ok(stats.clone()));
        }
    }

    #[test]
    fn descriptions_and_changes_come_back() {
        let vacancy = Some(Vacancy { down: 10, up: 20, now: 0 });
        let desc =
            TableDesc { table_id: 4, eviction: true, eviction_flags: EvictionFlags::LIFETIME, vacancy };
        let mut out = Vec::new();
        desc.encode(&mut out);
        assert_eq!(TableDesc::decode(&mut Reader::new(&out)), Ok(desc));
        let table = TableMod {
            table_id: ALL_TABLES,
            miss: None,
            eviction: Some(true),
            eviction_flags: Some(EvictionFlags::LIFETIME),
            vacancy_events: Some(false),
            vacancy,
        };
        out.clear();
        table.encode_body(Version::V14, &mut out);
        assert_eq!(TableMod::decode(Version::V14, &out), Ok(table));
    }

    #[test]
    fn bad_table_mods_are_refused() {
        let with = |kind: u16, value: u32| {
            let mut body = vec![0; 8];
            prop::put_u32(&mut body, kind, value);
            TableMod::decode(Version::V14, &body)
        };
        assert_eq!(with(PROP_VACANCY, 0x140a_0000), Err(OfError::OFPBPC_BAD_VALUE));
        assert_eq!(with(9, 0), Err(OfError::OFPBRC_BAD_TYPE));
    }
}
