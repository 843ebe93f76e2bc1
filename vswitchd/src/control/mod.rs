//! The control thread: one loop that waits for sockets, devices, the clock and workers, and lets each part run.
//!
//! A turn: wait; hand events to their owners by token; then let the database's reconciler, the OpenFlow connections, the
//! switch (time-outs) and the control socket run, each of which does at most a slice of work and says when it wants to run again.

mod signals;
mod tokens;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datapath::Datapath;
use mio::{Events, Poll};
use ofproto::Switch;
use ofproto::conn::ConnManager;

use crate::appctl::Server;
use crate::clock;
use crate::coverage::{Counter, History};
use crate::daemon::Startup;
use crate::event_stream::EventStream;
use crate::log::Vlog;
use crate::reconcile::{Reconciler, ReconcilerOptions};
use crate::upcalls::Upcalls;
use crate::{commands, paths};
use signals::{Signals, Wish};

/// The longest wait, so that a wake-up that got lost costs no more.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why the switch could not start.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A system call failed
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The datapath's threads did not start
    #[error(transparent)]
    Datapath(#[from] datapath::StartError),
    /// The database's name is none
    #[error(transparent)]
    Reconcile(#[from] crate::reconcile::ReconcileError),
}

/// Everything that the control thread has, and that `ovs-appctl` commands work on.
pub struct Control {
    /// The log.
    pub log: Vlog,
    /// The datapath.
    pub datapath: Arc<Datapath>,
    /// The bridges.
    pub switch: Arc<Switch>,
    /// Their OpenFlow connections.
    pub connections: ConnManager,
    /// What `upcall/show` remembers.
    pub upcalls: Upcalls,
    reconciler: Reconciler,
    history: History,
    events: EventStream,
    exit: Exit,
}

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exit {
    No,
    Asked { cleanup: bool },
    TornDown,
}

/// What the loop is to be run with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the control socket is; `None` for none.
    pub unixctl: Option<PathBuf>,
    /// About the database.
    pub reconciler: ReconcilerOptions,
}

/// Runs the switch until it is told to stop.
pub fn run(log: Vlog, options: Options, startup: Startup) -> Result<(), ControlError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| ControlError::Io(what, error)
    };
    let mut poll = Poll::new().map_err(io("epoll"))?;
    let mut signals = Signals::register(poll.registry()).map_err(io("signals"))?;
    let mut control = Control::new(log, options.reconciler, &poll)?;
    let mut server = match &options.unixctl {
        Some(path) => {
            let listening = Server::listen(path, poll.registry(), tokens::APPCTL, commands::all());
            Some(listening.map_err(io(&format!("{}: cannot listen", path.display())))?)
        }
        None => None,
    };
    tracing::info!(target: "bridge", "{}", crate::cli::version_text().lines().next().unwrap_or_default());
    let mut startup = Some(startup);
    let mut events = Events::with_capacity(256);
    while control.exit != Exit::TornDown || server.as_ref().is_some_and(Server::has_pending) {
        let wait = control.wait(server.as_ref());
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(io("epoll")(error)),
            _ => {}
        }
        for event in &events {
            match tokens::owner(event.token()) {
                tokens::Owner::Signals => control.obey(&signals.take()),
                tokens::Owner::Waker => {}
                tokens::Owner::Appctl => {
                    if let Some(server) = &mut server {
                        server.ready(event, &mut control);
                    }
                }
                tokens::Owner::OpenFlow => control.connections.ready(event.token()),
                tokens::Owner::Reconciler => control.reconciler.ready(event),
                tokens::Owner::Events => control.events.ready(event),
            }
        }
        control.turn();
        control.events.run(control.datapath.tracker());
        if let Some(server) = &mut server {
            server.run(Instant::now(), &mut control);
        }
        if control.reconciler.first_config_done()
            && let Some(mut startup) = startup.take()
        {
            if startup.is_detached() {
                // What follows standard error from here on would see nothing but its end.
                control.log.silence_console();
            }
            control.listen_for_readers();
            startup.ready();
        }
    }
    Ok(())
}

impl Control {
    fn new(log: Vlog, options: ReconcilerOptions, poll: &Poll) -> Result<Self, ControlError> {
        let io = |error| ControlError::Io("epoll".into(), error);
        let datapath =
            Arc::new(Datapath::new(datapath::Config { seed: clock::seed(), ..datapath::Config::default() })?);
        let switch = Arc::new(Switch::new(Arc::clone(datapath.stamps()), clock::seed()));
        switch.set_datapath(&datapath);
        datapath.set_owner(switch.clone());
        let waker = mio::Waker::new(poll.registry(), tokens::WAKER).map_err(io)?;
        switch.set_waker(move || {
            // It fails only when the loop is gone, and then there is nobody to wake.
            let _ = waker.wake();
        });
        let registry = poll.registry().try_clone().map_err(io)?;
        let connections =
            ConnManager::new(registry, tokens::OPENFLOW, paths::rundir(), Arc::clone(&datapath));
        let registry = poll.registry().try_clone().map_err(io)?;
        let reconciler = Reconciler::new(options, &datapath, &switch, registry, tokens::RECONCILER)?;
        Ok(Self {
            log,
            datapath,
            switch,
            connections,
            reconciler,
            history: History::default(),
            events: EventStream::new(poll.registry().try_clone().map_err(io)?, &tokens::EVENTS),
            upcalls: Upcalls::default(),
            exit: Exit::No,
        })
    }

