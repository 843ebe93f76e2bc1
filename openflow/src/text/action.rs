//! Actions and instructions as `ovs-ofctl dump-flows` prints them.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::List;
use super::value::{hex, mac, value_text};
use crate::OfPort;
use crate::action::{
    Action, Controller, Ct, CtRange, CtZone, Instructions, Nat, NatFlags, Resubmit, SetField, SetForm,
};
use crate::codec::action::segments;

/// A list of actions; `drop` when it is empty.
pub fn actions(list: &[Action]) -> String {
    if list.is_empty() {
        return "drop".to_owned();
    }
    let parts: Vec<_> = list.iter().map(ToString::to_string).collect();
    parts.join(",")
}

/// Instructions, in their order; `drop` when there is none.
pub fn instructions(i: &Instructions) -> String {
    let mut parts = Vec::new();
    parts.extend(i.meter.map(|id| format!("meter:{id}")));
    parts.extend(i.apply.iter().map(ToString::to_string));
    parts.extend(i.clear.then(|| "clear_actions".to_owned()));
    parts.extend(i.write.as_ref().map(|write| format!("write_actions({})", actions(write))));
    parts.extend(i.metadata.map(|(value, mask)| match mask {
        u64::MAX => format!("write_metadata:{}", hex(value.into())),
        _ => format!("write_metadata:{}/{}", hex(value.into()), hex(mask.into())),
    }));
    parts.extend(i.goto_table.map(|table| format!("goto_table:{table}")));
    if parts.is_empty() { "drop".to_owned() } else { parts.join(",") }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&instructions(self))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Output { .. } | Action::OutputReg { .. } | Action::OutputTrunc { .. } => output(self, f),
            Action::Controller(controller) => write_controller(controller, f),
            Action::Enqueue { port, queue } => write!(f, "enqueue:{port}:{queue}"),
            Action::SetQueue(queue) => write!(f, "set_queue:{queue}"),
            Action::PopQueue => f.write_str("pop_queue"),
            Action::Group(id) => write!(f, "group:{id}"),
            Action::Meter(id) => write!(f, "meter:{id}"),
            Action::Bundle(bundle) => bundle.fmt(f),
            Action::Multipath(multipath) => multipath.fmt(f),
            Action::Sample(sample) => sample.fmt(f),
            Action::Learn(learn) => learn.fmt(f),
            Action::Encap(encap) => encap.fmt(f),
            Action::SetField(set) => set_field(set, f),
            Action::Move { src, dst, .. } => write!(f, "move:{src}->{dst}"),
            Action::StackPush(src) => write!(f, "push:{src}"),
            Action::StackPop(dst) => write!(f, "pop:{dst}"),
            Action::SetTunnel { id, wide } => {
                let wide = *wide || *id > u64::from(u32::MAX);
                write!(f, "set_tunnel{}:{}", if wide { "64" } else { "" }, hex((*id).into()))
            }
            Action::Resubmit(resubmit) => write_resubmit(resubmit, f),
            Action::Clone(list) => write!(f, "clone({})", actions(list)),
            Action::Exit => f.write_str("exit"),
            Action::Note(bytes) => write!(f, "note:{}", dotted(bytes)),
            Action::Ct(ct) => write_ct(ct, f),
            Action::Nat(nat) => write_nat(nat, f),
            Action::CtClear => f.write_str("ct_clear"),
            Action::Conjunction { id, clause, n_clauses } => {
                write!(f, "conjunction({id},{}/{n_clauses})", clause + 1)
            }
            Action::FinTimeout { idle, hard } => fin_timeout(*idle, *hard, f),
            Action::CheckPktLarger { len, dst } => write!(f, "check_pkt_larger({len})->{dst}"),
            Action::DeleteField(field) => write!(f, "delete_field:{}", field.name()),
            Action::Decap(0xffff_fffe | 0xfffe) => f.write_str("decap()"),
            Action::Decap(kind) => write!(f, "decap(packet_type(ns={},id={:#x}))", kind >> 16, kind & 0xffff),
            Action::DecNshTtl => f.write_str("dec_nsh_ttl"),
            _ => header(self, f),
        }
    }
}

