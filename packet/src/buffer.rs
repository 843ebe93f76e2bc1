//! [`Packet`]: the handle of a frame on its way through the switch.
//!
//! # Layout
//!
//! ```text
//!  memory: | headroom (128 or more) | data: Ethernet header ... | spare |
//!          0                      start                     start+len   capacity
//! ```
//!
//! The memory is owned and pooled ([`crate::pool`]); the handle itself is 64 bytes and moves freely between
//! stages, batches and threads. Headers are pushed and pulled at the front without moving the payload; offload
//! state follows by itself.

use thiserror::Error;

use crate::offload::Offload;
use crate::pool::{self, Class, Memory};

/// Free bytes in front of the data of a fresh packet.
pub const HEADROOM: usize = 128;

/// Longest frame in bytes: 64 KiB of IP packet and all headers that may stand before it.
pub const MAX_LEN: usize = Class::Large.size() - HEADROOM;

const SMALL_LEN: usize = Class::Small.size() - HEADROOM;

/// The frame would become longer than [`MAX_LEN`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a frame of {0} bytes is longer than any buffer")]
pub struct TooLong(pub usize);

/// A frame and what travels with it.
#[derive(Debug)]
pub struct Packet {
    memory: Memory,
    start: u32,
    len: u32,
    /// Datapath port it came from.
    pub in_port: u32,
    /// Packet mark (a Linux `skb->mark`).
    pub mark: u32,
    /// Queue or priority (a Linux `skb->priority`).
    pub priority: u32,
    /// Where the connection tracker found its connection last, in the tracker's terms; 0 for nowhere. A hint, that the tracker checks.
    pub connection: u32,
    /// What is left to do to checksums and segments.
    pub offload: Offload,
}

const _: () = assert!(size_of::<Packet>() <= 64);

impl Packet {
    /// An empty packet with [`HEADROOM`] before it and the rest of the class's size behind.
    pub fn empty(class: Class) -> Self {
        let memory = pool::take(class);
        Self {
            memory,
            start: HEADROOM as u32,
            len: 0,
            in_port: 0,
            mark: 0,
            priority: 0,
            connection: 0,
            offload: Offload::default(),
        }
    }

    /// A packet that holds a copy of `frame`.
    pub fn copy_of(frame: &[u8]) -> Result<Self, TooLong> {
        let mut packet = Self::empty(class_for(frame.len())?);
        packet.memory[HEADROOM..HEADROOM + frame.len()].copy_from_slice(frame);
        packet.len = frame.len() as u32;
        Ok(packet)
    }

    /// Length of the frame in bytes.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is no frame in it (yet).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frame.
    pub fn data(&self) -> &[u8] {
        let start = self.start as usize;
        &self.memory[start..start + self.len as usize]
    }

    /// The frame, writable.
    pub fn data_mut(&mut self) -> &mut [u8] {
        let start = self.start as usize;
        &mut self.memory[start..start + self.len as usize]
    }

    /// Free bytes in front.
    pub fn headroom(&self) -> usize {
        self.start as usize
    }

    /// Free bytes behind: where a receive writes. [`append`](Self::append) makes what was written part of the frame.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        let end = self.start as usize + self.len as usize;
        &mut self.memory[end..]
    }

    /// Takes the first `n` bytes behind the data, as they stand, into the frame.
    pub fn append(&mut self, n: usize) -> Result<(), TooLong> {
        let end = self.start as usize + self.len as usize + n;
        if end > self.memory.len() {
            return Err(TooLong(self.len() + n));
        }
        self.len += n as u32;
        Ok(())
    }

    /// Adds `bytes` at the end, moving to a larger buffer when needed.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.spare_mut().len() < bytes.len() {
            self.relocate(0, bytes.len())?;
        }
        self.spare_mut()[..bytes.len()].copy_from_slice(bytes);
        self.append(bytes.len())
    }

    /// Cuts the frame to at most `len` bytes. Offload state that no longer makes sense is the caller's to see to.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Grows the frame by `n` bytes at the front and returns the whole frame; the new bytes hold anything. Offload offsets
    /// move along. When the headroom is used up the frame moves inside its buffer or to a larger one.
    pub fn push_front(&mut self, n: usize) -> Result<&mut [u8], TooLong> {
        if n > self.start as usize {
            self.relocate(n, 0)?;
        }
        self.start -= n as u32;
        self.len += n as u32;
        self.offload.shift(n as isize);
        Ok(self.data_mut())
    }

    /// Cuts `n` bytes off the front and returns what is left. Offload offsets move along.
    ///
    /// # Panics
    /// When the frame is shorter than `n` bytes.
    pub fn pull_front(&mut self, n: usize) -> &mut [u8] {
        assert!(n <= self.len(), "pulling {n} bytes off a frame of {}", self.len());
        self.start += n as u32;
        self.len -= n as u32;
        self.offload.shift(-(n as isize));
        self.data_mut()
    }

    /// Moves the frame to a buffer with at least `front` bytes before it (the usual [`HEADROOM`] if that is more) and `back`
    /// bytes behind it.
    fn relocate(&mut self, front: usize, back: usize) -> Result<(), TooLong> {
        let class = class_for(self.len() + front + back)?;
        let mut memory = pool::take(class);
        // What is pushed may take more than the usual headroom, as long as the frame fits.
        let start = HEADROOM.max(front);
        memory[start..start + self.len()].copy_from_slice(self.data());
        pool::give(std::mem::replace(&mut self.memory, memory));
        self.start = start as u32;
        Ok(())
    }
}

