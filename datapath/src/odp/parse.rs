//! A masked key from text: what `ofproto/trace` takes.
//!
//! The grammar is a list of `name(value)`, where a value is a number, a word, a list of `name=value/mask`, or, in `encap(...)`, a
//! list of the same kind again. A field that is not named is wild; one that is named without a mask is exact.

use packet::key::{FRAG_ANY, FRAG_LATER, VLAN_PRESENT};
use packet::parse::{ETH_TYPE_NONE, eth_type};
use packet::{FlowKey, FlowMask};
use zerocopy::byteorder::network_endian::{U16, U32};

use super::fields::{CT_STATE, Flag, TCP_FLAGS};
use crate::action::PortNo;

/// What is wrong with the text of a flow: the part at which it goes wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("syntax error at {0}")]
pub struct ParseError(pub String);

/// The deepest nesting of `encap(...)`.
const MAX_DEPTH: usize = 3;

/// The key that `text` describes and which bits of it are given. `port` finds a port by name.
pub fn parse(text: &str, port: &dyn Fn(&str) -> Option<PortNo>) -> Result<(FlowKey, FlowMask), ParseError> {
    let mut reader = Reader { key: FlowKey::default(), mask: FlowKey::default(), port, tags: 0 };
    reader.list(text, 0)?;
    if reader.key.eth_type.get() == 0 {
        // None was given: a frame without one.
        reader.key.eth_type.set(ETH_TYPE_NONE);
    }
    Ok((reader.key, FlowMask(reader.mask)))
}

struct Reader<'a> {
    key: FlowKey,
    mask: FlowKey,
    port: &'a dyn Fn(&str) -> Option<PortNo>,
    /// VLAN tags read so far.
    tags: usize,
}

fn bad<T>(at: &str) -> Result<T, ParseError> {
    Err(ParseError(at.chars().take(60).collect()))
}

/// Splits `name(inner)rest`, where parentheses nest.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find('(')?;
    let mut depth = 0usize;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..open], &text[open + 1..at], &text[at + 1..]));
        }
    }
    None
}

