//! A prefix trie: which prefix lengths a value falls under, and how few of its bits decide that.
//!
//! # Algorithm
//!
//! A path-compressed binary trie. Each node holds up to 128 bits of prefix, left-aligned, and the number of rules that end
//! there. A lookup walks down and stops at the first bit that differs; the answer says under which prefix lengths rules
//! exist for this value, and how many leading bits of the value were looked at.
//!
//! # Invariants
//!
//! - A node without rules has two children, except the root of an empty trie (absent).
//! - Any value that agrees with the looked-up one in the bits that were looked at gets the same answer.
//!
//! # Costs
//!
//! Insert, remove, lookup: at most one step per distinct branching on the path.

/// A set of prefix trees over one field.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    root: Edge,
}

type Edge = Option<Box<Node>>;

#[derive(Debug)]
struct Node {
    /// Bits of this node only (not those of its ancestors), left-aligned, rest zero.
    prefix: u128,
    bits: u8,
    rules: u32,
    edges: [Edge; 2],
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrieMatch {
    /// Bit `n - 1` is set when a rule with a prefix of `n` bits covers the value.
    lengths: u128,
    /// Number of leading bits of the value that the answer depends on.
    pub(crate) checked: u8,
}

impl TrieMatch {
    /// Knows nothing: every prefix length is possible.
    pub(crate) const ANY: Self = Self { lengths: u128::MAX, checked: 0 };

    /// Whether a rule with a prefix of `len` bits (1 to 128) covers the value.
    pub(crate) fn has(self, len: u8) -> bool {
        self.lengths >> (len - 1) & 1 == 1
    }
}

/// `count` leading ones.
pub(crate) fn prefix_mask(count: u8) -> u128 {
    if count == 0 { 0 } else { u128::MAX << (128 - u32::from(count)) }
}

fn shift(value: u128, bits: u8) -> u128 {
    value.checked_shl(u32::from(bits)).unwrap_or(0)
}

fn first_bit(value: u128) -> usize {
    usize::from(value >> 127 == 1)
}

fn common(a: u128, b: u128, limit: u8) -> u8 {
    limit.min((a ^ b).leading_zeros().min(128) as u8)
}

impl Node {
    fn leaf(value: u128, len: u8) -> Box<Self> {
        Box::new(Self { prefix: value & prefix_mask(len), bits: len, rules: 1, edges: [None, None] })
    }

    fn is_leaf(&self) -> bool {
        self.edges.iter().all(Option::is_none)
    }

    /// Cuts the node after `at` bits; what follows becomes its only child.
    fn split(&mut self, at: u8) {
        let rest = shift(self.prefix, at);
        let lower = Box::new(Self {
            prefix: rest,
            bits: self.bits - at,
            rules: self.rules,
            edges: std::mem::take(&mut self.edges),
        });
        self.edges[first_bit(rest)] = Some(lower);
        self.prefix &= prefix_mask(at);
        self.bits = at;
        self.rules = 0;
    }
}

impl Trie {
    /// Adds a rule whose prefix is the first `len` bits of `value`.
    pub(crate) fn insert(&mut self, value: u128, len: u8) {
        let (mut value, mut len) = (value, len);
        let mut edge = &mut self.root;
        while let Some(node) = edge {
            let same = common(value, node.prefix, node.bits.min(len));
            if same < node.bits {
                node.split(same);
            }
            value = shift(value, same);
            len -= same;
            if len == 0 {
                node.rules += 1;
                return;
            }
            edge = &mut node.edges[first_bit(value)];
        }
        *edge = Some(Node::leaf(value, len));
    }

    /// Takes away one rule that was inserted with the same arguments.
    pub(crate) fn remove(&mut self, value: u128, len: u8) {
        remove_below(&mut self.root, value, len);
    }

    /// Looks up a value of `width` bits.
    pub(crate) fn lookup(&self, value: u128, width: u8) -> TrieMatch {
        let (mut rest, mut offset, mut lengths) = (value, 0u8, 0u128);
        let mut previous: Option<&Node> = None;
        let mut edge = &self.root;
        while let Some(node) = edge {
            let same = common(rest, node.prefix, node.bits);
            offset += same;
            if same < node.bits {
                return TrieMatch { lengths, checked: offset + 1 };
            }
            if node.rules > 0 && offset > 0 {
                lengths |= 1 << (offset - 1);
            }
            if offset >= width {
                return TrieMatch { lengths, checked: width };
            }
            rest = shift(rest, same);
            previous = Some(node);
            edge = &node.edges[first_bit(rest)];
        }
        let other_branch = previous.is_some_and(|node| !node.is_leaf());
        TrieMatch { lengths, checked: offset + u8::from(other_branch) }
    }
}

fn remove_below(edge: &mut Edge, value: u128, len: u8) {
    let Some(node) = edge else { return };
    if common(value, node.prefix, node.bits.min(len)) < node.bits {
        return;
    }
    let (rest, left) = (shift(value, node.bits), len - node.bits);
    if left == 0 {
        node.rules = node.rules.saturating_sub(1);
    } else {
        remove_below(&mut node.edges[first_bit(rest)], rest, left);
    }
    if node.rules == 0 {
        match (node.edges[0].take(), node.edges[1].take()) {
            (None, None) => *edge = None,
            (Some(mut only), None) | (None, Some(mut only)) => {
                only.prefix = node.prefix | only.prefix >> node.bits;
                only.bits += node.bits;
                *edge = Some(only);
            }
            both => node.edges = [both.0, both.1],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(a: u32) -> u128 {
        u128::from(a) << 96
    }

    #[test]
    fn finds_lengths_with_few_bits() {
        let mut trie = Trie::default();
        trie.insert(v4(0x0a00_0000), 8);
        trie.insert(v4(0x0a01_0200), 24);
        let hit = trie.lookup(v4(0x0a01_0203), 32);
        assert!(hit.has(8) && hit.has(24) && !hit.has(16));
        assert_eq!(hit.checked, 24);
        let miss = trie.lookup(v4(0xc0a8_0101), 32);
        assert_eq!((miss.has(8), miss.checked), (false, 1));
        trie.remove(v4(0x0a01_0200), 24);
        assert_eq!(trie.lookup(v4(0x0a01_0203), 32).checked, 8);
        trie.remove(v4(0x0a00_0000), 8);
        assert_eq!(trie.lookup(v4(0x0a01_0203), 32).checked, 0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_scan(
            rules in prop::collection::vec((any::<u8>(), 1u8..=8), 0..20),
            drop in 0usize..20, value: u8, noise: u128,
        ) {
            let wide = |v: u8| u128::from(v) << 120;
            let mut trie = Trie::default();
            rules.iter().for_each(|(v, l)| trie.insert(wide(*v), *l));
            let gone = drop.min(rules.len());
            rules[..gone].iter().for_each(|(v, l)| trie.remove(wide(*v), *l));
            let left = &rules[gone..];
            let found = trie.lookup(wide(value), 8);
            for len in 1..=8 {
                let expect = left.iter().any(|(v, l)| *l == len && (wide(*v) ^ wide(value)) & prefix_mask(len) == 0);
                prop_assert_eq!(found.has(len), expect);
            }
            let other = wide(value) & prefix_mask(found.checked) | noise & !prefix_mask(found.checked) & wide(255);
            prop_assert_eq!(trie.lookup(other, 8).lengths, found.lengths);
        }
    }
}
