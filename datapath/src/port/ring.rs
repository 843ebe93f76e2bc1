//! A packet socket's receive ring (`TPACKET_V2`, `linux/if_packet.h`, packet_mmap.rst).
//!
//! # Layout
//!
//! ```text
//!  slot: | tpacket2_hdr | ... | virtio_net_hdr | frame ...                    |
//!        0                      mac - 10         mac      mac + snaplen  2048
//! ```
//!
//! The ring is an array of slots of one size, shared with the kernel, filled and emptied in order. Each begins with a status word:
//! 0, the slot is the kernel's to fill; else it is ours to read, until we store 0.
//!
//! # Frames that are longer than a slot
//!
//! Slots for the longest super-frame would be 64 KB each, too much memory for enough of them. Slots are as long as an ordinary
//! frame needs instead, and the kernel is asked (`PACKET_COPY_THRESH`) to queue a frame that does not fit at the socket as
//! well, whole and without copying it, and to say so in the slot (`TP_STATUS_COPY`). The driver then reads it from the socket, from
//! the kernel's memory straight into a packet. Slot and queue entry are put in place under one lock, so they pair up in order.
//!
//! # Costs
//!
//! 2 MiB a socket. No system call for an ordinary frame, one for a longer one.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use packet::offload::VNET_LEN;

use crate::netlink::message::{u16_at, u32_at};

const PACKET_RX_RING: libc::c_int = 5;
/// Length of a slot, which must be a power of two to divide a block.
pub(super) const SLOT_LEN: usize = 2048;
const BLOCK_LEN: usize = 64 * 1024;

/// The slot may be read.
const STATUS_USER: u32 = 1;
/// The frame waits at the socket, whole.
const STATUS_COPY: u32 = 1 << 1;
/// Frames have been dropped since the counters were last read.
const STATUS_LOSING: u32 = 1 << 2;
const STATUS_VLAN_VALID: u32 = 1 << 4;
const STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

/// `struct tpacket_req`.
#[repr(C)]
struct Dimensions {
    block_size: u32,
    block_nr: u32,
    frame_size: u32,
    frame_nr: u32,
}

/// The ring, mapped.
#[derive(Debug)]
pub(super) struct Ring {
    base: NonNull<u8>,
    slots: usize,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Ring {}

/// A frame in its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    status: u32,
    bytes: &'a [u8],
}

impl Slot<'_> {
    /// Whether the whole frame is to be read from the socket.
    pub(super) fn at_socket(&self) -> bool {
        self.status & STATUS_COPY != 0
    }

    /// Whether the kernel has dropped frames.
    pub(super) fn losing(&self) -> bool {
        self.status & STATUS_LOSING != 0
    }

    /// Length of the frame in bytes, without the VLAN tag that was taken off.
    pub(super) fn len(&self) -> usize {
        u32_at(self.bytes, 4).unwrap_or(0) as usize
    }

    /// The frame and the header before it; nothing when it was cut.
    pub(super) fn frame(&self) -> Option<(&[u8; VNET_LEN], &[u8])> {
        let held = u32_at(self.bytes, 8)? as usize;
        let at = usize::from(u16_at(self.bytes, 12)?);
        if held < self.len() {
            return None;
        }
        let header = self.bytes.get(at.checked_sub(VNET_LEN)?..at)?.first_chunk()?;
        Some((header, self.bytes.get(at..at + held)?))
    }

    /// The outermost VLAN tag, which packet sockets take off: protocol and tag control information.
    pub(super) fn vlan(&self) -> Option<(u16, u16)> {
        if self.status & STATUS_VLAN_VALID == 0 {
            return None;
        }
        let tpid = if self.status & STATUS_VLAN_TPID_VALID != 0 { u16_at(self.bytes, 26)? } else { 0x8100 };
        Some((tpid, u16_at(self.bytes, 24)?))
    }
}

impl Ring {
    /// Gives the socket a ring of `slots` slots, of fewer where memory is short, and maps it.
    pub(super) fn map(socket: &impl AsRawFd, slots: usize) -> io::Result<Self> {
        let mut slots = slots;
        loop {
            match set(socket, slots) {
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && slots > 64 => slots /= 2,
                other => break other?,
            }
        }
        // SAFETY: a new shared mapping of the socket's ring, whose size is what was just set.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                slots * SLOT_LEN,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { base, slots, next: 0 })
    }

    /// A ring that no kernel fills, and what fills it instead.
    #[cfg(test)]
    pub(super) fn testing(slots: usize) -> (Self, TestKernel) {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), slots * SLOT_LEN, access, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        let base = NonNull::new(base.cast()).unwrap();
        (Self { base, slots, next: 0 }, TestKernel(Self { base, slots, next: 0 }))
    }

    /// The oldest frame, if there is one. It stays until [`release`](Self::release).
    pub(super) fn peek(&self) -> Option<Slot<'_>> {
        let status = self.status().load(Ordering::Acquire);
        if status & STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the slot lies inside the mapping, and while its status says that it is ours the kernel does not write to it.
        // The borrow of `self` ends before `release` gives it back.
        let bytes = unsafe { std::slice::from_raw_parts(self.slot().as_ptr(), SLOT_LEN) };
        Some(Slot { status, bytes })
    }

    /// Gives the slot of the oldest frame back to the kernel.
    pub(super) fn release(&mut self) {
        self.status().store(0, Ordering::Release);
        self.next = (self.next + 1) % self.slots;
    }

    fn slot(&self) -> NonNull<u8> {
        // SAFETY: `next` is below `slots`, so this stays inside the mapping.
        unsafe { self.base.add(self.next * SLOT_LEN) }
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: every slot begins with its status word, aligned, which both sides use as an atomic.
        unsafe { self.slot().cast::<AtomicU32>().as_ref() }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; nothing borrows it any more. (Of length 0, nothing is done.)
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.slots * SLOT_LEN) };
    }
}

