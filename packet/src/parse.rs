//! From bytes to a [`FlowKey`]: which headers a frame has, where they are, and what they say.
//!
//! Total: every sequence of bytes has a key. A header that is cut off, or whose lengths contradict the frame, ends the
//! parse; the fields it would have given stay zero, those before it stand. What counts as a header follows Open
//! vSwitch, since OpenFlow rules are written against it:
//!
//! - EtherType below 0x600 is an 802.3 length; with an LLC/SNAP header of OUI 0 the type is SNAP's, else it is
//!   [`ETH_TYPE_NONE`].
//! - At most `vlan_limit` VLAN tags are taken; a tag beyond shows as EtherType 0x8100 or 0x88a8.
//! - An IPv4 header whose length fields do not fit the frame gives no L3 fields at all. Its version nibble and checksum are not looked at.
//! - IPv6 extension headers are walked; `nw_proto` is what follows them, or 44 in a later fragment.
//! - A TCP header whose length is below 20 or beyond the packet has no ports and no flags.
//! - ARP only for Ethernet and IPv4; an opcode above 255 is zero.
//! - A neighbour solicitation or advertisement with the same address option twice has no ND fields.
//!
//! # Costs
//!
//! One pass, no allocation; for Ethernet, IPv4, TCP: 16 stores to clear, then one bounds check per header.

use zerocopy::byteorder::network_endian::{U16, U32};

use crate::key::{FRAG_ANY, FRAG_LATER, FlowKey, HEADER_WORDS, VLAN_PRESENT, VlanTag};

/// Length of an Ethernet header in bytes.
pub const ETH_LEN: usize = 14;
/// `eth_type` of a frame that has none.
pub const ETH_TYPE_NONE: u16 = 0x05ff;
/// EtherTypes.
pub mod eth_type {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// Customer VLAN tag (802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// Service VLAN tag (802.1ad).
    pub const SVLAN: u16 = 0x88a8;
    /// MPLS unicast.
    pub const MPLS: u16 = 0x8847;
    /// MPLS multicast.
    pub const MPLS_MC: u16 = 0x8848;
    /// Slow protocols: LACP, marker.
    pub const SLOW: u16 = 0x8809;

    /// Whether the type announces a VLAN tag.
    pub const fn is_vlan(kind: u16) -> bool {
        matches!(kind, VLAN | SVLAN)
    }

    /// Whether the type announces an MPLS label stack.
    pub const fn is_mpls(kind: u16) -> bool {
        matches!(kind, MPLS | MPLS_MC)
    }
}
/// IP protocol numbers.
pub mod ip_proto {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// IPv6 hop-by-hop options.
    pub const HOPOPTS: u8 = 0;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Authentication header.
    pub const AH: u8 = 51;
    /// IPv6 destination options.
    pub const DSTOPTS: u8 = 60;
}

/// Where the headers of a frame are: offsets in bytes from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Layers {
    /// First MPLS label stack entry; 0 when there is none.
    pub mpls: u16,
    /// What follows the EtherType and the MPLS labels: the network header. 0 when the frame is too short for Ethernet.
    pub l3: u16,
    /// What follows the network header and its extensions; 0 when there is no valid IP header.
    pub l4: u16,
    /// `eth_type` of the key, in host order.
    pub eth_type: u16,
    /// Number of VLAN tags in the key.
    pub vlans: u8,
    /// `nw_proto` of the key, when there is a valid IP header.
    pub nw_proto: u8,
    /// `nw_frag` of the key.
    pub nw_frag: u8,
    /// The transport header is there, whole: ports, type and code can be read and written.
    pub l4_whole: bool,
    /// An IPv6 routing header has segments left: the destination in the pseudo-header is not the one in the header.
    pub rerouted: bool,
    /// End of the IP packet; what follows is padding. Length of the frame when there is no valid IP header.
    pub end: u32,
}

impl Layers {
    /// Follows the insertion of `n` bytes before the network header (negative: removal).
    pub fn shift(&mut self, n: i16) {
        let move_by = |at: &mut u16| {
            if *at != 0 {
                *at = at.wrapping_add_signed(n);
            }
        };
        move_by(&mut self.mpls);
        move_by(&mut self.l3);
        move_by(&mut self.l4);
        self.end = self.end.wrapping_add_signed(i32::from(n));
    }
}

