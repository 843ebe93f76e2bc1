//! libFuzzer's entry to the check of one frame.

#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::frame(bytes));
