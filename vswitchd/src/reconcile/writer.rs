//! Tells the database what there is: the number of the configuration in force together with all that is new about
//! interfaces, in one transaction; statistics every few seconds, in slices.
//!
//! One transaction is under way at a time. What changes meanwhile is written by the next.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use datapath::Datapath;
use datapath::netdev::Netdevs;
use ofproto::conn::ConnManager;
use ovsdb::openvswitch::{self, Bridge, Controller, Database, Interface, OpenVswitch};
use ovsdb::session::{Session, TransactionId};
use ovsdb::snapshot::Snapshot;
use ovsdb::transaction::{Outcome, Transaction};
use ovsdb::value::{Atom, Datum, Uuid};

use super::actual::Actual;
use super::bridge::{Hints, LiveBridge};
use super::interface::LiveInterface;
use super::spec::{Desired, InterfaceKind};
use crate::{features, status};

/// Interfaces whose statistics are read in one turn of the loop: each costs some 20 microseconds.
const STATISTICS_PER_RUN: usize = 32;
/// How often controllers are looked at.
const CONTROLLERS_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait after the server refused a transaction.
const RETRY: Duration = Duration::from_secs(1);

/// What of a controller's state is worth a transaction of its own.
type ControllerNews = Vec<(String, bool, Option<&'static str>, Option<String>)>;

/// Writes to the database.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pending: Option<TransactionId>,
    /// The root row, and the number of the configuration that was read last.
    next_cfg: Option<(Uuid, i64)>,
    configured: bool,
    first_done: bool,
    dirty: bool,
    not_before: Option<Instant>,
    statistics_interval: Duration,
    next_statistics: Option<Instant>,
    queue: VecDeque<(String, String)>,
    next_controllers: Option<Instant>,
    controllers: ControllerNews,
}

impl Writer {
    /// The configuration that was read is in force.
    pub(super) fn config_applied(&mut self, statistics_interval: Duration, now: Instant) {
        self.configured = true;
        self.dirty = true;
        let changed = self.statistics_interval != statistics_interval;
        self.statistics_interval = statistics_interval;
        if self.next_statistics.is_none() || changed {
            self.next_statistics = Some(now);
        }
    }

    /// Which configuration is read.
    pub(super) fn set_next_cfg(&mut self, next_cfg: Option<(Uuid, i64)>) {
        self.next_cfg = next_cfg;
    }

    /// Something about a device may have changed.
    pub(super) fn status_changed(&mut self) {
        self.dirty = true;
    }

    /// These interfaces are new: their statistics go with what else is told of them.
    pub(super) fn opened(&mut self, interfaces: Vec<(String, String)>) {
        self.queue.extend(interfaces);
    }

    /// Whether the first configuration is in force, and the database knows.
    pub(super) fn first_done(&self) -> bool {
        self.first_done
    }

    /// Hears how transactions ended.
    pub(super) fn take_outcomes(&mut self, session: &mut Session) {
        for (id, outcome) in session.take_outcomes() {
            if self.pending != Some(id) {
                continue;
            }
            self.pending = None;
            match outcome {
                Outcome::Committed => self.first_done |= self.configured,
                Outcome::Lost => self.dirty = true,
                Outcome::Refused(why) => {
                    tracing::warn!(target: "ovsdb_idl", "transaction error: {why}");
                    self.dirty = true;
                    self.not_before = Some(Instant::now() + RETRY);
                }
            }
        }
    }

    /// When there is something to write at the latest.
    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        if self.pending.is_some() || !self.configured {
            return None;
        }
        let soon =
            (self.dirty || !self.queue.is_empty()).then(|| self.not_before.unwrap_or_else(Instant::now));
        [soon, self.next_statistics, self.next_controllers].into_iter().flatten().min()
    }

    /// Writes what differs.
    pub(super) fn run(&mut self, session: &mut Session, scene: &mut Scene<'_>, now: Instant) {
        if self.pending.is_some() || !self.configured || self.not_before.is_some_and(|at| now < at) {
            return;
        }
        self.not_before = None;
        self.look_at_clock(scene, now);
        if !self.dirty && self.queue.is_empty() {
            return;
        }
        let Some(snapshot) = session.snapshot() else { return };
        let mut transaction = Transaction::default();
        if self.dirty {
            self.write_status(&mut transaction, snapshot, scene);
            self.dirty = false;
        }
        for _ in 0..STATISTICS_PER_RUN {
            let Some((bridge, interface)) = self.queue.pop_front() else { break };
            write_statistics(&mut transaction, snapshot, scene, &bridge, &interface);
        }
        if transaction.is_empty() {
            self.first_done = true;
        } else {
            self.pending = Some(session.transact(&transaction));
        }
    }

    fn look_at_clock(&mut self, scene: &Scene<'_>, now: Instant) {
        if self.next_statistics.is_some_and(|at| now >= at) {
            self.next_statistics = Some(now + self.statistics_interval);
            self.dirty = true;
            let interfaces = scene.actual.bridges.iter().flat_map(|(bridge, live)| {
                live.interfaces.keys().map(|interface| (bridge.clone(), interface.clone()))
            });
            self.queue = interfaces.collect();
        }
        if self.next_controllers.is_none_or(|at| now >= at) {
            self.next_controllers = Some(now + CONTROLLERS_INTERVAL);
            let news = scene.controller_news();
            self.dirty |= news != self.controllers;
            self.controllers = news;
        }
    }

    fn write_status(&self, transaction: &mut Transaction, snapshot: &Snapshot, scene: &Scene<'_>) {
        for (uuid, refusal) in &scene.desired.refused {
            status::write(transaction, snapshot, Interface::TABLE, *uuid, status::missing(&refusal.error));
        }
        for live in scene.actual.bridges.values() {
            status::write(
                transaction,
                snapshot,
                Bridge::TABLE,
                live.spec.uuid,
                status::bridge(live.datapath_id),
            );
            for (name, why) in &live.failed {
                if let Some(spec) = live.spec.interfaces.get(name) {
                    status::write(transaction, snapshot, Interface::TABLE, spec.uuid, status::missing(why));
                }
            }
            for interface in live.interfaces.values() {
                let cells = scene.interface_cells(live, interface);
                status::write(transaction, snapshot, Interface::TABLE, interface.spec.uuid, cells);
            }
            for (target, state) in scene.conn.status(&live.spec.name) {
                if let Some(&uuid) = live.spec.controllers.get(&target) {
                    status::write(transaction, snapshot, Controller::TABLE, uuid, status::controller(&state));
                }
            }
        }
        let features = features::stored(scene.datapath);
        for &uuid in &scene.desired.datapaths {
            status::write(
                transaction,
                snapshot,
                openvswitch::Datapath::TABLE,
                uuid,
                status::datapath(&features),
            );
        }
        if let Some((root, next_cfg)) = self.next_cfg {
            status::write(transaction, snapshot, OpenVswitch::TABLE, root, status::root(next_cfg));
        }
    }
}

