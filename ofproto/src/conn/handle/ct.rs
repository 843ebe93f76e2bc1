//! Connections that a controller wants forgotten (Nicira's `NXT_CT_FLUSH`).

use conntrack::{Filter, TupleFilter};
use openflow::message::{CtFlush, CtTuple};

use super::Turn;
use crate::conn::work::Work;

/// Forgets the connections that a request means. One that tells the whole of a tuple means that one connection, and as in Open vSwitch it
/// is no error if there is none.
pub(super) fn flush(turn: &mut Turn<'_>, request: &CtFlush) {
    let filter = filter(request);
    match filter.exact() {
        Some(tuple) => {
            turn.devices.datapath().tracker().flush_one(&tuple, turn.now_ns);
        }
        None => turn.start(Work::ct_flush(filter, turn.now_ns)),
    }
}

fn filter(request: &CtFlush) -> Filter {
    let proto = Some(request.protocol).filter(|proto| *proto != 0);
    Filter {
        zone: request.zone,
        original: direction(&request.original, proto),
        reply: direction(&request.reply, None),
        ..Filter::default()
    }
}

/// What is 0 is any, but for ICMP.
fn direction(tuple: &CtTuple, proto: Option<u8>) -> Option<TupleFilter> {
    let port = |port: Option<u16>| port.filter(|port| *port != 0);
    let wanted = TupleFilter {
        family: None,
        proto,
        src: tuple.src.filter(|addr| !addr.is_unspecified()),
        dst: tuple.dst.filter(|addr| !addr.is_unspecified()),
        sport: tuple.icmp_id.or(port(tuple.src_port)),
        dport: port(tuple.dst_port),
        icmp_type: tuple.icmp_type,
        icmp_code: tuple.icmp_code,
    };
    Some(wanted).filter(|wanted| *wanted != TupleFilter::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_everything() {
        assert_eq!(filter(&CtFlush::default()), Filter::default());
        assert_eq!(filter(&CtFlush { zone: Some(3), ..CtFlush::default() }), Filter::zone(3));
    }

    #[test]
    fn a_whole_tuple_is_one_connection() {
        let original = CtTuple {
            src: Some([10, 0, 0, 1].into()),
            dst: Some([10, 0, 0, 2].into()),
            src_port: Some(1),
            dst_port: Some(2),
            ..CtTuple::default()
        };
        let request = CtFlush { protocol: 17, zone: Some(5), original, reply: CtTuple::default() };
        let tuple = filter(&request).exact().unwrap();
        assert_eq!((tuple.zone, tuple.proto, tuple.sport, tuple.dport), (5, 17, 1, 2));
        assert_eq!(filter(&CtFlush { protocol: 0, ..request }).exact(), None);
        let reply = CtTuple { src: Some([10, 0, 0, 2].into()), ..CtTuple::default() };
        let both = filter(&CtFlush { reply, ..request });
        assert_eq!((both.exact(), both.reply.unwrap().proto), (None, None));
    }
}
