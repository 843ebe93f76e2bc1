//! The `encap` action on the wire.

use crate::OfError;
use crate::action::{Action, Encap};
use crate::codec::nxm;
use crate::wire::{Reader, pad8};

/// Packet types that can be wrapped around: Ethernet, NSH, MPLS unicast and multicast.
const KNOWN: [u32; 4] = [0, 0x1_894f, 0x1_8847, 0x1_8848];

/// Reads the body of `encap`.
pub(super) fn decode(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let (header_size, packet_type) = (r.u16()?, r.u32()?);
    if !KNOWN.contains(&packet_type) {
        return Err(OfError::NXBAC_BAD_HEADER_TYPE);
    }
    let mut props = Vec::new();
    while !r.is_empty() {
        props.push(pull_property(r)?);
    }
    Ok(Action::Encap(Encap { header_size, packet_type, props }))
}

/// One property: class, type, length with header, data, padded to eight bytes.
fn pull_property(r: &mut Reader<'_>) -> Result<(u16, u8, Vec<u8>), OfError> {
    let head = r.peek().first_chunk::<4>().ok_or(OfError::NXBAC_BAD_ED_PROP)?;
    let (class, kind, len) = (u16::from_be_bytes([head[0], head[1]]), head[2], usize::from(head[3]));
    if len < 4 || class != 4 {
        return Err(OfError::NXBAC_BAD_ED_PROP);
    }
    let bytes = r.bytes(len.next_multiple_of(8)).map_err(|_| OfError::OFPBAC_BAD_LEN)?;
    Ok((class, kind, bytes[4..len].to_vec()))
}

/// Appends the body of `encap`.
pub(super) fn put(out: &mut Vec<u8>, encap: &Encap) {
    nxm::put_number(out, encap.header_size.into(), 2);
    nxm::put_number(out, encap.packet_type.into(), 4);
    for (class, kind, data) in &encap.props {
        let start = out.len();
        nxm::put_number(out, (*class).into(), 2);
        out.extend_from_slice(&[*kind, data.len() as u8 + 4]);
        out.extend_from_slice(data);
        pad8(out, start);
    }
}
