//! `fdb/*`: learned MAC addresses.

use std::fmt::Write as _;
use std::sync::Arc;

use ofproto::Bridge;
use ofproto::mac::MacKey;
use openflow::OfPort;

use crate::appctl::{Answer, Command};
use crate::clock;
use crate::control::Control;

/// The commands of this family.
pub(super) fn commands() -> [Command<Control>; 6] {
    [
        Command {
            name: "fdb/show",
            usage: "bridge",
            min: 1,
            max: 1,
            run: |c, args| show(c, &args[0]).into(),
        },
        Command {
            name: "fdb/add",
            usage: "bridge port vlan mac",
            min: 4,
            max: 4,
            run: |c, args| add(c, args).into(),
        },
        Command {
            name: "fdb/del",
            usage: "bridge vlan mac",
            min: 3,
            max: 3,
            run: |c, args| del(c, args).into(),
        },
        Command {
            name: "fdb/flush",
            usage: "[bridge]",
            min: 0,
            max: 1,
            run: |c, args| flush(c, args.first()).into(),
        },
        Command {
            name: "fdb/stats-show",
            usage: "bridge",
            min: 1,
            max: 1,
            run: |c, args| stats(c, &args[0]).into(),
        },
        Command {
            name: "fdb/stats-clear",
            usage: "[bridge]",
            min: 0,
            max: 1,
            run: |c, args| clear(c, args.first()).into(),
        },
    ]
}

fn bridge(control: &Control, name: &str) -> Result<Arc<Bridge>, String> {
    control.switch.bridge(name).ok_or_else(|| "no such bridge".into())
}

/// The named bridge, or all.
fn bridges(control: &Control, name: Option<&String>) -> Result<Vec<Arc<Bridge>>, String> {
    name.map_or_else(|| Ok(control.switch.bridges()), |name| bridge(control, name).map(|bridge| vec![bridge]))
}

fn show(control: &Control, name: &str) -> Answer {
    let mut out = String::from(" port  VLAN  MAC                Age\n");
    for row in bridge(control, name)?.mac_rows(clock::now_ns()) {
        let port = if row.port == OfPort::LOCAL { "LOCAL".into() } else { row.port.0.to_string() };
        let age = row.age_s.map_or_else(|| "static".into(), |age| format!("{age:3}"));
        let _ = writeln!(out, "{port:>5}  {:4}  {}  {age}", row.key.vlan, mac_text(row.key.mac));
    }
    Ok(out)
}

fn add(control: &Control, args: &[String]) -> Answer {
    let bridge = bridge(control, &args[0])?;
    let named = bridge.port_by_name(&args[1]).map(|port| port.number);
    let number = args[1].parse().ok().map(OfPort).filter(|number| bridge.port(*number).is_some());
    let port = named.or(number).ok_or("software error, odp port is present but no ofp port")?;
    bridge.add_mac(key(&args[2], &args[3])?, port, clock::now_ns());
    Ok(String::new())
}

fn del(control: &Control, args: &[String]) -> Answer {
    let removed = bridge(control, &args[0])?.remove_mac(key(&args[1], &args[2])?);
    if removed { Ok(String::new()) } else { Err("could not find static mac entry".into()) }
}

fn flush(control: &Control, name: Option<&String>) -> Answer {
    bridges(control, name)?.iter().for_each(|bridge| bridge.flush_macs());
    Ok("table successfully flushed".into())
}

fn clear(control: &Control, name: Option<&String>) -> Answer {
    bridges(control, name)?.iter().for_each(|bridge| bridge.clear_mac_stats());
    Ok("statistics successfully cleared".into())
}

fn stats(control: &Control, name: &str) -> Answer {
    let (stats, limit) = bridge(control, name)?.mac_stats();
    Ok(format!(
        "Statistics for bridge \"{name}\":\n  \
         Current/maximum MAC entries in the table: {}/{limit}\n  \
         Current static MAC entries in the table : {}\n  \
         Total number of learned MAC entries     : {}\n  \
         Total number of expired MAC entries     : {}\n  \
         Total number of evicted MAC entries     : {}\n  \
         Total number of port moved MAC entries  : {}\n",
        stats.total, stats.fixed, stats.learned, stats.expired, stats.evicted, stats.moved
    ))
}

fn key(vlan: &str, mac: &str) -> Result<MacKey, String> {
    let vlan = vlan.parse().ok().filter(|vlan| *vlan < 4096).ok_or("bad VLAN")?;
    Ok(MacKey { vlan, mac: parse_mac(mac).ok_or("bad MAC address")? })
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked() {
        assert_eq!(key("10", "00:00:00:00:00:0a").unwrap().mac, [0, 0, 0, 0, 0, 10]);
        assert_eq!(key("4096", "00:00:00:00:00:0a"), Err("bad VLAN".into()));
        assert_eq!(key("1", "00:00:00:00:00"), Err("bad MAC address".into()));
        assert_eq!(key("1", "00:00:00:00:00:00:00"), Err("bad MAC address".into()));
    }
}
