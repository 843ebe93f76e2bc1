//! Connection tracking zones: what the tables `Datapath`, `CT_Zone` and `CT_Timeout_Policy` want of the tracker.
//!
//! There is one tracker for the datapaths of both types. What both types say of a zone holds as `netdev` says it.
//!
//! A policy keeps its number as long as its row lives, so that connections follow when its timeouts change. Limits are touched only where the
//! database changes its mind: those that `ovs-appctl` sets stay until then.

use std::collections::BTreeMap;

use conntrack::timeout::{Stage, Timeouts};
use ovsdb::openvswitch::{Database, Datapath};
use ovsdb::value::Uuid;

use super::world::World;

/// The names of timeouts that apply here. Others of the schema are for the kernel's tracker only.
const NAMES: [(&str, Stage); 11] = [
    ("tcp_syn_sent", Stage::TcpFirst),
    ("tcp_syn_recv", Stage::TcpOpening),
    ("tcp_established", Stage::TcpEstablished),
    ("tcp_fin_wait", Stage::TcpClosing),
    ("tcp_time_wait", Stage::TcpFinWait),
    ("tcp_close", Stage::TcpClosed),
    ("udp_first", Stage::OtherFirst),
    ("udp_single", Stage::OtherMultiple),
    ("udp_multiple", Stage::OtherBidir),
    ("icmp_first", Stage::IcmpFirst),
    ("icmp_reply", Stage::IcmpReply),
];
/// What stands for "as many as you like", whatever the default limit.
const UNLIMITED: u32 = u32::MAX - 1;

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConntrackSpec {
    /// Timeouts, by the policy's row.
    pub policies: BTreeMap<Uuid, Timeouts>,
    /// The policy of each zone that has one.
    pub zones: BTreeMap<u16, Uuid>,
    /// The limit of each zone that has one.
    pub limits: BTreeMap<u16, u32>,
    /// The limit of other zones.
    pub default_limit: Option<u32>,
}

impl ConntrackSpec {
    /// Reads it.
    pub(super) fn read(database: &Database) -> Self {
        let mut spec = Self::default();
        let Some(root) = &database.root else { return spec };
        for kind in ["system", "netdev"] {
            let row = root.datapaths.get(kind).and_then(|uuid| database.datapaths.get(uuid));
            if let Some(row) = row {
                spec.add(database, row);
            }
        }
        spec
    }

    fn add(&mut self, database: &Database, datapath: &Datapath) {
        self.default_limit = datapath.default_limit.map(limit).or(self.default_limit);
        for (number, uuid) in &datapath.ct_zones {
            let (Ok(zone), Some(row)) = (u16::try_from(*number), database.ct_zones.get(uuid)) else {
                continue;
            };
            if let Some(wanted) = row.limit {
                self.limits.insert(zone, limit(wanted));
            }
            let policy =
                row.timeout_policy.and_then(|uuid| Some((uuid, database.ct_timeout_policies.get(&uuid)?)));
            if let Some((uuid, row)) = policy {
                self.zones.insert(zone, uuid);
                self.policies.insert(uuid, timeouts(&row.timeouts));
            }
        }
    }
}

/// 0 is "no limit" in the database.
fn limit(wanted: i64) -> u32 {
    u32::try_from(wanted).ok().filter(|limit| (1..UNLIMITED).contains(limit)).unwrap_or(UNLIMITED)
}

fn timeouts(row: &BTreeMap<String, i64>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for (name, stage) in NAMES {
        if let Some(seconds) = row.get(name).and_then(|seconds| u32::try_from(*seconds).ok()) {
            timeouts.0[stage as usize] = seconds;
        }
    }
    timeouts
}

/// What was applied.
#[derive(Debug, Default)]
pub(super) struct LiveConntrack {
    spec: ConntrackSpec,
    /// Numbers of policies, by row.
    numbers: BTreeMap<Uuid, u32>,
    last_number: u32,
}