/// Extracts a key with all metadata zero. See [`extract_into`].
pub fn extract(frame: &[u8], vlan_limit: usize) -> (FlowKey, Layers) {
    let mut key = FlowKey::default();
    let layers = extract_into(frame, vlan_limit, &mut key);
    (key, layers)
}

/// Overwrites the header fields of `key` (from `eth_dst` to `igmp_group`) with what `frame` says and leaves the others
/// alone. At most `vlan_limit` VLAN tags are taken, and never more than two.
pub fn extract_into(frame: &[u8], vlan_limit: usize, key: &mut FlowKey) -> Layers {
    key.words_mut()[HEADER_WORDS].fill(0);
    let mut layers = Layers { end: u32::try_from(frame.len()).unwrap_or(u32::MAX), ..Layers::default() };
    let Some(ether) = frame.first_chunk::<ETH_LEN>() else { return layers };
    key.eth_dst.copy_from_slice(&ether[..6]);
    key.eth_src.copy_from_slice(&ether[6..12]);
    let mut rest = Cursor { frame, at: 12, end: frame.len() };
    if eth_type::is_vlan(u16::from_be_bytes([ether[12], ether[13]])) {
        layers.vlans = vlan_tags(&mut rest, vlan_limit, key);
    }
    let kind = ether_type(&mut rest);
    key.eth_type = U16::new(kind);
    layers.eth_type = kind;
    if eth_type::is_mpls(kind) {
        layers.mpls = rest.offset();
        mpls(&mut rest, key);
    }
    layers.l3 = rest.offset();
    match kind {
        eth_type::IPV4 => ipv4(rest, key, &mut layers),
        eth_type::IPV6 => ipv6(rest, key, &mut layers),
        eth_type::ARP | eth_type::RARP => arp(&rest, key),
        _ => None,
    };
    layers
}

/// A place in the frame and the end of what may be read.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.end - self.at
    }

    fn offset(&self) -> u16 {
        // Headers end long before 64 KiB, but for endless MPLS labels or extension headers in a super-frame.
        u16::try_from(self.at).unwrap_or(u16::MAX)
    }

    fn peek<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.frame[..self.end].get(self.at..)?.first_chunk()
    }

    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let found = self.peek()?;
        self.at += N;
        Some(found)
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        (n <= self.left()).then(|| self.at += n)
    }

    /// Cuts what is left to `n` bytes.
    fn limit(&mut self, n: usize) {
        self.end = self.at + n.min(self.left());
    }
}

fn vlan_tags(rest: &mut Cursor<'_>, limit: usize, key: &mut FlowKey) -> u8 {
    let mut count = 0;
    for tag in key.vlan.iter_mut().take(limit) {
        // A tag counts only when the EtherType after it is there too.
        let Some(&[t0, t1, c0, c1, _, _]) = rest.peek() else { break };
        let tpid = u16::from_be_bytes([t0, t1]);
        if !eth_type::is_vlan(tpid) {
            break;
        }
        let tci = u16::from_be_bytes([c0, c1]) | VLAN_PRESENT;
        *tag = VlanTag { tpid: U16::new(tpid), tci: U16::new(tci) };
        rest.at += 4;
        count += 1;
    }
    count
}

fn ether_type(rest: &mut Cursor<'_>) -> u16 {
    let kind = rest.take().map_or(ETH_TYPE_NONE, |bytes| u16::from_be_bytes(*bytes));
    if kind >= 0x600 {
        return kind;
    }
    match rest.peek() {
        Some(&[0xaa, 0xaa, 3, 0, 0, 0, t0, t1]) => {
            rest.at += 8;
            let snap = u16::from_be_bytes([t0, t1]);
            if snap >= 0x600 { snap } else { ETH_TYPE_NONE }
        }
        _ => ETH_TYPE_NONE,
    }
}

fn mpls(rest: &mut Cursor<'_>, key: &mut FlowKey) {
    let mut count = 0;
    while let Some(lse) = rest.take::<4>() {
        if let Some(place) = key.mpls_lse.get_mut(count) {
            *place = U32::from_bytes(*lse);
        }
        count += 1;
        if lse[2] & 1 != 0 {
            break;
        }
    }
}

