//! A masked key as text.

use packet::key::{FRAG_ANY, FRAG_LATER, VLAN_PRESENT, VlanTag};
use packet::parse::{ETH_TYPE_NONE, eth_type, ip_proto};
use packet::{FlowKey, FlowMask};

use super::Style;
use super::fields::{CT_STATE, Group, TCP_FLAGS, flags_masked, flags_set, hex, masked_hex};
use crate::action::PortNo;

const VID: u16 = 0x0fff;

/// `recirc_id(0),in_port(1),...`: what of `key` the mask looks at; all of it when the style is verbose.
pub fn key(key: &FlowKey, mask: &FlowMask, style: &Style<'_>) -> String {
    let mask = &mask.0;
    let mut parts = metadata(key, mask, style);
    parts.extend(ethernet(key, mask, style.verbose));
    let mut closing = String::new();
    for (tag, tag_mask) in key.vlan.iter().zip(&mask.vlan).filter(|(tag, _)| tag.tci.get() != 0) {
        let vlan = vlan(*tag, *tag_mask, style.verbose);
        parts.push(format!("eth_type({:#06x})", tag.tpid.get()));
        parts.push(format!("{}encap(", vlan.map_or(String::new(), |vlan| format!("{vlan},"))));
        closing.push(')');
    }
    parts.extend(above_ethernet(key, mask, style.verbose));
    parts.join(",").replace("encap(,", "encap(") + &closing
}

fn metadata(key: &FlowKey, mask: &FlowKey, style: &Style<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    let mut number = |name: &str, value: u32, mask: u32| {
        if mask != 0 || style.verbose {
            parts.push(format!("{name}({})", masked_hex(value, mask)));
        }
    };
    number("skb_priority", key.skb_priority.get(), mask.skb_priority.get());
    number("skb_mark", key.pkt_mark.get(), mask.pkt_mark.get());
    parts.extend(connection(key, mask, style.verbose));
    parts.push(format!("recirc_id({})", hex(key.recirc_id.get())));
    if mask.dp_hash.get() != 0 || style.verbose {
        parts.push(format!("dp_hash({})", masked_hex(key.dp_hash.get(), mask.dp_hash.get())));
    }
    parts.push(format!("in_port({})", style.port(PortNo(key.in_port.get()))));
    let kind = key.packet_type.get();
    parts.push(format!("packet_type(ns={},id={})", kind >> 16, hex(kind & 0xffff)));
    parts
}

fn connection(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let (state, state_mask) = (key.ct_state.get(), mask.ct_state.get());
    if verbose {
        parts.push(format!("ct_state({})", masked_hex(state, state_mask)));
    } else if state_mask != 0 {
        parts.push(format!("ct_state({})", flags_masked(&CT_STATE, state, state_mask)));
    }
    if mask.ct_zone.get() != 0 || verbose {
        parts.push(format!("ct_zone({})", masked_hex(key.ct_zone.get(), mask.ct_zone.get())));
    }
    if mask.ct_mark.get() != 0 || verbose {
        parts.push(format!("ct_mark({})", masked_hex(key.ct_mark.get(), mask.ct_mark.get())));
    }
    let (label, label_mask) = (u128::from_be_bytes(key.ct_label), u128::from_be_bytes(mask.ct_label));
    if label_mask != 0 || verbose {
        parts.push(format!("ct_label({})", masked_hex(label, label_mask)));
    }
    parts.extend(connection_tuple(key, mask));
    parts
}

/// The original direction of the connection, when it is looked at.
fn connection_tuple(key: &FlowKey, mask: &FlowKey) -> Option<String> {
    let six = key.eth_type.get() == eth_type::IPV6;
    let mut group = Group::new(false);
    if six {
        group.ipv6("src", key.ct_ipv6_src, mask.ct_ipv6_src);
        group.ipv6("dst", key.ct_ipv6_dst, mask.ct_ipv6_dst);
    } else {
        group.ipv4("src", key.ct_nw_src.get(), mask.ct_nw_src.get());
        group.ipv4("dst", key.ct_nw_dst.get(), mask.ct_nw_dst.get());
    }
    group.dec("proto", key.ct_nw_proto, mask.ct_nw_proto);
    group.dec(if six { "src_port" } else { "tp_src" }, key.ct_tp_src.get(), mask.ct_tp_src.get());
    group.dec(if six { "dst_port" } else { "tp_dst" }, key.ct_tp_dst.get(), mask.ct_tp_dst.get());
    group.finish(if six { "ct_tuple6" } else { "ct_tuple4" })
}

