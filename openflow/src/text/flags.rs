//! Sets of flags: `syn|ack` when all count, `+syn-ack` under a mask.

use std::fmt::Write;

use super::parse_int;

/// Names of flags, from bit 0 up.
pub(super) type Flags = &'static [&'static str];

/// Flags of `ct_state`.
pub(super) const CT_STATE: Flags = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
/// Flags of `tcp_flags`.
pub(super) const TCP: Flags =
    &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
/// Flags of `tun_flags`.
pub(super) const TUNNEL: Flags = &["oam", "df", "csum", "key"];

/// The flags that are set, joined by `|`; 0 when there is none.
pub(super) fn joined(names: Flags, value: u32) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    let known: Vec<_> = (0..32).filter(|bit| value >> bit & 1 != 0).map(|bit| name(names, bit)).collect();
    known.join("|")
}

/// The flags that count, each with `+` or `-`; alone a number when one of them has no name.
pub(super) fn masked(names: Flags, value: u32, mask: u32) -> String {
    let mut out = String::new();
    for bit in (0..32).filter(|bit| mask >> bit & 1 != 0) {
        out.push(if value >> bit & 1 != 0 { '+' } else { '-' });
        let _ = write!(out, "{}", name(names, bit));
    }
    out
}

fn name(names: Flags, bit: usize) -> String {
    match names.get(bit) {
        Some(name) => (*name).to_owned(),
        None => format!("{:#x}", 1u64 << bit),
    }
}

/// Reads flags: `+a-b`, `a|b`, a number or a number with a mask. Gives value and mask; no mask for all bits.
pub(super) fn parse(names: Flags, text: &str) -> Option<(u32, Option<u32>)> {
    let number = |text: &str| parse_int(text).and_then(|n| u32::try_from(n).ok());
    if let Some((value, mask)) = text.split_once('/') {
        return Some((number(value)?, Some(number(mask)?)));
    }
    if let Some(value) = number(text) {
        return Some((value, None));
    }
    if text.starts_with(['+', '-']) {
        return parse_signed(names, text).map(|(value, mask)| (value, Some(mask)));
    }
    let bits: Option<u32> =
        text.split('|').map(|part| bit_of(names, part)).try_fold(0, |all, b| Some(all | b?));
    bits.map(|value| (value, None))
}

fn parse_signed(names: Flags, text: &str) -> Option<(u32, u32)> {
    let (mut value, mut mask, mut rest) = (0, 0, text);
    while let Some(sign) = rest.chars().next() {
        let body = &rest[1..];
        let end = body.find(['+', '-']).unwrap_or(body.len());
        let bit = bit_of(names, &body[..end])?;
        match sign {
            '+' if mask & bit == 0 => value |= bit,
            '-' if mask & bit == 0 => {}
            _ => return None,
        }
        mask |= bit;
        rest = &body[end..];
    }
    Some((value, mask))
}

fn bit_of(names: Flags, name: &str) -> Option<u32> {
    names.iter().position(|n| *n == name).map(|bit| 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        assert_eq!(joined(TCP, 0x12), "syn|ack");
        assert_eq!(masked(TCP, 0x02, 0x12), "+syn-ack");
        assert_eq!(parse(TCP, "+syn-ack"), Some((2, Some(0x12))));
        assert_eq!(parse(CT_STATE, "new|trk"), Some((0x21, None)));
        assert_eq!(parse(CT_STATE, "0x21"), Some((0x21, None)));
        assert_eq!(parse(TCP, "0x2/0x12"), Some((2, Some(0x12))));
        assert_eq!(parse(CT_STATE, "+new-new"), None);
        assert_eq!(parse(CT_STATE, "+nix"), None);
        assert_eq!(parse(CT_STATE, ""), None);
    }
}
