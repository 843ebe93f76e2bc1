//! The shape of a tuple: which words of a key it looks at, in which stage.
//!
//! A tuple looks at its words in four stages: metadata, Ethernet to MPLS, network, transport. When a stage finds that no rule
//! of the tuple can match, the later stages are not looked at and stay wildcarded.

use packet::key::WORDS;
use packet::{FlowKey, FlowMask};
use smallvec::SmallVec;

/// Number of stages.
pub(crate) const STAGES: usize = 4;

const ETHERNET: usize = std::mem::offset_of!(FlowKey, eth_dst) / 8;
const NETWORK: usize = std::mem::offset_of!(FlowKey, nw_src) / 8;
const TRANSPORT: usize = std::mem::offset_of!(FlowKey, tp_src) / 8;
const PIPELINE: usize = std::mem::offset_of!(FlowKey, regs) / 8;
/// Word that holds the transport ports (upper half, source first) and nothing else but the IGMP group.
pub(crate) const PORTS_WORD: usize = TRANSPORT;

/// The stage that a byte offset in a key belongs to.
pub(crate) fn stage_of(offset: usize) -> usize {
    match offset / 8 {
        ETHERNET..NETWORK => 1,
        NETWORK..TRANSPORT => 2,
        TRANSPORT..PIPELINE => 3,
        _ => 0,
    }
}

/// One word that a tuple looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    word: u8,
    mask: u64,
}

/// The words a mask looks at, in order of stages.
#[derive(Debug)]
pub(crate) struct Shape {
    lanes: SmallVec<[Lane; 6]>,
    /// `ends[s]`: index after the last lane of stage `s`.
    ends: [usize; STAGES],
}

/// The masked words of a key under a shape.
pub(crate) type Values = SmallVec<[u64; 4]>;

/// Continues a hash with one word.
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let wide = u128::from(hash ^ word ^ 0x9e37_79b9_7f4a_7c15)
        * u128::from(0xa076_1d64_78bd_642f_u64 ^ hash.rotate_left(32) | 1);
    (wide as u64) ^ (wide >> 64) as u64
}

impl Shape {
    pub(crate) fn new(mask: &FlowMask) -> Self {
        let mut lanes = SmallVec::new();
        let mut ends = [0; STAGES];
        for (stage, end) in ends.iter_mut().enumerate() {
            for word in (0..WORDS).filter(|w| stage_of(w * 8) == stage && mask.0.words()[*w] != 0) {
                lanes.push(Lane { word: word as u8, mask: mask.0.words()[word] });
            }
            *end = lanes.len();
        }
        Self { lanes, ends }
    }

    /// The last stage that has lanes; 0 for a mask that looks at nothing.
    pub(crate) fn last_stage(&self) -> usize {
        (0..STAGES).rev().find(|s| !self.stage(*s).is_empty()).unwrap_or(0)
    }

    fn start(&self, stage: usize) -> usize {
        if stage == 0 { 0 } else { self.ends[stage - 1] }
    }

    /// The lanes of one stage.
    pub(crate) fn stage(&self, stage: usize) -> &[Lane] {
        &self.lanes[self.start(stage)..self.ends[stage]]
    }

    /// Continues `hash` with the words of one stage.
    pub(crate) fn hash_stage(&self, stage: usize, key: &FlowKey, hash: u64) -> u64 {
        self.stage(stage).iter().fold(hash, |h, lane| mix(h, key.words()[usize::from(lane.word)] & lane.mask))
    }

    /// Un-wildcards the words of one stage.
    pub(crate) fn fold_stage(&self, stage: usize, mask: &mut FlowMask) {
        for lane in self.stage(stage) {
            mask.0.words_mut()[usize::from(lane.word)] |= lane.mask;
        }
    }

    /// The masked words of `key`.
    pub(crate) fn values(&self, key: &FlowKey) -> Values {
        self.lanes.iter().map(|lane| key.words()[usize::from(lane.word)] & lane.mask).collect()
    }

    /// Whether the masked words of `key` are `values`.
    pub(crate) fn agrees(&self, key: &FlowKey, values: &[u64]) -> bool {
        let mut pairs = self.lanes.iter().zip(values);
        pairs.all(|(lane, value)| key.words()[usize::from(lane.word)] & lane.mask == *value)
    }

    /// Writes `values` back into a key.
    pub(crate) fn expand(&self, values: &[u64]) -> FlowKey {
        let mut key = FlowKey::default();
        for (lane, value) in self.lanes.iter().zip(values) {
            key.words_mut()[usize::from(lane.word)] = *value;
        }
        key
    }
}
