//! Values of fields with their masks, as `set_field` and flow syntax write them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{flags, parse_int, parse_port};
use crate::OfPort;
use crate::field::{Field, FieldId, Format};

/// A value under a mask, in the way of its field; without the mask when it is exact, `ANY` when it is zero.
pub fn value_text(id: FieldId, value: u128, mask: u128) -> String {
    let field = id.info();
    let exact = mask & field.all_ones() == field.all_ones();
    if mask == 0 {
        return "ANY".to_owned();
    }
    match field.format {
        Format::Ethernet => ethernet(value, if exact { u128::MAX } else { mask }),
        Format::Ipv4 => ipv4(value as u32, mask as u32),
        Format::Ipv6 => ipv6(value, mask),
        Format::Port16 if exact => OfPort::from_u16(value as u16).to_string(),
        Format::Port32 if exact => OfPort(value as u32).to_string(),
        Format::Frag => frag(value as u8, mask as u8),
        Format::CtState if exact => flags::joined(flags::CT_STATE, value as u32),
        Format::CtState => flags::masked(flags::CT_STATE, value as u32, mask as u32),
        Format::TcpFlags if exact => flags::joined(flags::TCP, value as u32),
        Format::TcpFlags => flags::masked(flags::TCP, value as u32, mask as u32),
        Format::TunFlags if mask & 1 != 0 => flags::joined(flags::TUNNEL, value as u32),
        Format::TunFlags => flags::masked(flags::TUNNEL, value as u32, mask as u32),
        Format::PacketType => format!("({},{:#x})", value >> 16, value & 0xffff),
        Format::Hex if exact => hex(value),
        _ if exact => value.to_string(),
        Format::Hex => format!("{}/{}", hex(value), hex(mask)),
        _ => format!("{value}/{}", hex(mask)),
    }
}

/// A hexadecimal number; zero has no prefix.
pub(super) fn hex(value: u128) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

pub(super) fn mac(value: u128) -> String {
    let bytes = value.to_be_bytes();
    let parts: Vec<_> = bytes[10..].iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// An Ethernet address, with its mask unless that is exact.
pub(super) fn ethernet(value: u128, mask: u128) -> String {
    const EXACT: u128 = 0xffff_ffff_ffff;
    if mask & EXACT == EXACT { mac(value) } else { format!("{}/{}", mac(value), mac(mask)) }
}

/// An IPv4 address, with its mask unless that is exact: a length when it is a prefix.
pub(super) fn ipv4(value: u32, mask: u32) -> String {
    let addr = Ipv4Addr::from(value);
    match mask.leading_ones() {
        32 => addr.to_string(),
        n if mask.count_ones() == n => format!("{addr}/{n}"),
        _ => format!("{addr}/{}", Ipv4Addr::from(mask)),
    }
}

/// An IPv6 address, likewise.
pub(super) fn ipv6(value: u128, mask: u128) -> String {
    let addr = ipv6_addr(value);
    match mask.leading_ones() {
        128 => addr,
        n if mask.count_ones() == n => format!("{addr}/{n}"),
        _ => format!("{addr}/{}", ipv6_addr(mask)),
    }
}

/// An IPv6 address as the C library writes it: when all but the last 32 bits are zero and those are no small number, as IPv4.
fn ipv6_addr(value: u128) -> String {
    match value {
        0x1_0000..=0xffff_ffff => format!("::{}", Ipv4Addr::from(value as u32)),
        _ => Ipv6Addr::from(value).to_string(),
    }
}

/// A state of fragmentation.
pub(super) fn frag(value: u8, mask: u8) -> String {
    let name = match (mask & 3, value & 3) {
        (3, 0) => "no",
        (3, 1) => "first",
        (3, 3) => "later",
        (3, _) => "<error>",
        (1, 0) => "no",
        (1, _) => "yes",
        (_, v) if v & 2 != 0 => "later",
        _ => "not_later",
    };
    name.to_owned()
}

/// Reads a value with its mask, if one is given, in the way of a field. `lookup` finds ports by name.
pub fn parse_value(
    field: &Field,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<OfPort>,
) -> Option<(u128, Option<u128>)> {
    match field.format {
        Format::Ethernet => split(text, parse_mac),
        Format::Ipv4 => split_prefix(text, 32, |t| t.parse::<Ipv4Addr>().ok().map(|a| u32::from(a).into())),
        Format::Ipv6 => split_prefix(text, 128, |t| t.parse::<Ipv6Addr>().ok().map(u128::from)),
        Format::Port16 | Format::Port32 => {
            let port = parse_port(text).or_else(|| lookup(text.trim_matches('"')))?;
            let value = if field.format == Format::Port16 { u32::from(port.to_u16()) } else { port.0 };
            Some((value.into(), None))
        }
        Format::Frag => parse_frag(text),
        Format::CtState => parse_flags(flags::CT_STATE, text),
        Format::TcpFlags => parse_flags(flags::TCP, text),
        Format::TunFlags => parse_flags(flags::TUNNEL, text),
        Format::PacketType => {
            let (ns, kind) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
            Some((parse_int(ns)? << 16 | parse_int(kind)? & 0xffff, None))
        }
        Format::Decimal | Format::Hex => split(text, parse_int),
    }
}

fn split(text: &str, one: impl Fn(&str) -> Option<u128>) -> Option<(u128, Option<u128>)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((one(value)?, Some(one(mask)?))),
        None => Some((one(text)?, None)),
    }
}

