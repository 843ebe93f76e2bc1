//! [`Datagram`]: the fragments of one datagram while some are missing.
//!
//! # Algorithm
//!
//! `parts` are in order of arrival; `sorted` has their indices in order of the payload, found by binary search. A fragment that shares a
//! byte with its neighbours there, or that contradicts where the datagram ends, is not taken in.
//!
//! # Invariants
//!
//! - No two parts overlap, and no part goes beyond `total`; so the datagram is whole exactly when the shares add up to `total`.
//! - At most [`MAX_PARTS`] parts; a datagram that is `spoiled` has none and takes none.
//!
//! # Costs
//!
//! Two comparisons per step of the search, and a move of at most 510 bytes to enter an index.

use super::part::{Part, Whole};
use super::piece::Piece;
use super::{Family, Reason};

/// Most fragments of one datagram. Fragments of the smallest size that can be demanded ([`MIN_SIZE_FLOOR`](super::MIN_SIZE_FLOOR)) need
/// fewer; it takes IPv6 ones stuffed with extension headers to need more.
pub(super) const MAX_PARTS: usize = 256;

/// What a fragment is to those that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// It is missing.
    Fits,
    /// The same one is there, byte for byte.
    Duplicate,
    /// It overlaps others, or lies beyond the end.
    Overlaps,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Datagram {
    parts: Vec<Part>,
    sorted: Vec<u16>,
    family: Family,
    /// Where the payload ends, once the last fragment is there.
    total: Option<usize>,
    /// Bytes of payload that are there.
    sum: usize,
    /// Charge of the fragment that spoiled it. What waited is thrown away, and what still comes of it too (RFC 5722).
    spoiled: Option<u32>,
    /// When it is given up.
    pub(super) deadline_ns: u64,
    /// Tells it from an earlier one under the same key.
    pub(super) serial: u64,
}

impl Datagram {
    pub(super) fn new(family: Family, deadline_ns: u64, serial: u64) -> Self {
        Self {
            parts: Vec::new(),
            sorted: Vec::new(),
            family,
            total: None,
            sum: 0,
            spoiled: None,
            deadline_ns,
            serial,
        }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// What is reserved for it: a number of fragments, and bytes.
    pub(super) fn charge(&self) -> (u32, u64) {
        match self.spoiled {
            Some(charge) => (1, u64::from(charge)),
            None => (self.parts.len() as u32, self.parts.iter().map(|part| u64::from(part.charge)).sum()),
        }
    }

    /// Whether the fragment with this share of the payload can be taken in.
    pub(super) fn fit(&self, piece: &Piece, share: &[u8]) -> Fit {
        let at = self.place(piece);
        if let Some(next) = self.sorted.get(at).map(|index| &self.parts[usize::from(*index)]) {
            let same = (next.piece.start, next.piece.end, next.piece.more);
            if same == (piece.start, piece.end, piece.more) && next.share() == share {
                return Fit::Duplicate;
            }
            if next.piece.start < piece.end {
                return Fit::Overlaps;
            }
        }
        let before = at.checked_sub(1).map_or(0, |before| self.end_of(before));
        let highest = self.sorted.len().checked_sub(1).map_or(0, |last| self.end_of(last));
        let beyond = self.total.is_some_and(|total| piece.end > total || !piece.more && piece.end != total);
        let cut_off = !piece.more && piece.end < highest;
        if before > piece.start || beyond || cut_off { Fit::Overlaps } else { Fit::Fits }
    }

    fn place(&self, piece: &Piece) -> usize {
        self.sorted.partition_point(|index| self.parts[usize::from(*index)].piece.start < piece.start)
    }

    fn end_of(&self, nth: usize) -> usize {
        self.parts[usize::from(self.sorted[nth])].piece.end
    }

    /// Takes in a fragment that [fits](Self::fit); there are fewer than [`MAX_PARTS`]. Whether the datagram is whole now.
    pub(super) fn insert(&mut self, part: Part) -> bool {
        let piece = part.piece;
        let at = self.place(&piece);
        self.sorted.insert(at, self.parts.len() as u16);
        self.parts.push(part);
        self.sum += piece.end - piece.start;
        if !piece.more {
            self.total = Some(piece.end);
        }
        self.total == Some(self.sum)
    }

    /// Puts a datagram together that [`insert`](Self::insert) said is whole.
    pub(super) fn assemble(self) -> Result<Whole, Reason> {
        Whole::assemble(self.parts, self.family, &self.sorted, self.sum)
    }

    /// Gives up: its parts, in order of arrival.
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// Throws its parts away and remembers that. `charge` is that of the fragment to blame, and stays.
    pub(super) fn spoil(&mut self, charge: u32) {
        self.spoiled = Some(charge);
        self.parts = Vec::new();
        self.sorted = Vec::new();
    }

    /// How Open vSwitch calls what is there.
    pub(super) fn state(&self) -> &'static str {
        let first = self.sorted.first().is_some_and(|index| self.parts[usize::from(*index)].piece.start == 0);
        match (first, self.total.is_some()) {
            _ if self.is_spoiled() => "reass fail",
            (true, true) => "first/last frag",
            (true, false) => "first frag",
            (false, true) => "last frag",
            (false, false) => "other frag",
        }
    }
}
