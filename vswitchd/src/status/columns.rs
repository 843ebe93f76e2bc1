//! The columns of each table that the switch fills in.

use std::collections::{BTreeMap, BTreeSet};

use ofproto::conn::config::ControllerStatus;
use ovsdb::value::{Atom, Datum};

use super::Cell;
use crate::reconcile::devices::DeviceStatus;

/// The interface types that can be configured.
const INTERFACE_TYPES: [&str; 6] = ["internal", "null", "patch", "replay", "system", "tap"];
/// The datapath types.
const DATAPATH_TYPES: [&str; 2] = ["netdev", "system"];

fn none() -> Datum {
    Datum::Set(BTreeSet::new())
}

fn one(atom: Atom) -> Datum {
    Datum::Set([atom].into())
}

fn option(atom: Option<Atom>) -> Datum {
    atom.map_or_else(none, one)
}

fn text(text: &str) -> Atom {
    Atom::String(text.to_owned())
}

fn integer(number: u64) -> Atom {
    Atom::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn texts(texts: &[&str]) -> Datum {
    Datum::Set(texts.iter().map(|item| text(item)).collect())
}

fn map(pairs: &BTreeMap<String, String>) -> Datum {
    Datum::Map(pairs.iter().map(|(key, value)| (text(key), text(value))).collect())
}

/// `Open_vSwitch`, with the configuration number that is now in force.
pub fn root(cur_cfg: i64) -> Vec<Cell> {
    vec![
        ("cur_cfg", one(Atom::Integer(cur_cfg))),
        ("datapath_types", texts(&DATAPATH_TYPES)),
        ("iface_types", texts(&INTERFACE_TYPES)),
        ("dpdk_initialized", one(Atom::Boolean(false))),
        ("dpdk_version", one(text("none"))),
    ]
}

/// `Datapath`.
pub fn datapath(features: &BTreeMap<String, String>) -> Vec<Cell> {
    vec![("capabilities", map(features))]
}

/// `Bridge`; without a datapath id for one that does not exist.
pub fn bridge(datapath_id: Option<u64>) -> Vec<Cell> {
    vec![
        ("datapath_id", option(datapath_id.map(|id| text(&format!("{id:016x}"))))),
        ("datapath_version", one(text(if datapath_id.is_some() { "<built-in>" } else { "" }))),
    ]
}

/// `Interface` of one that is open.
pub fn interface(ofport: u16, status: &DeviceStatus) -> Vec<Cell> {
    let up = |up: bool| one(text(if up { "up" } else { "down" }));
    let duplex = status.full_duplex.map(|full| text(if full { "full" } else { "half" }));
    vec![
        ("ofport", one(integer(ofport.into()))),
        ("admin_state", up(status.admin_up)),
        ("link_state", up(status.link_up)),
        ("link_resets", one(integer(status.link_resets))),
        ("link_speed", option(status.speed_bps.map(integer))),
        ("duplex", option(duplex)),
        ("mtu", option(status.mtu.map(|mtu| integer(mtu.into())))),
        ("mac_in_use", one(text(&status.mac.to_string()))),
        ("ifindex", one(integer(status.ifindex.into()))),
        ("status", map(&status.status)),
    ]
}

/// `Interface.error` of one that is open; nothing when all is well.
pub fn error(error: Option<&str>) -> Cell {
    ("error", option(error.map(text)))
}

/// What `Interface.error` says of a patch port whose peer is not there.
pub fn patch_error(peer: &str, datapath_type: &str) -> String {
    format!("No usable peer '{peer}' exists in '{datapath_type}' datapath.")
}

/// `Interface` of one that is not there, and why.
pub fn missing(why: &str) -> Vec<Cell> {
    let empty =
        ["admin_state", "link_state", "link_resets", "link_speed", "duplex", "mtu", "mac_in_use", "ifindex"];
    let mut cells: Vec<Cell> = empty.iter().map(|&column| (column, none())).collect();
    cells.extend([
        ("ofport", one(Atom::Integer(-1))),
        error(Some(why)),
        ("status", map(&BTreeMap::new())),
        ("statistics", map(&BTreeMap::new())),
    ]);
    cells
}

/// `Interface.statistics`.
pub fn statistics(counters: impl IntoIterator<Item = (&'static str, u64)>) -> Cell {
    (
        "statistics",
        Datum::Map(counters.into_iter().map(|(name, count)| (text(name), integer(count))).collect()),
    )
}

/// `Controller`.
pub fn controller(status: &ControllerStatus) -> Vec<Cell> {
    vec![
        ("is_connected", one(Atom::Boolean(status.is_connected))),
        ("role", option(status.role.map(text))),
        ("status", map(&status.status)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::spec::Mac;
    use serde_json::{Value, json};

    fn json_of(cells: Vec<Cell>) -> Value {
        Value::Object(cells.into_iter().map(|(column, value)| (column.to_owned(), value.to_json())).collect())
    }

    #[test]
    fn a_device_fills_all_columns() {
        let status = DeviceStatus {
            admin_up: true,
            link_up: false,
            link_resets: 2,
            speed_bps: Some(10_000_000_000),
            full_duplex: Some(true),
            mtu: Some(1500),
            mac: Mac([0xaa, 0x8f, 0x48, 0x2d, 0xeb, 0xa3]),
            ifindex: 3,
            status: [("driver_name".to_owned(), "veth".to_owned())].into(),
        };
        let expected = json!({"ofport": 6, "admin_state": "up", "link_state": "down", "link_resets": 2,
            "link_speed": 10_000_000_000_u64, "duplex": "full", "mtu": 1500, "mac_in_use": "aa:8f:48:2d:eb:a3",
            "ifindex": 3, "status": ["map", [["driver_name", "veth"]]]});
        assert_eq!(json_of(interface(6, &status)), expected);
    }

    #[test]
    fn one_that_is_missing_empties_all_but_its_error() {
        let value = json_of(missing("could not open network device p0 (No such device)"));
        assert_eq!((&value["ofport"], &value["mtu"]), (&json!(-1), &json!(["set", []])));
        assert_eq!(value["error"], "could not open network device p0 (No such device)");
        assert_eq!(value["statistics"], json!(["map", []]));
    }

    #[test]
    fn datapath_ids_are_sixteen_digits() {
        assert_eq!(json_of(bridge(Some(0x1234)))["datapath_id"], "0000000000001234");
        assert_eq!(json_of(bridge(None))["datapath_id"], json!(["set", []]));
    }
}
