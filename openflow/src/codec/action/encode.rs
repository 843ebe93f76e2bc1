//! Writing actions: each in the form that Open vSwitch gives it in the version at hand.

use super::set::{encode_move, encode_set, put_set_field};
use super::{nx_encode, set};
use crate::action::{Action, L4Port};
use crate::codec::nxm;
use crate::wire::put_zeros;
use crate::{FieldId, OfPort, Version};

/// Appends a list of actions. What the version cannot say is left out.
pub fn encode_list(version: Version, actions: &[Action], out: &mut Vec<u8>) {
    for action in actions {
        encode(out, version, action);
    }
}

/// Appends one action.
pub(super) fn encode(out: &mut Vec<u8>, version: Version, action: &Action) {
    match action {
        Action::Output { port, max_len } => put_output(out, version, *port, *max_len),
        Action::Enqueue { port, queue } => put_enqueue(out, version, *port, *queue),
        Action::SetField(field) => encode_set(out, version, field),
        Action::Move { src, dst, onf } => encode_move(out, version, src, dst, *onf),
        Action::SetVlanVid { .. } | Action::SetVlanPcp { .. } => put_vlan(out, version, action),
        Action::StripVlan | Action::PopVlan if version == Version::V10 => put_plain(out, 3, &[]),
        Action::StripVlan | Action::PopVlan => put_plain(out, 18, &[]),
        Action::PushVlan(_) if version == Version::V10 => {}
        Action::PushVlan(ethertype) => put_plain(out, 17, &ethertype.to_be_bytes()),
        Action::SetTunnel { id, .. } if version >= Version::V12 => {
            put_set_field(out, version, FieldId::TunId, (*id).into(), u128::MAX);
        }
        Action::Meter(_) if version < Version::V15 => {}
        Action::Meter(id) => put_plain(out, 29, &id.to_be_bytes()),
        _ if put_header_field(out, version, action) => {}
        _ if version > Version::V10 && put_std(out, action) => {}
        _ => nx_encode::encode(out, version, action),
    }
}

/// Appends a plain action: type, length and body, padded.
fn put_plain(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(body);
    set::finish(out, start);
}

fn put_output(out: &mut Vec<u8>, version: Version, port: OfPort, max_len: u16) {
    let mut body = Vec::with_capacity(12);
    match version {
        Version::V10 => nxm::put_number(&mut body, port.to_u16().into(), 2),
        _ => nxm::put_number(&mut body, port.0.into(), 4),
    }
    nxm::put_number(&mut body, max_len.into(), 2);
    put_zeros(&mut body, if version == Version::V10 { 0 } else { 6 });
    put_plain(out, 0, &body);
}

/// Later versions have no such action and set the queue for one output.
fn put_enqueue(out: &mut Vec<u8>, version: Version, port: OfPort, queue: u32) {
    if version == Version::V10 {
        let mut body = port.to_u16().to_be_bytes().to_vec();
        put_zeros(&mut body, 6);
        nxm::put_number(&mut body, queue.into(), 4);
        return put_plain(out, 11, &body);
    }
    put_plain(out, 21, &queue.to_be_bytes());
    put_output(out, version, port, u16::MAX);
    nx_encode::encode(out, version, &Action::PopQueue);
}

/// VLAN id and priority. Where the version's own action does nothing to a packet without a tag and the flow may meet one, a tag is
/// pushed first.
fn put_vlan(out: &mut Vec<u8>, version: Version, action: &Action) {
    let (kind, field, value, push) = match action {
        Action::SetVlanVid { vid, push_if_needed, flow_has_vlan } => {
            (1, FieldId::VlanVid, u128::from(*vid), *push_if_needed && !*flow_has_vlan)
        }
        Action::SetVlanPcp { pcp, push_if_needed, flow_has_vlan } => {
            (2, FieldId::VlanPcp, u128::from(*pcp), *push_if_needed && !*flow_has_vlan)
        }
        _ => return,
    };
    if version > Version::V10 && push {
        put_plain(out, 17, &[0x81, 0]);
    }
    let present = if kind == 1 { 0x1000 } else { 0 };
    match version {
        Version::V10 | Version::V11 => {
            put_plain(out, kind, &value.to_be_bytes()[if kind == 1 { 14 } else { 15 }..]);
        }
        _ => put_set_field(out, version, field, value | present, u128::MAX),
    }
}

