//! What the commands of this family share in reading their arguments.
//!
//! Numbers are read as Open vSwitch reads them, which scripts rely on more than they know: [`scan`] takes the digits at the start and
//! passes over what follows, [`whole`] takes all bases of C and nothing after the number.

use super::super::datapaths::{self, Name};
use crate::control::Control;

/// Options of `dpctl` commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Options {
    /// `-m`.
    pub(super) more: bool,
    /// `-s`.
    pub(super) statistics: bool,
}

/// Options, and the arguments after them.
pub(super) fn split(args: &[String]) -> Result<(Options, Vec<&str>), String> {
    let mut options = Options::default();
    let is_option = |arg: &&String| arg.len() > 1 && arg.starts_with('-');
    let count = args.iter().take_while(is_option).count();
    for arg in &args[..count] {
        match arg.strip_prefix("--") {
            Some("more") => options.more = true,
            Some("statistics") => options.statistics = true,
            Some("names" | "no-names" | "clear" | "may-create" | "read-only") => {}
            Some(_) => return Err(format!("Unrecognized option {arg}")),
            None => arg[1..].chars().try_for_each(|letter| options.letter(letter, arg))?,
        }
    }
    Ok((options, args[count..].iter().map(String::as_str).collect()))
}

impl Options {
    fn letter(&mut self, letter: char, arg: &str) -> Result<(), String> {
        match letter {
            'm' => self.more = true,
            's' => self.statistics = true,
            _ => return Err(format!("Unrecognized option {arg}")),
        }
        Ok(())
    }
}

/// The arguments after the name of a datapath, if they begin with one that exists. There can be `most` with it: as many must begin
/// with it.
pub(super) fn after_datapath<'a>(
    control: &Control,
    mut args: Vec<&'a str>,
    most: usize,
) -> Result<Vec<&'a str>, String> {
    let names = datapaths::in_use(control);
    let named =
        args.first().is_some_and(|first| Name::parse(first).is_some_and(|name| names.contains(&name)));
    let given = args.first().copied().filter(|_| named || args.len() == most);
    datapaths::choose(control, given)?;
    if named {
        args.remove(0);
    }
    Ok(args)
}

/// Takes the last argument, if it begins with `key` and a number.
pub(super) fn take_last(args: &mut Vec<&str>, key: &str) -> Option<u64> {
    let number = scan(args.last()?.strip_prefix(key)?)?;
    args.pop();
    Some(number)
}

/// The number whose digits `text` begins with, modulo 2^64; what follows is passed over.
pub(super) fn scan(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = &text[..text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()];
    if digits.is_empty() {
        return None;
    }
    let digit = |number: u64, digit: u8| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
    let number = digits.bytes().fold(0, digit);
    Some(if negative { number.wrapping_neg() } else { number })
}

/// The number that all of `text` is: decimal, hexadecimal after `0x`, octal after `0`.
pub(super) fn whole(text: &str) -> Option<i64> {
    let (negative, digits) = match text.trim_start().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.trim_start()),
    };
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let number = number.ok().filter(|number| *number >= 0)?;
    Some(if negative { -number } else { number })
}

/// The settings `key=value` of an argument, which commas and spaces part.
pub(super) fn settings(text: &str) -> impl Iterator<Item = Result<(&str, &str), String>> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    words.map(|word| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        if value.is_empty() {
            return Err(super::invalid(format_args!("field {key} missing value")));
        }
        Ok((key, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_first() {
        let strings = |args: &[&str]| args.iter().map(ToString::to_string).collect::<Vec<_>>();
        let args = strings(&["-m", "--statistics", "zone=1", "-m"]);
        let (options, rest) = split(&args).unwrap();
        assert_eq!(options, Options { more: true, statistics: true });
        assert_eq!(rest, ["zone=1", "-m"]);
        let args = strings(&["-ms", "-"]);
        assert_eq!(split(&args).unwrap().1, ["-"]);
        for bad in ["-z", "-mz", "--nonsense", "-1"] {
            assert_eq!(split(&strings(&[bad])).unwrap_err(), format!("Unrecognized option {bad}"));
        }
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, number) in [("12", 12), ("7x", 7), (" 5", 5), ("18446744073709551617", 1)] {
            assert_eq!(scan(text), Some(number), "{text}");
        }
        assert_eq!(scan("-1").map(|number| number as u32), Some(u32::MAX));
        assert!(["", "x", "-", "+x"].iter().all(|text| scan(text).is_none()));
        for (text, number) in [("12", 12), ("0x10", 16), ("010", 8), ("0", 0), ("-1", -1)] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        assert!(["", "6x", "0x", "08", "--1", "99999999999999999999"].iter().all(|t| whole(t).is_none()));
    }

    #[test]
    fn settings_have_values() {
        let all = |text| settings(text).collect::<Result<Vec<_>, _>>();
        assert_eq!(all("zone=5, limit=6").unwrap(), [("zone", "5"), ("limit", "6")]);
        assert_eq!(all(",,").unwrap(), []);
        for bad in ["limit=", "limit"] {
            assert_eq!(all(bad).unwrap_err(), "ovs-vswitchd: field limit missing value (Invalid argument)");
        }
    }
}
