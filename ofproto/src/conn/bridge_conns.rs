//! The connections of one bridge: its doors, its controllers, those who look in, and what they have to do with each other.

use std::sync::Arc;

use mio::Token;
use openflow::message::role::RoleReason;
use openflow::message::{AsyncKind, Message, Role, RoleStatus};
use openflow::{FlowMod, Instructions, OfPort};
use stream::{Stream, Target};

use super::budget::Budget;
use super::config::{ConnConfig, ConnKind, ControllerConfig, ControllerStatus, DEFAULT_QUEUE_SIZE};
use super::door::{Door, Purpose, Snoop};
use super::fail_open::{self, Admission, FailOpen};
use super::handle::{self, Effect, Outcome, Turn};
use super::manager::World;
use super::notify::{self, Ports};
use super::ofconn::OfConn;
use super::rconn::{Change, Rconn};
use super::reconnect::{State, Timing};
use super::session::Election;
use super::vconn::Vconn;
use super::work::{Progress, Work};
use super::writers::Writers;
use crate::Bridge;
use crate::config::FailMode;

/// The port that IANA gave to OpenFlow.
const OPENFLOW_PORT: u16 = 6653;
/// Events of the bridge that are passed on in one turn.
const EVENTS_PER_TURN: usize = 512;
/// The most connections that came in by the doors of one bridge, and the most snoopers.
const MAX_CAME_IN: usize = 256;
/// How soon to look again whether workers have passed a version, ms.
const BARRIER_POLL_MS: u64 = 1;

/// The connections of one bridge.
#[derive(Debug)]
pub(super) struct BridgeConns {
    bridge: Arc<Bridge>,
    config: ConnConfig,
    datapath_id: u64,
    fail_mode: FailMode,
    doors: Vec<Door>,
    conns: Vec<OfConn>,
    snoops: Vec<Snoop>,
    election: Election,
    fail_open: FailOpen,
    writers: Writers,
    ports: Ports,
    now_ms: u64,
}

impl BridgeConns {
    pub(super) fn new(bridge: Arc<Bridge>, world: &mut World, now_ns: u64) -> Self {
        let settings = bridge.config();
        let mut conns = Self {
            bridge,
            config: ConnConfig::default(),
            datapath_id: settings.datapath_id,
            fail_mode: settings.fail_mode,
            doors: Vec::new(),
            conns: Vec::new(),
            snoops: Vec::new(),
            election: Election::default(),
            fail_open: FailOpen::default(),
            writers: Writers::default(),
            ports: Ports::default(),
            now_ms: now_ns / 1_000_000,
        };
        for (suffix, purpose) in [("mgmt", Purpose::Management), ("snoop", Purpose::Snoop)] {
            let file = world.rundir.join(format!("{}.{suffix}", conns.bridge.name()));
            conns.open_door(&Target::ListenUnix(file), purpose, world);
        }
        conns.ports.learn(&conns.bridge.ports());
        conns.flush_flows(now_ns);
        conns
    }

    fn open_door(&mut self, target: &Target, purpose: Purpose, world: &mut World) {
        let name = self.bridge.name();
        let Some(token) = world.tokens.take() else {
            tracing::error!(target: "connmgr", "{name}: too many connections");
            return;
        };
        match Door::open(target, token, purpose, &world.net) {
            Ok(door) => self.doors.push(door),
            Err(error) => {
                world.tokens.give_back(token);
                tracing::error!(target: "connmgr", "{name}: failed to listen on {target:?} ({error})");
            }
        }
    }

