//! Statistics as lists of OXS entries (OpenFlow 1.5.1 clause 7.2.4), framed like an OXM match.

use crate::OfError;
use crate::codec::nxm::put_number;
use crate::wire::{Reader, pad8, put_zeros, set_u16};

/// `OFPXSC_OPENFLOW_BASIC`.
const CLASS: u16 = 0x8002;
const DURATION: u16 = 0;
const IDLE_TIME: u16 = 1;
const FLOW_COUNT: u16 = 3;
const PACKET_COUNT: u16 = 4;
const BYTE_COUNT: u16 = 5;

/// What a list says; what it does not say is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Oxs {
    /// Age: seconds, nanoseconds.
    pub duration: Option<(u32, u32)>,
    /// Time without packets: seconds, nanoseconds.
    pub idle: Option<(u32, u32)>,
    /// Flows.
    pub flows: Option<u32>,
    /// Packets.
    pub packets: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

impl Oxs {
    /// Reads a list with its header and padding.
    pub fn pull(reader: &mut Reader<'_>) -> Result<Self, OfError> {
        let head = reader.peek().first_chunk::<4>().ok_or(OfError::OFPBRC_BAD_LEN)?;
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if len < 4 {
            return Err(OfError::OFPBRC_BAD_LEN);
        }
        let bytes = reader.bytes(len.next_multiple_of(8))?;
        let mut r = Reader::new(&bytes[4..len]);
        let mut out = Self::default();
        while !r.is_empty() {
            out.pull_entry(&mut r)?;
        }
        Ok(out)
    }

    fn pull_entry(&mut self, r: &mut Reader<'_>) -> Result<(), OfError> {
        let (class, field, len) = (r.u16()?, r.u8()? >> 1, r.u8()?);
        let mut body = Reader::new(r.bytes(len.into())?);
        if class != CLASS {
            return Ok(());
        }
        match u16::from(field) {
            DURATION => self.duration = Some((body.u32()?, body.u32()?)),
            IDLE_TIME => self.idle = Some((body.u32()?, body.u32()?)),
            FLOW_COUNT => self.flows = Some(body.u32()?),
            PACKET_COUNT => self.packets = Some(body.u64()?),
            BYTE_COUNT => self.bytes = Some(body.u64()?),
            _ => {}
        }
        Ok(())
    }

    /// Appends a list with its header and padding.
    pub fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        put_zeros(out, 4);
        for (field, pair) in [(DURATION, self.duration), (IDLE_TIME, self.idle)] {
            if let Some((sec, nsec)) = pair {
                put_entry(out, field, u128::from(sec) << 32 | u128::from(nsec), 8);
            }
        }
        self.packets.iter().for_each(|packets| put_entry(out, PACKET_COUNT, (*packets).into(), 8));
        self.bytes.iter().for_each(|bytes| put_entry(out, BYTE_COUNT, (*bytes).into(), 8));
        self.flows.iter().for_each(|flows| put_entry(out, FLOW_COUNT, (*flows).into(), 4));
        let len = (out.len() - start) as u16;
        set_u16(out, start + 2, len);
        pad8(out, start);
    }
}

fn put_entry(out: &mut Vec<u8>, field: u16, value: u128, len: usize) {
    put_number(out, CLASS.into(), 2);
    out.extend_from_slice(&[(field << 1) as u8, len as u8]);
    put_number(out, value, len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back() {
        for n in 0..32u64 {
            let oxs = Oxs {
                duration: (n & 1 != 0).then_some((1, 2)),
                idle: (n & 2 != 0).then_some((3, 4)),
                flows: (n & 4 != 0).then_some(5),
                packets: (n & 8 != 0).then_some(6),
                bytes: (n & 16 != 0).then_some(7),
            };
            let mut out = Vec::new();
            oxs.put(&mut out);
            assert_eq!(out.len() % 8, 0);
            let mut r = Reader::new(&out);
            assert_eq!(Oxs::pull(&mut r), Ok(oxs));
            assert!(r.is_empty());
        }
    }
}
