//! A mask in the form that lookups use: the words that are not wild, and nothing else.

use packet::key::{DP_WORDS, WORDS};
use packet::{FlowKey, FlowMask};

/// Two numbers nobody outside knows, so that nobody can choose headers that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret(u64, u64);

impl Secret {
    /// Fresh from the process's random source.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let state = RandomState::new();
        Self(state.hash_one(1u64) | 1, state.hash_one(2u64))
    }
}

/// The 128-bit product of two numbers, its halves folded.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The words of a mask that are not wild. Words beyond the datapath's part of the key are always wild.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Index of each word, ascending.
    index: Vec<u8>,
    /// Its significant bits, never zero.
    bits: Vec<u64>,
}

impl Layout {
    pub(crate) fn new(mask: &FlowMask) -> Self {
        let words = mask.0.words()[..DP_WORDS].iter().zip(0u8..).filter(|(bits, _)| **bits != 0);
        let (bits, index) = words.map(|(bits, at)| (*bits, at)).unzip();
        Self { index, bits }
    }

    /// The mask itself.
    pub(crate) fn mask(&self) -> FlowMask {
        let mut mask = FlowMask::default();
        for (at, bits) in self.index.iter().zip(&self.bits) {
            mask.0.words_mut()[usize::from(*at)] = *bits;
        }
        mask
    }

    /// Number of words.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Number of significant bits.
    pub(crate) fn weight(&self) -> u32 {
        self.bits.iter().map(|bits| bits.count_ones()).sum()
    }

    /// Whether every bit that `mask` looks at, of the datapath's, is significant here.
    pub(crate) fn covers(&self, mask: &FlowMask) -> bool {
        let mine = self.mask();
        let pairs = mine.0.words()[..DP_WORDS].iter().zip(mask.0.words());
        pairs.fold(0, |missing, (mine, other)| missing | (other & !mine)) == 0
    }

    /// Hash of the significant bits of `key`.
    pub(crate) fn hash(&self, key: &FlowKey, secret: Secret) -> u64 {
        let words: &[u64; WORDS] = key.words();
        let mut hash = secret.1;
        let mut index = self.index.chunks_exact(2);
        let mut bits = self.bits.chunks_exact(2);
        for (at, bits) in (&mut index).zip(&mut bits) {
            let first = words[usize::from(at[0])] & bits[0];
            let second = words[usize::from(at[1])] & bits[1];
            hash = fold(first ^ secret.0, second ^ hash);
        }
        if let ([at], [bits]) = (index.remainder(), bits.remainder()) {
            hash =
                fold(words[usize::from(*at)] & bits ^ secret.0, hash.rotate_left(23) ^ 0x9e37_79b9_7f4a_7c15);
        }
        fold(hash, secret.0 ^ 0xa076_1d64_78bd_642f)
    }

    /// Appends the significant words of `key` to `out`.
    pub(crate) fn gather(&self, key: &FlowKey, out: &mut [u64]) {
        let words = key.words();
        for ((at, bits), out) in self.index.iter().zip(&self.bits).zip(out) {
            *out = words[usize::from(*at)] & bits;
        }
    }

    /// Whether the significant words of `key` are `stored`.
    #[inline]
    pub(crate) fn matches(&self, key: &FlowKey, stored: &[u64]) -> bool {
        let words = key.words();
        let mut differ = 0;
        for ((at, bits), stored) in self.index.iter().zip(&self.bits).zip(stored) {
            differ |= words[usize::from(*at)] & bits ^ stored;
        }
        differ == 0
    }

    /// The key whose significant words are `stored` and all else zero.
    pub(crate) fn spread(&self, stored: &[u64]) -> FlowKey {
        let mut key = FlowKey::default();
        for (at, stored) in self.index.iter().zip(stored) {
            key.words_mut()[usize::from(*at)] = *stored;
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_it_spreads() {
        let mut mask = FlowMask::default();
        mask.0.words_mut()[0] = u64::MAX;
        mask.0.words_mut()[30] = 0xff00;
        mask.0.words_mut()[DP_WORDS] = u64::MAX;
        let layout = Layout::new(&mask);
        assert_eq!(layout.len(), 2);
        let mut key = FlowKey::default();
        key.words_mut().fill(0x1234_5678);
        let mut stored = [0; 2];
        layout.gather(&key, &mut stored);
        assert_eq!(stored, [0x1234_5678, 0x5600]);
        assert!(layout.matches(&key, &stored));
        let secret = Secret::random();
        assert_eq!(layout.hash(&key, secret), layout.hash(&layout.spread(&stored), secret));
        key.words_mut()[30] ^= 0x100;
        assert!(!layout.matches(&key, &stored));
        assert_ne!(layout.hash(&key, secret), layout.hash(&layout.spread(&stored), secret));
        key.words_mut()[30] ^= 0x1_0100;
        assert!(layout.matches(&key, &stored));
        assert!(Layout::new(&FlowMask::exact()).covers(&mask));
        assert!(!layout.covers(&FlowMask::exact()));
        assert!(layout.covers(&layout.mask()));
    }
}
