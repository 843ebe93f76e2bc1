//! Trains: datagrams of one flow and size behind each other under one outer header, as `UDP_SEGMENT` and `VIRTIO_NET_HDR_GSO_UDP_L4` take
//! them. What is left of a super-frame when its segments have got tunnel headers goes out in one piece again.
//!
//! ```text
//!  | Ethernet | IP | UDP | VXLAN | inner frame | VXLAN | inner frame | ... | VXLAN | inner frame, maybe shorter |
//!                        |<----- gso.size ---->|
//! ```
//!
//! Whoever cuts it copies Ethernet, IP and UDP header for each piece. The outer UDP checksum of a train is always partial and so becomes
//! one, whatever the tunnel says; all checksums inside are complete.

use packet::{Checksum, Gso, GsoKind, Packet};

use crate::encap::Template;

const ETH_LEN: usize = 14;
const UDP_LEN: usize = 8;
/// Most bytes of an IP packet.
const MAX_IP: usize = u16::MAX as usize;

impl Template {
    /// Couples packets that this template was put in front of, in their order, into trains of at most `most` datagrams (Linux takes 64), and
    /// appends those to `out`. What cannot be coupled goes as it is: another flow's, one with a partial checksum inside, GRE.
    pub fn couple(&self, packets: impl IntoIterator<Item = Packet>, most: usize, out: &mut Vec<Packet>) {
        let mut train: Option<Train> = None;
        for packet in packets {
            if let Some(train) = &mut train
                && train.take(self, &packet, most)
            {
                continue;
            }
            out.extend(train.take().map(|train| train.finish(self)));
            if self.may_ride(&packet) {
                train = Some(Train { size: packet.len() - self.payload(), count: 1, open: true, packet });
            } else {
                out.push(packet);
            }
        }
        out.extend(train.map(|train| train.finish(self)));
    }

    /// Where the outer datagram's payload begins.
    fn payload(&self) -> usize {
        self.l4() + UDP_LEN
    }

    fn may_ride(&self, packet: &Packet) -> bool {
        let complete = match packet.offload.checksum {
            Checksum::Partial { start, .. } => usize::from(start) == self.l4(),
            _ => true,
        };
        self.udp && complete && packet.offload.gso.is_none() && packet.len() > self.payload()
    }
}

/// A train that is being made.
struct Train {
    packet: Packet,
    /// Bytes of a datagram's payload.
    size: usize,
    count: usize,
    /// No shorter one has closed it.
    open: bool,
}

impl Train {
    /// Adds a packet, if it fits.
    fn take(&mut self, template: &Template, packet: &Packet, most: usize) -> bool {
        let at = template.payload();
        let Some(more) = packet.data().get(at..) else { return false };
        let same_flow = packet.data()[template.l4()..][..4] == self.packet.data()[template.l4()..][..4];
        let room = self.count < most && self.packet.len() - ETH_LEN + more.len() <= MAX_IP;
        if !(self.open && same_flow && room && more.len() <= self.size && template.may_ride(packet)) {
            return false;
        }
        let taken = self.packet.extend(more).is_ok();
        if taken {
            self.count += 1;
            self.open = more.len() == self.size;
        }
        taken
    }

    fn finish(self, template: &Template) -> Packet {
        let Self { mut packet, size, count, .. } = self;
        if count == 1 {
            return packet;
        }
        let (l4, len) = (template.l4(), packet.len());
        let ident = u16::from_be_bytes([packet.data()[ETH_LEN + 4], packet.data()[ETH_LEN + 5]]);
        template.write_network(&mut packet.data_mut()[ETH_LEN..], len - ETH_LEN, ident);
        let udp_len = u16::try_from(len - l4).unwrap_or(u16::MAX);
        packet.data_mut()[l4 + 4..l4 + 6].copy_from_slice(&udp_len.to_be_bytes());
        template.leave_partial(&mut packet);
        let hdr_len = template.payload() as u16;
        packet.offload.gso = Some(Gso { kind: GsoKind::Udp, ecn: false, size: size as u16, hdr_len });
        packet
    }
}
