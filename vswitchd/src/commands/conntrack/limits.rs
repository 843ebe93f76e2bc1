//! `dpctl/ct-set-limits`, `ct-del-limits`, `ct-get-limits`: how many connections a zone may have.

use std::fmt::Write as _;

use conntrack::{Limits, ZoneLimit};

use super::{args, invalid};
use crate::appctl::{Answer, Command};
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 3] {
    [
        Command {
            name: "dpctl/ct-set-limits",
            usage: "[dp] [default=L] [zone=N,limit=L]...",
            min: 1,
            max: usize::MAX,
            run: |c, args| set(c, args).into(),
        },
        Command {
            name: "dpctl/ct-del-limits",
            usage: "[dp] default|zone=N1[,N2]...",
            min: 1,
            max: 2,
            run: |c, args| delete(c, args).into(),
        },
        Command {
            name: "dpctl/ct-get-limits",
            usage: "[dp] [zone=N1[,N2]...]",
            min: 0,
            max: 2,
            run: |c, args| show(c, args).into(),
        },
    ]
}

/// The default limit, if it is given, and zones with theirs.
type Wanted = (Option<u32>, Vec<(u16, u32)>);

fn set(control: &Control, args: &[String]) -> Answer {
    let (_, args) = args::split(args)?;
    let args = args::after_datapath(control, args, usize::MAX)?;
    let limits = control.datapath.tracker().limits();
    let (default, zones) = wanted(&args)?;
    if default.is_some() {
        limits.set_default(default);
    }
    zones.into_iter().for_each(|(zone, limit)| limits.set(zone, Some(limit)));
    Ok(String::new())
}

/// Reads `[default=L] [zone=N,limit=L]...`.
fn wanted(args: &[&str]) -> Result<Wanted, String> {
    let default = args.first().and_then(|arg| arg.strip_prefix("default="));
    let limit = |text: &str| args::scan(text).map(|limit| limit as u32);
    let limit = match default {
        Some(text) => Some(limit(text).ok_or_else(|| invalid("invalid default limit"))?),
        None => None,
    };
    let zones = &args[usize::from(default.is_some())..];
    Ok((limit, zones.iter().map(|arg| zone_limit(arg)).collect::<Result<_, _>>()?))
}

/// Reads `zone=N,limit=L`, in any order.
fn zone_limit(text: &str) -> Result<(u16, u32), String> {
    let (mut zone, mut limit) = (None, None);
    for setting in args::settings(text) {
        let (key, value) = setting?;
        let failed = || invalid(format_args!("failed to parse field {key}"));
        let number = args::whole(value);
        match key {
            "zone" => {
                zone = Some(number.and_then(|number| u16::try_from(number).ok()).ok_or_else(failed)?);
            }
            "limit" => limit = Some(number.ok_or_else(failed)? as u32),
            _ => return Err(invalid(format_args!("invalid zone limit field: {key}"))),
        }
    }
    zone.zip(limit).ok_or_else(|| invalid("failed to parse zone limit"))
}

/// Reads the numbers of `zone=N1[,N2]...`.
fn zones(text: &str) -> Result<Vec<u16>, String> {
    let list = text.strip_prefix("zone=").ok_or_else(|| invalid(format_args!("invalid argument {text}")))?;
    let numbers = list.split(',').filter(|number| !number.is_empty());
    let zones: Option<Vec<u16>> = numbers.map(|number| Some(args::scan(number)? as u16)).collect();
    zones.filter(|zones| !zones.is_empty()).ok_or_else(|| invalid("invalid zone"))
}

fn delete(control: &Control, args: &[String]) -> Answer {
    let (_, args) = args::split(args)?;
    let args = args::after_datapath(control, args, 2)?;
    let limits = control.datapath.tracker().limits();
    match args.first() {
        Some(&"default") => limits.set_default(None),
        Some(text) => zones(text)?.into_iter().for_each(|zone| limits.set(zone, None)),
        None => return Err(invalid("no zone is named")),
    }
    Ok(String::new())
}

fn show(control: &Control, args: &[String]) -> Answer {
    let (_, args) = args::split(args)?;
    let args = args::after_datapath(control, args, 2)?;
    let limits = control.datapath.tracker().limits();
    let wanted = match args.first() {
        Some(text) => zones(text)?.into_iter().map(|zone| limits.zone(zone)).collect(),
        None => limits.limited().collect(),
    };
    Ok(text(limits, wanted))
}

/// No limit shows as 0.
fn text(limits: &Limits, zones: Vec<ZoneLimit>) -> String {
    let mut out = format!("default limit={}\n", limits.default_limit().unwrap_or(0));
    for ZoneLimit { zone, limit, count } in zones {
        let _ = writeln!(out, "zone={zone},limit={},count={count}", limit.unwrap_or(0));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_open_vswitch_does() {
        assert_eq!(wanted(&["default=9x", "zone=5, limit=6"]), Ok((Some(9), vec![(5, 6)])));
        assert_eq!(wanted(&["limit=0x10,zone=7"]), Ok((None, vec![(7, 16)])));
        assert_eq!(wanted(&["zone=1,limit=5,zone=2"]), Ok((None, vec![(2, 5)])));
        assert_eq!(wanted(&["zone=12,limit=-1"]), Ok((None, vec![(12, u32::MAX)])));
        for (bad, error) in [
            ("default=x", "invalid default limit"),
            ("zone=x,limit=5", "failed to parse field zone"),
            ("zone=70000,limit=5", "failed to parse field zone"),
            ("zone=5,limit=6x", "failed to parse field limit"),
            ("zone=5", "failed to parse zone limit"),
            ("zone=14,limit=", "field limit missing value"),
            ("foo=5", "invalid zone limit field: foo"),
            ("foo", "field foo missing value"),
        ] {
            assert_eq!(wanted(&[bad]), Err(invalid(error)), "{bad}");
        }
        let error = wanted(&["zone=1,limit=5", "default=8"]);
        assert_eq!(error, Err(invalid("invalid zone limit field: default")));
    }

    #[test]
    fn zones_are_a_list() {
        assert_eq!(zones("zone=5x,7,"), Ok(vec![5, 7]));
        assert_eq!(zones("zone=70000"), Ok(vec![4464]));
        assert_eq!(zones("foo"), Err(invalid("invalid argument foo")));
        for bad in ["zone=", "zone=,", "zone=1,x"] {
            assert_eq!(zones(bad), Err(invalid("invalid zone")), "{bad}");
        }
    }
}
