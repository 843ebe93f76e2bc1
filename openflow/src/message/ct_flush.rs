//! Requests to forget connections: Nicira messages of any version.

use crate::error::OfError;
use crate::message::prop::{self, PropType};
use crate::wire::{Reader, put_zeros};
use bytes::BufMut;
use std::net::{IpAddr, Ipv6Addr};

/// Which connections to forget. What is `None` is any.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CtFlush {
    /// IP protocol; 0 for any.
    pub protocol: u8,
    /// Zone.
    pub zone: Option<u16>,
    /// Of the original direction.
    pub original: CtTuple,
    /// Of the reply direction.
    pub reply: CtTuple,
}

/// One direction of a connection. What is `None` is any.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CtTuple {
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Source port.
    pub src_port: Option<u16>,
    /// Destination port.
    pub dst_port: Option<u16>,
    /// ICMP id.
    pub icmp_id: Option<u16>,
    /// ICMP type.
    pub icmp_type: Option<u8>,
    /// ICMP code.
    pub icmp_code: Option<u8>,
}

/// Property types.
const ORIGINAL: u16 = 0;
const REPLY: u16 = 1;
const ZONE: u16 = 2;
/// Property types of a direction.
const SRC: u16 = 0;
const DST: u16 = 1;
const SRC_PORT: u16 = 2;
const DST_PORT: u16 = 3;
const ICMP_ID: u16 = 4;
const ICMP_TYPE: u16 = 5;
const ICMP_CODE: u16 = 6;

impl CtFlush {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<CtFlush, OfError> {
        let mut reader = Reader::new(body);
        let mut flush = CtFlush { protocol: reader.u8()?, ..Default::default() };
        if reader.bytes(7)?.iter().any(|&byte| byte != 0) {
            return Err(OfError::NXBRC_MUST_BE_ZERO);
        }
        let mut family = None;
        while !reader.is_empty() {
            let (kind, contents) = prop::take(&mut reader)?;
            match kind {
                PropType::Plain(ORIGINAL) => flush.original = CtTuple::decode(contents, &mut family)?,
                PropType::Plain(REPLY) => flush.reply = CtTuple::decode(contents, &mut family)?,
                PropType::Plain(ZONE) => flush.zone = Some(prop::only_u16(contents)?),
                // Open vSwitch passes over others.
                _ => {}
            }
        }
        Ok(flush)
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u8(self.protocol);
        put_zeros(out, 7);
        for (kind, tuple) in [(ORIGINAL, &self.original), (REPLY, &self.reply)] {
            if *tuple != CtTuple::default() {
                prop::put(out, PropType::Plain(kind), |out| tuple.encode(out));
            }
        }
        if let Some(zone) = self.zone {
            prop::put_u16(out, ZONE, zone);
        }
    }
}

impl CtTuple {
    /// `family` is that of the addresses so far, to which all must belong: whether they are IPv4's.
    fn decode(mut contents: Reader<'_>, family: &mut Option<bool>) -> Result<CtTuple, OfError> {
        let mut tuple = CtTuple::default();
        contents.skip(4)?;
        while !contents.is_empty() {
            let (kind, value) = prop::take(&mut contents)?;
            match kind {
                PropType::Plain(SRC) => tuple.src = Some(address(value, family)?),
                PropType::Plain(DST) => tuple.dst = Some(address(value, family)?),
                PropType::Plain(SRC_PORT) => tuple.src_port = Some(prop::only_u16(value)?),
                PropType::Plain(DST_PORT) => tuple.dst_port = Some(prop::only_u16(value)?),
                PropType::Plain(ICMP_ID) => tuple.icmp_id = Some(prop::only_u16(value)?),
                PropType::Plain(ICMP_TYPE) => tuple.icmp_type = Some(prop::only_u8(value)?),
                PropType::Plain(ICMP_CODE) => tuple.icmp_code = Some(prop::only_u8(value)?),
                // Open vSwitch passes over others.
                _ => {}
            }
        }
        Ok(tuple)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len() - 4;
        put_zeros(out, 4);
        for (kind, address) in [(SRC, self.src), (DST, self.dst)] {
            let Some(address) = address else { continue };
            let v6 = match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            prop::put(out, PropType::Plain(kind), |out| out.extend_from_slice(&v6.octets()));
        }
        let words = [(SRC_PORT, self.src_port), (DST_PORT, self.dst_port), (ICMP_ID, self.icmp_id)];
        for (kind, value) in words {
            if let Some(value) = value {
                prop::put_u16(out, kind, value);
            }
        }
        for (kind, value) in [(ICMP_TYPE, self.icmp_type), (ICMP_CODE, self.icmp_code)] {
            if let Some(value) = value {
                prop::put(out, PropType::Plain(kind), |out| out.put_u8(value));
            }
        }
        crate::wire::pad8(out, start);
    }
}

/// An IPv6 address, or an IPv4 one mapped into it.
fn address(mut contents: Reader<'_>, family: &mut Option<bool>) -> Result<IpAddr, OfError> {
    let bytes: [u8; 16] = contents.array()?;
    prop::nothing(&contents)?;
    let v6 = Ipv6Addr::from(bytes);
    let address = v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4);
    let same = *family.get_or_insert(address.is_ipv4()) == address.is_ipv4();
    if same { Ok(address) } else { Err(OfError::OFPBPC_BAD_VALUE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back() {
        let original = CtTuple {
            src: Some([10, 1, 1, 1].into()),
            dst: Some([10, 1, 1, 2].into()),
            src_port: Some(1),
            ..Default::default()
        };
        let reply =
            CtTuple { icmp_id: Some(3), icmp_type: Some(8), icmp_code: Some(0), ..Default::default() };
        let flush = CtFlush { protocol: 1, zone: Some(5), original, reply };
        let mut out = Vec::new();
        flush.encode_body(&mut out);
        assert_eq!(out.len() % 8, 0);
        assert_eq!(CtFlush::decode(&out), Ok(flush));
    }

    #[test]
    fn bad_requests_are_refused() {
        assert_eq!(CtFlush::decode(&[6, 0, 0, 0, 0, 0, 0, 1]), Err(OfError::NXBRC_MUST_BE_ZERO));
        let mut body = vec![0; 8];
        prop::put(&mut body, PropType::Plain(ORIGINAL), |out| {
            put_zeros(out, 4);
            out.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0]);
        });
        assert_eq!(CtFlush::decode(&body), Err(OfError::OFPBPC_BAD_LEN));
    }
}
