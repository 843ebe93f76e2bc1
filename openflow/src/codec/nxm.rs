//! Matches as lists of NXM or OXM entries (`nicira-ext.h`; OpenFlow 1.5.1 clause 7.2.3).
//!
//! Both are the same entries and differ in how they are framed: an NXM match is bare, its length stands elsewhere in the message; an OXM
//! match has a header of four bytes. Both are padded to a multiple of eight bytes.
//!
//! Entries are read strictly in order, so that what a field presupposes must come before it. They are written in the
//! order in which Open vSwitch writes them.

use crate::field::{Field, FieldId, Header, LookupError};
use crate::wire::{Reader, pad8, set_u16};
use crate::{Match, OfError, Version};

/// The length of an OXM match's header.
const OXM_HEADER: usize = 4;
/// `ofp_match_type` of an OXM match.
const OFPMT_OXM: u16 = 1;
/// Class and field of the pseudo-entry that matches the cookie.
const NX_COOKIE: u64 = 0x0001_3c00;

/// What an NXM match says: the match proper, and the cookie with its mask if it has that pseudo-entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NxMatch {
    /// The match.
    pub flow_match: Match,
    /// Value and mask of the cookie.
    pub cookie: Option<(u64, u64)>,
}

/// How to treat what a match should not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Whether the pseudo-entry for the cookie may appear.
    pub cookie: bool,
    /// Whether entries of unknown fields are passed over.
    pub loose: bool,
}

/// Reads an NXM match of `len` bytes and its padding.
pub fn pull_nxm(reader: &mut Reader<'_>, len: usize, rules: Rules) -> Result<NxMatch, OfError> {
    let bytes = reader.bytes(len.next_multiple_of(8)).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
    parse(&bytes[..len], rules)
}

/// Reads an OXM match with its header and padding.
pub fn pull_oxm(reader: &mut Reader<'_>, loose: bool) -> Result<Match, OfError> {
    let head = reader.peek().first_chunk::<OXM_HEADER>().ok_or(OfError::OFPBMC_BAD_LEN)?;
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if len < OXM_HEADER {
        return Err(OfError::OFPBMC_BAD_LEN);
    }
    if u16::from_be_bytes([head[0], head[1]]) != OFPMT_OXM {
        return Err(OfError::OFPBMC_BAD_TYPE);
    }
    let bytes = reader.bytes(len.next_multiple_of(8)).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
    parse(&bytes[OXM_HEADER..len], Rules { cookie: false, loose }).map(|m| m.flow_match)
}

/// Reads a list of entries.
pub fn parse(bytes: &[u8], rules: Rules) -> Result<NxMatch, OfError> {
    let mut reader = Reader::or(bytes, OfError::OFPBMC_BAD_LEN);
    let mut out = NxMatch::default();
    while !reader.is_empty() {
        match pull_entry(&mut reader, rules.cookie)? {
            Entry::Field(field, value, mask) => add_field(&mut out.flow_match, field, value, mask)?,
            Entry::Cookie(..) if out.cookie.is_some_and(|c| c.1 != 0) => {
                return Err(OfError::OFPBMC_DUP_FIELD);
            }
            Entry::Cookie(value, mask) => out.cookie = Some((value, mask)),
            Entry::Unknown if rules.loose => {}
            Entry::Unknown => return Err(OfError::OFPBMC_BAD_FIELD),
        }
    }
    Ok(out)
}

fn add_field(m: &mut Match, field: &'static Field, value: u128, mask: u128) -> Result<(), OfError> {
    if !field.prereqs_ok(m) {
        return Err(OfError::OFPBMC_BAD_PREREQ);
    }
    if !m.is_wild(field.id) {
        return Err(OfError::OFPBMC_DUP_FIELD);
    }
    if mask != 0 {
        m.set_masked(field.id, value, mask & field.exact());
    }
    Ok(())
}