    /// Opens the socket that tells of connections. The switch goes on without it.
    fn listen_for_readers(&mut self) {
        let path = paths::rundir().join("conntrack.events");
        if let Err(error) = self.events.listen(&path) {
            tracing::warn!(target: "conntrack", "{}: cannot listen: {error}", path.display());
        }
    }

    /// How long the loop may wait for something to happen.
    fn wait(&self, server: Option<&Server<Self>>) -> Duration {
        let urgency = server.and_then(Server::urgency);
        let now = Instant::now();
        let server = server.and_then(Server::next_wakeup);
        let wanted = [self.reconciler.next_wakeup(), self.history.next_wakeup(), server];
        let instants = wanted.into_iter().flatten().map(|at| at.saturating_duration_since(now));
        let now_ns = clock::now_ns();
        let nanos = [self.connections.next_wakeup(), Some(self.switch.next_wakeup())];
        let nanos = nanos.into_iter().flatten().map(|at| Duration::from_nanos(at.saturating_sub(now_ns)));
        instants
            .chain(nanos)
            .chain(urgency)
            .chain(self.events.urgency())
            .min()
            .unwrap_or(LONGEST_WAIT)
            .min(LONGEST_WAIT)
    }

    /// Lets each part run.
    fn turn(&mut self) {
        if let Exit::Asked { cleanup } = self.exit {
            self.reconciler.stop(cleanup, &mut self.connections);
            self.datapath.stop();
            self.exit = Exit::TornDown;
        }
        if self.exit == Exit::TornDown {
            return;
        }
        self.reconciler.run(Instant::now(), &mut self.connections);
        let now_ns = clock::now_ns();
        self.connections.run(now_ns);
        self.switch.run(now_ns);
        let (datapath, switch, connections) = (&self.datapath, &self.switch, &self.connections);
        self.history.run(Instant::now(), || counters(datapath, switch, connections));
        self.upcalls.sample(Instant::now(), datapath.flow_count());
    }

    fn obey(&mut self, wishes: &[Wish]) {
        for wish in wishes {
            match wish {
                Wish::Stop => self.request_exit(false),
                Wish::ReopenLog => {
                    if let Err(error) = self.log.reopen() {
                        tracing::debug!(target: "vlog", "{error}");
                    }
                }
            }
        }
    }

    /// Ends the switch in the next turn; with `cleanup`, internal ports are removed as well.
    pub fn request_exit(&mut self, cleanup: bool) {
        if self.exit == Exit::No {
            self.exit = Exit::Asked { cleanup };
        }
    }

    /// The type of datapath that a bridge asks for: `system` or `netdev`.
    pub fn datapath_type(&self, bridge: &str) -> &'static str {
        self.reconciler.datapath_type(bridge)
    }

    /// Whether all bridges are gone, on the way to the end.
    pub fn is_torn_down(&self) -> bool {
        self.exit == Exit::TornDown
    }

    /// All coverage counters.
    pub fn coverage(&self) -> Vec<Counter> {
        counters(&self.datapath, &self.switch, &self.connections)
    }

    /// The text of `coverage/show`.
    pub fn coverage_text(&self) -> String {
        self.history.show(&self.coverage())
    }

    /// The text of `memory/show`: what takes memory, by the names that Open vSwitch has for it, and how much of it there is. A worker
    /// does the work of a handler and of a revalidator.
    pub fn memory_text(&self) -> String {
        let bridges = self.switch.bridges();
        let cache = self.datapath.cache_stats();
        let workers = if bridges.is_empty() { 0 } else { cache.by_worker.len() };
        let usage = [
            ("handlers", workers),
            ("idl-cells-Open_vSwitch", self.reconciler.cells()),
            ("ofconns", self.connections.count()),
            ("ports", bridges.iter().map(|bridge| bridge.ports().len()).sum()),
            ("revalidators", workers),
            ("rules", bridges.iter().map(|bridge| bridge.rules_in_memory()).sum()),
            ("udpif keys", cache.current),
        ];
        let used = usage.iter().filter(|(_, number)| *number > 0);
        let words: Vec<_> = used.map(|(what, number)| format!("{what}:{number}")).collect();
        words.join(" ") + "\n"
    }
}

/// All coverage counters.
fn counters(datapath: &Datapath, switch: &Switch, connections: &ConnManager) -> Vec<Counter> {
    let own = datapath.coverage().into_iter().chain(datapath.tracker().counters());
    own.chain(switch.coverage()).chain(connections.coverage()).collect()
}
