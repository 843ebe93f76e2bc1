//! The match structure of OpenFlow 1.0: 40 bytes, each field exact or a wildcard, addresses by prefix.

use packet::key::VLAN_PRESENT;

use crate::wire::Reader;
use crate::{FieldId, Match, OfError, OfPort};

/// Bytes of the structure.
pub const LEN: usize = 40;

const IN_PORT: u32 = 1 << 0;
const DL_VLAN: u32 = 1 << 1;
const DL_SRC: u32 = 1 << 2;
const DL_DST: u32 = 1 << 3;
const DL_TYPE: u32 = 1 << 4;
const NW_PROTO: u32 = 1 << 5;
const TP_SRC: u32 = 1 << 6;
const TP_DST: u32 = 1 << 7;
const NW_SRC_SHIFT: u32 = 8;
const NW_DST_SHIFT: u32 = 14;
const DL_VLAN_PCP: u32 = 1 << 20;
const NW_TOS: u32 = 1 << 21;
/// `OFP_VLAN_NONE`: no tag.
const VLAN_NONE: u16 = 0xffff;
const VID_MASK: u16 = 0xfff;
const PCP_MASK: u16 = 0xe000;

/// The structure as it stands on the wire.
struct Wire {
    wildcards: u32,
    in_port: u16,
    dl_src: [u8; 6],
    dl_dst: [u8; 6],
    dl_vlan: u16,
    dl_vlan_pcp: u8,
    dl_type: u16,
    nw_tos: u8,
    nw_proto: u8,
    nw_src: u32,
    nw_dst: u32,
    tp_src: u16,
    tp_dst: u16,
}

