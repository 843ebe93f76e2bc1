//! Connection tracking actions on the wire.

use std::net::IpAddr;

use super::set::{check_src, ofs_nbits, pull_short_field, put_nxm_header, put_ofs_nbits};
use super::{Outer, decode_list, encode_list};
use crate::action::{Action, Ct, CtRange, CtZone, Nat, NatFlags, NatRange};
use crate::codec::nxm;
use crate::field::SubField;
use crate::wire::Reader;
use crate::{OfError, Version};

const COMMIT: u16 = 1;
const FORCE: u16 = 2;
/// No recirculation.
const NO_TABLE: u8 = 255;

/// Reads the body of `ct`.
pub(super) fn decode(version: Version, r: &mut Reader<'_>) -> Result<Action, OfError> {
    let flags = r.u16()?;
    let (commit, force) = (flags & COMMIT != 0, flags & FORCE != 0);
    if force && !commit {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let zone = decode_zone(r)?;
    let table = r.u8()?;
    r.skip(3)?;
    let alg = r.u16()?;
    let actions = decode_list(version, r.rest(), Outer::Ct)?.actions;
    // Without a connection that is kept there is nothing to translate anew, and no mark or label to set.
    let needs_commit = |action: &Action| !matches!(action, Action::Nat(nat) if nat.flags.0 == 0);
    if !commit && actions.iter().any(needs_commit) {
        return Err(OfError::OFPBAC_BAD_ARGUMENT);
    }
    let recirc_table = (table != NO_TABLE).then_some(table);
    Ok(Action::Ct(Box::new(Ct { commit, force, zone, recirc_table, alg, actions })))
}

fn decode_zone(r: &mut Reader<'_>) -> Result<CtZone, OfError> {
    if r.peek().starts_with(&[0; 4]) {
        r.skip(4)?;
        return Ok(CtZone::Number(r.u16()?));
    }
    let field = pull_short_field(r)?;
    let (ofs, n_bits) = ofs_nbits(r.u16()?);
    let src = check_src(SubField { field, ofs, n_bits })?;
    if n_bits == 16 { Ok(CtZone::Field(src)) } else { Err(OfError::OFPBAC_BAD_SET_LEN) }
}

/// Appends the body of `ct`.
pub(super) fn put(out: &mut Vec<u8>, version: Version, ct: &Ct) {
    let flags = (u16::from(ct.commit) * COMMIT) | (u16::from(ct.force) * FORCE);
    nxm::put_number(out, flags.into(), 2);
    match &ct.zone {
        CtZone::Number(zone) => nxm::put_number(out, (*zone).into(), 6),
        CtZone::Field(src) => {
            put_nxm_header(out, src.field);
            put_ofs_nbits(out, src);
        }
    }
    out.push(ct.recirc_table.unwrap_or(NO_TABLE));
    nxm::put_number(out, ct.alg.into(), 5);
    encode_list(version, &ct.actions, out);
}

const IPV4_MIN: u16 = 1;
const IPV4_MAX: u16 = 2;
const IPV6_MIN: u16 = 4;
const IPV6_MAX: u16 = 8;
const PORT_MIN: u16 = 16;
const PORT_MAX: u16 = 32;
const PRESENT: u16 = 63;

/// Reads the body of `nat`.
pub(super) fn decode_nat(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let bad = OfError::OFPBAC_BAD_ARGUMENT;
    if r.bytes(2)? != [0; 2] {
        return Err(bad);
    }
    let (flags, present) = (NatFlags(r.u16()?), r.u16()? & PRESENT);
    let both = NatFlags::SRC | NatFlags::DST;
    let none_but_others = !flags.has(both) && (flags.0 != 0 || present != 0);
    if flags.0 & !NatFlags::ALL != 0 || flags.0 & both == both || none_but_others {
        return Err(bad);
    }
    if flags.has(NatFlags::HASH) && flags.has(NatFlags::RANDOM) {
        return Err(bad);
    }
    let addr = match present & (IPV4_MIN | IPV4_MAX | IPV6_MIN | IPV6_MAX) {
        0 => None,
        IPV4_MIN => Some((addr4(r)?, None)),
        3 => Some((addr4(r)?, Some(addr4(r)?))),
        IPV6_MIN => Some((addr6(r)?, None)),
        12 => Some((addr6(r)?, Some(addr6(r)?))),
        _ => return Err(bad),
    };
    let ports = match present & (PORT_MIN | PORT_MAX) {
        0 => None,
        PORT_MIN => Some((port(r)?, None)),
        PORT_MAX => return Err(bad),
        _ => Some((port(r)?, Some(port(r)?))),
    };
    let unbound = ports.is_some() && addr.is_none();
    if unbound || addr.is_some_and(|(min, _)| min.is_unspecified()) || ports.is_some_and(|(min, _)| min == 0)
    {
        return Err(bad);
    }
    let range = NatRange { addr: range(addr)?, ports: range(ports)? };
    Ok(Action::Nat(Nat { flags, range }))
}

fn range<T: PartialOrd>(bounds: Option<(T, Option<T>)>) -> Result<Option<CtRange<T>>, OfError> {
    match bounds {
        Some((min, Some(max))) if max < min => Err(OfError::OFPBAC_BAD_ARGUMENT),
        other => Ok(other.map(|(min, max)| CtRange { min, max })),
    }
}

fn addr4(r: &mut Reader<'_>) -> Result<IpAddr, OfError> {
    r.array::<4>().map(IpAddr::from).map_err(|_| OfError::OFPBAC_BAD_ARGUMENT)
}

fn addr6(r: &mut Reader<'_>) -> Result<IpAddr, OfError> {
    r.array::<16>().map(IpAddr::from).map_err(|_| OfError::OFPBAC_BAD_ARGUMENT)
}

fn port(r: &mut Reader<'_>) -> Result<u16, OfError> {
    r.u16().map_err(|_| OfError::OFPBAC_BAD_ARGUMENT)
}

/// Appends the body of `nat`.
pub(super) fn put_nat(out: &mut Vec<u8>, nat: &Nat) {
    let mut present = 0;
    let mut body = Vec::new();
    if let Some(addr) = &nat.range.addr {
        let bit = if addr.min.is_ipv4() { IPV4_MIN } else { IPV6_MIN };
        present |= if addr.max.is_some() { bit * 3 } else { bit };
        put_addr(&mut body, addr.min);
        addr.max.iter().for_each(|max| put_addr(&mut body, *max));
    }
    if let Some(ports) = &nat.range.ports {
        present |= if ports.max.is_some() { PORT_MIN | PORT_MAX } else { PORT_MIN };
        nxm::put_number(&mut body, ports.min.into(), 2);
        ports.max.iter().for_each(|max| nxm::put_number(&mut body, (*max).into(), 2));
    }
    nxm::put_number(out, nat.flags.0.into(), 4);
    nxm::put_number(out, present.into(), 2);
    out.extend_from_slice(&body);
}

fn put_addr(out: &mut Vec<u8>, addr: IpAddr) {
    match addr {
        IpAddr::V4(addr) => out.extend_from_slice(&addr.octets()),
        IpAddr::V6(addr) => out.extend_from_slice(&addr.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{SetField, SetForm};
    use crate::field::FieldId;

    #[test]
    fn what_marks_a_connection_keeps_it() {
        let set = |commit| {
            let (field, mask) = (FieldId::CtMark, u128::from(u32::MAX));
            let value = Action::SetField(SetField { field, value: 1, mask, form: SetForm::SetField });
            let mut out = Vec::new();
            put(&mut out, Version::V13, &Ct { commit, actions: vec![value], ..Ct::default() });
            decode(Version::V13, &mut Reader::new(&out)).map(|_| ())
        };
        assert_eq!((set(true), set(false)), (Ok(()), Err(OfError::OFPBAC_BAD_ARGUMENT)));
    }

    #[test]
    fn ports_to_translate_to_stand_with_an_address() {
        let nat = |addr: Option<IpAddr>| {
            let addr = addr.map(|min| CtRange { min, max: None });
            let range = NatRange { addr, ports: Some(CtRange { min: 1, max: Some(2) }) };
            let mut out = Vec::new();
            put_nat(&mut out, &Nat { flags: NatFlags(NatFlags::SRC), range });
            decode_nat(&mut Reader::new(&out)).map(|_| ())
        };
        assert_eq!(nat(Some([10, 0, 0, 1].into())), Ok(()));
        assert_eq!(nat(None), Err(OfError::OFPBAC_BAD_ARGUMENT));
    }
}