fn set(socket: &impl AsRawFd, slots: usize) -> io::Result<()> {
    let dimensions = Dimensions {
        block_size: BLOCK_LEN as u32,
        block_nr: (slots * SLOT_LEN / BLOCK_LEN) as u32,
        frame_size: SLOT_LEN as u32,
        frame_nr: slots as u32,
    };
    let len = size_of::<Dimensions>() as libc::socklen_t;
    let value = (&raw const dimensions).cast();
    // SAFETY: the value is valid for its length.
    let rc = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, PACKET_RX_RING, value, len) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The kernel's side of a ring in tests. It must not be used once the ring is dropped.
#[cfg(test)]
pub(super) struct TestKernel(Ring);

#[cfg(test)]
impl TestKernel {
    /// Fills the next slot with a frame of `len` bytes, of which the slot has `held`; false when the ring is full.
    pub(super) fn put(&mut self, flags: u32, len: usize, held: &[u8], vlan: (u16, u16)) -> bool {
        if self.0.status().load(Ordering::Acquire) != 0 {
            return false;
        }
        let mut bytes = vec![0; SLOT_LEN];
        let mac = 66 + VNET_LEN;
        bytes[4..8].copy_from_slice(&(len as u32).to_ne_bytes());
        bytes[8..12].copy_from_slice(&(held.len() as u32).to_ne_bytes());
        bytes[12..14].copy_from_slice(&(mac as u16).to_ne_bytes());
        bytes[24..26].copy_from_slice(&vlan.1.to_ne_bytes());
        bytes[26..28].copy_from_slice(&vlan.0.to_ne_bytes());
        bytes[mac..mac + held.len()].copy_from_slice(held);
        // SAFETY: the slot is inside the mapping, and as its status is 0 the reader does not look at it.
        unsafe { self.0.slot().as_ptr().add(4).copy_from(bytes[4..].as_ptr(), SLOT_LEN - 4) };
        self.0.status().store(STATUS_USER | flags, Ordering::Release);
        self.0.next = (self.0.next + 1) % self.0.slots;
        true
    }
}

#[cfg(test)]
impl Drop for TestKernel {
    fn drop(&mut self) {
        // The mapping is the ring's to remove; an empty one is removed by nobody.
        self.0.slots = 0;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::port) const COPY: u32 = STATUS_COPY;
    pub(in crate::port) const LOSING: u32 = STATUS_LOSING;
    pub(in crate::port) const TAGGED: u32 = STATUS_VLAN_VALID | STATUS_VLAN_TPID_VALID;

    #[test]
    fn a_slot_gives_frame_header_and_tag() {
        let (mut ring, mut kernel) = Ring::testing(2);
        assert!(ring.peek().is_none());
        let frame = [7; 60];
        assert!(kernel.put(TAGGED, 60, &frame, (0x88a8, 5)));
        let slot = ring.peek().unwrap();
        assert_eq!(slot.frame(), Some((&[0; VNET_LEN], &frame[..])));
        assert_eq!(slot.vlan(), Some((0x88a8, 5)));
        assert!(!slot.at_socket() && !slot.losing());
        ring.release();
        assert!(ring.peek().is_none());
    }

    #[test]
    fn a_frame_that_was_cut_is_none() {
        let (ring, mut kernel) = Ring::testing(2);
        kernel.put(COPY | LOSING, 9000, &[1; 1900], (0, 0));
        let slot = ring.peek().unwrap();
        assert_eq!((slot.frame(), slot.vlan(), slot.len()), (None, None, 9000));
        assert!(slot.at_socket() && slot.losing());
    }

    #[test]
    fn lengths_that_lead_out_of_the_slot_are_no_frame() {
        let mut bytes = vec![0; SLOT_LEN];
        bytes[8..12].copy_from_slice(&2000u32.to_ne_bytes());
        for mac in [0u16, 9, 100, 2047] {
            bytes[12..14].copy_from_slice(&mac.to_ne_bytes());
            assert_eq!(Slot { status: STATUS_USER, bytes: &bytes }.frame(), None, "{mac}");
        }
    }

    #[test]
    fn the_ring_is_full_until_slots_are_given_back_and_goes_round() {
        let (mut ring, mut kernel) = Ring::testing(4);
        for round in 0..10u8 {
            let mut put = 0;
            while kernel.put(0, 20, &[round * 4 + put; 20], (0, 0)) {
                put += 1;
            }
            assert_eq!(put, 4);
            for taken in 0..4 {
                assert_eq!(ring.peek().unwrap().frame().unwrap().1, [round * 4 + taken; 20]);
                ring.release();
            }
        }
    }
}
