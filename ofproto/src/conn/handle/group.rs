//! Groups and meters. There is room for none yet: questions are answered, changes are refused.

use openflow::OfError;
use openflow::message::group::GroupCapabilities;
use openflow::message::meter::MeterCommand;
use openflow::message::{GroupCommand, GroupFeatures, GroupMod, MeterFeatures, MeterMod, StatsReply};

use super::Turn;

/// Stands for all meters (`OFPM_ALL`).
const ALL_METERS: u32 = u32::MAX;

/// Deleting what is not there is no error.
pub(in crate::conn) fn group_mod(request: &GroupMod) -> Result<(), OfError> {
    match request.command {
        GroupCommand::Delete => Ok(()),
        GroupCommand::Add | GroupCommand::AddOrModify => Err(OfError::OFPGMFC_OUT_OF_GROUPS),
        _ => Err(OfError::OFPGMFC_UNKNOWN_GROUP),
    }
}

pub(super) fn features() -> GroupFeatures {
    GroupFeatures { types: 0, capabilities: GroupCapabilities::empty(), max_groups: [0; 4], actions: [0; 4] }
}

pub(super) fn meter_mod(request: &MeterMod) -> Result<(), OfError> {
    match request.command {
        MeterCommand::Delete => Ok(()),
        MeterCommand::Add => Err(OfError::OFPMMFC_OUT_OF_METERS),
        MeterCommand::Modify => Err(OfError::OFPMMFC_UNKNOWN_METER),
    }
}

fn known_meter(id: u32) -> Result<(), OfError> {
    if id == ALL_METERS { Ok(()) } else { Err(OfError::OFPMMFC_UNKNOWN_METER) }
}

pub(super) fn meter_stats(turn: &mut Turn<'_>, id: u32) -> Result<(), OfError> {
    known_meter(id)?;
    turn.reply_stats(StatsReply::Meter(Vec::new()));
    Ok(())
}

pub(super) fn meter_config(turn: &mut Turn<'_>, id: u32) -> Result<(), OfError> {
    known_meter(id)?;
    turn.reply_stats(StatsReply::MeterConfig(Vec::new()));
    Ok(())
}

pub(super) fn meter_features() -> MeterFeatures {
    MeterFeatures { max_meters: 0, band_types: 0, capabilities: 0, max_bands: 0, max_color: 0 }
}
