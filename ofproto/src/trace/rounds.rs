//! The rounds of a trace: what the user says the connection tracker will say (`--ct-next`), and what a packet then looks like.

use std::collections::VecDeque;
use std::net::IpAddr;

use conntrack::request::{Nat, NatRange, NatSide};
use conntrack::state;
use packet::FlowKey;

use crate::xlate::trace::Round;

/// `ct_state` where nothing else is said.
const DEFAULT: u32 = state::TRK | state::NEW;
const RULE: &str = "===============================================================================";
const ETH_IPV6: u16 = 0x86dd;

/// The answers of the connection tracker, in turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(VecDeque<u32>);

impl Answers {
    /// Adds what one `--ct-next` says.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        let mut bits = 0;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let signed = name.starts_with(['+', '-']) || name.starts_with(|c: char| c.is_ascii_digit());
            let parsed = state::parse(name).ok().filter(|_| !signed && !name.contains('|'));
            bits |= parsed.ok_or_else(|| format!("{name}: unknown connection tracking state flag"))?.0;
        }
        if let Some(why) = contradiction(bits) {
            let shown = state::format(bits, u32::MAX);
            return Err(format!("{shown}: invalid connection state: {why}"));
        }
        self.0.push_back(bits);
        Ok(())
    }
}

/// Why a packet cannot have these bits.
fn contradiction(bits: u32) -> Option<&'static str> {
    let has = |bit: u32| bits & bit != 0;
    if bits != 0 && !has(state::TRK) {
        Some("If \"trk\" is unset, no other flags are set")
    } else if has(state::INV) && bits & !(state::TRK | state::INV) != 0 {
        Some("when \"inv\" is set, only \"trk\" may also be set")
    } else if has(state::NEW) && has(state::EST) {
        Some("\"new\" and \"est\" are mutually exclusive")
    } else if has(state::NEW) && has(state::RPL) {
        Some("\"new\" and \"rpy\" are mutually exclusive")
    } else {
        None
    }
}

/// Makes of the key at a recirculation the one that comes back, and says so.
pub(super) fn begin(round: &Round, answers: &mut Answers) -> (FlowKey, String) {
    let mut key = round.flow;
    key.recirc_id.set(round.id);
    key.ct_zone.set(round.tracking.zone);
    let answer = answers.0.pop_front();
    key.ct_state.set(answer.unwrap_or(DEFAULT));
    let mut title = format!("recirc({:#x}) - resume conntrack with ", round.id);
    title.push_str(&match answer {
        Some(bits) => format!("ct_state={}", state::format(bits, u32::MAX)),
        None => "default ct_state=trk|new (use --ct-next to customize)".to_owned(),
    });
    if let Some(nat) = &round.tracking.nat {
        let before = addresses(&key, nat);
        translate(&mut key, nat);
        title.push_str("\nReplacing src/dst IP/ports to simulate NAT:");
        title.push_str(&format!("\n Initial flow: {before}\n Modified flow: {}", addresses(&key, nat)));
    }
    (key, format!("\n{RULE}\n{title}\n{RULE}\n\n"))
}

/// The range, if it is one that replaces anything for sure.
fn range(nat: &Nat) -> Option<&NatRange> {
    match nat {
        Nat::Translate(range) if range.addrs.is_some() || range.ports.is_some() => Some(range),
        _ => None,
    }
}

fn translate(key: &mut FlowKey, nat: &Nat) {
    let Some(range) = range(nat) else { return };
    let source = range.side == NatSide::Src;
    match range.addrs {
        Some((IpAddr::V4(v4), _)) => {
            let place = if source { &mut key.nw_src } else { &mut key.nw_dst };
            place.set(v4.to_bits());
        }
        Some((IpAddr::V6(v6), _)) => {
            let place = if source { &mut key.ipv6_src } else { &mut key.ipv6_dst };
            *place = v6.octets();
        }
        None => {}
    }
    if let Some((first, _)) = range.ports {
        let place = if source { &mut key.tp_src } else { &mut key.tp_dst };
        place.set(first);
    }
}

fn addresses(key: &FlowKey, nat: &Nat) -> String {
    if range(nat).is_none() {
        return String::new();
    }
    let (src, dst) = if key.eth_type.get() == ETH_IPV6 {
        let v6 = |bytes: [u8; 16]| format!("[{}]", std::net::Ipv6Addr::from(bytes));
        (format!("ipv6_src={}", v6(key.ipv6_src)), format!("ipv6_dst={}", v6(key.ipv6_dst)))
    } else {
        let v4 = |bits: u32| std::net::Ipv4Addr::from(bits);
        (format!("nw_src={}", v4(key.nw_src.get())), format!("nw_dst={}", v4(key.nw_dst.get())))
    };
    format!("{src},tp_src={},{dst},tp_dst={}", key.tp_src, key.tp_dst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_checked_as_open_vswitch_does() {
        let mut answers = Answers::default();
        let mut error = |text: &str| answers.add(text).unwrap_err();
        assert_eq!(
            error("new"),
            "new: invalid connection state: If \"trk\" is unset, no other flags are set"
        );
        assert_eq!(
            error("trk,new,est"),
            "new|est|trk: invalid connection state: \"new\" and \"est\" are mutually exclusive"
        );
        assert_eq!(
            error("inv,trk,new"),
            "new|inv|trk: invalid connection state: when \"inv\" is set, only \"trk\" may also be set"
        );
        for unknown in ["foo", "+trk", "0x21", "trk|est"] {
            assert_eq!(error(unknown), format!("{unknown}: unknown connection tracking state flag"));
        }
        for good in ["", "trk, est", "rel,trk", "dnat,trk"] {
            answers.add(good).unwrap();
        }
        assert_eq!(answers.0, [0, 0x22, 0x24, 0xa0]);
    }
}
