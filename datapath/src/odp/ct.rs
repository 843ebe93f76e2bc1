//! `ct(...)` as text.

use std::net::IpAddr;

use conntrack::Request;
use conntrack::request::{Helper, Nat, NatChoice, NatRange, NatSide};

use super::fields::masked_hex;

/// `ct(commit,zone=5,mark=0x1/0xff,nat(src=10.0.0.1))`; `ct` alone when there is nothing to say.
pub(super) fn action(request: &Request) -> String {
    let mut parts = Vec::new();
    match (request.commit, request.force) {
        (_, true) => parts.push("force_commit".to_owned()),
        (true, false) => parts.push("commit".to_owned()),
        _ => {}
    }
    if request.zone != 0 {
        parts.push(format!("zone={}", request.zone));
    }
    if let Some((value, mask)) = request.mark {
        // Open vSwitch shows a mask here even where it is exact.
        parts.push(format!("mark={value:#x}/{mask:#x}"));
    }
    parts.extend(request.label.map(|(value, mask)| format!("label={}", masked_hex(value, mask))));
    parts.extend(request.helper.map(|helper| format!("helper={}", name(helper))));
    parts.extend(request.timeout_policy.map(|policy| format!("timeout={policy}")));
    parts.extend(request.nat.as_ref().map(nat));
    if parts.is_empty() { "ct".to_owned() } else { format!("ct({})", parts.join(",")) }
}

fn name(helper: Helper) -> &'static str {
    match helper {
        Helper::Ftp => "ftp",
        Helper::Tftp => "tftp",
    }
}

fn nat(nat: &Nat) -> String {
    let Nat::Translate(range) = nat else { return "nat".to_owned() };
    let side = match range.side {
        NatSide::Src => "src",
        NatSide::Dst => "dst",
    };
    let mut text = format!("nat({side}{}", target(range));
    if range.persistent {
        text.push_str(",persistent");
    }
    text.push_str(match range.choice {
        NatChoice::Default => "",
        NatChoice::Hash => ",hash",
        NatChoice::Random => ",random",
    });
    text.push(')');
    text
}

/// `=10.0.0.1-10.0.0.9:100-200`, as far as it is given. IPv6 addresses stand in brackets where ports follow.
fn target(range: &NatRange) -> String {
    let brackets = range.ports.is_some();
    let one = |ip: IpAddr| if ip.is_ipv6() && brackets { format!("[{ip}]") } else { ip.to_string() };
    let mut text = String::new();
    if let Some((first, last)) = range.addrs {
        text = format!("={}", one(first));
        if last != first {
            text.push_str(&format!("-{}", one(last)));
        }
    }
    if let Some((first, last)) = range.ports {
        text.push_str(if range.addrs.is_some() { ":" } else { "=:" });
        text.push_str(&first.to_string());
        if last != first {
            text.push_str(&format!("-{last}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_open_vswitch_prints_it() {
        assert_eq!(action(&Request::default()), "ct");
        let range = NatRange {
            side: NatSide::Src,
            addrs: Some(([10, 0, 0, 1].into(), [10, 0, 0, 9].into())),
            ports: Some((100, 200)),
            choice: NatChoice::Hash,
            persistent: true,
        };
        let full = Request {
            zone: 5,
            commit: true,
            force: true,
            mark: Some((5, 0xff)),
            label: Some((1, u128::MAX)),
            nat: Some(Nat::Translate(range.clone())),
            helper: Some(Helper::Ftp),
            timeout_policy: None,
        };
        assert_eq!(
            action(&full),
            "ct(force_commit,zone=5,mark=0x5/0xff,label=0x1,helper=ftp,nat(src=10.0.0.1-10.0.0.9:100-200,persistent,hash))"
        );
        let v6: IpAddr = "fe80::1".parse().unwrap();
        let mut range = NatRange { side: NatSide::Dst, addrs: Some((v6, v6)), ports: None, ..range };
        range.choice = NatChoice::Random;
        range.persistent = false;
        let nat = |range: &NatRange| {
            action(&Request { nat: Some(Nat::Translate(range.clone())), ..Request::default() })
        };
        assert_eq!(nat(&range), "ct(nat(dst=fe80::1,random))");
        range.ports = Some((7, 7));
        assert_eq!(nat(&range), "ct(nat(dst=[fe80::1]:7,random))");
        assert_eq!(action(&Request { nat: Some(Nat::Known), ..Request::default() }), "ct(nat)");
    }
}
