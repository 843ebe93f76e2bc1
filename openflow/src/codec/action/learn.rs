//! The `learn` action on the wire.

use super::set::{check_dst, check_rest, check_src, pull_field, pull_short_field, put_nxm_header};
use crate::OfError;
use crate::action::{Action, Learn, LearnDst, LearnFlags, LearnSpec, LearnSrc};
use crate::codec::nxm;
use crate::field::SubField;
use crate::wire::{Reader, put_zeros};

/// In a spec's header: the source is a constant.
const IMMEDIATE: u16 = 1 << 13;
const DST_MASK: u16 = 3 << 11;
const DST_LOAD: u16 = 1 << 11;
const DST_OUTPUT: u16 = 2 << 11;
const BITS_MASK: u16 = 0x7ff;
/// Bits of a value that we can hold.
const MAX_BITS: u16 = 128;

/// Reads the body of `learn`, or of its second form with limit and result.
pub(super) fn decode(r: &mut Reader<'_>, second: bool) -> Result<Action, OfError> {
    let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
    let (cookie, flags, table, pad) = (r.u64()?, LearnFlags(r.u16()?), r.u8()?, r.u8()?);
    let (fin_idle_timeout, fin_hard_timeout) = (r.u16()?, r.u16()?);
    let known = LearnFlags::SEND_FLOW_REM | LearnFlags::DELETE_LEARNED;
    let known = if second { known | LearnFlags::WRITE_RESULT } else { known };
    if flags.0 & !known != 0 || table == 255 || pad != 0 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let (limit, result_dst) = if second { decode_limit(r, flags)? } else { (0, None) };
    let specs = decode_specs(r)?;
    Ok(Action::Learn(Box::new(Learn {
        idle_timeout,
        hard_timeout,
        fin_idle_timeout,
        fin_hard_timeout,
        priority,
        table,
        cookie,
        flags,
        limit,
        result_dst,
        specs,
    })))
}

fn decode_limit(r: &mut Reader<'_>, flags: LearnFlags) -> Result<(u32, Option<SubField>), OfError> {
    let (limit, ofs, pad) = (r.u32()?, r.u16()?, r.u16()?);
    if pad != 0 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let dst = match flags.0 & LearnFlags::WRITE_RESULT {
        0 => None,
        _ => Some(check_dst(SubField { field: pull_field(r)?, ofs, n_bits: 1 })?),
    };
    Ok((limit, dst))
}

fn decode_specs(r: &mut Reader<'_>) -> Result<Vec<LearnSpec>, OfError> {
    let mut specs = Vec::new();
    while r.len() >= 2 {
        let header = r.u16()?;
        if header == 0 {
            break;
        }
        specs.push(decode_spec(r, header)?);
    }
    check_rest(r, OfError::OFPBAC_BAD_ARGUMENT)?;
    Ok(specs)
}

fn decode_spec(r: &mut Reader<'_>, header: u16) -> Result<LearnSpec, OfError> {
    let (n_bits, immediate) = (header & BITS_MASK, header & IMMEDIATE != 0);
    let output = header & DST_MASK == DST_OUTPUT;
    let unknown = header & !(BITS_MASK | DST_MASK | IMMEDIATE) != 0 || header & DST_MASK == DST_MASK;
    if unknown || output && immediate || n_bits > MAX_BITS && immediate {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let source = if immediate { usize::from(n_bits).div_ceil(16) * 2 } else { 6 };
    if r.len() < source + if output { 0 } else { 6 } {
        return Err(OfError::OFPBAC_BAD_LEN);
    }
    let src = match immediate {
        true => LearnSrc::Immediate(nxm::number(r.bytes(source)?)),
        false => LearnSrc::Field(check_src(pull_part(r, n_bits)?)?),
    };
    let dst = match header & DST_MASK {
        0 => LearnDst::Match(check_src(pull_part(r, n_bits)?)?),
        DST_LOAD => LearnDst::Load(check_dst(pull_part(r, n_bits)?)?),
        _ => LearnDst::Output,
    };
    Ok(LearnSpec { n_bits, src, dst })
}

fn pull_part(r: &mut Reader<'_>, n_bits: u16) -> Result<SubField, OfError> {
    Ok(SubField { field: pull_short_field(r)?, ofs: r.u16()?, n_bits })
}

/// Whether only the second form can say it.
pub(super) fn needs_second(learn: &Learn) -> bool {
    learn.limit != 0 || learn.flags.0 & LearnFlags::WRITE_RESULT != 0
}

/// Appends the body of `learn`.
pub(super) fn put(out: &mut Vec<u8>, learn: &Learn) {
    for word in [learn.idle_timeout, learn.hard_timeout, learn.priority] {
        nxm::put_number(out, word.into(), 2);
    }
    nxm::put_number(out, learn.cookie.into(), 8);
    nxm::put_number(out, learn.flags.0.into(), 2);
    out.extend_from_slice(&[learn.table, 0]);
    nxm::put_number(out, learn.fin_idle_timeout.into(), 2);
    nxm::put_number(out, learn.fin_hard_timeout.into(), 2);
    if needs_second(learn) {
        nxm::put_number(out, learn.limit.into(), 4);
        nxm::put_number(out, learn.result_dst.map_or(0, |dst| dst.ofs).into(), 2);
        put_zeros(out, 2);
        learn.result_dst.iter().for_each(|dst| put_nxm_header(out, dst.field));
    }
    learn.specs.iter().for_each(|spec| put_spec(out, spec));
}

fn put_spec(out: &mut Vec<u8>, spec: &LearnSpec) {
    let source = if matches!(spec.src, LearnSrc::Immediate(_)) { IMMEDIATE } else { 0 };
    let target = match spec.dst {
        LearnDst::Match(_) => 0,
        LearnDst::Load(_) => DST_LOAD,
        LearnDst::Output => DST_OUTPUT,
    };
    nxm::put_number(out, (spec.n_bits | source | target).into(), 2);
    match spec.src {
        LearnSrc::Field(src) => put_part(out, &src),
        LearnSrc::Immediate(value) => {
            nxm::put_number(out, value, (usize::from(spec.n_bits).div_ceil(16) * 2).min(16));
        }
    }
    if let LearnDst::Match(dst) | LearnDst::Load(dst) = spec.dst {
        put_part(out, &dst);
    }
}

fn put_part(out: &mut Vec<u8>, part: &SubField) {
    put_nxm_header(out, part.field);
    nxm::put_number(out, part.ofs.into(), 2);
}
