//! Codecs that are still missing: everything here is refused.

use crate::error::OfError;
use crate::flow_stats::{FlowStats, FlowStatsRequest};
use crate::version::Version;
use crate::wire::Reader;

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
