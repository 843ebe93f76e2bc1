//! Connection tracking on the oracle's side: a tracker of its own that is given every packet as it stands, read anew from its bytes.

use std::sync::Arc;

use conntrack::request::{Nat, NatChoice, NatRange, NatSide, Request};
use conntrack::{Config, ConnInfo, Cursor, Tracker};
use packet::{FlowKey, Packet};

use crate::field::{Slot, Values};
use crate::rule::{self, Act, Ct, Zone};
use crate::view::View;

/// A tracker.
#[derive(Clone)]
pub struct Connections(Arc<Tracker>);

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("count", &self.0.connections()).finish_non_exhaustive()
    }
}

/// What a packet carries of what a tracker said of it, whether or not its pipeline sees it: one that comes to the same zone again is not
/// judged again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    state: u32,
    zone: u16,
}

/// What a tracker says of a packet.
#[derive(Debug)]
pub struct Said {
    /// The packet, translated.
    pub bytes: Vec<u8>,
    /// What it carries from here on.
    pub carried: Carried,
    /// The connection fields.
    pub values: Vec<(Slot, u128)>,
}

impl Connections {
    /// A tracker without connections.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Tracker::new(Config { seed, ..Config::default() })))
    }

    /// The tracker itself.
    pub fn tracker(&self) -> &Tracker {
        &self.0
    }

    /// Asks the tracker. What is known of the packet is known to it: that which is behind the tags that are known.
    pub fn track(&self, view: &View, carried: Carried, request: &Request, now_ns: u64) -> Said {
        let tags = 4 * view.tags().len();
        let bare = [&view.bytes[..12], &view.bytes[12 + tags..]].concat();
        let mut packet = Packet::copy_of(&bare).expect("a frame of ordinary length");
        let (mut key, mut layers) = packet::extract(&bare, 0);
        (key.ct_state, key.ct_zone) = (carried.state.into(), carried.zone.into());
        self.0.track(request, &mut packet, &mut layers, &mut key, now_ns);
        let bytes = [&packet.data()[..12], &view.bytes[12..12 + tags], &packet.data()[12..]].concat();
        let carried = Carried { state: key.ct_state.get(), zone: key.ct_zone.get() };
        Said { bytes, carried, values: values_of(&key) }
    }

    /// All connections, in order of their numbers.
    pub fn dump(tracker: &Tracker, now_ns: u64) -> Vec<ConnInfo> {
        let (mut cursor, mut out) = (Cursor::default(), Vec::new());
        while !cursor.is_done() {
            tracker.dump(&mut cursor, now_ns, 1000, &mut out);
        }
        out.sort_by_key(|info| info.id);
        out
    }
}

fn values_of(key: &FlowKey) -> Vec<(Slot, u128)> {
    vec![
        (Slot::CtState, key.ct_state.get().into()),
        (Slot::CtZone, key.ct_zone.get().into()),
        (Slot::CtMark, key.ct_mark.get().into()),
        (Slot::CtLabel, u128::from_be_bytes(key.ct_label)),
        (Slot::CtProto, key.ct_nw_proto.into()),
        (Slot::CtNwSrc, key.ct_nw_src.get().into()),
        (Slot::CtNwDst, key.ct_nw_dst.get().into()),
        (Slot::CtIp6Src, u128::from_be_bytes(key.ct_ipv6_src)),
        (Slot::CtIp6Dst, u128::from_be_bytes(key.ct_ipv6_dst)),
        (Slot::CtTpSrc, key.ct_tp_src.get().into()),
        (Slot::CtTpDst, key.ct_tp_dst.get().into()),
    ]
}

/// What a `ct()` asks for a packet with these values. `has`: whether the packet has a field.
pub fn request(ct: &Ct, values: &Values, has: impl Fn(&crate::field::Field) -> bool) -> Request {
    let zone = match ct.zone {
        Zone::Number(zone) => zone,
        Zone::Field(field, first) => (field.get(values) >> first) as u16,
    };
    let (mut values, mut written) = (values.clone(), Values::default());
    for act in &ct.exec {
        let (slot, value, mask) = match act {
            Act::Set(term) => (term.field.slot, term.value, term.mask),
            Act::Move(src, from, dst, to, bits) if has(src) => {
                let ones = if *bits == 128 { u128::MAX } else { (1 << bits) - 1 };
                (dst.slot, (src.get(&values) >> from & ones) << to, ones << to)
            }
            _ => continue,
        };
        values[slot] = values[slot] & !mask | value & mask;
        written[slot] |= mask;
    }
    let (mark, label) = (written[Slot::CtMark], written[Slot::CtLabel]);
    Request {
        zone,
        commit: ct.commit,
        force: ct.force,
        mark: (mark != 0).then_some(((values[Slot::CtMark] & mark) as u32, mark as u32)),
        label: (label != 0).then_some((values[Slot::CtLabel] & label, label)),
        nat: ct.nat.as_ref().map(|nat| translation(nat, values[Slot::EthType] == 0x86dd)),
        helper: None,
        timeout_policy: None,
    }
}

fn translation(nat: &rule::Nat, ipv6: bool) -> Nat {
    let Some(source) = nat.source else { return Nat::Known };
    // An all-zero range says: only what collides.
    let is_none = |(first, last): &(std::net::IpAddr, std::net::IpAddr)| {
        first.is_unspecified() && last.is_unspecified() && first.is_ipv6() == ipv6
    };
    Nat::Translate(NatRange {
        side: if source { NatSide::Src } else { NatSide::Dst },
        addrs: nat.addrs.filter(|range| !is_none(range)),
        ports: nat.ports,
        choice: match (nat.random, nat.hash) {
            (true, _) => NatChoice::Random,
            (false, true) => NatChoice::Hash,
            (false, false) => NatChoice::Default,
        },
        persistent: nat.persistent,
    })
}
