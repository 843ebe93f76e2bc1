//! A worker's thread: polls while there is traffic, sleeps in epoll when there is none.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::thread::JoinHandle;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::Pid;

use super::Worker;
use crate::clock;
use crate::port::Readiness;

/// The longest sleep: a worker that nobody wakes looks around so often.
const LONGEST_MS: u64 = 1000;
/// While frames wait for a full port.
const RETRY_MS: u64 = 1;

/// Starts the thread of `worker`, on a CPU of its own if one is given.
pub(crate) fn spawn(worker: Worker, cpu: Option<usize>) -> io::Result<JoinHandle<()>> {
    let watch = Watch::new(&worker)?;
    let name = format!("worker{}", worker.me.index);
    std::thread::Builder::new().name(name).spawn(move || {
        if let Some(cpu) = cpu
            && let Err(e) = pin(cpu)
        {
            tracing::warn!(target: "dpif_netdev", "cannot run on CPU {cpu}: {e}");
        }
        run(worker, watch);
    })
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

fn run(mut worker: Worker, mut watch: Watch) {
    let mut busy_ns = 0;
    worker.me.get_up(worker.version);
    while !worker.stopping {
        let now_ns = clock::monotonic_ns();
        if worker.round(now_ns) != 0 {
            busy_ns = now_ns;
            continue;
        }
        if worker.stopping {
            break;
        }
        let spin_ns = worker.config.spin.as_nanos() as u64;
        if now_ns.saturating_sub(busy_ns) < spin_ns || worker.sweep.under_way() {
            std::hint::spin_loop();
            continue;
        }
        watch.agree_with(&worker);
        sleep(&mut worker, &watch.epoll, now_ns);
    }
    worker.wind_up(clock::monotonic_ns());
    worker.me.lie_down();
}

/// What wakes a sleeping worker: the control side, and receive queues that have a descriptor.
struct Watch {
    epoll: Epoll,
    /// Descriptors of queues in the set.
    queues: Vec<RawFd>,
}

impl Watch {
    fn new(worker: &Worker) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(worker.me.wake_fd(), EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self { epoll, queues: Vec::new() })
    }

    /// Makes the set that of the worker's queues: when queues came or went, or one will never be ready again (its descriptor
    /// would wake the worker for nothing), a new set takes the place of the old.
    fn agree_with(&mut self, worker: &Worker) {
        let ready = worker.rx.iter().map(|rx| rx.queue.readiness(0));
        let descriptors =
            ready.filter_map(|ready| if let Readiness::Fd(fd) = ready { Some(fd) } else { None });
        if !worker.rx_changed.take() && descriptors.clone().eq(self.queues.iter().copied()) {
            return;
        }
        let queues: Vec<_> = descriptors.collect();
        match Self::new(worker) {
            Ok(fresh) => self.epoll = fresh.epoll,
            Err(e) => tracing::error!(target: "dpif_netdev", "epoll: {e}"),
        }
        for raw in &queues {
            // SAFETY: the descriptor belongs to a receive queue of this worker, which lives while this call lasts.
            let fd = unsafe { BorrowedFd::borrow_raw(*raw) };
            if let Err(e) = self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 1)) {
                tracing::error!(target: "dpif_netdev", "a port will be slow: epoll: {e}");
            }
        }
        self.queues = queues;
    }
}

/// Sleeps until there is something to do.
fn sleep(worker: &mut Worker, epoll: &Epoll, now_ns: u64) {
    let mut timeout_ms = match worker.readiness(now_ns) {
        Readiness::Now => return,
        Readiness::At(at) => at.saturating_sub(now_ns) / 1_000_000,
        Readiness::Fd(_) | Readiness::Never => LONGEST_MS,
    };
    if worker.flows.len() != 0 {
        timeout_ms = timeout_ms.min(worker.sweep.next_ns().saturating_sub(now_ns).div_ceil(1_000_000));
    }
    if worker.out.is_waiting() {
        timeout_ms = timeout_ms.min(RETRY_MS);
    }
    if timeout_ms == 0 {
        std::hint::spin_loop();
        return;
    }
    worker.registry.flush(&worker.me.registry, true);
    if worker.me.lie_down() {
        worker.shared.coverage.sleep.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let timeout = EpollTimeout::from(timeout_ms.min(LONGEST_MS) as u16);
        let mut events = [EpollEvent::empty(); 8];
        if let Err(e) = epoll.wait(&mut events, timeout)
            && e != nix::errno::Errno::EINTR
        {
            tracing::error!(target: "dpif_netdev", "epoll: {e}");
        }
    }
    worker.me.get_up(worker.version);
}
