//! Actions as text.

use packet::parse::{eth_type, ip_proto};

use super::fields::{Group, hex, masked_hex};
use super::{Style, ct, key};
use crate::action::{Action, SetFields};

/// `set(ipv4(ttl=63)),2`; `drop` for none.
pub fn actions(actions: &[Action], style: &Style<'_>) -> String {
    if actions.is_empty() {
        return "drop".to_owned();
    }
    actions.iter().map(|action| one(action, style)).collect::<Vec<_>>().join(",")
}

fn one(action: &Action, style: &Style<'_>) -> String {
    match action {
        Action::Output(port) => style.port(*port),
        Action::Trunc(bytes) => format!("trunc({bytes})"),
        Action::Set(fields) => set(fields),
        Action::PushVlan { tpid, tci } => push_vlan(*tpid, *tci),
        Action::PopVlan => "pop_vlan".to_owned(),
        Action::PushMpls { lse, ethertype } => {
            format!("push_mpls({},eth_type={})", key::label_entry(*lse, u32::MAX), hex(*ethertype))
        }
        Action::PopMpls { ethertype } => format!("pop_mpls(eth_type={})", hex(*ethertype)),
        Action::Punt(cookie) => {
            style.punt.map_or_else(|| "userspace(pid=0)".to_owned(), |punt| punt(*cookie))
        }
        Action::Ct(request) => ct::action(request),
        Action::CtClear => "ct_clear".to_owned(),
        Action::Recirc(id) => format!("recirc({})", hex(*id)),
        Action::Clone(inner) => format!("clone({})", actions(inner, style)),
        Action::Drop(_) => "drop".to_owned(),
    }
}

fn push_vlan(tpid: u16, tci: u16) -> String {
    let shown = if tpid == eth_type::VLAN { String::new() } else { format!("tpid={tpid:#06x},") };
    format!("push_vlan({shown}vid={},pcp={})", tci & 0xfff, tci >> 13)
}

/// One `set(...)` for each header that is touched.
fn set(fields: &SetFields) -> String {
    let (k, m) = (&fields.key, &fields.mask.0);
    let mut groups: Vec<Option<String>> = vec![
        number("skb_priority", k.skb_priority.get(), m.skb_priority.get()),
        number("skb_mark", k.pkt_mark.get(), m.pkt_mark.get()),
        key::ethernet(k, m, false),
        key::mpls(k, m, false),
    ];
    let tag = m.vlan[0].tci.get();
    if tag != 0 {
        let mut group = Group::new(false);
        group.dec(
            "vid",
            k.vlan[0].tci.get() & 0xfff,
            if tag & 0xfff == 0xfff { u16::MAX } else { tag & 0xfff },
        );
        group.dec("pcp", k.vlan[0].tci.get() >> 13, if tag >> 13 == 7 { u16::MAX } else { tag >> 13 });
        groups.push(group.finish("vlan"));
    }
    groups.extend(match k.eth_type.get() {
        eth_type::ARP | eth_type::RARP => vec![key::arp(k, m, false)],
        eth_type::IPV6 => vec![key::ipv6(k, m, false)],
        _ if m.ipv6_src != [0; 16] || m.ipv6_dst != [0; 16] => vec![key::ipv6(k, m, false)],
        _ if m.arp_sha != [0; 6] && m.nd_target == [0; 16] && k.nw_proto != ip_proto::ICMPV6 => {
            vec![key::arp(k, m, false)]
        }
        _ => vec![key::ipv4(k, m, false)],
    });
    if k.eth_type.get() != eth_type::ARP {
        groups.push(match k.nw_proto {
            ip_proto::TCP => key::ports("tcp", k, m, false),
            ip_proto::UDP => key::ports("udp", k, m, false),
            ip_proto::SCTP => key::ports("sctp", k, m, false),
            ip_proto::ICMP => key::icmp("icmp", k, m, false),
            ip_proto::ICMPV6 => key::icmp("icmpv6", k, m, false),
            _ => key::ports("tcp", k, m, false),
        });
        if k.nw_proto == ip_proto::ICMPV6 {
            groups.push(key::neighbour(k, m, false));
        }
    }
    let sets: Vec<_> = groups.into_iter().flatten().map(|group| format!("set({group})")).collect();
    sets.join(",")
}

fn number(name: &str, value: u32, mask: u32) -> Option<String> {
    (mask != 0).then(|| format!("{name}({})", masked_hex(value, mask)))
}
