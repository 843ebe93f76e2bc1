//! Codecs that are still missing: everything here is refused.

use crate::error::OfError;
use crate::flow_stats::{FlowStats, FlowStatsRequest};
use crate::message::group::{GroupDesc, GroupFeatures, GroupStats};
use crate::message::monitor::{MonitorRequest, MonitorUpdate};
use crate::version::Version;
use crate::wire::Reader;

macro_rules! pending {
    ($($type:ty),*) => {$(
        impl $type {
            pub(super) fn decode(_: Version, _: &mut Reader<'_>) -> Result<Self, OfError> {
                Err(OfError::OFPBRC_BAD_STAT)
            }
            pub(super) fn encode(&self, _: Version, _: &mut Vec<u8>) {}
        }
    )*};
}
pending!(GroupDesc, GroupStats, MonitorUpdate);
impl GroupFeatures {
    pub(super) fn decode(_: &[u8]) -> Result<Self, OfError> {
        Err(OfError::OFPBRC_BAD_STAT)
    }
    pub(super) fn encode_body(&self, _: &mut Vec<u8>) {}
}
impl MonitorRequest {
    pub(super) fn encode(&self, _: Version, _: &mut Vec<u8>) {}
}
impl FlowStatsRequest {
    pub(super) fn decode(_: Version, _: bool, _: &[u8]) -> Result<Self, OfError> {
        Err(OfError::OFPBRC_BAD_STAT)
    }
    pub(super) fn encode_body(&self, _: Version, _: bool, _: &mut Vec<u8>) {}
}
impl FlowStats {
    pub(super) fn decode(_: Version, _: bool, _: &mut Reader<'_>) -> Result<Self, OfError> {
        Err(OfError::OFPBRC_BAD_STAT)
    }
    pub(super) fn encode(&self, _: Version, _: bool, _: &mut Vec<u8>) {}
}