pub(super) fn ethernet(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let mut group = Group::new(verbose);
    group.mac("src", key.eth_src, mask.eth_src);
    group.mac("dst", key.eth_dst, mask.eth_dst);
    group.finish("eth")
}

fn vlan(tag: VlanTag, mask: VlanTag, verbose: bool) -> Option<String> {
    let (tci, mask) = (tag.tci.get(), mask.tci.get());
    if mask == 0 && !verbose {
        return None;
    }
    let mut parts = Vec::new();
    let (vid, vid_mask) = (tci & VID, mask & VID);
    if verbose || vid != 0 || vid_mask != 0 {
        let shown = if vid_mask == VID { String::new() } else { format!("/{vid_mask:#x}") };
        parts.push(format!("vid={vid}{shown}"));
    }
    let (pcp, pcp_mask) = (tci >> 13, mask >> 13);
    if verbose || pcp != 0 || pcp_mask != 0 {
        let shown = if pcp_mask == 7 { String::new() } else { format!("/{pcp_mask:#x}") };
        parts.push(format!("pcp={pcp}{shown}"));
    }
    if tci & VLAN_PRESENT == 0 {
        parts.push("cfi=0".to_owned());
    }
    Some(format!("vlan({})", parts.join(",")))
}

/// EtherType and all that follows it.
fn above_ethernet(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let (kind, kind_mask) = (key.eth_type.get(), mask.eth_type.get());
    if kind != ETH_TYPE_NONE && (kind_mask != 0 || verbose) {
        let shown = if kind_mask == u16::MAX { String::new() } else { format!("/{kind_mask:#06x}") };
        parts.push(format!("eth_type({kind:#06x}{shown})"));
    }
    match kind {
        eth_type::IPV4 => parts.extend(ipv4(key, mask, verbose)),
        eth_type::IPV6 => parts.extend(ipv6(key, mask, verbose)),
        eth_type::ARP | eth_type::RARP => parts.extend(arp(key, mask, verbose)),
        eth_type::MPLS | eth_type::MPLS_MC => parts.extend(mpls(key, mask, verbose)),
        _ => {}
    }
    if matches!(kind, eth_type::IPV4 | eth_type::IPV6) && key.nw_frag & FRAG_LATER == 0 {
        parts.extend(transport(key, mask, verbose));
    }
    parts
}

fn fragment(group: &mut Group, key: &FlowKey, mask: &FlowKey) {
    let kind = match key.nw_frag {
        0 => "no",
        frag if frag & FRAG_LATER != 0 => "later",
        _ => "first",
    };
    group.word("frag", kind, mask.nw_frag & (FRAG_ANY | FRAG_LATER) == 0);
}

pub(super) fn ipv4(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let mut group = Group::new(verbose);
    group.ipv4("src", key.nw_src.get(), mask.nw_src.get());
    group.ipv4("dst", key.nw_dst.get(), mask.nw_dst.get());
    group.dec("proto", key.nw_proto, mask.nw_proto);
    group.hex("tos", key.nw_tos, mask.nw_tos);
    group.dec("ttl", key.nw_ttl, mask.nw_ttl);
    fragment(&mut group, key, mask);
    group.finish("ipv4")
}

pub(super) fn ipv6(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    const LABEL: u32 = 0xf_ffff;
    let mut group = Group::new(verbose);
    group.ipv6("src", key.ipv6_src, mask.ipv6_src);
    group.ipv6("dst", key.ipv6_dst, mask.ipv6_dst);
    group.hex_of("label", key.ipv6_label.get() & LABEL, mask.ipv6_label.get() & LABEL, LABEL);
    group.dec("proto", key.nw_proto, mask.nw_proto);
    group.hex("tclass", key.nw_tos, mask.nw_tos);
    group.dec("hlimit", key.nw_ttl, mask.nw_ttl);
    fragment(&mut group, key, mask);
    group.finish("ipv6")
}

