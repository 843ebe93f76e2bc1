//! Meters: changes, configuration, statistics and features (OpenFlow 1.3 clause 5.7).

use crate::error::OfError;
use crate::wire::{Reader, put_zeros, set_u16};
use bitflags::bitflags;
use bytes::BufMut;

/// Highest number of an ordinary meter.
pub const METER_MAX: u32 = 0xffff_0000;
/// The slow path's meter.
pub const METER_SLOWPATH: u32 = 0xffff_fffd;
/// The controllers' meter.
pub const METER_CONTROLLER: u32 = 0xffff_fffe;
/// All meters.
pub const METER_ALL: u32 = 0xffff_ffff;

bitflags! {
    /// How a meter works.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MeterFlags: u16 {
        /// Rates in kb/s.
        const KBPS = 1;
        /// Rates in packets per second.
        const PKTPS = 2;
        /// Burst sizes count.
        const BURST = 4;
        /// Collect statistics.
        const STATS = 8;
        // Bits that are not known are kept: refusing them is the switch's decision.
        const _ = !0;
    }
}

/// What a meter-mod does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum MeterCommand {
    /// A new meter.
    Add = 0,
    /// Change one.
    Modify = 1,
    /// Delete one, or all.
    Delete = 2,
}

/// What a band does with packets above its rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeterBandKind {
    /// Drops them.
    Drop,
    /// Raises their drop precedence by so much.
    DscpRemark(u8),
}

/// A band of a meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeterBand {
    /// What it does.
    pub kind: MeterBandKind,
    /// From which rate on, in the meter's unit.
    pub rate: u32,
    /// Burst, in the meter's unit.
    pub burst_size: u32,
}

/// A meter's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MeterConfig {
    /// Its number.
    pub meter_id: u32,
    /// Its flags.
    pub flags: MeterFlags,
    /// Its bands.
    pub bands: Vec<MeterBand>,
}

/// A meter-mod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterMod {
    /// What to do.
    pub command: MeterCommand,
    /// With what.
    pub meter: MeterConfig,
}

impl MeterMod {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<MeterMod, OfError> {
        let mut reader = Reader::new(body);
        let command = match reader.u16()? {
            0 => MeterCommand::Add,
            1 => MeterCommand::Modify,
            2 => MeterCommand::Delete,
            _ => return Err(OfError::OFPMMFC_BAD_COMMAND),
        };
        let (flags, meter_id) = (reader.u16()?, reader.u32()?);
        if command == MeterCommand::Delete {
            let meter = MeterConfig { meter_id, ..Default::default() };
            return Ok(MeterMod { command, meter });
        }
        let flags = MeterFlags::from_bits_retain(flags);
        if flags.contains(MeterFlags::KBPS | MeterFlags::PKTPS) {
            return Err(OfError::OFPMMFC_BAD_FLAGS);
        }
        let bands = decode_bands(&mut reader)?;
        Ok(MeterMod { command, meter: MeterConfig { meter_id, flags, bands } })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u16(self.command as u16);
        out.put_u16(self.meter.flags.bits());
        out.put_u32(self.meter.meter_id);
        encode_bands(&self.meter.bands, out);
    }
}

/// Bytes of a band of either type.
const BAND_LEN: usize = 16;

fn decode_bands(reader: &mut Reader<'_>) -> Result<Vec<MeterBand>, OfError> {
    let mut bands = Vec::new();
    while !reader.is_empty() {
        let (kind, len) = (reader.u16()?, reader.u16()?);
        if usize::from(len) != BAND_LEN {
            return Err(OfError::OFPBRC_BAD_LEN);
        }
        let mut band = Reader::new(reader.bytes(BAND_LEN - 4)?);
        let (rate, burst_size) = (band.u32()?, band.u32()?);
        let extra = band.u8()?;
        band.skip(3)?;
        let kind = match kind {
            1 => MeterBandKind::Drop,
            2 => MeterBandKind::DscpRemark(extra),
            _ => return Err(OfError::OFPMMFC_BAD_BAND),
        };
        bands.push(MeterBand { kind, rate, burst_size });
    }
    Ok(bands)
}

fn encode_bands(bands: &[MeterBand], out: &mut Vec<u8>) {
    for band in bands {
        let (kind, extra) = match band.kind {
            MeterBandKind::Drop => (1, 0),
            MeterBandKind::DscpRemark(levels) => (2, levels),
        };
        out.put_u16(kind);
        out.put_u16(16);
        out.put_u32(band.rate);
        out.put_u32(band.burst_size);
        out.put_u8(extra);
        put_zeros(out, 3);
    }
}

