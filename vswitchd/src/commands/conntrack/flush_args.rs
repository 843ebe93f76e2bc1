//! The arguments of `dpctl/flush-conntrack`: which connections are meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use conntrack::{Filter, Tuple, TupleFilter};

use super::{args, invalid};

/// IP protocols whose ports are an identifier, a type and a code.
const ICMP: [u8; 2] = [1, 58];

/// What is to be flushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// The connection that one of whose tuples this is: it is an error if there is none.
    One(Tuple),
    /// All that meet this.
    All(Filter),
}

/// Reads `[zone=N] [mark=X[/M]] [labels=X[/M]] [orig-tuple] [reply-tuple]`. What is left over is `None`'s fault: an argument that should have
/// been a datapath.
pub(super) fn read(args: &[&str]) -> Result<Option<Target>, String> {
    let mut args = args.iter().copied().peekable();
    let mut filter = Filter::default();
    if let Some(text) = args.next_if(|arg| arg.starts_with("zone=")) {
        let zone = args::scan(&text["zone=".len()..]).ok_or_else(|| invalid("failed to parse zone"))?;
        filter.zone = Some(zone as u16);
    }
    if let Some(text) = args.next_if(|arg| arg.starts_with("mark=")) {
        let (value, mask) = masked(&text["mark=".len()..], u128::from(u32::MAX))
            .ok_or_else(|| invalid("failed to parse mark"))?;
        filter.mark = Some((value as u32, mask as u32));
    }
    if let Some(text) = args.next_if(|arg| arg.starts_with("labels=")) {
        let found = masked(&text["labels=".len()..], u128::MAX);
        filter.label = Some(found.ok_or_else(|| invalid("failed to parse labels"))?);
    }
    let mut family = None;
    let mut direction = || args.next().map(|text| tuple_filter(text, &mut family)).transpose();
    let (original, reply) = (direction()?, direction()?);
    if args.next().is_some() {
        return Ok(None);
    }
    let is_set = |direction: &TupleFilter| *direction != TupleFilter::default();
    filter.original = original.filter(is_set);
    filter.reply = reply.filter(is_set);
    Ok(Some(filter.exact().map_or(Target::All(filter), Target::One)))
}

/// Reads `X[/M]`, no more than `max`.
fn masked(text: &str, max: u128) -> Option<(u128, u128)> {
    let number = |text: &str| {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u128::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.ok().filter(|number| *number <= max)
    };
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, max)),
    }
}

/// Reads `ct_nw_src=...,ct_nw_proto=...` and so on. All addresses must be of the `family` of the first.
fn tuple_filter(text: &str, family: &mut Option<u8>) -> Result<TupleFilter, String> {
    let mut tuple = TupleFilter::default();
    for setting in args::settings(text) {
        let (key, value) = setting?;
        let failed = || invalid(format_args!("failed to parse field {key}"));
        let word = || narrow::<u16>(value).ok_or_else(failed);
        let byte = || narrow::<u8>(value).ok_or_else(failed);
        match key {
            "ct_nw_src" | "ct_nw_dst" | "ct_ipv6_src" | "ct_ipv6_dst" => {
                let address = address(key, value).ok_or_else(failed)?;
                let version = if address.is_ipv4() { 4 } else { 6 };
                if *family.get_or_insert(version) != version {
                    return Err(invalid(format_args!("the L3 protocol does not match {value}")));
                }
                tuple.family = Some(version);
                *if key.ends_with("src") { &mut tuple.src } else { &mut tuple.dst } = Some(address);
            }
            "ct_nw_proto" => tuple.proto = Some(byte()?).filter(|proto| *proto != 0),
            "ct_tp_src" => tuple.sport = Some(word()?).filter(|port| *port != 0),
            "ct_tp_dst" => tuple.dport = Some(word()?).filter(|port| *port != 0),
            "icmp_type" | "icmp_code" | "icmp_id" if !tuple.proto.is_some_and(|p| ICMP.contains(&p)) => {
                return Err(invalid("invalid L4 fields"));
            }
            "icmp_type" => tuple.icmp_type = Some(byte()?),
            "icmp_code" => tuple.icmp_code = Some(byte()?),
            "icmp_id" => tuple.sport = Some(word()?),
            _ => return Err(invalid(format_args!("invalid conntrack tuple field: {key}"))),
        }
    }
    if tuple.proto.is_none() && (tuple.sport.is_some() || tuple.dport.is_some()) {
        return Err(invalid("port is set without protocol"));
    }
    Ok(tuple)
}

