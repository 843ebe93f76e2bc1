//! The action set: collected by write-actions, done at the end of the pipeline (OpenFlow 1.3 clause 5.10).

use openflow::{Action, OfPort};

use super::Xlate;
use super::trace::Kind;

/// Kinds of which the last one counts, in the order in which they are done before anything is set.
fn early_rank(action: &Action) -> Option<u8> {
    Some(match action {
        Action::StripVlan | Action::PopVlan => 0,
        Action::PopMpls(_) => 1,
        Action::PushMpls(_) => 2,
        Action::PushVlan(_) => 3,
        Action::DecTtl(_) => 4,
        Action::DecMplsTtl => 5,
        _ => return None,
    })
}

/// Kinds that end the set; only the one that comes first here is done.
fn final_rank(action: &Action) -> Option<u8> {
    Some(match action {
        Action::Group(_) => 0,
        Action::Output { .. } | Action::Controller(_) => 1,
        Action::Resubmit(_) => 2,
        Action::Ct(_) => 3,
        _ => return None,
    })
}

fn is_set_or_move(action: &Action) -> bool {
    matches!(
        action,
        Action::SetField(_)
            | Action::Move { .. }
            | Action::SetTunnel { .. }
            | Action::SetEthSrc(_)
            | Action::SetEthDst(_)
            | Action::SetIpv4Src(_)
            | Action::SetIpv4Dst(_)
            | Action::SetIpDscp(_)
            | Action::SetIpEcn(_)
            | Action::SetIpTtl(_)
            | Action::SetL4Src(_)
            | Action::SetL4Dst(_)
            | Action::SetMplsLabel(_)
            | Action::SetMplsTc(_)
            | Action::SetMplsTtl(_)
            | Action::SetVlanVid { .. }
            | Action::SetVlanPcp { .. }
    )
}

/// What a set comes to, in the order in which it is done; nothing if it sends nowhere.
pub(super) fn in_order(set: &[Action]) -> Vec<Action> {
    let last_of = |rank: u8| set.iter().rev().find(|action| early_rank(action) == Some(rank));
    let mut out: Vec<Action> = (0..=5).filter_map(last_of).cloned().collect();
    out.extend(set.iter().filter(|action| is_set_or_move(action)).cloned());
    out.extend(set.iter().rev().find(|action| matches!(action, Action::SetQueue(_))).cloned());
    let end = (0..=3).find_map(|rank| set.iter().rev().find(|action| final_rank(action) == Some(rank)));
    match end {
        Some(end) => out.push(end.clone()),
        None => out.clear(),
    }
    out
}

/// How a set is told in a trace, after a verb.
pub(super) fn text(set: &[Action]) -> String {
    let set = in_order(set);
    if set.is_empty() { " empty".to_owned() } else { format!(": {}", openflow::text::actions(&set)) }
}

impl Xlate<'_> {
    /// Puts actions into the set.
    pub(super) fn write_actions(&mut self, actions: &[Action]) {
        self.note(Kind::Action, || format!("write_actions({})", openflow::text::actions(actions)));
        self.action_set.extend_from_slice(actions);
        let port = actions.iter().rev().find_map(|action| match action {
            Action::Output { port, .. } => Some(*port),
            _ => None,
        });
        if let Some(port) = port {
            self.flow.actset_output.set(port.0);
        }
        if self.tracer.is_some() {
            let is = text(&self.action_set);
            self.note(Kind::Detail, || format!("action set is{is}"));
        }
    }

    /// Does what the set comes to, and empties it. Nothing while a recirculation is to come first.
    pub(super) fn run_action_set(&mut self) {
        if self.frozen.is_some() || self.error.is_some() || self.action_set.is_empty() {
            return;
        }
        let set = in_order(&std::mem::take(&mut self.action_set));
        self.flow.actset_output.set(OfPort::UNSET.0);
        if set.is_empty() {
            return;
        }
        let place = self.tracer.as_ref().map(super::trace::Tracer::place);
        self.note_below(Kind::Table, || "--. Executing action set:".into());
        self.in_action_set = true;
        // After `exit` nothing of it is done, whatever ovs-actions(7) says: that is what Open vSwitch 3.1.0 does.
        self.actions(&set);
        self.in_action_set = false;
        if let (Some(tracer), Some(place)) = (&mut self.tracer, place) {
            tracer.go(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(port: u32) -> Action {
        Action::Output { port: OfPort(port), max_len: 0 }
    }

    #[test]
    fn order_is_that_of_the_specification() {
        let set = [output(1), Action::SetIpTtl(3), Action::PushVlan(0x8100), output(2), Action::StripVlan];
        assert_eq!(
            in_order(&set),
            [Action::StripVlan, Action::PushVlan(0x8100), Action::SetIpTtl(3), output(2)]
        );
        assert_eq!(in_order(&[Action::SetIpTtl(3)]), []);
        assert_eq!(in_order(&[output(1), Action::Group(7)]), [Action::Group(7)]);
    }
}
