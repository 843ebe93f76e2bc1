//! What tracking leaves in a packet's metadata.

use packet::FlowKey;
use packet::parse::ip_proto;

use crate::tuple::Tuple;

/// The connection fields of a flow key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Metadata {
    /// State bits.
    pub(crate) state: u32,
    /// Mark.
    pub(crate) mark: u32,
    /// Label.
    pub(crate) label: u128,
    /// Original direction of the connection, or of the one that announced it; `None` when there is nothing to tell.
    pub(crate) original: Option<Tuple>,
}

impl Metadata {
    /// Writes all connection fields of the key.
    pub(crate) fn write(&self, zone: u16, key: &mut FlowKey) {
        key.ct_state = self.state.into();
        key.ct_zone = zone.into();
        key.ct_mark = self.mark.into();
        key.ct_label = self.label.to_be_bytes();
        (key.ct_tp_src, key.ct_tp_dst, key.ct_nw_proto) = Default::default();
        (key.ct_nw_src, key.ct_nw_dst) = Default::default();
        (key.ct_ipv6_src, key.ct_ipv6_dst) = Default::default();
        if let Some(tuple) = &self.original {
            write_tuple(tuple, key);
        }
    }
}

fn write_tuple(tuple: &Tuple, key: &mut FlowKey) {
    let (sport, dport) = match tuple.proto {
        ip_proto::ICMP | ip_proto::ICMPV6 => {
            let [kind, code] = tuple.dport.to_be_bytes();
            (u16::from(kind), u16::from(code))
        }
        _ => (tuple.sport, tuple.dport),
    };
    (key.ct_tp_src, key.ct_tp_dst, key.ct_nw_proto) = (sport.into(), dport.into(), tuple.proto);
    if tuple.family == 4 {
        (key.ct_nw_src, key.ct_nw_dst) = (low(&tuple.src).into(), low(&tuple.dst).into());
    } else {
        (key.ct_ipv6_src, key.ct_ipv6_dst) = (tuple.src, tuple.dst);
    }
}

fn low(addr: &[u8; 16]) -> u32 {
    u128::from_be_bytes(*addr) as u32
}
