//! The real `ovs-ofctl` against a bridge of ours. What is expected here was seen on Open vSwitch 3.1.0 on the same set-up.

#![allow(missing_docs)]

mod bench;
mod controllers;
mod flows;

use bench::Bench;

/// Serves until its standard input ends, for looking at by hand:
/// `cargo test -p ofproto --test ofctl serve -- --ignored --nocapture`.
#[test]
#[ignore = "for use by hand"]
fn serve() {
    let bench = Bench::new();
    let link = std::env::var("SERVE_LINK").expect("SERVE_LINK names a symbolic link to make");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(bench.path(), &link).expect("a link");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("standard input");
}

#[test]
fn show() {
    let bench = Bench::new();
    let text = bench.ofctl("show br0");
    assert!(text.contains("n_tables:254, n_buffers:0"), "{text}");
    assert!(text.contains(" 2(p2): addr:aa:55:aa:55:00:06"), "{text}");
    assert!(text.contains("miss_send_len=0"), "{text}");
}
