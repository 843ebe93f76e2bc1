//! [`Datapath`]: the control side. Ports come and go, packets are handed in, flows are dumped; no call stops a worker.
//!
//! Calls that change what workers do (ports, settings) are orders through a queue to each worker, done in order between two
//! batches. Those that must be complete on return (closing a port, purging and sweeping flows) wait until each worker has done
//! them: within a millisecond, or for all flows as long as a walk through them takes. Whoever makes such a call holds no lock
//! that the owner's translation takes, since a worker may be waiting for it.

mod config;
mod janitor;
mod ports;
pub(crate) mod shared;
mod stats;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use conntrack::Tracker;
use packet::{FlowKey, Packet};

pub use config::{Config, parse_cpu_mask};
use janitor::Janitor;
use ports::PortTable;
use shared::{Command, Coverage, Execute, HandedIn, Shared, WorkerShared};
pub use stats::{CacheStats, DropLine, LookupStats};

use crate::action::{Action, PortNo};
use crate::drops::DropReason;
use crate::megaflow::registry::{DumpCursor, FlowDump};
use crate::owner::Owner;
use crate::port::{Counters, Port, PortError, PortKind, PortSpec, PortStats, Queues};
use crate::stamps::Stamps;
use crate::worker::{Worker, thread};

/// The name of the port that always has number 0.
pub const OWN_PORT: &str = "ovs-netdev";

/// How long an order to the workers may take before the caller goes on without its completion.
const ORDER_TIMEOUT: Duration = Duration::from_secs(2);

/// A packet could not be taken for execution: the worker's queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the worker has too many packets to execute")]
pub struct Busy;

/// The threads could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A descriptor to wake a worker by
    #[error("cannot make an event descriptor: {0}")]
    Event(nix::Error),
    /// A thread
    #[error("cannot start a worker thread: {0}")]
    Thread(std::io::Error),
}

/// A datapath. All calls take `&self` and may come from any thread.
pub struct Datapath {
    shared: Arc<Shared>,
    crew: RwLock<Crew>,
    ports: Mutex<PortTable>,
    /// Keeps the connection tracker tidy, where there are threads.
    janitor: Option<Janitor>,
}

/// The workers, as the control side has them.
#[derive(Default)]
struct Crew {
    workers: Vec<Arc<WorkerShared>>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Datapath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datapath").field("workers", &self.crew().workers.len()).finish_non_exhaustive()
    }
}

