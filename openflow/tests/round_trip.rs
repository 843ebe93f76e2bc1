//! What is written is read back as it was, in every version, and no bytes whatever make a reader panic.

mod common;

use common::{Rng, random_flow, random_match};
use openflow::codec::{action, instruction, nxm, ofp11, oxs};
use openflow::flow_stats::{FlowRemoved, FlowStats, FlowStatsRequest, RemovedReason};
use openflow::wire::Reader;
use openflow::{FieldId, FlowFlags, FlowMod, FlowModCommand, Match, OfPort, Version};

const CASES: usize = 800;

/// Every version with its own messages, and 1.0 with Nicira's.
fn forms() -> impl Iterator<Item = (Version, bool)> {
    Version::ALL.into_iter().map(|version| (version, false)).chain([(Version::V10, true)])
}

#[test]
fn matches_survive() {
    let mut rng = Rng(1);
    for _ in 0..CASES {
        let m = random_match(&mut rng);
        let mut bytes = Vec::new();
        let len = nxm::put_nxm(&mut bytes, &m, Version::V10, (5, 7));
        let rules = nxm::Rules { cookie: true, loose: false };
        let back = nxm::pull_nxm(&mut Reader::new(&bytes), len, rules).unwrap();
        assert_eq!((back.flow_match, back.cookie), (m, Some((5, 7))));
    }
}

/// A match that a version cannot say in full comes back as what it can say, and then stays the same.
#[test]
fn matches_of_other_versions_settle() {
    let mut rng = Rng(2);
    for _ in 0..CASES {
        let m = random_match(&mut rng);
        for version in &Version::ALL[1..] {
            let write = |m: &Match| {
                let mut bytes = Vec::new();
                ofp11::put_any(&mut bytes, m, *version);
                bytes
            };
            let read = |bytes: &[u8]| ofp11::pull_any(&mut Reader::new(bytes)).unwrap();
            let first = read(&write(&m));
            assert_eq!(read(&write(&first)), first);
            // A mask on part of a priority, or any in 1.1, cannot be said.
            let sayable = *version > Version::V11 && matches!(m.mask_of(FieldId::VlanPcp), 0 | 7);
            assert!(!sayable || m.is_within(&first), "{version:?}: {m} became {first}");
        }
    }
}

#[test]
fn flow_mods_survive() {
    let mut rng = Rng(3);
    let commands = [
        FlowModCommand::Add,
        FlowModCommand::Modify,
        FlowModCommand::ModifyStrict,
        FlowModCommand::Delete,
        FlowModCommand::DeleteStrict,
    ];
    for n in 0..CASES {
        let mut fm = random_flow(&mut rng);
        fm.command = commands[n % 5];
        fm.priority = rng.next() as u16;
        fm.idle_timeout = rng.next() as u16;
        fm.new_cookie = Some(rng.next());
        fm.flags = FlowFlags::from_bits_truncate(rng.next() as u16);
        for (version, nxm) in forms() {
            let write = |fm: &FlowMod| {
                let mut bytes = Vec::new();
                fm.encode_body(version, nxm, true, &mut bytes);
                bytes
            };
            let Ok(first) = FlowMod::decode(version, nxm, true, &write(&fm)) else { continue };
            assert_eq!(FlowMod::decode(version, nxm, true, &write(&first)), Ok(first.clone()));
            assert_eq!((first.command, first.priority), (fm.command, fm.priority));
            assert_eq!((first.idle_timeout, first.table_id), (fm.idle_timeout, fm.table_id));
        }
    }
}

#[test]
fn statistics_survive() {
    let mut rng = Rng(4);
    for _ in 0..CASES {
        let fm = random_flow(&mut rng);
        let stats = FlowStats {
            table_id: rng.next() as u8,
            priority: rng.next() as u16,
            flow_match: fm.flow_match,
            cookie: rng.next(),
            duration_sec: rng.next() as u32,
            duration_nsec: rng.next() as u32 % 1_000_000_000,
            idle_timeout: rng.next() as u16,
            hard_timeout: rng.next() as u16,
            idle_age: rng.flip().then_some(7),
            hard_age: rng.flip().then_some(9),
            importance: rng.next() as u16,
            flags: FlowFlags::SEND_FLOW_REM,
            packets: rng.next() >> 1,
            bytes: rng.next() >> 1,
            instructions: fm.instructions,
        };
        for (version, nxm) in forms() {
            let write = |stats: &FlowStats| {
                let mut bytes = Vec::new();
                stats.encode(version, nxm, &mut bytes);
                bytes
            };
            let bytes = write(&stats);
            let mut reader = Reader::new(&bytes);
            let Ok(first) = FlowStats::decode(version, nxm, &mut reader) else { continue };
            assert!(reader.is_empty());
            let bytes = write(&first);
            let second = FlowStats::decode(version, nxm, &mut Reader::new(&bytes)).unwrap();
            assert_eq!(write(&second), bytes, "{version:?}");
            let counts =
                |s: &FlowStats| (s.table_id, s.priority, s.cookie, s.packets, s.bytes, s.duration_sec);
            assert_eq!(counts(&first), counts(&stats));
        }
    }
}