impl Reader<'_> {
    fn list(&mut self, text: &str, depth: usize) -> Result<(), ParseError> {
        let mut rest = text.trim_start_matches([',', ' ', '\t', '\n']);
        if depth > MAX_DEPTH {
            return bad(text);
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("ufid:") {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                rest = after[end..].trim_start_matches([',', ' ']);
                continue;
            }
            let Some((name, inner, after)) = split(rest) else { return bad(rest) };
            if !self.part(name.trim(), inner, depth)? {
                return bad(rest);
            }
            rest = after.trim_start_matches([',', ' ', '\t', '\n']);
        }
        Ok(())
    }

    /// Reads one part; false if there is no such, or its value is bad.
    fn part(&mut self, name: &str, inner: &str, depth: usize) -> Result<bool, ParseError> {
        let read = match name {
            "encap" => return self.list(inner, depth + 1).map(|()| true),
            "eth_type" => self.ether_type(inner),
            "vlan" => self.vlan(inner),
            "in_port" => self.in_port(inner),
            "mpls" => self.mpls(inner),
            "ct_state" => flags(inner, &CT_STATE).map(|(value, mask)| {
                self.key.ct_state.set(value);
                self.mask.ct_state.set(mask);
            }),
            "tcp_flags" => flags(inner, &TCP_FLAGS).map(|(value, mask)| {
                self.key.tcp_flags.set(value as u16);
                self.mask.tcp_flags.set(if mask == u32::MAX { u16::MAX } else { mask as u16 });
            }),
            "recirc_id" => masked(inner).map(|v| v.put32(&mut self.key.recirc_id, &mut self.mask.recirc_id)),
            "dp_hash" => masked(inner).map(|v| v.put32(&mut self.key.dp_hash, &mut self.mask.dp_hash)),
            "skb_priority" => {
                masked(inner).map(|v| v.put32(&mut self.key.skb_priority, &mut self.mask.skb_priority))
            }
            "skb_mark" => masked(inner).map(|v| v.put32(&mut self.key.pkt_mark, &mut self.mask.pkt_mark)),
            "ct_mark" => masked(inner).map(|v| v.put32(&mut self.key.ct_mark, &mut self.mask.ct_mark)),
            "ct_zone" => masked(inner).map(|v| v.put16(&mut self.key.ct_zone, &mut self.mask.ct_zone)),
            "ct_label" => masked(inner).map(|v| {
                self.key.ct_label = v.value.to_be_bytes();
                self.mask.ct_label = v.mask_of(u128::MAX).to_be_bytes();
            }),
            "packet_type" => Some(()).filter(|()| inner.starts_with("ns=0,id=0")),
            _ => self.group(name, inner),
        };
        Ok(read.is_some())
    }

    /// Reads a part that is a list of fields.
    fn group(&mut self, name: &str, inner: &str) -> Option<()> {
        let known = [
            "eth",
            "ipv4",
            "ipv6",
            "arp",
            "tcp",
            "udp",
            "sctp",
            "icmp",
            "icmpv6",
            "nd",
            "ct_tuple4",
            "ct_tuple6",
        ];
        if !known.contains(&name) {
            return None;
        }
        for field in inner.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            let (field, value) = field.split_once('=')?;
            self.field(name, field, value)?;
        }
        Some(())
    }

    fn field(&mut self, group: &str, name: &str, value: &str) -> Option<()> {
        let (k, m) = (&mut self.key, &mut self.mask);
        match (group, name) {
            ("eth", "src") => mac(value, &mut k.eth_src, &mut m.eth_src),
            ("eth", "dst") => mac(value, &mut k.eth_dst, &mut m.eth_dst),
            ("ipv4", "src") | ("arp", "sip") => ipv4(value, &mut k.nw_src, &mut m.nw_src),
            ("ipv4", "dst") | ("arp", "tip") => ipv4(value, &mut k.nw_dst, &mut m.nw_dst),
            ("ipv6", "src") => ipv6(value, &mut k.ipv6_src, &mut m.ipv6_src),
            ("ipv6", "dst") => ipv6(value, &mut k.ipv6_dst, &mut m.ipv6_dst),
            ("ipv6", "label") => masked(value).map(|v| v.put32(&mut k.ipv6_label, &mut m.ipv6_label)),
            ("ipv4" | "ipv6", "proto") | ("arp", "op") => {
                masked(value).map(|v| v.put8(&mut k.nw_proto, &mut m.nw_proto))
            }
            ("ipv4", "tos") | ("ipv6", "tclass") => {
                masked(value).map(|v| v.put8(&mut k.nw_tos, &mut m.nw_tos))
            }
            ("ipv4", "ttl") | ("ipv6", "hlimit") => {
                masked(value).map(|v| v.put8(&mut k.nw_ttl, &mut m.nw_ttl))
            }
            ("ipv4" | "ipv6", "frag") => fragment(value, &mut k.nw_frag, &mut m.nw_frag),
            ("arp", "sha") | ("nd", "sll") => mac(value, &mut k.arp_sha, &mut m.arp_sha),
            ("arp", "tha") | ("nd", "tll") => mac(value, &mut k.arp_tha, &mut m.arp_tha),
            ("nd", "target") => ipv6(value, &mut k.nd_target, &mut m.nd_target),
            ("tcp" | "udp" | "sctp", "src") | ("icmp" | "icmpv6", "type") => {
                masked(value).map(|v| v.put16(&mut k.tp_src, &mut m.tp_src))
            }
            ("tcp" | "udp" | "sctp", "dst") | ("icmp" | "icmpv6", "code") => {
                masked(value).map(|v| v.put16(&mut k.tp_dst, &mut m.tp_dst))
            }
            _ => self.tuple_field(group, name, value),
        }
    }

    fn tuple_field(&mut self, group: &str, name: &str, value: &str) -> Option<()> {
        let (k, m) = (&mut self.key, &mut self.mask);
        match (group, name) {
            ("ct_tuple4", "src") => ipv4(value, &mut k.ct_nw_src, &mut m.ct_nw_src),
            ("ct_tuple4", "dst") => ipv4(value, &mut k.ct_nw_dst, &mut m.ct_nw_dst),
            ("ct_tuple6", "src") => ipv6(value, &mut k.ct_ipv6_src, &mut m.ct_ipv6_src),
            ("ct_tuple6", "dst") => ipv6(value, &mut k.ct_ipv6_dst, &mut m.ct_ipv6_dst),
            ("ct_tuple4" | "ct_tuple6", "proto") => {
                masked(value).map(|v| v.put8(&mut k.ct_nw_proto, &mut m.ct_nw_proto))
            }
            ("ct_tuple4" | "ct_tuple6", "tp_src" | "src_port") => {
                masked(value).map(|v| v.put16(&mut k.ct_tp_src, &mut m.ct_tp_src))
            }
            ("ct_tuple4" | "ct_tuple6", "tp_dst" | "dst_port") => {
                masked(value).map(|v| v.put16(&mut k.ct_tp_dst, &mut m.ct_tp_dst))
            }
            _ => None,
        }
    }

    fn in_port(&mut self, text: &str) -> Option<()> {
        let number = match text.parse() {
            Ok(number) => number,
            Err(_) => (self.port)(text)?.0,
        };
        self.key.in_port.set(number);
        self.mask.in_port.set(u32::MAX);
        Some(())
    }

    /// An EtherType: that of a tag that `vlan(...)` will follow, or the frame's own.
    fn ether_type(&mut self, text: &str) -> Option<()> {
        let read = masked(text)?;
        read.put16(&mut self.key.eth_type, &mut self.mask.eth_type);
        Some(())
    }

    fn vlan(&mut self, text: &str) -> Option<()> {
        let (mut tci, mut mask) = (VLAN_PRESENT, VLAN_PRESENT);
        for field in text.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=')?;
            let read = masked(value)?;
            let (shift, full) = match name {
                "vid" => (0, 0xfff),
                "pcp" => (13, 7),
                "cfi" => (12, 1),
                _ => return None,
            };
            let value = u16::try_from(read.value).ok().filter(|value| *value <= full)?;
            tci = tci & !(full << shift) | value << shift;
            mask = mask & !(full << shift) | (read.mask_of(u128::from(full)) as u16 & full) << shift;
        }
        let (tag, tag_mask) = (self.key.vlan.get_mut(self.tags)?, self.mask.vlan.get_mut(self.tags)?);
        self.tags += 1;
        tag.tci.set(tci);
        tag_mask.tci.set(mask);
        // The EtherType read last was this tag's.
        let tpid = self.key.eth_type.get();
        tag.tpid.set(if tpid == 0 { eth_type::VLAN } else { tpid });
        tag_mask.tpid.set(u16::MAX);
        (self.key.eth_type, self.mask.eth_type) = (U16::ZERO, U16::ZERO);
        Some(())
    }

    fn mpls(&mut self, text: &str) -> Option<()> {
        let mut entry = None;
        for field in text.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=')?;
            let read = masked(value)?;
            if let Some(nth) = name.strip_prefix("lse") {
                let nth: usize = nth.parse().ok()?;
                read.put32(self.key.mpls_lse.get_mut(nth)?, self.mask.mpls_lse.get_mut(nth)?);
                continue;
            }
            let (shift, full) = match name {
                "label" => (12, 0xf_ffff),
                "tc" => (9, 7),
                "bos" => (8, 1),
                "ttl" => (0, 0xff),
                _ => return None,
            };
            // A second label begins the next entry.
            let at = match (name, entry) {
                ("label", None) => 0,
                ("label", Some(last)) => last + 1,
                (_, last) => last.unwrap_or(0),
            };
            entry = Some(at);
            let (lse, mask) = (self.key.mpls_lse.get_mut(at)?, self.mask.mpls_lse.get_mut(at)?);
            let value = u32::try_from(read.value).ok().filter(|value| *value <= full)?;
            lse.set(lse.get() | value << shift);
            mask.set(mask.get() | (read.mask_of(u128::from(full)) as u32 & full) << shift);
        }
        Some(())
    }
}