/// What is to be told of.
pub(super) struct Scene<'a> {
    pub(super) desired: &'a Desired,
    pub(super) actual: &'a Actual,
    pub(super) datapath: &'a Datapath,
    pub(super) netdevs: &'a mut Netdevs,
    pub(super) conn: &'a ConnManager,
}

impl Scene<'_> {
    fn controller_news(&self) -> ControllerNews {
        let states = self.actual.bridges.keys().flat_map(|bridge| self.conn.status(bridge));
        states
            .map(|(target, state)| {
                (target, state.is_connected, state.role, state.status.get("state").cloned())
            })
            .collect()
    }

    fn interface_cells(&self, bridge: &LiveBridge, live: &LiveInterface) -> Vec<status::Cell> {
        let mut cells = status::interface(live.number(), &live.status);
        let error = match &live.spec.kind {
            InterfaceKind::Patch { peer } if !self.has_patch(peer) => {
                Some(status::patch_error(peer, bridge.spec.datapath_type.name()))
            }
            _ => None,
        };
        cells.push(status::error(error.as_deref()));
        cells
    }

    fn has_patch(&self, name: &str) -> bool {
        let named = self.actual.bridges.values().filter_map(|bridge| bridge.interfaces.get(name));
        named.into_iter().any(|live| matches!(live.spec.kind, InterfaceKind::Patch { .. }))
    }

    fn statistics(&mut self, bridge: &LiveBridge, live: &LiveInterface) -> Option<status::Cell> {
        if matches!(live.spec.kind, InterfaceKind::Patch { .. }) {
            return patch_statistics(bridge, live);
        }
        let port = live.port.as_ref()?;
        if live.has_device() {
            let mut statistics = self.netdevs.statistics(&live.spec.name).ok()?;
            let ours = port.counters.read();
            statistics.rx_dropped += ours.rx_dropped();
            statistics.tx_dropped += ours.tx_dropped();
            return Some(status::statistics(statistics.columns()));
        }
        let statistics = self.datapath.port_stats(port.number)?;
        Some(status::statistics([
            ("rx_bytes", statistics.rx.bytes),
            ("rx_dropped", statistics.rx_dropped()),
            ("rx_packets", statistics.rx.packets),
            ("tx_bytes", statistics.tx.bytes),
            ("tx_dropped", statistics.tx_dropped()),
            ("tx_packets", statistics.tx.packets),
        ]))
    }
}

/// What went through a patch port: the datapath knows nothing of it.
fn patch_statistics(bridge: &LiveBridge, live: &LiveInterface) -> Option<status::Cell> {
    let port = bridge.handle.port(live.ofport)?;
    let (rx, tx) = (port.rx.totals().hits, port.tx.totals().hits);
    Some(status::statistics([
        ("rx_bytes", rx.bytes),
        ("rx_packets", rx.packets),
        ("tx_bytes", tx.bytes),
        ("tx_packets", tx.packets),
    ]))
}

fn write_statistics(
    transaction: &mut Transaction,
    snapshot: &Snapshot,
    scene: &mut Scene<'_>,
    bridge: &str,
    interface: &str,
) {
    let actual = scene.actual;
    let Some(bridge) = actual.bridges.get(bridge) else { return };
    let Some(live) = bridge.interfaces.get(interface) else { return };
    let cell = scene.statistics(bridge, live);
    status::write(transaction, snapshot, Interface::TABLE, live.spec.uuid, cell);
}

/// The port numbers that the database says interfaces have: what a switch that ran before gave them.
pub(super) fn numbers_in_use(snapshot: &Snapshot, database: &Database) -> Hints {
    let number = |uuid: &Uuid| match snapshot.row(Interface::TABLE, *uuid)?.cell("ofport")? {
        Datum::Set(atoms) => match atoms.first()? {
            Atom::Integer(number) => {
                u16::try_from(*number).ok().filter(|&number| (1..0xff00).contains(&number))
            }
            _ => None,
        },
        Datum::Map(_) => None,
    };
    database.interfaces.keys().filter_map(|uuid| Some((*uuid, number(uuid)?))).collect()
}
