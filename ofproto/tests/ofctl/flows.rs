//! Flows, bundles and packets, by `ovs-ofctl`.

use std::time::{Duration, Instant};

use datapath::port::memory::Wires;

use crate::bench::Bench;

/// An Ethernet frame with a few bytes of an unassigned type in it.
const FRAME: &str = "00112233445500aabbccddee88b5010203";

fn dump(bench: &Bench, version: &str) -> String {
    let text = bench.ofctl(&format!("-O {version} --no-stats dump-flows br0"));
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

/// The next frame sent to a port.
fn frame(wires: &Wires) -> Vec<u8> {
    let start = Instant::now();
    loop {
        if let Some(packet) = wires.pop() {
            return packet.data().to_vec();
        }
        assert!(start.elapsed() < Duration::from_secs(5), "no frame came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn flows_are_added_changed_and_deleted() {
    let bench = Bench::new();
    for version in ["OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"] {
        assert_eq!(bench.ofctl(&format!("-O {version} add-flow br0 in_port=1,actions=output:2")), "");
        assert_eq!(bench.ofctl(&format!("-O {version} mod-flows br0 in_port=1,actions=output:1")), "");
        assert!(dump(&bench, "OpenFlow10").ends_with("in_port=1 actions=output:1"), "{version}");
        assert_eq!(bench.ofctl(&format!("-O {version} del-flows br0")), "");
        assert!(!dump(&bench, "OpenFlow10").contains("in_port"), "{version}");
    }
}

#[test]
fn errors_are_exact() {
    let bench = Bench::new();
    let refused = |words: &str| {
        let text = bench.ofctl(&format!("-O OpenFlow14 add-flow br0 {words}"));
        text.split(": ").nth(1).unwrap_or_default().split('\n').next().unwrap_or_default().to_owned()
    };
    assert_eq!(refused("actions=group:5"), "OFPBAC_BAD_OUT_GROUP");
    assert_eq!(refused("actions=meter:5"), "OFPMMFC_INVALID_METER");
    assert_eq!(refused("table=254,actions=drop"), "OFPBRC_EPERM");
    assert_eq!(refused("priority=3,ip,actions=drop"), "");
    assert_eq!(refused("priority=3,check_overlap,tcp,actions=drop"), "OFPFMFC_OVERLAP");
}

#[test]
fn a_bundle_is_taken_whole_or_not_at_all() {
    let bench = Bench::new();
    let load = |text: &str| bench.ofctl_with("-O OpenFlow14 bundle br0 -", text);
    assert_eq!(load("flow add in_port=1,actions=drop\nflow add in_port=2,actions=drop\n"), "");
    assert_eq!(dump(&bench, "OpenFlow14"), "in_port=1 actions=drop\nin_port=2 actions=drop");
    let text = load("flow delete\nflow add in_port=3,actions=drop\nflow add actions=group:9\n");
    assert!(text.contains("OFPBAC_BAD_OUT_GROUP") && text.contains("OFPBFC_MSG_FAILED"), "{text}");
    assert_eq!(dump(&bench, "OpenFlow14"), "in_port=1 actions=drop\nin_port=2 actions=drop");
}

#[test]
fn a_long_dump_comes_whole() {
    let bench = Bench::new();
    let flows: String = (0..3000).map(|i| format!("priority={i},in_port=1,actions=output:2\n")).collect();
    assert_eq!(bench.ofctl_with("--bundle add-flows br0 -", &flows), "");
    let lines = |text: &str| text.lines().filter(|line| line.contains("in_port=1 actions=output:2")).count();
    assert_eq!(lines(&bench.ofctl("-O OpenFlow10 dump-flows br0")), 3000);
    assert_eq!(lines(&bench.ofctl("-O OpenFlow13 dump-flows br0")), 3000);
    assert!(bench.ofctl("dump-aggregate br0").contains("flow_count=3000"));
}

#[test]
fn packets_go_out_and_come_back_to_a_monitor() {
    let bench = Bench::new();
    let out = format!("packet-out br0 in_port=1,packet={FRAME},actions=output:2");
    assert_eq!(bench.ofctl(&out), "");
    assert_eq!(frame(&bench.wires[1])[12..], [0x88, 0xb5, 1, 2, 3]);
    assert_eq!(bench.ofctl("add-flow br0 cookie=0x7,in_port=2,actions=controller"), "");
    std::thread::scope(|scope| {
        let monitor = scope.spawn(|| bench.ofctl("--timeout=3 monitor br0 65535"));
        let table = format!("packet-out br0 in_port=2,packet={FRAME},actions=TABLE");
        // Again and again, as nothing says when the monitor is ready.
        while !monitor.is_finished() {
            assert_eq!(bench.ofctl(&table), "");
        }
        let text = monitor.join().expect("it ends");
        assert!(text.contains("cookie=0x7 total_len=17 in_port=2 (via action) data_len=17"), "{text}");
    });
}

#[test]
fn a_port_is_changed() {
    let bench = Bench::new();
    assert_eq!(bench.ofctl("mod-port br0 p1 no-flood"), "");
    assert!(bench.ofctl("dump-ports-desc br0").contains("NO_FLOOD"));
    assert_eq!(bench.bridge.port_by_name("p1").map(|port| port.flags.bits()), Some(1 << 4));
}
