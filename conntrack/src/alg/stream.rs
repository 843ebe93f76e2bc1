//! One direction of a TCP connection whose text is edited on its way.
//!
//! # Algorithm
//!
//! The sender counts bytes in *its* numbers, the receiver in *its own*; they differ by what edits have added and taken away before. An edit says:
//! the `old_len` bytes from `start` on (sender's numbers) are `new` to the receiver. The whole stream is thereby mapped, so
//! that every segment can be translated by itself, however often and however cut it comes: nothing is remembered of what was
//! sent. A retransmission gets the same text as the first time.
//!
//! A place inside edited bytes maps to the start of the edit, both ways: the segment that holds the *last* edited byte carries the whole new
//! text, one that ends before it carries none; an acknowledgement of part of the new text acknowledges none of the old.
//!
//! # Bounds
//!
//! The last [`MOST_EDITS`] edits are kept; older ones are folded into one difference, as are those that lie more than [`OLD`] bytes
//! back. None is taken that lies further than that from a known one: of two places that are half of all numbers apart each is before the
//! other, and the edits would not be in order.

/// Edits that are kept.
pub(crate) const MOST_EDITS: usize = 8;

/// How far back an edit is kept, in bytes: no window is larger (RFC 7323, 2.3).
const OLD: u32 = 1 << 30;

/// Edited bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Edit {
    /// Where they begin, in the sender's numbers.
    start: u32,
    /// How many there were.
    old_len: u32,
    /// What there is instead.
    new: Box<[u8]>,
}

impl Edit {
    fn end(&self) -> u32 {
        self.start.wrapping_add(self.old_len)
    }

    fn new_len(&self) -> u32 {
        self.new.len() as u32
    }

    fn delta(&self) -> u32 {
        self.new_len().wrapping_sub(self.old_len)
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stream {
    /// Receiver's minus sender's numbers before the first edit, modulo 2^32.
    base: u32,
    /// In the order of the stream.
    edits: Vec<Edit>,
}

/// Bytes of a segment's payload that are replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Splice<'a> {
    /// First.
    pub(crate) start: usize,
    /// One behind the last.
    pub(crate) end: usize,
    /// What comes there.
    pub(crate) new: &'a [u8],
}

/// How far `a` is behind `b` in the stream.
fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

impl Stream {
    /// Whether nothing was ever edited.
    pub(crate) fn is_plain(&self) -> bool {
        self.base == 0 && self.edits.is_empty()
    }

    /// Edits `old_len` bytes (at least one) from `start` on. An edit that overlaps one that is known is that one again, and changes nothing;
    /// nor does one that is far from another.
    pub(crate) fn edit(&mut self, start: u32, old_len: u32, new: &[u8]) {
        let end = start.wrapping_add(old_len);
        let overlaps = |edit: &Edit| ahead(end, edit.start) > 0 && ahead(edit.end(), start) > 0;
        let is_far = |edit: &Edit| ahead(edit.start, start).unsigned_abs() > OLD;
        if old_len == 0 || self.edits.iter().any(|edit| overlaps(edit) || is_far(edit)) {
            return;
        }
        let place = self.edits.partition_point(|edit| ahead(edit.start, start) < 0);
        if place == 0 && self.edits.len() == MOST_EDITS {
            // Older than all that is remembered: it belongs to what was folded.
            return;
        }
        self.edits.insert(place, Edit { start, old_len, new: new.into() });
        if self.edits.len() > MOST_EDITS {
            self.fold();
        }
    }

    /// Takes note of how far the sender is.
    pub(crate) fn advance(&mut self, seq: u32) {
        while self.edits.first().is_some_and(|edit| ahead(seq, edit.end().wrapping_add(OLD)) > 0) {
            self.fold();
        }
    }

    fn fold(&mut self) {
        self.base = self.base.wrapping_add(self.edits.remove(0).delta());
    }

    /// A place of the sender in the receiver's numbers.
    pub(crate) fn forward(&self, seq: u32) -> u32 {
        let mut delta = self.base;
        for edit in &self.edits {
            if ahead(seq, edit.end()) >= 0 {
                delta = delta.wrapping_add(edit.delta());
            } else if ahead(seq, edit.start) > 0 {
                return edit.start.wrapping_add(delta);
            } else {
                break;
            }
        }
        seq.wrapping_add(delta)
    }

    /// A place of the receiver in the sender's numbers.
    pub(crate) fn backward(&self, ack: u32) -> u32 {
        let mut delta = self.base;
        for edit in &self.edits {
            let start = edit.start.wrapping_add(delta);
            if ahead(ack, start.wrapping_add(edit.new_len())) >= 0 {
                delta = delta.wrapping_add(edit.delta());
            } else if ahead(ack, start) > 0 {
                return edit.start;
            } else {
                break;
            }
        }
        ack.wrapping_sub(delta)
    }

