//! A flow that is added in one version and shown in another looks as it does on Open vSwitch 3.1.0.
//!
//! `data/crossing.txt` was recorded from its daemon: the version of a flow-mod, whether table ids were on, the flow-mod as `ovs-ofctl`
//! sent it, then the version of a request for flow statistics (0 for Nicira's) and the entry that came back.

use openflow::flow_stats::{FlowRemoved, FlowStats, RemovedReason};
use openflow::wire::Reader;
use openflow::{FlowMod, OfError, Version};

/// One line of the record.
struct Crossing {
    from: Version,
    table_id: bool,
    message: Vec<u8>,
    to: Version,
    nxm: bool,
    theirs: Vec<u8>,
}

impl Crossing {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let version = |word: &str| Version::from_wire(word.parse().unwrap()).unwrap();
        let nxm = words[3] == "0";
        Self {
            from: version(words[0]),
            table_id: words[1] == "1",
            message: bytes(words[2]),
            to: if nxm { Version::V10 } else { version(words[3]) },
            nxm,
            theirs: bytes(words[4]),
        }
    }

    /// The flow as the daemon takes it in.
    fn flow(&self) -> Result<FlowMod, OfError> {
        let nxm = self.message[1] == 4;
        let body = &self.message[if nxm { 16 } else { 8 }..];
        let mut fm = FlowMod::decode(self.from, nxm, self.table_id, body)?;
        fm.check(self.from, 0xff00, 254)?;
        Ok(fm)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn flows_look_alike_in_every_version() {
    let mut bad = Vec::new();
    let text = include_str!("data/crossing.txt");
    for crossing in text.lines().map(Crossing::parse) {
        let fm = crossing.flow().unwrap();
        let Crossing { to, nxm, theirs, .. } = &crossing;
        let shown = FlowStats::decode(*to, *nxm, &mut Reader::new(theirs)).unwrap();
        let stats = FlowStats {
            priority: fm.priority,
            flow_match: fm.flow_match,
            cookie: fm.new_cookie.unwrap(),
            idle_timeout: fm.idle_timeout,
            hard_timeout: fm.hard_timeout,
            importance: fm.importance,
            flags: fm.flags,
            instructions: fm.instructions,
            ..shown
        };
        let mut ours = Vec::new();
        stats.encode(*to, *nxm, &mut ours);
        if ours != *theirs {
            let [put, ours, theirs] = [&crossing.message, &ours, theirs].map(|bytes| hex(bytes));
            bad.push(format!("{to} {nxm}\n  put    {put}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    assert!(bad.is_empty(), "{} differ:\n{}", bad.len(), bad.join("\n"));
}

/// The notices of one removal that a daemon sent to a connection of each version, 0 being 1.0 with Nicira's messages.
#[test]
fn removals_look_alike_in_every_version() {
    for line in include_str!("data/flow_removed.txt").lines() {
        let (version, message) = line.split_once(' ').unwrap();
        let nxm = version == "0";
        let version = Version::from_wire(version.parse().unwrap()).unwrap_or(Version::V10);
        let message = bytes(message);
        let body = &message[if nxm { 16 } else { 8 }..];
        let removed = FlowRemoved::decode(version, nxm, body).unwrap();
        assert_eq!((removed.reason, removed.cookie), (RemovedReason::HardTimeout, 0x77));
        assert_eq!((removed.priority, removed.idle_timeout, removed.duration_sec), (9, 7, 1));
        assert!(version == Version::V10 && !nxm || removed.table_id == 3);
        let mut ours = Vec::new();
        removed.encode_body(version, nxm, &mut ours);
        assert_eq!(hex(&ours), hex(body), "{version}");
    }
}
