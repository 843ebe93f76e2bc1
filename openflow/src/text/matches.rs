//! Matches in flow syntax.

use std::fmt;

use packet::key::{VLAN_PRESENT, VlanTag};

use super::value::{ethernet, frag, hex, ipv4, ipv6};
use super::{List, flags};
use crate::{FieldId, Match, OfPort};

/// The priority that is not printed.
const DEFAULT_PRIORITY: i32 = 0x8000;
/// The tunnel flags that are printed.
const TUNNEL_FLAGS: u16 = 0xf;

/// Priority (unless it is the default) and match of a rule, each part with a comma after it.
pub fn rule_prefix(priority: i32, m: &Match) -> String {
    let mut out = String::new();
    if priority != DEFAULT_PRIORITY {
        out = format!("priority={priority},");
    }
    let text = m.to_string();
    if !text.is_empty() {
        out.push_str(&text);
        out.push(',');
    }
    out
}

/// As `ovs-ofctl dump-flows` prints a match, and `ofproto/trace` a megaflow.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Writer { m: self, list: List::new(f) };
        out.context()?;
        let shorthand = out.shorthand()?;
        out.pipeline()?;
        out.link(shorthand.has_type)?;
        out.network(shorthand.has_proto)?;
        out.transport()
    }
}

/// What the shorthand has said already.
#[derive(Clone, Copy, Default)]
struct Shorthand {
    has_type: bool,
    has_proto: bool,
}

struct Writer<'m, 'a, 'b> {
    m: &'m Match,
    list: List<'a, 'b>,
}

