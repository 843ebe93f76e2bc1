//! The switch as a whole: features, configuration, description.

use openflow::OfError;
use openflow::message::{
    AsyncKind, Capabilities, Desc, Features, FragMode, Message, PacketInReason, StatsReply, SwitchConfig,
    features::OF10_ACTIONS,
};

use super::port_order::arrange;
use super::{Turn, port};
use crate::conn::config::ConnKind;
use crate::conn::session::Session;
use crate::{FragMode as Frags, TABLES};

pub(super) fn features(turn: &mut Turn<'_>) {
    let capabilities = Capabilities::FLOW_STATS
        | Capabilities::TABLE_STATS
        | Capabilities::PORT_STATS
        | Capabilities::GROUP_STATS
        | Capabilities::QUEUE_STATS
        | Capabilities::ARP_MATCH_IP
        | Capabilities::BUNDLES;
    let features = Features {
        datapath_id: turn.bridge.datapath_id(),
        n_buffers: 0,
        n_tables: TABLES,
        auxiliary_id: 0,
        capabilities,
        actions: OF10_ACTIONS,
        ports: arrange(turn.bridge.ports()).iter().map(port::desc_of).collect(),
    };
    turn.reply(&Message::FeaturesReply(features));
}

/// Whether packets whose TTL ran out are wanted: a bit of the configuration in 1.1 and 1.2, of the packet-in mask in all.
const INVALID_TTL: u32 = 1 << PacketInReason::InvalidTtl as u32;

pub(super) fn get_config(turn: &mut Turn<'_>) -> Result<(), OfError> {
    let frag = match turn.bridge.frag_mode() {
        Frags::Normal => FragMode::Normal,
        Frags::Drop => FragMode::Drop,
        Frags::NxMatch => FragMode::NxMatch,
    };
    let session = turn.session()?;
    let invalid_ttl = session.wants.primary[AsyncKind::PacketIn as usize] & INVALID_TTL != 0;
    let config = SwitchConfig {
        frag,
        invalid_ttl_to_controller: Some(invalid_ttl),
        miss_send_len: session.miss_send_len,
    };
    turn.reply(&Message::GetConfigReply(config));
    Ok(())
}

pub(super) fn set_config(turn: &mut Turn<'_>, config: SwitchConfig) -> Result<(), OfError> {
    let is_slave = turn.conn.session.as_ref().is_some_and(Session::is_slave);
    if turn.conn.kind != ConnKind::Primary || !is_slave {
        match config.frag {
            FragMode::Normal => turn.bridge.set_frag_mode(Frags::Normal),
            FragMode::Drop => turn.bridge.set_frag_mode(Frags::Drop),
            FragMode::NxMatch => turn.bridge.set_frag_mode(Frags::NxMatch),
            FragMode::Reassemble => tracing::warn!(
                target: "ofproto",
                "{}: unsupported fragment handling mode reassemble",
                turn.bridge.name()
            ),
        }
    }
    let session = turn.session()?;
    if let Some(wanted) = config.invalid_ttl_to_controller {
        let mask = &mut session.wants.primary[AsyncKind::PacketIn as usize];
        *mask = if wanted { *mask | INVALID_TTL } else { *mask & !INVALID_TTL };
    }
    session.miss_send_len = config.miss_send_len;
    Ok(())
}

pub(super) fn desc(turn: &mut Turn<'_>) {
    let config = turn.bridge.config();
    turn.reply_stats(StatsReply::Desc(Desc {
        manufacturer: "Nicira, Inc.".into(),
        hardware: "Open vSwitch".into(),
        software: "3.1.0".into(),
        serial: config.serial,
        datapath: config.description,
    }));
}
