//! The command line as `getopt_long` reads it: names of options may be shortened as long as it stays clear which is meant, and
//! what is wrong is said in its words, which scripts and people know.
//!
//! What comes out has all names in full and values attached, for clap.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, Command};

/// Spells out the arguments that follow the program's name. The error lacks the program's name.
pub(super) fn spell_out(
    command: &Command,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, String> {
    let mut args = args.into_iter();
    let mut out = Vec::new();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        match bytes {
            b"--" => {
                out.push(arg);
                out.extend(args.by_ref());
            }
            [b'-', b'-', long @ ..] => out.push(spell_long(command, long, &mut args)?),
            [b'-', _, ..] => spell_short(command, &bytes[1..], &mut args, &mut out)?,
            _ => out.push(arg),
        }
    }
    Ok(out)
}

fn spell_long(
    command: &Command,
    text: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<OsString, String> {
    let (given, value) = match text.iter().position(|&byte| byte == b'=') {
        Some(at) => (&text[..at], Some(OsStr::from_bytes(&text[at + 1..]))),
        None => (text, None),
    };
    let (name, option) = find(command, &String::from_utf8_lossy(given), &String::from_utf8_lossy(text))?;
    match (value, takes(option)) {
        (Some(_), Value::No) => Err(format!("option '--{name}' doesn't allow an argument")),
        (Some(value), _) => Ok(attach(&name, value)),
        (None, Value::Needed) => {
            let value = rest.next().ok_or_else(|| format!("option '--{name}' requires an argument"))?;
            Ok(attach(&name, &value))
        }
        (None, _) => Ok(format!("--{name}").into()),
    }
}

/// The option of that name, or the only one whose name begins so.
fn find<'a>(command: &'a Command, given: &str, whole: &str) -> Result<(String, &'a Arg), String> {
    let named = |option: &'a Arg| Some((option.get_long()?.to_owned(), option));
    let mut matching: Vec<_> =
        command.get_arguments().filter_map(named).filter(|(name, _)| name.starts_with(given)).collect();
    if let Some(exact) = matching.iter().position(|(name, _)| name == given) {
        return Ok(matching.swap_remove(exact));
    }
    match matching.len() {
        0 => Err(format!("unrecognized option '--{whole}'")),
        1 => Ok(matching.swap_remove(0)),
        _ => {
            let names: Vec<_> = matching.iter().map(|(name, _)| format!("'--{name}'")).collect();
            Err(format!("option '--{whole}' is ambiguous; possibilities: {}", names.join(" ")))
        }
    }
}

/// Letters in a row, the last of which may have a value behind it.
fn spell_short(
    command: &Command,
    letters: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
    out: &mut Vec<OsString>,
) -> Result<(), String> {
    for (at, &letter) in letters.iter().enumerate() {
        let letter = char::from(letter);
        let known = command.get_arguments().find(|option| letter_of(option) == Some(letter));
        let Some((option, name)) = known.and_then(|option| Some((option, option.get_long()?))) else {
            return Err(format!("invalid option -- '{letter}'"));
        };
        let behind = OsStr::from_bytes(&letters[at + 1..]);
        match takes(option) {
            Value::No => out.push(format!("--{name}").into()),
            _ if !behind.is_empty() => {
                out.push(attach(name, behind));
                return Ok(());
            }
            Value::Optional => out.push(format!("--{name}").into()),
            Value::Needed => {
                let value =
                    rest.next().ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
                out.push(attach(name, &value));
            }
        }
    }
    Ok(())
}

/// `-v` is the one letter with a value that may be left out, which clap cannot say.
fn letter_of(option: &Arg) -> Option<char> {
    if option.get_long() == Some("verbose") { Some('v') } else { option.get_short() }
}

enum Value {
    No,
    Optional,
    Needed,
}

fn takes(option: &Arg) -> Value {
    match option.get_num_args() {
        _ if !option.get_action().takes_values() => Value::No,
        Some(range) if range.min_values() == 0 => Value::Optional,
        _ => Value::Needed,
    }
}

fn attach(name: &str, value: &OsStr) -> OsString {
    let mut bytes = format!("--{name}=").into_bytes();
    bytes.extend_from_slice(value.as_bytes());
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn spell(args: &[&str]) -> Result<Vec<String>, String> {
        let mut command = crate::cli::Cli::command();
        command.build();
        let spelled = spell_out(&command, args.iter().map(OsString::from))?;
        Ok(spelled.into_iter().map(|arg| arg.into_string().unwrap()).collect())
    }

    #[test]
    fn names_are_spelled_out_and_values_attached() {
        let spelled =
            spell(&["--pid", "-vfoo", "-v", "--unixctl", "none", "-pk", "-c", "cert", "db", "--", "-x"]);
        let want = [
            "--pidfile",
            "--verbose=foo",
            "--verbose",
            "--unixctl=none",
            "--private-key=k",
            "--certificate=cert",
            "db",
            "--",
            "-x",
        ];
        assert_eq!(spelled.unwrap(), want);
        assert_eq!(
            spell(&["--disable-system", "--pidfile=/p"]).unwrap(),
            ["--disable-system", "--pidfile=/p"]
        );
    }

    /// As seen on Open vSwitch 3.1.0.
    #[test]
    fn what_is_wrong_is_said_in_the_words_of_getopt() {
        let word = |args: &[&str]| spell(args).unwrap_err();
        assert_eq!(word(&["--foo=bar"]), "unrecognized option '--foo=bar'");
        assert_eq!(word(&["-Zq"]), "invalid option -- 'Z'");
        assert_eq!(word(&["-p"]), "option requires an argument -- 'p'");
        assert_eq!(word(&["--private-key"]), "option '--private-key' requires an argument");
        assert_eq!(word(&["--mlock=3"]), "option '--mlockall' doesn't allow an argument");
        let ambiguous = word(&["--no"]);
        assert_eq!(
            ambiguous,
            "option '--no' is ambiguous; possibilities: '--no-chdir' '--no-self-confinement'"
        );
    }
}
