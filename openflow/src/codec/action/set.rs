//! Actions that write fields: set-field, `load`, `move` and copy-field.

use crate::action::{Action, SetField, SetForm};
use crate::codec::nxm;
use crate::field::{Field, FieldId, Header, LookupError, SubField, ones};
use crate::wire::{Reader, pad8, put_zeros, set_u16};
use crate::{OfError, Version};

/// Bit of a VLAN id that says that there is a tag.
const VID_PRESENT: u128 = 0x1000;

/// Reads the body of set-field, which before 1.5 has no mask.
pub(super) fn decode_set_field(version: Version, r: &mut Reader<'_>) -> Result<Action, OfError> {
    let entry = pull_entry(r)?;
    if entry.mask.is_some() && version < Version::V15 {
        return Err(OfError::OFPBAC_BAD_SET_MASK);
    }
    let mask = entry.mask.unwrap_or(entry.field.all_ones());
    check_rest(r, OfError::OFPBAC_BAD_SET_ARGUMENT)?;
    let vlan_ok = entry.field.id != FieldId::VlanVid || mask & entry.value & VID_PRESENT != 0;
    if entry.field.id == FieldId::InPortOxm || !vlan_ok {
        return Err(OfError::OFPBAC_BAD_SET_ARGUMENT);
    }
    set_field(&entry, mask, SetForm::SetField)
}

/// Reads the body of Nicira's second `load`.
pub(super) fn decode_reg_load2(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let entry = pull_entry(r)?;
    check_rest(r, OfError::OFPBAC_BAD_SET_ARGUMENT)?;
    set_field(&entry, entry.mask.unwrap_or(entry.field.all_ones()), SetForm::Load2)
}

fn set_field(entry: &Entry, mask: u128, form: SetForm) -> Result<Action, OfError> {
    if !entry.field.writable || !nxm::is_value_ok(entry.field, entry.value) {
        return Err(OfError::OFPBAC_BAD_SET_ARGUMENT);
    }
    Ok(Action::SetField(SetField { field: entry.field.id, value: entry.value & mask, mask, form }))
}

/// Reads the body of Nicira's `load`.
pub(super) fn decode_reg_load(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (ofs, n_bits) = ofs_nbits(r.u16()?);
    let mut name = Reader::or(r.bytes(4)?, OfError::OFPBAC_BAD_LEN);
    let value = u128::from(r.u64()?);
    if value & !ones(u32::from(n_bits)) != 0 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let dst = check_dst(SubField { field: pull_short_field(&mut name)?, ofs, n_bits })?;
    let value = value << ofs & dst.field.info().exact();
    Ok(Action::SetField(SetField { field: dst.field, value, mask: dst.mask(), form: SetForm::Load }))
}

/// Reads the body of Nicira's `move`.
pub(super) fn decode_reg_move(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (n_bits, src_ofs, dst_ofs) = (r.u16()?, r.u16()?, r.u16()?);
    decode_move(r, n_bits, src_ofs, dst_ofs, false)
}

/// Reads the body of 1.5's copy-field, or of ONF's for 1.3, which is the same after two bytes.
pub(super) fn decode_copy_field(r: &mut Reader<'_>, onf: bool) -> Result<Action, OfError> {
    if onf && r.u16()? != 0 {
        return Err(OfError::NXBRC_MUST_BE_ZERO);
    }
    let (n_bits, src_ofs, dst_ofs) = (r.u16()?, r.u16()?, r.u16()?);
    r.skip(2)?;
    decode_move(r, n_bits, src_ofs, dst_ofs, true)
}

fn decode_move(
    r: &mut Reader<'_>,
    n_bits: u16,
    src_ofs: u16,
    dst_ofs: u16,
    onf: bool,
) -> Result<Action, OfError> {
    let src = SubField { field: pull_field(r)?, ofs: src_ofs, n_bits };
    let dst = SubField { field: pull_field(r)?, ofs: dst_ofs, n_bits };
    check_rest(r, OfError::NXBRC_MUST_BE_ZERO)?;
    Ok(Action::Move { src: check_src(src)?, dst: check_dst(dst)?, onf })
}

/// A value with the mask it came with, if it did.
struct Entry {
    field: &'static Field,
    value: u128,
    mask: Option<u128>,
}

fn pull_entry(r: &mut Reader<'_>) -> Result<Entry, OfError> {
    let header = pull_header(r)?;
    let payload = r.bytes(header.payload()).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
    let width = if header.has_mask() { payload.len() / 2 } else { payload.len() };
    let (value, mask) = payload.split_at(width);
    if value.iter().zip(mask).any(|(v, m)| v & !m != 0) {
        return Err(OfError::OFPBMC_BAD_WILDCARDS);
    }
    let field = match lookup(header) {
        None if header.names_any() => return Err(OfError::OFPBAC_BAD_SET_LEN),
        found => found.ok_or(OfError::OFPBAC_BAD_SET_TYPE)?,
    };
    let mask = header.has_mask().then(|| nxm::number(mask));
    Ok(Entry { field, value: nxm::number(value), mask })
}

