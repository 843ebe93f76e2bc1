//! libFuzzer's entry to the check of a sequence of packets.

#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::packets(bytes));
