//! What the database holds, as far as it is monitored: a copy kept up to date by the server's notifications.
//!
//! A row is a vector of cells, one per monitored column of its table in the order of the column names; the names
//! and types are kept once per table. Looking a cell up costs a binary search over a few dozen names.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::schema::{ColumnType, Schema};
use crate::value::{Datum, Uuid, ValueError};

/// A notification that cannot be applied; the copy is then out of step and the connection is to be made anew.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UpdateError {
    /// not the shape of an update
    #[error("update: {0}")]
    Malformed(&'static str),
    /// a table that is not monitored
    #[error("update of table {0}, which is not monitored")]
    UnknownTable(String),
    /// not the name of a row
    #[error("update of table {table}: {row} is no row identifier")]
    BadRow {
        /// The table.
        table: String,
        /// What stands where the identifier should.
        row: String,
    },
    /// a change to a row that was never seen
    #[error("update of table {table}: no row {row}")]
    NoSuchRow {
        /// The table.
        table: String,
        /// The row.
        row: Uuid,
    },
    /// a value of the wrong type
    #[error("update of table {table}, row {row}, column {column}: {source}")]
    Cell {
        /// The table.
        table: String,
        /// The row.
        row: Uuid,
        /// The column.
        column: String,
        /// What is wrong with it.
        source: ValueError,
    },
}

/// A column to monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its name.
    pub column: &'static str,
    /// Whether a change to it is a change of configuration; false for what only this client writes.
    pub alert: bool,
}

/// Tables and columns to monitor.
pub type WantedTables = BTreeMap<&'static str, Vec<Wanted>>;

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: &'static str,
    kind: ColumnType,
    alert: bool,
}

/// One table's rows.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    columns: Vec<Column>,
    rows: HashMap<Uuid, Vec<Datum>>,
}

/// A row of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    table: &'a Table,
    cells: &'a [Datum],
    /// Its name.
    pub uuid: Uuid,
}

impl<'a> Row<'a> {
    /// What the column holds; `None` where the server's schema has no such column, or it is not monitored.
    pub fn cell(&self, column: &str) -> Option<&'a Datum> {
        self.table.position(column).map(|position| &self.cells[position])
    }
}

/// The monitored part of the database at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    tables: BTreeMap<&'static str, Table>,
}

impl Snapshot {
    /// An empty one with the tables and columns that are wanted and that the server has.
    pub fn new(wanted: &WantedTables, schema: &Schema) -> Self {
        let tables = wanted.iter().filter_map(|(&name, wanted)| {
            let known = schema.tables.get(name)?;
            let column = |wanted: &Wanted| {
                known.get(wanted.column).map(|&kind| Column {
                    name: wanted.column,
                    kind,
                    alert: wanted.alert,
                })
            };
            let mut columns: Vec<Column> = wanted.iter().filter_map(column).collect();
            columns.sort_by_key(|column| column.name);
            Some((name, Table { columns, rows: HashMap::new() }))
        });
        Self { tables: tables.collect() }
    }

    /// Whether both monitor the same tables and columns.
    pub fn same_shape(&self, other: &Self) -> bool {
        let shape = |snapshot: &Self| {
            snapshot.tables.iter().map(|(&name, table)| (name, table.columns.clone())).collect::<Vec<_>>()
        };
        shape(self) == shape(other)
    }

