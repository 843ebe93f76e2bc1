//! Nicira's actions that output, sample or choose.

use super::set::{check_dst, check_rest, check_src, ofs_nbits, pull_field, pull_short_field};
use crate::action::{Action, Bundle, Controller, HashFields, Multipath, Sample};
use crate::codec::nxm;
use crate::field::SubField;
use crate::message::prop::{self, PropType};
use crate::wire::Reader;
use crate::{OfError, OfPort};

/// Reads the body of `output:FIELD`.
pub(super) fn decode_output_reg(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let pad = r.peek().get(8..).unwrap_or_default();
    check_rest(&mut Reader::new(pad), OfError::OFPBAC_BAD_ARGUMENT)?;
    let (ofs, n_bits) = ofs_nbits(r.u16()?);
    let src = SubField { field: pull_short_field(r)?, ofs, n_bits };
    let max_len = r.u16()?;
    Ok(Action::OutputReg { src: check_src(src)?, max_len, wide: false })
}

/// Reads the body of its second form.
pub(super) fn decode_output_reg2(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (ofs, n_bits) = ofs_nbits(r.u16()?);
    let max_len = r.u16()?;
    let src = SubField { field: pull_field(r)?, ofs, n_bits };
    check_rest(r, OfError::NXBRC_MUST_BE_ZERO)?;
    Ok(Action::OutputReg { src: check_src(src)?, max_len, wide: true })
}

/// Reads the body of `output(port=,max_len=)`.
pub(super) fn decode_trunc(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (port, max_len) = (OfPort::from_u16(r.u16()?), r.u32()?);
    let real_or_so = !port.is_reserved() || port == OfPort::IN_PORT || port == OfPort::LOCAL;
    if max_len < 14 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    if real_or_so { Ok(Action::OutputTrunc { port, max_len }) } else { Err(OfError::OFPBAC_BAD_OUT_PORT) }
}

/// Reads the body of `controller`.
pub(super) fn decode_controller(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (max_len, controller_id, reason) = (r.u16()?, r.u16()?, r.u8()?);
    Ok(Action::Controller(Controller { max_len, controller_id, reason, ..Controller::default() }))
}

/// Reads the body of its second form: properties.
pub(super) fn decode_controller2(r: &mut Reader<'_>) -> Result<Action, OfError> {
    if r.bytes(6)? != [0; 6] {
        return Err(OfError::NXBRC_MUST_BE_ZERO);
    }
    let mut out = Controller { wide: true, ..Controller::default() };
    let mut rest = Reader::or(r.rest(), OfError::OFPBPC_BAD_LEN);
    while !rest.is_empty() {
        let (kind, mut body) = prop::take(&mut rest)?;
        match kind {
            PropType::Plain(0) => out.max_len = prop::only_u16(body)?,
            PropType::Plain(1) => out.controller_id = prop::only_u16(body)?,
            PropType::Plain(2) => out.reason = prop::only_u8(body)?,
            PropType::Plain(3) => out.userdata = body.rest().to_vec(),
            PropType::Plain(4) => {
                prop::nothing(&body)?;
                out.pause = true;
            }
            PropType::Plain(5) => out.meter = Some(prop::only_u32(body)?),
            unknown => return Err(unknown.unknown()),
        }
    }
    Ok(Action::Controller(out))
}

/// Reads the body of `sample` in one of its three forms.
pub(super) fn decode_sample(subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (probability, collector_set, obs_domain, obs_point) = (r.u16()?, r.u32()?, r.u32()?, r.u32()?);
    let sampling_port = if subtype == 29 { OfPort::NONE } else { OfPort::from_u16(r.u16()?) };
    let direction = if subtype == 41 { r.u8()? } else { 0 };
    if subtype != 29 {
        check_rest(r, OfError::NXBRC_MUST_BE_ZERO)?;
    }
    if probability == 0 || direction > 2 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let form = match subtype {
        29 => 1,
        38 => 2,
        _ => 3,
    };
    Ok(Action::Sample(Sample {
        probability,
        collector_set,
        obs_domain,
        obs_point,
        sampling_port,
        direction,
        form,
    }))
}

