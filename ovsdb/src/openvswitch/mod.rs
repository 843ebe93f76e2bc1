//! A typed view of the `Open_vSwitch` schema: the rows that configure a switch, as plain structs.
//!
//! [`wanted`] says what to monitor, [`Database::read`] turns a [`Snapshot`] into structs. A column that the server does
//! not have, and one that holds what it should not, reads as its default; the latter is reported with its table and
//! column. Columns that the daemon writes are monitored too, so that only differences are written; they are read from
//! the snapshot's rows as they are.

mod cell;
mod rows;

use std::collections::BTreeMap;

pub use cell::CellError;
pub use rows::{
    Bridge, Controller, CtTimeoutPolicy, CtZone, Datapath, FlowTable, Interface, OpenVswitch, Port, Ssl,
};

use crate::snapshot::{Snapshot, Wanted, WantedTables};
use crate::value::Uuid;

/// Name of the database.
pub const DATABASE: &str = "Open_vSwitch";
/// The lock of whoever is the switch daemon of a database.
pub const LOCK: &str = "ovs_vswitchd";

/// All configuration there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// The root row; `None` in a database that was not initialised.
    pub root: Option<OpenVswitch>,
    /// Bridges.
    pub bridges: BTreeMap<Uuid, Bridge>,
    /// Ports: one interface each, or a bond of several.
    pub ports: BTreeMap<Uuid, Port>,
    /// Interfaces.
    pub interfaces: BTreeMap<Uuid, Interface>,
    /// OpenFlow controllers.
    pub controllers: BTreeMap<Uuid, Controller>,
    /// TLS files.
    pub ssl: BTreeMap<Uuid, Ssl>,
    /// Settings of OpenFlow tables.
    pub flow_tables: BTreeMap<Uuid, FlowTable>,
    /// Settings of types of datapaths.
    pub datapaths: BTreeMap<Uuid, Datapath>,
    /// Connection tracking zones.
    pub ct_zones: BTreeMap<Uuid, CtZone>,
    /// Timeouts of connections.
    pub ct_timeout_policies: BTreeMap<Uuid, CtTimeoutPolicy>,
}

impl Database {
    /// Reads all rows; with what was not as it should be.
    pub fn read(snapshot: &Snapshot) -> (Self, Vec<CellError>) {
        let mut errors = Vec::new();
        let database = Self {
            root: OpenVswitch::all(snapshot, &mut errors).into_values().next(),
            bridges: Bridge::all(snapshot, &mut errors),
            ports: Port::all(snapshot, &mut errors),
            interfaces: Interface::all(snapshot, &mut errors),
            controllers: Controller::all(snapshot, &mut errors),
            ssl: Ssl::all(snapshot, &mut errors),
            flow_tables: FlowTable::all(snapshot, &mut errors),
            datapaths: Datapath::all(snapshot, &mut errors),
            ct_zones: CtZone::all(snapshot, &mut errors),
            ct_timeout_policies: CtTimeoutPolicy::all(snapshot, &mut errors),
        };
        (database, errors)
    }
}

/// What a switch daemon monitors.
pub fn wanted() -> WantedTables {
    fn columns(read: &[&'static str], written: &[&'static str]) -> Vec<Wanted> {
        let wanted = |alert: bool| move |&column: &&'static str| Wanted { column, alert };
        read.iter().map(wanted(true)).chain(written.iter().map(wanted(false))).collect()
    }
    WantedTables::from([
        (OpenVswitch::TABLE, columns(OpenVswitch::READ, OpenVswitch::WRITTEN)),
        (Bridge::TABLE, columns(Bridge::READ, Bridge::WRITTEN)),
        (Port::TABLE, columns(Port::READ, Port::WRITTEN)),
        (Interface::TABLE, columns(Interface::READ, Interface::WRITTEN)),
        (Controller::TABLE, columns(Controller::READ, Controller::WRITTEN)),
        (Ssl::TABLE, columns(Ssl::READ, Ssl::WRITTEN)),
        (FlowTable::TABLE, columns(FlowTable::READ, FlowTable::WRITTEN)),
        (Datapath::TABLE, columns(Datapath::READ, Datapath::WRITTEN)),
        (CtZone::TABLE, columns(CtZone::READ, CtZone::WRITTEN)),
        (CtTimeoutPolicy::TABLE, columns(CtTimeoutPolicy::READ, CtTimeoutPolicy::WRITTEN)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;
    use serde_json::{Value, json};

    const ROW: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "11111111-2222-3333-4444-666666666666";

    fn snapshot(columns: &Value, rows: &Value) -> Snapshot {
        let schema = json!({"version": "8", "tables": {"Port": {"columns": columns}, "Bridge": {"columns": {
            "name": {"type": "string"}, "flow_tables": {"type":
            {"key": "integer", "value": "uuid", "min": 0, "max": "unlimited"}}}}}});
        let mut snapshot = Snapshot::new(&wanted(), &Schema::from_json(&schema).unwrap());
        snapshot.apply_v2(rows).unwrap();
        snapshot
    }

    #[test]
    fn rows_become_structs_and_references_uuids() {
        let columns = json!({"name": {"type": "string"}, "tag": {"type": {"key": "integer", "min": 0, "max": 1}},
            "trunks": {"type": {"key": "integer", "min": 0, "max": 4096}},
            "interfaces": {"type": {"key": "uuid", "min": 1, "max": "unlimited"}},
            "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}});
        let rows = json!({
            "Port": {ROW: {"initial": {"name": "p0", "tag": 5, "trunks": ["set", [1, 2]],
                "interfaces": ["uuid", OTHER], "other_config": ["map", [["priority-tags", "always"]]]}}},
            "Bridge": {OTHER: {"initial": {"name": "br0", "flow_tables": ["map", [[0, ["uuid", ROW]]]]}}}});
        let (database, errors) = Database::read(&snapshot(&columns, &rows));
        assert_eq!(errors, []);
        let port = &database.ports[&ROW.parse().unwrap()];
        assert_eq!(
            (port.name.as_str(), port.tag, port.trunks.as_slice()),
            ("p0", Some(5), [1, 2].as_slice())
        );
        assert_eq!(port.interfaces, [OTHER.parse().unwrap()]);
        assert_eq!(port.other_config["priority-tags"], "always");
        assert_eq!(port.vlan_mode, None, "the server has no such column");
        assert_eq!(database.bridges[&OTHER.parse().unwrap()].flow_tables, [(0, ROW.parse().unwrap())].into());
    }

    #[test]
    fn a_cell_of_another_type_is_reported_and_reads_as_default() {
        let columns =
            json!({"name": {"type": "string"}, "tag": {"type": {"key": "string", "min": 0, "max": 1}}});
        let rows = json!({"Port": {ROW: {"initial": {"name": "p0", "tag": "five"}}}});
        let (database, errors) = Database::read(&snapshot(&columns, &rows));
        assert_eq!(database.ports[&ROW.parse().unwrap()].tag, None);
        let [error] = errors.try_into().unwrap();
        assert_eq!(
            error.to_string(),
            format!("table Port, row {ROW}, column tag: unexpected value \"five\"")
        );
    }
}
