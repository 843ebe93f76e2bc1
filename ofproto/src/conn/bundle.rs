//! Bundles of one connection: messages that are kept until they are committed together (OpenFlow 1.4, 7.3.9).
//!
//! A bundle is open from its opening, or its first message, until it is committed, discarded, or left alone for 10 s. Any misuse
//! ends it. Each connection may have [`MAX_BUNDLES`] with [`MAX_MESSAGES`] in each.

use std::collections::BTreeMap;

use bytes::Bytes;
use openflow::OfError;
use openflow::message::BundleFlags;

/// Bundles that a connection may have open.
pub(crate) const MAX_BUNDLES: usize = 256;
/// Messages that a bundle may have.
pub(crate) const MAX_MESSAGES: usize = 1 << 22;
/// How long a bundle may be left alone, ms.
pub(crate) const IDLE_TIMEOUT_MS: u64 = 10_000;

/// A message of a bundle, read and found good.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    /// The message that added it, for errors about it.
    pub(crate) message: Bytes,
    /// What it asks for.
    pub(crate) request: T,
}

/// An open or closed bundle.
#[derive(Debug)]
pub(crate) struct Bundle<T> {
    flags: BundleFlags,
    closed: bool,
    used_ms: u64,
    opened_by: Bytes,
    /// Its messages in the order of arrival.
    pub(crate) entries: Vec<Entry<T>>,
}

/// The bundles of a connection by their id.
#[derive(Debug)]
pub(crate) struct BundleSet<T> {
    open: BTreeMap<u32, Bundle<T>>,
}

impl<T> Default for BundleSet<T> {
    fn default() -> Self {
        Self { open: BTreeMap::new() }
    }
}

impl<T> Bundle<T> {
    fn new(flags: BundleFlags, opened_by: &Bytes, now_ms: u64) -> Self {
        Self { flags, closed: false, used_ms: now_ms, opened_by: opened_by.clone(), entries: Vec::new() }
    }

    /// Whether all of it is to be seen at one moment.
    pub(crate) fn is_atomic(&self) -> bool {
        self.flags.contains(BundleFlags::ATOMIC)
    }
}

impl<T> BundleSet<T> {
    /// Opens a bundle. One that is open already under this id is lost.
    pub(crate) fn open(
        &mut self,
        id: u32,
        flags: BundleFlags,
        request: &Bytes,
        now_ms: u64,
    ) -> Result<(), OfError> {
        if self.open.remove(&id).is_some() {
            return Err(OfError::OFPBFC_BAD_ID);
        }
        self.create(id, flags, request, now_ms)
    }

    fn create(&mut self, id: u32, flags: BundleFlags, request: &Bytes, now_ms: u64) -> Result<(), OfError> {
        if self.open.len() >= MAX_BUNDLES {
            return Err(OfError::OFPBFC_OUT_OF_BUNDLES);
        }
        self.open.insert(id, Bundle::new(flags, request, now_ms));
        Ok(())
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
        self.open.remove(&id);
        Err(misuse)
    }

    /// Takes a bundle out, to be committed.
    pub(crate) fn take(&mut self, id: u32, flags: BundleFlags) -> Result<Bundle<T>, OfError> {
        let bundle = self.open.remove(&id).ok_or(OfError::OFPBFC_BAD_ID)?;
        if bundle.flags == flags { Ok(bundle) } else { Err(OfError::OFPBFC_BAD_FLAGS) }
    }

    /// Drops a bundle.
    pub(crate) fn discard(&mut self, id: u32) -> Result<(), OfError> {
        self.open.remove(&id).map(|_| ()).ok_or(OfError::OFPBFC_BAD_ID)
    }

    /// Adds a message to a bundle, which is opened if need be.
    pub(crate) fn add(
        &mut self,
        id: u32,
        flags: BundleFlags,
        request: &Bytes,
        entry: Entry<T>,
        now_ms: u64,
    ) -> Result<(), OfError> {
        if !self.open.contains_key(&id) {
            self.create(id, flags, request, now_ms)?;
        }
        let bundle = self.open.get_mut(&id).ok_or(OfError::OFPBFC_BAD_ID)?;
        let misuse = if bundle.closed {
            OfError::OFPBFC_BUNDLE_CLOSED
        } else if bundle.flags != flags {
            OfError::OFPBFC_BAD_FLAGS
        } else if bundle.entries.len() >= MAX_MESSAGES {
            return Err(OfError::OFPBFC_MSG_TOO_MANY);
        } else {
            bundle.used_ms = now_ms;
            bundle.entries.push(entry);
            return Ok(());
        };
        self.open.remove(&id);
        Err(misuse)
    }

    /// Drops the bundles that were left alone too long; returns the messages that opened them.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Vec<Bytes> {
        let late = |bundle: &Bundle<T>| now_ms >= bundle.used_ms + IDLE_TIMEOUT_MS;
        let ids: Vec<u32> = self.open.iter().filter(|(_, b)| late(b)).map(|(&id, _)| id).collect();
        ids.iter().filter_map(|id| self.open.remove(id)).map(|bundle| bundle.opened_by).collect()
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

    fn entry(request: u32) -> Entry<u32> {
        Entry { message: Bytes::new(), request }
    }

    fn opened() -> BundleSet<u32> {
        let mut set = BundleSet::default();
        set.open(1, FLAGS, &Bytes::from_static(b"open"), 0).unwrap();
        set
    }

    #[test]
    fn open_add_close_take() {
        let mut set = opened();
        set.add(1, FLAGS, &Bytes::new(), entry(7), 1).unwrap();
        set.close(1, FLAGS, 2).unwrap();
        assert_eq!(set.take(1, FLAGS).unwrap().entries[0].request, 7);
        assert_eq!(set.discard(1), Err(OfError::OFPBFC_BAD_ID));
    }

    #[test]
    fn misuse_ends_a_bundle() {
        let mut set = opened();
        let reopened = set.open(1, FLAGS, &Bytes::new(), 0);
        assert_eq!(reopened, Err(OfError::OFPBFC_BAD_ID));
        assert!(set.open(1, FLAGS, &Bytes::new(), 0).is_ok(), "the first is gone");
        assert_eq!(set.close(1, BundleFlags::ORDERED, 0), Err(OfError::OFPBFC_BAD_FLAGS));
        let mut set = opened();
        set.close(1, FLAGS, 0).unwrap();
        assert_eq!(set.add(1, FLAGS, &Bytes::new(), entry(1), 0), Err(OfError::OFPBFC_BUNDLE_CLOSED));
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
        set.add(5, FLAGS, &Bytes::from_static(b"add"), entry(1), 1000).unwrap();
        assert_eq!(set.deadline(), Some(11_000));
        assert!(set.expire(10_999).is_empty());
        assert_eq!(set.expire(11_000), [Bytes::from_static(b"add")]);
        assert_eq!(set.deadline(), None);
    }

    #[test]
    fn bundles_are_bounded() {
        let mut set = BundleSet::<u32>::default();
        (0..MAX_BUNDLES as u32).for_each(|id| set.open(id, FLAGS, &Bytes::new(), 0).unwrap());
        let one_more = set.open(u32::MAX, FLAGS, &Bytes::new(), 0);
        assert_eq!(one_more, Err(OfError::OFPBFC_OUT_OF_BUNDLES));
    }
}
