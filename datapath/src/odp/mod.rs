//! Flows and actions as text, in the syntax of Open vSwitch 3.1's datapath commands ("ODP" syntax).
//!
//! - [`flow`]: one line of `dpctl/dump-flows`.
//! - [`key`]: a masked key: `recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)`.
//! - [`actions`](actions()): `push_vlan(vid=7,pcp=0),2`.
//! - [`parse`]: a masked key from text.
//!
//! A key is printed with the values of the packet that made the flow, also where they are wild, when [`Style::verbose`] is set, as
//! there. What is printed was compared with what Open vSwitch 3.1.0 prints, form by form (see the tests).

mod actions;
mod ct;
mod fields;
mod key;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use packet::{FlowKey, FlowMask};

pub use actions::actions;
pub use key::key;
pub use parse::{ParseError, parse};

use crate::FlowDump;
use crate::action::PortNo;

/// How text is to look.
#[derive(Clone, Copy, Default)]
pub struct Style<'a> {
    /// Wild fields as well, identity, and where the flow is from (`-m`).
    pub verbose: bool,
    /// Names of ports, to be used in place of numbers where there is one.
    pub names: Option<&'a dyn Fn(PortNo) -> Option<String>>,
    /// The text of a punt with a cookie: what stands in `userspace(...)` after the pid, or all of it.
    pub punt: Option<&'a dyn Fn(u64) -> String>,
}

impl Style<'_> {
    fn port(&self, port: PortNo) -> String {
        self.names.and_then(|names| names(port)).unwrap_or_else(|| port.0.to_string())
    }
}

impl std::fmt::Debug for Style<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Style").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}

/// A line of a dump of flows, without its end. `now_ns` is on the monotonic clock.
pub fn flow(flow: &FlowDump, now_ns: u64, style: &Style<'_>) -> String {
    let mut out = String::with_capacity(256);
    if style.verbose {
        out.push_str(&ufid(flow.ufid));
        out.push_str(", ");
    }
    out.push_str(&key(&flow.key, &flow.mask, style));
    out.push_str(&stats(flow, now_ns));
    if style.verbose {
        out.push_str(", dp:ovs");
    }
    out.push_str(", actions:");
    out.push_str(&actions(&flow.actions, style));
    if style.verbose {
        let (first, second) = fields::miniflow_bits(&flow.mask);
        let _ = write!(out, ", dp-extra-info:miniflow_bits({first},{second})");
    }
    out
}

/// `, packets:1, bytes:54, used:0.159s, flags:S.`
fn stats(flow: &FlowDump, now_ns: u64) -> String {
    let used = match flow.last_used_ns {
        0 => "never".to_owned(),
        last => {
            let ago_ms = now_ns.saturating_sub(last) / 1_000_000;
            format!("{}.{:03}s", ago_ms / 1000, ago_ms % 1000)
        }
    };
    let flags =
        if flow.tcp_flags == 0 { String::new() } else { format!(", flags:{}", tcp_flags(flow.tcp_flags)) };
    format!(", packets:{}, bytes:{}, used:{used}{flags}", flow.hits.packets, flow.hits.bytes)
}

/// A flow's identity: `ufid:27f719c2-0ef7-4bf8-91d8-4a7b0e17523c`.
pub fn ufid(ufid: u128) -> String {
    let (a, b, c) = (ufid >> 96, ufid >> 80 & 0xffff, ufid >> 64 & 0xffff);
    let (d, e) = (ufid >> 48 & 0xffff, ufid & 0xffff_ffff_ffff);
    format!("ufid:{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// TCP flags as tcpdump has them: `S.` is SYN and ACK.
pub fn tcp_flags(flags: u16) -> String {
    const LETTERS: [char; 9] = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'C', 'N'];
    let mut out: String = (0..9).filter(|bit| flags >> bit & 1 == 1).map(|bit| LETTERS[bit]).collect();
    for bit in 9..12 {
        if flags >> bit & 1 == 1 {
            let _ = write!(out, "[{}]", 1 << (bit - 1));
        }
    }
    if out.is_empty() { "none".to_owned() } else { out }
}

/// A key without a mask: every field that it has.
pub fn exact_key(flow: &FlowKey, style: &Style<'_>) -> String {
    key(flow, &FlowMask::exact(), style)
}
