//! The real `ovs-ofctl` against a bridge of ours. What is expected here was seen on Open vSwitch 3.1.0 on the same set-up.

#![allow(missing_docs)]

mod bench;
mod controllers;
mod flows;

use bench::Bench;

#[test]
fn show() {
    let bench = Bench::new();
    let text = bench.ofctl("show br0");
    assert!(text.contains("n_tables:254, n_buffers:0"), "{text}");
    assert!(text.contains(" 2(p2): addr:aa:55:aa:55:00:06"), "{text}");
    assert!(text.contains("miss_send_len=0"), "{text}");
}
