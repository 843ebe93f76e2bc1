//! libFuzzer's entry to the check of one message.

#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::message(bytes));
