//! `ovs-ofctl ofp-parse`: prints every message of a file, or why it cannot be read.

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;

/// For each message the error that `ovs-ofctl` finds in it. Message N must have transaction id N.
pub(crate) fn errors(messages: &[Vec<u8>]) -> Vec<Option<String>> {
    let mut found: HashMap<u32, Option<String>> = HashMap::new();
    let mut current = None;
    let text = print(messages);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(xid) = head_xid(line) {
            current = Some(xid);
            found.entry(xid).or_default();
        }
        let Some(error) = decode_error(line) else { continue };
        // The bytes follow: those of a message whose headers cannot be read, which has no head of its own.
        let xid = lines.peek().and_then(|next| dump_xid(next)).or(current).expect("an error of no message");
        found.entry(xid).or_default().get_or_insert(error);
    }
    let get = |i: usize| {
        found.remove(&(i as u32)).unwrap_or_else(|| panic!("ovs-ofctl said nothing of message {i}"))
    };
    (0..messages.len()).map(get).collect()
}

/// What is printed for messages.
pub(crate) fn print(messages: &[Vec<u8>]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    messages.iter().for_each(|message| file.write_all(message).unwrap());
    let output = Command::new("ovs-ofctl").arg("ofp-parse").arg(file.path()).output();
    let output = output.expect("ovs-ofctl (Debian's openvswitch-common) is needed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The transaction id in the first line about a message.
fn head_xid(line: &str) -> Option<u32> {
    let upper = line.starts_with("OFP") || line.starts_with("NX") || line.starts_with("ONF");
    let digits = line.split(" (xid=0x").nth(1).filter(|_| upper)?.split(')').next()?;
    u32::from_str_radix(digits, 16).ok()
}

/// The transaction id in the first line of a dump.
fn dump_xid(line: &str) -> Option<u32> {
    let dump = line.strip_prefix("00000000 ")?.get(..49)?;
    let bytes: Vec<&str> = dump.split([' ', '-']).filter(|word| word.len() == 2).skip(4).take(4).collect();
    u32::from_str_radix(&bytes.concat(), 16).ok()
}

fn decode_error(text: &str) -> Option<String> {
    let rest = text.split("***decode error: ").nth(1)?;
    Some(rest.split("***").next()?.to_owned())
}
