//! Texts as Open vSwitch 3.1.0 prints them (`ovs-appctl dpctl/add-flow`, then `dpctl/dump-flows`, with and without `-m`).

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::action::{Action, SetFields};
use crate::owner::Hits;

fn no_ports(_: &str) -> Option<PortNo> {
    None
}

/// Texts that are printed as they are read, but for what Open vSwitch leaves out.
const SAME: &[&str] = &[
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=later)",
    "recirc_id(0x12),in_port(1),packet_type(ns=0,id=0),eth(src=00:00:00:00:00:01/ff:00:00:00:00:00),eth_type(0x86dd),ipv6(src=fe80::1/ffff::,dst=::2,label=0x5/0xff,proto=17,tclass=0x10/0xfc,hlimit=3,frag=first),udp(src=53,dst=67)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=135,code=0),nd(target=fe80::2,sll=00:00:00:00:00:03)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0806),arp(sip=1.1.1.1,tip=1.1.1.2,op=1,sha=00:00:00:00:00:04,tha=00:00:00:00:00:00)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x8100),vlan(vid=5,pcp=0),encap(eth_type(0x0800),ipv4(proto=1,frag=no),icmp(type=8,code=0))",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x8100),vlan(vid=5,pcp=3/0x0),encap(eth_type(0x0800),ipv4(frag=no))",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x88a8),vlan(vid=5,pcp=3),encap(eth_type(0x8100),vlan(vid=6,pcp=0),encap(eth_type(0x0806)))",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x8100),vlan(vid=5/0xf,pcp=3),encap(eth_type(0x1234))",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x8847),mpls(label=100/0x0,tc=3/0,ttl=64/0x0,bos=1/1)",
    "skb_priority(0x7),skb_mark(0x5/0xff),ct_state(-new+est+trk),ct_zone(0x5),ct_mark(0x7/0xf),ct_label(0x1/0xf),recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
    "ct_state(-trk),ct_zone(0),recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
    "ct_state(+new+rel+rpl+inv+trk+snat+dnat),ct_tuple4(src=1.1.1.1,dst=2.2.2.2,proto=6,tp_src=5,tp_dst=6),recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
    "ct_tuple6(src=::1,dst=::2/::f,proto=6,src_port=5,dst_port=6),recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x86dd),ipv6(frag=no)",
    "ct_label(0x123456789abcdef0123456789abcdef),recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(src=1,dst=2/0xff),tcp_flags(-fin+syn-rst-psh+ack-urg)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(src=1,dst=2/0xff),tcp_flags(+syn-ack)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=1,tos=0x10/0xfc,frag=no),icmp(type=8/0xf0)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.255.0,proto=132,frag=no),sctp(src=1,dst=2)",
    "skb_mark(0),recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=132,frag=no),sctp(dst=80)",
];

#[test]
fn what_is_read_is_printed() {
    for text in SAME {
        let (flow, mask) = parse(text, &no_ports).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(key(&flow, &mask, &Style::default()), *text);
    }
}