impl Datapath {
    /// A datapath without ports whose workers run on threads of their own. It drops every packet until it has an owner.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let mut datapath = Self::idle(config);
        datapath.start_threads()?;
        datapath.janitor = Some(Janitor::start(datapath.tracker().clone()).map_err(StartError::Thread)?);
        Ok(datapath)
    }

    /// A datapath without threads: the caller [steps](Worker::step) the workers itself, and orders (ports, settings) are
    /// done in the next step. For tests, which need to know what happens when.
    pub fn manual(config: Config) -> Result<(Self, Vec<Worker>), StartError> {
        let datapath = Self::idle(config);
        let count = datapath.shared.config().workers.max(1);
        let mut crew = Vec::with_capacity(count);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let shared = Arc::new(WorkerShared::new(index).map_err(StartError::Event)?);
            workers.push(Worker::new(datapath.shared.clone(), shared.clone()));
            crew.push(shared);
        }
        datapath.crew_mut().workers = crew;
        Ok((datapath, workers))
    }

    fn idle(config: Config) -> Self {
        let shared = Shared {
            stamps: Arc::default(),
            owner: OnceLock::new(),
            flows: AtomicUsize::new(0),
            flows_max: AtomicUsize::new(0),
            next_flow: 1.into(),
            coverage: Coverage::default(),
            nowhere: Counters::default(),
            tracker: Arc::new(Tracker::new(conntrack::Config {
                seed: config.seed,
                ..conntrack::Config::default()
            })),
            config: RwLock::new(Arc::new(config)),
            handed_in: HandedIn::default(),
        };
        Self { shared: Arc::new(shared), crew: RwLock::default(), ports: Mutex::default(), janitor: None }
    }

    fn crew(&self) -> std::sync::RwLockReadGuard<'_, Crew> {
        self.crew.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn crew_mut(&self) -> std::sync::RwLockWriteGuard<'_, Crew> {
        self.crew.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, PortTable> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_threads(&self) -> Result<(), StartError> {
        let config = self.shared.config();
        let mut crew = self.crew_mut();
        for index in 0..config.workers.max(1) {
            let shared = Arc::new(WorkerShared::new(index).map_err(StartError::Event)?);
            let worker = Worker::new(self.shared.clone(), shared.clone());
            let cpu = (!config.cpus.is_empty()).then(|| config.cpus[index % config.cpus.len()]);
            crew.threads.push(thread::spawn(worker, cpu).map_err(StartError::Thread)?);
            crew.workers.push(shared);
        }
        Ok(())
    }

    /// Ends all worker threads; their queues are closed and their flows forgotten.
    fn stop_threads(&self) {
        let crew = std::mem::take(&mut *self.crew_mut());
        for worker in &crew.workers {
            worker.order(Command::Stop);
        }
        for thread in crew.threads {
            // A worker that panicked has said so itself.
            let _ = thread.join();
        }
    }

    /// Ends all workers: no packet is forwarded from here on. Their flows are let go, and what those counted is with the owner.
    pub fn stop(&self) {
        self.stop_threads();
    }

    /// Says who decides. Once only: a second owner is not taken.
    pub fn set_owner(&self, owner: Arc<dyn Owner>) {
        if self.shared.owner.set(owner).is_err() {
            tracing::warn!(target: "dpif", "the datapath has an owner already");
        }
    }

    /// The connection tracker.
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.shared.tracker
    }

    /// The version and its slots.
    pub fn stamps(&self) -> &Arc<Stamps> {
        &self.shared.stamps
    }

    /// Whether no worker treats any packet below `version` any more.
    pub fn passed(&self, version: u64) -> bool {
        self.crew().workers.iter().all(|worker| worker.passed(version))
    }

    /// Waits until all workers have [passed](Self::passed) `version`; false if `timeout` was too short for them.
    pub fn wait_passed(&self, version: u64, timeout: Duration) -> bool {
        poll_until(timeout, || self.passed(version))
    }

    /// How many packets were handed to [`execute`](Self::execute) so far: a ticket for [`is_out`](Self::is_out).
    pub fn handed_in(&self) -> u64 {
        self.shared.handed_in.submitted.load(Ordering::Acquire)
    }

    /// Whether all packets that had been handed in when the ticket was taken are out. Those handed in since hold nothing up.
    pub fn is_out(&self, ticket: u64) -> bool {
        self.shared.handed_in.treated.load(Ordering::Acquire) >= ticket
    }

    /// Treats `packet` by `actions` on a worker, as if it had missed with `key` and they were the answer. A packet for which there is
    /// no room is dropped, and counted as such at its port of arrival.
    pub fn execute(&self, packet: Packet, key: FlowKey, actions: Vec<Action>) -> Result<(), Busy> {
        let in_port = PortNo(key.in_port.get());
        self.hand_in(Execute { packet, key, actions }).inspect_err(|Busy| {
            let port = self.port(in_port);
            let counters = port.as_ref().map_or(&self.shared.nowhere, |port| &port.counters);
            counters.dropped(DropReason::PacketOutFull, 1);
        })
    }

    fn hand_in(&self, item: Execute) -> Result<(), Busy> {
        let crew = self.crew();
        // One worker for all, so that packets go out in the order in which they were handed in.
        let Some(worker) = crew.workers.first() else { return Err(Busy) };
        let handed_in = &self.shared.handed_in;
        let _one_at_a_time = handed_in.order.lock().unwrap_or_else(PoisonError::into_inner);
        if !worker.submit(item) {
            return Err(Busy);
        }
        handed_in.submitted.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Settings in force.
    pub fn config(&self) -> Arc<Config> {
        self.shared.config()
    }

    /// Changes the settings. A new number or placement of workers ends them all and starts new ones; the caches start empty
    /// then, and ports are opened again.
    pub fn set_config(&self, config: Config) -> Result<(), StartError> {
        let old = self.shared.config();
        let config = Arc::new(config);
        *self.shared.config.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
        let threaded = !self.crew().threads.is_empty();
        if threaded && (old.workers != config.workers || old.cpus != config.cpus) {
            return self.restart();
        }
        self.order(|| Command::Configure(config.clone()));
        Ok(())
    }

    fn restart(&self) -> Result<(), StartError> {
        let mut table = self.table();
        self.stop_threads();
        table.close_all();
        self.start_threads()?;
        let workers = self.crew().workers.len();
        for port in table.ports() {
            match crate::port::open(&port, workers) {
                Ok(queues) => self.hand_out(&mut table, &port, queues),
                Err(e) => tracing::error!(target: "dpif", "port {} is lost: {e}", port.name()),
            }
        }
        Ok(())
    }

    /// Orders something of every worker; returns the orders' numbers.
    fn order(&self, mut command: impl FnMut() -> Command) -> Vec<(Arc<WorkerShared>, u64)> {
        self.crew().workers.iter().map(|worker| (worker.clone(), worker.order(command()))).collect()
    }

    /// Orders something of every worker and, where workers have threads, waits until all have done it. A worker may be in the
    /// middle of a translation: callers hold no lock that the owner takes in there.
    fn order_all(&self, command: impl FnMut() -> Command) {
        let orders = self.order(command);
        let threaded = !self.crew().threads.is_empty();
        if threaded
            && !poll_until(ORDER_TIMEOUT, || orders.iter().all(|(w, n)| w.done.load(Ordering::Acquire) >= *n))
        {
            tracing::error!(target: "dpif", "a worker did not take an order within {ORDER_TIMEOUT:?}");
        }
    }

    /// Opens a port. [`OWN_PORT`] gets number 0, any other the lowest that is free from 1 on.
    pub fn add_port(&self, spec: PortSpec) -> Result<Arc<Port>, PortError> {
        let mut table = self.table();
        let number = table.allocate(&spec.name)?;
        let port = Arc::new(Port::new(number, spec));
        let queues = crate::port::open(&port, self.crew().workers.len())?;
        table.insert(port.clone());
        self.hand_out(&mut table, &port, queues);
        Ok(port)
    }

    /// Gives the queues of a port to the workers: a transmit queue to each, receive queues in turn.
    fn hand_out(&self, table: &mut PortTable, port: &Arc<Port>, queues: Queues) {
        let crew = self.crew();
        let mut shares: Vec<Vec<_>> = crew.workers.iter().map(|_| Vec::new()).collect();
        for queue in queues.rx {
            let turn = table.next_turn(shares.len());
            shares[turn].push(queue);
        }
        table.keep(port.number, queues.keep);
        drop(crew);
        let mut shares = shares.into_iter();
        let mut tx = queues.tx.into_iter();
        self.order(|| Command::AddPort {
            port: port.clone(),
            rx: shares.next().unwrap_or_default(),
            tx: tx.next().unwrap_or_else(|| Box::new(crate::port::null::Nowhere)),
        });
    }

    /// Closes a port for good. When this returns no worker uses its device, and a device of the switch's own is gone. (Devices
    /// of ports that are still there when the datapath is dropped stay, for the next process to find.)
    pub fn del_port(&self, number: PortNo) -> Result<(), PortError> {
        if let Some(port) = self.port(number)
            && matches!(port.spec.kind, PortKind::Internal | PortKind::Tap)
            && let Err(e) = crate::port::taps::release(port.name())
        {
            tracing::warn!(target: "dpif_netdev", "{}: the device stays: {e}", port.name());
        }
        self.close_port(number)
    }

    /// Closes a port that is to be opened again: a device of the switch's own stays, with the host's addresses on it. When this
    /// returns no worker uses it.
    pub fn close_port(&self, number: PortNo) -> Result<(), PortError> {
        let (port, keep) = self.table().remove(number)?;
        self.order_all(|| Command::DelPort(number));
        self.shared.nowhere.inherit(&port.counters);
        drop(keep);
        Ok(())
    }

    /// The port of that number.
    pub fn port(&self, number: PortNo) -> Option<Arc<Port>> {
        self.table().get(number)
    }

    /// The port of that name.
    pub fn port_by_name(&self, name: &str) -> Option<Arc<Port>> {
        self.table().ports().into_iter().find(|port| port.name() == name)
    }

    /// All ports by number.
    pub fn ports(&self) -> Vec<Arc<Port>> {
        self.table().ports()
    }

    /// A port's counters.
    pub fn port_stats(&self, number: PortNo) -> Option<PortStats> {
        self.port(number).map(|port| port.counters.read())
    }

    /// Number of cached flows of all workers.
    pub fn flow_count(&self) -> usize {
        self.shared.flows.load(Ordering::Relaxed)
    }

    /// The next cached flows of a dump that starts with the default cursor; empty at its end. Each call copies a bounded
    /// number and holds nothing that a worker waits for.
    pub fn dump_flows(&self, cursor: &mut DumpCursor) -> Vec<FlowDump> {
        let crew = self.crew();
        while let Some(worker) = crew.workers.get(cursor.worker) {
            let flows = worker.registry.dump(cursor);
            if !flows.is_empty() {
                return flows;
            }
            cursor.next_worker();
        }
        Vec::new()
    }

    /// Drops all cached flows; they are gone on return.
    pub fn purge_flows(&self) {
        self.order_all(|| Command::Purge);
    }

    /// Has every cached flow looked at (aged, checked against what changed) before it returns.
    pub fn sweep_flows(&self) {
        self.order_all(|| Command::SweepAll);
    }
}

impl Drop for Datapath {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

/// Asks `done` until it says so, letting other threads run meanwhile.
fn poll_until(timeout: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    for round in 0u32.. {
        if done() {
            return true;
        }
        if start.elapsed() >= timeout {
            return false;
        }
        if round < 64 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    false
}
