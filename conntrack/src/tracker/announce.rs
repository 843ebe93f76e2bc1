//! A packet of a control connection.

use std::sync::atomic::Ordering::Relaxed;

use super::Tracker;
use super::known::Packet;
use crate::alg::control::{Heard, Wanted};
use crate::alg::expect::Expectation;
use crate::conn::Conn;
use crate::counter::Counter;
use crate::request::{Helper, NatRange, NatSide};
use crate::state::{DNAT, SNAT};
use crate::table::Slot;

impl Tracker {
    /// Expects what a packet announces, and notes what its peer is to be told instead. False for a packet that announces a
    /// connection to somebody else. The slot's lock is held.
    pub(super) fn hear(&self, packet: &Packet<'_>, slot: &Slot, conn: &mut Conn) -> bool {
        // A packet that was translated in this zone already says what it was made to say.
        let Some(helper) = conn.helper.filter(|_| packet.prior & (SNAT | DNAT) == 0) else { return true };
        let tuples = (&slot.tuple(packet.reply), &slot.tuple(!packet.reply));
        let control = &mut conn.extra.get_or_insert_default().control;
        match control.hear(helper, tuples, packet.reply, packet.segment) {
            None => true,
            Some(Heard::Stranger) => false,
            Some(Heard::Connection(wanted)) => {
                self.expect(packet, slot, conn, helper, wanted);
                true
            }
        }
    }

    /// Expects what the packet announces that a connection was made of: a TFTP request does.
    pub(super) fn hear_first(&self, packet: &Packet<'_>) {
        let tuple = &packet.view.tuple;
        if let Some(place) = self.table.find(tuple, self.table.hash(tuple)) {
            self.table.with(place, tuple, |slot, conn| !place.reply && self.hear(packet, slot, conn));
        }
    }

