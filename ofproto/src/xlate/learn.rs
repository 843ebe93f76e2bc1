//! `learn` and `fin_timeout`: actions whose effect is on the flow tables.
//!
//! The walk writes no table. It says what the packet teaches ([`Lesson`]); that is learned once the walk is done. When the table has it
//! already, the time of the flow begins anew, and the cached flow goes on to see to that.

use openflow::action::{Learn, LearnSrc};
use openflow::{FieldId, OfError};

use super::Xlate;
use super::trace::Kind;
use crate::table::flow_table::{HIDDEN_TABLE, TABLES};
use crate::table::lesson::{Lesson, Verdict};

/// FIN and RST in the TCP flags.
const TCP_ENDS: u16 = 1 | 4;
const TCP: u8 = 6;

impl Xlate<'_> {
    pub(super) fn learn_flow(&mut self, learn: &Learn) {
        for spec in &learn.specs {
            if let LearnSrc::Field(src) = &spec.src {
                self.look_at(src.field, src.mask());
            }
        }
        if self.tracer.is_some() && !self.input.effects {
            self.note(Kind::Warn, || "suppressing side effects, so learn action ignored".into());
            return;
        }
        let lesson = Lesson::new(learn, self.bridge.id, &self.flow);
        self.note(Kind::Detail, || lesson.text());
        let success = self.give(lesson);
        if let Some(dst) = learn.result_dst {
            self.write(dst, u128::from(success));
        }
        if !success {
            self.note(Kind::Detail, || "Limit exceeded, learn failed".into());
        }
    }

    /// Has the lesson learned, now or when the walk is done; false if there are too many flows already.
    fn give(&mut self, lesson: Lesson) -> bool {
        let Some(flows) = self.bridge.tables.get(usize::from(lesson.table)).filter(|_| lesson.table < TABLES)
        else {
            let hidden = lesson.table == HIDDEN_TABLE;
            self.note_refusal(if hidden { OfError::OFPBRC_EPERM } else { OfError::OFPBRC_BAD_TABLE_ID });
            return true;
        };
        let more = self.lessons.iter().filter(|before| before.adds_beside(&lesson, flows)).count();
        match lesson.judge(flows, more) {
            Verdict::Limit => {
                self.depends_on(flows.cookie_slot(lesson.cookie()));
                return false;
            }
            Verdict::Refused(error) => {
                self.depends_on(flows.classifier().any_slot());
                self.note_refusal(error);
                return true;
            }
            Verdict::Known(rule) => {
                rule.set_taught();
                if self.input.effects {
                    rule.refresh(self.input.now_ns);
                }
                let _ = lesson.taught.set(rule);
                self.ledger.taught.push(lesson.taught.clone());
            }
            Verdict::New(_) if self.input.effects => {
                self.ledger.taught.push(lesson.taught.clone());
            }
            Verdict::New(_) => self.effect_due = true,
        }
        self.depends_on(flows.rule_slot(&lesson.flow.flow_match, i32::from(lesson.flow.priority)));
        if self.input.effects && lesson.taught.get().is_none() {
            self.lessons.push(lesson);
        }
        true
    }

    fn note_refusal(&mut self, error: OfError) {
        self.note(Kind::Error, || format!("LEARN action execution failed ({}).", error.name()));
    }

    /// A packet that ends its connection makes the time-outs of its rule shorter. Such packets have cached flows of their own.
    pub(super) fn fin_timeout(&mut self, idle: u16, hard: u16) {
        self.look_at(FieldId::NwProto, 0xff);
        if self.flow.nw_proto != TCP {
            return;
        }
        self.look_at(FieldId::TcpFlags, u128::from(TCP_ENDS));
        let Some(rule) = self.rule.filter(|_| self.input.key.tcp_flags.get() & TCP_ENDS != 0) else { return };
        if self.input.effects {
            rule.shorten_timeouts(idle, hard);
        } else {
            self.effect_due |= rule.would_shorten(idle, hard);
        }
    }
}

#[cfg(test)]
mod tests;
