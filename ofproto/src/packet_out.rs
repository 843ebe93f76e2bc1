//! Packets that a controller sends through a bridge.

use std::sync::Arc;

use datapath::action::PortNo;
use datapath::owner::Hits;
use openflow::{Action, Match, OfError, OfPort};
use packet::{FlowKey, Packet};

use crate::check;
use crate::state::{BridgeId, Core};
use crate::xlate;

/// Shortest frame that has an Ethernet header.
const MIN_FRAME: usize = 14;

/// Does `actions` to a frame as if it had come in by the port and with the pipeline fields of `metadata`.
pub(crate) fn packet_out(
    core: &Arc<Core>,
    bridge: BridgeId,
    frame: &[u8],
    metadata: &Match,
    actions: &[Action],
    now_ns: u64,
) -> Result<(), OfError> {
    check::actions(actions)?;
    let in_port = metadata.in_port().unwrap_or(OfPort::NONE);
    let datapath = core.datapath();
    let limit = datapath.as_ref().map_or(1, |datapath| datapath.config().vlan_limit);
    let Ok(packet) = Packet::copy_of(frame) else { return Err(OfError::OFPBRC_BAD_LEN) };
    if frame.len() < MIN_FRAME {
        return Ok(());
    }
    let (mut key, _) = packet::extract(frame, limit);
    key.in_port.set(port_in_datapath(core, bridge, in_port).0);
    take_metadata(&mut key, metadata);
    let pipeline = metadata.mask.apply(&metadata.key);
    let input = xlate::Input { key: &key, version: core.stamps.version(), now_ns, effects: true };
    let Some(outcome) = xlate::run_actions(core, input, bridge, in_port, &pipeline, actions) else {
        return Ok(());
    };
    let translation = outcome.translation;
    if let Some(credit) = translation.credit {
        let bytes = frame.len() as u64;
        credit.count(Hits { packets: 1, bytes }, key.tcp_flags.get(), now_ns);
        core.linger(credit, now_ns);
    }
    if let Some(datapath) = datapath.filter(|_| !translation.actions.is_empty()) {
        // A datapath that is too busy drops and counts it, as it does with what comes in.
        let _ = datapath.execute(packet, key, translation.actions);
    }
    Ok(())
}

/// The datapath's number of a port; all ones for one that is not there.
fn port_in_datapath(core: &Core, bridge: BridgeId, port: OfPort) -> PortNo {
    let state = core.read();
    let port = state.bridges.get(&bridge).and_then(|bridge| bridge.ports.get(&port));
    port.and_then(|port| port.dp).unwrap_or(PortNo(u32::MAX))
}

/// Tunnel and mark come with the packet as far as the datapath is concerned.
fn take_metadata(key: &mut FlowKey, metadata: &Match) {
    let given = metadata.mask.apply(&metadata.key);
    key.pkt_mark = given.pkt_mark;
    key.tun_id = given.tun_id;
    key.tun_src = given.tun_src;
    key.tun_dst = given.tun_dst;
}
