//! Writing Nicira's actions.

use super::set::{encode_set, finish, has_short_header, put_nxm_header, put_ofs_nbits};
use super::{ct, encap, encode_list, learn, output};
use crate::action::{Action, Controller, Multipath, Resubmit, Sample, SetField, SetForm};
use crate::codec::nxm::put_number;
use crate::error::{NICIRA, ONF};
use crate::field::SubField;
use crate::wire::put_zeros;
use crate::{FieldId, OfPort, Version};

/// Appends the head of an action of ours, ten bytes; its length is written by [`finish`].
pub(super) fn begin(out: &mut Vec<u8>, subtype: u16) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0xff, 0xff, 0, 0]);
    out.extend_from_slice(&NICIRA.to_be_bytes());
    out.extend_from_slice(&subtype.to_be_bytes());
    start
}

/// Appends the head of an action of ONF's, twelve bytes.
pub(super) fn begin_onf(out: &mut Vec<u8>, subtype: u16) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0xff, 0xff, 0, 0]);
    out.extend_from_slice(&ONF.to_be_bytes());
    out.extend_from_slice(&subtype.to_be_bytes());
    put_zeros(out, 2);
    start
}

/// Appends an action that has no plain form in the version at hand.
pub(super) fn encode(out: &mut Vec<u8>, version: Version, action: &Action) {
    match action {
        Action::SetIpEcn(ecn) => put_load(out, version, FieldId::NwEcn, (*ecn).into()),
        Action::SetIpTtl(ttl) => put_load(out, version, FieldId::NwTtl, (*ttl).into()),
        Action::Resubmit(resubmit) => put_resubmit(out, resubmit),
        Action::Controller(controller) => put_controller(out, controller),
        Action::OutputReg { src, max_len, wide } => put_output_reg(out, src, *max_len, *wide),
        Action::Sample(sample) => put_sample(out, sample),
        _ => {
            let Some(subtype) = subtype(action) else { return };
            let start = begin(out, subtype);
            put_body(out, version, action);
            finish(out, start);
        }
    }
}

/// The subtype of an action with one form.
fn subtype(action: &Action) -> Option<u16> {
    Some(match action {
        Action::SetTunnel { id, wide } => {
            if *wide || *id > u64::from(u32::MAX) {
                9
            } else {
                2
            }
        }
        Action::SetQueue(_) => 4,
        Action::PopQueue => 5,
        Action::Note(_) => 8,
        Action::Multipath(_) => 10,
        Action::Bundle(bundle) => {
            if bundle.dst.is_some() {
                13
            } else {
                12
            }
        }
        Action::Learn(l) => {
            if learn::needs_second(l) {
                45
            } else {
                16
            }
        }
        Action::Exit => 17,
        Action::DecTtl(dec) => {
            if dec.explicit || dec.ids != [0] {
                21
            } else {
                18
            }
        }
        Action::FinTimeout { .. } => 19,
        Action::PushMpls(_) => 23,
        Action::PopMpls(_) => 24,
        Action::SetMplsTtl(_) => 25,
        Action::DecMplsTtl => 26,
        Action::StackPush(_) => 27,
        Action::StackPop(_) => 28,
        Action::SetMplsLabel(_) => 30,
        Action::SetMplsTc(_) => 31,
        Action::Conjunction { .. } => 34,
        Action::Ct(_) => 35,
        Action::Nat(_) => 36,
        Action::OutputTrunc { .. } => 39,
        Action::Group(_) => 40,
        Action::Clone(_) => 42,
        Action::CtClear => 43,
        Action::Encap(_) => 46,
        Action::Decap(_) => 47,
        Action::DecNshTtl => 48,
        Action::CheckPktLarger { .. } => 49,
        Action::DeleteField(_) => 50,
        _ => return None,
    })
}

