//! The bits of `ct_state`: their names, how they are written and read.
//!
//! The same text stands in OpenFlow matches (`ovs-ofctl`) and in datapath flows (`dpctl`): with a mask over all bits the
//! names of those set, joined by `|` (`new|trk`, or `0`); with another mask a `+` or `-` and a name for each bit looked
//! at (`+trk-est`).

use std::fmt::Write;

use thiserror::Error;

/// The packet starts a connection that is not committed yet.
pub const NEW: u32 = 0x01;
/// The packet belongs to a committed connection that has seen both directions.
pub const EST: u32 = 0x02;
/// The packet is related to another connection (an ICMP error, an FTP data connection).
pub const REL: u32 = 0x04;
/// The packet goes in the reply direction.
pub const RPL: u32 = 0x08;
/// The tracker could not make sense of the packet.
pub const INV: u32 = 0x10;
/// The packet has been through the tracker.
pub const TRK: u32 = 0x20;
/// The source was translated.
pub const SNAT: u32 = 0x40;
/// The destination was translated.
pub const DNAT: u32 = 0x80;
/// All bits that have a name.
pub const ALL: u32 = 0xff;

/// Names, by bit number.
const NAMES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];

/// Text that is not a `ct_state`.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ParseError {
    /// A name or number nobody knows.
    #[error("{0}: unknown ct_state flag(s)")]
    Unknown(String),
    /// A bit both ways, or twice.
    #[error("{0}: Each ct_state flag can be specified only once")]
    Twice(String),
}

/// The value and the mask as `ovs-ofctl` and `dpctl` write them, without the field's name. A mask over all named bits, or
/// over all 32, is exact.
pub fn format(value: u32, mask: u32) -> String {
    let named = |bits: u32| NAMES.iter().enumerate().filter(move |(bit, _)| bits & 1 << bit != 0);
    if mask & ALL == ALL {
        let names: Vec<&str> = named(value).map(|(_, name)| *name).collect();
        return if names.is_empty() { "0".into() } else { names.join("|") };
    }
    named(mask).fold(String::new(), |mut out, (bit, name)| {
        // Writing to a string does not fail.
        let _ = write!(out, "{}{name}", if value & 1 << bit != 0 { '+' } else { '-' });
        out
    })
}

/// Reads `new|trk`, `0` or `0x21` (exact: the mask is all 32 bits), `+new-est`, or `VALUE/MASK` in numbers.
pub fn parse(text: &str) -> Result<(u32, u32), ParseError> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return numbers(text).ok_or_else(|| ParseError::Unknown(text.into()));
    }
    if text.starts_with(['+', '-']) {
        return signed(text);
    }
    let mut value = 0;
    for name in text.split('|') {
        value |= bit_of(name)?;
    }
    Ok((value, u32::MAX))
}

fn bit_of(name: &str) -> Result<u32, ParseError> {
    let found = NAMES.iter().position(|known| *known == name);
    found.map(|bit| 1 << bit).ok_or_else(|| ParseError::Unknown(name.into()))
}

fn signed(text: &str) -> Result<(u32, u32), ParseError> {
    let (mut value, mut mask) = (0, 0);
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let name = &rest[1..];
        let (name, after) = name.split_at(name.find(['+', '-']).unwrap_or(name.len()));
        let bit = bit_of(name)?;
        if mask & bit != 0 {
            return Err(ParseError::Twice(name.into()));
        }
        mask |= bit;
        if sign == '+' {
            value |= bit;
        }
        rest = after;
    }
    Ok((value, mask))
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (number(value)?, number(mask)?),
        None => (number(text)?, u32::MAX),
    };
    (value & !ALL == 0 && (mask == u32::MAX || mask & !ALL == 0)).then_some((value, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_states() {
        assert_eq!(format(NEW | TRK, u32::MAX), "new|trk");
        assert_eq!(format(0, u32::MAX), "0");
        assert_eq!(format(NEW | TRK, NEW | EST | TRK), "+new-est+trk");
        assert_eq!(format(0, 0), "");
    }

    #[test]
    fn every_state_reads_back() {
        for value in 0..=ALL {
            assert_eq!(parse(&format(value, u32::MAX)), Ok((value, u32::MAX)));
            let mask = value.reverse_bits() >> 24 | 1;
            if mask != ALL {
                assert_eq!(parse(&format(value, mask)), Ok((value & mask, mask)));
            }
        }
    }

    #[test]
    fn numbers_and_errors_as_ovs_ofctl_has_them() {
        assert_eq!(parse("33"), Ok((NEW | TRK, u32::MAX)));
        assert_eq!(parse("0x21/0x21"), Ok((NEW | TRK, NEW | TRK)));
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("+foo"), "foo: unknown ct_state flag(s)");
        assert_eq!(error("new+trk"), "new+trk: unknown ct_state flag(s)");
        assert_eq!(error("+"), ": unknown ct_state flag(s)");
        assert_eq!(error("0x100/0x100"), "0x100/0x100: unknown ct_state flag(s)");
        assert_eq!(error("+new-new"), "new: Each ct_state flag can be specified only once");
        assert_eq!(error("+é"), "é: unknown ct_state flag(s)");
    }
}
