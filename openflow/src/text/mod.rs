//! Text: matches, actions and fields in Open vSwitch's flow syntax.

mod number;

pub use number::parse_int;
