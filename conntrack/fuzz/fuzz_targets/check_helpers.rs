//! What must hold of control connections, whatever is said on them: every packet stays right, and there are never more expectations than
//! their bounds allow.

use conntrack::request::{Helper, Nat, NatChoice, NatRange, NatSide};
use conntrack::{Config, Request, Tracker, alg};
use packet::checksum::{self, Sum};
use packet::parse::ip_proto;
use packet::{Packet, extract};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 9];
const OUTSIDE: [u8; 4] = [198, 51, 100, 1];

/// Says the bytes on an FTP control connection behind address translation, and to the parsers. Each segment has four bytes before
/// its text: direction and a step back or forth in the sequence numbers, length, and a step of the acknowledgement.
pub(crate) fn helpers(bytes: &[u8]) {
    for from in [alg::ftp::From::Client, alg::ftp::From::Server] {
        if let Some(found) = alg::ftp::find(bytes, from) {
            assert!(found.span.start < found.span.end && found.span.end < bytes.len());
        }
    }
    alg::tftp::is_request(bytes);
    let mut talk = Talk::open();
    let mut rest = bytes;
    while let Some((&[way, step, len, ack], after)) = rest.split_first_chunk() {
        let (text, after) = after.split_at(after.len().min(usize::from(len)));
        rest = after;
        talk.say(way & 1 == 1, i32::from(step.cast_signed()), text, i32::from(ack.cast_signed()));
    }
    assert!(talk.tracker.expectations(0).len() <= 8);
}

/// The two ends of a connection.
struct Talk {
    tracker: Tracker,
    /// Next sequence number of client and server, as the tracker sees them before translation.
    next: [u32; 2],
}

impl Talk {
    fn open() -> Self {
        let config = Config { tcp_seq_check: false, ..Config::default() };
        let talk = Self { tracker: Tracker::new(config), next: [0xffff_fff0, 500] };
        let nat = Nat::Translate(NatRange {
            side: NatSide::Src,
            addrs: Some((OUTSIDE.into(), OUTSIDE.into())),
            ports: None,
            choice: NatChoice::Default,
            persistent: false,
        });
        let commit =
            Request { commit: true, helper: Some(Helper::Ftp), nat: Some(nat), ..Request::default() };
        talk.send(&commit, false, 2, [0xffff_ffef, 0], b"");
        let known = Request { nat: Some(Nat::Known), ..Request::default() };
        talk.send(&known, true, 0x12, [499, 0xffff_fff0], b"");
        talk.send(&known, false, 0x10, [0xffff_fff0, 500], b"");
        talk
    }

    fn say(&mut self, reply: bool, step: i32, text: &[u8], ack: i32) {
        let known = Request { nat: Some(Nat::Known), ..Request::default() };
        let seq = self.next[usize::from(reply)].wrapping_add_signed(step);
        let ack = self.next[usize::from(!reply)].wrapping_add_signed(ack);
        self.send(&known, reply, 0x18, [seq, ack], text);
        self.next[usize::from(reply)] = seq.wrapping_add(text.len() as u32);
    }

    fn send(&self, request: &Request, reply: bool, flags: u8, numbers: [u32; 2], text: &[u8]) {
        let (from, to) = if reply { ((SERVER, 21), (OUTSIDE, 4000)) } else { ((CLIENT, 4000), (SERVER, 21)) };
        let mut packet = Packet::copy_of(&frame(from, to, flags, numbers, text)).unwrap();
        let (mut key, mut layers) = extract(packet.data(), 0);
        self.tracker.track(request, &mut packet, &mut layers, &mut key, 1);
        let (key, read) = extract(packet.data(), 0);
        assert_eq!(read.end as usize, packet.len());
        assert_eq!(layers.end, read.end);
        let segment = &packet.data()[usize::from(read.l4)..];
        let pseudo = checksum::pseudo_v4(
            key.nw_src.to_bytes(),
            key.nw_dst.to_bytes(),
            ip_proto::TCP,
            segment.len() as u32,
        );
        assert_eq!(pseudo.bytes(segment).checksum(), 0);
        assert_eq!(checksum::of(&packet.data()[14..34]), 0);
    }
}

type End = ([u8; 4], u16);

fn frame(from: End, to: End, flags: u8, [seq, ack]: [u32; 2], text: &[u8]) -> Vec<u8> {
    let mut tcp =
        [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &seq.to_be_bytes(), &ack.to_be_bytes()].concat();
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(text);
    let check = checksum::pseudo_v4(from.0, to.0, ip_proto::TCP, tcp.len() as u32).bytes(&tcp).checksum();
    tcp[16..18].copy_from_slice(&check.to_be_bytes());
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, ip_proto::TCP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&((20 + tcp.len()) as u16).to_be_bytes());
    ip[12..16].copy_from_slice(&from.0);
    ip[16..].copy_from_slice(&to.0);
    let check = Sum::default().bytes(&ip).checksum();
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..], &ip, &tcp].concat()
}
