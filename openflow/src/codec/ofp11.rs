//! The match structure of OpenFlow 1.1: 88 bytes; in its masks a one is a wildcard.

use packet::key::VLAN_PRESENT;

use super::ofp10::mac;
use crate::wire::{Reader, put_zeros};
use crate::{FieldId, Match, OfError, OfPort, Version};

/// Bytes of the structure.
pub const LEN: usize = 88;

const IN_PORT: u32 = 1 << 0;
const DL_VLAN: u32 = 1 << 1;
const DL_VLAN_PCP: u32 = 1 << 2;
const DL_TYPE: u32 = 1 << 3;
const NW_TOS: u32 = 1 << 4;
const NW_PROTO: u32 = 1 << 5;
const TP_SRC: u32 = 1 << 6;
const TP_DST: u32 = 1 << 7;
const MPLS_LABEL: u32 = 1 << 8;
const MPLS_TC: u32 = 1 << 9;
/// `OFPVID_ANY`: some tag.
const VID_ANY: u16 = 0xfffe;
/// `OFPVID_NONE`: no tag.
const VID_NONE: u16 = 0xffff;

/// Reads the match of a message of OpenFlow 1.1 or later: this structure or an OXM match.
pub fn pull_any(reader: &mut Reader<'_>) -> Result<Match, OfError> {
    let head = reader.peek().first_chunk::<4>().ok_or(OfError::OFPBMC_BAD_LEN)?;
    match u16::from_be_bytes([head[0], head[1]]) {
        0 if head[2..] == (LEN as u16).to_be_bytes() && reader.len() >= LEN => pull(reader),
        0 => Err(OfError::OFPBMC_BAD_LEN),
        1 => super::nxm::pull_oxm(reader, false),
        _ => Err(OfError::OFPBMC_BAD_TYPE),
    }
}

/// Appends the match of a message of OpenFlow 1.1 or later in the form of that version.
pub fn put_any(out: &mut Vec<u8>, m: &Match, version: Version) {
    match version {
        Version::V10 | Version::V11 => put(out, m),
        _ => super::nxm::put_oxm(out, m, version),
    }
}

/// Reads the structure.
pub fn pull(r: &mut Reader<'_>) -> Result<Match, OfError> {
    let mut m = Match::any();
    r.skip(4)?;
    let (in_port, wildcards) = (r.u32()?, r.u32()?);
    let matched = |bit| wildcards & bit == 0;
    if matched(IN_PORT) {
        m.set_in_port(OfPort::from_u32(in_port).map_err(|_| OfError::OFPBMC_BAD_VALUE)?);
    }
    for field in [FieldId::EthSrc, FieldId::EthDst] {
        let (value, wild) = (mac(r.array()?), mac(r.array()?));
        m.set_masked(field, value, !wild & field.info().exact());
    }
    let (dl_vlan, dl_vlan_pcp) = (r.u16()?, r.u8()?);
    r.skip(1)?;
    if matched(DL_VLAN) {
        let pcp = matched(DL_VLAN_PCP).then_some(dl_vlan_pcp);
        pull_vlan(&mut m, dl_vlan, pcp)?;
    }
    let dl_type = r.u16()?;
    if matched(DL_TYPE) {
        m.set(FieldId::EthType, dl_type.into());
    }
    pull_l3(&mut m, r, wildcards)?;
    pull_mpls_metadata(&mut m, r, wildcards)?;
    Ok(m)
}

fn pull_vlan(m: &mut Match, vid: u16, pcp: Option<u8>) -> Result<(), OfError> {
    match vid {
        VID_NONE => {
            m.set(FieldId::DlVlan, VID_NONE.into());
            return Ok(());
        }
        VID_ANY => m.set_masked(FieldId::VlanTci, VLAN_PRESENT.into(), VLAN_PRESENT.into()),
        0..4096 => m.set(FieldId::DlVlan, vid.into()),
        _ => return Err(OfError::OFPBMC_BAD_VALUE),
    }
    match pcp {
        Some(pcp @ 0..8) => m.set(FieldId::DlVlanPcp, pcp.into()),
        Some(_) => return Err(OfError::OFPBMC_BAD_VALUE),
        None => {}
    }
    Ok(())
}