#[test]
fn requests_and_removals_survive() {
    let mut rng = Rng(5);
    for n in 0..CASES {
        let flow_match = random_match(&mut rng);
        let removed = FlowRemoved {
            reason: [RemovedReason::IdleTimeout, RemovedReason::HardTimeout, RemovedReason::Delete][n % 3],
            table_id: rng.below(254) as u8,
            priority: rng.next() as u16,
            flow_match,
            cookie: rng.next(),
            duration_sec: rng.next() as u32,
            duration_nsec: rng.next() as u32,
            idle_timeout: rng.next() as u16,
            hard_timeout: rng.next() as u16,
            packets: rng.next() >> 1,
            bytes: rng.next() >> 1,
        };
        let request = FlowStatsRequest {
            table_id: rng.next() as u8,
            flow_match,
            out_port: OfPort(3),
            out_group: u32::MAX,
            cookie: 0x12,
            cookie_mask: 0xff,
        };
        for (version, nxm) in forms() {
            let write = |removed: &FlowRemoved| {
                let mut bytes = Vec::new();
                removed.encode_body(version, nxm, &mut bytes);
                bytes
            };
            let first = FlowRemoved::decode(version, nxm, &write(&removed)).unwrap();
            assert_eq!(FlowRemoved::decode(version, nxm, &write(&first)), Ok(first.clone()));
            assert_eq!((first.reason, first.cookie), (removed.reason, removed.cookie));
            assert_eq!((first.packets, first.bytes), (removed.packets, removed.bytes));
            let write = |request: &FlowStatsRequest| {
                let mut bytes = Vec::new();
                request.encode_body(version, nxm, &mut bytes);
                bytes
            };
            let first = FlowStatsRequest::decode(version, nxm, &write(&request)).unwrap();
            assert_eq!(FlowStatsRequest::decode(version, nxm, &write(&first)), Ok(first.clone()));
            assert_eq!((first.table_id, first.out_port), (request.table_id, request.out_port));
        }
    }
}

/// Reads `bytes` in every way there is.
fn read_all(bytes: &[u8]) {
    for (version, nxm) in forms() {
        if let Ok(mut fm) = FlowMod::decode(version, nxm, true, bytes) {
            let _ = fm.check(version, 0xff00, 254);
            let _ = (fm.flow_match.to_string(), fm.instructions.to_string());
            fm.encode_body(version, nxm, true, &mut Vec::new());
        }
        let _ = FlowStatsRequest::decode(version, nxm, bytes);
        let _ = FlowStats::decode(version, nxm, &mut Reader::new(bytes));
        let _ = FlowRemoved::decode(version, nxm, bytes);
        let _ = action::decode_actions(version, bytes);
        let _ = instruction::decode(version, bytes);
        let _ = ofp11::pull_any(&mut Reader::new(bytes));
    }
    let _ = nxm::parse(bytes, nxm::Rules { cookie: true, loose: true });
    let _ = oxs::Oxs::pull(&mut Reader::new(bytes));
}

#[test]
fn no_bytes_panic() {
    let mut rng = Rng(6);
    for n in 0..CASES {
        let len = rng.below(200) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
        read_all(&bytes);
        // Real messages, damaged, get deeper.
        let fm = random_flow(&mut rng);
        let (version, nxm) = forms().nth(n % 7).unwrap();
        bytes.clear();
        fm.encode_body(version, nxm, true, &mut bytes);
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next() as u8;
        }
        bytes.truncate(bytes.len() - rng.below(4) as usize);
        read_all(&bytes);
    }
}
