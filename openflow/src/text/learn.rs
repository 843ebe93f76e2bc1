//! The `learn` action.

use std::fmt;

use super::List;
use super::value::{hex, value_text};
use crate::action::{Learn, LearnDst, LearnFlags, LearnSpec, LearnSrc};

const DEFAULT_PRIORITY: u16 = 0x8000;

impl fmt::Display for Learn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("learn(")?;
        let mut list = List::new(f);
        let flag = |bit: u16| self.flags.0 & bit != 0;
        list.item(format_args!("table={}", self.table))?;
        for (name, seconds) in [
            ("idle_timeout", self.idle_timeout),
            ("hard_timeout", self.hard_timeout),
            ("fin_idle_timeout", self.fin_idle_timeout),
            ("fin_hard_timeout", self.fin_hard_timeout),
        ] {
            list.maybe(seconds != 0, format_args!("{name}={seconds}"))?;
        }
        list.maybe(self.priority != DEFAULT_PRIORITY, format_args!("priority={}", self.priority))?;
        list.maybe(flag(LearnFlags::SEND_FLOW_REM), format_args!("send_flow_rem"))?;
        list.maybe(flag(LearnFlags::DELETE_LEARNED), format_args!("delete_learned"))?;
        list.maybe(self.cookie != 0, format_args!("cookie={:#x}", self.cookie))?;
        list.maybe(self.limit != 0, format_args!("limit={}", self.limit))?;
        if let Some(dst) = &self.result_dst {
            list.item(format_args!("result_dst={dst}"))?;
        }
        self.specs.iter().try_for_each(|spec| list.item(format_args!("{spec}")))?;
        f.write_str(")")
    }
}

impl fmt::Display for LearnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.src, &self.dst) {
            (LearnSrc::Immediate(value), LearnDst::Match(dst)) if dst.is_whole() => {
                let text = value_text(dst.field, *value, dst.field.info().all_ones());
                write!(f, "{}={text}", dst.field.name())
            }
            (LearnSrc::Immediate(value), LearnDst::Match(dst)) => write!(f, "{dst}={}", immediate(*value)),
            (LearnSrc::Field(src), LearnDst::Match(dst)) if src == dst => write!(f, "{dst}"),
            (LearnSrc::Field(src), LearnDst::Match(dst)) => write!(f, "{dst}={src}"),
            (LearnSrc::Immediate(value), LearnDst::Load(dst)) => {
                write!(f, "load:{}->{dst}", immediate(*value))
            }
            (LearnSrc::Field(src), LearnDst::Load(dst)) => write!(f, "load:{src}->{dst}"),
            (LearnSrc::Field(src), LearnDst::Output) => write!(f, "output:{src}"),
            (LearnSrc::Immediate(value), LearnDst::Output) => write!(f, "output:{}", hex(*value)),
        }
    }
}

fn immediate(value: u128) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}
