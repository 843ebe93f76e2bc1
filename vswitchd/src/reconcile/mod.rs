//! Keeps the switch as the database says, and the database informed.
//!
//! # The way of a change
//!
//! ```text
//! ovsdb::Client ─▶ Snapshot ─▶ Database (rows) ─▶ Desired ─▶ Actual::apply ─▶ bridges, ports, controllers
//!                                (typed)       desired.rs     actual.rs        │
//!      ▲                                                                       ▼
//!      └── one transaction: cur_cfg, ofport, error, status ◀── status ◀── what is there now
//! ```
//!
//! [`desired`] is pure and so is the difference between interfaces in [plan`; [`actual`], [`bridge`] and [`interface`] do what is
//! to be done. Applying is idempotent: it is done again whenever a row that configures anything changes, or a device comes
//! or goes.
//!
//! While the database is away, everything stays as it is. While another process holds the lock, nothing is.

mod actual;
mod bridge;
mod conntrack;
mod controllers;
mod desired;
pub mod devices;
mod identity;
mod interface;
mod left_overs;
mod plan;
mod port;
pub mod spec;
mod turn;
mod unsupported;
mod world;
mod writer;

use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datapath::Datapath;
use datapath::netdev::{Change, Netdevs};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use ofproto::Switch;
use ofproto::conn::ConnManager;
use ovsdb::client::{Client, RemoteError};
use ovsdb::openvswitch::{self, Database};
use ovsdb::session::{Lock, Session};
use ovsdb::snapshot::Snapshot;
use stream::TlsFiles;
use thiserror::Error;

use crate::embedded_db::{EmbeddedDb, EmbeddedDbError};
use actual::Actual;
use spec::Desired;
use world::World;
use writer::{Scene, Writer};

