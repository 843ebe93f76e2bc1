//! The `learn` action.

use crate::field::SubField;

/// Flags of [`Learn`], as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LearnFlags(pub u16);

impl LearnFlags {
    /// A flow-removed is sent when a learned flow goes.
    pub const SEND_FLOW_REM: u16 = 1;
    /// Learned flows go with the flow that has this action.
    pub const DELETE_LEARNED: u16 = 2;
    /// Whether the limit was reached is written to a bit.
    pub const WRITE_RESULT: u16 = 4;
}

/// `learn`: add a flow made from this packet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Learn {
    /// Idle time-out of the new flow in seconds.
    pub idle_timeout: u16,
    /// Hard time-out in seconds.
    pub hard_timeout: u16,
    /// Idle time-out after a FIN or RST.
    pub fin_idle_timeout: u16,
    /// Hard time-out after a FIN or RST.
    pub fin_hard_timeout: u16,
    /// Priority.
    pub priority: u16,
    /// Table.
    pub table: u8,
    /// Cookie.
    pub cookie: u64,
    /// Flags.
    pub flags: LearnFlags,
    /// How many flows it may have learned at most; 0 for any number.
    pub limit: u32,
    /// The bit that tells whether the limit was not reached.
    pub result_dst: Option<SubField>,
    /// What the new flow matches and does.
    pub specs: Vec<LearnSpec>,
}

/// One piece of the flow to learn.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LearnSpec {
    /// Width in bits.
    pub n_bits: u16,
    /// Where the bits come from.
    pub src: LearnSrc,
    /// Where they go.
    pub dst: LearnDst,
}

/// Where bits come from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LearnSrc {
    /// A field of the packet that is at hand.
    Field(SubField),
    /// A constant of `n_bits` bits, right-justified.
    Immediate(u128),
}

/// Where bits go.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LearnDst {
    /// The match of the new flow.
    Match(SubField),
    /// A `load` in its actions.
    Load(SubField),
    /// An `output` in its actions.
    Output,
}
