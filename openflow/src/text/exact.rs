//! Whole keys from flow syntax, as `ofproto/trace` takes them: every field that is given is exact.

use packet::FlowKey;
use thiserror::Error;

use super::parse::{parts, set_shorthand, shorthand};
use super::parse_value;
use crate::field::{Field, Format};
use crate::{FieldId, Match, OfPort};

/// Why a text is not a key. The message begins with the whole text, as Open vSwitch's does.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{flow}: {reason}")]
pub struct FlowError {
    /// The whole text.
    flow: String,
    reason: Reason,
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
enum Reason {
    #[error("unknown field {0}")]
    UnknownField(String),
    #[error("bad value for {0} ({1})")]
    BadValue(String, String),
    #[error("prerequisites not met for setting {0}")]
    Prerequisite(String),
}

/// Reads a key: fields and shorthands separated by commas or blanks. `lookup` finds ports by name. Without `in_port`
/// that is [`OfPort::NONE`].
pub fn parse_flow(text: &str, lookup: &dyn Fn(&str) -> Option<OfPort>) -> Result<FlowKey, FlowError> {
    let mut m = Match::any();
    m.set_in_port(OfPort::NONE);
    for (name, value) in parts(text) {
        match (shorthand(name), value) {
            (Some((_, eth_type, proto)), None) => set_shorthand(&mut m, *eth_type, *proto),
            (_, value) => set_field(&mut m, name, value.unwrap_or_default(), lookup)
                .map_err(|reason| FlowError { flow: text.to_owned(), reason })?,
        }
    }
    Ok(m.key)
}

fn set_field(
    m: &mut Match,
    name: &str,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<OfPort>,
) -> Result<(), Reason> {
    let id = FieldId::by_name(name).filter(|id| id.info().place.is_some());
    let field = id.ok_or_else(|| Reason::UnknownField(name.to_owned()))?.info();
    let value = exact_value(field, text, lookup).map_err(|why| Reason::BadValue(name.to_owned(), why))?;
    if !field.prereqs_ok(m) {
        return Err(Reason::Prerequisite(name.to_owned()));
    }
    m.set(field.id, value);
    Ok(())
}

fn exact_value(field: &Field, text: &str, lookup: &dyn Fn(&str) -> Option<OfPort>) -> Result<u128, String> {
    let (value, mask) = parse_value(field, text, lookup).ok_or_else(|| bad_syntax(field, text))?;
    if value & !field.all_ones() != 0 {
        return Err(format!("{text}: value too large for {}-byte field {}", field.n_bytes, field.name));
    }
    match mask {
        None => Ok(value),
        Some(mask) if mask & field.all_ones() == field.all_ones() => Ok(value),
        Some(_) => Err(format!("{text}: wildcards not allowed here")),
    }
}

/// What is wrong with a value that cannot be read at all.
fn bad_syntax(field: &Field, text: &str) -> String {
    match field.format {
        Format::Ethernet => format!("{text}: invalid Ethernet address"),
        Format::Ipv4 => format!("{text}: invalid IP address"),
        Format::Ipv6 => format!("{text}: invalid IPv6 address"),
        Format::Port16 | Format::Port32 => format!("{text}: invalid or unknown port for {}", field.name),
        _ => format!("{text}: bad syntax for {} value", field.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::flow_text;

    /// What the daemon's `ofproto/trace` says of each flow, after "Flow:" or after "Bad openflow flow syntax:".
    #[test]
    fn flows_print_as_in_traces() {
        let say = |input: &str| match parse_flow(input, &|_| None) {
            Ok(key) => flow_text(&key),
            Err(error) => format!("Bad openflow flow syntax: {error}"),
        };
        for line in include_str!("flows.txt").lines() {
            let (input, theirs) = line.split_once(" => ").expect("two parts");
            assert_eq!(say(input), theirs);
        }
    }
}
