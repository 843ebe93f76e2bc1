//! `ofproto/trace`: what the switch would do with a packet, and why.
//!
//! The forms are those of Open vSwitch: a bridge and a flow in OpenFlow's terms, or a flow in the datapath's terms, after an
//! optional name of the datapath; then optionally `-generate` or a packet in hexadecimal, which make it as if the packet had really
//! come in: addresses are learned.

mod rounds;

use std::collections::VecDeque;

use datapath::action::{Action, DropReason, PortNo};
use datapath::odp;
use openflow::text::{flow_text, parse_flow};
use openflow::{Match, OfPort};
use packet::key::VLAN_PRESENT;
use packet::{FlowKey, FlowMask};

use crate::state::{BridgeId, State};
use crate::switch::Switch;
use crate::xlate::trace::{Tracer, name_ports};
use crate::xlate::{self, Input, Outcome};

/// Names under which the one datapath is known.
const DATAPATHS: [&str; 4] = ["netdev@ovs-netdev", "ovs-netdev", "system@ovs-system", "ovs-system"];

/// What a trace was asked to do.
struct Request {
    /// The bridge and port it begins at; `None` where the flow says it in the datapath's terms.
    on: Option<(BridgeId, OfPort)>,
    key: FlowKey,
    effects: bool,
    names: bool,
    /// What the connection tracker will say.
    answers: rounds::Answers,
}

/// Most recirculations that one trace follows.
const MAX_ROUNDS: usize = 64;

impl Switch {
    /// Does what the command `ofproto/trace` is asked for: text, or what is wrong with the arguments.
    pub fn trace(&self, args: &[String], now_ns: u64) -> Result<String, String> {
        let mut request = self.parse_trace(args)?;
        Ok(self.run_trace(&mut request, now_ns))
    }

    /// What stands for a punt in the text of datapath actions.
    pub fn punt_text(&self, cookie: u64) -> String {
        let node = u32::try_from(cookie).ok().and_then(|id| self.core.contexts.punts.get(id));
        let Some(node) = node else { return "userspace(pid=0)".to_owned() };
        let c = &node.value;
        format!(
            "userspace(pid=0,controller(reason={},dont_send=0,continuation=0,recirc_id={},rule_cookie={},controller_id={},max_len={}))",
            c.reason as u8,
            node.id,
            hex(c.cookie),
            c.controller_id,
            c.max_len
        )
    }

