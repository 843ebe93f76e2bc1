//! The fuzz target's check on random talk, much of it nearly FTP.

use proptest::prelude::*;

#[path = "../fuzz/fuzz_targets/check_helpers.rs"]
mod check_helpers;

/// One segment: a line or part of one, said once or again, here or a little off.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        (0u8..4, any::<u8>(), any::<u8>())
            .prop_map(|(host, high, low)| format!("PORT 10,0,0,{host},{high},{low}\r\n")),
        (0u8..4, any::<u16>()).prop_map(|(host, port)| format!("EPRT |1|10.0.0.{host}|{port}|\r\n")),
        any::<u8>().prop_map(|low| format!("227 ok (192,0,2,9,4,{low})\r\n")),
        any::<u16>().prop_map(|port| format!("229 ok (|||{port}|)\r\n")),
        "[A-Z]{3,4} [a-z0-9,|]{0,20}(\r\n)?",
    ];
    let step = prop_oneof![Just(0i8), Just(-20), any::<i8>()];
    (any::<bool>(), step, line, any::<prop::sample::Index>(), prop::bool::weighted(0.8), any::<i8>())
        .prop_map(|(reply, step, line, cut, whole, ack)| {
            let len = if whole { line.len() } else { cut.index(line.len() + 1) };
            let mut out = vec![u8::from(reply), step.cast_unsigned(), len as u8, ack.cast_unsigned()];
            out.extend(&line.as_bytes()[..len]);
            out
        })
}

proptest! {
    #[test]
    fn talk(segments in prop::collection::vec(segment(), 0..40)) {
        check_helpers::helpers(&segments.concat());
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
        check_helpers::helpers(&bytes);
    }
}
