//! The names of code points, such as `NXM_NX_REG0`, and parts of fields, which are written with them.

use std::fmt;

use crate::error::{NICIRA, ONF};
use crate::field::{FieldId, SubField};

/// The name of a field's code point in NXM, or in OXM for a field that has none there.
pub fn nxm_name(id: FieldId) -> String {
    // Version 1.0 stands for NXM.
    let Some(wire) = id.wire(crate::Version::V10) else { return id.name().to_owned() };
    let prefix = match (wire.class, wire.experimenter) {
        (0, _) => "NXM_OF_",
        (1, _) => "NXM_NX_",
        (0x1000, _) => "ERICOXM_OF_ICMPV6_",
        (0xffff, NICIRA) => "NXOXM_ET_",
        (0xffff, ONF) => "ONFOXM_ET_",
        (0xffff, _) => "NXOXM_",
        _ => "OXM_OF_",
    };
    format!("{prefix}{}", suffix(id))
}

fn suffix(id: FieldId) -> String {
    let name = id.name();
    let suffix = match id {
        FieldId::NwProto => "ip_proto",
        FieldId::NwTos => "ip_tos",
        FieldId::NwEcn => "ip_ecn",
        FieldId::NwTtl => "ip_ttl",
        FieldId::TunSrc => "tun_ipv4_src",
        FieldId::TunDst => "tun_ipv4_dst",
        FieldId::InPortOxm => "in_port",
        _ if name.starts_with("xreg") => return name.replace("xreg", "PKT_REG"),
        _ => name.strip_prefix("tun_").filter(|rest| is_short(rest)).unwrap_or(name),
    };
    suffix.to_ascii_uppercase()
}

/// Tunnel fields whose code points leave the prefix out.
fn is_short(rest: &str) -> bool {
    rest.starts_with("erspan") || rest.starts_with("gtpu")
}

impl fmt::Display for SubField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = nxm_name(self.field);
        match (self.is_whole(), self.n_bits) {
            (true, _) => write!(f, "{name}[]"),
            (_, 1) => write!(f, "{name}[{}]", self.ofs),
            (_, n) => write!(f, "{name}[{}..{}]", self.ofs, self.ofs + n - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (field, name) in [
            (FieldId::Reg3, "NXM_NX_REG3"),
            (FieldId::Xreg1, "OXM_OF_PKT_REG1"),
            (FieldId::Xxreg1, "NXM_NX_XXREG1"),
            (FieldId::Metadata, "OXM_OF_METADATA"),
            (FieldId::TunId, "NXM_NX_TUN_ID"),
            (FieldId::TunSrc, "NXM_NX_TUN_IPV4_SRC"),
            (FieldId::NwEcn, "NXM_NX_IP_ECN"),
            (FieldId::TunErspanIdx, "NXOXM_ET_ERSPAN_IDX"),
            (FieldId::ActsetOutput, "ONFOXM_ET_ACTSET_OUTPUT"),
        ] {
            assert_eq!(nxm_name(field), name);
        }
        let part = |ofs, n_bits| SubField { field: FieldId::VlanTci, ofs, n_bits }.to_string();
        assert_eq!(part(0, 16), "NXM_OF_VLAN_TCI[]");
        assert_eq!(part(12, 1), "NXM_OF_VLAN_TCI[12]");
        assert_eq!(part(0, 12), "NXM_OF_VLAN_TCI[0..11]");
    }
}
