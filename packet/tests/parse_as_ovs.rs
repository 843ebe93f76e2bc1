//! The parser says what Open vSwitch 3.1.0 says.
//!
//! `data/parse.txt` has a line per frame: its bytes in hex, a tab, and what `ovs-ofctl parse-pcap` printed for it. Frames come
//! from `cargo run -p frames --example pcap -- 1 800 frames.pcap`, half of them spoilt. `OVS_PARSE_DATA` names another file.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use packet::FlowKey;
use packet::key::{FRAG_LATER, VLAN_PRESENT};
use packet::parse::{eth_type, ip_proto};
use zerocopy::network_endian::U32;

fn mac(address: &[u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// The word that stands for EtherType and protocol, if there is one.
fn shortcut(key: &FlowKey) -> Option<&'static str> {
    Some(match (key.eth_type.get(), key.nw_proto) {
        (eth_type::IPV4, ip_proto::TCP) => "tcp",
        (eth_type::IPV4, ip_proto::UDP) => "udp",
        (eth_type::IPV4, ip_proto::SCTP) => "sctp",
        (eth_type::IPV4, ip_proto::ICMP) => "icmp",
        (eth_type::IPV4, _) => "ip",
        (eth_type::IPV6, ip_proto::TCP) => "tcp6",
        (eth_type::IPV6, ip_proto::UDP) => "udp6",
        (eth_type::IPV6, ip_proto::SCTP) => "sctp6",
        (eth_type::IPV6, ip_proto::ICMPV6) => "icmp6",
        (eth_type::IPV6, _) => "ipv6",
        (eth_type::ARP, _) => "arp",
        (eth_type::RARP, _) => "rarp",
        (eth_type::MPLS, _) => "mpls",
        (eth_type::MPLS_MC, _) => "mplsm",
        _ => return None,
    })
}

fn vlans(key: &FlowKey, out: &mut String) {
    for (tag, suffix) in key.vlan.iter().zip(["", "1"]) {
        let tci = tag.tci.get();
        if tci & VLAN_PRESENT == 0 {
            write!(out, ",vlan_tci{suffix}=0x0000").unwrap();
            return;
        }
        write!(out, ",dl_vlan{suffix}={},dl_vlan_pcp{suffix}={}", tci & 0xfff, tci >> 13).unwrap();
    }
}

fn ip(key: &FlowKey, out: &mut String) {
    if key.eth_type.get() == eth_type::IPV4 {
        let (src, dst) = (Ipv4Addr::from(key.nw_src.get()), Ipv4Addr::from(key.nw_dst.get()));
        write!(out, ",nw_src={src},nw_dst={dst}").unwrap();
    } else {
        let (src, dst) = (Ipv6Addr::from(key.ipv6_src), Ipv6Addr::from(key.ipv6_dst));
        write!(out, ",ipv6_src={src},ipv6_dst={dst},ipv6_label=0x{:05x}", key.ipv6_label.get()).unwrap();
    }
    if !matches!(shortcut(key), Some("tcp" | "udp" | "sctp" | "icmp" | "tcp6" | "udp6" | "sctp6" | "icmp6")) {
        write!(out, ",nw_proto={}", key.nw_proto).unwrap();
    }
    let frag = ["no", "first", "<error>", "later"][usize::from(key.nw_frag)];
    write!(
        out,
        ",nw_tos={},nw_ecn={},nw_ttl={},nw_frag={frag}",
        key.nw_tos & 0xfc,
        key.nw_tos & 3,
        key.nw_ttl
    )
    .unwrap();
    transport(key, out);
}

fn transport(key: &FlowKey, out: &mut String) {
    let (src, dst) = (key.tp_src.get(), key.tp_dst.get());
    match (key.eth_type.get(), key.nw_proto) {
        _ if key.nw_frag & FRAG_LATER != 0 => {}
        (_, ip_proto::TCP) => {
            write!(out, ",tp_src={src},tp_dst={dst},tcp_flags={}", tcp_flags(key.tcp_flags.get())).unwrap();
        }
        (_, ip_proto::UDP | ip_proto::SCTP) => write!(out, ",tp_src={src},tp_dst={dst}").unwrap(),
        (eth_type::IPV4, ip_proto::ICMP) => write!(out, ",icmp_type={src},icmp_code={dst}").unwrap(),
        (eth_type::IPV6, ip_proto::ICMPV6) => {
            write!(out, ",icmp_type={src},icmp_code={dst}").unwrap();
            if matches!((src, dst), (135 | 136, 0)) {
                let target = Ipv6Addr::from(key.nd_target);
                write!(out, ",nd_target={target},nd_sll={},nd_tll={}", mac(&key.arp_sha), mac(&key.arp_tha))
                    .unwrap();
            }
        }
        (_, ip_proto::IGMP | ip_proto::ICMP | ip_proto::ICMPV6) => {
            write!(out, ",tp_src={src},tp_dst={dst}").unwrap();
        }
        _ => {}
    }
}

fn tcp_flags(flags: u16) -> String {
    let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
    let set: Vec<&str> = (0..12).filter(|bit| flags & 1 << bit != 0).map(|bit| names[bit]).collect();
    if set.is_empty() { "0".into() } else { set.join("|") }
}

fn text(key: &FlowKey) -> String {
    let mut out = shortcut(key).map_or(String::new(), |word| format!("{word},"));
    out.push_str("in_port=ANY");
    vlans(key, &mut out);
    write!(out, ",dl_src={},dl_dst={}", mac(&key.eth_src), mac(&key.eth_dst)).unwrap();
    match key.eth_type.get() {
        eth_type::IPV4 | eth_type::IPV6 => ip(key, &mut out),
        eth_type::ARP | eth_type::RARP => {
            let (spa, tpa) = (Ipv4Addr::from(key.nw_src.get()), Ipv4Addr::from(key.nw_dst.get()));
            write!(out, ",arp_spa={spa},arp_tpa={tpa},arp_op={}", key.nw_proto).unwrap();
            write!(out, ",arp_sha={},arp_tha={}", mac(&key.arp_sha), mac(&key.arp_tha)).unwrap();
        }
        eth_type::MPLS | eth_type::MPLS_MC => mpls(key, &mut out),
        other => write!(out, ",dl_type=0x{other:04x}").unwrap(),
    }
    out
}

fn mpls(key: &FlowKey, out: &mut String) {
    let [first, second, third] = key.mpls_lse.map(U32::get);
    let (label, tc, bottom, ttl) = (first >> 12, first >> 9 & 7, first >> 8 & 1, first & 0xff);
    write!(out, ",mpls_label={label},mpls_tc={tc},mpls_ttl={ttl},mpls_bos={bottom}").unwrap();
    for (outer, lse, name) in [(first, second, "mpls_lse1"), (second, third, "mpls_lse2")] {
        if outer & 0x100 != 0 {
            break;
        }
        write!(out, ",{name}={lse}").unwrap();
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("hex digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn same_flows_as_open_vswitch() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/parse.txt").to_owned();
    let data = std::fs::read_to_string(std::env::var("OVS_PARSE_DATA").unwrap_or(default)).unwrap();
    let (mut lines, mut wrong) = (0, Vec::new());
    for line in data.lines() {
        let (hex, expected) = line.split_once('\t').expect("hex, tab, flow");
        let (key, _) = packet::extract(&unhex(hex), 2);
        if text(&key) != expected {
            wrong.push(format!("{hex}\n  theirs {expected}\n  ours   {}", text(&key)));
        }
        lines += 1;
    }
    assert!(wrong.is_empty(), "{} of {lines} frames:\n{}", wrong.len(), wrong.join("\n"));
    assert!(lines >= 500, "only {lines} frames");
}
