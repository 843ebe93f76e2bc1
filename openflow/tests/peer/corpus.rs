//! Messages recorded between Open vSwitch's programs.

use openflow::message::PacketInFormat;
use openflow::{Dialect, Version};

/// One recorded message and how its connection spoke.
pub(crate) struct Recorded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) dialect: Dialect,
}

/// Every recorded message.
pub(crate) fn recorded() -> impl Iterator<Item = Recorded> {
    let lines = include_str!("../data/wire.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = line.as_bytes().chunks(2).map(byte).collect();
        let mut dialect = Dialect::new(Version::from_wire(bytes[0]).unwrap());
        // The recorded client asked for tables in commands whenever it named one.
        dialect.nxm = bytes[1] == 4;
        dialect.table_id = true;
        Recorded { bytes, dialect }
    })
}

/// The form of a packet-in; of no concern for other messages.
pub(crate) fn packet_in_format(bytes: &[u8]) -> PacketInFormat {
    match (bytes[1], bytes.get(12..16)) {
        (4, Some([0, 0, 0, 17])) => PacketInFormat::Nicira,
        (4, Some([0, 0, 0, 30])) => PacketInFormat::Nicira2,
        _ => PacketInFormat::Standard,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
