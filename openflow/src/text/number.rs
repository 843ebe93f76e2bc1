//! Numbers as the command line takes them.

/// Reads a decimal, hexadecimal (`0x`) or octal (leading `0`) number.
pub fn parse_int(text: &str) -> Option<u128> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u128::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_radices() {
        assert_eq!(parse_int("10"), Some(10));
        assert_eq!(parse_int("0x10"), Some(16));
        assert_eq!(parse_int("010"), Some(8));
        assert_eq!(parse_int("0"), Some(0));
        assert_eq!(parse_int("0x"), None);
        assert_eq!(parse_int("+1"), None);
        assert_eq!(parse_int("eth0"), None);
    }
}