    /// What is to be replaced in a payload of `len` bytes that begins at `seq`, in order.
    pub(crate) fn splices(&self, seq: u32, len: usize) -> impl Iterator<Item = Splice<'_>> {
        let len = len as i64;
        self.edits.iter().filter_map(move |edit| {
            let start = i64::from(ahead(edit.start, seq));
            let end = start + i64::from(edit.old_len);
            let new = if end <= len { &edit.new[..] } else { &[] };
            (end > 0 && start < len).then(|| Splice {
                start: start.max(0) as usize,
                end: end.min(len) as usize,
                new,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stream as the receiver is to see it.
    fn edited(old: &[u8], edits: &[(usize, usize, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        for (start, len, new) in edits {
            out.extend(&old[at..*start]);
            out.extend(new);
            at = start + len;
        }
        out.extend(&old[at..]);
        out
    }

    fn spliced(payload: &[u8], splices: impl Iterator<Item = (usize, usize, Vec<u8>)>) -> Vec<u8> {
        edited(payload, &splices.collect::<Vec<_>>())
    }

    /// Edits in the order of the stream that do not touch each other.
    fn any_edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
        let one = (0usize..20, 1usize..12, prop::collection::vec(any::<u8>(), 0..16));
        prop::collection::vec(one, 0..MOST_EDITS).prop_map(|parts| {
            let mut at = 0;
            let place = |(gap, len, new): (usize, usize, Vec<u8>)| {
                let start = at + gap;
                at = start + len;
                (start, len, new)
            };
            parts.into_iter().map(place).collect()
        })
    }

    proptest! {
        /// However the stream is cut, in whatever order and how often its segments come, the receiver puts the edited stream together,
        /// with numbers that wrap in the middle.
        #[test]
        fn every_cut_gives_the_edited_stream(
            edits in any_edits(),
            tail in 0usize..40,
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..30), 1..60),
            back in 0u32..300,
        ) {
            let first = 0u32.wrapping_sub(back);
            let len = edits.last().map_or(0, |(start, len, _)| start + len) + tail + 1;
            let old: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut stream = Stream::default();
            // The order in which edits become known does not matter, nor that they become known twice.
            for (start, len, new) in edits.iter().rev().chain(&edits) {
                stream.edit(first.wrapping_add(*start as u32), *len as u32, new);
            }
            let wanted = edited(&old, &edits);
            let mut received: Vec<Option<u8>> = vec![None; wanted.len()];
            let everything = (0..len).map(|at| (at, 1)).chain(cuts.iter().map(|(at, len_cut)| (at.index(len), *len_cut)));
            for (at, cut) in everything {
                let payload = &old[at..len.min(at + cut)];
                let seq = first.wrapping_add(at as u32);
                let splices = stream.splices(seq, payload.len()).map(|s| (s.start, s.end - s.start, s.new.to_vec()));
                let text = spliced(payload, splices);
                let place = stream.forward(seq).wrapping_sub(first) as usize;
                prop_assert_eq!(&wanted[place..place + text.len()], &text[..]);
                received[place..place + text.len()].iter_mut().zip(text).for_each(|(to, byte)| *to = Some(byte));
            }
            let received: Option<Vec<u8>> = received.into_iter().collect();
            prop_assert_eq!(received, Some(wanted));
        }

        /// What was received whole is acknowledged whole.
        #[test]
        fn acknowledgements_come_back(mut edits in any_edits(), back in 0u32..300) {
            let first = 0u32.wrapping_sub(back);
            let mut stream = Stream::default();
            for (start, len, new) in &mut edits {
                new.push(0);
                stream.edit(first.wrapping_add(*start as u32), *len as u32, new);
            }
            let len = edits.last().map_or(0, |(start, len, _)| start + len) + 10;
            for seq in (0..len as u32).map(|at| first.wrapping_add(at)) {
                let inside = stream.edits.iter().find(|edit| ahead(seq, edit.start) > 0 && ahead(edit.end(), seq) > 0);
                prop_assert_eq!(stream.backward(stream.forward(seq)), inside.map_or(seq, |edit| edit.start));
            }
        }
    }

    #[test]
    fn an_acknowledgement_of_half_a_text_covers_none_of_it() {
        let mut stream = Stream::default();
        stream.edit(100, 4, b"1234567");
        assert_eq!([100, 101, 106, 107, 108].map(|ack| stream.backward(ack)), [100, 100, 100, 104, 105]);
        assert_eq!([100, 101, 103, 104, 105].map(|seq| stream.forward(seq)), [100, 100, 100, 107, 108]);
    }

    #[test]
    fn old_edits_are_folded_and_distance_does_not_confuse() {
        let mut stream = Stream::default();
        for n in 0..20 {
            stream.edit(1000 * n, 1, b"abc");
            assert!(stream.edits.len() <= MOST_EDITS);
        }
        assert_eq!(stream.forward(30_000), 30_040);
        stream.edit(500, 1, b"abc");
        assert_eq!(stream.forward(30_000), 30_040);
        let mut seq = 30_000u32;
        for _ in 0..9 {
            seq = seq.wrapping_add(1 << 29);
            stream.advance(seq);
            assert_eq!(stream.forward(seq), seq.wrapping_add(40));
            assert_eq!(stream.backward(stream.forward(seq)), seq);
        }
        assert!(stream.edits.is_empty() && !stream.is_plain());
    }

    proptest! {
        /// Sequence numbers that are half the space apart are each before the other. Whatever a hostile sender announces where, replacements
        /// come in the order of the payload.
        #[test]
        fn edits_all_over_the_sequence_space_stay_in_order(starts in prop::collection::vec((0u32..8, 0u32..300), 1..60)) {
            let mut stream = Stream::default();
            for (eighth, more) in starts {
                let start = (eighth << 29) + more;
                stream.advance(start);
                stream.edit(start, 10, b"new");
                for seq in (0..8).map(|eighth| eighth << 29) {
                    let splices: Vec<Splice<'_>> = stream.splices(seq, 400).collect();
                    prop_assert!(splices.is_sorted_by(|a, b| a.end <= b.start), "{splices:?}");
                }
            }
        }
    }
}