#[test]
fn verbose_shows_wild_fields_with_their_values() {
    let names = |port: PortNo| (port.0 == 1).then(|| "p1".to_owned());
    let style = Style { verbose: true, names: Some(&names), punt: None };
    let text = "in_port(1),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),eth_type(0x0800),\
                ipv4(src=10.0.0.2,dst=10.0.0.1,proto=6,tos=0,ttl=64,frag=no),tcp(src=8,dst=80),tcp_flags(0x012)";
    let (flow, _) = parse(text, &no_ports).unwrap();
    let (_, mask) =
        parse("in_port(1),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80)", &no_ports).unwrap();
    assert_eq!(
        key(&flow, &mask, &style),
        "skb_priority(0/0),skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),recirc_id(0),dp_hash(0/0),\
         in_port(p1),packet_type(ns=0,id=0),eth(src=50:54:00:00:00:05/00:00:00:00:00:00,dst=50:54:00:00:00:07/00:00:00:00:00:00),\
         eth_type(0x0800),ipv4(src=10.0.0.2/0.0.0.0,dst=10.0.0.1/0.0.0.0,proto=6,tos=0/0,ttl=64/0,frag=no),\
         tcp(src=8/0,dst=80),tcp_flags(0/0)"
    );
    let (flow, mask) =
        parse("in_port(1),ct_state(-new+est+trk),eth_type(0x86dd),ipv6(proto=58,frag=no)", &no_ports)
            .unwrap();
    assert_eq!(
        key(&flow, &mask, &style),
        "skb_priority(0/0),skb_mark(0/0),ct_state(0x22/0x23),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),recirc_id(0),dp_hash(0/0),\
         in_port(p1),packet_type(ns=0,id=0),eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00),\
         eth_type(0x86dd),ipv6(src=::/::,dst=::/::,label=0/0,proto=58,tclass=0/0,hlimit=0/0,frag=no),icmpv6(type=0/0,code=0/0)"
    );
}

#[test]
fn a_line_of_a_dump() {
    let (flow_key, mask) = parse("in_port(2),eth_type(0x0800),ipv4(frag=no)", &no_ports).unwrap();
    let mut dump = FlowDump {
        ufid: 0x27f7_19c2_0ef7_4bf8_91d8_4a7b_0e17_523c,
        key: flow_key,
        mask,
        hits: Hits { packets: 9, bytes: 882 },
        last_used_ns: 0,
        tcp_flags: 0,
        actions: Arc::from([Action::Output(PortNo(3)), Action::Output(PortNo(1))]),
        worker: 0,
    };
    assert_eq!(
        flow(&dump, 0, &Style::default()),
        "recirc_id(0),in_port(2),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no), packets:9, bytes:882, used:never, \
         actions:3,1"
    );
    dump.last_used_ns = 1_000_000_000;
    dump.tcp_flags = 0x12;
    dump.actions = Arc::from([]);
    assert!(flow(&dump, 1_159_900_000, &Style::default()).ends_with("used:0.159s, flags:S., actions:drop"));
    let verbose = flow(&dump, 3_000_000_000, &Style { verbose: true, ..Style::default() });
    assert!(
        verbose.starts_with("ufid:27f719c2-0ef7-4bf8-91d8-4a7b0e17523c, skb_priority(0/0),"),
        "{verbose}"
    );
    assert!(
        verbose.ends_with("used:2.000s, flags:S., dp:ovs, actions:drop, dp-extra-info:miniflow_bits(4,1)"),
        "{verbose}"
    );
}

fn set(text: &str, hint: &str) -> Action {
    let (mut fields, mask) = parse(text, &no_ports).unwrap();
    let (hint, _) = parse(hint, &no_ports).unwrap();
    (fields.eth_type, fields.nw_proto) = (hint.eth_type, hint.nw_proto);
    Action::Set(Box::new(SetFields { key: fields, mask }))
}

