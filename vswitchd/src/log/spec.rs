//! The words of `-v` and `vlog/set`: `[MODULE][:DESTINATION][:LEVEL]`, `PATTERN:DESTINATION:TEXT`, `FACILITY:NAME`.

use super::level::{Destination, Level, Levels};

/// What a specification asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// Set levels.
    Level {
        /// Only of this module.
        module: Option<&'static str>,
        /// Only at this destination.
        destination: Option<Destination>,
        /// To this.
        level: Level,
    },
    /// Set a destination's (or every destination's) pattern.
    Pattern(Option<Destination>, String),
    /// Set the syslog facility (RFC 5424 section 6.2.1).
    Facility(u8),
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "clock", "ftp", "ntp",
    "audit", "alert", "clock2", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7", "authpriv",
];

impl Spec {
    /// Reads a specification; the error is the text that `vlog/set` answers.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = strip_keyword(text, "PATTERN:") {
            return Self::pattern(rest);
        }
        if let Some(name) = strip_keyword(text, "FACILITY:") {
            let found = FACILITIES.iter().position(|facility| *facility == name);
            return found.map(|n| Self::Facility(n as u8)).ok_or_else(|| "invalid facility".into());
        }
        Self::levels(text)
    }

    fn pattern(rest: &str) -> Result<Self, String> {
        let (destination, pattern) = rest.split_once(':').unwrap_or((rest, ""));
        if destination.eq_ignore_ascii_case("any") {
            return Ok(Self::Pattern(None, pattern.into()));
        }
        match Destination::parse(destination) {
            Some(destination) => Ok(Self::Pattern(Some(destination), pattern.into())),
            None => Err(format!("unknown destination \"{destination}\"")),
        }
    }

    fn levels(text: &str) -> Result<Self, String> {
        let (mut module, mut destination, mut level) = (None, None, None);
        for word in text.split([' ', ',', ':', '\t']).filter(|word| !word.is_empty()) {
            if let Some(found) = Levels::module(word) {
                once(&mut module, found, "modules")?;
            } else if let Some(found) = Destination::parse(word) {
                once(&mut destination, found, "destinations")?;
            } else if let Some(found) = Level::parse(word) {
                once(&mut level, found, "levels")?;
            } else if !word.eq_ignore_ascii_case("any") {
                return Err(format!("no destination, level, or module \"{word}\""));
            }
        }
        Ok(Self::Level { module, destination, level: level.unwrap_or(Level::Dbg) })
    }
}

fn strip_keyword<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    let head = text.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| &text[keyword.len()..])
}

fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("cannot specify multiple {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_order() {
        let level = |module, destination, level| Ok(Spec::Level { module, destination, level });
        assert_eq!(Spec::parse("vconn"), level(Some("vconn"), None, Level::Dbg));
        assert_eq!(Spec::parse("console:emer"), level(None, Some(Destination::Console), Level::Emer));
        assert_eq!(
            Spec::parse("info,FILE bridge"),
            level(Some("bridge"), Some(Destination::File), Level::Info)
        );
        assert_eq!(Spec::parse("any:off"), level(None, None, Level::Off));
        assert_eq!(Spec::parse("netdev-linux:dbg"), level(Some("netdev_linux"), None, Level::Dbg));
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(Spec::parse("foo:bar"), Err("no destination, level, or module \"foo\"".into()));
        assert_eq!(Spec::parse("dbg:info"), Err("cannot specify multiple levels".into()));
        assert_eq!(Spec::parse("PATTERN:x:y"), Err("unknown destination \"x\"".into()));
        assert_eq!(Spec::parse("FACILITY:foo"), Err("invalid facility".into()));
    }

    #[test]
    fn patterns_and_facilities() {
        assert_eq!(Spec::parse("PATTERN:ANY:%c|%m"), Ok(Spec::Pattern(None, "%c|%m".into())));
        assert_eq!(Spec::parse("FACILITY:daemon"), Ok(Spec::Facility(3)));
    }
}
