//! [`Conn`]: what of a connection may change while it lives.

use std::sync::Arc;

use crate::alg::control::Control;
use crate::proto::{Proto, other::Other};
use crate::request::{Helper, NatSide};
use crate::timeout::{Policy, Stage};
use crate::tuple::Tuple;
use crate::view::{L4, View};

/// A connection without its tuples and its deadline, which stand beside it in the slot.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Protocol state.
    pub(crate) proto: Proto,
    /// Mark.
    pub(crate) mark: u32,
    /// Number, unique among those alive and not used again soon.
    pub(crate) id: u32,
    /// Label, most significant half first (halves, so that a slot needs no alignment of 16).
    pub(crate) label: [u64; 2],
    /// Timeouts other than the default.
    pub(crate) policy: Option<Arc<Policy>>,
    /// What only some connections have.
    pub(crate) extra: Option<Box<Extra>>,
    /// Stage of its life.
    pub(crate) stage: Stage,
    /// Which side is translated.
    pub(crate) nat: Option<NatSide>,
    /// Whose control channel it is.
    pub(crate) helper: Option<Helper>,
}

/// What only some connections have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Original tuple of the connection that announced this one.
    pub(crate) parent: Option<Tuple>,
    /// What is remembered of a control connection.
    pub(crate) control: Control,
}

impl Default for Conn {
    fn default() -> Self {
        Self::new(Proto::Other(Other::First), Stage::OtherFirst, 0)
    }
}

impl Conn {
    /// A connection with nothing set.
    pub(crate) fn new(proto: Proto, stage: Stage, id: u32) -> Self {
        Self { proto, mark: 0, id, label: [0; 2], policy: None, extra: None, stage, nat: None, helper: None }
    }

    /// Label.
    pub(crate) fn label(&self) -> u128 {
        u128::from(self.label[0]) << 64 | u128::from(self.label[1])
    }

    /// Sets the label.
    pub(crate) fn set_label(&mut self, label: u128) {
        self.label = [(label >> 64) as u64, label as u64];
    }

    /// Original tuple of the connection that announced this one, if one did.
    pub(crate) fn parent(&self) -> Option<&Tuple> {
        self.extra.as_ref()?.parent.as_ref()
    }

    /// A packet in the numbers that its own direction and the other count in, where texts that were edited have moved them.
    pub(crate) fn renumbered(&self, view: &View, reply: bool) -> View {
        let mut view = *view;
        let edited = self.extra.as_ref().and_then(|extra| extra.control.edited(reply));
        if let (Some((_, back)), L4::Tcp(tcp)) = (edited, &mut view.l4) {
            tcp.ack = back.backward(tcp.ack);
        }
        view
    }
}
