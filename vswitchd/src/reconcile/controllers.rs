//! What a bridge's connections are to be, from the rows of its controllers.

use std::collections::BTreeMap;

use ofproto::conn::config::DEFAULT_QUEUE_SIZE;
use ofproto::conn::{ConnConfig, ConnKind, ControllerConfig, Timing};
use openflow::Versions;
use ovsdb::openvswitch::{Bridge, Controller, Database};
use ovsdb::value::Uuid;

use super::desired::number;

/// Protocols and controllers of a bridge.
pub(super) fn conn_config(database: &Database, bridge: &Bridge) -> ConnConfig {
    let queue_size = number(&bridge.other_config, "controller-queue-size");
    let queue_size = queue_size.and_then(|size| usize::try_from(size).ok()).unwrap_or(DEFAULT_QUEUE_SIZE);
    let mut controllers: Vec<_> = listed(database, bridge).map(|row| controller(row, queue_size)).collect();
    controllers.sort_by(|a, b| a.target.cmp(&b.target));
    ConnConfig { protocols: protocols(&bridge.protocols), controllers }
}

/// The rows of a bridge's controllers by target.
pub(super) fn rows(database: &Database, bridge: &Bridge) -> BTreeMap<String, Uuid> {
    listed(database, bridge).map(|row| (row.target.clone(), row.uuid)).collect()
}

fn listed<'a>(database: &'a Database, bridge: &'a Bridge) -> impl Iterator<Item = &'a Controller> {
    bridge.controllers.iter().filter_map(|uuid| database.controllers.get(uuid))
}

fn controller(row: &Controller, queue_size: usize) -> ControllerConfig {
    let positive = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    ControllerConfig {
        kind: match row.kind.as_deref() {
            Some("primary") => Some(ConnKind::Primary),
            Some("service") => Some(ConnKind::Service),
            _ => None,
        },
        timing: Timing::configured(row.max_backoff, row.inactivity_probe),
        dscp: number(&row.other_config, "dscp")
            .and_then(|dscp| u8::try_from(dscp).ok())
            .filter(|&dscp| dscp < 64)
            .unwrap_or_else(|| ControllerConfig::new("").dscp),
        enable_async: row.enable_async_messages.unwrap_or(true),
        rate_limit: positive(row.controller_rate_limit),
        burst_limit: positive(row.controller_burst_limit),
        queue_size: positive(row.controller_queue_size).map_or(queue_size, |size| size as usize),
        ..ControllerConfig::new(row.target.clone())
    }
}

/// The versions of `Bridge.protocols`; all when none is named.
fn protocols(names: &[String]) -> Versions {
    let wire = |name: &String| match name.as_str() {
        "OpenFlow10" => Some(1),
        "OpenFlow11" => Some(2),
        "OpenFlow12" => Some(3),
        "OpenFlow13" => Some(4),
        "OpenFlow14" => Some(5),
        "OpenFlow15" => Some(6),
        _ => None,
    };
    match names.iter().filter_map(wire).fold(0, |bits, wire| bits | 1 << wire) {
        0 => Versions::ALL,
        bits => Versions(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_all_unless_named() {
        assert_eq!(protocols(&[]), Versions::ALL);
        assert_eq!(protocols(&["OpenFlow13".into(), "OpenFlow10".into()]), Versions(1 << 1 | 1 << 4));
    }

    #[test]
    fn a_row_says_what_it_says_and_the_rest_is_usual() {
        let config = [("dscp".to_owned(), "99".to_owned())].into();
        let row = Controller {
            target: "tcp:1.2.3.4".into(),
            kind: Some("service".into()),
            controller_rate_limit: Some(1000),
            enable_async_messages: Some(false),
            other_config: config,
            ..Controller::default()
        };
        let read = controller(&row, 7);
        let usual = ControllerConfig::new("tcp:1.2.3.4");
        let expected = ControllerConfig {
            kind: Some(ConnKind::Service),
            rate_limit: Some(1000),
            enable_async: false,
            queue_size: 7,
            ..usual
        };
        assert_eq!(read, expected, "a DSCP beyond 63 is passed over");
    }
}