fn split_prefix(text: &str, width: u32, one: impl Fn(&str) -> Option<u128>) -> Option<(u128, Option<u128>)> {
    let Some((value, mask)) = text.split_once('/') else { return Some((one(text)?, None)) };
    let mask = match mask.parse::<u32>() {
        Ok(n) if n <= width => crate::field::ones(width) & !crate::field::ones(width - n),
        Ok(_) => return None,
        Err(_) => one(mask)?,
    };
    Some((one(value)?, Some(mask)))
}

fn parse_mac(text: &str) -> Option<u128> {
    let parts: Vec<_> = text.split(':').collect();
    let byte = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| (1..=2).contains(&part.len()));
    let bytes: Option<Vec<u8>> = parts.iter().map(|part| byte(part)).collect();
    bytes.filter(|bytes| bytes.len() == 6).map(|bytes| crate::codec::nxm::number(&bytes))
}

fn parse_frag(text: &str) -> Option<(u128, Option<u128>)> {
    Some(match text {
        "no" => (0, None),
        "yes" => (1, Some(1)),
        "first" => (1, None),
        "later" => (3, None),
        "not_later" => (0, Some(2)),
        _ => return None,
    })
}

fn parse_flags(names: flags::Flags, text: &str) -> Option<(u128, Option<u128>)> {
    flags::parse(names, text).map(|(value, mask)| (value.into(), mask.map(u128::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (field, text) in [
            (FieldId::EthSrc, "01:02:03:00:00:00/ff:ff:ff:00:00:00"),
            (FieldId::Ipv4Src, "10.0.0.0/8"),
            (FieldId::Ipv4Src, "10.0.0.1/255.0.0.255"),
            (FieldId::Ipv6Dst, "2001:db8::/32"),
            (FieldId::Ipv6Dst, "::1/::1"),
            (FieldId::InPort, "LOCAL"),
            (FieldId::IpFrag, "not_later"),
            (FieldId::TcpFlags, "+syn-ack"),
            (FieldId::CtState, "new|trk"),
            (FieldId::PacketType, "(1,0x800)"),
            (FieldId::Reg0, "0x5/0xff"),
            (FieldId::Reg0, "0"),
            (FieldId::TcpSrc, "80"),
        ] {
            let (value, mask) = parse_value(field.info(), text, &|_| None).expect(text);
            assert_eq!(value_text(field, value, mask.unwrap_or(u128::MAX)), text);
        }
    }

    #[test]
    fn bad_values() {
        for (field, text) in [
            (FieldId::EthSrc, "01:02:03:00:00"),
            (FieldId::Ipv4Src, "10.0.0.0/33"),
            (FieldId::Ipv6Dst, "x"),
            (FieldId::InPort, "eth0"),
            (FieldId::IpFrag, "maybe"),
            (FieldId::PacketType, "(1)"),
            (FieldId::TcpSrc, "80/"),
        ] {
            assert_eq!(parse_value(field.info(), text, &|_| None), None, "{text}");
        }
    }
}
