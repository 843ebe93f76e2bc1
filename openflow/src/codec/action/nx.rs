//! Nicira's actions (`nicira-ext.h`): vendor 0x2320, told apart by a subtype.

use super::set::{check_dst, check_rest, check_src, pull_field};
use super::{Decoded, Outer, ct, decode_list, encap, learn, output, set, std};
use crate::action::{Action, DecTtl, Resubmit};
use crate::field::SubField;
use crate::wire::Reader;
use crate::{OfError, OfPort, Version};

/// Any length from the shortest on.
const ANY: usize = usize::MAX;

/// Lengths of an action, by version and subtype.
pub(super) fn lengths(version: Version, subtype: u16) -> Option<(usize, usize)> {
    let old = version == Version::V10;
    match subtype {
        1 | 2 | 5 | 14 | 17 | 19 | 20 | 36 | 39 | 43 | 44 | 48 => {}
        47 if version >= Version::V13 => {}
        4 | 18 | 23..=26 | 40 if old => {}
        30 | 31 if old => {}
        _ => return longer_lengths(version, subtype),
    }
    Some((16, if subtype == 36 { ANY } else { 16 }))
}

fn longer_lengths(version: Version, subtype: u16) -> Option<(usize, usize)> {
    match subtype {
        7 | 9 | 15 | 27 | 28 | 29 | 32 => Some((24, 24)),
        10 => Some((32, 32)),
        22 if version <= Version::V11 => Some((32, 32)),
        22 => Some((32, 32)),
        38 | 41 => Some((32, 32)),
        6 | 35 | 49 => Some((24, ANY)),
        8 | 21 | 33 | 37 | 42 | 50 => Some((16, ANY)),
        46 if version >= Version::V13 => Some((16, ANY)),
        34 => Some((16, 16)),
        12 | 13 | 16 => Some((32, ANY)),
        45 => Some((40, ANY)),
        _ => None,
    }
}

/// Reads the body of an action, from its tenth byte on.
pub(super) fn decode(version: Version, subtype: u16, r: &mut Reader<'_>) -> Result<Decoded, OfError> {
    if subtype == 22 {
        zeros(r, 6)?;
        return Ok(Decoded::Metadata(r.u64()?, r.u64()?));
    }
    decode_action(version, subtype, r).map(Decoded::Action)
}

fn decode_action(version: Version, subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    match subtype {
        1 | 14 | 44 => resubmit(subtype, r),
        2 | 9 => set_tunnel(subtype, r),
        4 => word(r).map(Action::SetQueue),
        5 => Ok(Action::PopQueue),
        6 => set::decode_reg_move(r),
        7 => set::decode_reg_load(r),
        8 => Ok(Action::Note(r.rest().to_vec())),
        10 => output::decode_multipath(r),
        12 => output::decode_bundle(r, false),
        13 => output::decode_bundle(r, true),
        15 => output::decode_output_reg(r),
        16 => learn::decode(r, false),
        17 => Ok(Action::Exit),
        18 => Ok(Action::DecTtl(DecTtl { ids: vec![0], explicit: false })),
        19 => Ok(Action::FinTimeout { idle: r.u16()?, hard: r.u16()? }),
        20 => output::decode_controller(r),
        21 => dec_ttl_ids(r),
        23..=26 | 30 | 31 => mpls(subtype, r),
        27 | 28 => stack(subtype, r),
        29 | 38 | 41 => output::decode_sample(subtype, r),
        32 => output::decode_output_reg2(r),
        33 => set::decode_reg_load2(r),
        34 => conjunction(r),
        35 => ct::decode(version, r),
        36 => ct::decode_nat(r),
        37 => output::decode_controller2(r),
        39 => output::decode_trunc(r),
        40 => word(r).map(Action::Group),
        42 => clone(version, r),
        43 => zeros(r, 6).map(|()| Action::CtClear),
        45 => learn::decode(r, true),
        46 => encap::decode(r),
        47 => word(r).map(Action::Decap),
        48 => Ok(Action::DecNshTtl),
        49 => check_pkt_larger(r),
        50 => delete_field(r),
        _ => Err(OfError::OFPBAC_BAD_VENDOR_TYPE),
    }
}

/// A 32-bit argument, which stands after two bytes of padding.
fn word(r: &mut Reader<'_>) -> Result<u32, OfError> {
    r.skip(2)?;
    r.u32()
}

fn zeros(r: &mut Reader<'_>, n: usize) -> Result<(), OfError> {
    match r.bytes(n)?.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(OfError::NXBRC_MUST_BE_ZERO),
    }
}

fn resubmit(subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    let port = OfPort::from_u16(r.u16()?);
    let table = if subtype == 1 { 255 } else { r.u8()? };
    if subtype != 1 && r.bytes(3)? != [0; 3] {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    Ok(Action::Resubmit(Resubmit { port, table, with_ct_orig: subtype == 44, explicit: subtype != 1 }))
}

fn set_tunnel(subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    if subtype == 2 {
        return Ok(Action::SetTunnel { id: word(r)?.into(), wide: false });
    }
    r.skip(6)?;
    Ok(Action::SetTunnel { id: r.u64()?, wide: true })
}

fn dec_ttl_ids(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let n = r.u16()?;
    zeros(r, 4)?;
    if usize::from(n) * 2 > r.len() {
        return Err(OfError::OFPBAC_BAD_LEN);
    }
    let ids = (0..n).map(|_| r.u16()).collect::<Result<_, _>>()?;
    Ok(Action::DecTtl(DecTtl { ids, explicit: true }))
}

fn mpls(subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    match subtype {
        23 => std::push_mpls(r.u16()?),
        24 => Ok(Action::PopMpls(r.u16()?)),
        25 => Ok(Action::SetMplsTtl(r.u8()?)),
        26 => Ok(Action::DecMplsTtl),
        30 => std::set_mpls_label(word(r)?),
        _ => std::set_mpls_tc(r.u8()?),
    }
}

fn stack(subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    let ofs = r.u16()?;
    let field = pull_field(r)?;
    let part = SubField { field, ofs, n_bits: r.u16()? };
    check_rest(r, OfError::NXBRC_MUST_BE_ZERO)?;
    match subtype {
        27 => check_src(part).map(Action::StackPush),
        _ => check_dst(part).map(Action::StackPop),
    }
}

fn conjunction(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (clause, n_clauses, id) = (r.u8()?, r.u8()?, r.u32()?);
    if !(2..=64).contains(&n_clauses) || clause >= n_clauses {
        return Err(OfError::NXBAC_BAD_CONJUNCTION);
    }
    Ok(Action::Conjunction { id, clause, n_clauses })
}

fn clone(version: Version, r: &mut Reader<'_>) -> Result<Action, OfError> {
    r.skip(6)?;
    decode_list(version, r.rest(), Outer::Clone).map(|list| Action::Clone(list.actions))
}

fn check_pkt_larger(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (len, ofs) = (r.u16()?, r.u16()?);
    let dst = check_dst(SubField { field: pull_field(r)?, ofs, n_bits: 1 })?;
    check_rest(r, OfError::NXBRC_MUST_BE_ZERO)?;
    Ok(Action::CheckPktLarger { len, dst })
}

fn delete_field(r: &mut Reader<'_>) -> Result<Action, OfError> {
    pull_field(r)?;
    Err(OfError::OFPBAC_BAD_ARGUMENT)
}
