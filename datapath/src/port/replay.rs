//! The replay port: frames from a pcap file, each copied whole into a fresh buffer on receive, as a NIC would.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use packet::Packet;
use pcap_file::pcap::PcapReader;

use super::{Port, PortError, Queues, Readiness, ReplayOptions, RxQueue, null};

/// All frames of a file, one behind the other.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
}

impl Frames {
    fn load(name: &str, options: &ReplayOptions) -> Result<Self, PortError> {
        let path = options.pcap.display();
        let bad = |what: String| PortError::Option { name: name.to_owned(), what };
        let file = File::open(&options.pcap).map_err(|e| bad(format!("pcap={path}: {e}")))?;
        let mut reader =
            PcapReader::new(BufReader::new(file)).map_err(|e| bad(format!("pcap={path}: {e}")))?;
        let mut frames = Self::default();
        while let Some(next) = reader.next_packet() {
            let frame = next.map_err(|e| bad(format!("pcap={path}: {e}")))?;
            if frame.data.len() > packet::MAX_LEN {
                return Err(bad(format!("pcap={path}: a frame of {} bytes", frame.data.len())));
            }
            frames.bytes.extend_from_slice(&frame.data);
            frames.ends.push(frames.bytes.len());
        }
        if frames.ends.is_empty() {
            return Err(bad(format!("pcap={path}: no frames")));
        }
        Ok(frames)
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// Opens a replay port: one receive queue; what is sent to it is counted and dropped.
pub fn open(port: &Arc<Port>, options: &ReplayOptions, workers: usize) -> Result<Queues, PortError> {
    let frames = Frames::load(port.name(), options)?;
    let left = options.count.unwrap_or(if options.looped { u64::MAX } else { frames.ends.len() as u64 });
    let rx = Replay { frames, looped: options.looped, next: 0, left, pace: options.rate.map(Pace::new) };
    Ok(Queues { rx: vec![Box::new(rx)], ..null::open(port, workers) })
}

/// The receive side.
#[derive(Debug)]
struct Replay {
    frames: Frames,
    looped: bool,
    next: usize,
    left: u64,
    pace: Option<Pace>,
}

impl RxQueue for Replay {
    fn receive(&mut self, max: usize, now_ns: u64, out: &mut Vec<Packet>) -> usize {
        let allowed = self.pace.as_mut().map_or(u64::MAX, |pace| pace.allow(now_ns));
        let count = (max as u64).min(self.left).min(allowed) as usize;
        for taken in 0..count {
            if self.next == self.frames.ends.len() {
                if !self.looped {
                    self.left = 0;
                    return taken;
                }
                self.next = 0;
            }
            // Frames longer than a buffer were refused when the file was loaded.
            out.extend(Packet::copy_of(self.frames.get(self.next)));
            self.next += 1;
        }
        self.left -= count as u64;
        if let Some(pace) = &mut self.pace {
            pace.take(count as u64);
        }
        count
    }

    fn readiness(&self, now_ns: u64) -> Readiness {
        match &self.pace {
            _ if self.left == 0 => Readiness::Never,
            None => Readiness::Now,
            Some(pace) => pace.readiness(now_ns),
        }
    }
}

/// Frames per second at most: counts what is due since the first receive.
#[derive(Debug)]
struct Pace {
    rate: u64,
    start_ns: Option<u64>,
    sent: u64,
}

/// The most frames that a late receive may catch up with.
const BURST: u64 = 1024;
const SECOND_NS: u128 = 1_000_000_000;

impl Pace {
    fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), start_ns: None, sent: 0 }
    }

    fn allow(&mut self, now_ns: u64) -> u64 {
        let start = *self.start_ns.get_or_insert(now_ns);
        let due = u128::from(now_ns.saturating_sub(start)) * u128::from(self.rate) / SECOND_NS + 1;
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        if due.saturating_sub(self.sent) > BURST {
            self.sent = due - BURST;
        }
        due.saturating_sub(self.sent)
    }

    fn take(&mut self, frames: u64) {
        self.sent += frames;
    }

    fn readiness(&self, now_ns: u64) -> Readiness {
        let Some(start) = self.start_ns else { return Readiness::Now };
        let at = u128::from(self.sent) * SECOND_NS / u128::from(self.rate);
        let at = start.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        if at <= now_ns { Readiness::Now } else { Readiness::At(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[u8]]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = pcap_file::pcap::PcapWriter::new(file.reopen().unwrap()).unwrap();
        for frame in frames {
            let packet =
                pcap_file::pcap::PcapPacket::new(std::time::Duration::ZERO, frame.len() as u32, frame);
            writer.write_packet(&packet).unwrap();
        }
        file
    }

    fn opened(options: &ReplayOptions) -> Result<Queues, PortError> {
        let kind = crate::port::PortKind::Replay(options.clone());
        let port = Arc::new(Port::new(crate::action::PortNo(1), crate::port::PortSpec::new("r", kind)));
        open(&port, options, 1)
    }

    #[test]
    fn frames_come_in_order_once_or_for_ever() {
        let file = file(&[b"one frame of a kind", b"another", b"third"]);
        let pcap = file.path().to_owned();
        let mut queues = opened(&ReplayOptions { pcap: pcap.clone(), ..ReplayOptions::default() }).unwrap();
        let mut out = Vec::new();
        assert_eq!(queues.rx[0].receive(2, 0, &mut out), 2);
        assert_eq!(queues.rx[0].readiness(0), Readiness::Now);
        assert_eq!(queues.rx[0].receive(2, 0, &mut out), 1);
        assert_eq!(queues.rx[0].readiness(0), Readiness::Never);
        assert_eq!(out[0].data(), b"one frame of a kind");
        assert_eq!(out[2].data(), b"third");
        let options = ReplayOptions { pcap, looped: true, count: Some(7), ..ReplayOptions::default() };
        let mut queues = opened(&options).unwrap();
        let mut out = Vec::new();
        assert_eq!(queues.rx[0].receive(32, 0, &mut out), 7);
        assert_eq!(out[6].data(), b"one frame of a kind");
        assert_eq!(queues.rx[0].receive(32, 0, &mut out), 0);
    }

    #[test]
    fn bad_files_are_refused() {
        let options =
            |pcap: &std::path::Path| ReplayOptions { pcap: pcap.to_owned(), ..ReplayOptions::default() };
        assert!(
            opened(&options(std::path::Path::new("/nonexistent")))
                .unwrap_err()
                .to_string()
                .contains("pcap=/nonexistent")
        );
        assert!(opened(&options(file(&[]).path())).unwrap_err().to_string().contains("no frames"));
        let garbage = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(garbage.path(), b"this is no capture file at all").unwrap();
        assert!(opened(&options(garbage.path())).is_err());
    }

    #[test]
    fn the_rate_is_kept() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.allow(5_000_000), 1);
        pace.take(1);
        assert_eq!(pace.allow(5_999_999), 0);
        assert_eq!(pace.readiness(5_999_999), Readiness::At(6_000_000));
        assert_eq!(pace.allow(8_000_000), 3);
        assert_eq!(pace.allow(8_000_000_000), BURST);
    }
}
