//! The slots that a transaction changes: a short list, and a bitmap once it has grown long, so that a million rules take no more than
//! the array of slots itself has bits.

use datapath::stamps::{SLOTS, Slot};

/// Slots that are kept as a list.
const FEW: usize = 512;
/// Slots in a word of the bitmap.
const WORD: usize = u64::BITS as usize;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct SlotSet {
    few: Vec<Slot>,
    many: Vec<u64>,
}

impl SlotSet {
    pub(super) fn extend(&mut self, slots: impl IntoIterator<Item = Slot>) {
        self.few.extend(slots);
        if self.few.len() > FEW {
            self.many.resize(SLOTS / WORD, 0);
            for slot in self.few.drain(..) {
                self.many[slot.index() / WORD] |= 1 << (slot.index() % WORD);
            }
        }
    }

    /// All of them.
    pub(super) fn into_iter(self) -> impl Iterator<Item = Slot> {
        let of_word = |(at, bits): (usize, u64)| {
            let set = (0..WORD).filter(move |bit| bits >> bit & 1 == 1);
            set.map(move |bit| Slot::of_hash(((at * WORD + bit) as u64) << 48))
        };
        self.few.into_iter().chain(self.many.into_iter().enumerate().flat_map(of_word))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn few_or_many_none_is_lost() {
        for count in [3u64, FEW as u64, 10_000] {
            let slots: Vec<Slot> =
                (0..count).map(|n| Slot::of_hash(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
            let mut set = SlotSet::default();
            slots.chunks(7).for_each(|part| set.extend(part.iter().copied()));
            assert!(set.few.len() <= FEW);
            let wanted: BTreeSet<Slot> = slots.into_iter().collect();
            assert_eq!(set.into_iter().collect::<BTreeSet<Slot>>(), wanted);
        }
    }
}
