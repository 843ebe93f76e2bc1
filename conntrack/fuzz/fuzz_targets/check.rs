//! What must hold of any packets: the tracker never panics, gives no impossible state, keeps within its limit, and calls nothing
//! established without the other side's part.

#![allow(dead_code, reason = "each target has one of the checks")]

use std::collections::HashSet;
use std::sync::LazyLock;

use conntrack::request::{Nat, Request};
use conntrack::{Config, Tracker, state};
use packet::parse::eth_type;
use packet::{Checksum, FlowKey, Packet, checksum};

/// Most connections that the trackers here keep.
const LIMIT: u32 = 4;

/// Time between two packets.
const STEP_NS: u64 = 700_000_000;

/// Checks a sequence of packets: each a byte of switches, two of length, least significant first, and the frame.
pub(crate) fn packets(mut bytes: &[u8]) {
    let tracker = Tracker::new(Config { max_connections: LIMIT, ..Config::default() });
    let mut senders = HashSet::new();
    let mut now_ns = STEP_NS;
    while let [switches, l0, l1, rest @ ..] = bytes {
        let len = usize::from(u16::from_le_bytes([*l0, *l1])).min(rest.len());
        let request = Request {
            zone: u16::from(switches >> 7),
            commit: switches & 1 != 0,
            force: switches & 2 != 0,
            nat: (switches & 4 != 0).then_some(Nat::Known),
            ..Request::default()
        };
        let tracked = track(&tracker, &request, &rest[..len], now_ns);
        let (state, [src, dst]) = (tracked.ct_state.get(), addresses(&tracked));
        assert!(state::is_possible(state), "{}", state::format(state, u32::MAX));
        assert!(state & state::EST == 0 || senders.contains(&(request.zone, dst, src)), "nobody answered");
        if state & (state::INV | state::REL) == 0 {
            senders.insert((request.zone, src, dst));
        }
        assert!(tracker.stats().total <= LIMIT);
        bytes = &rest[len..];
        now_ns += STEP_NS;
    }
}

/// Checks an ICMP error, or an ICMPv6 error if they say that they are of version 6, that holds `bytes`. It is related only if those are
/// the start of what was sent, as far as one can tell.
pub(crate) fn error(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(1400)];
    let six = bytes.first().is_some_and(|first| first >> 4 == 6);
    // One for all: what is asked of it leaves it as it is.
    static TRACKER: LazyLock<Tracker> = LazyLock::new(|| Tracker::new(Config::default()));
    let commit = Request { commit: true, ..Request::default() };
    let sent = ip(six, 17, 1, &[3, 0xe8, 0, 53, 0, 8, 0, 0]);
    let first = track(&TRACKER, &commit, &sent, STEP_NS);
    assert_eq!(first.ct_state.get(), state::NEW | state::TRK);
    let (proto, kind) = if six { (58, 1) } else { (1, 3) };
    let message = [&[kind, 1, 0, 0, 0, 0, 0, 0], bytes].concat();
    let told = track(&TRACKER, &Request::default(), &ip(six, proto, 254, &message), 2 * STEP_NS);
    if told.ct_state.get() & state::REL == 0 {
        return assert_eq!(told.ct_state.get(), state::INV | state::TRK);
    }
    // Read another way.
    if six {
        assert_eq!(bytes[8..40], sent[22..54]);
        assert!(bytes[40..].windows(8).any(|transport| transport[..4] == sent[54..58]));
    } else {
        let header_len = usize::from(bytes[0] % 16) * 4;
        assert!(header_len >= 20 && bytes.len() >= header_len + 8);
        assert_eq!((bytes[6] & 0x3f, bytes[7], bytes[9]), (0, 0, 17));
        assert_eq!(bytes[12..20], sent[26..34]);
        assert_eq!(bytes[header_len..header_len + 4], sent[34..38]);
    }
}

/// Tracks a frame whose checksums are as they should be.
fn track(tracker: &Tracker, request: &Request, frame: &[u8], now_ns: u64) -> FlowKey {
    let mut packet = Packet::copy_of(frame).expect("short");
    let mut key = FlowKey::default();
    let layers = packet::extract_into(packet.data(), 2, &mut key);
    let l3 = usize::from(layers.l3);
    if layers.eth_type == eth_type::IPV4 && layers.l4 != 0 {
        let header_len = usize::from(packet.data()[l3] & 0xf) * 4;
        let header = &mut packet.data_mut()[l3..l3 + header_len];
        header[10..12].fill(0);
        let sum = checksum::of(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    packet.offload.checksum = Checksum::Verified;
    let mut layers = packet::extract_into(packet.data(), 2, &mut key);
    tracker.track(request, &mut packet, &mut layers, &mut key, now_ns);
    key
}

fn addresses(key: &FlowKey) -> [[u8; 20]; 2] {
    let join = |v4: [u8; 4], v6: [u8; 16]| {
        let mut out = [0; 20];
        out[..4].copy_from_slice(&v4);
        out[4..].copy_from_slice(&v6);
        out
    };
    [join(key.nw_src.to_bytes(), key.ipv6_src), join(key.nw_dst.to_bytes(), key.ipv6_dst)]
}

/// A frame of the host with the number `src`. It goes to host 1, and from there to host 2.
fn ip(six: bool, proto: u8, src: u8, payload: &[u8]) -> Vec<u8> {
    let dst = if src == 1 { 2 } else { 1 };
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if six {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((payload.len() as u16).to_be_bytes());
        frame.extend([proto, 64]);
        [src, dst]
            .iter()
            .for_each(|host| frame.extend([0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, *host]));
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + payload.len() as u16).to_be_bytes());
        frame.extend([0, 1, 0, 0, 64, proto, 0, 0]);
        [src, dst].iter().for_each(|host| frame.extend([10, 0, 0, *host]));
    }
    frame.extend(payload);
    frame
}
