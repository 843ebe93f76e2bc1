//! Statistics of ports.

use crate::error::OfError;
use crate::message::prop::{self, PropType};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_zeros, set_u16};
use bytes::BufMut;

/// Property type of an Ethernet port's counters.
const ETHERNET: u16 = 0;
/// Intel's experimenter id and the property with the counters of RFC 2819, and that with named counters.
const INTEL: u32 = 0xaa01;
const RFC2819: u32 = 1;
const CUSTOM: u32 = 2;

/// How many counters of RFC 2819 there are.
pub const N_RFC2819: usize = 21;

/// Statistics of one port. What is not known is `u64::MAX`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortStats {
    /// The port.
    pub port_no: OfPort,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Received and dropped.
    pub rx_dropped: u64,
    /// Dropped instead of sent.
    pub tx_dropped: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Frame alignment errors.
    pub rx_frame_err: u64,
    /// Overruns.
    pub rx_over_err: u64,
    /// CRC errors.
    pub rx_crc_err: u64,
    /// Collisions.
    pub collisions: u64,
    /// Age, seconds (1.3 and later); `u32::MAX` if not known.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Counters of RFC 2819 in the order of the extension (1.4 and later): packets by size received (6), sent (6), total multicast,
    /// broadcast, ... `u64::MAX` where not known.
    pub rfc2819: [u64; N_RFC2819],
    /// Named counters (1.4 and later).
    pub custom: Vec<(String, u64)>,
}

impl Default for PortStats {
    fn default() -> Self {
        Self {
            port_no: OfPort::NONE,
            rx_packets: u64::MAX,
            tx_packets: u64::MAX,
            rx_bytes: u64::MAX,
            tx_bytes: u64::MAX,
            rx_dropped: u64::MAX,
            tx_dropped: u64::MAX,
            rx_errors: u64::MAX,
            tx_errors: u64::MAX,
            rx_frame_err: u64::MAX,
            rx_over_err: u64::MAX,
            rx_crc_err: u64::MAX,
            collisions: u64::MAX,
            duration_sec: u32::MAX,
            duration_nsec: u32::MAX,
            rfc2819: [u64::MAX; N_RFC2819],
            custom: Vec::new(),
        }
    }
}

impl PortStats {
    fn common(&mut self) -> [&mut u64; 8] {
        [
            &mut self.rx_packets,
            &mut self.tx_packets,
            &mut self.rx_bytes,
            &mut self.tx_bytes,
            &mut self.rx_dropped,
            &mut self.tx_dropped,
            &mut self.rx_errors,
            &mut self.tx_errors,
        ]
    }

    fn ethernet(&mut self) -> [&mut u64; 4] {
        [&mut self.rx_frame_err, &mut self.rx_over_err, &mut self.rx_crc_err, &mut self.collisions]
    }

    /// Takes one entry.
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Result<PortStats, OfError> {
        let mut stats = PortStats::default();
        if version >= Version::V14 {
            stats.decode_of14(reader)?;
            return Ok(stats);
        }
        if version == Version::V10 {
            stats.port_no = OfPort::from_u16(reader.u16()?);
            reader.skip(6)?;
        } else {
            stats.port_no = OfPort::from_u32(reader.u32()?)?;
            reader.skip(4)?;
        }
        for counter in stats.common() {
            *counter = reader.u64()?;
        }
        for counter in stats.ethernet() {
            *counter = reader.u64()?;
        }
        if version == Version::V13 {
            (stats.duration_sec, stats.duration_nsec) = (reader.u32()?, reader.u32()?);
        }
        Ok(stats)
    }