/// Actions that set one header field: plain in 1.0 and 1.1 (type in each), a set-field later. Tells whether it was one.
fn put_header_field(out: &mut Vec<u8>, version: Version, action: &Action) -> bool {
    let (kinds, field, value, n_bytes) = match action {
        Action::SetEthSrc(mac) => ((4, 3), FieldId::EthSrc, nxm::number(mac), 6),
        Action::SetEthDst(mac) => ((5, 4), FieldId::EthDst, nxm::number(mac), 6),
        Action::SetIpv4Src(addr) => ((6, 5), FieldId::Ipv4Src, (*addr).into(), 4),
        Action::SetIpv4Dst(addr) => ((7, 6), FieldId::Ipv4Dst, (*addr).into(), 4),
        Action::SetIpDscp(tos) if version < Version::V12 => ((8, 7), FieldId::NwTos, (*tos).into(), 1),
        Action::SetIpDscp(tos) => ((8, 7), FieldId::IpDscp, (*tos >> 2).into(), 1),
        Action::SetIpEcn(ecn) => ((0, 8), FieldId::NwEcn, (*ecn).into(), 1),
        Action::SetL4Src(l4) => ((9, 9), l4_field(l4, true), l4.port.into(), 2),
        Action::SetL4Dst(l4) => ((10, 10), l4_field(l4, false), l4.port.into(), 2),
        Action::SetMplsLabel(label) => ((0, 13), FieldId::MplsLabel, (*label).into(), 4),
        Action::SetMplsTc(tc) => ((0, 14), FieldId::MplsTc, (*tc).into(), 1),
        _ => return false,
    };
    let kind = match version {
        Version::V10 => kinds.0,
        Version::V11 => kinds.1,
        // Without a protocol there is no field, and 1.1's action is all there is.
        _ if is_unknown_l4(action) => kinds.1,
        _ => {
            put_set_field(out, version, field, value, u128::MAX);
            return true;
        }
    };
    if kind == 0 {
        return false;
    }
    put_plain(out, kind, &value.to_be_bytes()[16 - n_bytes..]);
    true
}

fn is_unknown_l4(action: &Action) -> bool {
    matches!(action, Action::SetL4Src(l4) | Action::SetL4Dst(l4) if !matches!(l4.proto, 6 | 17 | 132))
}

fn l4_field(l4: &L4Port, src: bool) -> FieldId {
    match (l4.proto, src) {
        (17, true) => FieldId::UdpSrc,
        (17, false) => FieldId::UdpDst,
        (132, true) => FieldId::SctpSrc,
        (132, false) => FieldId::SctpDst,
        (_, true) => FieldId::TcpSrc,
        (_, false) => FieldId::TcpDst,
    }
}

/// Actions that 1.1 and all later versions have under the same type. Tells whether it was one.
fn put_std(out: &mut Vec<u8>, action: &Action) -> bool {
    match action {
        Action::SetMplsTtl(ttl) => put_plain(out, 15, &[*ttl]),
        Action::DecMplsTtl => put_plain(out, 16, &[]),
        Action::PushMpls(ethertype) => put_plain(out, 19, &ethertype.to_be_bytes()),
        Action::PopMpls(ethertype) => put_plain(out, 20, &ethertype.to_be_bytes()),
        Action::SetQueue(queue) => put_plain(out, 21, &queue.to_be_bytes()),
        Action::Group(group) => put_plain(out, 22, &group.to_be_bytes()),
        Action::SetIpTtl(ttl) => put_plain(out, 23, &[*ttl]),
        Action::DecTtl(dec) if !dec.explicit && dec.ids == [0] => put_plain(out, 24, &[]),
        _ => return false,
    }
    true
}
