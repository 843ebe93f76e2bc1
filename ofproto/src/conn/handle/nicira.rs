//! Nicira's settings of a connection, and what else has no number in the standard.

use conntrack::Filter;
use openflow::message::tlv::TlvCommand;
use openflow::message::{Message, TlvTable};
use openflow::{OfError, Version};

use super::{Turn, ct};
use crate::conn::work::Work;

/// Bytes that mapped tunnel options may have together.
const TLV_SPACE: u32 = 256;
/// Fields that tunnel options can be mapped to.
const TLV_FIELDS: u16 = 64;

pub(super) fn dispatch(turn: &mut Turn<'_>, message: Message) -> Result<(), OfError> {
    match message {
        Message::NxSetFlowFormat { nxm } => {
            let session = turn.session()?;
            if session.dialect.version != Version::V10 {
                return Err(OfError::OFPBRC_EPERM);
            }
            session.dialect.nxm = nxm;
        }
        Message::NxFlowModTableId(set) => turn.session()?.dialect.table_id = set,
        Message::NxSetPacketInFormat(format) => turn.session()?.dialect.packet_in = format,
        Message::NxSetControllerId(id) => turn.session()?.controller_id = id,
        Message::NxResume(_) => return Err(OfError::NXR_NOT_SUPPORTED),
        Message::NxTlvTableRequest => {
            let table = TlvTable { max_option_space: TLV_SPACE, max_fields: TLV_FIELDS, maps: Vec::new() };
            turn.reply(&Message::NxTlvTableReply(table));
        }
        Message::NxTlvTableMod(change) => {
            turn.may_change()?;
            return match change.command {
                TlvCommand::Clear | TlvCommand::Delete => Ok(()),
                TlvCommand::Add => Err(OfError::NXTTMFC_TABLE_FULL),
            };
        }
        Message::NxCtFlush(flush) => ct::flush(turn, &flush),
        Message::NxCtFlushZone(zone) => turn.start(Work::ct_flush(Filter::zone(zone), turn.now_ns)),
        Message::FlowMonitorCancel(_) => return Err(OfError::OFPMOFC_UNKNOWN_MONITOR),
        Message::StatsReply { .. } => return Err(OfError::OFPBRC_BAD_STAT),
        _ => return Err(OfError::OFPBRC_BAD_TYPE),
    }
    Ok(())
}
