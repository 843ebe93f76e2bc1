//! A worker's thread: polls while there is traffic, sleeps in epoll when there is none.

use std::io;
use std::os::fd::BorrowedFd;
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
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(worker.me.wake_fd(), EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    let name = format!("worker{}", worker.me.index);
    std::thread::Builder::new().name(name).spawn(move || {
        if let Some(cpu) = cpu
            && let Err(e) = pin(cpu)
        {
            tracing::warn!(target: "dpif_netdev", "cannot run on CPU {cpu}: {e}");
        }
        run(worker, &epoll);
    })
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

fn run(mut worker: Worker, epoll: &Epoll) {
    let mut watched = Vec::new();
    let mut busy_ns = 0;
    worker.me.get_up(worker.version);
    while !worker.stopping {
        let now_ns = clock::monotonic_ns();
        if worker.round(now_ns) != 0 {
            busy_ns = now_ns;
            continue;
        }
        if std::mem::take(&mut worker.rx_changed) {
            watch(&worker, epoll, &mut watched);
        }
        let spin_ns = worker.config.spin.as_nanos() as u64;
        if now_ns.saturating_sub(busy_ns) < spin_ns || worker.sweep.under_way() {
            std::hint::spin_loop();
            continue;
        }
        sleep(&mut worker, epoll, now_ns);
    }
    worker.me.lie_down();
}

/// Makes the epoll set agree with the worker's receive queues.
fn watch(worker: &Worker, epoll: &Epoll, watched: &mut Vec<i32>) {
    for fd in watched.drain(..) {
        // SAFETY: only the number is used, to take it out of the set; if it was closed, it is out already.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let _ = epoll.delete(fd);
    }
    for rx in &worker.rx {
        let Readiness::Fd(raw) = rx.queue.readiness(0) else { continue };
        // SAFETY: the descriptor belongs to a receive queue of this worker, which lives while this call lasts.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) };
        match epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 1)) {
            Ok(()) => watched.push(raw),
            Err(e) => {
                tracing::error!(target: "dpif_netdev", "port {} will be slow: epoll: {e}", rx.port.name())
            }
        }
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
