//! Puts the oracle itself to the test: the same rules and frames for it and for Open vSwitch's own daemon, every frame that leaves
//! compared. Needs a running `ovs-vswitchd --enable-dummy=override --disable-system` in `OVS_RUNDIR` with a bridge `br0` of type
//! `dummy` and its ports `p1` to `p4`, each with `options:tx_pcap=$OVS_RUNDIR/pN.pcap`, and `vlan-limit=2`.
//!
//! `cargo run -p oracle --example against_ovs -- FIRST_SEED LAST_SEED`

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::process::Command;

use frames::Rng;
use oracle::normal::{Mode, Port};
use oracle::random::{self, Style};
use oracle::rule::Mod;
use oracle::world::World;

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().expect(program);
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn must(program: &str, args: &[&str]) -> String {
    run(program, args).unwrap_or_else(|error| panic!("{program} {args:?}: {error}"))
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Open vSwitch 3.1.0 takes two bytes of a later fragment's payload for a checksum when it sets addresses; we do not.
fn is_later_fragment(frame: &[u8]) -> bool {
    packet::extract(frame, 2).0.nw_frag & packet::key::FRAG_LATER != 0
}

/// Frames of a pcap file from `at` on.
fn read_pcap(path: &str, at: usize) -> (Vec<Vec<u8>>, usize) {
    let data = std::fs::read(path).unwrap_or_default();
    let mut at = at.max(24);
    let mut out = Vec::new();
    while let Some(header) = data.get(at..at + 16) {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        out.push(data[at + 16..at + 16 + len].to_vec());
        at += 16 + len;
    }
    (out, at)
}

fn set_port(number: u16, port: &Port) {
    let name = format!("p{number}");
    let (mode, tag) = match port.mode {
        Mode::Trunk => ("trunk", 0),
        Mode::Access(tag) => ("access", tag),
        Mode::NativeTagged(tag) => ("native-tagged", tag),
        Mode::NativeUntagged(tag) => ("native-untagged", tag),
    };
    let trunks = port.trunks.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let (mode, tag, trunks) =
        (format!("vlan_mode={mode}"), format!("tag={tag}"), format!("trunks=[{trunks}]"));
    let mut args = vec!["set", "port", &name, &mode, &trunks];
    if tag == "tag=0" {
        args.extend(["--", "clear", "port", &name, "tag"]);
    } else {
        args.push(&tag);
    }
    must("ovs-vsctl", &args);
}

fn session(seed: u64, rundir: &str, places: &mut BTreeMap<u16, usize>) -> usize {
    let mut rng = Rng::new(seed);
    let style = Style { timeouts: false, ..Style::new(&mut rng) };
    let version = if style.instructions { "OpenFlow13" } else { "OpenFlow10" };
    let mode = [Mode::Trunk, Mode::Access(5), Mode::NativeTagged(1), Mode::NativeUntagged(6)];
    let ports: BTreeMap<u16, Port> =
        (1..=4).map(|n| (n, Port { mode: rng.pick(&mode), trunks: [].into() })).collect();
    ports.iter().for_each(|(number, port)| set_port(*number, port));
    must("ovs-ofctl", &["-O", version, "del-flows", "br0"]);
    must("ovs-appctl", &["fdb/flush", "br0"]);
    let mut world = World::new(ports, 2);
    let mut rules = Vec::new();
    for table in 0..random::TABLES {
        rules.push(Mod::Add(random::last_resort(&mut rng, style, table)));
    }
    for round in 0..40 {
        let change =
            if round < rules.len() { rules[round].clone() } else { random::change(&mut rng, &world, style) };
        let Mod::Add(spec) = &change else { continue };
        let text = spec.to_string();
        // In OpenFlow 1.3 `ovs-ofctl` makes of mod_vlan what always pushes a tag; in 1.0 it forgets the mask of a set_field.
        let masked_set =
            text.split("set_field:").skip(1).any(|set| set.split("->").next().unwrap_or("").contains('/'));
        if if version == "OpenFlow13" { text.contains("mod_vlan") } else { masked_set } {
            continue;
        }
        if run("ovs-ofctl", &["-O", version, "add-flow", "br0", &text]).is_ok() {
            world.change(&change, 0);
        }
    }
    // Cached flows of the session before would forward for a while yet.
    must("ovs-appctl", &["revalidator/purge"]);
    let mut sent = 0;
    for _ in 0..12 {
        let in_port = 1 + rng.below(4) as u16;
        let frames: Vec<Vec<u8>> = (0..20)
            .map(|_| random::frame(&mut rng, style))
            .filter(|frame| !is_later_fragment(frame))
            .collect();
        let mut expected: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
        for frame in &frames {
            for (port, frames) in world.packet(in_port, frame, 0).sent {
                expected.entry(port).or_default().extend(frames);
            }
        }
        let name = format!("p{in_port}");
        let texts: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
        let mut args = vec!["netdev-dummy/receive", &name];
        args.extend(texts.iter().map(String::as_str));
        must("ovs-appctl", &args);
        must("ovs-appctl", &["revalidator/wait"]);
        for port in 1..=4u16 {
            let at = places.entry(port).or_default();
            let (found, end) = read_pcap(&format!("{rundir}/p{port}.pcap"), *at);
            *at = end;
            let wanted = expected.remove(&port).unwrap_or_default();
            sent += wanted.len();
            if found != wanted {
                let rules: Vec<_> = world.rules.iter().map(|rule| rule.spec.to_string()).collect();
                println!("seed {seed}: port {port}, from {in_port}; rules\n  {}", rules.join("\n  "));
                println!("ports {:?}", world.ports);
                texts.iter().for_each(|text| println!("in   {text}"));
                wanted.iter().for_each(|frame| println!("want {}", hex(frame)));
                found.iter().for_each(|frame| println!("have {}", hex(frame)));
                panic!("seed {seed} differs");
            }
        }
    }
    sent
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let rundir = std::env::var("OVS_RUNDIR").expect("OVS_RUNDIR");
    let mut places = BTreeMap::new();
    for port in 1..=4u16 {
        let (_, end) = read_pcap(&format!("{rundir}/p{port}.pcap"), 0);
        places.insert(port, end);
    }
    for seed in args[0]..=args[1] {
        println!("seed {seed}: {} frames left alike", session(seed, &rundir, &mut places));
    }
}