#[test]
fn actions_as_text() {
    let ip = |proto: u8| format!("eth_type(0x0800),ipv4(proto={proto})");
    let cases = [
        (
            set("eth(src=00:00:00:00:00:0a,dst=00:00:00:00:00:0b)", &ip(6)),
            "set(eth(src=00:00:00:00:00:0a,dst=00:00:00:00:00:0b))",
        ),
        (
            set("ipv4(src=1.1.1.1,dst=2.2.2.2,tos=4/0xfc,ttl=3)", &ip(6)),
            "set(ipv4(src=1.1.1.1,dst=2.2.2.2,tos=0x4/0xfc,ttl=3))",
        ),
        (set("tcp(src=5)", &ip(6)), "set(tcp(src=5))"),
        (set("udp(src=5,dst=6)", &ip(17)), "set(udp(src=5,dst=6))"),
        (set("sctp(dst=8)", &ip(132)), "set(sctp(dst=8))"),
        (set("icmp(type=3,code=4)", &ip(1)), "set(icmp(type=3,code=4))"),
        (set("arp(sip=1.2.3.4)", "eth_type(0x0806)"), "set(arp(sip=1.2.3.4))"),
        (set("skb_priority(5)", &ip(6)), "set(skb_priority(0x5))"),
        (set("skb_mark(7)", &ip(6)), "set(skb_mark(0x7))"),
        (
            set("nd(target=::1,sll=00:00:00:00:00:05)", "eth_type(0x86dd),ipv6(proto=58)"),
            "set(nd(target=::1,sll=00:00:00:00:00:05))",
        ),
        (Action::PushVlan { tpid: 0x8100, tci: 0x4009 }, "push_vlan(vid=9,pcp=2)"),
        (Action::PushVlan { tpid: 0x88a8, tci: 3 }, "push_vlan(tpid=0x88a8,vid=3,pcp=0)"),
        (Action::PopVlan, "pop_vlan"),
        (
            Action::PushMpls { lse: 5 << 12 | 1 << 8 | 64, ethertype: 0x8847 },
            "push_mpls(label=5,tc=0,ttl=64,bos=1,eth_type=0x8847)",
        ),
        (Action::PopMpls { ethertype: 0x800 }, "pop_mpls(eth_type=0x800)"),
        (Action::Trunc(70), "trunc(70)"),
        (Action::Recirc(7), "recirc(0x7)"),
        (Action::Clone(Box::new([Action::Output(PortNo(1))])), "clone(1)"),
        (Action::Drop(crate::drops::DropReason::NoOutput), "drop"),
        (Action::Punt(3), "userspace(pid=0,3)"),
    ];
    let punt = |cookie| format!("userspace(pid=0,{cookie})");
    let style = Style { punt: Some(&punt), ..Style::default() };
    for (action, text) in cases {
        assert_eq!(
            actions(&[action.clone(), Action::Output(PortNo(2))], &style),
            format!("{text},2"),
            "{action:?}"
        );
    }
}

#[test]
fn bad_texts_are_refused() {
    for text in [
        "in_port",
        "in_port(",
        "in_port(nosuch)",
        "nosuch(1)",
        "eth(src=1)",
        "ipv4(frag=maybe)",
        "vlan(vid=4096)",
        "eth_type(x)",
        "encap(encap(encap(encap(encap()))))",
        "tcp_flags(+bogus)",
        "mpls(lse9=1)",
        "igmp()",
        "ipv4(src=1.1.1.1/33)",
    ] {
        assert!(parse(text, &no_ports).is_err(), "{text}");
    }
    let names = |name: &str| (name == "p7").then_some(PortNo(7));
    assert_eq!(parse("in_port(p7)", &names).unwrap().0.in_port.get(), 7);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "[a-z0-9_=/:.,()|+-]{0,60}") {
        let _ = parse(&text, &no_ports);
    }

    /// The key of any frame is printed, wild fields and all, and read back as it was.
    #[test]
    fn a_printed_key_reads_back(frame in prop::collection::vec(any::<u8>(), 14..100), kind in 0usize..5, proto in 0usize..5) {
        let mut frame = frame;
        let kinds: [[u8; 2]; 5] = [[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0], [0x88, 0x47]];
        frame[12..14].copy_from_slice(&kinds[kind]);
        if frame.len() > 60 && kind == 0 {
            let length = (frame.len() - 14) as u16;
            frame[14] = 0x45;
            frame[16..18].copy_from_slice(&length.to_be_bytes());
            frame[23] = [6, 17, 1, 132, 2][proto];
        }
        let (flow, _) = packet::extract(&frame, 2);
        let text = exact_key(&flow, &Style::default());
        let (back, _) = parse(&text, &no_ports).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        prop_assert_eq!(exact_key(&back, &Style::default()), text);
    }
}
