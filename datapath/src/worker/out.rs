//! The way out: a batch for each port, and what each port needs done before it can send.
//!
//! A port that is full keeps what it could not send, in order. While one is full the worker does not receive, so that the sender
//! is held back instead of its super-frames lost; but only for [`PATIENCE`], lest one dead port stop all. After that, what
//! exceeds [`BACKLOG`] frames is dropped, until the port moves again.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use conntrack::Tracker;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use packet::{FlowKey, Packet, gso, parse};

use crate::action::PortNo;
use crate::control::shared::Shared;
use crate::drops::DropReason;
use crate::owner::Hits;
use crate::port::{Capabilities, Port, TxQueue};

/// Frames that may wait for a port.
const BACKLOG: usize = 1024;
/// Packets that one batch may have recirculated. A packet may fork each time it goes round: without a bound a handful of rules
/// would make millions of one.
const RECIRCULATIONS: usize = 1024;
/// Waiting frames from which on the worker stops receiving.
const HIGH: usize = 64;
/// How long a full port may hold back everyone.
const PATIENCE: Duration = Duration::from_millis(2);
/// One wait for room.
const WAIT_MS: u16 = 1;

/// A packet to be looked up again.
pub(crate) struct Again {
    pub(crate) packet: Packet,
    /// Its metadata, the new recirculation id among them.
    pub(crate) key: FlowKey,
}

/// A port, seen from the sending side of one worker.
struct TxPort {
    port: Arc<Port>,
    queue: Box<dyn TxQueue>,
    batch: Vec<Packet>,
    /// The first so many of `batch` were offered before, and are counted.
    waiting: usize,
    full_since: Option<Instant>,
}

/// Everything that leaves the pipeline on one worker.
pub(crate) struct Out {
    shared: Arc<Shared>,
    /// When the batch came in.
    pub(crate) now_ns: u64,
    /// By port number.
    ports: Vec<Option<TxPort>>,
    /// Ports with frames in their batch.
    touched: Vec<PortNo>,
    /// Packets for the next pass.
    pub(super) recirculated: Vec<Again>,
    /// How many more the batch may have.
    recirculations_left: usize,
    drops: Vec<(PortNo, DropReason, u64)>,
    scratch: Vec<Packet>,
}