fn arp(rest: &Cursor<'_>, key: &mut FlowKey) -> Option<()> {
    let arp: &[u8; 28] = rest.peek()?;
    if arp[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    key.nw_proto = if arp[6] == 0 { arp[7] } else { 0 };
    key.arp_sha.copy_from_slice(&arp[8..14]);
    key.nw_src = word(arp, 14);
    key.arp_tha.copy_from_slice(&arp[18..24]);
    key.nw_dst = word(arp, 24);
    Some(())
}

fn ipv4(mut rest: Cursor<'_>, key: &mut FlowKey, layers: &mut Layers) -> Option<()> {
    let ip: &[u8; 20] = rest.peek()?;
    let header_len = usize::from(ip[0] & 0xf) * 4;
    let total_len = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    if header_len < 20 || header_len > total_len || total_len > rest.left() {
        return None;
    }
    rest.limit(total_len);
    layers.end = rest.end as u32;
    rest.at += header_len;
    key.nw_tos = ip[1];
    key.nw_ttl = ip[8];
    key.nw_proto = ip[9];
    key.nw_src = word(ip, 12);
    key.nw_dst = word(ip, 16);
    let frag = u16::from_be_bytes([ip[6], ip[7]]);
    if frag & 0x3fff != 0 {
        key.nw_frag = if frag & 0x1fff != 0 { FRAG_ANY | FRAG_LATER } else { FRAG_ANY };
    }
    transport(rest, key, layers)
}

fn ipv6(mut rest: Cursor<'_>, key: &mut FlowKey, layers: &mut Layers) -> Option<()> {
    let ip: &[u8; 40] = rest.peek()?;
    let payload_len = usize::from(u16::from_be_bytes([ip[4], ip[5]]));
    if payload_len + 40 > rest.left() {
        return None;
    }
    rest.at += 40;
    rest.limit(payload_len);
    key.ipv6_src.copy_from_slice(&ip[8..24]);
    key.ipv6_dst.copy_from_slice(&ip[24..40]);
    let chain = extension_headers(&mut rest, ip[6])?;
    layers.end = rest.end as u32;
    layers.rerouted = chain.rerouted;
    key.nw_frag = chain.frag;
    key.nw_proto = chain.proto;
    key.nw_tos = ip[0] << 4 | ip[1] >> 4;
    key.nw_ttl = ip[7];
    key.ipv6_label = U32::from_bytes([0, ip[1] & 0x0f, ip[2], ip[3]]);
    transport(rest, key, layers)
}

/// Walks the extension headers at the start of `bytes`, the first of which is of type `first`: the protocol after them, and their length in
/// bytes. `None` when one is cut off, or the packet is a fragment.
pub fn skip_extensions(bytes: &[u8], first: u8) -> Option<(u8, usize)> {
    let mut rest = Cursor { frame: bytes, at: 0, end: bytes.len() };
    let chain = extension_headers(&mut rest, first)?;
    (chain.frag == 0).then_some((chain.proto, rest.at))
}

/// What the extension headers of an IPv6 packet came to.
struct Chain {
    proto: u8,
    frag: u8,
    rerouted: bool,
}

/// Walks the extension headers; `None` when one is cut off.
fn extension_headers(rest: &mut Cursor<'_>, first: u8) -> Option<Chain> {
    let mut chain = Chain { proto: first, frag: 0, rerouted: false };
    loop {
        let kind = chain.proto;
        if !matches!(
            kind,
            ip_proto::HOPOPTS | ip_proto::ROUTING | ip_proto::DSTOPTS | ip_proto::AH | ip_proto::FRAGMENT
        ) {
            return Some(chain);
        }
        let &[next, len, b2, b3, ..] = rest.peek::<8>()?;
        chain.proto = next;
        match kind {
            ip_proto::FRAGMENT => {
                rest.skip(8)?;
                if [b2, b3] != [0, 0] {
                    chain.frag = FRAG_ANY;
                }
                if [b2, b3 & 0xf8] != [0, 0] {
                    return Some(Chain { proto: ip_proto::FRAGMENT, frag: FRAG_ANY | FRAG_LATER, ..chain });
                }
            }
            ip_proto::AH => rest.skip((usize::from(len) + 2) * 4)?,
            _ => {
                chain.rerouted |= kind == ip_proto::ROUTING && b3 != 0;
                rest.skip((usize::from(len) + 1) * 8)?;
            }
        }
    }
}

fn transport(rest: Cursor<'_>, key: &mut FlowKey, layers: &mut Layers) -> Option<()> {
    layers.l4 = rest.offset();
    layers.nw_proto = key.nw_proto;
    layers.nw_frag = key.nw_frag;
    if key.nw_frag & FRAG_LATER != 0 {
        return None;
    }
    match key.nw_proto {
        ip_proto::TCP => {
            let tcp = rest.peek::<20>()?;
            if !(20..=rest.left()).contains(&(usize::from(tcp[12] >> 4) * 4)) {
                return None;
            }
            ports(tcp, key);
            key.tcp_flags = U16::new(u16::from_be_bytes([tcp[12], tcp[13]]) & 0x0fff);
        }
        ip_proto::UDP => ports(rest.peek::<8>()?, key),
        ip_proto::SCTP => ports(rest.peek::<12>()?, key),
        ip_proto::ICMP => type_and_code(rest.peek::<8>()?, key),
        ip_proto::IGMP => {
            let igmp = rest.peek::<8>()?;
            type_and_code(igmp, key);
            key.igmp_group = word(igmp, 4);
        }
        ip_proto::ICMPV6 => icmpv6(rest, key)?,
        _ => return None,
    }
    layers.l4_whole = true;
    Some(())
}

fn word(header: &[u8], at: usize) -> U32 {
    U32::from_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn ports(header: &[u8], key: &mut FlowKey) {
    key.tp_src = U16::from_bytes([header[0], header[1]]);
    key.tp_dst = U16::from_bytes([header[2], header[3]]);
}

fn type_and_code(header: &[u8], key: &mut FlowKey) {
    key.tp_src = U16::new(u16::from(header[0]));
    key.tp_dst = U16::new(u16::from(header[1]));
}

fn icmpv6(mut rest: Cursor<'_>, key: &mut FlowKey) -> Option<()> {
    let icmp = rest.take::<8>()?;
    type_and_code(icmp, key);
    if is_nd(icmp[0], icmp[1]) {
        let reserved = word(icmp, 4);
        let found = neighbour(rest).unwrap_or_default();
        key.igmp_group = if found.twice { U32::ZERO } else { reserved };
        key.nd_target = found.target;
        key.arp_sha = found.sll;
        key.arp_tha = found.tll;
        key.tcp_flags = U16::new(u16::from(found.last_option));
    }
    Some(())
}

/// Whether an ICMPv6 type and code are those of a neighbour solicitation or advertisement (RFC 4861).
pub(crate) fn is_nd(kind: u8, code: u8) -> bool {
    matches!(kind, 135 | 136) && code == 0
}

/// What a neighbour discovery message says.
#[derive(Default)]
struct Neighbour {
    target: [u8; 16],
    sll: [u8; 6],
    tll: [u8; 6],
    last_option: u8,
    twice: bool,
}

fn neighbour(mut rest: Cursor<'_>) -> Option<Neighbour> {
    let mut found = Neighbour { target: *rest.take()?, ..Neighbour::default() };
    while let Some(option) = rest.peek::<8>() {
        let len = usize::from(option[1]) * 8;
        if len == 0 || rest.skip(len).is_none() {
            break;
        }
        let place = match (option[0], len) {
            (1, 8) => &mut found.sll,
            (2, 8) => &mut found.tll,
            _ => continue,
        };
        if *place != [0; 6] {
            return Some(Neighbour { twice: true, ..Neighbour::default() });
        }
        place.copy_from_slice(&option[2..8]);
        found.last_option = option[0];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn tcp_frame() -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
            .single_vlan(etherparse::VlanId::try_new(5).unwrap())
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 80, 7, 512)
            .syn();
        let mut frame = Vec::new();
        builder.write(&mut frame, b"hello").unwrap();
        frame
    }

    #[test]
    fn tcp_in_a_vlan() {
        let mut frame = tcp_frame();
        frame.extend([0; 9]);
        let (key, layers) = extract(&frame, 1);
        assert_eq!((key.eth_src, key.eth_dst), ([1; 6], [2; 6]));
        assert_eq!(key.vlan[0].tci.get(), VLAN_PRESENT | 5);
        assert_eq!((key.eth_type.get(), key.nw_proto, key.nw_ttl), (eth_type::IPV4, ip_proto::TCP, 64));
        assert_eq!((key.tp_src.get(), key.tp_dst.get(), key.tcp_flags.get()), (1000, 80, 2));
        assert_eq!((layers.mpls, layers.l3, layers.l4, layers.end), (0, 18, 38, 63));
        assert_eq!((layers.vlans, layers.nw_proto, layers.l4_whole), (1, ip_proto::TCP, true));
    }

    #[test]
    fn the_vlan_limit_hides_what_is_inside() {
        let (key, layers) = extract(&tcp_frame(), 0);
        assert_eq!((key.eth_type.get(), key.vlan[0], key.nw_proto), (eth_type::VLAN, VlanTag::default(), 0));
        assert_eq!((layers.l3, layers.l4, layers.vlans), (14, 0, 0));
    }

    #[test]
    fn extraction_clears_what_was_there_and_keeps_metadata() {
        let mut key = FlowKey::default();
        key.words_mut().fill(u64::MAX);
        extract_into(&tcp_frame(), 2, &mut key);
        assert_eq!(key.in_port.get(), u32::MAX);
        assert_eq!(key.regs[0].get(), u32::MAX);
        assert_eq!((key.ipv6_src, key.mpls_lse, key.igmp_group), ([0; 16], Default::default(), U32::ZERO));
    }

    /// Frames worth mutating: one of each kind.
    fn seeds() -> Vec<Vec<u8>> {
        let ethernet = || PacketBuilder::ethernet2([1; 6], [2; 6]);
        let mut out = vec![tcp_frame()];
        let mut keep = |build: &dyn Fn(&mut Vec<u8>)| {
            let mut frame = Vec::new();
            build(&mut frame);
            out.push(frame);
        };
        keep(&|f| ethernet().ipv4([1; 4], [2; 4], 9).udp(1, 2).write(f, b"xyz").unwrap());
        keep(&|f| ethernet().ipv6([1; 16], [2; 16], 9).tcp(1, 2, 3, 4).write(f, b"xyz").unwrap());
        keep(&|f| ethernet().ipv4([1; 4], [2; 4], 9).icmpv4_echo_request(1, 2).write(f, b"xyz").unwrap());
        keep(&|f| {
            let solicitation = etherparse::Icmpv6Type::NeighborSolicitation;
            let options = [[7; 16].as_slice(), &[1, 1, 3, 3, 3, 3, 3, 3], &[2, 1, 4, 4, 4, 4, 4, 4]].concat();
            ethernet().ipv6([1; 16], [2; 16], 9).icmpv6(solicitation).write(f, &options).unwrap();
        });
        keep(&|f| f.extend([&[2; 12][..], &[0x88, 0x47, 0, 1, 0, 9, 0, 2, 1, 9], &[0x45; 40]].concat()));
        keep(&|f| {
            let chain =
                [&[43, 0, 0, 0, 0, 0, 0, 0][..], &[44, 0, 0, 1, 0, 0, 0, 0], &[17, 0, 0, 1, 0, 0, 0, 9]];
            let ports = [1, 2, 3, 4, 0, 8, 0, 0];
            let fixed = [&[0x60, 0, 0, 0, 0, 32, 0, 64][..], &[5; 32]].concat();
            f.extend([&[2; 12][..], &[0x86, 0xdd], &fixed, &chain.concat(), &ports].concat());
        });
        out
    }

    #[test]
    fn extension_headers_are_walked() {
        let (key, layers) = extract(seeds().last().unwrap(), 1);
        assert_eq!((key.nw_proto, key.nw_frag, key.tp_src.get()), (ip_proto::UDP, FRAG_ANY, 0x0102));
        assert!(layers.rerouted && layers.l4_whole);
        assert_eq!(layers.l4, 14 + 40 + 24);
    }

    fn check_offsets(frame: &[u8], key: &FlowKey, layers: &Layers) {
        let end = layers.end as usize;
        assert!(end <= frame.len() && usize::from(layers.l3) <= frame.len());
        assert!(layers.l4 == 0 || (layers.l4 > layers.l3 && usize::from(layers.l4) <= end));
        assert!(!layers.l4_whole || usize::from(layers.l4) + 8 <= end);
        assert_eq!(layers.mpls != 0, eth_type::is_mpls(key.eth_type.get()));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_key(frame in prop::collection::vec(any::<u8>(), 0..200), limit in 0usize..4) {
            let (key, layers) = extract(&frame, limit);
            check_offsets(&frame, &key, &layers);
        }

        #[test]
        fn any_mutation_has_a_key(
            which in any::<prop::sample::Index>(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            limit in 0usize..3,
        ) {
            let seeds = seeds();
            let mut frame = which.get(&seeds).clone();
            for (at, value) in flips {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            let (key, layers) = extract(&frame, limit);
            check_offsets(&frame, &key, &layers);
            frame.truncate(cut.index(frame.len() + 1));
            let (key, layers) = extract(&frame, limit);
            check_offsets(&frame, &key, &layers);
        }
    }
}
