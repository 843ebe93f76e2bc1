//! Connection tracking zones, as far as translation knows of them: which timeout policy new connections of a zone get.

use datapath::stamps::Slot;
use hashbrown::HashMap;

use crate::state::Core;
use crate::switch::Switch;
use crate::table::shape::mix;

/// Timeout policy numbers by zone.
pub type ZonePolicies = HashMap<u16, u32>;

impl Core {
    /// The slot that changes with any zone's policy.
    pub(crate) fn zones_slot(&self) -> Slot {
        Slot::of_hash(mix(self.seed, 5))
    }
}

impl Switch {
    /// Says which timeout policy new connections of each zone get. Zones that are not named have none.
    pub fn set_zone_policies(&self, policies: ZonePolicies) {
        let mut state = self.core.write();
        if state.zones == policies {
            return;
        }
        state.zones = policies;
        drop(state);
        self.core.touch([self.core.zones_slot()]);
    }
}