impl LiveConntrack {
    /// Brings the tracker to what is wanted.
    pub(super) fn apply(&mut self, wanted: &ConntrackSpec, world: &World<'_>) {
        if self.spec == *wanted {
            return;
        }
        let tracker = world.datapath.tracker();
        for (uuid, timeouts) in &wanted.policies {
            if self.spec.policies.get(uuid) != Some(timeouts) {
                tracker.set_timeout_policy(self.number(*uuid), timeouts);
            }
        }
        let zones = wanted.zones.iter().map(|(zone, uuid)| (*zone, self.number(*uuid)));
        world.switch.set_zone_policies(zones.collect());
        self.numbers.retain(|uuid, number| {
            let keep = wanted.policies.contains_key(uuid);
            if !keep {
                tracker.delete_timeout_policy(*number);
            }
            keep
        });
        self.apply_limits(wanted, tracker.limits());
        self.spec.clone_from(wanted);
    }

    /// The number of a policy; a new one has one that no other ever had. Number 0 is that of the default.
    fn number(&mut self, uuid: Uuid) -> u32 {
        *self.numbers.entry(uuid).or_insert_with(|| {
            self.last_number += 1;
            self.last_number
        })
    }

    fn apply_limits(&self, wanted: &ConntrackSpec, limits: &conntrack::Limits) {
        if self.spec.default_limit != wanted.default_limit {
            limits.set_default(wanted.default_limit);
        }
        for zone in self.spec.limits.keys().filter(|zone| !wanted.limits.contains_key(zone)) {
            limits.set(*zone, None);
        }
        for (zone, limit) in &wanted.limits {
            if self.spec.limits.get(zone) != Some(limit) {
                limits.set(*zone, Some(*limit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::openvswitch::{CtTimeoutPolicy, CtZone, OpenVswitch};

    fn uuid(n: u8) -> Uuid {
        Uuid::from_bytes([n; 16])
    }

    #[test]
    fn zones_of_both_types_are_read() {
        let zone = |n, policy: u8, limit| {
            (uuid(n), CtZone { uuid: uuid(n), timeout_policy: Some(uuid(policy)), limit })
        };
        let policy = |n, name: &str, seconds| {
            let timeouts = [(name.to_owned(), seconds), ("tcp_unack".to_owned(), 1)].into();
            (uuid(n), CtTimeoutPolicy { uuid: uuid(n), timeouts })
        };
        let datapath = |n, zones: &[(i64, u8)], default_limit| {
            let ct_zones = zones.iter().map(|(zone, row)| (*zone, uuid(*row))).collect();
            (uuid(n), Datapath { uuid: uuid(n), ct_zones, default_limit })
        };
        let datapaths = [("netdev".to_owned(), uuid(1)), ("system".to_owned(), uuid(2))].into();
        let database = Database {
            root: Some(OpenVswitch { datapaths, ..OpenVswitch::default() }),
            datapaths: [datapath(1, &[(5, 10), (6, 11)], None), datapath(2, &[(5, 12), (7, 12)], Some(9))]
                .into(),
            ct_zones: [zone(10, 20, Some(3)), zone(11, 99, Some(0)), zone(12, 21, None)].into(),
            ct_timeout_policies: [policy(20, "udp_first", 7), policy(21, "tcp_syn_sent", 0)].into(),
            ..Database::default()
        };
        let spec = ConntrackSpec::read(&database);
        assert_eq!(spec.zones, [(5, uuid(20)), (7, uuid(21))].into());
        assert_eq!(spec.limits, [(5, 3), (6, UNLIMITED)].into());
        assert_eq!(spec.default_limit, Some(9));
        let first = &spec.policies[&uuid(20)];
        assert_eq!((first.seconds(Stage::OtherFirst), first.seconds(Stage::TcpFirst)), (7, 30));
        assert_eq!(spec.policies[&uuid(21)].seconds(Stage::TcpFirst), 0);
        assert_eq!(ConntrackSpec::read(&Database::default()), ConntrackSpec::default());
    }
}
