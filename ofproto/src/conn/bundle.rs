//! Bundles of one connection: messages that are kept until they are committed together (OpenFlow 1.4, 7.3.9).
//!
//! A bundle is open from its opening, or its first message, until it is committed, discarded, or left alone for 10 s. Any misuse
//! ends it.
//!
//! A message is kept as it came, in a piece of memory of its own: read, a flow-mod is many times as long, and a slice of what was
//! received would keep the rest of that alive.
//!
//! # Bounds
//!
//! All open bundles of a connection together hold at most [`MAX_BUNDLES`] openings, [`MAX_MESSAGES`] messages and [`MAX_BYTES`] of
//! memory. What they held is free again once they are committed, discarded, or late. A bundle being committed counts no more,
//! but its connection is not read meanwhile: there is never more than one.

use std::collections::BTreeMap;

use bytes::Bytes;
use openflow::OfError;
use openflow::message::BundleFlags;

/// Bundles that a connection may have open.
pub(crate) const MAX_BUNDLES: usize = 256;
/// Messages that the open bundles of a connection may have.
pub(crate) const MAX_MESSAGES: usize = 1 << 22;
/// Bytes that the open bundles of a connection may hold: some two million flows.
pub(crate) const MAX_BYTES: usize = 512 << 20;
/// Bytes that a message or an opening takes beside its own length.
const OVERHEAD: usize = 96;
/// How long a bundle may be left alone, ms.
pub(crate) const IDLE_TIMEOUT_MS: u64 = 10_000;

/// An open or closed bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    flags: BundleFlags,
    closed: bool,
    used_ms: u64,
    opened_by: Bytes,
    /// Bytes that it holds.
    bytes: usize,
    /// The messages that added to it, in the order of arrival.
    pub(crate) messages: Vec<Bytes>,
}

/// The bundles of a connection by their id.
#[derive(Debug)]
pub(crate) struct BundleSet {
    open: BTreeMap<u32, Bundle>,
    /// Bytes that may still be taken.
    bytes_left: usize,
    /// Messages that may still be taken.
    messages_left: usize,
}

impl Default for BundleSet {
    fn default() -> Self {
        Self { open: BTreeMap::new(), bytes_left: MAX_BYTES, messages_left: MAX_MESSAGES }
    }
}

impl Bundle {
    fn new(flags: BundleFlags, opened_by: &[u8], now_ms: u64) -> Self {
        let (opened_by, bytes) = (Bytes::copy_from_slice(opened_by), OVERHEAD + opened_by.len());
        Self { flags, closed: false, used_ms: now_ms, opened_by, bytes, messages: Vec::new() }
    }

    /// Whether all of it is to be seen at one moment.
    pub(crate) fn is_atomic(&self) -> bool {
        self.flags.contains(BundleFlags::ATOMIC)
    }
}

impl BundleSet {
    /// Opens a bundle. One that is open already under this id is lost.
    pub(crate) fn open(
        &mut self,
        id: u32,
        flags: BundleFlags,
        request: &[u8],
        now_ms: u64,
    ) -> Result<(), OfError> {
        if self.remove(id).is_some() {
            return Err(OfError::OFPBFC_BAD_ID);
        }
        self.create(id, flags, request, now_ms)
    }

    fn create(&mut self, id: u32, flags: BundleFlags, request: &[u8], now_ms: u64) -> Result<(), OfError> {
        if self.open.len() >= MAX_BUNDLES {
            return Err(OfError::OFPBFC_OUT_OF_BUNDLES);
        }
        let bundle = Bundle::new(flags, request, now_ms);
        let left = self.bytes_left.checked_sub(bundle.bytes);
        self.bytes_left = left.ok_or(OfError::OFPBFC_OUT_OF_BUNDLES)?;
        self.open.insert(id, bundle);
        Ok(())
    }

    /// Takes a bundle out, with what it held.
    fn remove(&mut self, id: u32) -> Option<Bundle> {
        let bundle = self.open.remove(&id)?;
        self.bytes_left += bundle.bytes;
        self.messages_left += bundle.messages.len();
        Some(bundle)
    }

    /// Takes no more messages for a bundle.
    pub(crate) fn close(&mut self, id: u32, flags: BundleFlags, now_ms: u64) -> Result<(), OfError> {
        let bundle = self.open.get_mut(&id).ok_or(OfError::OFPBFC_BAD_ID)?;
        let misuse = if bundle.closed {
            OfError::OFPBFC_BUNDLE_CLOSED
        } else if bundle.flags != flags {
            OfError::OFPBFC_BAD_FLAGS
        } else {
            bundle.closed = true;
            bundle.used_ms = now_ms;
            return Ok(());
        };
        self.remove(id);
        Err(misuse)
    }

    /// Takes a bundle out, to be committed.
    pub(crate) fn take(&mut self, id: u32, flags: BundleFlags) -> Result<Bundle, OfError> {
        let bundle = self.remove(id).ok_or(OfError::OFPBFC_BAD_ID)?;
        if bundle.flags == flags { Ok(bundle) } else { Err(OfError::OFPBFC_BAD_FLAGS) }
    }

    /// Drops a bundle.
    pub(crate) fn discard(&mut self, id: u32) -> Result<(), OfError> {
        self.remove(id).map(|_| ()).ok_or(OfError::OFPBFC_BAD_ID)
    }

