//! What must hold of any bytes: reading them as a message never panics, and what could be read and written back
//! stays as it was written.

use openflow::message::{self, PacketInFormat};
use openflow::{Dialect, Message, Version};

/// Checks bytes that claim to be a message.
pub(crate) fn message(bytes: &[u8]) {
    let Some(version) = bytes.first().and_then(|&wire| Version::from_wire(wire)) else { return };
    for (nxm, table_id) in [(false, false), (true, true)] {
        let dialect = Dialect { nxm, table_id, ..Dialect::new(version) };
        let Ok((xid, message)) = message::decode(bytes, &dialect) else { continue };
        let dialect = spoken(bytes, &message, dialect);
        let mut out = Vec::new();
        if message.encode(&dialect, xid, &mut out).is_err() {
            continue;
        }
        let (_, again) =
            message::decode(&out, &dialect).unwrap_or_else(|e| panic!("{e} in our own {}", hex(&out)));
        let mut twice = Vec::new();
        again.encode(&dialect, xid, &mut twice).unwrap();
        assert!(out == twice, "{}\nbecame {}\nand that {}", hex(bytes), hex(&out), hex(&twice));
    }
}

/// The dialect in which the message came: some have forms of which the dialect chooses one.
fn spoken(bytes: &[u8], message: &Message, dialect: Dialect) -> Dialect {
    let is_vendor = bytes.get(1) == Some(&4);
    let packet_in = match (message, bytes.get(15)) {
        (Message::PacketIn(_), Some(17)) if is_vendor => PacketInFormat::Nicira,
        (Message::PacketIn(_), Some(30)) if is_vendor => PacketInFormat::Nicira2,
        _ => PacketInFormat::Standard,
    };
    Dialect { nxm: is_vendor, packet_in, ..dialect }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
