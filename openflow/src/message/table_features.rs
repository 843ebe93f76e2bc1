//! What tables can do (OpenFlow 1.3 clause 7.3.5.18).

use crate::field::FieldId;

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
