//! Lists of actions inside messages.

use crate::action::Action;
use crate::codec::action;
use crate::error::OfError;
use crate::version::Version;
use crate::wire::Reader;

/// Takes `len` bytes of actions, in which no instruction may stand.
pub(super) fn take(version: Version, reader: &mut Reader<'_>, len: usize) -> Result<Vec<Action>, OfError> {
    if !len.is_multiple_of(8) {
        return Err(OfError::OFPBRC_BAD_LEN);
    }
    let bytes = reader.bytes(len).map_err(|_| OfError::OFPBRC_BAD_LEN)?;
    action::decode_actions(version, bytes)
}

/// Appends actions.
pub(super) fn put(version: Version, actions: &[Action], out: &mut Vec<u8>) {
    action::encode_list(version, actions, out);
}
