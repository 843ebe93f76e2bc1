//! Actions that choose, sample or wrap.

use std::fmt;

use crate::OfPort;
use crate::action::{Bundle, Encap, HashFields, Multipath, Sample};

impl fmt::Display for HashFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EthSrc => "eth_src",
            Self::SymmetricL4 => "symmetric_l4",
            Self::SymmetricL3L4 => "symmetric_l3l4",
            Self::SymmetricL3L4Udp => "symmetric_l3l4+udp",
            Self::NwSrc => "nw_src",
            Self::NwDst => "nw_dst",
            Self::SymmetricL3 => "symmetric_l3",
        })
    }
}

impl fmt::Display for Multipath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms = ["modulo_n", "hash_threshold", "hrw", "iter_hash"];
        let algorithm = algorithms.get(usize::from(self.algorithm)).unwrap_or(&"<unknown>");
        let (fields, basis, links) = (self.fields, self.basis, u32::from(self.max_link) + 1);
        write!(f, "multipath({fields},{basis},{algorithm},{links},{},{})", self.arg, self.dst)
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = ["active_backup", "hrw"].get(usize::from(self.algorithm)).unwrap_or(&"<unknown>");
        let name = if self.dst.is_some() { "bundle_load" } else { "bundle" };
        write!(f, "{name}({},{},{algorithm},ofport,", self.fields, self.basis)?;
        if let Some(dst) = &self.dst {
            write!(f, "{dst},")?;
        }
        let members: Vec<_> = self.members.iter().map(ToString::to_string).collect();
        write!(f, "members:{})", members.join(","))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sample(probability={},collector_set_id={},obs_domain_id={},obs_point_id={}",
            self.probability, self.collector_set, self.obs_domain, self.obs_point
        )?;
        if self.sampling_port != OfPort::NONE {
            write!(f, ",sampling_port={}", self.sampling_port)?;
        }
        f.write_str(match self.direction {
            1 => ",ingress)",
            2 => ",egress)",
            _ => ")",
        })
    }
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.packet_type {
            0 => "ethernet",
            0x1_894f => "nsh",
            0x1_8847 => "mpls",
            _ => "mpls_mc",
        };
        write!(f, "encap({name}")?;
        if !self.props.is_empty() {
            let parts: Vec<_> = self.props.iter().map(property).collect();
            write!(f, "({})", parts.join(","))?;
        }
        f.write_str(")")
    }
}

/// A property of a network service header: its metadata type, or an option.
fn property((class, kind, data): &(u16, u8, Vec<u8>)) -> String {
    match (class, kind, &data[..]) {
        (4, 1, [md_type, ..]) => format!("md_type={md_type}"),
        (4, 2, [a, b, kind, len, value @ ..]) => {
            let value = &value[..value.len().min(usize::from(*len))];
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("tlv({:#06x},{kind},0x{hex})", u16::from_be_bytes([*a, *b]))
        }
        _ => format!("prop({class},{kind})"),
    }
}
