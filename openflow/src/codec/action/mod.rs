//! Lists of actions on the wire.
//!
//! An action is a type and a length, a multiple of eight. Type 0xffff names a vendor and that vendor's own subtype: Nicira's
//! (`nicira-ext.h`) are understood in every version, ONF's where they were defined. The plain types differ between 1.0
//! ([`ofp10`]) and later versions ([`std`]).
//!
//! Reading checks what one action alone can get wrong and what it may stand beside; what depends on the match or the
//! tables is [`crate::action::check`]'s.

mod ct;
mod encap;
mod encode;
mod learn;
mod nx;
mod nx_encode;
mod ofp10;
mod output;
mod set;
mod std;

pub use encode::encode_list;
pub(crate) use nx_encode::{put_resubmit, put_write_metadata};
pub(crate) use set::segments;

use crate::action::Action;
use crate::error::{NICIRA, ONF};
use crate::wire::Reader;
use crate::{FieldId, OfError, Version};

/// Type of vendor actions.
const VENDOR: u16 = 0xffff;

/// What a list of actions holds. `write_metadata` is an instruction, but Nicira made it an action too, which can only be last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActionList {
    /// The actions.
    pub actions: Vec<Action>,
    /// Value and mask of the metadata to write after them.
    pub metadata: Option<(u64, u64)>,
}

/// What surrounds a list of actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outer {
    /// A flow-mod or an apply-actions instruction.
    Flow,
    /// A packet-out or a bucket: no instructions.
    Plain,
    /// A write-actions instruction.
    WriteActions,
    /// A `ct` action.
    Ct,
    /// A `clone` action.
    Clone,
}

/// What reading one action gives.
enum Decoded {
    Action(Action),
    Metadata(u64, u64),
}

impl From<Action> for Decoded {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

/// Reads the actions that fill `bytes`, with no instruction among them.
pub fn decode_actions(version: Version, bytes: &[u8]) -> Result<Vec<Action>, OfError> {
    decode_list(version, bytes, Outer::Plain).map(|list| list.actions)
}

/// Reads the list that fills `bytes`.
pub fn decode_list(version: Version, bytes: &[u8], outer: Outer) -> Result<ActionList, OfError> {
    let mut rest = bytes;
    let mut decoded = Vec::new();
    while !rest.is_empty() {
        let (id, len) = header(version, rest)?;
        decoded.push(decode_one(version, id, &rest[..len])?);
        rest = &rest[len..];
    }
    verify(decoded, version, outer)
}

/// Which action: the vendor (0 for none) and the type.
type Id = (u32, u16);

/// Reads the header at the start of `bytes` and checks the length.
fn header(version: Version, bytes: &[u8]) -> Result<(Id, usize), OfError> {
    let mut r = Reader::or(bytes, OfError::OFPBAC_BAD_LEN);
    let (kind, len) = (r.u16()?, usize::from(r.u16()?));
    let id = match kind {
        VENDOR => match r.u32()? {
            vendor @ (NICIRA | ONF) => (vendor, r.u16()?),
            _ => return Err(OfError::OFPBAC_BAD_VENDOR),
        },
        _ => (0, kind),
    };
    let (min, max) = lengths(version, id)?;
    match len <= bytes.len() && (min..=max).contains(&len) && len % 8 == 0 {
        true => Ok((id, len)),
        false => Err(OfError::OFPBAC_BAD_LEN),
    }
}

/// The shortest and the longest form of an action.
fn lengths(version: Version, id: Id) -> Result<(usize, usize), OfError> {
    let found = match (id, version) {
        ((NICIRA, subtype), _) => nx::lengths(version, subtype),
        ((ONF, 3200), Version::V13 | Version::V14) => Some((24, 32)),
        ((0, kind), Version::V10) => ofp10::lengths(kind),
        ((0, kind), _) => std::lengths(version, kind),
        _ => None,
    };
    found.ok_or(if id.0 == 0 { OfError::OFPBAC_BAD_TYPE } else { OfError::OFPBAC_BAD_VENDOR_TYPE })
}

fn decode_one(version: Version, id: Id, bytes: &[u8]) -> Result<Decoded, OfError> {
    let mut r = Reader::or(bytes, OfError::OFPBAC_BAD_LEN);
    match id {
        (0, kind) => {
            r.skip(4)?;
            let decode = if version == Version::V10 { ofp10::decode } else { std::decode };
            decode(version, kind, &mut r).map(Decoded::Action)
        }
        (ONF, _) => {
            r.skip(10)?;
            set::decode_copy_field(&mut r, true).map(Decoded::Action)
        }
        (_, subtype) => {
            r.skip(10)?;
            nx::decode(version, subtype, &mut r)
        }
    }
}

/// Checks what may stand beside what and within what, and puts the list together.
fn verify(decoded: Vec<Decoded>, version: Version, outer: Outer) -> Result<ActionList, OfError> {
    let mut list = ActionList::default();
    let conjunctive = decoded.iter().any(|d| matches!(d, Decoded::Action(Action::Conjunction { .. })));
    for one in decoded {
        let action = match one {
            Decoded::Metadata(..) if outer != Outer::Flow => return Err(OfError::OFPBIC_UNSUP_INST),
            _ if list.metadata.is_some() => return Err(OfError::OFPBAC_UNSUPPORTED_ORDER),
            Decoded::Metadata(value, mask) => {
                list.metadata = Some((value, mask));
                continue;
            }
            Decoded::Action(action) => action,
        };
        if conjunctive && !matches!(action, Action::Conjunction { .. } | Action::Note(_)) {
            return Err(OfError::NXBAC_BAD_CONJUNCTION);
        }
        verify_nested(&action, version, outer)?;
        list.actions.push(action);
    }
    Ok(list)
}

fn verify_nested(action: &Action, version: Version, outer: Outer) -> Result<(), OfError> {
    let dst = match action {
        Action::SetField(set) => Some(set.field),
        Action::Move { dst, .. } => Some(dst.field),
        _ => None,
    };
    let of_connection = dst.is_some_and(|f| matches!(f, FieldId::CtMark | FieldId::CtLabel));
    if of_connection && outer != Outer::Ct {
        return Err(OfError::OFPBAC_BAD_SET_ARGUMENT);
    }
    match action {
        Action::Nat(_) if outer == Outer::Ct => Ok(()),
        Action::Nat(_) => Err(OfError::OFPBAC_BAD_SET_ARGUMENT),
        _ if outer == Outer::Ct && !of_connection => Err(OfError::OFPBAC_BAD_ARGUMENT),
        _ if outer == Outer::WriteActions && !goes_into_set(action) => Err(OfError::OFPBAC_BAD_TYPE),
        Action::Meter(_) if version < Version::V15 => Err(OfError::OFPBAC_BAD_TYPE),
        _ => Ok(()),
    }
}

/// Whether an action can be in an action set.
fn goes_into_set(action: &Action) -> bool {
    !matches!(
        action,
        Action::Bundle(_)
            | Action::CheckPktLarger { .. }
            | Action::Clone(_)
            | Action::Conjunction { .. }
            | Action::Controller(_)
            | Action::CtClear
            | Action::DeleteField(_)
            | Action::Enqueue { .. }
            | Action::Exit
            | Action::FinTimeout { .. }
            | Action::Learn(_)
            | Action::Meter(_)
            | Action::Multipath(_)
            | Action::Note(_)
            | Action::OutputReg { .. }
            | Action::OutputTrunc { .. }
            | Action::PopQueue
            | Action::Sample(_)
            | Action::StackPop(_)
            | Action::StackPush(_)
    )
}
