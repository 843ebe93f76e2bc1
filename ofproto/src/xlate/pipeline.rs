//! Walking the tables: lookups, resubmits, what a rule does.

use std::sync::Arc;

use datapath::action::DropReason;
use openflow::{Instructions, OfPort};
use packet::FlowKey;
use packet::key::FRAG_ANY;

use super::actions::Then;
use super::trace::Kind;
use super::{MANY_DEPENDS, MAX_ACTIONS, MAX_DEPTH, MAX_RESUBMITS, MAX_STACK, Xlate, action_set};
use crate::context::Step;
use crate::events::PacketInReason;
use crate::port::PortFlags;
use crate::state::FragMode;
use crate::table::internal::Internal;
use crate::table::rule::Rule;

/// What a lookup found.
enum Found<'a> {
    Rule(&'a Arc<Rule>),
    /// Nothing, and the controllers want to know.
    PacketIn,
    /// Nothing: drop.
    Nothing,
    /// A fragment, where fragments are dropped.
    Fragment,
}

impl<'a> Xlate<'a> {
    /// Looks the packet up in table 0, as it comes in.
    pub(super) fn first_table(&mut self, in_port: OfPort) {
        self.table = 0;
        let found = self.lookup(in_port, true);
        self.note_found(&found);
        self.run_found(&found, false);
    }

    /// Looks the packet up in a table as if it had come in by `in_port`, and does what is found there. `may_packet_in`: if nothing
    /// is found, the controllers may be told. `last`: nothing follows.
    pub(super) fn table_action(&mut self, in_port: OfPort, table: u8, may_packet_in: bool) {
        if self.was_mpls {
            self.freeze_here(Step::Table(table));
            return;
        }
        if !self.may_go_deeper() {
            return;
        }
        let (old_table, old_cookie, old_rule) = (self.table, self.cookie, self.rule);
        let place = self.tracer.as_ref().map(super::trace::Tracer::place);
        self.table = table;
        let found = self.lookup(in_port, may_packet_in);
        self.note_found(&found);
        self.run_found(&found, table <= old_table);
        if let Some(frozen) = &mut self.frozen {
            frozen.push(Step::Rule { table: old_table, cookie: old_cookie });
        }
        if let (Some(tracer), Some(place)) = (&mut self.tracer, place) {
            tracer.go(place);
        }
        (self.table, self.cookie, self.rule) = (old_table, old_cookie, old_rule);
    }

    fn may_go_deeper(&mut self) -> bool {
        let (why, text): (_, String) = if self.depth >= MAX_DEPTH {
            (DropReason::RecursionTooDeep, format!("over max translation depth {MAX_DEPTH}"))
        } else if self.resubmits >= MAX_RESUBMITS {
            (DropReason::TooManyResubmits, format!("over {MAX_RESUBMITS} resubmit actions"))
        } else if self.actions.len() > MAX_ACTIONS {
            (DropReason::TooManyActions, "resubmits yielded over 64 kB of actions".into())
        } else if self.stack.len() > MAX_STACK {
            (DropReason::StackTooDeep, "resubmits yielded over 64 kB of stack".into())
        } else {
            return true;
        };
        self.fail(why, || text);
        false
    }

