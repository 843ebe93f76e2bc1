//! A conversation of two hosts, as a list of frames.

use std::net::Ipv4Addr;

use frames::{Frame, L4, Net, V4, V6};

/// What a conversation is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// TCP, all segments such as hosts send; some are lost, late or doubled.
    Tcp,
    /// TCP whose sides open at once.
    TcpBothOpen,
    /// TCP that was open before its first packet here.
    TcpMiddle,
    /// TCP whose other side never answers.
    TcpSilent,
    /// TCP with segments that no host sends: windows and numbers missed, resets, senseless flags.
    TcpTricks,
    /// UDP and errors about it.
    Udp,
    /// ICMP or ICMPv6, and errors about it.
    Icmp,
    /// SCTP.
    Sctp,
}

/// What the tracker in between makes of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nat {
    /// Nothing.
    None,
    /// All who open have one address towards the others.
    Source,
    /// All others are one host, who has another address towards those who open.
    Destination,
}

/// The two hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// By IPv6.
    pub(crate) v6: bool,
    /// Number of both hosts; each conversation has its own.
    pub(crate) number: u16,
    /// Translation between them.
    pub(crate) nat: Nat,
}

impl Ends {
    /// Network and number of the host that opens (`other` false) or of the other, as one of them sees it.
    fn place(self, other: bool, seen_by_other: bool) -> (u8, u16) {
        match (self.nat, other, seen_by_other) {
            (Nat::Source, false, true) => (9, 1),
            (Nat::Destination, true, false) => (8, 1),
            (Nat::Destination, true, true) => (2, 1),
            _ => (1 + u8::from(other), self.number),
        }
    }

    fn v4(self, other: bool, seen_by_other: bool) -> [u8; 4] {
        let (net, number) = self.place(other, seen_by_other);
        let [high, low] = number.to_be_bytes();
        [10, net, high, low]
    }

    fn v6(self, other: bool, seen_by_other: bool) -> [u8; 16] {
        let (net, number) = self.place(other, seen_by_other);
        let mut address = [0; 16];
        address[..2].copy_from_slice(&[0xfd, net]);
        address[14..].copy_from_slice(&number.to_be_bytes());
        address
    }

    fn bytes(self, other: bool, seen_by_other: bool) -> Vec<u8> {
        match self.v6 {
            true => self.v6(other, seen_by_other).to_vec(),
            false => self.v4(other, seen_by_other).to_vec(),
        }
    }

    /// The host's own address, as tools write it.
    pub(crate) fn text(self, other: bool) -> String {
        let (net, number) = self.place(other, other);
        if self.v6 {
            format!("fd0{net}::{number:x}")
        } else {
            Ipv4Addr::from(self.v4(other, other)).to_string()
        }
    }

    /// A frame from one host to the other, as it sends it.
    pub(crate) fn frame(self, reply: bool, l4: L4) -> Vec<u8> {
        self.frame_at(reply, reply, l4)
    }

    /// A frame from one host to the other, as the one or the other sees it.
    pub(crate) fn frame_at(self, reply: bool, seen_by_other: bool, l4: L4) -> Vec<u8> {
        let net = if self.v6 {
            let (src, dst) = (self.v6(reply, seen_by_other), self.v6(!reply, seen_by_other));
            Net::V6(V6 { src, dst, class: 0, label: 0, hops: 64, extensions: Vec::new(), l4 })
        } else {
            let (src, dst) = (self.v4(reply, seen_by_other), self.v4(!reply, seen_by_other));
            Net::V4(V4 { src, dst, l4, ..V4::default() })
        };
        let (dst, src) = ([2, 0, 0, 0, 1, 1 + u8::from(reply)], [2, 0, 0, 0, 0, 1 + u8::from(reply)]);
        Frame { dst, src, ..Frame::new(net) }.build()
    }

    /// The sum of a transport packet with its pseudo-header, as the one or the other sees it.
    pub(crate) fn sum(self, reply: bool, seen_by_other: bool, proto: u8, packet: &[u8]) -> u16 {
        let (src, dst) = (self.bytes(reply, seen_by_other), self.bytes(!reply, seen_by_other));
        let length = (packet.len() as u32).to_be_bytes();
        frames::inet(&[&src, &dst, &length, &[0, 0, 0, proto], packet])
    }
}

/// One packet of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// From the host that did not open.
    pub(crate) reply: bool,
    /// For people.
    pub(crate) what: String,
    /// TCP flags, else 0.
    pub(crate) flags: u8,
    /// TCP sequence number, else 0.
    pub(crate) seq: u32,
    /// A SYN with the largest window and a window scale.
    pub(crate) wide: bool,
    /// An error that holds less than eight bytes of the transport header.
    pub(crate) cut: bool,
    /// The frame.
    pub(crate) frame: Vec<u8>,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    /// What of.
    pub(crate) kind: Kind,
    /// Between whom.
    pub(crate) ends: Ends,
    /// Its packets as they pass the tracker.
    pub(crate) steps: Vec<Step>,
}

impl Talk {
    /// All packets up to this one, with what two trackers said of each.
    pub(crate) fn show(&self, said: [&[String]; 2], upto: usize) -> String {
        let mut text = format!("{:?} {:?}\n", self.kind, self.ends);
        for (at, step) in self.steps.iter().enumerate().take(upto + 1) {
            let side = if step.reply { '<' } else { '>' };
            let (ours, theirs) = (&said[0][at], &said[1][at]);
            let mark = if ours == theirs { "" } else { "   <== differs from " };
            let theirs = if ours == theirs { "" } else { theirs };
            text += &format!("  {side} {} : {ours}{mark}{theirs}\n", step.what);
        }
        text
    }
}

/// Writes a number into a frame by which it is known again: IPv4 identification or IPv6 flow label.
pub(crate) fn stamp(frame: &mut [u8], number: u16) {
    let number = number.to_be_bytes();
    if frame[12..14] == [0x08, 0x00] {
        frame[18..20].copy_from_slice(&number);
        frame[24..26].fill(0);
        let sum = frames::inet(&[&frame[14..34]]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    } else {
        frame[16..18].copy_from_slice(&number);
    }
}