    fn parse_trace(&self, args: &[String]) -> Result<Request, String> {
        let (mut effects, mut names, mut plain) = (false, false, Vec::new());
        let mut answers = rounds::Answers::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                option @ ("-ct-next" | "--ct-next") => {
                    let text = args.next().ok_or_else(|| format!("Missing argument for option {option}"))?;
                    answers.add(text)?;
                }
                "-generate" | "--generate" => effects = true,
                "--names" => names = true,
                "--no-names" => names = false,
                "-consistent" | "--consistent" => {}
                option if option.starts_with('-') => return Err(format!("{option}: unknown option")),
                _ => plain.push(arg.as_str()),
            }
        }
        let state = self.core.read();
        let packet = if plain.len() > 1 && is_hex(plain[plain.len() - 1]) { plain.pop() } else { None };
        let (on, mut key) = match plain[..] {
            [flow] => (None, odp_key(&state, flow)?),
            [dp, flow] if flow.contains('(') && DATAPATHS.contains(&dp) => (None, odp_key(&state, flow)?),
            [_, flow] if flow.contains('(') => return Err("Cannot find the datapath".to_owned()),
            [bridge, flow] => openflow_key(&state, bridge, flow)?,
            _ => return Err("Must specify bridge name and flow".to_owned()),
        };
        if let Some(hex) = packet {
            let frame = parse_hex(hex).ok_or_else(|| "Trailing garbage in packet data".to_owned())?;
            if frame.len() < 14 {
                return Err("Packet data too short for Ethernet".to_owned());
            }
            packet::extract_into(&frame, 2, &mut key);
            effects = true;
        }
        Ok(Request { on, key, effects, names, answers })
    }

    fn run_trace(&self, request: &mut Request, now_ns: u64) -> String {
        let version = self.core.stamps.version();
        let key = request.key;
        let input = Input { key: &key, version, now_ns, effects: request.effects };
        let mut tracer = Tracer::default();
        tracer.names = request.names;
        let tracer = Some(tracer);
        let outcome = match request.on {
            Some(place) => xlate::translate_on(&self.core, input, place, tracer),
            None => Some(xlate::translate(&self.core, input, tracer)),
        };
        let Some(outcome) = outcome else { return String::new() };
        let mut shown = key;
        shown.in_port.set(self.openflow_port(request).0);
        let mut out = self.pass_text(&outcome, &shown, request);
        self.follow(outcome, request, input, &mut out);
        out
    }

    /// Traces what comes back from recirculation, in the order in which it was sent round. The first outcome holds the contexts of
    /// the second, and so on.
    fn follow(&self, first: Outcome, request: &mut Request, input: Input<'_>, out: &mut String) {
        let mut held = vec![first.translation.credit];
        let mut rounds: VecDeque<_> = first.tracer.map(|tracer| tracer.rounds).unwrap_or_default().into();
        while let Some(round) = rounds.pop_front().filter(|_| held.len() <= MAX_ROUNDS) {
            let (mut shown, title) = rounds::begin(&round, &mut request.answers);
            shown.actset_output.set(0);
            out.push_str(&title);
            let mut key = shown;
            key.in_port = request.key.in_port;
            key.words_mut()[packet::key::DP_WORDS..].fill(0);
            let mut tracer = Tracer::default();
            tracer.names = request.names;
            let outcome = xlate::translate(&self.core, Input { key: &key, ..input }, Some(tracer));
            out.push_str(&self.pass_text(&outcome, &shown, request));
            held.push(outcome.translation.credit);
            rounds.extend(outcome.tracer.map(|tracer| tracer.rounds).unwrap_or_default());
        }
    }

    /// One pass: the flow, what was done with it, and what came of it.
    fn pass_text(&self, outcome: &Outcome, shown: &FlowKey, request: &Request) -> String {
        let mut out = format!("Flow: {}\n", self.named(&flow_text(shown), request));
        self.render(outcome, shown, request, &mut out);
        out
    }

    /// A text with the names of ports, if they are asked for.
    fn named(&self, text: &str, request: &Request) -> String {
        let state = self.core.read();
        let known = || state.by_dp.get(&PortNo(request.key.in_port.get())).map(|(bridge, _)| *bridge);
        let bridge =
            request.on.map(|(bridge, _)| bridge).or_else(known).and_then(|id| state.bridges.get(&id));
        match bridge {
            Some(bridge) if request.names => name_ports(text, bridge),
            _ => text.to_owned(),
        }
    }

    fn render(&self, outcome: &Outcome, key: &FlowKey, request: &Request, out: &mut String) {
        out.push_str(&outcome.tracer.as_ref().map(Tracer::render).unwrap_or_default());
        let last = flow_text(&without_actset(&outcome.flow));
        let same = last == flow_text(key);
        out.push_str(&format!(
            "\nFinal flow: {}\n",
            if same { "unchanged".to_owned() } else { self.named(&last, request) }
        ));
        let megaflow = megaflow(key, &outcome.looked_at);
        out.push_str(&format!("Megaflow: {}\n", self.named(&megaflow, request)));
        out.push_str(&format!("Datapath actions: {}", self.actions_text(outcome, request.names)));
        if let Some(why) = outcome.error.and_then(failure) {
            out.push_str(&format!("\nTranslation failed ({why}), packet is dropped."));
        }
        out.push('\n');
    }

    fn actions_text(&self, outcome: &Outcome, names: bool) -> String {
        let actions = &outcome.translation.actions;
        if actions.iter().all(|action| matches!(action, Action::Drop(_))) {
            return "drop".to_owned();
        }
        let state = self.core.read();
        let name = |dp: PortNo| {
            let (bridge, port) = state.by_dp.get(&dp)?;
            Some(state.bridges.get(bridge)?.ports.get(port)?.name.clone())
        };
        let punt = |cookie| self.punt_text(cookie).replace("dont_send=0", "dont_send=1");
        let style =
            odp::Style { verbose: false, names: if names { Some(&name) } else { None }, punt: Some(&punt) };
        odp::actions(actions, &style)
    }

    fn openflow_port(&self, request: &Request) -> OfPort {
        let known = || self.core.read().by_dp.get(&PortNo(request.key.in_port.get())).map(|(_, port)| *port);
        request.on.map(|(_, port)| port).or_else(known).unwrap_or(OfPort(request.key.in_port.get()))
    }
}

