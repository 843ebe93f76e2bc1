//! Totals for `dpctl/show`, `dpif/show`, `dpif/show-drops`, `coverage/*`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Datapath;
use crate::drops::DropReason;
use crate::port::Port;

/// How lookups went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LookupStats {
    /// Packets that a cached flow covered.
    pub hit: u64,
    /// Packets that were translated.
    pub missed: u64,
    /// Packets that should have been translated and were dropped instead. Never, here.
    pub lost: u64,
    /// Cached flows.
    pub flows: usize,
}

/// The cached flows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CacheStats {
    /// How many there are.
    pub current: usize,
    /// The most that there were at any time.
    pub max: usize,
    /// How many each worker has.
    pub by_worker: Vec<usize>,
    /// How long the slowest worker took for its last walk through its flows, packets in between included.
    pub walk: Duration,
}

/// One counter of dropped packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DropLine {
    /// The port's name.
    pub port: String,
    /// Why.
    pub reason: DropReason,
    /// How many.
    pub packets: u64,
}

impl Datapath {
    /// How lookups went so far.
    pub fn lookup_stats(&self) -> LookupStats {
        let coverage = &self.shared.coverage;
        LookupStats {
            hit: read(&coverage.cache_hit) + read(&coverage.megaflow_hit),
            missed: read(&coverage.miss),
            lost: 0,
            flows: self.flow_count(),
        }
    }

    /// How many cached flows there are and were.
    pub fn cache_stats(&self) -> CacheStats {
        let crew = self.crew();
        let walk_ns = crew.workers.iter().map(|worker| read(&worker.walk_ns)).max();
        CacheStats {
            current: self.flow_count(),
            max: self.shared.flows_max.load(Ordering::Relaxed),
            by_worker: crew.workers.iter().map(|worker| worker.flows.load(Ordering::Relaxed)).collect(),
            walk: Duration::from_nanos(walk_ns.unwrap_or(0)),
        }
    }

    /// All counters of dropped packets that are not zero, by port number, then reason; of one port or of all.
    pub fn drops(&self, only: Option<&str>) -> Vec<DropLine> {
        let ports = self.ports();
        let wanted = ports.iter().filter(|port| only.is_none_or(|name| name == port.name()));
        wanted.flat_map(|port| drop_lines(port)).collect()
    }

    /// The coverage counters of the datapath: name and value, drops by reason over all ports included.
    pub fn coverage(&self) -> Vec<(&'static str, u64)> {
        let c = &self.shared.coverage;
        let mut counters = vec![
            ("datapath_cache_hit", read(&c.cache_hit)),
            ("datapath_megaflow_hit", read(&c.megaflow_hit)),
            ("datapath_miss", read(&c.miss)),
            ("datapath_flow_install", read(&c.install)),
            ("datapath_flow_evict", read(&c.evict)),
            ("datapath_flow_expire", read(&c.expire)),
            ("datapath_flow_revalidate", read(&c.revalidate)),
            ("datapath_flow_revalidate_change", read(&c.revalidate_change)),
            ("datapath_mask_bound", read(&c.generalise)),
            ("datapath_recirculate", read(&c.recirculate)),
            ("datapath_segment", read(&c.segment)),
            ("datapath_checksum", read(&c.checksum)),
            ("datapath_punt", read(&c.punt)),
            ("datapath_execute", read(&c.execute)),
            ("datapath_sleep", read(&c.sleep)),
            // A batch never grows here; scripts read this counter and expect a 0.
            ("dp_packet_batch_grow", 0),
        ];
        let ports = self.ports();
        let nowhere = self.shared.nowhere.read();
        for reason in DropReason::ALL {
            let on_ports: u64 = ports.iter().map(|port| port.counters.read().dropped(*reason)).sum();
            counters.push((reason.name(), on_ports + nowhere.dropped(*reason)));
        }
        counters
    }
}

fn drop_lines(port: &Port) -> Vec<DropLine> {
    let stats = port.counters.read();
    let reasons = DropReason::ALL.iter().filter(|reason| stats.dropped(**reason) != 0);
    reasons
        .map(|&reason| DropLine { port: port.name().to_owned(), reason, packets: stats.dropped(reason) })
        .collect()
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
