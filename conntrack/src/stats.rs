//! Figures about the table.

use crate::dump::Cursor;
use crate::table::SHARDS;
use crate::timeout::Stage;
use crate::tracker::Tracker;

/// Connections by IP protocol and by stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Connections.
    pub total: u32,
    /// By IP protocol.
    pub protocols: [u32; 256],
    /// By [`Stage`].
    pub stages: [u32; Stage::COUNT],
}

impl Default for Stats {
    fn default() -> Self {
        Self { total: 0, protocols: [0; 256], stages: [0; Stage::COUNT] }
    }
}

impl Tracker {
    /// Counts connections into `stats`, having looked at no more than `slots` slots. Whether it is done; if not, go on with the
    /// same `cursor`.
    pub fn stats_slice(&self, stats: &mut Stats, cursor: &mut Cursor, slots: usize) -> bool {
        self.walk(cursor, slots, |_, slot| {
            let conn = slot.lock();
            stats.total += 1;
            stats.protocols[usize::from(slot.tuple(false).proto)] += 1;
            stats.stages[conn.stage as usize] += 1;
        });
        cursor.is_done()
    }

    /// Counts all connections: in proportion to their number, some 20 ms for a million. See [`stats_slice`](Self::stats_slice).
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.stats_slice(&mut stats, &mut Cursor::default(), usize::MAX);
        stats
    }

    /// Number of hash tables, and the entries of each (two for a connection).
    pub fn buckets(&self) -> (usize, Vec<usize>) {
        (SHARDS, self.table.shard_lens().collect())
    }
}