fn hex(value: u64) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit() || c.is_whitespace())
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.chunks(2).map(byte).collect() } else { None }
}

fn odp_key(state: &State, flow: &str) -> Result<FlowKey, String> {
    if !flow.contains('(') {
        return Err(format!("syntax error at {flow} (or the bridge name was omitted)"));
    }
    let port = |name: &str| {
        let mut ports = state.bridges.values().flat_map(|bridge| bridge.ports.values());
        ports.find(|port| port.name == name).and_then(|port| port.dp)
    };
    let (key, _) = odp::parse(flow, &port).map_err(|error| error.to_string())?;
    Ok(key)
}

fn openflow_key(
    state: &State,
    bridge: &str,
    flow: &str,
) -> Result<(Option<(BridgeId, OfPort)>, FlowKey), String> {
    let found = state.bridges.values().find(|known| &*known.name == bridge);
    let bridge = found.ok_or_else(|| format!("{bridge}: unknown bridge"))?;
    let port = |name: &str| bridge.ports.values().find(|port| port.name == name).map(|port| port.number);
    let mut key = parse_flow(flow, &port).map_err(|error| format!("Bad openflow flow syntax: {error}"))?;
    let in_port = OfPort(key.in_port.get());
    let dp = bridge.ports.get(&in_port).and_then(|port| port.dp).unwrap_or(PortNo(u32::MAX));
    key.in_port.set(dp.0);
    Ok((Some((bridge.id, in_port)), key))
}

fn without_actset(flow: &FlowKey) -> FlowKey {
    let mut flow = *flow;
    flow.actset_output.set(0);
    flow
}

/// The mask as text: what is not there is not shown.
fn megaflow(key: &FlowKey, looked_at: &FlowMask) -> String {
    let mut mask = *looked_at;
    mask.0.words_mut()[packet::key::DP_WORDS..].fill(0);
    for (tag, shown) in key.vlan.iter().zip(&mut mask.0.vlan) {
        shown.tpid.set(0);
        if tag.tci.get() & VLAN_PRESENT == 0 {
            shown.tci.set(0);
        } else if shown.tci.get() != 0 {
            shown.tci.set(shown.tci.get() | VLAN_PRESENT);
        }
    }
    let text = Match::new(key, &mask).to_string();
    if matches!((key.eth_type.get(), key.nw_proto), (0x0800, 1) | (0x86dd, 58)) {
        icmp_in_eight_bits(&text)
    } else {
        text
    }
}

/// Type and code of ICMP, eight bits wide in fields of sixteen, are shown with that mask.
fn icmp_in_eight_bits(text: &str) -> String {
    let part = |part: &str| match part.split_once('=') {
        Some((name @ ("icmp_type" | "icmp_code"), value)) => {
            value.parse::<u8>().map_or(part.to_owned(), |value| format!("{name}={value:#x}/0xff"))
        }
        _ => part.to_owned(),
    };
    text.split(',').map(part).collect::<Vec<_>>().join(",")
}

/// How Open vSwitch calls what ended a translation.
fn failure(why: DropReason) -> Option<&'static str> {
    Some(match why {
        DropReason::BridgeNotFound => "Bridge not found",
        DropReason::RecursionTooDeep => "Recursion too deep",
        DropReason::TooManyResubmits => "Too many resubmits",
        DropReason::StackTooDeep => "Stack too deep",
        DropReason::NoRecircContext => "No recirculation context",
        DropReason::TooManyMplsLabels => "Too many MPLS labels",
        _ => return None,
    })
}