impl Clone for Packet {
    /// Copies the frame (not the free space around it) into a buffer of the class that fits.
    fn clone(&self) -> Self {
        let class = if self.len() <= SMALL_LEN { Class::Small } else { Class::Large };
        let mut memory = pool::take(class);
        // A frame that was pushed into its headroom may be too long to have all of it again.
        let start = HEADROOM.min(memory.len() - self.len());
        memory[start..start + self.len()].copy_from_slice(self.data());
        Self { memory, start: start as u32, ..*self }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.memory));
    }
}

fn class_for(len: usize) -> Result<Class, TooLong> {
    if len <= SMALL_LEN {
        Ok(Class::Small)
    } else if len <= MAX_LEN {
        Ok(Class::Large)
    } else {
        Err(TooLong(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::Checksum;

    #[test]
    fn push_and_pull_move_the_front_and_the_offsets() {
        let mut packet = Packet::copy_of(&[7; 60]).unwrap();
        packet.offload.checksum = Checksum::Partial { start: 34, offset: 6 };
        packet.push_front(4).unwrap()[..4].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(packet.len(), 64);
        assert_eq!(packet.data()[..5], [1, 2, 3, 4, 7]);
        assert_eq!(packet.offload.checksum, Checksum::Partial { start: 38, offset: 6 });
        assert_eq!(packet.pull_front(4), &[7; 60]);
        assert_eq!(packet.headroom(), HEADROOM);
    }

    #[test]
    fn pushing_beyond_the_headroom_moves_the_frame() {
        let mut packet = Packet::copy_of(&[9; 1900]).unwrap();
        packet.push_front(200).unwrap()[..200].fill(1);
        assert_eq!(packet.data()[..200], [1; 200]);
        assert_eq!(packet.data()[200..], [9; 1900]);
        let copy = packet.clone();
        assert_eq!(copy.data(), packet.data());
        let mut longest = Packet::copy_of(&vec![3; MAX_LEN]).unwrap();
        assert_eq!(longest.push_front(129).unwrap_err(), TooLong(MAX_LEN + 129));
        longest.push_front(128).unwrap();
        assert_eq!(longest.clone().len(), MAX_LEN + 128);
    }

    #[test]
    fn extending_beyond_the_buffer_moves_the_frame() {
        let mut packet = Packet::copy_of(&[9; 1900]).unwrap();
        packet.extend(&[8; 63_000]).unwrap();
        assert_eq!((packet.len(), packet.headroom()), (64_900, HEADROOM));
        assert_eq!(packet.data()[1898..1902], [9, 9, 8, 8]);
    }

    #[test]
    fn receive_into_the_spare_room() {
        let mut packet = Packet::empty(Class::Large);
        assert_eq!(packet.spare_mut().len(), MAX_LEN);
        packet.spare_mut()[..3].copy_from_slice(b"abc");
        packet.append(3).unwrap();
        packet.extend(b"def").unwrap();
        assert_eq!(packet.data(), b"abcdef");
        packet.truncate(2);
        assert_eq!(packet.data(), b"ab");
        assert!(packet.append(MAX_LEN).is_err());
    }

    #[test]
    fn dropping_recycles() {
        pool::trim();
        drop(Packet::copy_of(&[1; 64]).unwrap());
        assert_eq!(pool::free_buffers(Class::Small), 1);
        drop(Packet::copy_of(&[2; 64]).unwrap());
        assert_eq!(pool::free_buffers(Class::Small), 1);
        pool::trim();
    }
}