impl MeterConfig {
    /// Takes one entry of a configuration reply.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<MeterConfig, OfError> {
        let len = usize::from(reader.u16()?);
        let flags = MeterFlags::from_bits_truncate(reader.u16()?);
        let meter_id = reader.u32()?;
        let mut bands = Reader::new(reader.bytes(len.checked_sub(8).ok_or(OfError::OFPBRC_BAD_LEN)?)?);
        Ok(MeterConfig { meter_id, flags, bands: decode_bands(&mut bands)? })
    }

    /// Appends the entry.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u16(0);
        out.put_u16(self.flags.bits());
        out.put_u32(self.meter_id);
        encode_bands(&self.bands, out);
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}

/// Packets and bytes that a band has acted on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MeterBandStats {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Statistics of one meter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MeterStats {
    /// Its number.
    pub meter_id: u32,
    /// Flows that use it.
    pub flow_count: u32,
    /// Packets in.
    pub packets_in: u64,
    /// Bytes in.
    pub bytes_in: u64,
    /// Age, seconds.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Of each band.
    pub bands: Vec<MeterBandStats>,
}

impl MeterStats {
    /// Takes one entry.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<MeterStats, OfError> {
        let meter_id = reader.u32()?;
        let len = usize::from(reader.u16()?);
        let mut entry = Reader::new(reader.bytes(len.checked_sub(6).ok_or(OfError::OFPBRC_BAD_LEN)?)?);
        entry.skip(6)?;
        let flow_count = entry.u32()?;
        let (packets_in, bytes_in) = (entry.u64()?, entry.u64()?);
        let (duration_sec, duration_nsec) = (entry.u32()?, entry.u32()?);
        let mut bands = Vec::new();
        while !entry.is_empty() {
            bands.push(MeterBandStats { packets: entry.u64()?, bytes: entry.u64()? });
        }
        Ok(MeterStats { meter_id, flow_count, packets_in, bytes_in, duration_sec, duration_nsec, bands })
    }

    /// Appends the entry.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.meter_id);
        out.put_u16((40 + 16 * self.bands.len()) as u16);
        put_zeros(out, 6);
        out.put_u32(self.flow_count);
        out.put_u64(self.packets_in);
        out.put_u64(self.bytes_in);
        out.put_u32(self.duration_sec);
        out.put_u32(self.duration_nsec);
        for band in &self.bands {
            out.put_u64(band.packets);
            out.put_u64(band.bytes);
        }
    }
}

/// What meters can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MeterFeatures {
    /// How many there can be.
    pub max_meters: u32,
    /// Bit N stands for band type N.
    pub band_types: u32,
    /// Bits of [`MeterFlags`].
    pub capabilities: u32,
    /// Bands in a meter.
    pub max_bands: u8,
    /// Colours.
    pub max_color: u8,
}

impl MeterFeatures {
    /// Reads the body of a features reply.
    pub(super) fn decode(body: &[u8]) -> Result<MeterFeatures, OfError> {
        let mut reader = Reader::new(body);
        Ok(MeterFeatures {
            max_meters: reader.u32()?,
            band_types: reader.u32()?,
            capabilities: reader.u32()?,
            max_bands: reader.u8()?,
            max_color: reader.u8()?,
        })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u32(self.max_meters);
        out.put_u32(self.band_types);
        out.put_u32(self.capabilities);
        out.put_u8(self.max_bands);
        out.put_u8(self.max_color);
        put_zeros(out, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_come_back() {
        let bands = vec![
            MeterBand { kind: MeterBandKind::Drop, rate: 1, burst_size: 2 },
            MeterBand { kind: MeterBandKind::DscpRemark(3), rate: 4, burst_size: 5 },
        ];
        let meter = MeterConfig { meter_id: 9, flags: MeterFlags::KBPS | MeterFlags::BURST, bands };
        let mut out = Vec::new();
        meter.encode(&mut out);
        assert_eq!(MeterConfig::decode(&mut Reader::new(&out)), Ok(meter.clone()));
        out.clear();
        let change = MeterMod { command: MeterCommand::Modify, meter };
        change.encode_body(&mut out);
        assert_eq!(MeterMod::decode(&out), Ok(change));
    }

    #[test]
    fn bad_meters_are_refused() {
        assert_eq!(MeterMod::decode(&[0, 9, 0, 1, 0, 0, 0, 1]), Err(OfError::OFPMMFC_BAD_COMMAND));
        assert_eq!(MeterMod::decode(&[0, 0, 0, 3, 0, 0, 0, 1]), Err(OfError::OFPMMFC_BAD_FLAGS));
        let band = [0, 0, 0, 1, 0, 0, 0, 1, 0, 7, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(MeterMod::decode(&band), Err(OfError::OFPMMFC_BAD_BAND));
    }
}