    pub(super) fn close(self, world: &mut World) {
        for door in self.doors {
            world.tokens.give_back(door.token());
            door.close(&world.net);
        }
        for mut conn in self.conns {
            world.tokens.give_back(conn.token());
            conn.rconn.close(&world.net);
        }
        for snoop in self.snoops {
            world.tokens.give_back(snoop.token());
            snoop.close(&world.net);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.conns.len()
    }

    // Configuration.

    pub(super) fn configure(&mut self, config: &ConnConfig, world: &mut World, now_ns: u64) {
        self.now_ms = now_ns / 1_000_000;
        let had_controllers = self.has_controllers();
        if config.protocols != self.config.protocols {
            for conn in &mut self.conns {
                let change = conn.rconn.set_allowed(config.protocols, &world.net, self.now_ms);
                conn.on_change(change);
            }
        }
        self.config = config.clone();
        self.drop_unconfigured(world);
        for row in config.controllers.clone() {
            self.configure_controller(&row, world);
        }
        if had_controllers != self.has_controllers() {
            self.fail_open.forget();
            self.flush_flows(now_ns);
        }
    }

    fn drop_unconfigured(&mut self, world: &mut World) {
        let rows: Vec<String> = self.config.controllers.iter().map(|row| row.target.clone()).collect();
        let configured = |target: &str| rows.iter().any(|row| row == target);
        for index in (0..self.doors.len()).rev() {
            let gone =
                matches!(self.doors[index].purpose(), Purpose::Controller(row) if !configured(&row.target));
            if gone {
                let door = self.doors.swap_remove(index);
                world.tokens.give_back(door.token());
                door.close(&world.net);
            }
        }
        let managed = |conn: &OfConn| conn.config.target.is_empty();
        for index in (0..self.conns.len()).rev() {
            if !managed(&self.conns[index]) && !configured(&self.conns[index].config.target) {
                self.drop_conn(index, world);
            }
        }
    }

    fn configure_controller(&mut self, row: &ControllerConfig, world: &mut World) {
        let now_ms = self.now_ms;
        let is_row =
            |purpose: &Purpose| matches!(purpose, Purpose::Controller(old) if old.target == row.target);
        let mut known = false;
        for door in self.doors.iter_mut().filter(|door| is_row(door.purpose())) {
            door.set_purpose(Purpose::Controller(row.clone()));
            known = true;
        }
        for conn in self.conns.iter_mut().filter(|conn| conn.config.target == row.target) {
            conn.reconfigure(row, now_ms);
            known = true;
        }
        if known {
            return;
        }
        match Target::parse(&row.target, OPENFLOW_PORT, &world.rundir) {
            Ok(target) if target.is_passive() => {
                self.open_door(&target, Purpose::Controller(row.clone()), world);
            }
            Ok(target) => self.add_controller(row, target, world),
            Err(error) => {
                tracing::error!(target: "connmgr", "{}: cannot use controller ({error})", self.bridge.name());
            }
        }
    }

    fn add_controller(&mut self, row: &ControllerConfig, target: Target, world: &mut World) {
        let name = format!("{}<->{}", self.bridge.name(), row.target);
        let Some(token) = world.tokens.take() else {
            tracing::error!(target: "connmgr", "{name}: too many connections");
            return;
        };
        tracing::info!(target: "connmgr", "{}: added {} controller \"{}\"", self.bridge.name(),
            if row.kind == Some(ConnKind::Service) { "service" } else { "primary" }, row.target);
        let rconn = Rconn::active(name, target, token, self.config.protocols, row.timing, self.now_ms);
        let mut conn = OfConn::new(rconn, row.kind.unwrap_or(ConnKind::Primary), row.clone(), self.now_ms);
        conn.rconn.set_dscp(row.dscp);
        self.conns.push(conn);
    }

    /// Whether the fail mode has something to be about.
    fn has_controllers(&self) -> bool {
        let is_primary = |door: &Door| match door.purpose() {
            Purpose::Controller(row) => row.kind == Some(ConnKind::Primary),
            Purpose::Management | Purpose::Snoop => false,
        };
        self.conns.iter().any(|conn| conn.kind == ConnKind::Primary) || self.doors.iter().any(is_primary)
    }

    pub(super) fn bridge_changed(&mut self, world: &mut World, now_ns: u64) {
        let settings = self.bridge.config();
        if settings.datapath_id != self.datapath_id {
            self.datapath_id = settings.datapath_id;
            self.reconnect(world, now_ns);
        }
        if settings.fail_mode != self.fail_mode {
            self.fail_mode = settings.fail_mode;
            if !self.has_controllers() {
                self.flush_flows(now_ns);
            }
        }
    }

    pub(super) fn reconnect(&mut self, world: &mut World, now_ns: u64) {
        for conn in &mut self.conns {
            conn.rconn.reconnect(&world.net, now_ns / 1_000_000);
            conn.forget();
        }
    }

    /// Takes out all rules. A bridge without controllers that may stand alone then forwards as a plain switch.
    fn flush_flows(&mut self, now_ns: u64) {
        self.writers.want_flush();
        self.run_flush(now_ns);
    }

    fn run_flush(&mut self, now_ns: u64) {
        let stands_alone = !self.has_controllers() && self.fail_mode == FailMode::Standalone;
        let then = stands_alone.then(normal_flow);
        self.writers.run(&self.bridge, then.as_ref(), now_ns, &Budget::turn());
    }

    // Turns.

    pub(super) fn ready(&mut self, token: Token) -> bool {
        if let Some(conn) = self.conns.iter_mut().find(|conn| conn.token() == token) {
            conn.rconn.on_event();
        } else if let Some(door) = self.doors.iter_mut().find(|door| door.token() == token) {
            door.on_event();
        } else if let Some(snoop) = self.snoops.iter_mut().find(|snoop| snoop.token() == token) {
            snoop.on_event();
        } else {
            return false;
        }
        true
    }

    /// Gives every connection its turn; whether some of them have more to do at once.
    pub(super) fn run(&mut self, world: &mut World, now_ns: u64) -> bool {
        self.now_ms = now_ns / 1_000_000;
        self.accept(world);
        let mut busy = self.pass_events_on();
        for index in (0..self.conns.len()).rev() {
            busy |= self.turn(index, world, now_ns);
            if self.conns[index].rconn.fsm().state() == State::Disconnected {
                self.drop_conn(index, world);
            }
        }
        if self.writers.is_flushing() {
            self.run_flush(now_ns);
        }
        busy |= self.pass_events_on();
        self.send_all(world);
        self.end_stuck(world);
        self.run_snoops(world);
        self.run_fail_open(now_ns);
        self.bridge.set_packet_in_on_miss(self.conns.iter().any(OfConn::wants_misses));
        // Sending may have made room for a connection that was too full to be read or told: no event tells of that.
        busy |= self.bridge.events().has_notices() && !self.notices_wait();
        busy || self.writers.is_flushing() || self.conns.iter().any(OfConn::wants_turn)
    }

    fn accept(&mut self, world: &mut World) {
        for index in 0..self.doors.len() {
            while let Some((stream, name)) = self.doors[index].accept(&world.net, self.now_ms) {
                let name = name.unwrap_or_else(|| {
                    world.unix_serial += 1;
                    format!("unix#{}", world.unix_serial - 1)
                });
                let purpose = self.doors[index].purpose().clone();
                self.take_in(stream, &name, &purpose, world);
            }
        }
    }

    /// Whether there is room for one more who comes in by a door.
    fn has_room(&self, purpose: &Purpose) -> bool {
        match purpose {
            Purpose::Snoop => self.snoops.len() < MAX_CAME_IN,
            Purpose::Management | Purpose::Controller(_) => {
                self.conns.iter().filter(|conn| conn.rconn.came_in()).count() < MAX_CAME_IN
            }
        }
    }

    fn take_in(&mut self, stream: Stream, name: &str, purpose: &Purpose, world: &mut World) {
        if !self.has_room(purpose) {
            world.refused += 1;
            let bridge = self.bridge.name();
            tracing::warn!(target: "connmgr", "{bridge}<->{name}: refused, there are {MAX_CAME_IN} connections already");
            return;
        }
        let Some(token) = world.tokens.take() else {
            tracing::error!(target: "connmgr", "{name}: too many connections");
            return;
        };
        let taken = match purpose {
            Purpose::Snoop => self.take_in_snoop(stream, name, token, world),
            Purpose::Management => {
                let row = ControllerConfig {
                    timing: Timing { probe_interval_ms: 0, ..Timing::default() },
                    queue_size: DEFAULT_QUEUE_SIZE,
                    ..ControllerConfig::new("")
                };
                self.take_in_conn(stream, name, token, ConnKind::Service, row, world)
            }
            Purpose::Controller(row) => {
                let kind = row.kind.unwrap_or(ConnKind::Service);
                self.take_in_conn(stream, name, token, kind, row.clone(), world)
            }
        };
        if !taken {
            world.tokens.give_back(token);
        }
    }

    fn take_in_conn(
        &mut self,
        stream: Stream,
        name: &str,
        token: Token,
        kind: ConnKind,
        row: ControllerConfig,
        world: &World,
    ) -> bool {
        let name = format!("{}<->{name}", self.bridge.name());
        stream.set_dscp(row.dscp);
        let (allowed, now) = (self.config.protocols, self.now_ms);
        match Rconn::accepted(name, stream, token, allowed, row.timing, &world.net, now) {
            Ok(rconn) => self.conns.push(OfConn::new(rconn, kind, row, now)),
            Err(_) => return false,
        }
        true
    }

    /// A snooper watches the controller with the greatest say.
    fn take_in_snoop(&mut self, stream: Stream, name: &str, token: Token, world: &World) -> bool {
        let say = |conn: &&mut OfConn| match conn.session.as_ref().map(|session| session.role) {
            Some(Role::Primary) => 3,
            Some(Role::Secondary) => 1,
            _ => 2,
        };
        let primaries = self.conns.iter_mut().filter(|conn| conn.kind == ConnKind::Primary);
        let Some(watched) = primaries.max_by_key(say) else {
            tracing::info!(target: "connmgr", "no controller connection to snoop");
            return false;
        };
        let Ok(snoop) = Snoop::new(stream, name.to_owned(), token, watched.token(), &world.net) else {
            return false;
        };
        watched.rconn.set_tapped(true);
        self.snoops.push(snoop);
        true
    }

    fn turn(&mut self, index: usize, world: &mut World, now_ns: u64) -> bool {
        let change = self.conns[index].run(&world.net, self.now_ms);
        // Its work is gone if its line went down, now or since its last turn.
        self.release_writer(index);
        if change == Change::Disconnected {
            return false;
        }
        self.expire_bundles(index);
        let budget = Budget::turn();
        loop {
            let conn = &mut self.conns[index];
            if conn.work.is_some() {
                match self.step_work(index, world, now_ns, &budget) {
                    Progress::Done => continue,
                    Progress::More => return true,
                    Progress::Waiting => return false,
                }
            }
            if conn.session.is_none() || conn.is_congested() {
                return false;
            }
            if budget.is_spent() {
                return conn.waiting.is_some() || conn.rconn.vconn().is_some_and(Vconn::may_read);
            }
            let message = match conn.waiting.take() {
                Some(message) => message,
                None => match conn.rconn.recv(&world.net, self.now_ms) {
                    (Some(message), _) => message,
                    (None, change) => {
                        conn.on_change(change);
                        self.release_writer(index);
                        return false;
                    }
                },
            };
            if let Outcome::Wait = self.handle(index, &message, world, now_ns) {
                self.conns[index].waiting = Some(message);
                return true;
            }
        }
    }

    /// Ends a change of the tables whose connection has ended.
    fn release_writer(&mut self, index: usize) {
        let conn = &self.conns[index];
        if conn.work.is_none() {
            self.writers.end(conn.token());
        }
    }

    fn handle(&mut self, index: usize, message: &bytes::Bytes, world: &mut World, now_ns: u64) -> Outcome {
        let mut turn = Turn {
            conn: &mut self.conns[index],
            bridge: &self.bridge,
            devices: &mut world.devices,
            election: &mut self.election,
            writers: &mut self.writers,
            effects: Vec::new(),
            now_ns,
            xid: 0,
        };
        let outcome = handle::handle(&mut turn, message);
        let effects = std::mem::take(&mut turn.effects);
        for effect in effects {
            self.apply(index, &effect);
        }
        outcome
    }

    fn step_work(&mut self, index: usize, world: &mut World, now_ns: u64, budget: &Budget) -> Progress {
        let conn = &mut self.conns[index];
        let Some(mut work) = conn.work.take() else { return Progress::Done };
        let progress = work.step(conn, &self.bridge, &mut world.devices, now_ns, budget);
        if progress == Progress::Done {
            self.release_writer(index);
        } else {
            conn.work = Some(work);
        }
        progress
    }

    fn apply(&mut self, index: usize, effect: &Effect) {
        match effect {
            Effect::BecameMaster => self.demote_others(index),
            Effect::ChangedPort(port) => self.ports.changed_by(self.conns[index].token(), *port),
        }
    }

    /// There is one master at most: whoever was it before becomes a slave, and is told (OpenFlow 1.4, 7.4.4).
    fn demote_others(&mut self, index: usize) {
        let generation = self.election.generation();
        for (other, conn) in self.conns.iter_mut().enumerate() {
            let Some(session) = conn.session.as_mut().filter(|s| other != index && s.role == Role::Primary)
            else {
                continue;
            };
            let wants = session.wants(conn.kind, AsyncKind::RoleStatus, RoleReason::PrimaryRequest as u8);
            session.role = Role::Secondary;
            if wants {
                conn.notify(&Message::RoleStatus(RoleStatus {
                    role: Role::Secondary,
                    reason: RoleReason::PrimaryRequest,
                    generation_id: generation.unwrap_or(u64::MAX),
                }));
            }
        }
    }

    fn expire_bundles(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        let Some(session) = &mut conn.session else { return };
        for opened_by in session.bundles.expire(self.now_ms) {
            conn.refuse(&opened_by, openflow::OfError::OFPBFC_TIMEOUT);
        }
    }

    fn drop_conn(&mut self, index: usize, world: &mut World) {
        let mut conn = self.conns.swap_remove(index);
        self.writers.end(conn.token());
        conn.rconn.close(&world.net);
        world.tokens.give_back(conn.token());
    }

    /// Tells the controllers what happened on the bridge; whether there is more. Notices wait for whoever wants them and is too full:
    /// none is lost, and once enough of them wait, no more rules are taken out.
    fn pass_events_on(&mut self) -> bool {
        for _ in 0..EVENTS_PER_TURN {
            let events = self.bridge.events();
            let event = if self.notices_wait() { events.pop_packet() } else { events.pop() };
            let Some(event) = event else { return false };
            notify::tell(&mut self.conns, &event, &mut self.ports, self.now_ms);
        }
        true
    }

    fn notices_wait(&self) -> bool {
        self.conns.iter().any(OfConn::holds_notices)
    }

    /// Ends connections that have kept notices from all others for too long.
    fn end_stuck(&mut self, world: &mut World) {
        let notices_wait = self.bridge.events().has_notices();
        for conn in &mut self.conns {
            world.packet_in_overflow += conn.take_overflow();
            if conn.is_stuck(notices_wait, self.now_ms) {
                tracing::warn!(target: "rconn", "{}: too slow to take what it is told, disconnecting", conn.rconn.name());
                conn.rconn.reconnect(&world.net, self.now_ms);
                conn.forget();
            }
        }
    }

    fn send_all(&mut self, world: &mut World) {
        for conn in &mut self.conns {
            let change = conn.rconn.flush(&world.net, self.now_ms);
            conn.on_change(change);
        }
    }

    fn run_snoops(&mut self, world: &mut World) {
        if self.snoops.is_empty() {
            return;
        }
        for conn in &mut self.conns {
            let copies = conn.rconn.take_tap();
            let token = conn.token();
            let mut watched = false;
            for index in (0..self.snoops.len()).rev() {
                if self.snoops[index].watched != token {
                    continue;
                }
                if self.snoops[index].run(&copies) {
                    watched = true;
                } else {
                    let snoop = self.snoops.swap_remove(index);
                    world.tokens.give_back(snoop.token());
                    snoop.close(&world.net);
                }
            }
            conn.rconn.set_tapped(watched);
        }
        let tokens: Vec<Token> = self.conns.iter().map(OfConn::token).collect();
        for index in (0..self.snoops.len()).rev() {
            if !tokens.contains(&self.snoops[index].watched) {
                let snoop = self.snoops.swap_remove(index);
                world.tokens.give_back(snoop.token());
                snoop.close(&world.net);
            }
        }
    }

    // Fail mode.

    fn primaries(&self) -> Option<(Vec<Admission>, u64)> {
        let primaries: Vec<&OfConn> = self.conns.iter().filter(|c| c.kind == ConnKind::Primary).collect();
        if self.fail_mode != FailMode::Standalone || primaries.is_empty() {
            return None;
        }
        let probe_ms = primaries.iter().map(|conn| conn.config.timing.probe_interval_ms).max().unwrap_or(0);
        Some((primaries.iter().map(|conn| conn.admission).collect(), probe_ms))
    }

    fn run_fail_open(&mut self, now_ns: u64) {
        if self.writers.is_flushing() {
            // It would take the rule out, or not.
            return;
        }
        let primaries = self.primaries();
        let view = primaries.as_ref().map(|(all, probe_ms)| (&all[..], *probe_ms));
        let name = self.bridge.name();
        match self.fail_open.run(view, self.now_ms) {
            fail_open::Change::None => {}
            fail_open::Change::Open => {
                let failing = view.map_or(0, |(all, _)| fail_open::failing_s(all, self.now_ms));
                tracing::warn!(
                    target: "fail_open",
                    "{name}: Could not connect to controller (or switch failed controller's post-connection admission \
                     control policy) for {failing} seconds, failing open"
                );
                let mut txn = self.bridge.begin();
                // A hidden rule is refused by nothing.
                let _ = txn.add_hidden(&normal_flow(), fail_open::PRIORITY, now_ns);
                txn.commit();
            }
            fail_open::Change::Close => {
                tracing::warn!(target: "fail_open", "{name}: No longer in fail-open mode");
                let mut txn = self.bridge.begin();
                // Any table but the hidden one can be named.
                let _ = txn.remove_hidden(&normal_flow(), fail_open::PRIORITY, now_ns);
                txn.commit();
            }
        }
    }

    // Status.

    pub(super) fn status(&self, now_ms: u64) -> Vec<(String, ControllerStatus)> {
        let rows = self.config.controllers.iter();
        rows.map(|row| {
            let conn = self.conns.iter().find(|conn| conn.config.target == row.target);
            let status = conn.map(|conn| conn.status(now_ms)).unwrap_or_default();
            (row.target.clone(), status)
        })
        .collect()
    }

    pub(super) fn deadline_ms(&self) -> Option<u64> {
        let conns = self.conns.iter().filter_map(OfConn::deadline);
        let waits = self.conns.iter().any(|conn| conn.work.as_ref().is_some_and(Work::waits_for_workers));
        let primaries = self.primaries();
        let view = primaries.as_ref().map(|(all, probe_ms)| (&all[..], *probe_ms));
        let poll = waits.then_some(self.now_ms + BARRIER_POLL_MS);
        let doors = self.doors.iter().filter_map(Door::deadline_ms);
        conns.chain(doors).chain(poll).chain(self.fail_open.deadline(view)).min()
    }
}

/// The rule that makes a bridge a plain switch.
fn normal_flow() -> FlowMod {
    let output = openflow::Action::Output { port: OfPort::NORMAL, max_len: 0 };
    FlowMod { priority: 0, instructions: Instructions::apply(vec![output]), ..FlowMod::default() }
}