fn pull_header(r: &mut Reader<'_>) -> Result<Header, OfError> {
    let header = Header::read(r.peek()).map_err(|_: LookupError| OfError::OFPBMC_BAD_LEN)?;
    r.skip(header.n_bytes()).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
    Ok(header)
}

/// The field that a header names, if we have a place for it.
fn lookup(header: Header) -> Option<&'static Field> {
    header.lookup().filter(|field| field.place.is_some())
}

/// Reads the header of a field that is named without a value, of four or eight bytes.
pub(super) fn pull_field(r: &mut Reader<'_>) -> Result<FieldId, OfError> {
    let header = pull_header(r)?;
    let field = lookup(header).ok_or(OfError::OFPBMC_BAD_FIELD)?;
    if header.has_mask() { Err(OfError::OFPBMC_BAD_MASK) } else { Ok(field.id) }
}

/// The same in the older actions, whose headers have four bytes.
pub(super) fn pull_short_field(r: &mut Reader<'_>) -> Result<FieldId, OfError> {
    let header = Header(u64::from(r.u32()?) << 32);
    match lookup(header) {
        Some(field) if !header.has_mask() => Ok(field.id),
        _ => Err(OfError::OFPBAC_BAD_SET_TYPE),
    }
}

/// Splits bit offset and width, which share 16 bits.
pub(super) fn ofs_nbits(word: u16) -> (u16, u16) {
    (word >> 6, (word & 0x3f) + 1)
}

/// Joins bit offset and width.
pub(super) fn put_ofs_nbits(out: &mut Vec<u8>, part: &SubField) {
    out.extend_from_slice(&(part.ofs << 6 | (part.n_bits - 1) & 0x3f).to_be_bytes());
}

/// Checks that bits lie within their field.
pub(super) fn check_src(part: SubField) -> Result<SubField, OfError> {
    match part.n_bits != 0 && part.check().is_ok() {
        true => Ok(part),
        false => Err(OfError::OFPBAC_BAD_SET_LEN),
    }
}

/// The same, and that the field can be written.
pub(super) fn check_dst(part: SubField) -> Result<SubField, OfError> {
    let part = check_src(part)?;
    if part.field.info().writable { Ok(part) } else { Err(OfError::OFPBAC_BAD_SET_ARGUMENT) }
}

/// Checks that what is left is zero.
pub(super) fn check_rest(r: &mut Reader<'_>, error: OfError) -> Result<(), OfError> {
    if r.rest().iter().all(|byte| *byte == 0) { Ok(()) } else { Err(error) }
}

/// Appends the header of a field as Nicira's actions name it.
pub(super) fn put_nxm_header(out: &mut Vec<u8>, field: FieldId) {
    if let Some(header) = field.header(Version::V10, false) {
        header.put(out);
    }
}

/// Whether a field has a header of four bytes in NXM.
pub(super) fn has_short_header(field: FieldId) -> bool {
    field.header(Version::V10, false).is_some_and(|header| header.n_bytes() == 4)
}

/// Appends a set-field action.
pub(super) fn put_set_field(out: &mut Vec<u8>, version: Version, field: FieldId, value: u128, mask: u128) {
    let start = out.len();
    out.extend_from_slice(&[0, 25, 0, 0]);
    nxm::put_field(out, field, version, value, mask & field.info().all_ones());
    finish(out, start);
}

/// Pads an action and writes its length.
pub(super) fn finish(out: &mut Vec<u8>, start: usize) {
    pad8(out, start);
    let len = (out.len() - start) as u16;
    set_u16(out, start + 2, len);
}

/// Appends set-field or `load` in the way of `version`.
pub(super) fn encode_set(out: &mut Vec<u8>, version: Version, set: &SetField) {
    let exact = set.mask == set.field.info().all_ones();
    match (version, set.form) {
        (Version::V15, _) => put_set_field(out, version, set.field, set.value, set.mask),
        (_, SetForm::Load | SetForm::Load2) => put_loads(out, set),
        (Version::V10 | Version::V11, _) => encode_legacy(out, version, set),
        _ if exact => put_set_field(out, version, set.field, set.value, set.mask),
        _ => put_loads(out, set),
    }
}

