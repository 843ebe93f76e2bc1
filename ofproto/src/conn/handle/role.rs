//! Roles of controllers, and which messages they want without asking.

use openflow::OfError;
use openflow::message::{Message, Role, RoleMsg};

use super::{Effect, Turn};

pub(super) fn role_request(turn: &mut Turn<'_>, request: RoleMsg) -> Result<(), OfError> {
    if request.role != Role::NoChange {
        if let Some(id) = request.generation_id.filter(|_| request.role != Role::Equal)
            && !turn.election.advance(id)
        {
            return Err(OfError::OFPRRFC_STALE);
        }
        let session = turn.session()?;
        let became_master = request.role == Role::Primary && session.role != Role::Primary;
        session.role = request.role;
        if became_master {
            turn.effects.push(Effect::BecameMaster);
        }
    }
    let reply = RoleMsg {
        role: turn.session()?.role,
        generation_id: turn.election.generation(),
        nicira: request.nicira,
    };
    turn.reply(&Message::RoleReply(reply));
    Ok(())
}

pub(super) fn get_async(turn: &mut Turn<'_>) -> Result<(), OfError> {
    let wants = turn.session()?.wants;
    turn.reply(&Message::GetAsyncReply(wants));
    Ok(())
}
