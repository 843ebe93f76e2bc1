//! What `ovs-ofctl` says of messages, against what we say: the same ones are refused, with the same error, and what we write prints as
//! what we read.

mod corpus;
mod flows;
mod fuzz;
mod mutate;
mod ofp_parse;
mod samples;
mod switch;

use corpus::Recorded;
use openflow::{Dialect, OfError, message};

/// How many messages of [`mutate::mutants`] may be refused with another error than theirs.
const TOLERATED: usize = 3;

/// What we say of a message.
fn ours(bytes: &[u8]) -> Result<(), OfError> {
    let version = openflow::Version::from_wire(bytes[0]).ok_or(OfError::OFPBRC_BAD_VERSION)?;
    // ovs-ofctl looks for a table in the command of every flow-mod of 1.0.
    let dialect = Dialect { table_id: true, ..Dialect::new(version) };
    message::decode(bytes, &dialect).map(|_| ())
}

/// Whether this is a message that a switch gets, or not even that can be said.
fn is_for_a_switch(bytes: &[u8]) -> bool {
    let Ok(found) = message::kind::identify(bytes) else { return true };
    let name = format!("{:?}", found.kind);
    // Of these ovs-ofctl checks less, or more, than ovs-vswitchd does.
    let other = ["CtFlushZone", "SetControllerId", "SetFlowFormat", "TableFeaturesRequest", "Resume"];
    if other.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    let from_a_switch =
        ["Reply", "Status", "Removed", "Paused", "Resumed", "Forward", "PacketIn", "PacketIn2"];
    !from_a_switch.iter().any(|end| name.ends_with(end))
}

#[test]
fn recorded_messages_are_read_and_written_back() {
    let mut bad = Vec::new();
    let mut count = 0;
    for Recorded { bytes, dialect } in corpus::recorded() {
        count += 1;
        match message::decode(&bytes, &dialect) {
            Err(error) => bad.push(format!("{error}: {}", corpus::hex(&bytes))),
            Ok((xid, message)) => {
                let mut dialect = dialect;
                dialect.packet_in = corpus::packet_in_format(&bytes);
                match message.to_bytes(&dialect, xid) {
                    Ok(out) if out == bytes => {}
                    Ok(out) => bad.push(format!("{}\n became {}", corpus::hex(&bytes), corpus::hex(&out))),
                    Err(error) => bad.push(format!("not written, {error}: {message:?}")),
                }
            }
        }
    }
    assert!(count > 600, "{count} messages");
    assert!(bad.is_empty(), "{} of {count}:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn broken_messages_are_refused_with_the_same_error() {
    let messages: Vec<Vec<u8>> = mutate::mutants(20_000).collect();
    let theirs = ofp_parse::errors(&messages);
    let mut bad = Vec::new();
    let mut refused = 0;
    for (message, theirs) in messages.iter().zip(theirs).filter(|(message, _)| is_for_a_switch(message)) {
        let ours = ours(message).err().map(|error| error.name().to_owned());
        refused += usize::from(ours.is_some());
        if ours != theirs {
            bad.push(format!("we {ours:?}, they {theirs:?}: {}", corpus::hex(message)));
        }
    }
    assert!(refused > messages.len() / 10, "only {refused} were broken");
    // What is left of differences: which of two errors in one message is found first.
    assert!(bad.len() <= TOLERATED, "{} of {}:\n{}", bad.len(), messages.len(), bad.join("\n"));
}
