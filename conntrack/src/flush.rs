//! Flushing: connections that a filter names are forgotten, in slices.

use std::net::IpAddr;

use packet::parse::ip_proto;

use crate::conn::Conn;
use crate::dump::Cursor;
use crate::event::Reason;
use crate::table::Slot;
use crate::tracker::Tracker;
use crate::tuple::{Tuple, addr};

/// Which connections are meant: those that meet everything that is set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Zone.
    pub zone: Option<u16>,
    /// Value and mask of the mark.
    pub mark: Option<(u32, u32)>,
    /// Value and mask of the label.
    pub label: Option<(u128, u128)>,
    /// Original direction.
    pub original: Option<TupleFilter>,
    /// Reply direction.
    pub reply: Option<TupleFilter>,
}

/// Which tuples are meant: those that meet everything that is set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TupleFilter {
    /// 4 or 6.
    pub family: Option<u8>,
    /// IP protocol.
    pub proto: Option<u8>,
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Source port; the identifier for ICMP.
    pub sport: Option<u16>,
    /// Destination port; type and code (upper and lower byte) for ICMP.
    pub dport: Option<u16>,
    /// ICMP type.
    pub icmp_type: Option<u8>,
    /// ICMP code.
    pub icmp_code: Option<u8>,
}

impl TupleFilter {
    /// The only tuple of the zone that is meant, if there is only one.
    fn exact(&self, zone: u16) -> Option<Tuple> {
        let (proto, src, dst, sport) = (self.proto?, self.src?, self.dst?, self.sport?);
        let icmp = || Some(u16::from_be_bytes([self.icmp_type?, self.icmp_code?]));
        let dport = self.dport.or_else(icmp)?;
        let family = if src.is_ipv4() { 4 } else { 6 };
        let tuple = Tuple { src: addr(src), dst: addr(dst), sport, dport, zone, proto, family };
        self.matches(&tuple).then_some(tuple)
    }

    /// Whether the tuple is meant.
    pub fn matches(&self, tuple: &Tuple) -> bool {
        let [kind, code] = tuple.dport.to_be_bytes();
        let same = |wanted: Option<u8>, is: u8| wanted.is_none_or(|wanted| wanted == is);
        let port = |wanted: Option<u16>, is: u16| wanted.is_none_or(|wanted| wanted == is);
        same(self.family, tuple.family)
            && same(self.proto, tuple.proto)
            && self.src.is_none_or(|wanted| wanted == tuple.src_ip())
            && self.dst.is_none_or(|wanted| wanted == tuple.dst_ip())
            && port(self.sport, tuple.sport)
            && port(self.dport, tuple.dport)
            && (self.icmp_type.is_none() && self.icmp_code.is_none()
                || tuple.is_icmp() && same(self.icmp_type, kind) && same(self.icmp_code, code))
    }
}

impl Filter {
    /// All connections of a zone.
    pub fn zone(zone: u16) -> Self {
        Self { zone: Some(zone), ..Self::default() }
    }

    /// The tuple that the filter comes down to when it tells all of the original direction and nothing else; without a zone it
    /// is one of zone 0. What is not said of an ICMP tuple is 0. Only TCP, UDP, SCTP, ICMP and ICMPv6 have such.
    pub fn exact(&self) -> Option<Tuple> {
        let Self { zone, mark: None, label: None, original: Some(wanted), reply: None } = self else {
            return None;
        };
        let (sport, dport) = match wanted.proto? {
            ip_proto::ICMP | ip_proto::ICMPV6 => {
                let kind = [wanted.icmp_type.unwrap_or(0), wanted.icmp_code.unwrap_or(0)];
                (wanted.sport.unwrap_or(0), u16::from_be_bytes(kind))
            }
            ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => (wanted.sport?, wanted.dport?),
            _ => return None,
        };
        let (src, dst, proto) = (addr(wanted.src?), addr(wanted.dst?), wanted.proto?);
        let family = if wanted.src?.is_ipv4() { 4 } else { 6 };
        Some(Tuple { src, dst, sport, dport, zone: zone.unwrap_or(0), proto, family })
    }

    fn matches(&self, slot: &Slot, conn: &Conn) -> bool {
        let original = slot.tuple(false);
        self.zone.is_none_or(|zone| zone == original.zone)
            && self.mark.is_none_or(|(value, mask)| (conn.mark ^ value) & mask == 0)
            && self.label.is_none_or(|(value, mask)| (conn.label() ^ value) & mask == 0)
            && self.original.as_ref().is_none_or(|wanted| wanted.matches(&original))
            && self.reply.as_ref().is_none_or(|wanted| wanted.matches(&slot.tuple(true)))
    }
}

impl Tracker {
    /// Forgets the connection that one of whose tuples this is. Whether there was one.
    pub fn flush_one(&self, tuple: &Tuple, now_ns: u64) -> bool {
        self.table.find(tuple, self.table.hash(tuple)).is_some_and(|place| {
            self.forget(place.slot, Reason::Flushed, now_ns, |slot, _| slot.is(place.reply, tuple))
        })
    }

    /// Forgets the connections that the filter means, having looked at no more than `slots` slots. Whether it is done; if
    /// not, go on with the same `cursor`. An empty zone, or a zone and a whole original tuple, is done at once. Events have the
    /// time that the cursor was [made](Cursor::at) with.
    pub fn flush(&self, filter: &Filter, cursor: &mut Cursor, slots: usize) -> bool {
        if filter.zone.is_some_and(|zone| self.limits().count(zone) == 0) {
            cursor.done = true;
            return true;
        }
        let now_ns = cursor.now_ns;
        if let (Some(zone), Some(original)) = (filter.zone, &filter.original)
            && let Some(tuple) = original.exact(zone)
        {
            if let Some(place) = self.table.find(&tuple, self.table.hash(&tuple)) {
                self.forget(place.slot, Reason::Flushed, now_ns, |slot, conn| filter.matches(slot, conn));
            }
            cursor.done = true;
            return true;
        }
        self.walk(cursor, slots, |index, slot| {
            let meant = filter.matches(slot, &slot.lock());
            if meant {
                self.forget(index, Reason::Flushed, now_ns, |slot, conn| filter.matches(slot, conn));
            }
        });
        cursor.done
    }
}
