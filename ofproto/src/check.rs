//! Whether this switch can do what a flow or a packet-out asks for. What the message itself shows to be wrong was found before
//! ([`openflow::action::check`]); this is about what exists here.

use openflow::{Action, Instructions, OfError};

/// Checks the instructions of a flow.
pub(crate) fn instructions(todo: &Instructions) -> Result<(), OfError> {
    if todo.meter.is_some() {
        return Err(OfError::OFPMMFC_INVALID_METER);
    }
    actions(&todo.apply)?;
    actions(todo.write.as_deref().unwrap_or_default())
}

/// Checks a list of actions.
pub(crate) fn actions(list: &[Action]) -> Result<(), OfError> {
    list.iter().try_for_each(action)
}

fn action(action: &Action) -> Result<(), OfError> {
    match action {
        Action::Group(_) => Err(OfError::OFPBAC_BAD_OUT_GROUP),
        Action::Meter(_) => Err(OfError::OFPMMFC_INVALID_METER),
        Action::Controller(controller) if controller.meter.is_some() => Err(OfError::OFPMMFC_INVALID_METER),
        Action::Controller(controller) if controller.pause => Err(OfError::OFPBAC_BAD_TYPE),
        Action::Clone(inner) => actions(inner),
        Action::Ct(ct) => actions(&ct.actions),
        Action::Bundle(_)
        | Action::Conjunction { .. }
        | Action::Multipath(_)
        | Action::Sample(_)
        | Action::CheckPktLarger { .. }
        | Action::DeleteField(_)
        | Action::Encap(_)
        | Action::Decap(_)
        | Action::DecNshTtl => Err(OfError::OFPBAC_BAD_TYPE),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_wherever_it_stands() {
        let group = Action::Clone(vec![Action::Group(1)]);
        assert_eq!(actions(std::slice::from_ref(&group)), Err(OfError::OFPBAC_BAD_OUT_GROUP));
        let written = Instructions { write: Some(vec![group]), ..Instructions::default() };
        assert_eq!(instructions(&written), Err(OfError::OFPBAC_BAD_OUT_GROUP));
        assert_eq!(actions(&[Action::StripVlan, Action::Meter(1)]), Err(OfError::OFPMMFC_INVALID_METER));
        assert_eq!(actions(&[Action::StripVlan]), Ok(()));
    }
}
