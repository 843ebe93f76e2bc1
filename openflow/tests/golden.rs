//! Replies of Open vSwitch 3.1.0, recorded: each is decoded and encoded again, and what a switch of ours says of itself is the same.

use openflow::message::{Message, StatsReply, TableFeatures, TableStats};
use openflow::{Dialect, Version, message};

/// One recorded message.
struct Recorded {
    version: Version,
    name: &'static str,
    bytes: Vec<u8>,
}

fn recorded() -> impl Iterator<Item = Recorded> {
    let lines = include_str!("data/ovs-3.1.0.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.split(' ');
        let version = Version::from_wire(words.next().unwrap().parse().unwrap()).unwrap();
        let name = words.next().unwrap();
        let hex = words.next().unwrap().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        Recorded { version, name, bytes: hex.chunks(2).map(byte).collect() }
    })
}

#[test]
fn recorded_replies_come_back() {
    let mut count = 0;
    for Recorded { version, name, bytes } in recorded() {
        let dialect = Dialect::new(version);
        let (xid, message) =
            message::decode(&bytes, &dialect).unwrap_or_else(|e| panic!("{version} {name}: {e}"));
        let mut out = Vec::new();
        message.encode(&dialect, xid, &mut out).unwrap();
        assert_eq!(out, bytes, "{version} {name}: {message:?}");
        count += 1;
    }
    assert!(count > 60, "only {count} messages");
}

#[test]
fn our_tables_are_theirs() {
    for Recorded { version, name, bytes } in recorded() {
        let reply = match name {
            "tablefeat" => StatsReply::TableFeatures(
                [0, 253].map(|id| TableFeatures::of_switch(version, id, 254, "", 1_000_000)).into(),
            ),
            "table" => {
                let table = |table_id| TableStats { table_id, max_entries: 1_000_000, ..Default::default() };
                StatsReply::Table([0, 1, 253].map(table).into())
            }
            _ => continue,
        };
        let reply = Message::StatsReply { more: false, reply };
        assert_eq!(reply.to_bytes(&Dialect::new(version), 0x11).unwrap(), bytes, "{version} {name}");
    }
}

#[test]
fn features_of_all_tables_are_split_as_theirs() {
    let tables = (0..254).map(|id| TableFeatures::of_switch(Version::V13, id, 254, "", 1_000_000)).collect();
    let reply = Message::StatsReply { more: false, reply: StatsReply::TableFeatures(tables) };
    let bytes = reply.to_bytes(&Dialect::new(Version::V13), 1).unwrap();
    let lengths: Vec<usize> = openflow::header::messages(bytes.clone()).map(|m| m.len()).collect();
    assert_eq!((lengths.len(), lengths.iter().sum()), (20, bytes.len()));
    assert_eq!(lengths[..5], [61616, 61344, 61040, 60768, 65488]);
    let more = openflow::header::messages(bytes).map(|m| m[11] & 1).collect::<Vec<_>>();
    assert!(more[..19].iter().all(|&m| m == 1) && more[19] == 0);
}