impl Writer<'_, '_, '_> {
    fn eth_type(&self) -> u16 {
        let kind = self.m.key.packet_type.get();
        if kind >> 16 == 1 { kind as u16 } else { self.m.key.eth_type.get() }
    }

    fn is_arp(&self) -> bool {
        matches!(self.eth_type(), 0x0806 | 0x8035)
    }

    /// A number in hexadecimal, with its mask unless it is exact.
    fn hex(&mut self, id: FieldId) -> fmt::Result {
        let (value, mask) = (self.m.value(id), self.m.mask_of(id));
        if mask == id.info().exact() {
            self.list.item(format_args!("{}={}", id.name(), hex(value)))
        } else {
            self.list.maybe(mask != 0, format_args!("{}={}/{}", id.name(), hex(value), hex(mask)))
        }
    }

    /// A number: decimal when it is exact, else in hexadecimal.
    fn decimal(&mut self, id: FieldId, name: &str) -> fmt::Result {
        let (value, mask) = (self.m.value(id), self.m.mask_of(id));
        if mask == id.info().exact() {
            self.list.item(format_args!("{name}={value}"))
        } else {
            self.list.maybe(mask != 0, format_args!("{name}={value:#x}/{mask:#x}"))
        }
    }

    fn port(&mut self, id: FieldId, name: &str) -> fmt::Result {
        let port = OfPort(self.m.value(id) as u32);
        self.list.maybe(!self.m.is_wild(id), format_args!("{name}={port}"))
    }

    fn address4(&mut self, id: FieldId, name: &str) -> fmt::Result {
        let mask = self.m.mask_of(id) as u32;
        let text = ipv4(self.m.value(id) as u32, mask);
        self.list.maybe(mask != 0, format_args!("{name}={text}"))
    }

    fn address6(&mut self, id: FieldId) -> fmt::Result {
        let mask = self.m.mask_of(id);
        self.list.maybe(mask != 0, format_args!("{}={}", id.name(), ipv6(self.m.value(id), mask)))
    }

    fn mac(&mut self, id: FieldId, name: &str) -> fmt::Result {
        let mask = self.m.mask_of(id);
        self.list.maybe(mask != 0, format_args!("{name}={}", ethernet(self.m.value(id), mask)))
    }

    /// What surrounds the packet.
    fn context(&mut self) -> fmt::Result {
        use FieldId as F;
        self.hex(F::PktMark)?;
        self.hex(F::RecircId)?;
        self.hex(F::DpHash)?;
        self.decimal(F::ConjId, "conj_id")?;
        self.hex(F::SkbPriority)?;
        self.port(F::ActsetOutput, "actset_output")?;
        let (state, mask) = (self.m.value(F::CtState) as u32, self.m.mask_of(F::CtState) as u32);
        if mask == 0xff {
            self.list.item(format_args!("ct_state={}", flags::joined(flags::CT_STATE, state)))?;
        } else if mask != 0 {
            self.list.item(format_args!("ct_state={}", flags::masked(flags::CT_STATE, state, mask)))?;
        }
        self.decimal(F::CtZone, "ct_zone")?;
        self.hex(F::CtMark)?;
        self.hex(F::CtLabel)?;
        self.address4(F::CtNwSrc, "ct_nw_src")?;
        self.address6(F::CtIpv6Src)?;
        self.address4(F::CtNwDst, "ct_nw_dst")?;
        self.address6(F::CtIpv6Dst)?;
        if !self.m.is_wild(F::CtNwProto) {
            self.decimal(F::CtNwProto, "ct_nw_proto")?;
            self.decimal(F::CtTpSrc, "ct_tp_src")?;
            self.decimal(F::CtTpDst, "ct_tp_dst")?;
        }
        Ok(())
    }

    /// Packet type, EtherType and protocol in one word where there is one.
    fn shorthand(&mut self) -> Result<Shorthand, fmt::Error> {
        let (kind, mask) = (self.m.key.packet_type.get(), self.m.mask.0.packet_type.get());
        let is_megaflow = self.m.mask.0.recirc_id.get() != 0;
        match (kind, mask) {
            (_, 0) => {}
            (0, u32::MAX) if !is_megaflow => {}
            (0, u32::MAX) => self.list.item(format_args!("eth"))?,
            _ => self.list.item(format_args!("packet_type=({},{:#x})", kind >> 16, kind & 0xffff))?,
        }
        if self.m.mask.0.eth_type.get() == 0 {
            return Ok(Shorthand::default());
        }
        let proto = (self.m.mask.0.nw_proto != 0).then_some(self.m.key.nw_proto);
        let (word, has_proto) = match (self.m.key.eth_type.get(), proto) {
            (0x0800, Some(1)) => ("icmp", true),
            (0x0800, Some(6)) => ("tcp", true),
            (0x0800, Some(17)) => ("udp", true),
            (0x0800, Some(132)) => ("sctp", true),
            (0x86dd, Some(58)) => ("icmp6", true),
            (0x86dd, Some(6)) => ("tcp6", true),
            (0x86dd, Some(17)) => ("udp6", true),
            (0x86dd, Some(132)) => ("sctp6", true),
            (0x0800, _) => ("ip", false),
            (0x86dd, _) => ("ipv6", false),
            (0x0806, _) => ("arp", false),
            (0x8035, _) => ("rarp", false),
            (0x8847, _) => ("mpls", false),
            (0x8848, _) => ("mplsm", false),
            _ => return Ok(Shorthand::default()),
        };
        self.list.item(format_args!("{word}"))?;
        Ok(Shorthand { has_type: true, has_proto })
    }

    /// Registers, tunnel and metadata.
    fn pipeline(&mut self) -> fmt::Result {
        use FieldId as F;
        (0..16).try_for_each(|n| self.hex(F::reg(n)))?;
        self.hex(F::TunId)?;
        self.address4(F::TunSrc, "tun_src")?;
        self.address4(F::TunDst, "tun_dst")?;
        self.address6(F::TunIpv6Src)?;
        self.address6(F::TunIpv6Dst)?;
        self.decimal(F::TunGbpId, "tun_gbp_id")?;
        let gbp_flags = hex(self.m.value(F::TunGbpFlags));
        self.list.maybe(!self.m.is_wild(F::TunGbpFlags), format_args!("tun_gbp_flags={gbp_flags}"))?;
        let (tos, ttl) = (self.m.key.tun_tos, self.m.key.tun_ttl);
        self.list.maybe(self.m.mask.0.tun_tos != 0, format_args!("tun_tos={tos:x}"))?;
        self.list.maybe(self.m.mask.0.tun_ttl != 0, format_args!("tun_ttl={ttl}"))?;
        self.tunnel_flags()?;
        self.hex(F::Metadata)?;
        self.port(F::InPortOxm, "in_port")
    }

    /// Flags of the tunnel, after other fields that only a whole packet has and that we do not know but as zero.
    fn tunnel_flags(&mut self) -> fmt::Result {
        let (value, mask) = (self.m.key.tun_flags.get(), self.m.mask.0.tun_flags.get());
        let unknown = "tun_erspan_ver=0,gtpu_flags=0,gtpu_msgtype=0";
        self.list.maybe(mask == u16::MAX, format_args!("{unknown}"))?;
        let (value, mask) = (u32::from(value & TUNNEL_FLAGS), u32::from(mask & TUNNEL_FLAGS));
        let text = match mask == u32::from(TUNNEL_FLAGS) {
            true => flags::joined(flags::TUNNEL, value),
            false => flags::masked(flags::TUNNEL, value, mask),
        };
        self.list.maybe(mask != 0, format_args!("tun_flags={text}"))
    }

    fn link(&mut self, has_type: bool) -> fmt::Result {
        for n in 0..2 {
            if self.m.mask.0.vlan[n].tci.get() == 0 {
                break;
            }
            let number = if n == 0 { String::new() } else { n.to_string() };
            self.tag(&self.m.key.vlan[n], &self.m.mask.0.vlan[n], &number)?;
        }
        self.mac(FieldId::EthSrc, "dl_src")?;
        self.mac(FieldId::EthDst, "dl_dst")?;
        let there = !has_type && self.m.mask.0.eth_type.get() != 0;
        self.list.maybe(there, format_args!("dl_type={:#06x}", self.m.key.eth_type.get()))
    }

    fn tag(&mut self, key: &VlanTag, mask: &VlanTag, number: &str) -> fmt::Result {
        let (tci, mask) = (key.tci.get(), mask.tci.get());
        let (vid, pcp) = (mask & 0xfff, mask & 0xe000);
        let present = mask & tci & VLAN_PRESENT != 0;
        let whole = matches!(vid, 0 | 0xfff) && matches!(pcp, 0 | 0xe000) && (vid | pcp) != 0;
        if present && whole {
            self.list.maybe(vid != 0, format_args!("dl_vlan{number}={}", tci & 0xfff))?;
            self.list.maybe(pcp != 0, format_args!("dl_vlan_pcp{number}={}", tci >> 13))
        } else if mask == 0xffff {
            self.list.item(format_args!("vlan_tci{number}={tci:#06x}"))
        } else {
            self.list.item(format_args!("vlan_tci{number}={tci:#06x}/{mask:#06x}"))
        }
    }

    fn network(&mut self, has_proto: bool) -> fmt::Result {
        use FieldId as F;
        let arp = self.is_arp();
        if self.eth_type() == 0x86dd {
            self.address6(F::Ipv6Src)?;
            self.address6(F::Ipv6Dst)?;
            self.flow_label()?;
        } else if arp {
            self.address4(F::ArpSpa, "arp_spa")?;
            self.address4(F::ArpTpa, "arp_tpa")?;
        } else {
            self.address4(F::Ipv4Src, "nw_src")?;
            self.address4(F::Ipv4Dst, "nw_dst")?;
        }
        let name = if arp { "arp_op" } else { "nw_proto" };
        let there = !has_proto && self.m.mask.0.nw_proto != 0;
        self.list.maybe(there, format_args!("{name}={}", self.m.key.nw_proto))?;
        if arp {
            self.mac(F::ArpSha, "arp_sha")?;
            self.mac(F::ArpTha, "arp_tha")?;
        }
        for id in [F::NwTos, F::NwEcn, F::NwTtl, F::MplsLabel, F::MplsTc, F::MplsTtl, F::MplsBos] {
            let value = self.m.value(id);
            self.list.maybe(!self.m.is_wild(id), format_args!("{}={value}", id.name()))?;
        }
        self.inner_labels()?;
        let (value, mask) = (self.m.key.nw_frag, self.m.mask.0.nw_frag);
        self.list.maybe(mask & 3 != 0, format_args!("nw_frag={}", frag(value, mask)))
    }

    fn flow_label(&mut self) -> fmt::Result {
        let (label, mask) = (self.m.key.ipv6_label.get(), self.m.mask.0.ipv6_label.get());
        if mask & 0xf_ffff == 0xf_ffff {
            return self.list.item(format_args!("ipv6_label={label:#07x}"));
        }
        self.list.maybe(mask != 0, format_args!("ipv6_label={label:#07x}/{mask:#07x}"))
    }

    /// Whole label stack entries below the outermost, which only a megaflow has.
    fn inner_labels(&mut self) -> fmt::Result {
        for n in 1..3 {
            let (lse, mask) = (self.m.key.mpls_lse[n].get(), self.m.mask.0.mpls_lse[n].get());
            if mask == u32::MAX {
                self.list.item(format_args!("mpls_lse{n}={lse}"))?;
            } else {
                self.list.maybe(mask != 0, format_args!("mpls_lse{n}={lse:#010x}/{mask:#010x}"))?;
            }
        }
        Ok(())
    }

    fn transport(&mut self) -> fmt::Result {
        use FieldId as F;
        match (self.eth_type(), self.m.key.nw_proto) {
            (0x0800, 1) => self.types()?,
            (0x86dd, 58) => {
                self.types()?;
                self.address6(F::NdTarget)?;
                self.mac(F::NdSll, "nd_sll")?;
                self.mac(F::NdTll, "nd_tll")?;
            }
            _ => {
                self.decimal(F::TcpSrc, "tp_src")?;
                self.decimal(F::TcpDst, "tp_dst")?;
            }
        }
        let is_tcp = matches!(self.eth_type(), 0x0800 | 0x86dd) && self.m.key.nw_proto == 6;
        let (value, mask) = (self.m.value(F::TcpFlags) as u32, self.m.mask_of(F::TcpFlags) as u32 & 0xfff);
        if !is_tcp || mask == 0 {
            return Ok(());
        }
        let text = match mask {
            0xfff => flags::joined(flags::TCP, value),
            _ => flags::masked(flags::TCP, value, mask),
        };
        self.list.item(format_args!("tcp_flags={text}"))
    }

    fn types(&mut self) -> fmt::Result {
        self.decimal(FieldId::IcmpType, "icmp_type")?;
        self.decimal(FieldId::IcmpCode, "icmp_code")
    }
}