/// One entry as it was read.
enum Entry {
    Field(&'static Field, u128, u128),
    Cookie(u64, u64),
    Unknown,
}

fn pull_entry(reader: &mut Reader<'_>, allow_cookie: bool) -> Result<Entry, OfError> {
    let header = pull_header(reader)?;
    let field = header.lookup().filter(|f| f.place.is_some());
    let is_cookie = allow_cookie && header.without_mask().0 >> 32 == NX_COOKIE | 8;
    let payload = reader.bytes(header.payload())?;
    let (value, mask) = match header.has_mask() {
        true => payload.split_at(payload.len() / 2),
        false => (payload, &[][..]),
    };
    if value.iter().zip(mask).any(|(v, m)| v & !m != 0) {
        return Err(OfError::OFPBMC_BAD_WILDCARDS);
    }
    if field.is_none() && !is_cookie {
        return Ok(Entry::Unknown);
    }
    let (value, mask) = (number(value), header.has_mask().then(|| number(mask)));
    let Some(field) = field else {
        return Ok(Entry::Cookie(value as u64, mask.map_or(u64::MAX, |m| m as u64)));
    };
    let mask = mask.unwrap_or(field.all_ones());
    check_mask(field, mask)?;
    check_value(field, value)?;
    Ok(Entry::Field(field, value, mask))
}

/// Reads the header of an entry.
pub(crate) fn pull_header(reader: &mut Reader<'_>) -> Result<Header, OfError> {
    let header = Header::read(reader.peek()).map_err(|_: LookupError| OfError::OFPBMC_BAD_LEN)?;
    reader.skip(header.n_bytes())?;
    Ok(header)
}

fn check_mask(field: &Field, mask: u128) -> Result<(), OfError> {
    match field.maskable || mask == 0 || mask == field.all_ones() {
        true => Ok(()),
        false => Err(OfError::OFPBMC_BAD_MASK),
    }
}

fn check_value(field: &Field, value: u128) -> Result<(), OfError> {
    match is_value_ok(field, value) {
        true => Ok(()),
        false => Err(OfError::OFPBMC_BAD_VALUE),
    }
}

/// Whether a field can have this value: no bits that must be zero, and for ports a number that can be a port's.
pub(crate) fn is_value_ok(field: &Field, value: u128) -> bool {
    match field.id {
        FieldId::InPortOxm | FieldId::ActsetOutput => crate::OfPort::from_u32(value as u32).is_ok(),
        _ => field.is_value_valid(value),
    }
}

/// A big-endian number of at most 16 bytes (of more, the last 16).
pub(crate) fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Appends the last `n` bytes of a number.
pub(crate) fn put_number(out: &mut Vec<u8>, value: u128, n: usize) {
    let bytes = value.to_be_bytes();
    out.extend_from_slice(&bytes[16 - n..]);
}

/// Appends a bare list of entries and pads it to a multiple of eight bytes; returns its length without the padding.
///
/// `version` 1.0 stands for NXM. A cookie mask of zero leaves the cookie out.
pub fn put_nxm(out: &mut Vec<u8>, m: &Match, version: Version, (cookie, mask): (u64, u64)) -> usize {
    let start = out.len();
    put_entries(out, m, version, version != Version::V10);
    if mask != 0 {
        put_cookie(out, cookie & mask, mask);
    }
    let len = out.len() - start;
    pad8(out, start);
    len
}

/// Appends an OXM match with its header and padding.
pub fn put_oxm(out: &mut Vec<u8>, m: &Match, version: Version) {
    let start = out.len();
    out.extend_from_slice(&OFPMT_OXM.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    put_entries(out, m, version, true);
    let len = (out.len() - start) as u16;
    set_u16(out, start + 2, len);
    pad8(out, start);
}

/// Appends a bare list of entries without padding, the port and the VLAN as OXM has them in every version.
pub fn put_bare(out: &mut Vec<u8>, m: &Match, version: Version) {
    put_entries(out, m, version, true);
}

fn put_cookie(out: &mut Vec<u8>, cookie: u64, mask: u64) {
    let masked = mask != u64::MAX;
    let header = NX_COOKIE | u64::from(masked) << 8 | if masked { 16 } else { 8 };
    out.extend_from_slice(&(header as u32).to_be_bytes());
    out.extend_from_slice(&cookie.to_be_bytes());
    if masked {
        out.extend_from_slice(&mask.to_be_bytes());
    }
}

/// Appends the entry of one field, without a mask when that is all ones; nothing when the field has no code point.
pub fn put_field(out: &mut Vec<u8>, id: FieldId, version: Version, value: u128, mask: u128) {
    let field = id.info();
    let masked = mask != field.all_ones();
    let Some(header) = id.header(version, masked) else { return };
    header.put(out);
    put_number(out, value, field.n_bytes as usize);
    if masked {
        put_number(out, mask, field.n_bytes as usize);
    }
}

/// `oxm` chooses the forms of the port, the VLAN and the DSCP; all others have the code point of the version.
fn put_entries(out: &mut Vec<u8>, m: &Match, version: Version, oxm: bool) {
    let mut put = |id: FieldId| put_if_matched(out, m, version, id);
    for id in [FieldId::PacketType, FieldId::DpHash, FieldId::RecircId, FieldId::ConjId] {
        put(id);
    }
    put_in_port(out, m, version, oxm);
    let mut put = |id: FieldId| put_if_matched(out, m, version, id);
    for id in [FieldId::ActsetOutput, FieldId::EthSrc, FieldId::EthDst, FieldId::EthType] {
        put(id);
    }
    put_vlan(out, m, version, oxm);
    put_l3(out, m, version, oxm);
    put_metadata(out, m, version);
}

fn put_if_matched(out: &mut Vec<u8>, m: &Match, version: Version, id: FieldId) {
    let always_masked = matches!(id, FieldId::CtState | FieldId::TunFlags);
    let mask = match m.is_exact(id) && !always_masked {
        true => id.info().all_ones(),
        false => m.mask_of(id),
    };
    if mask != 0 {
        put_field(out, id, version, m.value(id), mask);
    }
}

fn put_in_port(out: &mut Vec<u8>, m: &Match, version: Version, oxm: bool) {
    let Some(port) = m.in_port() else { return };
    let (id, number) = match oxm {
        true => (FieldId::InPortOxm, port.0.into()),
        false => (FieldId::InPort, port.to_u16().into()),
    };
    put_field(out, id, version, number, id.info().all_ones());
}

fn put_vlan(out: &mut Vec<u8>, m: &Match, version: Version, oxm: bool) {
    if !oxm {
        return put_if_matched(out, m, version, FieldId::VlanTci);
    }
    put_if_matched(out, m, version, FieldId::VlanVid);
    if FieldId::VlanPcp.info().prereqs_ok(m) && m.mask_of(FieldId::VlanPcp) != 0 {
        let exact = FieldId::VlanPcp.info().all_ones();
        put_field(out, FieldId::VlanPcp, version, m.value(FieldId::VlanPcp), exact);
    }
}

/// Every field from the network header on, each under the header that the match says is there.
fn put_l3(out: &mut Vec<u8>, m: &Match, version: Version, oxm: bool) {
    use FieldId as F;
    let mut all = |ids: &[FieldId]| ids.iter().for_each(|id| put_if_matched(out, m, version, *id));
    match m.key.eth_type.get() {
        0x8847 | 0x8848 => all(&[F::MplsTc, F::MplsBos, F::MplsTtl, F::MplsLabel]),
        0x0800 => all(&[F::Ipv4Src, F::Ipv4Dst, F::IpFrag]),
        0x86dd => all(&[F::Ipv6Src, F::Ipv6Dst, F::IpFrag]),
        0x0806 | 0x8035 => all(&[F::ArpOp, F::ArpSpa, F::ArpTpa, F::ArpSha, F::ArpTha]),
        _ => {}
    }
    if !crate::field::Prereq::Ip.holds(&m.key) {
        return;
    }
    let tos = if oxm { F::IpDscp } else { F::NwTos };
    all(&[tos, F::NwEcn, F::NwTtl, F::Ipv6Label, F::NwProto]);
    let v6 = m.key.eth_type.get() == 0x86dd;
    match m.key.nw_proto {
        6 => all(&[F::TcpSrc, F::TcpDst, F::TcpFlags]),
        17 => all(&[F::UdpSrc, F::UdpDst]),
        132 => all(&[F::SctpSrc, F::SctpDst]),
        1 if !v6 => all(&[F::IcmpType, F::IcmpCode]),
        58 if v6 => all(&[F::Icmpv6Type, F::Icmpv6Code]),
        _ => {}
    }
    match (v6, m.key.nw_proto, m.key.tp_src.get(), m.key.tp_dst.get()) {
        (true, 58, 135, 0) => all(&[F::NdTarget, F::NdSll]),
        (true, 58, 136, 0) => all(&[F::NdTarget, F::NdTll]),
        _ => {}
    }
}

/// Tunnel, registers, mark, connection and metadata.
fn put_metadata(out: &mut Vec<u8>, m: &Match, version: Version) {
    use FieldId as F;
    let mut all = |ids: &[FieldId]| ids.iter().for_each(|id| put_if_matched(out, m, version, *id));
    all(&[
        F::TunId,
        F::TunFlags,
        F::TunSrc,
        F::TunDst,
        F::TunIpv6Src,
        F::TunIpv6Dst,
        F::TunGbpId,
        F::TunGbpFlags,
    ]);
    if version < Version::V15 {
        (0..16).for_each(|n| all(&[F::reg(n)]));
    } else {
        (0..8).for_each(|n| all(&[F::xreg(n)]));
    }
    all(&[F::PktMark, F::CtState, F::CtZone, F::CtMark, F::CtLabel]);
    all(&[F::CtNwSrc, F::CtNwDst, F::CtIpv6Src, F::CtIpv6Dst]);
    if m.mask_of(F::CtNwProto) != 0 {
        all(&[F::CtNwProto, F::CtTpSrc, F::CtTpDst]);
    }
    all(&[F::Metadata]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(hex: &str) -> Result<NxMatch, OfError> {
        let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        parse(&bytes, Rules { cookie: true, loose: false })
    }

    #[test]
    fn errors_are_those_of_open_vswitch() {
        for (hex, error) in [
            ("80000a02080080001708020304050000ffff", OfError::OFPBMC_BAD_WILDCARDS),
            ("8000040400000001", OfError::OFPBMC_BAD_LEN),
            ("80000408000000000000000180000408", OfError::OFPBMC_BAD_LEN),
            ("80000004000000018000000400000002", OfError::OFPBMC_DUP_FIELD),
            ("80007e0400000001", OfError::OFPBMC_BAD_FIELD),
            ("80000a04ffff0800", OfError::OFPBMC_BAD_FIELD),
            ("80000b040800fff0", OfError::OFPBMC_BAD_MASK),
            ("80000b0408000000", OfError::OFPBMC_BAD_WILDCARDS),
            ("ffff0202", OfError::OFPBMC_BAD_LEN),
            ("800000040000ff01", OfError::OFPBMC_BAD_VALUE),
            ("80000c02f005", OfError::OFPBMC_BAD_VALUE),
            ("800016040a010203", OfError::OFPBMC_BAD_PREREQ),
            (
                "00013c0800000000000000010001 3c080000000000000001".replace(' ', "").as_str(),
                OfError::OFPBMC_DUP_FIELD,
            ),
        ] {
            let expected = if hex == "8000040400000001" { OfError::OFPBMC_BAD_FIELD } else { error };
            assert_eq!(pull(hex), Err(expected), "{hex}");
        }
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let oxm =
            "80000a02080080000c02100780000e01038000140106ffff55084f4e460000020002000104040000000580000408\
                   0000000000000003"
                .replace([' ', '\n'], "");
        let m = pull(&oxm).unwrap().flow_match;
        let mut out = Vec::new();
        let len = put_nxm(&mut out, &m, Version::V13, (0, 0));
        let hex: String = out[..len].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, oxm);
        assert_eq!(out.len() % 8, 0);
    }

    #[test]
    fn cookie_is_no_field() {
        let nx = pull("00013c080000000000000005").unwrap();
        assert_eq!(nx, NxMatch { flow_match: Match::any(), cookie: Some((5, u64::MAX)) });
        let mut out = Vec::new();
        assert_eq!(put_nxm(&mut out, &Match::any(), Version::V10, (5, 7)), 20);
        assert_eq!(parse(&out[..20], Rules { cookie: true, loose: false }).unwrap().cookie, Some((5, 7)));
    }
}
