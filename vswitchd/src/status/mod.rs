//! What the switch writes back to the database, as columns and their values. Only differences are written, and only
//! columns that the server's schema has.

mod columns;

pub use columns::{bridge, controller, datapath, error, interface, missing, patch_error, root, statistics};

use ovsdb::snapshot::Snapshot;
use ovsdb::transaction::Transaction;
use ovsdb::value::{Datum, Uuid};

/// A column and what it is to hold.
pub type Cell = (&'static str, Datum);

/// Adds to a transaction what of a row differs from the database. Whether anything does.
pub fn write(
    transaction: &mut Transaction,
    snapshot: &Snapshot,
    table: &'static str,
    uuid: Uuid,
    cells: impl IntoIterator<Item = Cell>,
) -> bool {
    let Some(row) = snapshot.row(table, uuid) else { return false };
    let mut differs = false;
    for (column, value) in cells {
        if row.cell(column).is_some_and(|old| *old != value) {
            transaction.set(table, uuid, column, &value);
            differs = true;
        }
    }
    differs
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::openvswitch;
    use ovsdb::schema::Schema;
    use ovsdb::value::Atom;
    use serde_json::json;

    #[test]
    fn only_differences_in_columns_that_exist_are_written() {
        let schema = json!({"version": "1", "tables": {"Interface": {"columns": {
            "name": {"type": "string"},
            "mtu": {"type": {"key": "integer", "min": 0, "max": 1}},
            "ofport": {"type": {"key": "integer", "min": 0, "max": 1}}}}}});
        let mut snapshot = Snapshot::new(&openvswitch::wanted(), &Schema::from_json(&schema).unwrap());
        let uuid = Uuid::from_bytes([1; 16]);
        snapshot
            .apply_v2(&json!({"Interface": {uuid.to_string(): {"insert": {"name": "p0", "mtu": 1500}}}}))
            .unwrap();
        let number = |number| Datum::Set([Atom::Integer(number)].into());
        let mut transaction = Transaction::default();
        let mut write = |cells: Vec<Cell>| write(&mut transaction, &snapshot, "Interface", uuid, cells);
        assert!(!write(vec![("mtu", number(1500)), ("link_resets", number(1))]));
        assert!(write(vec![("mtu", number(1500)), ("ofport", number(1))]));
        assert_eq!(transaction.len(), 1);
    }
}
