//! What can be set of a datapath while it runs.

use std::time::Duration;

/// Settings of a datapath.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Number of worker threads (`other_config:n-workers`, or the ones in `pmd-cpu-mask`).
    pub workers: usize,
    /// The CPUs that the workers run on, in turn; empty to leave it to the kernel.
    pub cpus: Vec<usize>,
    /// A cached flow unused for so long goes (`other_config:max-idle`).
    pub max_idle: Duration,
    /// The most cached flows of all workers together (`other_config:flow-limit`).
    pub flow_limit: usize,
    /// Entries of the signature cache of each worker; rounded up to a power of two.
    pub cache_entries: usize,
    /// Whether a cached flow may cover packets of more than one connection (`upcall/disable-megaflows`).
    pub megaflows: bool,
    /// The most distinct masks among the cached flows of one port, on one worker.
    pub masks_per_port: usize,
    /// VLAN tags that keys hold, 1 or 2 (`other_config:vlan-limit`, whose 0 means 2).
    pub vlan_limit: usize,
    /// How long a worker polls on without traffic before it sleeps.
    pub spin: Duration,
    /// Secret of the connection tracker's hashes and random choices. Taken when the datapath is made.
    pub seed: u64,
}

impl Config {
    /// The most masks of a port: none but the exact one where flows may not be wide.
    pub(crate) fn masks(&self) -> usize {
        if self.megaflows { self.masks_per_port } else { 0 }
    }
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            workers: if cores <= 2 { 1 } else { cores.min(4) - 1 },
            cpus: Vec::new(),
            max_idle: Duration::from_secs(10),
            flow_limit: 200_000,
            cache_entries: 1 << 18,
            megaflows: true,
            masks_per_port: 32,
            vlan_limit: 1,
            spin: Duration::from_micros(20),
            seed: 0,
        }
    }
}

/// The CPUs of a `pmd-cpu-mask`: hexadecimal, CPU 0 is the lowest bit, any length. `None` if it is no such number.
pub fn parse_cpu_mask(mask: &str) -> Option<Vec<usize>> {
    let digits = mask.strip_prefix("0x").or_else(|| mask.strip_prefix("0X")).unwrap_or(mask);
    if digits.is_empty() {
        return None;
    }
    let mut cpus = Vec::new();
    for (nibble, digit) in digits.chars().rev().enumerate() {
        let bits = digit.to_digit(16)?;
        cpus.extend((0..4).filter(|bit| bits >> bit & 1 == 1).map(|bit| nibble * 4 + bit));
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_masks() {
        assert_eq!(parse_cpu_mask("0x6"), Some(vec![1, 2]));
        assert_eq!(parse_cpu_mask("F0"), Some(vec![4, 5, 6, 7]));
        assert_eq!(parse_cpu_mask("0"), Some(vec![]));
        assert_eq!(parse_cpu_mask("0xg"), None);
        assert_eq!(parse_cpu_mask(""), None);
    }
}