/// Actions that set one header field, or add and remove headers.
fn header(action: &Action, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let address = |addr: &u32| std::net::Ipv4Addr::from(*addr);
    let ethernet = |bytes: &[u8; 6]| mac(crate::codec::nxm::number(bytes));
    match action {
        Action::SetVlanVid { vid, push_if_needed, .. } => {
            write!(f, "{}:{vid}", if *push_if_needed { "mod_vlan_vid" } else { "set_vlan_vid" })
        }
        Action::SetVlanPcp { pcp, push_if_needed, .. } => {
            write!(f, "{}:{pcp}", if *push_if_needed { "mod_vlan_pcp" } else { "set_vlan_pcp" })
        }
        Action::StripVlan => f.write_str("strip_vlan"),
        Action::PopVlan => f.write_str("pop_vlan"),
        Action::PushVlan(ethertype) => write!(f, "push_vlan:{ethertype:#06x}"),
        Action::SetEthSrc(bytes) => write!(f, "mod_dl_src:{}", ethernet(bytes)),
        Action::SetEthDst(bytes) => write!(f, "mod_dl_dst:{}", ethernet(bytes)),
        Action::SetIpv4Src(addr) => write!(f, "mod_nw_src:{}", address(addr)),
        Action::SetIpv4Dst(addr) => write!(f, "mod_nw_dst:{}", address(addr)),
        Action::SetIpDscp(tos) => write!(f, "mod_nw_tos:{tos}"),
        Action::SetIpEcn(ecn) => write!(f, "mod_nw_ecn:{ecn}"),
        Action::SetIpTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
        Action::SetL4Src(l4) => write!(f, "mod_tp_src:{}", l4.port),
        Action::SetL4Dst(l4) => write!(f, "mod_tp_dst:{}", l4.port),
        Action::DecTtl(dec) if dec.explicit => {
            let ids: Vec<_> = dec.ids.iter().map(ToString::to_string).collect();
            write!(f, "dec_ttl({})", ids.join(","))
        }
        Action::DecTtl(_) => f.write_str("dec_ttl"),
        Action::PushMpls(ethertype) => write!(f, "push_mpls:{ethertype:#06x}"),
        Action::PopMpls(ethertype) => write!(f, "pop_mpls:{ethertype:#06x}"),
        Action::SetMplsLabel(label) => write!(f, "set_mpls_label({label})"),
        Action::SetMplsTc(tc) => write!(f, "set_mpls_tc({tc})"),
        Action::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
        Action::DecMplsTtl => f.write_str("dec_mpls_ttl"),
        _ => Ok(()),
    }
}

fn output(action: &Action, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match action {
        Action::Output { port, max_len } if *port == OfPort::CONTROLLER => write!(f, "{port}:{max_len}"),
        Action::Output { port, .. } if port.is_reserved() => write!(f, "{port}"),
        Action::Output { port, .. } => write!(f, "output:{port}"),
        Action::OutputReg { src, .. } => write!(f, "output:{src}"),
        Action::OutputTrunc { port, max_len } => write!(f, "output(port={port},max_len={max_len})"),
        _ => Ok(()),
    }
}

fn write_controller(c: &Controller, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let plain = Controller { max_len: c.max_len, wide: c.wide, ..Controller::default() };
    if *c == plain {
        return write!(f, "CONTROLLER:{}", c.max_len);
    }
    f.write_str("controller(")?;
    let mut list = List::new(f);
    list.maybe(c.reason != 1, format_args!("reason={}", reason(c.reason)))?;
    list.maybe(c.max_len != 0xffff, format_args!("max_len={}", c.max_len))?;
    list.maybe(c.controller_id != 0, format_args!("id={}", c.controller_id))?;
    list.maybe(!c.userdata.is_empty(), format_args!("userdata={}", dotted(&c.userdata)))?;
    list.maybe(c.pause, format_args!("pause"))?;
    list.maybe(c.meter.is_some(), format_args!("meter_id={}", c.meter.unwrap_or(0)))?;
    f.write_str(")")
}