    /// The names of the columns of each monitored table, as the monitor requests want them.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
        self.tables
            .iter()
            .map(|(&name, table)| (name, table.columns.iter().map(|column| column.name).collect()))
    }

    /// How many cells are held: columns times rows, of all tables.
    pub fn cells(&self) -> usize {
        self.tables.values().map(|table| table.columns.len() * table.rows.len()).sum()
    }

    /// The rows of a table, in the order of their names; none where the server has no such table.
    pub fn rows(&self, table: &str) -> Vec<Row<'_>> {
        let Some(table) = self.tables.get(table) else { return Vec::new() };
        let mut rows: Vec<_> =
            table.rows.iter().map(|(&uuid, cells)| Row { table, cells: cells.as_slice(), uuid }).collect();
        rows.sort_by_key(|row| row.uuid);
        rows
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<Row<'_>> {
        let table = self.tables.get(table)?;
        table.rows.get(&uuid).map(|cells| Row { table, cells, uuid })
    }

    /// Whether the server has this column and it is monitored.
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.position(column).is_some())
    }

    /// Applies a `<table-updates>` (RFC 7047 section 4.1.6: old and new rows). Whether any alerting column changed.
    ///
    /// # Errors
    ///
    /// It does not fit what is here.
    pub fn apply_v1(&mut self, updates: &Value) -> Result<bool, UpdateError> {
        self.apply(updates, |table, uuid, update| match update.get("new").filter(|new| !new.is_null()) {
            None => Ok(table.delete(uuid)),
            Some(new) => table.replace(uuid, new),
        })
    }

    /// Applies a `<table-updates2>` (`update2`, `update3`: initial, insert, modify, delete). Whether any alerting
    /// column changed.
    ///
    /// # Errors
    ///
    /// It does not fit what is here.
    pub fn apply_v2(&mut self, updates: &Value) -> Result<bool, UpdateError> {
        self.apply(updates, |table, uuid, update| match update.iter().next() {
            Some((kind, row)) if kind == "initial" || kind == "insert" => table.replace(uuid, row),
            Some((kind, row)) if kind == "modify" => table.modify(uuid, row),
            Some((kind, _)) if kind == "delete" => Ok(table.delete(uuid)),
            _ => Err(Problem::Malformed("neither initial, insert, modify nor delete")),
        })
    }

    fn apply(
        &mut self,
        updates: &Value,
        one: impl Fn(&mut Table, Uuid, &Map<String, Value>) -> Result<bool, Problem>,
    ) -> Result<bool, UpdateError> {
        let tables = updates.as_object().ok_or(UpdateError::Malformed("not an object"))?;
        let mut changed = false;
        for (name, rows) in tables {
            let table =
                self.tables.get_mut(name.as_str()).ok_or_else(|| UpdateError::UnknownTable(name.clone()))?;
            let rows = rows.as_object().ok_or(UpdateError::Malformed("rows are not an object"))?;
            for (row, update) in rows {
                let uuid =
                    row.parse().map_err(|_| UpdateError::BadRow { table: name.clone(), row: row.clone() })?;
                let update =
                    update.as_object().ok_or(UpdateError::Malformed("row update is not an object"))?;
                changed |= one(table, uuid, update).map_err(|problem| problem.at(name, uuid))?;
            }
        }
        Ok(changed)
    }
}

