//! Ports and their queues.

use datapath::netdev::LinkStats;
use openflow::message::port_stats::PortStats;
use openflow::message::{
    Message, PortConfig, PortDesc, PortFeatures, PortMod, PortState, QueueRequest, StatsReply,
};
use openflow::{OfError, OfPort, Version};

use super::port_order::arrange;
use super::{Effect, Turn};
use crate::Bridge;
use crate::conn::age::age;
use crate::conn::devices::Devices;
use crate::port::{Port, PortFlags};

/// Stands for all queues (`OFPQ_ALL`).
const ALL_QUEUES: u32 = u32::MAX;

/// A port as controllers are told of it.
pub(crate) fn desc_of(port: &Port) -> PortDesc {
    let link = &port.link;
    let mut config = PortConfig::from_bits_truncate(port.flags.bits());
    config.set(PortConfig::PORT_DOWN, link.admin_down || port.flags.contains(PortFlags::DOWN));
    let state = if link.link_down { PortState::LINK_DOWN } else { PortState::LIVE };
    PortDesc {
        port_no: port.number,
        hw_addr: port.hw_addr,
        name: port.name.clone(),
        config,
        state,
        curr: PortFeatures::from_bits_truncate(link.current),
        advertised: PortFeatures::from_bits_truncate(link.advertised),
        supported: PortFeatures::from_bits_truncate(link.supported),
        peer: PortFeatures::from_bits_truncate(link.peer),
        curr_speed: link.current_kbps,
        max_speed: link.max_kbps,
    }
}

/// The ports that a request is about: one, or all.
fn chosen(turn: &Turn<'_>, port: OfPort) -> Vec<Port> {
    match port {
        OfPort::NONE => arrange(turn.bridge.ports()),
        number => turn.bridge.port(number).into_iter().collect(),
    }
}

pub(super) fn desc(turn: &mut Turn<'_>, port: OfPort) {
    let ports = chosen(turn, port).iter().map(desc_of).collect();
    turn.reply_stats(StatsReply::PortDesc(ports));
}

pub(super) fn stats(turn: &mut Turn<'_>, port: OfPort) {
    let ports = chosen(turn, port);
    let devices = turn.devices.stats(&ports);
    let stats = ports.iter().map(|port| stats_of(turn, port, devices.get(&port.name))).collect();
    turn.reply_stats(StatsReply::Port(stats));
}

fn stats_of(turn: &Turn<'_>, port: &Port, device: Option<&LinkStats>) -> PortStats {
    let (duration_sec, duration_nsec) = age(port.created_ns, turn.now_ns);
    let named = PortStats { port_no: port.number, duration_sec, duration_nsec, ..PortStats::default() };
    if port.peer.is_some() {
        let (rx, tx) = (port.rx.totals().hits, port.tx.totals().hits);
        return PortStats {
            rx_packets: rx.packets,
            rx_bytes: rx.bytes,
            tx_packets: tx.packets,
            tx_bytes: tx.bytes,
            ..named
        };
    }
    let Some(counted) = port.dp.and_then(|number| turn.devices.datapath().port_stats(number)) else {
        return named;
    };
    let (rx_dropped, tx_dropped) = (counted.rx_dropped(), counted.tx_dropped());
    if let Some(device) = device {
        let named = of_device(device, named);
        return PortStats {
            rx_dropped: named.rx_dropped + rx_dropped,
            tx_dropped: named.tx_dropped + tx_dropped,
            ..named
        };
    }
    PortStats {
        rx_packets: counted.rx.packets,
        rx_bytes: counted.rx.bytes,
        rx_dropped,
        tx_packets: counted.tx.packets,
        tx_bytes: counted.tx.bytes,
        tx_dropped,
        ..named
    }
}