/// A number and, if it was given, its mask.
#[derive(Clone, Copy)]
struct Masked {
    value: u128,
    mask: Option<u128>,
}

impl Masked {
    fn mask_of(self, exact: u128) -> u128 {
        self.mask.unwrap_or(exact)
    }

    fn put8(self, key: &mut u8, mask: &mut u8) {
        (*key, *mask) = (self.value as u8, self.mask_of(u128::MAX) as u8);
    }

    fn put16(self, key: &mut U16, mask: &mut U16) {
        key.set(self.value as u16);
        mask.set(self.mask_of(u128::MAX) as u16);
    }

    fn put32(self, key: &mut U32, mask: &mut U32) {
        key.set(self.value as u32);
        mask.set(self.mask_of(u128::MAX) as u32);
    }
}

fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn masked(text: &str) -> Option<Masked> {
    let (value, mask) = with_mask(text);
    let mask = match mask {
        Some(mask) => Some(number(mask)?),
        None => None,
    };
    Some(Masked { value: number(value)?, mask })
}

fn with_mask(text: &str) -> (&str, Option<&str>) {
    match text.trim().split_once('/') {
        Some((value, mask)) => (value.trim(), Some(mask.trim())),
        None => (text.trim(), None),
    }
}

/// `+syn-ack`, `syn|ack`, `0x12/0x3f`.
fn flags(text: &str, known: &[Flag]) -> Option<(u32, u32)> {
    let find = |name: &str| known.iter().find(|(_, known)| *known == name).map(|(bit, _)| *bit);
    if let Some(read) = masked(text) {
        return Some((read.value as u32, read.mask_of(u128::from(u32::MAX)) as u32));
    }
    if !text.starts_with(['+', '-']) {
        let bits: Option<Vec<u32>> = text.split('|').map(|name| find(name.trim())).collect();
        return Some((bits?.into_iter().fold(0, |all, bit| all | bit), u32::MAX));
    }
    let (mut value, mut mask, mut rest) = (0, 0, text);
    while !rest.is_empty() {
        let set = rest.starts_with('+');
        let name = rest.strip_prefix(['+', '-'])?;
        let end = name.find(['+', '-']).unwrap_or(name.len());
        let bit = find(&name[..end])?;
        mask |= bit;
        value |= if set { bit } else { 0 };
        rest = &name[end..];
    }
    Some((value, mask))
}

