//! Label stacks in a key: RFC 3032 label stack entries, outermost first.

use packet::{FlowKey, FlowMask};

use super::commit::is_ip;

const UNICAST: u16 = 0x8847;
const MULTICAST: u16 = 0x8848;
const ETH_IPV4: u16 = 0x0800;

/// Labels that a key can hold.
pub(super) const MAX_LABELS: usize = 3;
/// The bit that marks the innermost entry.
const BOTTOM: u32 = 0x100;

/// Whether the key is that of an MPLS packet.
pub(super) fn is_mpls(key: &FlowKey) -> bool {
    is_mpls_type(key.eth_type.get())
}

/// Whether this is an EtherType of MPLS.
pub(super) fn is_mpls_type(eth_type: u16) -> bool {
    matches!(eth_type, UNICAST | MULTICAST)
}

/// How many entries the key has: up to the one at the bottom.
pub(super) fn count(key: &FlowKey) -> usize {
    if !is_mpls(key) {
        return 0;
    }
    key.mpls_lse.iter().position(|lse| lse.get() & BOTTOM != 0).map_or(MAX_LABELS, |at| at + 1)
}

/// As [`count`], un-wildcarding the bits that it goes by.
pub(super) fn count_looking(key: &FlowKey, mask: &mut FlowMask) -> usize {
    let n = count(key);
    for lse in &mut mask.0.mpls_lse[..n] {
        lse.set(lse.get() | BOTTOM);
    }
    n
}

/// How many of the innermost entries are the same.
pub(super) fn common(a: &FlowKey, a_len: usize, b: &FlowKey, b_len: usize) -> usize {
    let inner = |key: &FlowKey, len: usize, i: usize| key.mpls_lse[len - 1 - i];
    (0..a_len.min(b_len)).take_while(|i| inner(a, a_len, *i) == inner(b, b_len, *i)).count()
}

/// Puts an entry outside all others.
pub(super) fn shift_in(key: &mut FlowKey, lse: u32, eth_type: u16) {
    key.mpls_lse.rotate_right(1);
    key.mpls_lse[0].set(lse);
    key.eth_type.set(eth_type);
}

/// Takes the outermost entry off.
pub(super) fn shift_out(key: &mut FlowKey, eth_type: u16) {
    key.mpls_lse.rotate_left(1);
    key.mpls_lse[MAX_LABELS - 1].set(0);
    key.eth_type.set(eth_type);
}

/// Pushes an entry: a copy of the outermost, or one made from the IP header. Whatever is above MPLS is then out of sight.
pub(super) fn push(key: &mut FlowKey, n: usize, eth_type: u16, mask: &mut FlowMask) {
    let lse = if n > 0 {
        mask.0.mpls_lse[..n].iter_mut().for_each(|lse| lse.set(u32::MAX));
        key.mpls_lse[0].get() & !BOTTOM
    } else {
        let label = if key.eth_type.get() == ETH_IPV4 || !is_ip(key) { 0u32 } else { 2 };
        let (mut tc, mut ttl) = (0, 64);
        if is_ip(key) {
            mask.0.nw_tos |= 0xfc;
            mask.0.nw_ttl = 0xff;
            tc = u32::from(key.nw_tos & 0xfc) >> 2 & 7;
            ttl = if key.nw_ttl == 0 { 64 } else { u32::from(key.nw_ttl) };
        }
        clear_above(key);
        label << 12 | tc << 9 | BOTTOM | ttl
    };
    shift_in(key, lse, eth_type);
}

/// Forgets everything above MPLS.
fn clear_above(key: &mut FlowKey) {
    let blank = FlowKey::default();
    let words = std::mem::offset_of!(FlowKey, nw_src) / 8..packet::key::DP_WORDS;
    key.words_mut()[words.clone()].copy_from_slice(&blank.words()[words]);
    key.dp_hash.set(0);
}

/// Pops the outermost entry. Whether there was one.
pub(super) fn pop(key: &mut FlowKey, n: usize, eth_type: u16, mask: &mut FlowMask) -> bool {
    if n == 0 || (n == MAX_LABELS && key.mpls_lse[n - 1].get() & BOTTOM == 0) {
        return false;
    }
    for lse in &mut mask.0.mpls_lse[1..n] {
        lse.set(u32::MAX);
    }
    shift_out(key, eth_type);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_makes_an_entry_from_the_ip_header_and_pop_takes_it_off() {
        let mut key = FlowKey { nw_tos: 0xb8, nw_ttl: 60, nw_proto: 6, ..FlowKey::default() };
        key.eth_type.set(ETH_IPV4);
        let mut mask = FlowMask::default();
        push(&mut key, 0, UNICAST, &mut mask);
        assert_eq!(key.mpls_lse[0].get(), (0xb8 >> 2 & 7) << 9 | BOTTOM | 60);
        assert_eq!((count(&key), key.nw_proto, mask.0.nw_ttl), (1, 0, 0xff));
        push(&mut key, 1, UNICAST, &mut mask);
        assert_eq!((count(&key), key.mpls_lse[0].get() & BOTTOM), (2, 0));
        assert!(pop(&mut key, 2, UNICAST, &mut mask) && pop(&mut key, 1, ETH_IPV4, &mut mask));
        assert!(!is_mpls(&key) && !pop(&mut key, 0, ETH_IPV4, &mut mask));
    }
}
