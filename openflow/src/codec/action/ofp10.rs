//! The plain actions of OpenFlow 1.0 (clause 5.2.4).

use crate::action::{Action, L4Port};
use crate::wire::Reader;
use crate::{OfError, OfPort, Version};

/// Lengths of an action, by type.
pub(super) fn lengths(kind: u16) -> Option<(usize, usize)> {
    match kind {
        0..=3 | 6..=10 => Some((8, 8)),
        4 | 5 | 11 => Some((16, 16)),
        _ => None,
    }
}

/// Reads the body of an action.
pub(super) fn decode(_: Version, kind: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    Ok(match kind {
        0 => Action::Output { port: OfPort::from_u16(r.u16()?).to_output()?, max_len: r.u16()? },
        1 => set_vlan_vid(r.u16()?, true)?,
        2 => set_vlan_pcp(r.u8()?, true)?,
        3 => Action::StripVlan,
        4 => Action::SetEthSrc(r.array()?),
        5 => Action::SetEthDst(r.array()?),
        6 => Action::SetIpv4Src(r.u32()?),
        7 => Action::SetIpv4Dst(r.u32()?),
        8 => set_ip_dscp(r.u8()?)?,
        9 => Action::SetL4Src(L4Port { port: r.u16()?, proto: 0 }),
        10 => Action::SetL4Dst(L4Port { port: r.u16()?, proto: 0 }),
        11 => enqueue(r)?,
        _ => return Err(OfError::OFPBAC_BAD_TYPE),
    })
}

fn enqueue(r: &mut Reader<'_>) -> Result<Action, OfError> {
    let port = OfPort::from_u16(r.u16()?);
    r.skip(6)?;
    if port.is_reserved() && port != OfPort::IN_PORT && port != OfPort::LOCAL {
        return Err(OfError::OFPBAC_BAD_OUT_PORT);
    }
    Ok(Action::Enqueue { port, queue: r.u32()? })
}

/// `SET_VLAN_VID`, the same in 1.0 and 1.1 but for what it does to a packet without a tag.
pub(super) fn set_vlan_vid(vid: u16, push_if_needed: bool) -> Result<Action, OfError> {
    match vid {
        0..0x1000 => Ok(Action::SetVlanVid { vid, push_if_needed, flow_has_vlan: false }),
        _ => Err(OfError::OFPBAC_BAD_ARGUMENT),
    }
}

/// `SET_VLAN_PCP`, likewise.
pub(super) fn set_vlan_pcp(pcp: u8, push_if_needed: bool) -> Result<Action, OfError> {
    match pcp {
        0..8 => Ok(Action::SetVlanPcp { pcp, push_if_needed, flow_has_vlan: false }),
        _ => Err(OfError::OFPBAC_BAD_ARGUMENT),
    }
}

/// `SET_NW_TOS`.
pub(super) fn set_ip_dscp(tos: u8) -> Result<Action, OfError> {
    match tos & 3 {
        0 => Ok(Action::SetIpDscp(tos)),
        _ => Err(OfError::OFPBAC_BAD_ARGUMENT),
    }
}