fn put_body(out: &mut Vec<u8>, version: Version, action: &Action) {
    match action {
        Action::SetTunnel { id, wide } if *wide || *id > u64::from(u32::MAX) => {
            put_number(out, (*id).into(), 14);
        }
        Action::SetTunnel { id, .. } => put_number(out, (*id).into(), 6),
        Action::SetQueue(word) | Action::Group(word) | Action::Decap(word) | Action::SetMplsLabel(word) => {
            put_number(out, (*word).into(), 6);
        }
        Action::Note(bytes) => out.extend_from_slice(bytes),
        Action::Multipath(multipath) => put_multipath(out, multipath),
        Action::Bundle(bundle) => output::put_bundle(out, bundle),
        Action::Learn(learn) => learn::put(out, learn),
        Action::DecTtl(dec) if dec.explicit || dec.ids != [0] => {
            put_number(out, dec.ids.len() as u128, 2);
            put_zeros(out, 4);
            dec.ids.iter().for_each(|id| put_number(out, (*id).into(), 2));
        }
        Action::FinTimeout { idle, hard } => {
            put_number(out, (*idle).into(), 2);
            put_number(out, (*hard).into(), 2);
        }
        Action::PushMpls(ethertype) | Action::PopMpls(ethertype) => put_number(out, (*ethertype).into(), 2),
        Action::SetMplsTtl(byte) | Action::SetMplsTc(byte) => out.push(*byte),
        Action::StackPush(part) | Action::StackPop(part) => put_stack(out, part),
        Action::Conjunction { id, clause, n_clauses } => {
            out.extend_from_slice(&[*clause, *n_clauses]);
            put_number(out, (*id).into(), 4);
        }
        Action::Ct(ct) => ct::put(out, version, ct),
        Action::Nat(nat) => ct::put_nat(out, nat),
        Action::OutputTrunc { port, max_len } => {
            put_number(out, port.to_u16().into(), 2);
            put_number(out, (*max_len).into(), 4);
        }
        Action::Clone(actions) => {
            put_zeros(out, 6);
            encode_list(version, actions, out);
        }
        Action::Encap(encap) => encap::put(out, encap),
        Action::CheckPktLarger { len, dst } => {
            put_number(out, (*len).into(), 2);
            put_number(out, dst.ofs.into(), 2);
            put_nxm_header(out, dst.field);
        }
        Action::DeleteField(field) => put_nxm_header(out, *field),
        _ => {}
    }
}

/// Appends `write_metadata` as an action.
pub(crate) fn put_write_metadata(out: &mut Vec<u8>, metadata: u64, mask: u64) {
    let start = begin(out, 22);
    put_zeros(out, 6);
    put_number(out, metadata.into(), 8);
    put_number(out, mask.into(), 8);
    finish(out, start);
}

fn put_load(out: &mut Vec<u8>, version: Version, field: FieldId, value: u128) {
    let mask = field.info().all_ones();
    encode_set(out, version, &SetField { field, value, mask, form: SetForm::Load });
}

/// Appends `resubmit`.
pub(crate) fn put_resubmit(out: &mut Vec<u8>, resubmit: &Resubmit) {
    let subtype = match (resubmit.with_ct_orig, resubmit.table) {
        (true, _) => 44,
        (false, 255) if !resubmit.explicit => 1,
        (false, _) => 14,
    };
    let start = begin(out, subtype);
    put_number(out, resubmit.port.to_u16().into(), 2);
    if subtype != 1 {
        out.push(resubmit.table);
    }
    finish(out, start);
}

fn put_controller(out: &mut Vec<u8>, c: &Controller) {
    if c.wide || c.pause || c.meter.is_some() || !c.userdata.is_empty() {
        let start = begin(out, 37);
        put_zeros(out, 6);
        output::put_controller2(out, c);
        return finish(out, start);
    }
    let start = begin(out, 20);
    put_number(out, c.max_len.into(), 2);
    put_number(out, c.controller_id.into(), 2);
    out.push(c.reason);
    finish(out, start);
}

fn put_output_reg(out: &mut Vec<u8>, src: &SubField, max_len: u16, wide: bool) {
    let start = match wide || !has_short_header(src.field) {
        true => {
            let start = begin(out, 32);
            put_ofs_nbits(out, src);
            put_number(out, max_len.into(), 2);
            put_nxm_header(out, src.field);
            start
        }
        false => {
            let start = begin(out, 15);
            put_ofs_nbits(out, src);
            put_nxm_header(out, src.field);
            put_number(out, max_len.into(), 2);
            put_zeros(out, 6);
            start
        }
    };
    finish(out, start);
}

fn put_multipath(out: &mut Vec<u8>, m: &Multipath) {
    put_number(out, (m.fields as u16).into(), 2);
    put_number(out, m.basis.into(), 2);
    put_zeros(out, 2);
    put_number(out, m.algorithm.into(), 2);
    put_number(out, m.max_link.into(), 2);
    put_number(out, m.arg.into(), 4);
    put_zeros(out, 2);
    put_ofs_nbits(out, &m.dst);
    put_nxm_header(out, m.dst.field);
}

fn put_stack(out: &mut Vec<u8>, part: &SubField) {
    put_number(out, part.ofs.into(), 2);
    put_nxm_header(out, part.field);
    put_number(out, part.n_bits.into(), 2);
    put_zeros(out, 6);
}

fn put_sample(out: &mut Vec<u8>, s: &Sample) {
    let form = match s.direction {
        0 if s.form == 3 => 3,
        0 if s.form == 2 || s.sampling_port != OfPort::NONE => 2,
        0 => 1,
        _ => 3,
    };
    let start = begin(out, [29, 38, 41][form - 1]);
    put_number(out, s.probability.into(), 2);
    put_number(out, s.collector_set.into(), 4);
    put_number(out, s.obs_domain.into(), 4);
    put_number(out, s.obs_point.into(), 4);
    if form > 1 {
        put_number(out, s.sampling_port.to_u16().into(), 2);
        out.push(if form == 3 { s.direction } else { 0 });
        put_zeros(out, 5);
    }
    finish(out, start);
}