fn fragment(text: &str, key: &mut u8, mask: &mut u8) -> Option<()> {
    *key = match text {
        "no" => 0,
        "first" => FRAG_ANY,
        "later" => FRAG_ANY | FRAG_LATER,
        _ => return None,
    };
    *mask = FRAG_ANY | FRAG_LATER;
    Some(())
}

fn one_mac(text: &str) -> Option<[u8; 6]> {
    let mut octets = text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok());
    let mut address = [0; 6];
    for octet in &mut address {
        *octet = octets.next()??;
    }
    octets.next().is_none().then_some(address)
}

fn mac(text: &str, key: &mut [u8; 6], mask: &mut [u8; 6]) -> Option<()> {
    let (value, given) = with_mask(text);
    *key = one_mac(value)?;
    *mask = given.map_or(Some([0xff; 6]), one_mac)?;
    Some(())
}

fn ipv4(text: &str, key: &mut U32, mask: &mut U32) -> Option<()> {
    let one = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(u32::from);
    let (value, given) = with_mask(text);
    key.set(one(value)?);
    mask.set(match given {
        None => u32::MAX,
        Some(given) => match given.parse::<u32>() {
            Ok(bits @ 0..=32) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
            _ => one(given)?,
        },
    });
    Some(())
}

fn ipv6(text: &str, key: &mut [u8; 16], mask: &mut [u8; 16]) -> Option<()> {
    let one = |text: &str| text.parse::<std::net::Ipv6Addr>().ok().map(|address| address.octets());
    let (value, given) = with_mask(text);
    *key = one(value)?;
    *mask = match given {
        None => [0xff; 16],
        Some(given) => match given.parse::<u32>() {
            Ok(bits @ 0..=128) => u128::MAX.checked_shl(128 - bits).unwrap_or(0).to_be_bytes(),
            _ => one(given)?,
        },
    };
    Some(())
}
