//! Text: matches, actions and fields in Open vSwitch's flow syntax, letter for letter as version 3.1 prints them.
//!
//! Matches, actions, instructions and parts of fields have [`Display`](std::fmt::Display). What needs more than that is a function:
//! [`flow_text`] for a whole key as `ofproto/trace` shows it, [`rule_prefix`] for a rule, [`parse_match`] for the way back.

mod action;
mod bundle;
mod exact;
mod flags;
mod flow;
mod learn;
mod matches;
mod names;
mod number;
mod parse;
mod value;

pub use action::{actions, instructions};
pub use exact::{FlowError, parse_flow};
pub use flow::flow_text;
pub use matches::rule_prefix;
pub use names::nxm_name;
pub use number::parse_int;
pub use parse::{ParseError, parse_match, parse_port};
pub use value::{parse_value, value_text};

use std::fmt;

/// Separates the parts of a list by commas.
struct List<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    any: bool,
}

impl<'a, 'b> List<'a, 'b> {
    fn new(out: &'a mut fmt::Formatter<'b>) -> Self {
        Self { out, any: false }
    }

    /// Writes one part.
    fn item(&mut self, part: fmt::Arguments<'_>) -> fmt::Result {
        if self.any {
            self.out.write_str(",")?;
        }
        self.any = true;
        self.out.write_fmt(part)
    }

    /// Writes one part if there is one.
    fn maybe(&mut self, there: bool, part: fmt::Arguments<'_>) -> fmt::Result {
        if there { self.item(part) } else { Ok(()) }
    }
}