    fn decode_of14(&mut self, reader: &mut Reader<'_>) -> Result<(), OfError> {
        let len = usize::from(reader.u16()?);
        let mut entry = Reader::new(reader.bytes(len.checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?)?);
        entry.skip(2)?;
        self.port_no = OfPort::from_u32(entry.u32()?)?;
        (self.duration_sec, self.duration_nsec) = (entry.u32()?, entry.u32()?);
        for counter in self.common() {
            *counter = entry.u64()?;
        }
        while !entry.is_empty() {
            let (kind, mut contents) = prop::take(&mut entry)?;
            match kind {
                PropType::Plain(ETHERNET) => {
                    contents.skip(4)?;
                    for counter in self.ethernet() {
                        *counter = contents.u64()?;
                    }
                }
                PropType::Exp(INTEL, RFC2819) => {
                    contents.skip(4)?;
                    for counter in &mut self.rfc2819 {
                        *counter = contents.u64()?;
                    }
                }
                PropType::Exp(INTEL, CUSTOM) => self.decode_custom(&mut contents)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn decode_custom(&mut self, contents: &mut Reader<'_>) -> Result<(), OfError> {
        let count = contents.u8()?;
        contents.skip(3)?;
        for _ in 0..count {
            let len = usize::from(contents.u8()?);
            let name = String::from_utf8_lossy(contents.bytes(len)?).into_owned();
            self.custom.push((name, contents.u64()?));
        }
        Ok(())
    }

    /// Appends the entry.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        let mut stats = self.clone();
        match version {
            Version::V10 => {
                out.put_u16(self.port_no.to_u16());
                put_zeros(out, 6);
            }
            Version::V11 | Version::V12 | Version::V13 => {
                out.put_u32(self.port_no.0);
                put_zeros(out, 4);
            }
            Version::V14 | Version::V15 => {
                put_zeros(out, 4);
                out.put_u32(self.port_no.0);
                out.put_u32(self.duration_sec);
                out.put_u32(self.duration_nsec);
            }
        }
        stats.common().into_iter().for_each(|counter| out.put_u64(*counter));
        if version <= Version::V13 {
            stats.ethernet().into_iter().for_each(|counter| out.put_u64(*counter));
            if version == Version::V13 {
                out.put_u32(self.duration_sec);
                out.put_u32(self.duration_nsec);
            }
            return;
        }
        stats.encode_props(out);
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }

    fn encode_props(&mut self, out: &mut Vec<u8>) {
        let ethernet = self.ethernet().map(|counter| *counter);
        prop::put(out, PropType::Plain(ETHERNET), |out| {
            put_zeros(out, 4);
            ethernet.into_iter().for_each(|counter| out.put_u64(counter));
        });
        prop::put(out, PropType::Exp(INTEL, RFC2819), |out| {
            put_zeros(out, 4);
            self.rfc2819.iter().for_each(|&counter| out.put_u64(counter));
        });
        if self.custom.is_empty() {
            return;
        }
        // The count is one byte, and so is the length of a name.
        let named = self.custom.iter().filter(|(name, _)| name.len() <= 255).take(255);
        prop::put(out, PropType::Exp(INTEL, CUSTOM), |out| {
            out.put_u8(named.clone().count() as u8);
            put_zeros(out, 3);
            for (name, counter) in named {
                out.put_u8(name.len() as u8);
                out.extend_from_slice(name.as_bytes());
                out.put_u64(*counter);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_come_back() {
        let plain =
            PortStats { port_no: OfPort(3), rx_packets: 1, tx_bytes: 2, collisions: 3, ..Default::default() };
        let sizes = [104, 104, 104, 112, 304, 304];
        for (version, size) in Version::ALL.into_iter().zip(sizes) {
            let mut stats = plain.clone();
            if version >= Version::V13 {
                (stats.duration_sec, stats.duration_nsec) = (4, 5);
            }
            let mut out = Vec::new();
            stats.encode(version, &mut out);
            assert_eq!(out.len(), size);
            assert_eq!(PortStats::decode(version, &mut Reader::new(&out)), Ok(stats));
        }
    }

    #[test]
    fn named_counters_come_back() {
        let stats = PortStats { port_no: OfPort(3), custom: vec![("rx_q0".into(), 7)], ..Default::default() };
        let mut out = Vec::new();
        stats.encode(Version::V15, &mut out);
        assert_eq!(PortStats::decode(Version::V15, &mut Reader::new(&out)), Ok(stats));
    }
}