fn reason(number: u8) -> String {
    let names = ["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];
    names.get(usize::from(number)).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn dotted(bytes: &[u8]) -> String {
    let parts: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(".")
}

fn set_field(set: &SetField, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if set.form == SetForm::Load {
        let mut list = List::new(f);
        return segments(set)
            .iter()
            .try_for_each(|(dst, value)| list.item(format_args!("load:{}->{dst}", hex((*value).into()))));
    }
    let name = set.field.name();
    write!(f, "set_field:{}->{name}", value_text(set.field, set.value, set.mask))
}

fn write_resubmit(r: &Resubmit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let port = if r.port == OfPort::IN_PORT { String::new() } else { r.port.to_string() };
    if !port.is_empty() && r.table == 255 && !r.with_ct_orig {
        return write!(f, "resubmit:{port}");
    }
    let table = if r.table == 255 { String::new() } else { r.table.to_string() };
    write!(f, "resubmit({port},{table}{})", if r.with_ct_orig { ",ct" } else { "" })
}

fn fin_timeout(idle: u16, hard: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("fin_timeout(")?;
    let mut list = List::new(f);
    list.maybe(idle != 0, format_args!("idle_timeout={idle}"))?;
    list.maybe(hard != 0, format_args!("hard_timeout={hard}"))?;
    f.write_str(")")
}

fn write_ct(ct: &Ct, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("ct(")?;
    let mut list = List::new(f);
    list.maybe(ct.commit, format_args!("commit"))?;
    list.maybe(ct.force, format_args!("force"))?;
    if let Some(table) = ct.recirc_table {
        list.item(format_args!("table={table}"))?;
    }
    match &ct.zone {
        CtZone::Field(src) => list.item(format_args!("zone={src}"))?,
        CtZone::Number(0) => {}
        CtZone::Number(zone) => list.item(format_args!("zone={zone}"))?,
    }
    let mut rest = &ct.actions[..];
    if let [first @ Action::Nat(_), others @ ..] = rest {
        list.item(format_args!("{first}"))?;
        rest = others;
    }
    list.maybe(!rest.is_empty(), format_args!("exec({})", actions(rest)))?;
    match ct.alg {
        0 => {}
        21 => list.item(format_args!("alg=ftp"))?,
        69 => list.item(format_args!("alg=tftp"))?,
        port => list.item(format_args!("alg={port}"))?,
    }
    f.write_str(")")
}

fn write_nat(nat: &Nat, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let side = match (nat.flags.has(NatFlags::SRC), nat.flags.has(NatFlags::DST)) {
        (true, _) => "src",
        (_, true) => "dst",
        _ => return f.write_str("nat"),
    };
    let range = nat_range(nat);
    f.write_str("nat(")?;
    let mut list = List::new(f);
    list.item(format_args!("{side}{range}"))?;
    list.maybe(nat.flags.has(NatFlags::PERSISTENT), format_args!("persistent"))?;
    list.maybe(nat.flags.has(NatFlags::HASH), format_args!("hash"))?;
    list.maybe(nat.flags.has(NatFlags::RANDOM), format_args!("random"))?;
    f.write_str(")")
}

/// `=ADDRESS[-ADDRESS][:PORT[-PORT]]`, or nothing without an address.
fn nat_range(nat: &Nat) -> String {
    let Some(addr) = nat.range.addr else { return String::new() };
    let mut out = String::from("=");
    let ports = nat.range.ports;
    let bracket = |addr: IpAddr| match addr {
        IpAddr::V6(addr) if ports.is_some() => format!("[{addr}]"),
        addr => addr.to_string(),
    };
    out.push_str(&bracket(addr.min));
    if let Some(max) = other_end(&addr) {
        let _ = write!(out, "-{}", bracket(max));
    }
    if let Some(ports) = ports {
        let _ = write!(out, ":{}", ports.min);
        if let Some(max) = other_end(&ports) {
            let _ = write!(out, "-{max}");
        }
    }
    out
}

fn other_end<T: Copy + PartialEq>(range: &CtRange<T>) -> Option<T> {
    range.max.filter(|max| *max != range.min)
}
