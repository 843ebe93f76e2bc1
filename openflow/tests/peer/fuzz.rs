//! The fuzz target's check on recorded messages and on random mutations of them.

#[path = "../../fuzz/fuzz_targets/check.rs"]
mod check;

use crate::{corpus, mutate};

/// How many mutations are tried.
const CASES: usize = 200_000;

#[test]
fn recorded_messages_pass() {
    corpus::recorded().for_each(|recorded| check::message(&recorded.bytes));
}

#[test]
fn mutations_pass() {
    mutate::mutants(CASES).for_each(|bytes| check::message(&bytes));
}

#[test]
fn every_prefix_is_read_without_panic() {
    for recorded in corpus::recorded() {
        for len in 0..recorded.bytes.len() {
            let mut bytes = recorded.bytes[..len].to_vec();
            check::message(&bytes);
            if len >= 8 {
                bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                check::message(&bytes);
            }
        }
    }
}
