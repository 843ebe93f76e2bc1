//! What an operator can set at run time: `dpctl/ipf-set-enabled`, `-disabled`, `-min-frag`, `-max-nfrags`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use thiserror::Error;

use super::{Family, Reassembler};

/// The smallest "smallest size" that can be set, in bytes of the IP packet.
pub const MIN_SIZE_FLOOR: u32 = 400;
/// The largest number of waiting fragments that can be set.
pub const MAX_FRAGMENTS_CEILING: u32 = 5000;

pub(super) const DEFAULT_MAX_FRAGMENTS: u32 = 1000;

/// A limit that cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LimitError {
    /// requested minimum fragment size too small; see documentation
    #[error("requested minimum fragment size too small; see documentation")]
    MinSize,
    /// setting maximum fragments failed
    #[error("setting maximum fragments failed")]
    MaxFragments,
}

#[derive(Debug)]
pub(super) struct Settings {
    enabled: [AtomicBool; 2],
    min_size: [AtomicU32; 2],
}

impl Default for Settings {
    /// Both enabled, 1200 bytes for IPv4 and 1280 for IPv6, Open vSwitch's.
    fn default() -> Self {
        Self {
            enabled: [const { AtomicBool::new(true) }; 2],
            min_size: [AtomicU32::new(1200), AtomicU32::new(1280)],
        }
    }
}

impl Settings {
    pub(super) fn enabled(&self, family: Family) -> bool {
        self.enabled[family as usize].load(Ordering::Relaxed)
    }

    pub(super) fn min_size(&self, family: Family) -> u32 {
        self.min_size[family as usize].load(Ordering::Relaxed)
    }
}

impl Reassembler {
    /// Turns putting together on or off. What waits goes on waiting until its time is over.
    pub fn set_enabled(&self, family: Family, enabled: bool) {
        self.settings.enabled[family as usize].store(enabled, Ordering::Relaxed);
    }

    /// Sets the least length, in bytes of the IP packet, of a fragment that is not the last: at least [`MIN_SIZE_FLOOR`].
    pub fn set_min_size(&self, family: Family, bytes: u32) -> Result<(), LimitError> {
        if bytes < MIN_SIZE_FLOOR {
            return Err(LimitError::MinSize);
        }
        self.settings.min_size[family as usize].store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Sets how many fragments may wait, of both versions of IP together: at most [`MAX_FRAGMENTS_CEILING`]. Those that wait stay.
    pub fn set_max_fragments(&self, fragments: u32) -> Result<(), LimitError> {
        if fragments > MAX_FRAGMENTS_CEILING {
            return Err(LimitError::MaxFragments);
        }
        self.budget.set_max_held(fragments);
        Ok(())
    }
}