    fn lookup(&mut self, in_port: OfPort, may_packet_in: bool) -> Found<'a> {
        let Some(table) = self.bridge.tables.get(usize::from(self.table)) else { return Found::Nothing };
        let mut key = self.flow;
        key.in_port.set(in_port.0);
        if key.nw_frag & FRAG_ANY != 0 {
            match self.bridge.frags {
                FragMode::NxMatch => {}
                FragMode::Normal => hide_ports(&mut key),
                FragMode::Drop => return Found::Fragment,
            }
        }
        self.ledger.owe(&table.lookups);
        let before = self.depends.len();
        let found = table.classifier().lookup(&key, self.input.version, &mut self.mask, &mut self.depends);
        if before > MANY_DEPENDS {
            self.depends.truncate(before);
            self.depends.push(table.classifier().any_slot());
        }
        if let Some(rule) = found {
            self.ledger.owe(&table.matches);
            return Found::Rule(rule);
        }
        let port = self.bridge.ports.get(&self.in_port());
        let told = port.is_some_and(|port| !port.flags.contains(PortFlags::NO_PACKET_IN));
        if may_packet_in && told && self.bridge.packet_in_on_miss { Found::PacketIn } else { Found::Nothing }
    }

    fn note_found(&mut self, found: &Found<'_>) {
        if self.tracer.is_none() {
            return;
        }
        let (table, abroad) = (self.table, self.bridge.id != self.home);
        let what = match found {
            Found::Rule(rule) => describe(rule),
            // As Open vSwitch names the rules that it has for this, but for those of the bridge that the packet came to first.
            Found::PacketIn if abroad => "reg0=0x1, priority 0".to_owned(),
            Found::Nothing if abroad => "reg0=0x2, priority 0".to_owned(),
            Found::PacketIn | Found::Nothing => "No match.".to_owned(),
            Found::Fragment => {
                "Packets are IP fragments and the fragment handling mode is \"drop\".".to_owned()
            }
        };
        self.note_below(Kind::Table, || format!("{table:2}. {what}"));
    }

    fn run_found(&mut self, found: &Found<'a>, deeper: bool) {
        self.resubmits += 1;
        self.depth += u32::from(deeper);
        match found {
            Found::Rule(rule) => {
                self.enter_rule(rule);
                self.instructions(&rule.spec().instructions);
            }
            Found::PacketIn => {
                self.cookie = 0;
                self.owe_internal(Internal::Miss);
                self.note(Kind::Action, || "CONTROLLER:65535".into());
                self.controller(u16::MAX, PacketInReason::ImplicitMiss, 0, &[]);
            }
            Found::Nothing => {
                self.owe_internal(Internal::Drop);
                self.note(Kind::Action, || "drop".into());
            }
            Found::Fragment => {
                self.owe_internal(Internal::Fragment);
                self.note(Kind::Action, || "drop".into());
                self.error.get_or_insert(DropReason::Fragment);
            }
        }
        self.depth -= u32::from(deeper);
    }

    /// Counts in the rule that stands for what no rule says.
    fn owe_internal(&mut self, which: Internal) {
        if let Some(counter) = self.bridge.internal.get(which as usize) {
            self.ledger.owe(counter);
        }
    }

    fn instructions(&mut self, todo: &'a Instructions) {
        if todo.is_drop() {
            self.note(Kind::Action, || "drop".into());
        }
        let then = self.actions(&todo.apply);
        if then == Then::Stop || self.exit || self.error.is_some() {
            return;
        }
        if let Some(frozen) = &mut self.frozen {
            frozen.push(Step::Rest(Arc::new(Instructions { apply: Vec::new(), ..todo.clone() })));
            return;
        }
        self.after_actions(todo);
    }

    /// The instructions that come after the actions.
    pub(super) fn after_actions(&mut self, todo: &Instructions) {
        if todo.clear {
            self.note(Kind::Action, || "clear_actions".into());
            let was = action_set::text(&std::mem::take(&mut self.action_set));
            self.note(Kind::Detail, || format!("action set was{was}"));
        }
        if let Some(actions) = &todo.write {
            self.write_actions(actions);
        }
        if let Some((value, mask)) = todo.metadata {
            self.note(Kind::Action, || format!("write_metadata:{}", hex_masked(value, mask)));
            let old = self.flow.metadata.get();
            self.flow.metadata.set(old & !mask | value & mask);
        }
        if let Some(table) = todo.goto_table {
            self.note(Kind::Action, || format!("goto_table:{table}"));
            self.table_action(self.in_port(), table, true);
        }
    }
}

fn hex_masked(value: u64, mask: u64) -> String {
    if mask == u64::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

/// How a rule is named in a trace: its match, its priority, its cookie if it has one.
fn describe(rule: &Rule) -> String {
    let mut text = rule.flow_match().to_string();
    if !text.is_empty() {
        text.push_str(", ");
    }
    text.push_str(&format!("priority {}", rule.spec().priority));
    if rule.spec().cookie != 0 {
        text.push_str(&format!(", cookie {:#x}", rule.spec().cookie));
    }
    text
}

fn hide_ports(key: &mut FlowKey) {
    key.tp_src.set(0);
    key.tp_dst.set(0);
}