fn pull_l3(m: &mut Match, r: &mut Reader<'_>, wildcards: u32) -> Result<(), OfError> {
    let matched = |bit| wildcards & bit == 0;
    let (ipv4, arp) = (is_type(m, &[0x0800]), is_type(m, &[0x0806, 0x8035]));
    let (tos, proto) = (r.u8()?, r.u8()?);
    if ipv4 && matched(NW_TOS) {
        if tos & 3 != 0 {
            return Err(OfError::OFPBMC_BAD_VALUE);
        }
        m.set(FieldId::NwTos, tos.into());
    }
    if (ipv4 || arp) && matched(NW_PROTO) {
        m.set(FieldId::NwProto, proto.into());
    }
    for field in [FieldId::Ipv4Src, FieldId::Ipv4Dst] {
        let (value, wild) = (r.u32()?, r.u32()?);
        if ipv4 || arp {
            m.set_masked(field, value.into(), (!wild).into());
        }
    }
    let (src, dst) = (r.u16()?, r.u16()?);
    match m.key.nw_proto {
        1 if ipv4 => {
            pull_icmp(m, FieldId::IcmpType, src, matched(TP_SRC))?;
            pull_icmp(m, FieldId::IcmpCode, dst, matched(TP_DST))
        }
        6 | 17 | 132 if ipv4 => {
            let ports = [(FieldId::TcpSrc, src, TP_SRC), (FieldId::TcpDst, dst, TP_DST)];
            ports.iter().filter(|(.., bit)| matched(*bit)).for_each(|(f, port, _)| m.set(*f, (*port).into()));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn pull_icmp(m: &mut Match, field: FieldId, value: u16, matched: bool) -> Result<(), OfError> {
    if matched && value > 0xff {
        return Err(OfError::OFPBMC_BAD_FIELD);
    }
    if matched {
        m.set(field, value.into());
    }
    Ok(())
}

fn pull_mpls_metadata(m: &mut Match, r: &mut Reader<'_>, wildcards: u32) -> Result<(), OfError> {
    let mpls = is_type(m, &[0x8847, 0x8848]);
    let (label, tc) = (r.u32()?, r.u8()?);
    r.skip(3)?;
    if mpls && wildcards & MPLS_LABEL == 0 {
        m.set(FieldId::MplsLabel, (label & 0xf_ffff).into());
    }
    if mpls && wildcards & MPLS_TC == 0 {
        m.set(FieldId::MplsTc, (tc & 7).into());
    }
    let (metadata, wild) = (r.u64()?, r.u64()?);
    m.set_masked(FieldId::Metadata, metadata.into(), (!wild).into());
    Ok(())
}

/// Appends the structure. What it cannot say is left out.
pub fn put(out: &mut Vec<u8>, m: &Match) {
    let (key, mask) = (&m.key, &m.mask.0);
    let (dl_vlan, pcp, vlan_wildcards) = vlan(m);
    let unless = |matched: bool, bit: u32| if matched { 0 } else { bit };
    let wildcards = unless(mask.in_port.get() != 0, IN_PORT)
        | vlan_wildcards
        | unless(mask.eth_type.get() != 0, DL_TYPE)
        | unless(mask.nw_tos & 0xfc != 0, NW_TOS)
        | unless(mask.nw_proto != 0, NW_PROTO)
        | unless(mask.tp_src.get() != 0, TP_SRC)
        | unless(mask.tp_dst.get() != 0, TP_DST)
        | unless(m.mask_of(FieldId::MplsLabel) != 0, MPLS_LABEL)
        | unless(m.mask_of(FieldId::MplsTc) != 0, MPLS_TC);
    out.extend_from_slice(&[0, 0, 0, LEN as u8]);
    out.extend_from_slice(&key.in_port.get().to_be_bytes());
    out.extend_from_slice(&wildcards.to_be_bytes());
    put_eth(out, key.eth_src, mask.eth_src);
    put_eth(out, key.eth_dst, mask.eth_dst);
    out.extend_from_slice(&dl_vlan.to_be_bytes());
    out.extend_from_slice(&[pcp, 0]);
    out.extend_from_slice(&key.eth_type.get().to_be_bytes());
    out.extend_from_slice(&[key.nw_tos & 0xfc, key.nw_proto]);
    for word in [key.nw_src.get(), !mask.nw_src.get(), key.nw_dst.get(), !mask.nw_dst.get()] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&key.tp_src.get().to_be_bytes());
    out.extend_from_slice(&key.tp_dst.get().to_be_bytes());
    out.extend_from_slice(&(m.value(FieldId::MplsLabel) as u32).to_be_bytes());
    out.push(m.value(FieldId::MplsTc) as u8);
    put_zeros(out, 3);
    out.extend_from_slice(&key.metadata.get().to_be_bytes());
    out.extend_from_slice(&(!mask.metadata.get()).to_be_bytes());
}

fn put_eth(out: &mut Vec<u8>, value: [u8; 6], mask: [u8; 6]) {
    out.extend_from_slice(&value);
    out.extend_from_slice(&mask.map(|byte| !byte));
}

fn vlan(m: &Match) -> (u16, u8, u32) {
    let (tci, mask) = (m.key.vlan[0].tci.get(), m.mask.0.vlan[0].tci.get());
    if mask == 0 {
        return (0, 0, DL_VLAN | DL_VLAN_PCP);
    }
    if mask & VLAN_PRESENT != 0 && tci & VLAN_PRESENT == 0 {
        return (VID_NONE, 0, DL_VLAN_PCP);
    }
    let vid = if mask & 0xfff == 0 { VID_ANY } else { tci & 0xfff };
    let no_pcp = if mask & 0xe000 == 0 { DL_VLAN_PCP } else { 0 };
    (vid, (tci >> 13) as u8, no_pcp)
}

fn is_type(m: &Match, types: &[u16]) -> bool {
    types.contains(&m.key.eth_type.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back() {
        let mut m = Match::any();
        for step in 0..8 {
            match step {
                0 => m.set_in_port(OfPort::CONTROLLER),
                1 => m.set_masked(FieldId::VlanTci, 0x1000, 0x1000),
                2 => m.set_masked(FieldId::EthDst, 0x0100_0000_0000, 0x0100_0000_0000),
                3 => m.set(FieldId::EthType, 0x800),
                4 => m.set_masked(FieldId::Ipv4Dst, 0x0a00_0001, 0xff00_0001),
                5 => m.set(FieldId::NwProto, 1),
                6 => m.set(FieldId::IcmpType, 8),
                _ => m.set_masked(FieldId::Metadata, 0x10, 0xf0),
            }
            let mut bytes = Vec::new();
            put_any(&mut bytes, &m, Version::V11);
            assert_eq!(bytes.len(), LEN);
            assert_eq!(pull_any(&mut Reader::new(&bytes)).unwrap(), m);
        }
    }
}
