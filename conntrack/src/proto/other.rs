//! UDP and all protocols that are known by their addresses only: who has spoken.

use super::Judgement;
use crate::timeout::Stage;

/// Who has spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Other {
    /// The original side, once.
    First,
    /// The original side, more than once.
    Multiple,
    /// Both sides.
    Bidir,
}

impl Other {
    /// Takes a packet into account.
    pub(crate) fn judge(&mut self, reply: bool) -> (Judgement, Stage) {
        *self = match (*self, reply) {
            (Self::Bidir, _) | (_, true) => Self::Bidir,
            (Self::First | Self::Multiple, false) => Self::Multiple,
        };
        match self {
            Self::Bidir => (Judgement::Established, Stage::OtherBidir),
            _ => (Judgement::New, Stage::OtherMultiple),
        }
    }
}
