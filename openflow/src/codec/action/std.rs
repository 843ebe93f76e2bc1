//! The plain actions of OpenFlow 1.1 to 1.5 (OpenFlow 1.5.1 clause 7.2.6). Those of 1.1 that 1.2 replaced by set-field (OpenFlow 1.1
//! clause A.2.5) are understood in later versions too.

use super::{ofp10, set};
use crate::action::{Action, DecTtl, L4Port};
use crate::wire::Reader;
use crate::{OfError, OfPort, Version};

/// Lengths of an action, by version and type.
pub(super) fn lengths(version: Version, kind: u16) -> Option<(usize, usize)> {
    match (kind, version) {
        (0, _) => Some((16, 16)),
        // Later versions gave these up; Open vSwitch still takes them there.
        (3 | 4, _) => Some((16, 16)),
        (1..=10 | 13 | 14, _) => Some((8, 8)),
        (15..=24, _) => Some((8, 8)),
        (25, _) if version >= Version::V12 => Some((8, usize::MAX)),
        (28, Version::V15) => Some((16, 32)),
        (29, Version::V15) => Some((8, 8)),
        _ => None,
    }
}

/// Reads the body of an action.
pub(super) fn decode(version: Version, kind: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    if (1..15).contains(&kind) {
        return decode_11(kind, r);
    }
    Ok(match kind {
        0 => Action::Output { port: OfPort::from_u32(r.u32()?)?.to_output()?, max_len: r.u16()? },
        15 => Action::SetMplsTtl(r.u8()?),
        16 => Action::DecMplsTtl,
        17 => push_vlan(r.u16()?)?,
        18 => Action::PopVlan,
        19 => push_mpls(r.u16()?)?,
        20 => Action::PopMpls(r.u16()?),
        21 => Action::SetQueue(r.u32()?),
        22 => Action::Group(r.u32()?),
        23 => Action::SetIpTtl(r.u8()?),
        24 => Action::DecTtl(DecTtl { ids: vec![0], explicit: false }),
        25 => set::decode_set_field(version, r)?,
        28 => set::decode_copy_field(r, false)?,
        29 => Action::Meter(r.u32()?),
        _ => return Err(OfError::OFPBAC_BAD_TYPE),
    })
}

fn decode_11(kind: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    Ok(match kind {
        1 => ofp10::set_vlan_vid(r.u16()?, false)?,
        2 => ofp10::set_vlan_pcp(r.u8()?, false)?,
        3 => Action::SetEthSrc(r.array()?),
        4 => Action::SetEthDst(r.array()?),
        5 => Action::SetIpv4Src(r.u32()?),
        6 => Action::SetIpv4Dst(r.u32()?),
        7 => ofp10::set_ip_dscp(r.u8()?)?,
        8 => set_ip_ecn(r.u8()?)?,
        9 => Action::SetL4Src(L4Port { port: r.u16()?, proto: 0 }),
        10 => Action::SetL4Dst(L4Port { port: r.u16()?, proto: 0 }),
        13 => set_mpls_label(r.u32()?)?,
        14 => set_mpls_tc(r.u8()?)?,
        _ => return Err(OfError::OFPBAC_BAD_TYPE),
    })
}

fn set_ip_ecn(ecn: u8) -> Result<Action, OfError> {
    if ecn & !3 == 0 { Ok(Action::SetIpEcn(ecn)) } else { Err(OfError::OFPBAC_BAD_ARGUMENT) }
}

fn push_vlan(ethertype: u16) -> Result<Action, OfError> {
    match ethertype {
        0x8100 | 0x88a8 => Ok(Action::PushVlan(ethertype)),
        _ => Err(OfError::OFPBAC_BAD_ARGUMENT),
    }
}

/// Also Nicira's of the same name.
pub(super) fn push_mpls(ethertype: u16) -> Result<Action, OfError> {
    match ethertype {
        0x8847 | 0x8848 => Ok(Action::PushMpls(ethertype)),
        _ => Err(OfError::OFPBAC_BAD_ARGUMENT),
    }
}

/// Also Nicira's of the same name. Only 20 bits count.
pub(super) fn set_mpls_label(label: u32) -> Result<Action, OfError> {
    Ok(Action::SetMplsLabel(label))
}

/// Also Nicira's of the same name.
pub(super) fn set_mpls_tc(tc: u8) -> Result<Action, OfError> {
    Ok(Action::SetMplsTc(tc))
}