/// What is wrong with the update of one row, before it is known which.
enum Problem {
    Malformed(&'static str),
    NoSuchRow,
    Cell(&'static str, ValueError),
}

impl Problem {
    fn at(self, table: &str, row: Uuid) -> UpdateError {
        let table = table.to_owned();
        match self {
            Self::Malformed(what) => UpdateError::Malformed(what),
            Self::NoSuchRow => UpdateError::NoSuchRow { table, row },
            Self::Cell(column, source) => UpdateError::Cell { table, row, column: column.to_owned(), source },
        }
    }
}

impl Table {
    fn position(&self, column: &str) -> Option<usize> {
        self.columns.binary_search_by(|probe| probe.name.cmp(column)).ok()
    }

    /// The cells that an update names, with their places. Columns that were not asked for are passed over.
    fn read(&self, row: &Value) -> Result<Vec<(usize, Datum)>, Problem> {
        let cells = row.as_object().ok_or(Problem::Malformed("row is not an object"))?;
        let known = cells.iter().filter_map(|(name, value)| Some((self.position(name)?, value)));
        known
            .map(|(position, value)| {
                let column = &self.columns[position];
                let datum = Datum::from_json(&column.kind, value);
                datum.map(|datum| (position, datum)).map_err(|source| Problem::Cell(column.name, source))
            })
            .collect()
    }

    fn replace(&mut self, uuid: Uuid, row: &Value) -> Result<bool, Problem> {
        let mut cells: Vec<Datum> =
            self.columns.iter().map(|column| Datum::default_of(&column.kind)).collect();
        for (position, datum) in self.read(row)? {
            cells[position] = datum;
        }
        let old = self.rows.get(&uuid);
        let alert = |position: usize| self.columns[position].alert;
        let changed = old.is_none_or(|old| (0..cells.len()).any(|at| alert(at) && old[at] != cells[at]));
        self.rows.insert(uuid, cells);
        Ok(changed)
    }

    fn modify(&mut self, uuid: Uuid, row: &Value) -> Result<bool, Problem> {
        let differences = self.read(row)?;
        let cells = self.rows.get_mut(&uuid).ok_or(Problem::NoSuchRow)?;
        let mut changed = false;
        for (position, difference) in differences {
            let column = &self.columns[position];
            cells[position].apply_difference(&column.kind, difference);
            changed |= column.alert;
        }
        Ok(changed)
    }

    fn delete(&mut self, uuid: Uuid) -> bool {
        self.rows.remove(&uuid).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BR: &str = "550e8400-e29b-41d4-a716-446655440000";

    fn empty() -> Snapshot {
        let schema = Schema::from_json(&json!({"version": "1.0.0", "tables": {"Bridge": {"columns": {
            "name": {"type": "string"},
            "ports": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "tag": {"type": {"key": "integer", "min": 0, "max": 1}},
            "status": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}}))
        .unwrap();
        let column = |column, alert| Wanted { column, alert };
        let bridge =
            vec![column("name", true), column("tag", true), column("status", false), column("newer", true)];
        Snapshot::new(&WantedTables::from([("Bridge", bridge), ("Newer", vec![column("x", true)])]), &schema)
    }

    fn text(snapshot: &Snapshot, column: &str) -> Option<String> {
        snapshot.row("Bridge", BR.parse().unwrap())?.cell(column).map(|datum| datum.to_json().to_string())
    }

    #[test]
    fn only_what_the_server_has_is_monitored() {
        let snapshot = empty();
        assert_eq!(snapshot.columns().collect::<Vec<_>>(), [("Bridge", vec!["name", "status", "tag"])]);
        assert!(
            snapshot.has("Bridge", "tag") && !snapshot.has("Bridge", "newer") && !snapshot.has("Newer", "x")
        );
    }

    #[test]
    fn rows_come_change_and_go_by_update3() {
        let mut snapshot = empty();
        assert!(snapshot.apply_v2(&json!({"Bridge": {BR: {"insert": {"name": "br0", "tag": 5}}}})).unwrap());
        assert_eq!(text(&snapshot, "status").unwrap(), r#"["map",[]]"#);
        assert!(snapshot.apply_v2(&json!({"Bridge": {BR: {"modify": {"tag": ["set", []]}}}})).unwrap());
        assert_eq!(text(&snapshot, "tag").unwrap(), r#"["set",[]]"#);
        assert!(snapshot.apply_v2(&json!({"Bridge": {BR: {"delete": null}}})).unwrap());
        assert_eq!(text(&snapshot, "name"), None);
    }

    #[test]
    fn our_own_columns_do_not_alert() {
        let mut snapshot = empty();
        snapshot.apply_v1(&json!({"Bridge": {BR: {"new": {"name": "br0"}}}})).unwrap();
        let status = json!({"Bridge": {BR: {"modify": {"status": ["map", [["a", "b"]]]}}}});
        assert!(!snapshot.apply_v2(&status).unwrap());
        let same = json!({"Bridge": {BR: {"old": {}, "new": {"name": "br0", "status": ["map", []]}}}});
        assert!(!snapshot.apply_v1(&same).unwrap());
        assert!(snapshot.apply_v1(&json!({"Bridge": {BR: {"old": {"name": "br0"}}}})).unwrap());
    }

    #[test]
    fn misfits_are_named() {
        let mut snapshot = empty();
        let mut fail = |updates: Value| snapshot.apply_v2(&updates).unwrap_err().to_string();
        assert_eq!(fail(json!({"Port": {}})), "update of table Port, which is not monitored");
        assert_eq!(
            fail(json!({"Bridge": {BR: {"insert": {"name": 5}}}})),
            format!("update of table Bridge, row {BR}, column name: 5 is not of type string")
        );
        assert_eq!(
            fail(json!({"Bridge": {BR: {"modify": {}}}})),
            format!("update of table Bridge: no row {BR}")
        );
        assert_eq!(fail(json!({"Bridge": {"x": {}}})), "update of table Bridge: x is no row identifier");
        assert_eq!(fail(json!([])), "update: not an object");
    }
}
