//! The table of ports: numbers, names, and what must live as long as each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::OWN_PORT;
use crate::action::PortNo;
use crate::port::{Port, PortError};

/// The highest port number. Workers index arrays by them.
const MAX_PORT: u32 = 65_535;

/// The longest name of a Linux device, in bytes.
const MAX_NAME: usize = 15;

/// All ports.
#[derive(Default)]
pub(super) struct PortTable {
    ports: BTreeMap<PortNo, Slot>,
    turn: usize,
}

/// What a driver wants kept as long as its port is there.
pub(super) type Keep = Option<Box<dyn Send>>;

struct Slot {
    port: Arc<Port>,
    keep: Keep,
}

impl PortTable {
    /// The number for a new port of that name.
    pub(super) fn allocate(&self, name: &str) -> Result<PortNo, PortError> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(PortError::BadName(name.to_owned()));
        }
        if self.ports.values().any(|slot| slot.port.name() == name) {
            return Err(PortError::Exists(name.to_owned()));
        }
        if name == OWN_PORT {
            return Ok(PortNo(0));
        }
        (1..=MAX_PORT).map(PortNo).find(|number| !self.ports.contains_key(number)).ok_or(PortError::Full)
    }

    pub(super) fn insert(&mut self, port: Arc<Port>) {
        self.ports.insert(port.number, Slot { port, keep: None });
    }

    /// Holds on to `keep` for as long as the port is there.
    pub(super) fn keep(&mut self, number: PortNo, keep: Keep) {
        if let Some(slot) = self.ports.get_mut(&number) {
            slot.keep = keep;
        }
    }

    /// Lets go of what was kept for all ports.
    pub(super) fn close_all(&mut self) {
        self.ports.values_mut().for_each(|slot| slot.keep = None);
    }

    pub(super) fn remove(&mut self, number: PortNo) -> Result<(Arc<Port>, Keep), PortError> {
        let slot = self.ports.remove(&number).ok_or_else(|| PortError::NoSuchPort(number.0.to_string()))?;
        Ok((slot.port, slot.keep))
    }

    pub(super) fn get(&self, number: PortNo) -> Option<Arc<Port>> {
        self.ports.get(&number).map(|slot| slot.port.clone())
    }

    pub(super) fn ports(&self) -> Vec<Arc<Port>> {
        self.ports.values().map(|slot| slot.port.clone()).collect()
    }

    /// Which of so many workers gets the next receive queue.
    pub(super) fn next_turn(&mut self, workers: usize) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.turn % workers.max(1)
    }
}
