//! Tables: numbers, features, settings.

use openflow::OfError;
use openflow::message::table::{EvictionFlags, TableMiss};
use openflow::message::table_features::TableFeatures;
use openflow::message::{StatsReply, TableDesc, TableMod, TableStats};

use super::Turn;
use crate::conn::work::Work;
use crate::{Bridge, TABLES};

/// Flows that a table without a limit is said to hold at most.
const NO_LIMIT: u32 = 1_000_000;
/// Stands for all tables (`OFPTT_ALL`).
const ALL_TABLES: u8 = 0xff;

fn limit_of(limit: Option<usize>) -> u32 {
    limit.map_or(NO_LIMIT, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

pub(super) fn stats(turn: &mut Turn<'_>) {
    let stats = (0..TABLES).map(|table| {
        let counted = turn.bridge.table_stats(table);
        TableStats {
            table_id: table,
            name: counted.name,
            max_entries: limit_of(counted.limit),
            active: u32::try_from(counted.active).unwrap_or(u32::MAX),
            lookups: counted.lookups,
            matched: counted.matches,
            ..TableStats::default()
        }
    });
    let stats = stats.collect();
    turn.reply_stats(StatsReply::Table(stats));
}

/// The features of all tables are over a megabyte: they are told one by one. They cannot be set.
pub(super) fn features(turn: &mut Turn<'_>, is_empty: bool) -> Result<(), OfError> {
    if !is_empty {
        return Err(OfError::OFPTFFC_EPERM);
    }
    let reply = turn.begin_reply(&StatsReply::TableFeatures(Vec::new()))?;
    turn.start(Work::TableFeatures { next: 0, reply });
    Ok(())
}

/// The features of one table.
pub(in crate::conn) fn features_of(bridge: &Bridge, version: openflow::Version, table: u8) -> TableFeatures {
    let counted = bridge.table_stats(table);
    let features = TableFeatures::of_switch(version, table, TABLES, &counted.name, limit_of(counted.limit));
    TableFeatures { eviction: counted.evict, ..features }
}

pub(super) fn desc(turn: &mut Turn<'_>) {
    let tables = (0..TABLES).map(|table| {
        let evicts = turn.bridge.table_stats(table).evict;
        let eviction_flags = EvictionFlags::OTHER | EvictionFlags::IMPORTANCE | EvictionFlags::LIFETIME;
        TableDesc { table_id: table, eviction: evicts, eviction_flags, vacancy: None }
    });
    let tables = tables.collect();
    turn.reply_stats(StatsReply::TableDesc(tables));
}

/// Turns eviction on or off. What becomes of packets that miss is said by rules, and nobody is told how full a table is: other
/// settings cannot be changed.
pub(super) fn table_mod(turn: &mut Turn<'_>, request: &TableMod) -> Result<(), OfError> {
    turn.may_change()?;
    let tables = match request.table_id {
        ALL_TABLES => 0..TABLES,
        table if table < TABLES => table..table + 1,
        _ => return Err(OfError::OFPTMFC_EPERM),
    };
    let other_miss = request.miss.is_some_and(|miss| miss != TableMiss::Controller);
    if request.vacancy_events == Some(true) || other_miss {
        return Err(OfError::OFPTMFC_EPERM);
    }
    if let Some(evict) = request.eviction {
        let mut config = turn.bridge.config();
        tables.for_each(|table| config.tables.entry(table).or_default().evict = evict);
        turn.bridge.configure(config);
    }
    Ok(())
}