    fn expect(&self, packet: &Packet<'_>, slot: &Slot, conn: &mut Conn, helper: Helper, wanted: Wanted) {
        let Wanted { tuple, nat, text } = wanted;
        let is_translated = conn.nat.is_some() && packet.request.nat.is_some();
        let to_sender = matches!(nat, Some(NatRange { side: NatSide::Dst, .. }));
        let may_move = is_translated && to_sender && text.is_some();
        let (parent, mark, label) = (slot.tuple(false), conn.mark, conn.label());
        let expectation = Expectation { tuple, parent, helper, nat, mark, label };
        let random = self.seed ^ self.draws.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match (self.expectations.expect(expectation, may_move, random, packet.now_ns), text) {
            (Ok(port), Some(text)) if is_translated => {
                conn.extra.get_or_insert_default().control.tell(&text, port, packet.reply);
            }
            (Ok(_), _) => {}
            (Err(_), _) => self.counters.add(Counter::ExpectationsFull),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use frames::{Frame, L4, Net, V4, V6};
    use packet::{FlowKey, Packet, extract};

    use super::*;
    use crate::request::{Nat, NatChoice, Request};
    use crate::state::{self, EST, INV, REL, RPL, TRK};
    use crate::tracker::{Config, Tracked};

    const SECOND: u64 = 1_000_000_000;
    const SYN: u8 = 2;
    const ACK: u8 = 0x10;

    /// What is in a packet after the tracker.
    #[derive(Debug, PartialEq, Eq)]
    struct Out {
        src: String,
        dst: String,
        seq: u32,
        ack: u32,
        text: String,
        state: u32,
        key: Box<FlowKey>,
    }

    /// One way of a TCP connection: from, to.
    type Way = (SocketAddr, SocketAddr);

    fn way(from: &str, to: &str) -> Way {
        (from.parse().unwrap(), to.parse().unwrap())
    }

    fn frame((from, to): Way, l4: L4) -> Vec<u8> {
        let net = match (from.ip(), to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                Net::V4(V4 { src: src.octets(), dst: dst.octets(), l4, ..V4::default() })
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let (src, dst) = (src.octets(), dst.octets());
                Net::V6(V6 { src, dst, class: 0, label: 0, hops: 64, extensions: vec![], l4 })
            }
            _ => unreachable!(),
        };
        Frame::new(net).build()
    }

    fn tcp(way: Way, flags: u8, seq: u32, ack: u32, text: &str) -> Vec<u8> {
        let (src, dst, payload) = (way.0.port(), way.1.port(), text.as_bytes().to_vec());
        let mut bytes = frame(way, L4::Tcp { src, dst, flags: flags.into(), options: vec![], payload });
        let l4 = usize::from(extract(&bytes, 0).1.l4);
        let mut numbered = bytes.clone();
        numbered[l4 + 4..l4 + 8].copy_from_slice(&seq.to_be_bytes());
        numbered[l4 + 8..l4 + 12].copy_from_slice(&ack.to_be_bytes());
        let delta =
            packet::checksum::Sum::default().replace(&bytes[l4 + 4..l4 + 12], &numbered[l4 + 4..l4 + 12]);
        let check = packet::checksum::update(u16::from_be_bytes([bytes[l4 + 16], bytes[l4 + 17]]), delta);
        bytes = numbered;
        bytes[l4 + 16..l4 + 18].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    fn send(tracker: &Tracker, request: &Request, bytes: &[u8]) -> Out {
        frames::verify(bytes).unwrap();
        let mut packet = Packet::copy_of(bytes).unwrap();
        let (mut key, mut layers) = extract(packet.data(), 0);
        let tracked = tracker.track(request, &mut packet, &mut layers, &mut key, SECOND);
        assert!(tracked == Tracked::Edited || packet.data() == bytes);
        frames::verify(packet.data()).unwrap();
        let (header, layers) = extract(packet.data(), 0);
        let ip = |v4: u32, v6: [u8; 16]| {
            if header.eth_type.get() == 0x800 { IpAddr::from(v4.to_be_bytes()) } else { IpAddr::from(v6) }
        };
        let src = SocketAddr::new(ip(header.nw_src.get(), header.ipv6_src), header.tp_src.get());
        let dst = SocketAddr::new(ip(header.nw_dst.get(), header.ipv6_dst), header.tp_dst.get());
        let l4 = &packet.data()[usize::from(layers.l4)..layers.end as usize];
        let word =
            |at: usize| l4.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        let text = if layers.nw_proto == 6 { &l4[usize::from(l4[12] >> 4) * 4..] } else { &l4[8..] };
        Out {
            src: src.to_string(),
            dst: dst.to_string(),
            seq: word(4),
            ack: word(8),
            text: String::from_utf8_lossy(text).into_owned(),
            state: key.ct_state.get(),
            key: Box::new(key),
        }
    }

    fn translate(side: NatSide, to: &str) -> Nat {
        let ip: IpAddr = to.parse().unwrap();
        let choice = NatChoice::Default;
        Nat::Translate(NatRange { side, addrs: Some((ip, ip)), ports: None, choice, persistent: false })
    }

    fn control(nat: Option<Nat>) -> Request {
        Request { commit: true, helper: Some(Helper::Ftp), nat, mark: Some((7, 7)), ..Request::default() }
    }

    fn known() -> Request {
        Request { nat: Some(Nat::Known), ..Request::default() }
    }

    fn commit() -> Request {
        Request { commit: true, ..known() }
    }

    /// Opens a control connection; the client counts from 100, the server from 500.
    fn open(tracker: &Tracker, there: Way, back: Way, nat: Option<Nat>) {
        send(tracker, &control(nat), &tcp(there, SYN, 100, 0, ""));
        assert_eq!(
            send(tracker, &known(), &tcp(back, SYN | ACK, 500, 101, "")).state & (EST | RPL),
            EST | RPL
        );
        assert_eq!(send(tracker, &known(), &tcp(there, ACK, 101, 501, "")).state & EST, EST);
    }

    const CLIENT: &str = "10.0.0.1:4000";
    const SERVER: &str = "192.0.2.9:21";
    const OUTSIDE: &str = "198.51.100.1:4000";

    #[test]
    fn an_announced_connection_is_related_and_inherits() {
        let tracker = Tracker::new(Config::default());
        let (there, back) = (way(CLIENT, SERVER), way(SERVER, CLIENT));
        open(&tracker, there, back, None);
        send(&tracker, &known(), &tcp(there, ACK, 101, 501, "PORT 10,0,0,1,20,1\r\n"));
        let data = way("192.0.2.9:20", "10.0.0.1:5121");
        let first = send(&tracker, &known(), &tcp(data, SYN, 1, 0, ""));
        assert_eq!(state::format(first.state, u32::MAX), "new|rel|trk");
        assert_eq!((first.key.ct_mark.get(), first.key.ct_tp_dst.get()), (7, 21));
        let first = send(&tracker, &commit(), &tcp(data, SYN, 1, 0, ""));
        assert_eq!((first.key.ct_mark.get(), first.key.ct_tp_dst.get()), (7, 21));
        let answer =
            send(&tracker, &known(), &tcp(way("10.0.0.1:5121", "192.0.2.9:20"), SYN | ACK, 1, 2, ""));
        assert_eq!(state::format(answer.state, u32::MAX), "est|rel|rpl|trk");
        let listed = tracker.expectations(SECOND);
        assert_eq!((listed.len(), listed[0].tuple.dport, listed[0].parent.dport), (1, 5121, 21));
        // Another host, another port: not announced.
        for other in [way("192.0.2.8:20", "10.0.0.1:5121"), way("192.0.2.9:20", "10.0.0.1:5122")] {
            assert_eq!(send(&tracker, &known(), &tcp(other, SYN, 1, 0, "")).state & REL, 0);
        }
        assert!(tracker.flush(&crate::Filter::default(), &mut crate::Cursor::default(), usize::MAX));
        assert!(tracker.expectations(SECOND).is_empty());
    }

    #[test]
    fn an_announcement_for_somebody_else_is_invalid() {
        let tracker = Tracker::new(Config::default());
        let (there, back) = (way(CLIENT, SERVER), way(SERVER, CLIENT));
        open(&tracker, there, back, None);
        let text = "PORT 10,0,0,99,20,1\r\n";
        assert_eq!(send(&tracker, &known(), &tcp(there, ACK, 101, 501, text)).state, INV | TRK);
        let text = "227 ok (10,0,0,99,20,1)\r\n";
        assert_eq!(send(&tracker, &known(), &tcp(back, ACK, 501, 101, text)).state, INV | TRK);
        assert!(tracker.expectations(SECOND).is_empty());
    }

    #[test]
    fn text_in_the_middle_of_a_line_announces_nothing() {
        let tracker = Tracker::new(Config::default());
        let (there, back) = (way(CLIENT, SERVER), way(SERVER, CLIENT));
        open(&tracker, there, back, None);
        send(&tracker, &known(), &tcp(back, ACK, 501, 101, "220 welcome, "));
        send(&tracker, &known(), &tcp(back, ACK, 514, 101, "227 (192,0,2,9,4,1)\r\n"));
        assert!(tracker.expectations(SECOND).is_empty());
        send(&tracker, &known(), &tcp(back, ACK, 535, 101, "227 (192,0,2,9,4,1)\r\n"));
        assert_eq!(tracker.expectations(SECOND).len(), 1);
    }

    /// A client behind an address announces twice, with a retransmission, and the numbers of both sides stay in step.
    #[test]
    fn active_mode_behind_source_translation() {
        let tracker = Tracker::new(Config::default());
        let (there, back) = (way(CLIENT, SERVER), way(SERVER, OUTSIDE));
        open(&tracker, there, back, Some(translate(NatSide::Src, "198.51.100.1")));
        let port = "PORT 10,0,0,1,20,1\r\n";
        let (len, told) = (port.len() as u32, "PORT 198,51,100,1,20,1\r\n");
        let grown = (told.len() - port.len()) as u32;
        for _ in 0..2 {
            let out = send(&tracker, &known(), &tcp(there, ACK, 101, 501, port));
            assert_eq!((&out.text[..], out.seq, &out.src[..]), (told, 101, OUTSIDE));
            assert_eq!(tracker.expectations(SECOND).len(), 1);
        }
        let ok = "200 PORT ok\r\n";
        let out = send(&tracker, &known(), &tcp(back, ACK, 501, 101 + len + grown, ok));
        assert_eq!((out.seq, out.ack, &out.dst[..]), (501, 101 + len, CLIENT));
        assert_eq!(state::format(out.state, u32::MAX), "est|rpl|trk|dnat");
        let data = way("192.0.2.9:20", "198.51.100.1:5121");
        let first = send(&tracker, &commit(), &tcp(data, SYN, 1, 0, ""));
        assert_eq!(
            (first.state & REL, &first.dst[..], &first.src[..]),
            (REL, "10.0.0.1:5121", "192.0.2.9:20")
        );
        let answer =
            send(&tracker, &known(), &tcp(way("10.0.0.1:5121", "192.0.2.9:20"), SYN | ACK, 1, 2, ""));
        assert_eq!((answer.state & REL, &answer.src[..]), (REL, "198.51.100.1:5121"));
        // The second announcement moves what comes behind it once more.
        let next = 101 + len;
        let out = send(
            &tracker,
            &known(),
            &tcp(there, ACK, next, 501 + ok.len() as u32, "EPRT |1|10.0.0.1|5122|\r\n"),
        );
        assert_eq!((&out.text[..], out.seq), ("EPRT |1|198.51.100.1|5122|\r\n", next + grown));
        let next = next + "EPRT |1|10.0.0.1|5122|\r\n".len() as u32;
        let out = send(&tracker, &known(), &tcp(there, ACK, next, 501, "QUIT\r\n"));
        assert_eq!((&out.text[..], out.seq), ("QUIT\r\n", next + grown + 4));
        assert_eq!(state::format(out.state, u32::MAX), "est|trk|snat");
    }

    #[test]
    fn passive_mode_behind_destination_translation() {
        let tracker = Tracker::new(Config::default());
        let (there, back) = (way(CLIENT, "198.51.100.7:21"), way(SERVER, CLIENT));
        open(&tracker, there, back, Some(translate(NatSide::Dst, "192.0.2.9")));
        let said = "227 Entering Passive Mode (192,0,2,9,4,1).\r\n";
        let out = send(&tracker, &known(), &tcp(back, ACK, 501, 101, said));
        assert_eq!(out.text, "227 Entering Passive Mode (198,51,100,7,4,1).\r\n");
        let out = send(&tracker, &known(), &tcp(there, ACK, 101, 501 + out.text.len() as u32, "LIST\r\n"));
        assert_eq!(out.ack, 501 + said.len() as u32);
        let first = send(&tracker, &commit(), &tcp(way("10.0.0.1:4001", "198.51.100.7:1025"), SYN, 1, 0, ""));
        assert_eq!((first.state & REL, &first.dst[..]), (REL, "192.0.2.9:1025"));
        let out =
            send(&tracker, &known(), &tcp(back, ACK, 501 + said.len() as u32, 107, "229 (|||1026|)\r\n"));
        assert_eq!(out.text, "229 (|||1026|)\r\n");
        let first = send(&tracker, &commit(), &tcp(way("10.0.0.1:4002", "198.51.100.7:1026"), SYN, 1, 0, ""));
        assert_eq!((first.state & REL, &first.dst[..]), (REL, "192.0.2.9:1026"));
    }

    #[test]
    fn passive_mode_behind_source_translation_and_ipv6() {
        let tracker = Tracker::new(Config::default());
        let (client, server, outside) = ("[fd00::1]:4000", "[fd01::9]:21", "[fd02::1]:4000");
        let (there, back) = (way(client, server), way(server, outside));
        open(&tracker, there, back, Some(translate(NatSide::Src, "fd02::1")));
        let said = "229 Entering Extended Passive Mode (|||6446|)\r\n";
        assert_eq!(send(&tracker, &known(), &tcp(back, ACK, 501, 101, said)).text, said);
        let first = send(&tracker, &commit(), &tcp(way("[fd00::1]:4001", "[fd01::9]:6446"), SYN, 1, 0, ""));
        assert_eq!((first.state & REL, &first.src[..]), (REL, "[fd02::1]:4001"));
        let out = send(&tracker, &known(), &tcp(there, ACK, 101, 501, "EPRT |2|fd00::1|5122|\r\n"));
        assert_eq!(out.text, "EPRT |2|fd02::1|5122|\r\n");
        let first = send(&tracker, &commit(), &tcp(way("[fd01::9]:20", "[fd02::1]:5122"), SYN, 1, 0, ""));
        assert_eq!((first.state & REL, &first.dst[..]), (REL, "[fd00::1]:5122"));
    }

    #[test]
    fn two_clients_behind_one_address_may_announce_one_port() {
        let tracker = Tracker::new(Config::default());
        let nat = || Some(translate(NatSide::Src, "198.51.100.1"));
        open(&tracker, way(CLIENT, SERVER), way(SERVER, OUTSIDE), nat());
        let (second, moved) = ("10.0.0.2:4000", "198.51.100.1:4001");
        open(&tracker, way(second, SERVER), way(SERVER, moved), nat());
        send(&tracker, &known(), &tcp(way(CLIENT, SERVER), ACK, 101, 501, "PORT 10,0,0,1,20,1\r\n"));
        let out =
            send(&tracker, &known(), &tcp(way(second, SERVER), ACK, 101, 501, "PORT 10,0,0,2,20,1\r\n"));
        let told = crate::alg::ftp::find(out.text.as_bytes(), crate::alg::ftp::From::Client).unwrap();
        assert_ne!(told.port, 5121);
        let outside = format!("198.51.100.1:{}", told.port);
        let first = send(&tracker, &commit(), &tcp(way("192.0.2.9:20", &outside), SYN, 1, 0, ""));
        assert_eq!((first.state & REL, &first.dst[..]), (REL, "10.0.0.2:5121"));
        let first = send(&tracker, &commit(), &tcp(way("192.0.2.9:20", "198.51.100.1:5121"), SYN, 1, 0, ""));
        assert_eq!((first.state & REL, &first.dst[..]), (REL, "10.0.0.1:5121"));
    }

    #[test]
    fn a_tftp_server_answers_from_another_port() {
        let udp = |(from, to): Way, payload: &[u8]| {
            frame(
                (from, to),
                L4::Udp { src: from.port(), dst: to.port(), checksum: true, payload: payload.to_vec() },
            )
        };
        for nat in [None, Some(translate(NatSide::Src, "198.51.100.1"))] {
            let tracker = Tracker::new(Config::default());
            let outside = if nat.is_some() { OUTSIDE } else { CLIENT };
            let helper = Some(Helper::Tftp);
            let request = Request { commit: true, helper, nat, ..Request::default() };
            send(&tracker, &request, &udp(way(CLIENT, "192.0.2.9:69"), b"\0\x01file\0octet\0"));
            let data = send(&tracker, &commit(), &udp(way("192.0.2.9:33000", outside), b"\0\x03\0\x01data"));
            assert_eq!((data.state & REL, &data.dst[..]), (REL, CLIENT));
            let ack = send(&tracker, &known(), &udp(way(CLIENT, "192.0.2.9:33000"), b"\0\x04\0\x01"));
            assert_eq!((ack.state & (EST | REL), &ack.src[..]), (EST | REL, outside));
        }
    }
}
