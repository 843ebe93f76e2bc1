//! Matches from flow syntax.

use thiserror::Error;

use super::parse_int;
use super::value::parse_value;
use crate::field::Field;
use crate::{FieldId, Match, OfPort};

/// Why a text is not a match.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ParseError {
    /// A name that is no field's.
    #[error("{0}: unknown field")]
    UnknownField(String),
    /// A name without `=`.
    #[error("field {0} missing value")]
    MissingValue(String),
    /// A value that is not one of the field's.
    #[error("{1}: bad value for {0}")]
    BadValue(&'static str, String),
    /// A mask on a field that can have none.
    #[error("{1}: invalid mask for field {0}")]
    BadMask(&'static str, String),
    /// A field without what it presupposes before it.
    #[error("prerequisites not met for setting {0}")]
    Prerequisite(&'static str),
}

/// EtherType and protocol of the words that stand for them.
const SHORTHANDS: [(&str, u16, Option<u8>); 16] = [
    ("eth", 0, None),
    ("ip", 0x0800, None),
    ("ipv6", 0x86dd, None),
    ("icmp", 0x0800, Some(1)),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
    ("nsh", 0x894f, None),
];

/// Reads a port number (16-bit numbers of reserved ports become the 32-bit ones) or, in any case, a reserved name.
pub fn parse_port(text: &str) -> Option<OfPort> {
    if let Some(number) = parse_int(text) {
        return match u32::try_from(number).ok()? {
            n @ 0..=0xffff => Some(OfPort::from_u16(n as u16)),
            n => OfPort::from_u32(n).ok(),
        };
    }
    let named = [
        OfPort::UNSET,
        OfPort::IN_PORT,
        OfPort::TABLE,
        OfPort::NORMAL,
        OfPort::FLOOD,
        OfPort::ALL,
        OfPort::CONTROLLER,
        OfPort::LOCAL,
        OfPort::NONE,
    ];
    let found =
        named.into_iter().find(|port| port.reserved_name().is_some_and(|n| n.eq_ignore_ascii_case(text)));
    found.or_else(|| text.eq_ignore_ascii_case("none").then_some(OfPort::NONE))
}

/// Reads a match: fields and shorthands separated by commas or blanks. `lookup` finds ports by name.
pub fn parse_match(text: &str, lookup: &dyn Fn(&str) -> Option<OfPort>) -> Result<Match, ParseError> {
    let mut m = Match::any();
    for (name, value) in parts(text) {
        match (shorthand(name), value) {
            (Some((_, eth_type, proto)), None) => set_shorthand(&mut m, *eth_type, *proto),
            (_, value) => set_field(&mut m, name, value, lookup)?,
        }
    }
    Ok(m)
}

/// Splits `a=b,c(d)` at the commas and blanks that stand outside parentheses.
pub(super) fn parts(text: &str) -> Vec<(&str, Option<&str>)> {
    let mut depth = 0i32;
    let outside = move |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth <= 0 && (c == ',' || c.is_ascii_whitespace())
    };
    let split = text.split(outside).filter(|part| !part.is_empty());
    split.map(|part| part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)))).collect()
}

pub(super) fn shorthand(name: &str) -> Option<&'static (&'static str, u16, Option<u8>)> {
    SHORTHANDS.iter().find(|(word, ..)| *word == name)
}

pub(super) fn set_shorthand(m: &mut Match, eth_type: u16, proto: Option<u8>) {
    if eth_type == 0 {
        return m.set(FieldId::PacketType, 0);
    }
    m.set(FieldId::EthType, eth_type.into());
    if let Some(proto) = proto {
        m.set(FieldId::NwProto, proto.into());
    }
}

fn set_field(
    m: &mut Match,
    name: &str,
    value: Option<&str>,
    lookup: &dyn Fn(&str) -> Option<OfPort>,
) -> Result<(), ParseError> {
    let id = FieldId::by_name(name).filter(|id| id.info().place.is_some());
    let id = id.ok_or_else(|| ParseError::UnknownField(name.to_owned()))?;
    let field = in_context(m, id).info();
    let text = value.ok_or_else(|| ParseError::MissingValue(name.to_owned()))?;
    if matches!(text, "*" | "ANY") {
        return Ok(());
    }
    let (value, mask) = parse_one(field, text, lookup)?;
    if !field.prereqs_ok(m) {
        return Err(ParseError::Prerequisite(field.name));
    }
    match (field.id, mask) {
        (_, Some(mask)) => m.set_masked(field.id, value, mask & field.exact()),
        (_, None) => m.set(field.id, value),
    }
    Ok(())
}

/// Some names mean another field under another protocol.
fn in_context(m: &Match, id: FieldId) -> FieldId {
    let v6 = m.key.eth_type.get() == 0x86dd;
    match (id, m.key.nw_proto) {
        (FieldId::TcpSrc, 17) => FieldId::UdpSrc,
        (FieldId::TcpDst, 17) => FieldId::UdpDst,
        (FieldId::TcpSrc, 132) => FieldId::SctpSrc,
        (FieldId::TcpDst, 132) => FieldId::SctpDst,
        (FieldId::IcmpType, 58) if v6 => FieldId::Icmpv6Type,
        (FieldId::IcmpCode, 58) if v6 => FieldId::Icmpv6Code,
        (FieldId::Ipv4Src, _) if is_arp(m) => FieldId::ArpSpa,
        (FieldId::Ipv4Dst, _) if is_arp(m) => FieldId::ArpTpa,
        (FieldId::NwProto, _) if is_arp(m) => FieldId::ArpOp,
        _ => id,
    }
}

fn is_arp(m: &Match) -> bool {
    matches!(m.key.eth_type.get(), 0x0806 | 0x8035)
}

fn parse_one(
    field: &'static Field,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<OfPort>,
) -> Result<(u128, Option<u128>), ParseError> {
    let bad = || ParseError::BadValue(field.name, text.to_owned());
    let (value, mask) = parse_value(field, text, lookup).ok_or_else(bad)?;
    let is_vlan = matches!(field.id, FieldId::DlVlan) && value == 0xffff;
    let port = matches!(field.id, FieldId::InPort | FieldId::InPortOxm | FieldId::ActsetOutput);
    if !is_vlan && !port && !field.is_value_valid(value) {
        return Err(bad());
    }
    match mask {
        Some(mask) if !field.maskable && mask != field.exact() && mask != field.all_ones() => {
            Err(ParseError::BadMask(field.name, text.to_owned()))
        }
        Some(mask) if mask & !field.all_ones() != 0 => Err(bad()),
        Some(mask) if mask & field.exact() == field.exact() => Ok((value, None)),
        mask => Ok((value, mask)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        match parse_match(text, &|name| (name == "eth0").then_some(OfPort(7))) {
            Ok(m) => m.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn matches_print_as_they_are_read() {
        for text in include_str!("matches.txt").lines() {
            let (input, output) = text.split_once(" => ").expect("two parts");
            assert_eq!(again(input), output);
        }
    }

    #[test]
    fn errors() {
        assert_eq!(again("foo=1"), "foo: unknown field");
        assert_eq!(again("nw_src"), "field nw_src missing value");
        assert_eq!(again("nw_src=1.2.3.4"), "prerequisites not met for setting ip_src");
        assert_eq!(again("in_port=eth1"), "eth1: bad value for in_port");
        assert_eq!(again("ip,nw_proto=6/7"), "6/7: invalid mask for field nw_proto");
        assert_eq!(again("dl_vlan_pcp=9"), "9: bad value for dl_vlan_pcp");
    }
}