    /// Adds a message to a bundle, which is opened if need be.
    pub(crate) fn add(
        &mut self,
        id: u32,
        flags: BundleFlags,
        request: &[u8],
        now_ms: u64,
    ) -> Result<(), OfError> {
        let bytes = OVERHEAD + request.len();
        let is_full = self.messages_left == 0 || self.bytes_left < bytes;
        if !self.open.contains_key(&id) {
            self.create(id, flags, request, now_ms)?;
        }
        let bundle = self.open.get_mut(&id).ok_or(OfError::OFPBFC_BAD_ID)?;
        let misuse = if bundle.closed {
            OfError::OFPBFC_BUNDLE_CLOSED
        } else if bundle.flags != flags {
            OfError::OFPBFC_BAD_FLAGS
        } else if is_full {
            return Err(OfError::OFPBFC_MSG_TOO_MANY);
        } else {
            bundle.used_ms = now_ms;
            bundle.bytes += bytes;
            bundle.messages.push(Bytes::copy_from_slice(request));
            self.bytes_left -= bytes;
            self.messages_left -= 1;
            return Ok(());
        };
        self.remove(id);
        Err(misuse)
    }

    /// Drops the bundles that were left alone too long; returns the messages that opened them.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Vec<Bytes> {
        let late = |bundle: &Bundle| now_ms >= bundle.used_ms + IDLE_TIMEOUT_MS;
        let ids: Vec<u32> = self.open.iter().filter(|(_, b)| late(b)).map(|(&id, _)| id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).map(|bundle| bundle.opened_by).collect()
    }

    /// When [`expire`](Self::expire) has something to do next, ms.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.open.values().map(|bundle| bundle.used_ms + IDLE_TIMEOUT_MS).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: BundleFlags = BundleFlags::ATOMIC;

    fn opened() -> BundleSet {
        let mut set = BundleSet::default();
        set.open(1, FLAGS, b"open", 0).unwrap();
        set
    }

    #[test]
    fn open_add_close_take() {
        let mut set = opened();
        set.add(1, FLAGS, b"seven", 1).unwrap();
        set.close(1, FLAGS, 2).unwrap();
        assert_eq!(set.take(1, FLAGS).unwrap().messages, [&b"seven"[..]]);
        assert_eq!(set.discard(1), Err(OfError::OFPBFC_BAD_ID));
    }

    #[test]
    fn misuse_ends_a_bundle() {
        let mut set = opened();
        let reopened = set.open(1, FLAGS, b"", 0);
        assert_eq!(reopened, Err(OfError::OFPBFC_BAD_ID));
        assert!(set.open(1, FLAGS, b"", 0).is_ok(), "the first is gone");
        assert_eq!(set.close(1, BundleFlags::ORDERED, 0), Err(OfError::OFPBFC_BAD_FLAGS));
        let mut set = opened();
        set.close(1, FLAGS, 0).unwrap();
        assert_eq!(set.add(1, FLAGS, b"", 0), Err(OfError::OFPBFC_BUNDLE_CLOSED));
        assert_eq!(set.take(1, FLAGS).err(), Some(OfError::OFPBFC_BAD_ID));
        let mut set = opened();
        set.close(1, FLAGS, 0).unwrap();
        assert_eq!(set.close(1, FLAGS, 0), Err(OfError::OFPBFC_BUNDLE_CLOSED));
        let mut set = opened();
        assert_eq!(set.take(1, BundleFlags::ORDERED).err(), Some(OfError::OFPBFC_BAD_FLAGS));
    }

    #[test]
    fn a_message_opens_and_silence_ends() {
        let mut set = BundleSet::default();
        set.add(5, FLAGS, b"add", 1000).unwrap();
        assert_eq!(set.deadline(), Some(11_000));
        assert!(set.expire(10_999).is_empty());
        assert_eq!(set.expire(11_000), [Bytes::from_static(b"add")]);
        assert_eq!(set.deadline(), None);
    }

    #[test]
    fn bundles_are_bounded() {
        let mut set = BundleSet::default();
        (0..MAX_BUNDLES as u32).for_each(|id| set.open(id, FLAGS, b"", 0).unwrap());
        let one_more = set.open(u32::MAX, FLAGS, b"", 0);
        assert_eq!(one_more, Err(OfError::OFPBFC_OUT_OF_BUNDLES));
    }
    static LARGE: [u8; 60_000] = [0; 60_000];
    const ROOM: usize = 10_000_000;

    #[test]
    fn what_all_bundles_hold_is_bounded_and_freed() {
        let mut set = BundleSet { bytes_left: ROOM, ..BundleSet::default() };
        let refused =
            |n: &usize| set.add(*n as u32 % 7, FLAGS, &LARGE, 0) == Err(OfError::OFPBFC_MSG_TOO_MANY);
        let taken = (0..).find(refused).unwrap();
        assert_eq!(taken + 7, ROOM / (LARGE.len() + OVERHEAD), "each bundle has an opening");
        assert_eq!(set.open(99, FLAGS, &LARGE, 0), Err(OfError::OFPBFC_OUT_OF_BUNDLES));
        set.discard(0).unwrap();
        set.take(1, FLAGS).unwrap();
        assert_eq!(set.close(2, BundleFlags::ORDERED, 0).err(), Some(OfError::OFPBFC_BAD_FLAGS));
        assert!(set.bytes_left > ROOM * 3 / 8 && set.messages_left > MAX_MESSAGES - taken * 5 / 8);
        assert_eq!(
            set.add(3, FLAGS, &LARGE, 0),
            Ok(()),
            "there is room again, and the refusal ended nothing"
        );
        set.expire(IDLE_TIMEOUT_MS);
        assert_eq!((set.bytes_left, set.messages_left), (ROOM, MAX_MESSAGES));
    }

    #[test]
    fn the_number_of_messages_is_bounded() {
        let mut set = BundleSet { messages_left: 1, ..BundleSet::default() };
        assert_eq!(set.add(1, FLAGS, b"", 0), Ok(()));
        assert_eq!(set.add(2, FLAGS, b"", 0), Err(OfError::OFPBFC_MSG_TOO_MANY));
    }
}
