//! FTP's announcements of data connections, found in one segment's payload and written anew.
//!
//! | line | from | RFC |
//! |---|---|---|
//! | `PORT h1,h2,h3,h4,p1,p2` | client | 959, 4.1.2 |
//! | `EPRT \|1\|192.0.2.1\|6275\|`, `EPRT \|2\|2001:db8::1\|6275\|`, any delimiter | client | 2428, 2 |
//! | `227 Entering Passive Mode (h1,h2,h3,h4,p1,p2).`, with or without parentheses, any text | server | 959, 4.1.2 |
//! | `229 Entering Extended Passive Mode (\|\|\|6446\|)`, any text | server | 2428, 3 |
//!
//! Commands in any case of letters. Only whole lines count: one that is cut off by the end of the payload may have more
//! digits to come. Looked at are the first [`MOST_LINES`] lines of at most [`LONGEST_LINE`] bytes; nobody's client sends more at once.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Longest line that is looked at, in bytes.
pub const LONGEST_LINE: usize = 512;

/// Most lines of a payload that are looked at.
pub const MOST_LINES: usize = 32;

/// Which side a payload comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// The side that opened the control connection.
    Client,
    /// The other.
    Server,
}

/// How a line announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Six numbers: `PORT` and `227`.
    Numbers,
    /// Family, address and port between delimiters: `EPRT`.
    Extended {
        /// The delimiter, a printing character.
        delimiter: u8,
    },
    /// A port alone: `229`.
    Port,
}

/// A data connection that a line announces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// How it stands there.
    pub form: Form,
    /// The address; `None` is that of the control connection.
    pub addr: Option<IpAddr>,
    /// The port; 0 makes no sense.
    pub port: u16,
    /// The bytes of the payload that hold address and port.
    pub span: Range<usize>,
}

/// The first announcement in a payload that begins at the start of a line.
pub fn find(payload: &[u8], from: From) -> Option<Announcement> {
    let mut at = 0;
    for line in payload.split_inclusive(|&byte| byte == b'\n').take(MOST_LINES) {
        let is_whole = line.ends_with(b"\n") && line.len() <= LONGEST_LINE;
        if let Some(found) = is_whole.then(|| announcement(line, from)).flatten() {
            return Some(Announcement { span: found.span.start + at..found.span.end + at, ..found });
        }
        at += line.len();
    }
    None
}

/// The text that stands in an announcement's span for another address and port.
pub fn text(form: Form, addr: IpAddr, port: u16) -> String {
    match (form, addr) {
        (Form::Numbers, IpAddr::V4(v4)) => {
            let ([a, b, c, d], [high, low]) = (v4.octets(), port.to_be_bytes());
            format!("{a},{b},{c},{d},{high},{low}")
        }
        (Form::Extended { delimiter }, addr) => {
            let mut text = addr.to_string();
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{port}", char::from(delimiter));
            text
        }
        (Form::Port | Form::Numbers, _) => port.to_string(),
    }
}

fn announcement(line: &[u8], from: From) -> Option<Announcement> {
    let is_command = |name: &[u8]| line.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    match from {
        From::Client if is_command(b"PORT ") => numbers(line, 5),
        From::Client if is_command(b"EPRT ") => extended(line, 5),
        From::Server if line.starts_with(b"227 ") => (4..line.len()).find_map(|at| first_numbers(line, at)),
        From::Server if line.starts_with(b"229 ") => extended_port(line),
        _ => None,
    }
}

/// Six numbers at a place where no longer number ends.
fn first_numbers(line: &[u8], at: usize) -> Option<Announcement> {
    if !line[at].is_ascii_digit() || line[at - 1].is_ascii_digit() || line[at - 1] == b',' {
        return None;
    }
    numbers(line, at)
}

/// Six numbers below 256 with commas between, from `at` or the blanks there on.
fn numbers(line: &[u8], at: usize) -> Option<Announcement> {
    let start = at + line[at..].iter().take_while(|&&byte| byte == b' ').count();
    let mut end = start;
    let mut parts = [0u8; 6];
    for (i, part) in parts.iter_mut().enumerate() {
        if i > 0 {
            if line.get(end) != Some(&b',') {
                return None;
            }
            end += 1;
        }
        (*part, end) = number(line, end)?;
    }
    let [a, b, c, d, high, low] = parts;
    let is_over = matches!(line.get(end), Some(b'\r' | b'\n' | b')' | b' ' | b'.'));
    is_over.then(|| Announcement {
        form: Form::Numbers,
        addr: Some(Ipv4Addr::new(a, b, c, d).into()),
        port: u16::from_be_bytes([high, low]),
        span: start..end,
    })
}

