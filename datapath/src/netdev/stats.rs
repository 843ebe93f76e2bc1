//! A device's counters (`struct rtnl_link_stats64`) and the names under which the database shows them.

use crate::netlink::message::u64_at;

/// Counters of a device as the kernel keeps them. Bytes are counted without the frame check sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Receive errors of all kinds.
    pub rx_errors: u64,
    /// Transmit errors of all kinds.
    pub tx_errors: u64,
    /// Received frames dropped by the kernel.
    pub rx_dropped: u64,
    /// Frames to send dropped by the kernel.
    pub tx_dropped: u64,
    /// Multicast frames received.
    pub multicast: u64,
    /// Collisions.
    pub collisions: u64,
    /// Receive ring overflows.
    pub rx_over_errors: u64,
    /// Frames with a bad checksum of their own.
    pub rx_crc_errors: u64,
    /// Misaligned frames.
    pub rx_frame_errors: u64,
    /// Frames missed by the device.
    pub rx_missed_errors: u64,
}

impl LinkStats {
    /// Reads the kernel's structure; what it lacks at its end is zero.
    pub fn read(bytes: &[u8]) -> Self {
        let word = |index: usize| u64_at(bytes, 8 * index).unwrap_or(0);
        Self {
            rx_packets: word(0),
            tx_packets: word(1),
            rx_bytes: word(2),
            tx_bytes: word(3),
            rx_errors: word(4),
            tx_errors: word(5),
            rx_dropped: word(6),
            tx_dropped: word(7),
            multicast: word(8),
            collisions: word(9),
            rx_over_errors: word(11),
            rx_crc_errors: word(12),
            rx_frame_errors: word(13),
            rx_missed_errors: word(15),
        }
    }

    /// The same seen from the switch, for a tap: what its device sends, the switch receives.
    pub fn swapped(self) -> Self {
        Self {
            rx_packets: self.tx_packets,
            tx_packets: self.rx_packets,
            rx_bytes: self.tx_bytes,
            tx_bytes: self.rx_bytes,
            rx_errors: self.tx_errors,
            tx_errors: self.rx_errors,
            rx_dropped: self.tx_dropped,
            tx_dropped: self.rx_dropped,
            ..self
        }
    }

    /// The names and values of the database's `Interface.statistics`, in the order of their names.
    pub fn columns(&self) -> [(&'static str, u64); 14] {
        [
            ("collisions", self.collisions),
            ("rx_bytes", self.rx_bytes),
            ("rx_crc_err", self.rx_crc_errors),
            ("rx_dropped", self.rx_dropped),
            ("rx_errors", self.rx_errors),
            ("rx_frame_err", self.rx_frame_errors),
            ("rx_missed_errors", self.rx_missed_errors),
            ("rx_multicast_packets", self.multicast),
            ("rx_over_err", self.rx_over_errors),
            ("rx_packets", self.rx_packets),
            ("tx_bytes", self.tx_bytes),
            ("tx_dropped", self.tx_dropped),
            ("tx_errors", self.tx_errors),
            ("tx_packets", self.tx_packets),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_order_is_read_and_taps_are_swapped() {
        let bytes: Vec<u8> = (0..24u64).flat_map(u64::to_ne_bytes).collect();
        let stats = LinkStats::read(&bytes);
        assert_eq!((stats.tx_packets, stats.collisions, stats.rx_missed_errors), (1, 9, 15));
        let swapped = stats.swapped();
        assert_eq!((swapped.rx_packets, swapped.rx_bytes, swapped.tx_dropped), (1, 3, 6));
        assert_eq!(swapped.swapped(), stats);
        assert_eq!(LinkStats::read(&bytes[..8]).tx_packets, 0);
        assert!(stats.columns().is_sorted());
    }
}