pub(super) fn arp(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let mut group = Group::new(verbose);
    group.ipv4("sip", key.nw_src.get(), mask.nw_src.get());
    group.ipv4("tip", key.nw_dst.get(), mask.nw_dst.get());
    group.dec("op", key.nw_proto, mask.nw_proto);
    group.mac("sha", key.arp_sha, mask.arp_sha);
    group.mac("tha", key.arp_tha, mask.arp_tha);
    group.finish("arp")
}

pub(super) fn mpls(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let depth =
        key.mpls_lse.iter().zip(&mask.mpls_lse).take_while(|(lse, mask)| lse.get() | mask.get() != 0).count();
    let masks: Vec<_> = mask.mpls_lse[..depth.max(1)].iter().map(|mask| mask.get()).collect();
    if masks.iter().all(|mask| *mask == 0) && !verbose {
        return None;
    }
    if depth <= 1 {
        return Some(format!("mpls({})", label_entry(key.mpls_lse[0].get(), masks[0])));
    }
    let entries = key.mpls_lse.iter().zip(&masks).enumerate();
    let entries: Vec<_> =
        entries.map(|(n, (lse, mask))| format!("lse{n}={}", masked_hex(lse.get(), *mask))).collect();
    Some(format!("mpls({})", entries.join(",")))
}

/// `label=100,tc=3,ttl=64,bos=1`
pub(super) fn label_entry(lse: u32, mask: u32) -> String {
    let (label, tc, bos, ttl) = (lse >> 12, lse >> 9 & 7, lse >> 8 & 1, lse & 0xff);
    if mask == u32::MAX {
        return format!("label={label},tc={tc},ttl={ttl},bos={bos}");
    }
    let (label_mask, tc_mask, bos_mask, ttl_mask) = (mask >> 12, mask >> 9 & 7, mask >> 8 & 1, mask & 0xff);
    format!(
        "label={label}/{label_mask:#x},tc={tc}/{tc_mask:x},ttl={ttl}/{ttl_mask:#x},bos={bos}/{bos_mask:x}"
    )
}

/// Ports, or type and code, and what belongs to them.
fn transport(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let six = key.eth_type.get() == eth_type::IPV6;
    match key.nw_proto {
        ip_proto::TCP => {
            parts.extend(ports("tcp", key, mask, verbose));
            parts.extend(tcp_flags(key, mask, verbose));
        }
        ip_proto::UDP => parts.extend(ports("udp", key, mask, verbose)),
        ip_proto::SCTP => parts.extend(ports("sctp", key, mask, verbose)),
        ip_proto::ICMP if !six => parts.extend(icmp("icmp", key, mask, verbose)),
        ip_proto::ICMPV6 if six => {
            parts.extend(icmp("icmpv6", key, mask, verbose));
            if matches!(key.tp_src.get(), 135 | 136) {
                parts.extend(neighbour(key, mask, verbose));
            }
        }
        _ => {}
    }
    parts
}

pub(super) fn ports(name: &str, key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let mut group = Group::new(verbose);
    group.dec("src", key.tp_src.get(), mask.tp_src.get());
    group.dec("dst", key.tp_dst.get(), mask.tp_dst.get());
    group.finish(name)
}

fn tcp_flags(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let (flags, mask) = (u32::from(key.tcp_flags.get()), u32::from(mask.tcp_flags.get()) & 0xfff);
    match mask {
        0 if !verbose => None,
        0xfff => Some(format!("tcp_flags({})", flags_set(&TCP_FLAGS, flags))),
        mask => Some(format!("tcp_flags({})", flags_masked(&TCP_FLAGS, flags, mask))),
    }
}

pub(super) fn icmp(name: &str, key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let mut group = Group::new(verbose);
    group.dec("type", key.tp_src.get() as u8, mask.tp_src.get() as u8);
    group.dec("code", key.tp_dst.get() as u8, mask.tp_dst.get() as u8);
    group.finish(name)
}

pub(super) fn neighbour(key: &FlowKey, mask: &FlowKey, verbose: bool) -> Option<String> {
    let mut group = Group::new(verbose);
    group.ipv6("target", key.nd_target, mask.nd_target);
    group.mac("sll", key.arp_sha, mask.arp_sha);
    group.mac("tll", key.arp_tha, mask.arp_tha);
    group.finish("nd")
}