/// What the device below a port counts.
fn of_device(device: &LinkStats, named: PortStats) -> PortStats {
    PortStats {
        rx_packets: device.rx_packets,
        rx_bytes: device.rx_bytes,
        rx_dropped: device.rx_dropped,
        rx_errors: device.rx_errors,
        rx_frame_err: device.rx_frame_errors,
        rx_over_err: device.rx_over_errors,
        rx_crc_err: device.rx_crc_errors,
        tx_packets: device.tx_packets,
        tx_bytes: device.tx_bytes,
        tx_dropped: device.tx_dropped,
        tx_errors: device.tx_errors,
        collisions: device.collisions,
        ..named
    }
}

pub(super) fn port_mod(turn: &mut Turn<'_>, request: &PortMod) -> Result<(), OfError> {
    turn.may_change()?;
    let before = check_mod(turn.bridge, request)?;
    let after = apply_mod(turn.bridge, turn.devices, request)?;
    // Before 1.5, whoever changes a port is not told of it.
    if desc_of(&before) != desc_of(&after)
        && turn.conn.version().is_some_and(|version| version < Version::V15)
    {
        turn.effects.push(Effect::ChangedPort(request.port_no));
    }
    Ok(())
}

/// Whether a port-mod can be done; the port as it is.
pub(in crate::conn) fn check_mod(bridge: &Bridge, request: &PortMod) -> Result<Port, OfError> {
    let port = bridge.port(request.port_no).ok_or(OfError::OFPPMFC_BAD_PORT)?;
    if port.hw_addr == request.hw_addr { Ok(port) } else { Err(OfError::OFPPMFC_BAD_HW_ADDR) }
}

/// Does it; the port as it is then. That a port is down is its device's state, where it has one.
pub(in crate::conn) fn apply_mod(
    bridge: &Bridge,
    devices: &mut Devices,
    request: &PortMod,
) -> Result<Port, OfError> {
    let port = check_mod(bridge, request)?;
    let flags = PortFlags::from_bits_truncate(request.config.bits());
    let mut mask = PortFlags::from_bits_truncate(request.mask.bits());
    let up = !flags.contains(PortFlags::DOWN);
    if mask.contains(PortFlags::DOWN) && devices.set_up(bridge, &port, up) {
        mask.remove(PortFlags::DOWN);
    }
    bridge.port_mod(request.port_no, request.hw_addr, flags, mask)
}

/// Queues are not told of: there are none.
pub(super) fn queue_config(turn: &mut Turn<'_>, port: OfPort) -> Result<(), OfError> {
    let all = port == OfPort::NONE && turn.conn.version().is_some_and(|version| version > Version::V10);
    if !all && (port.is_reserved() || turn.bridge.port(port).is_none()) {
        return Err(OfError::OFPQOFC_BAD_PORT);
    }
    turn.reply(&Message::QueueGetConfigReply(port, Vec::new()));
    Ok(())
}

pub(super) fn queue_desc(turn: &mut Turn<'_>, request: &QueueRequest) -> Result<(), OfError> {
    known_queues(turn, request).map_err(|error| match error {
        OfError::OFPQOFC_BAD_QUEUE => OfError::NXQOFC_QUEUE_ERROR,
        other => other,
    })?;
    turn.reply_stats(StatsReply::QueueDesc(Vec::new()));
    Ok(())
}

pub(super) fn queue_stats(turn: &mut Turn<'_>, request: &QueueRequest) -> Result<(), OfError> {
    known_queues(turn, request)?;
    turn.reply_stats(StatsReply::Queue(Vec::new()));
    Ok(())
}

fn known_queues(turn: &Turn<'_>, request: &QueueRequest) -> Result<(), OfError> {
    if request.port_no != OfPort::NONE && turn.bridge.port(request.port_no).is_none() {
        Err(OfError::OFPQOFC_BAD_PORT)
    } else if request.queue_id != ALL_QUEUES {
        Err(OfError::OFPQOFC_BAD_QUEUE)
    } else {
        Ok(())
    }
}
