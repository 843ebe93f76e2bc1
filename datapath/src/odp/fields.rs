//! Single fields as text: `name=value/mask`, joined in groups `name(...)`.

use std::fmt::{Display, LowerHex, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use packet::key::FlowMask;

/// A group of fields: `name(a=1,b=2/0xff)`.
pub(super) struct Group {
    text: String,
    verbose: bool,
    /// Whether any field was looked at.
    any: bool,
}

impl Group {
    pub(super) fn new(verbose: bool) -> Self {
        Self { text: String::new(), verbose, any: false }
    }

    /// The group as text with its name; `None` when nothing in it is looked at and nobody wants to see that.
    pub(super) fn finish(self, name: &str) -> Option<String> {
        (self.any || self.verbose).then(|| format!("{name}({})", self.text))
    }

    /// Whether a field with this mask is to be printed; prints its name then.
    fn begin(&mut self, name: &str, wild: bool) -> bool {
        self.any |= !wild;
        if wild && !self.verbose {
            return false;
        }
        if !self.text.is_empty() {
            self.text.push(',');
        }
        let _ = write!(self.text, "{name}=");
        true
    }

    /// A number in decimal; its mask in hexadecimal.
    pub(super) fn dec<T: Number>(&mut self, name: &str, value: T, mask: T) {
        if self.begin(name, mask.is_zero()) {
            let _ = write!(self.text, "{value}");
            if !mask.is_ones() {
                let _ = write!(self.text, "/{}", hex(mask));
            }
        }
    }

    /// A number in hexadecimal.
    pub(super) fn hex<T: Number>(&mut self, name: &str, value: T, mask: T) {
        if self.begin(name, mask.is_zero()) {
            self.text.push_str(&masked_hex(value, mask));
        }
    }

    /// The same for a field narrower than its type: the mask is exact when it is `full`.
    pub(super) fn hex_of<T: Number>(&mut self, name: &str, value: T, mask: T, full: T) {
        self.hex(name, value, if mask == full { T::ONES } else { mask });
    }

    pub(super) fn mac(&mut self, name: &str, value: [u8; 6], mask: [u8; 6]) {
        if self.begin(name, mask == [0; 6]) {
            self.text.push_str(&mac(value));
            if mask != [0xff; 6] {
                let _ = write!(self.text, "/{}", mac(mask));
            }
        }
    }

    pub(super) fn ipv4(&mut self, name: &str, value: u32, mask: u32) {
        if self.begin(name, mask == 0) {
            let _ = write!(self.text, "{}", Ipv4Addr::from(value));
            if mask != u32::MAX {
                let _ = write!(self.text, "/{}", Ipv4Addr::from(mask));
            }
        }
    }

    pub(super) fn ipv6(&mut self, name: &str, value: [u8; 16], mask: [u8; 16]) {
        if self.begin(name, mask == [0; 16]) {
            let _ = write!(self.text, "{}", Ipv6Addr::from(value));
            if mask != [0xff; 16] {
                let _ = write!(self.text, "/{}", Ipv6Addr::from(mask));
            }
        }
    }

    /// A word; not printed at all when it is wild.
    pub(super) fn word(&mut self, name: &str, value: &str, wild: bool) {
        self.any |= !wild;
        if !wild {
            if !self.text.is_empty() {
                self.text.push(',');
            }
            let _ = write!(self.text, "{name}={value}");
        }
    }
}

/// Unsigned numbers of any width.
pub(super) trait Number: Copy + PartialEq + Display + LowerHex {
    /// All bits one.
    const ONES: Self;
    /// No bit one.
    const ZERO: Self;

    fn is_ones(self) -> bool {
        self == Self::ONES
    }

    fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Number for $kind {
            const ONES: Self = Self::MAX;
            const ZERO: Self = 0;
        })*
    };
}

numbers!(u8, u16, u32, u64, u128);

/// Hexadecimal with its prefix; zero without, as C's `%#x` has it.
pub(super) fn hex<T: Number>(value: T) -> String {
    if value.is_zero() { "0".to_owned() } else { format!("{value:#x}") }
}

/// `value`, or `value/mask` when the mask is not exact, in hexadecimal.
pub(super) fn masked_hex<T: Number>(value: T, mask: T) -> String {
    if mask.is_ones() { hex(value) } else { format!("{}/{}", hex(value), hex(mask)) }
}

pub(super) fn mac(address: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = address;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// A bit and its name.
pub(super) type Flag = (u32, &'static str);

/// Bits of a connection's state.
pub(super) const CT_STATE: [Flag; 8] =
    [(1, "new"), (2, "est"), (4, "rel"), (8, "rpl"), (16, "inv"), (32, "trk"), (64, "snat"), (128, "dnat")];

/// Bits of TCP's flags.
pub(super) const TCP_FLAGS: [Flag; 12] = [
    (1, "fin"),
    (2, "syn"),
    (4, "rst"),
    (8, "psh"),
    (16, "ack"),
    (32, "urg"),
    (64, "ece"),
    (128, "cwr"),
    (256, "ns"),
    (512, "[200]"),
    (1024, "[400]"),
    (2048, "[800]"),
];

/// `+syn-ack`: bits that are looked at.
pub(super) fn flags_masked(flags: &[Flag], value: u32, mask: u32) -> String {
    if mask == 0 {
        return "0/0".to_owned();
    }
    let looked_at = flags.iter().filter(|(bit, _)| mask & bit != 0);
    looked_at.map(|(bit, name)| format!("{}{name}", if value & bit != 0 { '+' } else { '-' })).collect()
}

/// `syn|ack`: bits that are set; `0` for none.
pub(super) fn flags_set(flags: &[Flag], value: u32) -> String {
    let set: Vec<_> = flags.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "0".to_owned() } else { set.join("|") }
}

/// How many 64-bit units a mask takes in Open vSwitch's own key, in its first 64 units (metadata, Ethernet, MPLS) and after them.
pub(super) fn miniflow_bits(mask: &FlowMask) -> (usize, usize) {
    let m = &mask.0;
    let any = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
    let halves = |bytes: &[u8; 16]| [any(&bytes[..8]), any(&bytes[8..])];
    let mut first = vec![
        m.skb_priority.get() | m.pkt_mark.get() != 0,
        // Port of arrival, recirculation id, packet type, EtherType: always.
        true,
        true,
        true,
        true,
        any(&m.eth_dst) || any(&m.eth_src[..2]),
        m.mpls_lse[0].get() | m.mpls_lse[1].get() != 0,
        m.mpls_lse[2].get() != 0,
        m.tun_id.get() != 0,
        m.tun_src.get() | m.tun_dst.get() != 0,
    ];
    first.extend(halves(&m.ct_label));
    let mut second = vec![
        m.nw_src.get() | m.nw_dst.get() != 0,
        m.ct_nw_src.get() | m.ct_nw_dst.get() != 0,
        m.ipv6_label.get() != 0 || any(&[m.nw_frag, m.nw_tos, m.nw_ttl, m.nw_proto]),
        any(&m.arp_sha) || any(&m.arp_tha[..2]),
        any(&m.arp_tha[2..]) || m.tcp_flags.get() != 0,
        m.tp_src.get() | m.tp_dst.get() | m.ct_tp_src.get() | m.ct_tp_dst.get() != 0,
        m.igmp_group.get() != 0,
    ];
    for address in [&m.ipv6_src, &m.ipv6_dst, &m.ct_ipv6_src, &m.ct_ipv6_dst, &m.nd_target] {
        second.extend(halves(address));
    }
    let count = |units: Vec<bool>| units.into_iter().filter(|unit| *unit).count();
    (count(first), count(second))
}