/// How often to look for devices that went without a word from the kernel.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why there can be no reconciler.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// the database's name is none
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// the devices cannot be followed
    #[error("network devices cannot be followed: {0}")]
    Netdevs(#[source] io::Error),
    /// a descriptor cannot be waited for
    #[error("network devices cannot be waited for: {0}")]
    Register(#[source] io::Error),
    /// the database of our own cannot be made
    #[error(transparent)]
    Embedded(#[from] EmbeddedDbError),
}

/// Where the database is, and how to get there.
#[derive(Clone, Debug)]
pub struct ReconcilerOptions {
    remote: String,
    embedded_db: bool,
    tls: TlsFiles,
    rundir: PathBuf,
}

impl ReconcilerOptions {
    /// The database at `remote`; with `embedded_db` it is made and served by a child when none answers there.
    ///
    /// # Errors
    ///
    /// `remote` is no name to connect to.
    pub fn new(remote: &str, embedded_db: bool, tls: TlsFiles) -> Result<Self, ReconcileError> {
        let options = Self { remote: remote.to_owned(), embedded_db, tls, rundir: crate::paths::rundir() };
        options.client(Token(0))?;
        Ok(options)
    }

    fn client(&self, token: Token) -> Result<Client, RemoteError> {
        let session = Session::new(openvswitch::DATABASE, openvswitch::LOCK, openvswitch::wanted());
        Client::new(&self.remote, &self.rundir, self.tls.clone(), session, token, Instant::now())
    }
}

/// Keeps the switch as the database says.
pub struct Reconciler {
    client: Client,
    registry: Registry,
    /// What the command line said, for when the database says nothing.
    tls: TlsFiles,
    datapath: Arc<Datapath>,
    switch: Arc<Switch>,
    netdevs: Netdevs,
    /// What was heard of devices and not looked into yet.
    news: Vec<Change>,
    database_token: Token,
    devices_token: Token,
    devices_ready: bool,
    next_sweep: Instant,
    embedded: Option<EmbeddedDb>,
    desired: Desired,
    actual: Actual,
    writer: Writer,
    /// The state of the database that was applied last.
    applied: Option<u64>,
    /// Whether that is not done yet: there was too much to take down for one turn.
    is_applying: bool,
    /// Whether the database is to be told once it is.
    tell_applied: bool,
    /// Whether anything was ever applied.
    began: bool,
    was_contended: bool,
}

impl Reconciler {
    /// Cells of the database that are held in memory.
    pub fn cells(&self) -> usize {
        self.client.session().snapshot().map_or(0, Snapshot::cells)
    }

    /// A reconciler that begins with its first [`run`](Self::run). Its sockets are registered under the first two of `tokens`.
    ///
    /// # Errors
    ///
    /// The devices of this host cannot be followed, or the embedded database cannot be made.
    pub fn new(
        options: ReconcilerOptions,
        datapath: &Arc<Datapath>,
        switch: &Arc<Switch>,
        registry: Registry,
        tokens: Range<usize>,
    ) -> Result<Self, ReconcileError> {
        let (database_token, devices_token) = (Token(tokens.start), Token(tokens.start + 1));
        let netdevs = Netdevs::open().map_err(ReconcileError::Netdevs)?;
        let fd: RawFd = netdevs.fd();
        registry
            .register(&mut SourceFd(&fd), devices_token, Interest::READABLE)
            .map_err(ReconcileError::Register)?;
        let client = options.client(database_token)?;
        let embedded =
            options.embedded_db.then(|| EmbeddedDb::start(&options.remote, &options.rundir)).transpose()?;
        Ok(Self {
            client,
            registry,
            tls: options.tls,
            datapath: Arc::clone(datapath),
            switch: Arc::clone(switch),
            netdevs,
            news: Vec::new(),
            database_token,
            devices_token,
            devices_ready: true,
            next_sweep: Instant::now() + SWEEP_INTERVAL,
            embedded,
            desired: Desired::default(),
            actual: Actual::default(),
            writer: Writer::default(),
            applied: None,
            is_applying: false,
            tell_applied: false,
            began: false,
            was_contended: false,
        })
    }

    /// Notes an event; those of other tokens are none of ours.
    pub fn ready(&mut self, event: &mio::event::Event) {
        if event.token() == self.database_token {
            self.client.ready();
        } else if event.token() == self.devices_token {
            self.devices_ready = true;
        }
    }

    /// Does all that can be done now.
    pub fn run(&mut self, now: Instant, conn: &mut ConnManager) {
        if let Some(embedded) = &mut self.embedded {
            embedded.run(self.client.is_connected(), now);
        }
        self.client.run(&self.registry, now);
        self.writer.take_outcomes(self.client.session_mut());
        let device_news = self.follow_devices(now, conn);
        match self.client.session().lock() {
            Lock::Held if self.client.session().is_live() => {
                self.was_contended = false;
                self.reconcile(device_news, now, conn);
            }
            Lock::Contended => self.stand_aside(conn),
            _ if device_news || self.is_applying => self.apply(conn),
            _ => {}
        }
        self.client.run(&self.registry, now);
    }

    /// When to [`run`](Self::run) at the latest.
    pub fn next_wakeup(&self) -> Option<Instant> {
        let now = Instant::now();
        let embedded = self.embedded.as_ref().and_then(EmbeddedDb::next_wakeup);
        // Nothing can be written until the database is back and the lock is ours, so nothing is due before.
        let session = self.client.session();
        let may_write = session.is_live() && session.lock() == Lock::Held;
        let writer = if may_write { self.writer.next_wakeup() } else { None };
        let devices = if self.devices_ready || self.is_applying { now } else { self.next_sweep };
        let wakeups = [self.client.next_wakeup(now), writer, embedded, Some(devices)];
        wakeups.into_iter().flatten().min()
    }

    /// Whether the switch was configured from the database, and the database told so.
    pub fn first_config_done(&self) -> bool {
        self.writer.first_done()
    }

    /// Ends all bridges. With `cleanup`, devices of ours are removed; else they stay, and are found again by the next start.
    pub fn stop(&mut self, cleanup: bool, conn: &mut ConnManager) {
        let (actual, mut world) = self.parts(conn);
        actual.remove_all(cleanup, &mut world);
        self.embedded = None;
    }

    /// Under which name the datapath of a bridge shows: "system" or "netdev".
    pub fn datapath_type(&self, bridge: &str) -> &'static str {
        self.actual.bridges.get(bridge).map_or("netdev", |live| live.spec.datapath_type.name())
    }

    fn parts<'a>(&'a mut self, conn: &'a mut ConnManager) -> (&'a mut Actual, World<'a>) {
        let world = World {
            datapath: &self.datapath,
            switch: &self.switch,
            conn,
            netdevs: &mut self.netdevs,
            news: &mut self.news,
            now_ns: datapath::clock::monotonic_ns(),
        };
        (&mut self.actual, world)
    }

    /// Hears what happened to devices. Whether the configuration is to be applied again.
    fn follow_devices(&mut self, now: Instant, conn: &mut ConnManager) -> bool {
        let sweep = now >= self.next_sweep;
        if !self.devices_ready && !sweep {
            return false;
        }
        self.devices_ready = false;
        if sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
        }
        let (actual, mut world) = self.parts(conn);
        world.hear();
        if sweep {
            world.sweep();
        }
        let changes = std::mem::take(world.news);
        let mut again = false;
        for change in &changes {
            again |= actual.device_changed(change, &mut world);
        }
        if !changes.is_empty() {
            // There may be more: the descriptor tells of it only once.
            self.devices_ready = true;
            self.writer.status_changed();
        }
        again
    }

    fn reconcile(&mut self, device_news: bool, now: Instant, conn: &mut ConnManager) {
        let seqno = self.client.session().seqno();
        if self.applied != Some(seqno) {
            let first = !self.began;
            self.began = true;
            if first {
                left_overs::clear();
            }
            self.read();
            self.applied = Some(seqno);
            self.tell_applied = true;
            self.apply(conn);
            if first {
                // Nothing was there that could be taken down.
                left_overs::clear_strays();
            }
        } else if device_news || self.is_applying {
            self.apply(conn);
        }
        if self.is_applying {
            return;
        }
        if std::mem::take(&mut self.tell_applied) {
            self.writer.config_applied(self.desired.global.stats_interval, now);
        }
        let mut scene = Scene {
            desired: &self.desired,
            actual: &self.actual,
            datapath: &self.datapath,
            netdevs: &mut self.netdevs,
            conn,
        };
        self.writer.run(self.client.session_mut(), &mut scene, now);
    }

    /// Reads what is wanted from the database.
    fn read(&mut self) {
        let Some(snapshot) = self.client.session().snapshot() else { return };
        let (database, errors) = Database::read(snapshot);
        for error in errors {
            tracing::warn!(target: "ovsdb_idl", "{error}");
        }
        if self.applied.is_none() {
            self.actual.add_hints(writer::numbers_in_use(snapshot, &database));
        }
        self.desired = desired::desired(&database);
        if database.root.as_ref().is_none_or(|root| root.ssl.is_none()) {
            self.desired.global.tls.clone_from(&self.tls);
        }
        self.writer.set_next_cfg(database.root.as_ref().map(|root| (root.uuid, root.next_cfg)));
    }

    fn apply(&mut self, conn: &mut ConnManager) {
        let desired = std::mem::take(&mut self.desired);
        let (actual, mut world) = self.parts(conn);
        let is_done = actual.apply(&desired, &mut world);
        self.is_applying = !is_done;
        self.desired = desired;
        self.devices_ready = true;
        self.writer.status_changed();
        self.writer.opened(self.actual.take_opened());
    }

    /// Another process has the lock: it is the switch now.
    fn stand_aside(&mut self, conn: &mut ConnManager) {
        if self.was_contended {
            return;
        }
        self.was_contended = true;
        tracing::error!(
            target: "bridge",
            "another ovs-vswitchd process is running, disabling this process (pid {}) until it goes away",
            std::process::id()
        );
        let (actual, mut world) = self.parts(conn);
        actual.remove_all(false, &mut world);
        self.desired = Desired::default();
        self.applied = None;
        self.is_applying = false;
    }
}