/// A decimal number that fits, and where it ends.
fn number<T: std::str::FromStr>(line: &[u8], at: usize) -> Option<(T, usize)> {
    let digits = line.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Enough for any port, even with a leading zero or two.
    if digits > 7 {
        return None;
    }
    let text = std::str::from_utf8(&line[at..at + digits]).ok()?;
    Some((text.parse().ok()?, at + digits))
}

/// `|family|address|port|`.
fn extended(line: &[u8], at: usize) -> Option<Announcement> {
    let at = at + line[at..].iter().take_while(|&&byte| byte == b' ').count();
    let delimiter = *line.get(at).filter(|byte| byte.is_ascii_graphic() && !byte.is_ascii_digit())?;
    let family = *line.get(at + 1)?;
    if line.get(at + 2) != Some(&delimiter) {
        return None;
    }
    let start = at + 3;
    let len = line[start..].iter().position(|&byte| byte == delimiter)?;
    let addr = std::str::from_utf8(&line[start..start + len]).ok()?;
    let addr: IpAddr = match family {
        b'1' => addr.parse::<Ipv4Addr>().ok()?.into(),
        b'2' => addr.parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    let (port, end) = number(line, start + len + 1)?;
    let is_over = line.get(end) == Some(&delimiter);
    let form = Form::Extended { delimiter };
    is_over.then_some(Announcement { form, addr: Some(addr), port, span: start..end })
}

/// `(|||port|)`.
fn extended_port(line: &[u8]) -> Option<Announcement> {
    let open = line.iter().position(|&byte| byte == b'(')?;
    let delimiter = *line.get(open + 1).filter(|byte| byte.is_ascii_graphic() && !byte.is_ascii_digit())?;
    if line.get(open + 1..open + 4)? != [delimiter; 3] {
        return None;
    }
    let start = open + 4;
    let (port, end) = number(line, start)?;
    let is_over = line.get(end) == Some(&delimiter);
    is_over.then_some(Announcement { form: Form::Port, addr: None, port, span: start..end })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(payload: &str, from: From) -> Option<(Option<String>, u16, String)> {
        let found = find(payload.as_bytes(), from)?;
        Some((found.addr.map(|ip| ip.to_string()), found.port, payload[found.span].to_string()))
    }

    fn some(addr: &str, port: u16, span: &str) -> Option<(Option<String>, u16, String)> {
        let addr = (!addr.is_empty()).then(|| addr.to_string());
        Some((addr, port, span.to_string()))
    }

    #[test]
    fn client_lines() {
        let of = |line| found(line, From::Client);
        assert_eq!(of("PORT 192,0,2,1,4,1\r\n"), some("192.0.2.1", 1025, "192,0,2,1,4,1"));
        assert_eq!(of("port 192,0,2,1,4,1\n"), some("192.0.2.1", 1025, "192,0,2,1,4,1"));
        assert_eq!(of("NOOP\r\nPORT 10,0,0,1,0,20\r\n"), some("10.0.0.1", 20, "10,0,0,1,0,20"));
        assert_eq!(of("EPRT |1|132.235.1.2|6275|\r\n"), some("132.235.1.2", 6275, "132.235.1.2|6275"));
        assert_eq!(of("EPRT !2!1080::8:800:200C:417A!5282!\r\n"), {
            some("1080::8:800:200c:417a", 5282, "1080::8:800:200C:417A!5282")
        });
    }

    #[test]
    fn server_lines() {
        let of = |line| found(line, From::Server);
        let numbers = some("192.0.2.1", 1025, "192,0,2,1,4,1");
        assert_eq!(of("227 Entering Passive Mode (192,0,2,1,4,1).\r\n"), numbers);
        assert_eq!(of("227 Entering Passive Mode. 192,0,2,1,4,1\r\n"), numbers);
        assert_eq!(of("227 =192,0,2,1,4,1\r\n"), numbers);
        assert_eq!(of("200 ok\r\n227 7 ways, 2,(192,0,2,1,4,1)\r\n"), numbers);
        assert_eq!(of("229 Entering Extended Passive Mode (|||6446|)\r\n"), some("", 6446, "6446"));
    }

    #[test]
    fn what_announces_nothing() {
        for line in [
            "",
            "PORT",
            "PORT \r\n",
            "PORT 192,0,2,1,4,1",
            "PORT 192,0,2,1,4,1x\r\n",
            "PORT 192,0,2,256,4,1\r\n",
            "PORT 192,0,2,1,4\r\n",
            "PORT 192,0,2,1,4,1,7\r\n",
            "PORT -1,0,2,1,4,1\r\n",
            "XPORT 192,0,2,1,4,1\r\n",
            "EPRT |1|132.235.1.2|6275\r\n",
            "EPRT |2|132.235.1.2|6275|\r\n",
            "EPRT |1|132.235.1.2|66275|\r\n",
            "EPRT |3|x|1|\r\n",
            "EPRT 111132.235.1.2162751\r\n",
            "EPRT ",
            "EPRT |1",
            "227 Entering Passive Mode (192,0,2,1,4,1).\r\n",
        ] {
            assert_eq!(found(line, From::Client), None, "{line}");
        }
        for line in [
            "227 Entering Passive Mode (192,0,2,1,4,1",
            "227-Entering Passive Mode (192,0,2,1,4,1)\r\n",
            "227 Entering Passive Mode (1192,0,2,1,4,1)\r\n",
            "229 Entering Extended Passive Mode (||6446|)\r\n",
            "229 Entering Extended Passive Mode (|||6446\r\n",
            "229 Entering Extended Passive Mode |||6446|\r\n",
            "PORT 192,0,2,1,4,1\r\n",
        ] {
            assert_eq!(found(line, From::Server), None, "{line}");
        }
        let long = format!("227 {}(192,0,2,1,4,1)\r\n", "x".repeat(LONGEST_LINE));
        assert_eq!(found(&long, From::Server), None);
        let late = format!("{}PORT 192,0,2,1,4,1\r\n", "NOOP\r\n".repeat(MOST_LINES));
        assert_eq!(found(&late, From::Client), None);
    }

    proptest! {
        /// What is written instead is found again, in the same form.
        #[test]
        fn written_is_found(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), port in any::<u16>()) {
            let (v4, v6) = (IpAddr::from(v4), IpAddr::from(v6));
            for (line, from, addr) in [
                ("PORT 1,2,3,4,5,6\r\n", From::Client, v4),
                ("EPRT |1|1.2.3.4|77|\r\n", From::Client, v4),
                ("EPRT |2|::1|77|\r\n", From::Client, v6),
                ("227 Entering Passive Mode (1,2,3,4,5,6).\r\n", From::Server, v4),
                ("229 Entering Extended Passive Mode (|||77|)\r\n", From::Server, v6),
            ] {
                let family = |addr: IpAddr| if addr.is_ipv6() { line.replace("|1|1.2.3.4", "|2|::1") } else { line.into() };
                let line = family(addr);
                let was = find(line.as_bytes(), from).unwrap();
                let text = text(was.form, addr, port);
                let line = format!("{}{text}{}", &line[..was.span.start], &line[was.span.end..]);
                let now = find(line.as_bytes(), from).unwrap();
                prop_assert_eq!((now.form, now.port, now.span.len()), (was.form, port, text.len()));
                prop_assert!(now.addr.is_none_or(|now| now == addr));
            }
        }

        /// Anything at all, and anything that begins as if it meant something.
        #[test]
        fn nothing_breaks_it(head in prop::sample::select(vec!["", "PORT ", "EPRT |", "EPRT |2|", "227 ", "229 (", "229 (|||"]),
            tail in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"0123456789,|().:\r\n ".to_vec())], 0..200)) {
            let payload = [head.as_bytes(), &tail].concat();
            for from in [From::Client, From::Server] {
                if let Some(found) = find(&payload, from) {
                    prop_assert!(found.span.end < payload.len());
                }
            }
        }
    }
}
