//! Who owns which mio tokens: each part a range of 2^32 of them.

use std::ops::Range;

use mio::Token;

const WIDTH: usize = 1 << 32;

/// Signals.
pub(super) const SIGNALS: Token = Token(0);
/// Workers that have something to tell.
pub(super) const WAKER: Token = Token(1);
/// OpenFlow connections.
pub(super) const OPENFLOW: Range<usize> = WIDTH..2 * WIDTH;
/// The reconciler: the database, devices.
pub(super) const RECONCILER: Range<usize> = 2 * WIDTH..4 * WIDTH;
/// The control socket and its clients.
pub(super) const APPCTL: Token = Token(4 * WIDTH);
/// The socket that tells of connections, and its readers.
pub(super) const EVENTS: Range<usize> = 5 * WIDTH..6 * WIDTH;

/// Whom an event is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Signals,
    Waker,
    OpenFlow,
    Reconciler,
    Appctl,
    Events,
}

/// Whose token that is.
pub(super) fn owner(token: Token) -> Owner {
    match token {
        SIGNALS => Owner::Signals,
        Token(t) if t < WIDTH => Owner::Waker,
        Token(t) if OPENFLOW.contains(&t) => Owner::OpenFlow,
        Token(t) if RECONCILER.contains(&t) => Owner::Reconciler,
        Token(t) if EVENTS.contains(&t) => Owner::Events,
        Token(_) => Owner::Appctl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_owners() {
        assert_eq!(owner(SIGNALS), Owner::Signals);
        assert_eq!(owner(WAKER), Owner::Waker);
        assert_eq!(owner(Token(OPENFLOW.start)), Owner::OpenFlow);
        assert_eq!(owner(Token(RECONCILER.end - 1)), Owner::Reconciler);
        assert_eq!(owner(Token(APPCTL.0 + 9)), Owner::Appctl);
        assert_eq!(owner(Token(EVENTS.start + 9)), Owner::Events);
    }
}
