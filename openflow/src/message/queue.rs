//! Queues: configuration, description and statistics.

use crate::error::OfError;
use crate::message::prop::{self, PropType};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_zeros, set_u16};
use bytes::BufMut;

/// Stands for all queues.
pub const ALL_QUEUES: u32 = u32::MAX;

/// Which queues are asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueRequest {
    /// Port, or [`OfPort::NONE`] for all.
    pub port_no: OfPort,
    /// Queue, or [`ALL_QUEUES`].
    pub queue_id: u32,
}

impl QueueRequest {
    /// Reads the body of a queue statistics or description request.
    pub(super) fn decode(version: Version, body: &[u8]) -> Result<QueueRequest, OfError> {
        let mut reader = Reader::new(body);
        let port_no = if version == Version::V10 {
            let port = reader.u16()?;
            reader.skip(2)?;
            // 1.0's OFPP_ALL means what OFPP_ANY means later.
            if port == OfPort::ALL.to_u16() { OfPort::NONE } else { OfPort::from_u16(port) }
        } else {
            OfPort::from_u32(reader.u32()?)?
        };
        Ok(QueueRequest { port_no, queue_id: reader.u32()? })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V10 {
            let port = if self.port_no == OfPort::NONE { OfPort::ALL } else { self.port_no };
            out.put_u16(port.to_u16());
            out.put_u16(0);
        } else {
            out.put_u32(self.port_no.0);
        }
        out.put_u32(self.queue_id);
    }
}

/// Statistics of one queue; what is not known is `u64::MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueStats {
    /// Port of the queue.
    pub port_no: OfPort,
    /// The queue.
    pub queue_id: u32,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped for overrun.
    pub tx_errors: u64,
    /// Age, seconds (1.3 and later); `u32::MAX` if not known.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
}

impl QueueStats {
    /// Takes one entry.
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Result<QueueStats, OfError> {
        let mut stats = QueueStats { duration_sec: u32::MAX, duration_nsec: u32::MAX, ..Default::default() };
        let mut entry = match version {
            Version::V10 | Version::V11 | Version::V12 => Reader::new(reader.bytes(32)?),
            Version::V13 => Reader::new(reader.bytes(40)?),
            Version::V14 | Version::V15 => {
                let len = usize::from(Reader::new(reader.peek()).u16()?);
                let mut entry = Reader::new(reader.bytes(len)?);
                entry.skip(8)?;
                entry
            }
        };
        stats.port_no = if version == Version::V10 {
            let port = OfPort::from_u16(entry.u16()?);
            entry.skip(2)?;
            port
        } else {
            OfPort::from_u32(entry.u32()?)?
        };
        stats.queue_id = entry.u32()?;
        (stats.tx_bytes, stats.tx_packets, stats.tx_errors) = (entry.u64()?, entry.u64()?, entry.u64()?);
        if version >= Version::V13 {
            (stats.duration_sec, stats.duration_nsec) = (entry.u32()?, entry.u32()?);
        }
        Ok(stats)
    }

    /// Appends the entry.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version >= Version::V14 {
            out.put_u16(48);
            put_zeros(out, 6);
        }
        if version == Version::V10 {
            out.put_u16(self.port_no.to_u16());
            out.put_u16(0);
        } else {
            out.put_u32(self.port_no.0);
        }
        out.put_u32(self.queue_id);
        for counter in [self.tx_bytes, self.tx_packets, self.tx_errors] {
            out.put_u64(counter);
        }
        if version >= Version::V13 {
            out.put_u32(self.duration_sec);
            out.put_u32(self.duration_nsec);
        }
    }
}

/// One queue's configuration. Rates are in tenths of a percent of the port's speed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueConfig {
    /// Port of the queue.
    pub port_no: OfPort,
    /// The queue.
    pub queue_id: u32,
    /// Guaranteed rate.
    pub min_rate: Option<u16>,
    /// Highest rate (1.2 and later).
    pub max_rate: Option<u16>,
}

/// Property types of rates.
const MIN_RATE: u16 = 1;
const MAX_RATE: u16 = 2;