fn narrow<T: TryFrom<i64>>(value: &str) -> Option<T> {
    T::try_from(args::whole(value)?).ok()
}

fn address(key: &str, value: &str) -> Option<IpAddr> {
    if key.starts_with("ct_nw") {
        value.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    } else {
        value.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(args: &[&str]) -> Filter {
        match read(args) {
            Ok(Some(Target::All(filter))) => filter,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn everything_is_optional() {
        assert_eq!(filter(&[]), Filter::default());
        assert_eq!(filter(&["zone=70000"]), Filter::zone(4464));
        assert_eq!(filter(&["zone=3", ""]), Filter::zone(3));
        let wanted = filter(&["zone=3", "mark=0x5/0xf", "labels=7", "ct_nw_src=10.0.0.1", "ct_nw_proto=6"]);
        assert_eq!((wanted.mark, wanted.label), (Some((5, 15)), Some((7, u128::MAX))));
        let src = wanted.original.unwrap();
        assert_eq!((src.src, src.family), (Some("10.0.0.1".parse().unwrap()), Some(4)));
        assert_eq!(wanted.reply.unwrap().proto, Some(6));
        let wanted = filter(&["", "ct_ipv6_src=fc00::1"]);
        assert!(wanted.original.is_none() && wanted.reply.is_some());
    }

    #[test]
    fn a_whole_tuple_is_one_connection() {
        let one = |args: &[&str]| match read(args) {
            Ok(Some(Target::One(tuple))) => Some(tuple),
            _ => None,
        };
        let udp = "ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2";
        let tuple = one(&[udp]).unwrap();
        assert_eq!((tuple.zone, tuple.proto, tuple.sport, tuple.dport), (0, 17, 1, 2));
        assert_eq!(one(&["zone=5", udp]).unwrap().zone, 5);
        let icmp = "ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=1,icmp_type=8,icmp_id=5";
        let tuple = one(&[icmp]).unwrap();
        assert_eq!((tuple.sport, tuple.dport), (5, 0x0800));
        for partial in [
            "ct_nw_src=1.2.3.4,ct_nw_dst=1.1.1.1,ct_nw_proto=47",
            "ct_nw_src=1.2.3.4,ct_nw_dst=1.1.1.1,ct_nw_proto=6,ct_tp_src=1",
            "ct_nw_dst=1.1.1.1,ct_nw_proto=6,ct_tp_src=1,ct_tp_dst=2",
        ] {
            assert_eq!(one(&[partial]), None, "{partial}");
        }
        assert_eq!(one(&[udp, "ct_nw_src=1.2.3.4"]), None);
        assert_eq!(one(&["mark=1", udp]), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (args, error) in [
            (&["zone=x"][..], "failed to parse zone"),
            (&["mark=x"], "failed to parse mark"),
            (&["mark=0x100000000"], "failed to parse mark"),
            (&["labels=1/"], "failed to parse labels"),
            (&["foo"], "field foo missing value"),
            (&["foo=bar"], "invalid conntrack tuple field: foo"),
            (&["ct_tp_src=80"], "port is set without protocol"),
            (&["ct_tp_src=99999"], "failed to parse field ct_tp_src"),
            (&["icmp_type=1"], "invalid L4 fields"),
            (&["icmp_type=1,ct_nw_proto=1"], "invalid L4 fields"),
            (&["ct_nw_proto=6,icmp_type=1"], "invalid L4 fields"),
            (&["ct_nw_proto=1,icmp_type=300"], "failed to parse field icmp_type"),
            (&["ct_nw_proto=300"], "failed to parse field ct_nw_proto"),
            (&["ct_nw_src=1.2.3.4/24"], "failed to parse field ct_nw_src"),
            (&["ct_ipv6_src=zz"], "failed to parse field ct_ipv6_src"),
            (&["ct_ipv6_src=::1,ct_nw_src=1.1.1.1"], "the L3 protocol does not match 1.1.1.1"),
            (&["ct_nw_src=10.9.9.9", "ct_ipv6_src=fc00::9"], "the L3 protocol does not match fc00::9"),
        ] {
            assert_eq!(read(args), Err(invalid(error)), "{args:?}");
        }
        assert_eq!(read(&["zone=1", "ct_nw_proto=6", "ct_nw_proto=6", "x"]), Ok(None));
    }
}
