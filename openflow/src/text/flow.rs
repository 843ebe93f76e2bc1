//! A whole key as `ofproto/trace` and the log show a packet's.

use packet::key::FRAG_LATER;
use packet::{FlowKey, FlowMask};

use crate::Match;
use crate::field::{FieldId, Prereq};

/// In the tunnel flags: the tunnel has a key.
const TUNNEL_KEY: u16 = 8;

/// Every field that the packet has, and of what surrounds it what is not zero.
pub fn flow_text(key: &FlowKey) -> String {
    Match::new(key, &relevant(key)).to_string()
}

/// The mask of the fields that mean something for a packet with this key, but for context that is zero.
fn relevant(key: &FlowKey) -> FlowMask {
    use FieldId as F;
    let mut mask = FlowMask::default();
    let mut exact = |id: FieldId| id.set(&mut mask.0, id.info().exact());
    let context = [F::SkbPriority, F::PktMark, F::RecircId, F::DpHash, F::CtState, F::CtZone, F::CtMark];
    let more = [F::CtLabel, F::InPortOxm, F::Metadata, F::ActsetOutput, F::ConjId];
    let registers = (0..16).map(F::reg);
    for id in context.into_iter().chain(more).chain(registers).filter(|id| id.get(key) != 0) {
        exact(id);
    }
    exact(F::PacketType);
    if Prereq::Ct.holds(key) && key.ct_nw_proto != 0 {
        connection(key).iter().for_each(|id| exact(*id));
    }
    let tunnel = tunnel(key);
    tunnel.iter().for_each(|id| exact(*id));
    if key.packet_type.get() == 0 {
        [F::EthSrc, F::EthDst, F::EthType, F::VlanTci].into_iter().for_each(&mut exact);
    }
    network(key).iter().for_each(|id| exact(*id));
    if tunnel.len() > 1 {
        mask.0.tun_flags.set(u16::MAX);
    }
    if key.vlan[0].tci.get() != 0 {
        mask.0.vlan[1].tci.set(u16::MAX);
    }
    if Prereq::Mpls.holds(key) {
        labels(key, &mut mask);
    }
    mask
}

fn connection(key: &FlowKey) -> [FieldId; 5] {
    use FieldId as F;
    let (src, dst) = match Prereq::Ipv6.holds(key) {
        true => (F::CtIpv6Src, F::CtIpv6Dst),
        false => (F::CtNwSrc, F::CtNwDst),
    };
    [src, dst, F::CtNwProto, F::CtTpSrc, F::CtTpDst]
}

/// The fields of the tunnel, if the packet came through one; its key only where it has one.
fn tunnel(key: &FlowKey) -> &'static [FieldId] {
    use FieldId as F;
    const ALL: &[FieldId] = &[
        F::TunId,
        F::TunSrc,
        F::TunDst,
        F::TunIpv6Src,
        F::TunIpv6Dst,
        F::TunGbpId,
        F::TunGbpFlags,
        F::TunTos,
        F::TunTtl,
    ];
    match key.tun_dst.get() != 0 || key.tun_ipv6_dst != [0; 16] {
        true if key.tun_flags.get() & TUNNEL_KEY != 0 => ALL,
        true => &ALL[1..],
        false if key.tun_id.get() != 0 => &ALL[..1],
        false => &[],
    }
}

/// The fields from the network header on.
fn network(key: &FlowKey) -> Vec<FieldId> {
    use FieldId as F;
    if Prereq::Arp.holds(key) {
        return vec![F::ArpOp, F::ArpSpa, F::ArpTpa, F::ArpSha, F::ArpTha];
    }
    let mut out = if Prereq::Ipv4.holds(key) {
        vec![F::Ipv4Src, F::Ipv4Dst]
    } else if Prereq::Ipv6.holds(key) {
        vec![F::Ipv6Src, F::Ipv6Dst, F::Ipv6Label]
    } else {
        return Vec::new();
    };
    out.extend([F::NwProto, F::NwTos, F::NwEcn, F::NwTtl, F::IpFrag]);
    if key.nw_frag & FRAG_LATER != 0 {
        return out;
    }
    match key.nw_proto {
        6 => out.extend([F::TcpSrc, F::TcpDst, F::TcpFlags]),
        17 | 132 => out.extend([F::TcpSrc, F::TcpDst]),
        2 if Prereq::Ipv4.holds(key) => out.extend([F::TcpSrc, F::TcpDst]),
        1 if Prereq::Ipv4.holds(key) => out.extend([F::IcmpType, F::IcmpCode]),
        58 if Prereq::Ipv6.holds(key) => out.extend([F::Icmpv6Type, F::Icmpv6Code]),
        _ => {}
    }
    if Prereq::Nd.holds(key) {
        out.extend([F::NdTarget, F::NdSll, F::NdTll]);
    }
    out
}

/// The label stack down to its bottom.
fn labels(key: &FlowKey, mask: &mut FlowMask) {
    for n in 0..key.mpls_lse.len() {
        mask.0.mpls_lse[n].set(u32::MAX);
        if key.mpls_lse[n].get() & 0x100 != 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_match;

    fn flow(text: &str) -> String {
        flow_text(&parse_match(text, &|_| None).unwrap().key)
    }

    #[test]
    fn packets() {
        assert_eq!(
            flow("in_port=1,tcp,nw_dst=10.0.0.2,tp_dst=80"),
            "tcp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,\
             nw_dst=10.0.0.2,nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=no,tp_src=0,tp_dst=80,tcp_flags=0"
        );
        assert_eq!(
            flow("in_port=1,dl_vlan=5,arp,arp_op=1,reg1=3"),
            "arp,reg1=0x3,in_port=1,dl_vlan=5,dl_vlan_pcp=0,vlan_tci1=0x0000,dl_src=00:00:00:00:00:00,\
             dl_dst=00:00:00:00:00:00,arp_spa=0.0.0.0,arp_tpa=0.0.0.0,arp_op=1,arp_sha=00:00:00:00:00:00,\
             arp_tha=00:00:00:00:00:00"
        );
    }
}
