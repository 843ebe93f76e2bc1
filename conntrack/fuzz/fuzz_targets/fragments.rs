//! libFuzzer's entry to the check of fragments.

#![no_main]

mod check_fragments;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check_fragments::fragments(bytes));