fn hash_fields(number: u16) -> Result<HashFields, OfError> {
    Ok(match number {
        0 => HashFields::EthSrc,
        1 => HashFields::SymmetricL4,
        2 => HashFields::SymmetricL3L4,
        3 => HashFields::SymmetricL3L4Udp,
        4 => HashFields::NwSrc,
        5 => HashFields::NwDst,
        6 => HashFields::SymmetricL3,
        _ => return Err(OfError::OFPBAC_BAD_ARGUMENT),
    })
}

/// Reads the body of `multipath`.
pub(super) fn decode_multipath(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (fields, basis) = (r.u16()?, r.u16()?);
    r.skip(2)?;
    let (algorithm, max_link, arg) = (r.u16()?, r.u16()?, r.u32()?);
    r.skip(2)?;
    let (ofs, n_bits) = ofs_nbits(r.u16()?);
    let dst = SubField { field: pull_short_field(r)?, ofs, n_bits };
    let fields = hash_fields(fields)?;
    let too_narrow = n_bits < 16 && u32::from(max_link) + 1 > 1 << n_bits;
    if algorithm > 3 || too_narrow {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    Ok(Action::Multipath(Multipath { fields, basis, algorithm, max_link, arg, dst: check_dst(dst)? }))
}

/// The only kind of member that a bundle can have: a port, by its NXM header.
const MEMBER_TYPE: u32 = 0x0000_0002;

/// Reads the body of `bundle` or `bundle_load`.
pub(super) fn decode_bundle(r: &mut Reader<'_>, load: bool) -> Result<Action, OfError> {
    let (algorithm, fields, basis) = (r.u16()?, r.u16()?, r.u16()?);
    let (member_type, n_members, word) = (r.u32()?, r.u16()?, r.u16()?);
    if r.len() < 8 + usize::from(n_members) * 2 {
        return Err(OfError::OFPBAC_BAD_LEN);
    }
    let fields = hash_fields(fields)?;
    if member_type != MEMBER_TYPE || n_members > 2048 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let dst = match load {
        true => {
            let (ofs, n_bits) = ofs_nbits(word);
            let dst = check_dst(SubField { field: pull_short_field(r)?, ofs, n_bits })?;
            if n_bits < 16 {
                return Err(OfError::OFPBAC_BAD_ARGUMENT);
            }
            Some(dst)
        }
        false if word != 0 || r.u32()? != 0 => return Err(OfError::OFPBAC_BAD_ARGUMENT),
        false => None,
    };
    if r.bytes(4)? != [0; 4] && !load {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let members = (0..n_members).map(|_| r.u16().map(OfPort::from_u16)).collect::<Result<_, _>>()?;
    Ok(Action::Bundle(Box::new(Bundle { fields, basis, algorithm, members, dst })))
}

/// Appends the body of a bundle.
pub(super) fn put_bundle(out: &mut Vec<u8>, bundle: &Bundle) {
    for word in [bundle.algorithm, bundle.fields as u16, bundle.basis] {
        nxm::put_number(out, word.into(), 2);
    }
    nxm::put_number(out, MEMBER_TYPE.into(), 4);
    nxm::put_number(out, bundle.members.len() as u128, 2);
    match &bundle.dst {
        Some(dst) => {
            super::set::put_ofs_nbits(out, dst);
            super::set::put_nxm_header(out, dst.field);
        }
        None => out.extend_from_slice(&[0; 6]),
    }
    out.extend_from_slice(&[0; 4]);
    for port in &bundle.members {
        nxm::put_number(out, port.to_u16().into(), 2);
    }
}

/// Appends the properties of `controller`, each only where it is not the default.
pub(super) fn put_controller2(out: &mut Vec<u8>, c: &Controller) {
    if c.max_len != 0xffff {
        prop::put_u16(out, 0, c.max_len);
    }
    if c.controller_id != 0 {
        prop::put_u16(out, 1, c.controller_id);
    }
    if c.reason != Controller::default().reason {
        prop::put(out, PropType::Plain(2), |out| out.push(c.reason));
    }
    if !c.userdata.is_empty() {
        prop::put(out, PropType::Plain(3), |out| out.extend_from_slice(&c.userdata));
    }
    if c.pause {
        prop::put(out, PropType::Plain(4), |_| {});
    }
    if let Some(meter) = c.meter {
        prop::put_u32(out, 5, meter);
    }
}