impl Out {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            now_ns: 0,
            ports: Vec::new(),
            touched: Vec::new(),
            recirculated: Vec::new(),
            recirculations_left: RECIRCULATIONS,
            drops: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, port: Arc<Port>, queue: Box<dyn TxQueue>) {
        let at = port.number.0 as usize;
        if self.ports.len() <= at {
            self.ports.resize_with(at + 1, || None);
        }
        self.ports[at] = Some(TxPort { port, queue, batch: Vec::new(), waiting: 0, full_since: None });
    }

    /// Lets go of a port that is no more. What waited for it is dropped.
    pub(super) fn remove(&mut self, number: PortNo) {
        if let Some(mut tx) = self.ports.get_mut(number.0 as usize).and_then(Option::take) {
            self.shared.nowhere.dropped(DropReason::TxError, tx.give_up());
        }
        self.touched.retain(|touched| *touched != number);
    }

    /// Gives up what waits for ports that are full.
    pub(super) fn close(&mut self) {
        for tx in self.ports.iter_mut().flatten() {
            let lost = tx.give_up();
            tx.port.counters.dropped(DropReason::TxFull, lost);
        }
        self.touched.clear();
    }

    /// The connection tracker.
    pub(crate) fn tracker(&self) -> &Arc<Tracker> {
        &self.shared.tracker
    }

    /// Sends `packet` to `port` with the next flush.
    #[inline]
    pub(crate) fn output(&mut self, port: PortNo, packet: Packet) {
        let Some(Some(tx)) = self.ports.get_mut(port.0 as usize) else {
            self.drop_packet(&packet, DropReason::InvalidPort);
            return;
        };
        if tx.batch.is_empty() {
            self.touched.push(port);
        }
        tx.batch.push(packet);
    }

    /// Sends all of `packets` to `port` with the next flush.
    pub(crate) fn output_all(&mut self, port: PortNo, packets: &mut Vec<Packet>) {
        let Some(Some(tx)) = self.ports.get_mut(port.0 as usize) else {
            packets.drain(..).for_each(|packet| self.drop_packet(&packet, DropReason::InvalidPort));
            return;
        };
        if tx.batch.is_empty() {
            self.touched.push(port);
        }
        tx.batch.append(packets);
    }

    /// Has `packet` looked up again with `key` in the next pass of its batch.
    pub(crate) fn recirculate(&mut self, packet: Packet, key: FlowKey) {
        if self.may_recirculate(&packet) {
            self.recirculated.push(Again { packet, key });
        }
    }

    /// Counts a recirculation of `packet`. False, and the packet is counted as dropped, when its batch has had as many as it may have.
    pub(super) fn may_recirculate(&mut self, packet: &Packet) -> bool {
        if self.recirculations_left == 0 {
            self.drop_packet(packet, DropReason::RecircLimit);
            return false;
        }
        self.recirculations_left -= 1;
        true
    }

    /// Counts `packet` as dropped on its port of arrival. The caller lets go of it.
    pub(crate) fn drop_packet(&mut self, packet: &Packet, reason: DropReason) {
        self.drop_on(PortNo(packet.in_port), reason, 1);
    }

    /// Counts packets as dropped on the port by which they came.
    pub(crate) fn drop_on(&mut self, port: PortNo, reason: DropReason, packets: u64) {
        match self.drops.last_mut() {
            Some((last, why, count)) if (*last, *why) == (port, reason) => *count += packets,
            _ => self.drops.push((port, reason, packets)),
        }
    }

    /// Hands a packet to the owner.
    pub(crate) fn punt(&self, cookie: u64, key: &FlowKey, frame: &[u8]) {
        self.shared.coverage.punt.fetch_add(1, Ordering::Relaxed);
        if let Some(owner) = self.shared.owner.get() {
            owner.punt(cookie, key, frame);
        }
    }

    /// Ends a batch: writes down the counters, then sends what there is for each port.
    pub(super) fn flush(&mut self) {
        self.recirculations_left = RECIRCULATIONS;
        for (port, reason, count) in self.drops.drain(..) {
            match self.ports.get(port.0 as usize) {
                Some(Some(tx)) => tx.port.counters.dropped(reason, count),
                _ => self.shared.nowhere.dropped(reason, count),
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        for number in &touched {
            if let Some(Some(tx)) = self.ports.get_mut(number.0 as usize) {
                tx.count(&self.shared, &mut self.scratch);
            }
        }
        touched.retain(|number| {
            let Some(Some(tx)) = self.ports.get_mut(number.0 as usize) else { return false };
            tx.send();
            !tx.batch.is_empty()
        });
        self.touched = touched;
    }

    /// Offers again what ports could not take. False while the worker should not receive.
    pub(super) fn retry(&mut self) -> bool {
        if self.touched.is_empty() {
            return true;
        }
        self.flush();
        let ports = &self.ports;
        let full = self.touched.iter().find_map(|number| {
            let tx = ports[number.0 as usize].as_ref()?;
            (tx.batch.len() >= HIGH && tx.full_since?.elapsed() < PATIENCE).then_some(tx)
        });
        let Some(tx) = full else { return true };
        tx.wait();
        false
    }

    /// Whether frames wait for a port that is full.
    pub(super) fn is_waiting(&self) -> bool {
        !self.touched.is_empty()
    }
}

impl TxPort {
    /// Makes the new frames of the batch such as the port can send, and counts them as sent.
    fn count(&mut self, shared: &Shared, scratch: &mut Vec<Packet>) {
        let capabilities = self.port.capabilities();
        let mtu = self.port.mtu();
        let fresh = &self.batch[self.waiting..];
        let fits = |packet: &Packet| {
            packet.offload.is_plain() && (mtu == 0 || packet.len() <= mtu as usize + parse::ETH_LEN)
        };
        if !fresh.iter().all(fits) {
            self.prepare(shared, capabilities, mtu, scratch);
        }
        let fresh = &self.batch[self.waiting..];
        let bytes = fresh.iter().map(|packet| packet.len() as u64).sum();
        self.port.counters.sent(Hits { packets: fresh.len() as u64, bytes });
        self.waiting = self.batch.len();
    }

    /// Completes checksums, cuts super-frames, and drops what exceeds the MTU.
    fn prepare(&mut self, shared: &Shared, capabilities: Capabilities, mtu: u32, scratch: &mut Vec<Packet>) {
        let caps = capabilities.to_gso();
        scratch.clear();
        for packet in self.batch.drain(self.waiting..) {
            if packet.offload.gso.is_none() && !fits_mtu(packet.data(), mtu) {
                self.port.counters.dropped(DropReason::MtuExceeded, 1);
                continue;
            }
            let before = scratch.len();
            let (partial, super_frame) = (!packet.offload.is_plain(), packet.offload.gso.is_some());
            if gso::fit(packet, caps, scratch).is_err() {
                scratch.truncate(before);
                self.port.counters.dropped(DropReason::SegmentError, 1);
            } else if super_frame && scratch.get(before).is_some_and(|first| first.offload.gso.is_none()) {
                shared.coverage.segment.fetch_add(1, Ordering::Relaxed);
                drop_longer(scratch, before, mtu, &self.port);
            } else if partial && scratch.get(before).is_some_and(|packet| packet.offload.is_plain()) {
                shared.coverage.checksum.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.batch.append(scratch);
    }

    fn send(&mut self) {
        self.queue.send(&mut self.batch);
        self.waiting = self.batch.len();
        if self.batch.is_empty() {
            self.full_since = None;
            return;
        }
        self.full_since.get_or_insert_with(Instant::now);
        if self.batch.len() > BACKLOG {
            let excess = self.batch.drain(BACKLOG..);
            let mut hits = Hits::default();
            for packet in excess {
                hits.packets += 1;
                hits.bytes += packet.len() as u64;
            }
            self.port.counters.unsent(hits);
            self.port.counters.dropped(DropReason::TxFull, hits.packets);
            self.waiting = BACKLOG;
        }
    }

    /// Forgets the frames that wait, as if they had never been counted as sent; returns how many there were.
    fn give_up(&mut self) -> u64 {
        let bytes = self.batch[..self.waiting].iter().map(|packet| packet.len() as u64).sum();
        self.port.counters.unsent(Hits { packets: self.waiting as u64, bytes });
        self.waiting = 0;
        self.batch.drain(..).len() as u64
    }

    /// Waits a little until there may be room.
    fn wait(&self) {
        let Some(fd) = self.queue.poll_fd() else {
            std::thread::yield_now();
            return;
        };
        wait_writable(fd);
    }
}

/// Drops the segments from `from` on that exceed the port's MTU.
fn drop_longer(segments: &mut Vec<Packet>, from: usize, mtu: u32, port: &Port) {
    let mut index = 0;
    let before = segments.len();
    segments.retain(|segment| {
        index += 1;
        index <= from || fits_mtu(segment.data(), mtu)
    });
    if segments.len() < before {
        port.counters.dropped(DropReason::MtuExceeded, (before - segments.len()) as u64);
    }
}

fn wait_writable(fd: RawFd) {
    // SAFETY: the descriptor belongs to the transmit queue, which lives while this call lasts.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // If it fails, the next retry comes the sooner.
    let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::from(WAIT_MS));
}

/// Whether a frame's payload is within the MTU; tags that stand before it are not part of it. An MTU of 0 is none.
fn fits_mtu(frame: &[u8], mtu: u32) -> bool {
    let tagged =
        |at: usize| frame.get(at..at + 2).is_some_and(|kind| kind == [0x81, 0] || kind == [0x88, 0xa8]);
    let tags = if !tagged(12) {
        0
    } else if tagged(16) {
        2
    } else {
        1
    };
    mtu == 0 || frame.len() <= mtu as usize + parse::ETH_LEN + 4 * tags
}

impl Capabilities {
    /// The same in the words of [`packet::gso`].
    fn to_gso(self) -> gso::Caps {
        gso::Caps {
            checksum: self.contains(Self::CHECKSUM),
            tso4: self.contains(Self::TSO4),
            tso6: self.contains(Self::TSO6),
            ecn: self.contains(Self::TSO_ECN),
            uso: self.contains(Self::USO4 | Self::USO6),
        }
    }
}
