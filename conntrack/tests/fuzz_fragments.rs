//! The fuzz target's check on random descriptions of fragments.

use proptest::prelude::*;

#[path = "../fuzz/fuzz_targets/check_fragments.rs"]
mod check_fragments;

/// One fragment near others: few identifications, zones and places, little time.
fn step() -> impl Strategy<Value = [u8; 8]> {
    let len = prop_oneof![Just(1184u16), 1184u16..1200, Just(8), any::<u16>()];
    (0u8..8, 0u8..2, 0u16..4, len, 0u8..8).prop_map(|(kind, id, place, len, zone)| {
        let start = if kind & 1 == 0 { place * 148 } else { place * 1184 };
        let ([s0, s1], [l0, l1]) = (start.to_be_bytes(), len.to_be_bytes());
        [kind, id, s0, s1, l0, l1, zone / 7, 0]
    })
}

proptest! {
    #[test]
    fn fragments_that_belong_together(steps in prop::collection::vec(step(), 0..60)) {
        check_fragments::fragments(&steps.concat());
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        check_fragments::fragments(&bytes);
    }
}
