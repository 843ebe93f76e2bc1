//! ICMP and ICMPv6 requests and replies.

use super::Judgement;
use crate::timeout::Stage;

/// Whether a request was replied to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Icmp {
    /// A reply was seen.
    pub(crate) replied: bool,
}

impl Icmp {
    /// Whether a message of this type can start a connection: requests can (RFC 792, RFC 4443).
    pub(crate) fn is_request(v6: bool, kind: u8) -> bool {
        if v6 { kind == 128 } else { matches!(kind, 8 | 13 | 15) }
    }

    /// Takes a packet into account.
    pub(crate) fn judge(&mut self, reply: bool) -> (Judgement, Stage) {
        self.replied |= reply;
        if self.replied {
            (Judgement::Established, Stage::IcmpReply)
        } else {
            (Judgement::New, Stage::IcmpFirst)
        }
    }
}
