//! libFuzzer's entry to the check of helpers.

#![no_main]

mod check_helpers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check_helpers::helpers(bytes));
