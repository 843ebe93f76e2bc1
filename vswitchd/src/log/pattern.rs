//! Patterns: how a log line is put together (`ovs-appctl(8)`, "vlog/set PATTERN").

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::level::Level;

/// What a line is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Program name.
    pub(super) program: &'a str,
    /// Module.
    pub(super) module: &'a str,
    /// Severity.
    pub(super) level: Level,
    /// Sequence number of the line.
    pub(super) sequence: u64,
    /// Name of the thread, empty for the main one.
    pub(super) thread: &'a str,
    /// When, by the wall clock.
    pub(super) time: SystemTime,
    /// Milliseconds since the program started.
    pub(super) uptime_ms: u128,
    /// The text.
    pub(super) message: &'a str,
    /// Syslog facility.
    pub(super) facility: u8,
}

/// Writes `record` by `pattern`. An unknown conversion writes nothing.
pub(super) fn render(pattern: &str, record: &Record<'_>) -> String {
    let mut out = String::with_capacity(pattern.len() + record.message.len() + 32);
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = conversion(&rest[at + 1..], record, &mut out);
    }
    out.push_str(rest);
    out
}

/// Writes one conversion, whose `%` is gone, and returns what follows it.
fn conversion<'a>(text: &'a str, record: &Record<'_>, out: &mut String) -> &'a str {
    let left = text.starts_with('-');
    let text = text.strip_prefix('-').unwrap_or(text);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (width, text) = text.split_at(digits);
    let zero = width.starts_with('0');
    let width: usize = width.parse().unwrap_or(0).min(64);
    let Some(letter) = text.chars().next() else { return "" };
    let (argument, rest) = argument(&text[letter.len_utf8()..]);
    let value = value(letter, argument, record);
    match (left, zero) {
        (true, _) => _ = write!(out, "{value:<width$}"),
        (_, true) => _ = write!(out, "{value:0>width$}"),
        _ => _ = write!(out, "{value:>width$}"),
    }
    rest
}

/// Splits an optional `{...}` off.
fn argument(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        Some((argument, rest)) => (Some(argument), rest),
        None => (None, text),
    }
}

fn value(letter: char, argument: Option<&str>, record: &Record<'_>) -> String {
    match letter {
        'A' => record.program.into(),
        'B' => (u16::from(record.facility) * 8 + u16::from(record.level.syslog_severity())).to_string(),
        'c' => record.module.into(),
        'd' | 'D' => timestamp(argument.unwrap_or("%Y-%m-%d %H:%M:%S.###"), record.time),
        'E' => hostname(),
        'm' => record.message.into(),
        'N' => record.sequence.to_string(),
        'n' => "\n".into(),
        'p' => record.level.name().into(),
        'P' => std::process::id().to_string(),
        'r' => record.uptime_ms.to_string(),
        't' if record.thread.is_empty() => "main".into(),
        't' => record.thread.into(),
        'T' if record.thread.is_empty() => String::new(),
        'T' => format!("({})", record.thread),
        '%' => "%".into(),
        _ => String::new(),
    }
}

fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "-".into())
}

/// `strftime` in UTC, for the conversions that log patterns use; `###` is milliseconds.
fn timestamp(format: &str, time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (year, month, day) = civil_from_days((since.as_secs() / 86_400) as i64);
    let second_of_day = since.as_secs() % 86_400;
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let month_name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [month as usize - 1];
    format
        .replace("%Y", &format!("{year:04}"))
        .replace("%m", &format!("{month:02}"))
        .replace("%d", &format!("{day:02}"))
        .replace("%e", &format!("{day:>2}"))
        .replace("%h", month_name)
        .replace("%b", month_name)
        .replace("%H", &format!("{hour:02}"))
        .replace("%M", &format!("{minute:02}"))
        .replace("%S", &format!("{second:02}"))
        .replace("%T", &format!("{hour:02}:{minute:02}:{second:02}"))
        .replace("%s", &since.as_secs().to_string())
        .replace("###", &format!("{:03}", since.subsec_millis()))
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.
///
/// Counts in 400-year eras that begin on 1 March, so that the leap day is a year's last.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str) -> Record<'_> {
        Record {
            program: "ovs-vswitchd",
            module: "vconn",
            level: Level::Dbg,
            sequence: 44,
            thread: "",
            time: UNIX_EPOCH + Duration::from_millis(1_795_267_924_796),
            uptime_ms: 5,
            message,
            facility: 3,
        }
    }

    #[test]
    fn the_file_pattern_gives_the_known_line() {
        let line = render("%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m", &record("text"));
        assert_eq!(line, "2026-11-21T13:32:04.796Z|00044|vconn|DBG|text");
    }

    #[test]
    fn other_threads_are_named() {
        let line = render("%c%T|%t|%P", &Record { thread: "worker0", ..record("") });
        assert_eq!(line, format!("vconn(worker0)|worker0|{}", std::process::id()));
    }

    #[test]
    fn widths_and_odd_ends() {
        assert_eq!(render("%-6c|%8c|100%%%", &record("")), "vconn |   vconn|100%");
        assert_eq!(render("<%B>", &record("")), "<31>");
    }

    #[test]
    fn leap_days() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
        assert_eq!(civil_from_days(-1), (1969, 12, 31));
    }
}