impl QueueConfig {
    /// Takes one queue of a get-config reply about `port_no` (up to 1.3).
    pub(super) fn decode(
        version: Version,
        port_no: OfPort,
        reader: &mut Reader<'_>,
    ) -> Result<QueueConfig, OfError> {
        let mut queue = QueueConfig { port_no, queue_id: reader.u32()?, ..Default::default() };
        let head = if version < Version::V12 { 8 } else { 16 };
        if version >= Version::V12 {
            reader.skip(4)?;
        }
        let len = usize::from(reader.u16()?);
        reader.skip(head - if version < Version::V12 { 6 } else { 10 })?;
        let mut props = Reader::new(reader.bytes(len.checked_sub(head).ok_or(OfError::OFPBRC_BAD_LEN)?)?);
        while !props.is_empty() {
            let (kind, mut contents) = prop::take(&mut props)?;
            contents.skip(4)?;
            queue.set_rate(kind, contents.u16()?);
        }
        Ok(queue)
    }

    /// Takes one queue of a description reply (1.4 and later).
    pub(super) fn decode_desc(reader: &mut Reader<'_>) -> Result<QueueConfig, OfError> {
        let port_no = OfPort::from_u32(reader.u32()?)?;
        let mut queue = QueueConfig { port_no, queue_id: reader.u32()?, ..Default::default() };
        let len = usize::from(reader.u16()?);
        reader.skip(6)?;
        let mut props = Reader::new(reader.bytes(len.checked_sub(16).ok_or(OfError::OFPBRC_BAD_LEN)?)?);
        while !props.is_empty() {
            let (kind, mut contents) = prop::take(&mut props)?;
            queue.set_rate(kind, contents.u16()?);
        }
        Ok(queue)
    }

    fn set_rate(&mut self, kind: PropType, rate: u16) {
        match kind {
            PropType::Plain(MIN_RATE) => self.min_rate = Some(rate),
            PropType::Plain(MAX_RATE) => self.max_rate = Some(rate),
            _ => {}
        }
    }

    /// Appends the queue to a get-config reply (up to 1.3).
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32(self.queue_id);
        if version >= Version::V12 {
            out.put_u32(self.port_no.0);
        }
        let len_at = out.len();
        put_zeros(out, if version >= Version::V12 { 8 } else { 4 });
        let max_rate = self.max_rate.filter(|_| version >= Version::V12);
        for (kind, rate) in [(MIN_RATE, self.min_rate), (MAX_RATE, max_rate)] {
            let Some(rate) = rate else { continue };
            out.put_u16(kind);
            out.put_u16(16);
            put_zeros(out, 4);
            out.put_u16(rate);
            put_zeros(out, 6);
        }
        let len = out.len() - start;
        set_u16(out, len_at, len as u16);
    }

    /// Appends the queue to a description reply (1.4 and later).
    pub(super) fn encode_desc(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32(self.port_no.0);
        out.put_u32(self.queue_id);
        put_zeros(out, 8);
        for (kind, rate) in [(MIN_RATE, self.min_rate), (MAX_RATE, self.max_rate)] {
            if let Some(rate) = rate {
                prop::put(out, PropType::Plain(kind), |out| {
                    out.put_u16(rate);
                    put_zeros(out, 2);
                });
            }
        }
        let len = out.len() - start;
        set_u16(out, start + 8, len as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_come_back() {
        let queue = QueueConfig { port_no: OfPort(2), queue_id: 7, min_rate: Some(500), max_rate: None };
        for version in &Version::ALL[..4] {
            let mut out = Vec::new();
            queue.encode(*version, &mut out);
            let mut reader = Reader::new(&out);
            assert_eq!(QueueConfig::decode(*version, OfPort(2), &mut reader), Ok(queue));
            assert!(reader.is_empty());
        }
        let queue = QueueConfig { max_rate: Some(900), ..queue };
        let mut out = Vec::new();
        queue.encode_desc(&mut out);
        assert_eq!(QueueConfig::decode_desc(&mut Reader::new(&out)), Ok(queue));
    }

    #[test]
    fn requests_for_all_ports() {
        let all = QueueRequest { port_no: OfPort::NONE, queue_id: ALL_QUEUES };
        for version in Version::ALL {
            let mut out = Vec::new();
            all.encode_body(version, &mut out);
            assert_eq!(QueueRequest::decode(version, &out), Ok(all));
        }
    }
}