/// Appends what OpenFlow 1.0 and 1.1 have in place of set-field; it has no masks.
fn encode_legacy(out: &mut Vec<u8>, version: Version, set: &SetField) {
    let value = set.value as u64;
    let mut put = |action: &Action| super::encode::encode(out, version, action);
    let port = crate::action::L4Port { port: value as u16, proto: 0 };
    let vid = Action::SetVlanVid { vid: value as u16 & 0xfff, push_if_needed: false, flow_has_vlan: true };
    match set.field {
        FieldId::VlanTci => encode_tci(out, version, value as u16),
        FieldId::VlanVid | FieldId::DlVlan => put(&vid),
        FieldId::VlanPcp | FieldId::DlVlanPcp => put(&set_pcp(value as u8)),
        FieldId::EthSrc => put(&Action::SetEthSrc(mac(value))),
        FieldId::EthDst => put(&Action::SetEthDst(mac(value))),
        FieldId::Ipv4Src => put(&Action::SetIpv4Src(value as u32)),
        FieldId::Ipv4Dst => put(&Action::SetIpv4Dst(value as u32)),
        FieldId::NwTos => put(&Action::SetIpDscp(value as u8)),
        FieldId::IpDscp => put(&Action::SetIpDscp((value as u8) << 2)),
        FieldId::NwEcn => put(&Action::SetIpEcn(value as u8)),
        FieldId::TcpSrc | FieldId::UdpSrc => put(&Action::SetL4Src(port)),
        FieldId::TcpDst | FieldId::UdpDst => put(&Action::SetL4Dst(port)),
        _ => put_loads(out, set),
    }
}

fn set_pcp(pcp: u8) -> Action {
    Action::SetVlanPcp { pcp, push_if_needed: false, flow_has_vlan: true }
}

fn mac(value: u64) -> [u8; 6] {
    let b = value.to_be_bytes();
    [b[2], b[3], b[4], b[5], b[6], b[7]]
}

/// Setting the whole tag adds, changes or removes it.
fn encode_tci(out: &mut Vec<u8>, version: Version, tci: u16) {
    let mut put = |action: &Action| super::encode::encode(out, version, action);
    if tci & VID_PRESENT as u16 == 0 {
        return put(&Action::StripVlan);
    }
    if version > Version::V10 {
        put(&Action::PushVlan(0x8100));
    }
    put(&Action::SetVlanVid { vid: tci & 0xfff, push_if_needed: false, flow_has_vlan: true });
    put(&set_pcp((tci >> 13) as u8));
}

/// Appends Nicira's `load`s, one for each run of at most 64 bits, or their second form where the first cannot say it.
fn put_loads(out: &mut Vec<u8>, set: &SetField) {
    if set.form == SetForm::Load2 || !has_short_header(set.field) {
        let start = super::nx_encode::begin(out, 33);
        nxm::put_field(out, set.field, Version::V10, set.value, set.mask);
        return finish(out, start);
    }
    for (part, value) in segments(set) {
        let start = super::nx_encode::begin(out, 7);
        put_ofs_nbits(out, &part);
        put_nxm_header(out, set.field);
        out.extend_from_slice(&value.to_be_bytes());
        finish(out, start);
    }
}

/// The runs of ones of at most 64 bits in the mask of a set-field, from the least significant, with their values.
pub(crate) fn segments(set: &SetField) -> Vec<(SubField, u64)> {
    let mut out = Vec::new();
    let mut ofs = 0;
    while ofs < set.field.info().n_bits {
        let rest = set.mask >> ofs;
        if rest & 1 == 0 {
            ofs += 1;
            continue;
        }
        let n_bits = rest.trailing_ones().min(64).min(set.field.info().n_bits - ofs);
        let part = SubField { field: set.field, ofs: ofs as u16, n_bits: n_bits as u16 };
        out.push((part, (set.value >> ofs & ones(n_bits)) as u64));
        ofs += n_bits;
    }
    out
}

/// Appends `move` in the way of `version`.
pub(super) fn encode_move(out: &mut Vec<u8>, version: Version, src: &SubField, dst: &SubField, onf: bool) {
    let copy = match (version, onf) {
        (Version::V15, _) => Some(0),
        (Version::V13, true) => Some(crate::error::ONF),
        _ => None,
    };
    let start = match copy {
        Some(0) => {
            let start = out.len();
            out.extend_from_slice(&[0, 28, 0, 0]);
            start
        }
        Some(_) => super::nx_encode::begin_onf(out, 3200),
        None => super::nx_encode::begin(out, 6),
    };
    for word in [src.n_bits, src.ofs, dst.ofs] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    put_zeros(out, if copy.is_some() { 2 } else { 0 });
    let names = if copy.is_some() { version } else { Version::V10 };
    for part in [src, dst] {
        if let Some(header) = part.field.header(names, false) {
            header.put(out);
        }
    }
    finish(out, start);
}
