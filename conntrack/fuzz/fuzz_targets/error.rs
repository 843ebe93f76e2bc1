//! libFuzzer's entry to the check of the packet inside an ICMP error.

#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::error(bytes));