impl Wire {
    fn read(r: &mut Reader<'_>) -> Result<Self, OfError> {
        let (wildcards, in_port) = (r.u32()?, r.u16()?);
        let (dl_src, dl_dst, dl_vlan, dl_vlan_pcp) = (r.array()?, r.array()?, r.u16()?, r.u8()?);
        r.skip(1)?;
        let (dl_type, nw_tos, nw_proto) = (r.u16()?, r.u8()?, r.u8()?);
        r.skip(2)?;
        let (nw_src, nw_dst, tp_src, tp_dst) = (r.u32()?, r.u32()?, r.u16()?, r.u16()?);
        Ok(Self {
            wildcards,
            in_port,
            dl_src,
            dl_dst,
            dl_vlan,
            dl_vlan_pcp,
            dl_type,
            nw_tos,
            nw_proto,
            nw_src,
            nw_dst,
            tp_src,
            tp_dst,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.wildcards.to_be_bytes());
        out.extend_from_slice(&self.in_port.to_be_bytes());
        out.extend_from_slice(&self.dl_src);
        out.extend_from_slice(&self.dl_dst);
        out.extend_from_slice(&self.dl_vlan.to_be_bytes());
        out.extend_from_slice(&[self.dl_vlan_pcp, 0]);
        out.extend_from_slice(&self.dl_type.to_be_bytes());
        out.extend_from_slice(&[self.nw_tos, self.nw_proto, 0, 0]);
        out.extend_from_slice(&self.nw_src.to_be_bytes());
        out.extend_from_slice(&self.nw_dst.to_be_bytes());
        out.extend_from_slice(&self.tp_src.to_be_bytes());
        out.extend_from_slice(&self.tp_dst.to_be_bytes());
    }

    fn is_matched(&self, bit: u32) -> bool {
        self.wildcards & bit == 0
    }
}

/// Reads a match. What cannot be matched under the EtherType and protocol given is left out, as Open vSwitch does when it
/// "normalizes" a match.
pub fn pull(reader: &mut Reader<'_>) -> Result<Match, OfError> {
    let wire = Wire::read(reader)?;
    let mut m = Match::any();
    if wire.is_matched(IN_PORT) {
        m.set_in_port(OfPort::from_u16(wire.in_port));
    }
    let mut exact = |bit, field, value: u128| {
        if wire.is_matched(bit) {
            m.set(field, value);
        }
    };
    exact(DL_SRC, FieldId::EthSrc, mac(wire.dl_src));
    exact(DL_DST, FieldId::EthDst, mac(wire.dl_dst));
    exact(DL_TYPE, FieldId::EthType, wire.dl_type.into());
    pull_vlan(&wire, &mut m);
    pull_l3(&wire, &mut m);
    Ok(m)
}

fn pull_vlan(wire: &Wire, m: &mut Match) {
    if wire.is_matched(DL_VLAN) && wire.dl_vlan == VLAN_NONE {
        return m.set(FieldId::DlVlan, VLAN_NONE.into());
    }
    if wire.is_matched(DL_VLAN) {
        m.set(FieldId::DlVlan, (wire.dl_vlan & VID_MASK).into());
    }
    if wire.is_matched(DL_VLAN_PCP) {
        m.set(FieldId::DlVlanPcp, (wire.dl_vlan_pcp & 7).into());
    }
}

fn pull_l3(wire: &Wire, m: &mut Match) {
    let (ip, ipv6, arp) = (is_type(m, &[0x0800]), is_type(m, &[0x86dd]), is_type(m, &[0x0806, 0x8035]));
    if ip || arp {
        m.set_masked(FieldId::Ipv4Src, wire.nw_src.into(), prefix(wire.wildcards >> NW_SRC_SHIFT).into());
        m.set_masked(FieldId::Ipv4Dst, wire.nw_dst.into(), prefix(wire.wildcards >> NW_DST_SHIFT).into());
    }
    if (ip || ipv6) && wire.is_matched(NW_TOS) {
        m.set(FieldId::NwTos, (wire.nw_tos & 0xfc).into());
    }
    if (ip || ipv6 || arp) && wire.is_matched(NW_PROTO) {
        m.set(FieldId::NwProto, wire.nw_proto.into());
        pull_l4(wire, m, ip, ipv6);
    }
}

fn pull_l4(wire: &Wire, m: &mut Match, ip: bool, ipv6: bool) {
    let (src, dst, bits) = match wire.nw_proto {
        6 | 17 | 132 if ip || ipv6 => (FieldId::TcpSrc, FieldId::TcpDst, 0xffff),
        1 if ip => (FieldId::IcmpType, FieldId::IcmpCode, 0xff),
        58 if ipv6 => (FieldId::IcmpType, FieldId::IcmpCode, 0xff),
        _ => return,
    };
    if wire.is_matched(TP_SRC) {
        m.set(src, u128::from(wire.tp_src) & bits);
    }
    if wire.is_matched(TP_DST) {
        m.set(dst, u128::from(wire.tp_dst) & bits);
    }
}

/// Appends a match. What the structure cannot say is left out.
pub fn put(out: &mut Vec<u8>, m: &Match) {
    let (key, mask) = (&m.key, &m.mask.0);
    let unless = |matched: bool, bit: u32| if matched { 0 } else { bit };
    let (dl_vlan, dl_vlan_pcp, vlan_wildcards) = vlan(m);
    let wildcards = unless(mask.in_port.get() != 0, IN_PORT)
        | unless(mask.eth_type.get() != 0, DL_TYPE)
        | unless(mask.nw_proto != 0, NW_PROTO)
        | wildcard_bits(mask.nw_src.get()) << NW_SRC_SHIFT
        | wildcard_bits(mask.nw_dst.get()) << NW_DST_SHIFT
        | unless(mask.nw_tos & 0xfc != 0, NW_TOS)
        | unless(mask.tp_src.get() != 0, TP_SRC)
        | unless(mask.tp_dst.get() != 0, TP_DST)
        | unless(mask.eth_src != [0; 6], DL_SRC)
        | unless(mask.eth_dst != [0; 6], DL_DST)
        | vlan_wildcards;
    let wire = Wire {
        wildcards,
        in_port: OfPort(key.in_port.get()).to_u16(),
        dl_src: key.eth_src,
        dl_dst: key.eth_dst,
        dl_vlan,
        dl_vlan_pcp,
        dl_type: key.eth_type.get(),
        nw_tos: key.nw_tos & 0xfc,
        nw_proto: key.nw_proto,
        nw_src: key.nw_src.get(),
        nw_dst: key.nw_dst.get(),
        tp_src: key.tp_src.get(),
        tp_dst: key.tp_dst.get(),
    };
    wire.put(out);
}

fn vlan(m: &Match) -> (u16, u8, u32) {
    let (tci, mask) = (m.key.vlan[0].tci.get(), m.mask.0.vlan[0].tci.get());
    if mask == 0 {
        return (0, 0, DL_VLAN | DL_VLAN_PCP);
    }
    if mask & VLAN_PRESENT != 0 && tci & VLAN_PRESENT == 0 {
        return (VLAN_NONE, 0, 0);
    }
    let no_vid = if mask & VID_MASK == 0 { DL_VLAN } else { 0 };
    let no_pcp = if mask & PCP_MASK == 0 { DL_VLAN_PCP } else { 0 };
    (tci & VID_MASK, (tci >> 13) as u8, no_vid | no_pcp)
}

fn is_type(m: &Match, types: &[u16]) -> bool {
    m.mask.0.eth_type.get() != 0 && types.contains(&m.key.eth_type.get())
}

pub(super) fn mac(bytes: [u8; 6]) -> u128 {
    super::nxm::number(&bytes)
}

/// The mask that so many wildcarded bits leave; only the low six bits count.
fn prefix(wildcarded: u32) -> u32 {
    u32::MAX.checked_shl(wildcarded & 0x3f).unwrap_or(0)
}

/// How many bits a prefix mask leaves wild.
fn wildcard_bits(mask: u32) -> u32 {
    32 - mask.count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(m: &Match) {
        let mut bytes = Vec::new();
        put(&mut bytes, m);
        assert_eq!(bytes.len(), LEN);
        assert_eq!(pull(&mut Reader::new(&bytes)).unwrap(), *m);
    }

    #[test]
    fn comes_back() {
        let mut m = Match::any();
        round_trip(&m);
        m.set_in_port(OfPort::LOCAL);
        m.set(FieldId::DlVlan, 5);
        m.set(FieldId::EthType, 0x800);
        m.set_masked(FieldId::Ipv4Src, 0x0a00_0000, 0xff00_0000);
        m.set(FieldId::NwTos, 0x20);
        m.set(FieldId::NwProto, 6);
        m.set(FieldId::TcpDst, 80);
        round_trip(&m);
        m.set(FieldId::DlVlan, 0xffff);
        round_trip(&m);
    }

    #[test]
    fn what_cannot_be_is_left_out() {
        let mut m = Match::any();
        m.set(FieldId::EthType, 0x1234);
        let bare = m;
        m.set(FieldId::NwProto, 6);
        m.set(FieldId::TcpDst, 80);
        let mut bytes = Vec::new();
        put(&mut bytes, &m);
        assert_eq!(pull(&mut Reader::new(&bytes)).unwrap(), bare);
    }
}
