//! Instructions on the wire (OpenFlow 1.5.1 clause 7.2.5). OpenFlow 1.0 has a list of actions in their place.

use super::action::{self, Outer, decode_list, encode_list};
use crate::action::{Action, Instructions, Resubmit};
use crate::codec::nxm::put_number;
use crate::wire::{Reader, put_zeros, set_u16};
use crate::{OfError, OfPort, Version};

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;
const EXPERIMENTER: u16 = 0xffff;

/// Reads the instructions that fill `bytes`: actions in version 1.0.
pub fn decode(version: Version, bytes: &[u8]) -> Result<Instructions, OfError> {
    if version == Version::V10 {
        let list = decode_list(version, bytes, Outer::Flow)?;
        return Ok(Instructions { apply: list.actions, metadata: list.metadata, ..Instructions::default() });
    }
    if !bytes.len().is_multiple_of(8) {
        return Err(OfError::OFPBIC_BAD_LEN);
    }
    let bodies = split(bytes)?;
    let body = |kind: u16| bodies[usize::from(kind) - 1];
    let mut out = Instructions::default();
    if let Some(b) = body(METER) {
        out.meter = Some(u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    }
    if let Some(b) = body(APPLY_ACTIONS) {
        let list = decode_list(version, &b[4..], Outer::Flow)?;
        (out.apply, out.metadata) = (list.actions, list.metadata);
    }
    out.clear = body(CLEAR_ACTIONS).is_some();
    if let Some(b) = body(WRITE_ACTIONS) {
        out.write = Some(decode_list(version, &b[4..], Outer::WriteActions)?.actions);
    }
    let early = out.metadata.is_some();
    if let Some(b) = body(WRITE_METADATA) {
        let mut r = Reader::or(&b[4..], OfError::OFPBIC_BAD_LEN);
        out.metadata = Some((r.u64()?, r.u64()?));
    }
    out.goto_table = body(GOTO_TABLE).map(|b| b[0]);
    if early && (out.clear || out.write.is_some() || body(WRITE_METADATA).is_some()) {
        return Err(OfError::OFPBAC_UNSUPPORTED_ORDER);
    }
    hoist_meter(version, &mut out)?;
    Ok(out)
}

/// The bodies by type, each at most once.
fn split(bytes: &[u8]) -> Result<[Option<&[u8]>; 6], OfError> {
    let mut bodies = [None; 6];
    let mut r = Reader::or(bytes, OfError::OFPBIC_BAD_LEN);
    while !r.is_empty() {
        let (kind, len) = (r.u16()?, usize::from(r.u16()?));
        if len < 8 || len % 8 != 0 || len - 4 > r.len() {
            return Err(OfError::OFPBIC_BAD_LEN);
        }
        let exact = match kind {
            GOTO_TABLE | CLEAR_ACTIONS | METER => Some(8),
            WRITE_METADATA => Some(24),
            WRITE_ACTIONS | APPLY_ACTIONS => None,
            EXPERIMENTER => return Err(OfError::OFPBIC_BAD_EXPERIMENTER),
            _ => return Err(OfError::OFPBIC_UNKNOWN_INST),
        };
        if exact.is_some_and(|exact| exact != len) {
            return Err(OfError::OFPBIC_BAD_LEN);
        }
        let slot = &mut bodies[usize::from(kind) - 1];
        if slot.is_some() {
            return Err(OfError::OFPBIC_DUP_INST);
        }
        *slot = Some(r.bytes(len - 4)?);
    }
    Ok(bodies)
}

/// In 1.5 a meter is an action; as the first one it is the same as the instruction of 1.3.
fn hoist_meter(version: Version, out: &mut Instructions) -> Result<(), OfError> {
    if version == Version::V15
        && out.meter.is_none()
        && let Some(Action::Meter(id)) = out.apply.first()
    {
        out.meter = Some(*id);
        out.apply.remove(0);
    }
    Ok(())
}

/// Appends instructions; actions in version 1.0. What the version cannot say is left out.
pub fn encode(version: Version, instructions: &Instructions, out: &mut Vec<u8>) {
    if version == Version::V10 {
        return encode_10(instructions, out);
    }
    let mut apply = Vec::new();
    match instructions.meter {
        Some(id) if version >= Version::V15 => encode_list(version, &[Action::Meter(id)], &mut apply),
        Some(id) if version >= Version::V13 => put(out, METER, &id.to_be_bytes()),
        _ => {}
    }
    encode_list(version, &instructions.apply, &mut apply);
    if !apply.is_empty() {
        put_actions(out, APPLY_ACTIONS, &apply);
    }
    if instructions.clear {
        put(out, CLEAR_ACTIONS, &[0; 4]);
    }
    if let Some(write) = &instructions.write {
        let mut actions = Vec::new();
        encode_list(version, write, &mut actions);
        put_actions(out, WRITE_ACTIONS, &actions);
    }
    if let Some((metadata, mask)) = instructions.metadata {
        let mut body = vec![0; 4];
        put_number(&mut body, metadata.into(), 8);
        put_number(&mut body, mask.into(), 8);
        put(out, WRITE_METADATA, &body);
    }
    if let Some(table) = instructions.goto_table {
        put(out, GOTO_TABLE, &[table, 0, 0, 0]);
    }
}

fn encode_10(instructions: &Instructions, out: &mut Vec<u8>) {
    encode_list(Version::V10, &instructions.apply, out);
    if let Some((metadata, mask)) = instructions.metadata {
        action::put_write_metadata(out, metadata, mask);
    }
    if let Some(table) = instructions.goto_table {
        action::put_resubmit(
            out,
            &Resubmit { port: OfPort::IN_PORT, table, with_ct_orig: false, explicit: true },
        );
    }
}

fn put_actions(out: &mut Vec<u8>, kind: u16, actions: &[u8]) {
    let start = out.len();
    put_number(out, kind.into(), 2);
    put_zeros(out, 6);
    out.extend_from_slice(actions);
    let len = (out.len() - start) as u16;
    set_u16(out, start + 2, len);
}

fn put(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    put_number(out, kind.into(), 2);
    put_number(out, body.len() as u128 + 4, 2);
    out.extend_from_slice(body);
}
