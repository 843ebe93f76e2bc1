//! The errors of OpenFlow: one neutral code for each, and its number in every version.
//!
//! [`OfError`] names a reason as Open vSwitch names it. On the wire a reason is a (type, code) pair that moved from
//! version to version; reasons that a version lacks travel as Nicira or ONF experimenter errors there, and what has no number at all
//! is sent as `NXBRC_UNENCODABLE_ERROR`. [`OfError::encode`] and [`OfError::decode`] do that mapping by one table.

use crate::version::Version;
use bytes::BufMut;
use std::fmt;

/// Nicira's experimenter id.
pub const NICIRA: u32 = 0x0000_2320;
/// The Open Networking Foundation's experimenter id.
pub const ONF: u32 = 0x4f4e_4600;

/// Error type of a Nicira error in OpenFlow 1.0 and 1.1, followed by vendor, type and code.
const NXET_VENDOR: u16 = 0xb0c2;
/// Error type of an experimenter error from OpenFlow 1.2 on (clause 7.5.4).
const OFPET_EXPERIMENTER: u16 = 0xffff;

/// How many bytes of the offending message an error carries.
pub const DATA_LEN: usize = 64;

/// A reason for refusing a message. Copy, one byte; its name is that of the specification or of Open vSwitch.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OfError(u8);

/// Where an error stands in some range of versions.
struct Place {
    /// 0 for a plain error, else the experimenter.
    vendor: u32,
    kind: u16,
    code: u16,
    /// First and last version, as on the wire.
    from: u8,
    to: u8,
}

const fn std(kind: u16, code: u16, from: u8, to: u8) -> Place {
    Place { vendor: 0, kind, code, from, to }
}

/// A Nicira error of OpenFlow 1.0 and 1.1: it has a type as well as a code.
const fn nx(kind: u16, code: u16, from: u8, to: u8) -> Place {
    Place { vendor: NICIRA, kind, code, from, to }
}

/// An experimenter error of OpenFlow 1.2 and later: one number.
const fn exp(vendor: u32, kind: u16, from: u8, to: u8) -> Place {
    Place { vendor, kind, code: 0, from, to }
}

struct Row {
    name: &'static str,
    places: &'static [Place],
}

/// Declares the constants and the table behind them, in one order.
macro_rules! errors {
    ($($name:ident [$($place:expr),*],)*) => {
        #[repr(u8)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($name),* }

        impl OfError {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub const $name: OfError = OfError(Index::$name as u8);)*
        }

        static ROWS: &[Row] = &[$(Row { name: stringify!($name), places: &[$($place),*] }),*];
    };
}

// The last two numbers of a place are its first and last version: 1 is OpenFlow 1.0, 6 is OpenFlow 1.5.
errors! {
    OFPHFC_INCOMPATIBLE [std(0, 0, 1, 6)],
    OFPHFC_EPERM [std(0, 1, 1, 6)],
    OFPBRC_BAD_VERSION [std(1, 0, 1, 6)],
    OFPBRC_BAD_TYPE [std(1, 1, 1, 6)],
    OFPBRC_BAD_STAT [std(1, 2, 1, 6)],
    OFPBRC_BAD_VENDOR [std(1, 3, 1, 6)],
    OFPBRC_BAD_SUBTYPE [std(1, 4, 1, 6)],
    OFPBRC_EPERM [std(1, 5, 1, 6)],
    OFPBRC_BAD_LEN [std(1, 6, 1, 6)],
    OFPBRC_BUFFER_EMPTY [std(1, 7, 1, 6)],
    OFPBRC_BUFFER_UNKNOWN [std(1, 8, 1, 6)],
    OFPBAC_BAD_TYPE [std(2, 0, 1, 6)],
    OFPBAC_BAD_LEN [std(2, 1, 1, 6)],
    OFPBAC_BAD_VENDOR [std(2, 2, 1, 6)],
    OFPBAC_BAD_VENDOR_TYPE [std(2, 3, 1, 6)],
    OFPBAC_BAD_OUT_PORT [std(2, 4, 1, 6)],
    OFPBAC_BAD_ARGUMENT [std(2, 5, 1, 6)],
    OFPBAC_EPERM [std(2, 6, 1, 6)],
    OFPBAC_TOO_MANY [std(2, 7, 1, 6)],
    OFPBAC_BAD_QUEUE [std(2, 8, 1, 6)],
    OFPFMFC_TABLE_FULL [std(3, 0, 1, 1), std(5, 1, 2, 6)],
    OFPFMFC_OVERLAP [std(3, 1, 1, 1), std(5, 3, 2, 6)],
    OFPFMFC_EPERM [std(3, 2, 1, 1), std(5, 4, 2, 6)],
    OFPFMFC_BAD_EMERG_TIMEOUT [std(3, 3, 1, 1)],
    OFPFMFC_BAD_COMMAND [std(3, 4, 1, 1), std(5, 6, 2, 6)],
    OFPFMFC_UNSUPPORTED [std(3, 5, 1, 1)],
    OFPPMFC_BAD_PORT [std(4, 0, 1, 1), std(7, 0, 2, 6)],
    OFPPMFC_BAD_HW_ADDR [std(4, 1, 1, 1), std(7, 1, 2, 6)],
    OFPQOFC_BAD_PORT [std(5, 0, 1, 1), std(9, 0, 2, 6)],
    OFPQOFC_BAD_QUEUE [std(5, 1, 1, 1), std(9, 1, 2, 6)],
    OFPQOFC_EPERM [std(5, 2, 1, 1), std(9, 2, 2, 6)],
    OFPBMC_BAD_FIELD [nx(0, 263, 1, 1), std(4, 6, 2, 6)],
    NXBRC_NXM_INVALID [nx(1, 256, 1, 2), exp(NICIRA, 2, 3, 6)],
    NXBRC_NXM_BAD_TYPE [nx(1, 257, 1, 2), exp(NICIRA, 3, 3, 6)],
    OFPBMC_BAD_VALUE [nx(1, 258, 1, 1), std(4, 7, 2, 6)],
    OFPBMC_BAD_MASK [nx(1, 259, 1, 2), std(4, 8, 3, 6)],
    OFPBMC_BAD_PREREQ [nx(1, 260, 1, 2), std(4, 9, 3, 6)],
    OFPBMC_DUP_FIELD [nx(1, 261, 1, 2), std(4, 10, 3, 6)],
    OFPBMC_BAD_WILDCARDS [nx(1, 262, 1, 1), std(4, 5, 2, 6)],
    NXBMC_CT_DATAPATH_SUPPORT [nx(1, 264, 1, 2), exp(NICIRA, 43, 3, 6)],
    NXBAC_CT_DATAPATH_SUPPORT [nx(1, 265, 1, 2), exp(NICIRA, 42, 3, 6)],
    OFPBRC_BAD_TABLE_ID [nx(1, 512, 1, 1), std(1, 9, 2, 6)],
    OFPRRFC_BAD_ROLE [nx(1, 513, 1, 2), std(11, 2, 3, 6)],
    OFPBRC_BAD_PORT [nx(1, 514, 1, 2), std(1, 11, 3, 6)],
    NXBRC_MUST_BE_ZERO [nx(1, 515, 1, 2), exp(NICIRA, 4, 3, 6)],
    NXBRC_BAD_REASON [nx(1, 516, 1, 2), exp(NICIRA, 5, 3, 6)],
    OFPMOFC_MONITOR_EXISTS [nx(1, 517, 1, 2), exp(NICIRA, 6, 3, 4), std(16, 1, 5, 6)],
    OFPMOFC_BAD_FLAGS [nx(1, 518, 1, 2), exp(NICIRA, 7, 3, 4), std(16, 5, 5, 6)],
    OFPMOFC_UNKNOWN_MONITOR [nx(1, 519, 1, 2), exp(NICIRA, 8, 3, 4), std(16, 3, 5, 6)],
    NXBRC_FM_BAD_EVENT [nx(1, 520, 1, 2), exp(NICIRA, 9, 3, 6)],
    NXBRC_UNENCODABLE_ERROR [nx(1, 521, 1, 2), exp(NICIRA, 10, 3, 6)],
    OFPBAC_MATCH_INCONSISTENT [nx(1, 522, 1, 1), std(2, 10, 2, 6)],
    OFPBAC_BAD_SET_TYPE [nx(1, 523, 1, 2), std(2, 13, 3, 6)],
    OFPBAC_BAD_SET_LEN [nx(1, 524, 1, 2), std(2, 14, 3, 6)],
    OFPBAC_BAD_SET_ARGUMENT [nx(1, 525, 1, 2), std(2, 15, 3, 6)],
    NXTTMFC_BAD_COMMAND [nx(1, 527, 1, 2), exp(NICIRA, 16, 3, 6)],
    NXTTMFC_BAD_OPT_LEN [nx(1, 528, 1, 2), exp(NICIRA, 17, 3, 6)],
    NXTTMFC_BAD_FIELD_IDX [nx(1, 529, 1, 2), exp(NICIRA, 18, 3, 6)],
    NXTTMFC_TABLE_FULL [nx(1, 530, 1, 2), exp(NICIRA, 19, 3, 6)],
    NXTTMFC_ALREADY_MAPPED [nx(1, 531, 1, 2), exp(NICIRA, 20, 3, 6)],
    NXTTMFC_DUP_ENTRY [nx(1, 532, 1, 2), exp(NICIRA, 21, 3, 6)],
    NXR_NOT_SUPPORTED [nx(1, 533, 1, 2), exp(NICIRA, 34, 3, 6)],
    NXR_STALE [nx(1, 534, 1, 2), exp(NICIRA, 35, 3, 6)],
    NXST_NOT_CONFIGURED [nx(1, 535, 1, 2), exp(NICIRA, 36, 3, 6)],
    NXFMFC_INVALID_TLV_FIELD [nx(1, 536, 1, 2), exp(NICIRA, 37, 3, 6)],
    NXTTMFC_INVALID_TLV_DEL [nx(1, 537, 1, 2), exp(NICIRA, 38, 3, 6)],
    OFPBAC_BAD_OUT_GROUP [nx(2, 9, 1, 1), std(2, 9, 2, 6)],
    NXBAC_MUST_BE_ZERO [nx(2, 256, 1, 2), exp(NICIRA, 11, 3, 6)],
    OFPBIC_UNSUP_INST [nx(2, 257, 1, 1), std(3, 1, 2, 6)],
    NXBAC_BAD_CONJUNCTION [nx(2, 526, 1, 2), exp(NICIRA, 15, 3, 6)],
    OFPFMFC_BAD_FLAGS [nx(3, 258, 1, 1), nx(5, 258, 2, 2), std(5, 7, 3, 6)],
    NXFMFC_HARDWARE [nx(5, 256, 1, 2), exp(NICIRA, 12, 3, 6)],
    NXFMFC_BAD_TABLE_ID [nx(5, 257, 1, 2), exp(NICIRA, 13, 3, 6)],
    OFPGMFC_GROUP_EXISTS [nx(6, 0, 1, 1), std(6, 0, 2, 6)],
    OFPGMFC_INVALID_GROUP [nx(6, 1, 1, 1), std(6, 1, 2, 6)],
    OFPGMFC_WEIGHT_UNSUPPORTED [nx(6, 2, 1, 1), std(6, 2, 2, 6)],
    OFPGMFC_OUT_OF_GROUPS [nx(6, 3, 1, 1), std(6, 3, 2, 6)],
    OFPGMFC_OUT_OF_BUCKETS [nx(6, 4, 1, 1), std(6, 4, 2, 6)],
    OFPGMFC_CHAINING_UNSUPPORTED [nx(6, 5, 1, 1), std(6, 5, 2, 6)],
    OFPGMFC_WATCH_UNSUPPORTED [nx(6, 6, 1, 1), std(6, 6, 2, 6)],
    OFPGMFC_LOOP [nx(6, 7, 1, 1), std(6, 7, 2, 6)],
    OFPGMFC_UNKNOWN_GROUP [nx(6, 8, 1, 1), std(6, 8, 2, 6)],
    OFPGMFC_CHAINED_GROUP [nx(6, 9, 1, 1), std(6, 9, 3, 6)],
    OFPGMFC_BAD_TYPE [nx(6, 10, 1, 1), std(6, 10, 3, 6)],
    OFPGMFC_BAD_COMMAND [nx(6, 11, 1, 1), std(6, 11, 3, 6)],
    OFPGMFC_BAD_BUCKET [nx(6, 12, 1, 1), std(6, 12, 3, 6)],
    OFPGMFC_BAD_WATCH [nx(6, 13, 1, 1), std(6, 13, 3, 6)],
    OFPGMFC_EPERM [nx(6, 14, 1, 1), std(6, 14, 3, 6)],
    OFPGMFC_UNKNOWN_BUCKET [nx(6, 15, 1, 1), std(6, 15, 6, 6)],
    OFPGMFC_BUCKET_EXISTS [nx(6, 16, 1, 1), std(6, 16, 6, 6)],
    OFPBPC_BAD_TYPE [nx(13, 2, 1, 2), exp(NICIRA, 25, 3, 3), std(13, 2, 4, 4), std(14, 0, 5, 6)],
    OFPBPC_BAD_LEN [nx(13, 3, 1, 2), exp(NICIRA, 26, 3, 3), std(13, 3, 4, 4), std(14, 1, 5, 6)],
    OFPBPC_BAD_VALUE [nx(13, 4, 1, 2), exp(NICIRA, 27, 3, 3), std(13, 4, 4, 4), std(14, 2, 5, 6)],
    OFPBPC_TOO_MANY [nx(14, 3, 1, 2), exp(NICIRA, 28, 3, 3), exp(ONF, 4443, 4, 4), std(14, 3, 5, 6)],
    OFPBPC_DUP_TYPE [nx(14, 4, 1, 2), exp(NICIRA, 29, 3, 3), exp(ONF, 4444, 4, 4), std(14, 4, 5, 6)],
    OFPBPC_BAD_EXPERIMENTER [nx(14, 5, 1, 2), exp(NICIRA, 30, 3, 3), exp(ONF, 4445, 4, 4), std(14, 5, 5, 6)],
    OFPBPC_BAD_EXP_TYPE [nx(14, 6, 1, 2), exp(NICIRA, 31, 3, 3), exp(ONF, 4446, 4, 4), std(14, 6, 5, 6)],
    OFPBPC_BAD_EXP_VALUE [nx(14, 7, 1, 2), exp(NICIRA, 32, 3, 3), exp(ONF, 4447, 4, 4), std(14, 7, 5, 6)],
    OFPBPC_EPERM [nx(14, 8, 1, 2), exp(NICIRA, 33, 3, 3), exp(ONF, 4448, 4, 4), std(14, 8, 5, 6)],
    OFPBAC_UNSUPPORTED_ORDER [std(2, 11, 2, 6)],
    OFPBAC_BAD_TAG [std(2, 12, 2, 6)],
    OFPBIC_UNKNOWN_INST [std(3, 0, 2, 6)],
    OFPBIC_BAD_TABLE_ID [std(3, 2, 2, 6)],
    OFPBIC_UNSUP_METADATA [std(3, 3, 2, 6)],
    OFPBIC_UNSUP_METADATA_MASK [std(3, 4, 2, 6)],
    OFPBIC_BAD_EXPERIMENTER [std(3, 5, 2, 6)],
    OFPBMC_BAD_TYPE [std(4, 0, 2, 6)],
    OFPBMC_BAD_LEN [std(4, 1, 2, 6)],
    OFPBMC_BAD_TAG [std(4, 2, 2, 6)],
    OFPBMC_BAD_DL_ADDR_MASK [std(4, 3, 2, 6)],
    OFPBMC_BAD_NW_ADDR_MASK [std(4, 4, 2, 6)],
    OFPFMFC_UNKNOWN [std(5, 0, 2, 6)],
    OFPFMFC_BAD_TABLE_ID [std(5, 2, 2, 6)],
    OFPFMFC_BAD_TIMEOUT [std(5, 5, 2, 6)],
    OFPPMFC_BAD_CONFIG [std(7, 2, 2, 6)],
    OFPPMFC_BAD_ADVERTISE [std(7, 3, 2, 6)],
    OFPTMFC_BAD_TABLE [std(8, 0, 2, 6)],
    OFPTMFC_BAD_CONFIG [std(8, 1, 2, 6)],
    OFPSCFC_BAD_FLAGS [std(10, 0, 2, 6)],
    OFPSCFC_BAD_LEN [std(10, 1, 2, 6)],
    OFPBIC_DUP_INST [nx(3, 256, 2, 2), exp(ONF, 2600, 3, 4), std(3, 9, 5, 6)],
    OFPBRC_IS_SECONDARY [std(1, 10, 3, 6)],
    OFPBRC_BAD_PACKET [std(1, 12, 3, 6)],
    OFPBIC_BAD_EXP_TYPE [std(3, 6, 3, 6)],
    OFPBIC_BAD_LEN [std(3, 7, 3, 6)],
    OFPBIC_EPERM [std(3, 8, 3, 6)],
    OFPBMC_EPERM [std(4, 11, 3, 6)],
    OFPPMFC_EPERM [std(7, 4, 3, 6)],
    OFPTMFC_EPERM [std(8, 2, 3, 6)],
    OFPSCFC_EPERM [std(10, 2, 3, 6)],
    OFPRRFC_STALE [std(11, 0, 3, 6)],
    OFPRRFC_UNSUP [std(11, 1, 3, 6)],
    OFPBRC_MULTIPART_BUFFER_OVERFLOW [std(1, 13, 4, 6)],
    OFPMMFC_UNKNOWN [std(12, 0, 4, 6)],
    OFPMMFC_METER_EXISTS [std(12, 1, 4, 6)],
    OFPMMFC_INVALID_METER [std(12, 2, 4, 6)],
    OFPMMFC_UNKNOWN_METER [std(12, 3, 4, 6)],
    OFPMMFC_BAD_COMMAND [std(12, 4, 4, 6)],
    OFPMMFC_BAD_FLAGS [std(12, 5, 4, 6)],
    OFPMMFC_BAD_RATE [std(12, 6, 4, 6)],
    OFPMMFC_BAD_BURST [std(12, 7, 4, 6)],
    OFPMMFC_BAD_BAND [std(12, 8, 4, 6)],
    OFPMMFC_BAD_BAND_VALUE [std(12, 9, 4, 6)],
    OFPMMFC_OUT_OF_METERS [std(12, 10, 4, 6)],
    OFPMMFC_OUT_OF_BANDS [std(12, 11, 4, 6)],
    OFPTFFC_BAD_TABLE [std(13, 0, 4, 6)],
    OFPTFFC_BAD_METADATA [std(13, 1, 4, 6)],
    OFPTFFC_EPERM [std(13, 5, 4, 6)],
    NXBAC_BAD_HEADER_TYPE [exp(NICIRA, 39, 4, 6)],
    NXBAC_UNKNOWN_ED_PROP [exp(NICIRA, 40, 4, 6)],
    NXBAC_BAD_ED_PROP [exp(NICIRA, 41, 4, 6)],
    NXTFFC_DUP_TABLE [exp(NICIRA, 44, 4, 6)],
    OFPBFC_UNKNOWN [exp(ONF, 2300, 4, 4), std(17, 0, 5, 6)],
    OFPBFC_EPERM [exp(ONF, 2301, 4, 4), std(17, 1, 5, 6)],
    OFPBFC_BAD_ID [exp(ONF, 2302, 4, 4), std(17, 2, 5, 6)],
    OFPBFC_BUNDLE_EXIST [exp(ONF, 2303, 4, 4), std(17, 3, 5, 6)],
    OFPBFC_BUNDLE_CLOSED [exp(ONF, 2304, 4, 4), std(17, 4, 5, 6)],
    OFPBFC_OUT_OF_BUNDLES [exp(ONF, 2305, 4, 4), std(17, 5, 5, 6)],
    OFPBFC_BAD_TYPE [exp(ONF, 2306, 4, 4), std(17, 6, 5, 6)],
    OFPBFC_BAD_FLAGS [exp(ONF, 2307, 4, 4), std(17, 7, 5, 6)],
    OFPBFC_MSG_BAD_LEN [exp(ONF, 2308, 4, 4), std(17, 8, 5, 6)],
    OFPBFC_MSG_BAD_XID [exp(ONF, 2309, 4, 4), std(17, 9, 5, 6)],
    OFPBFC_MSG_UNSUP [exp(ONF, 2310, 4, 4), std(17, 10, 5, 6)],
    OFPBFC_MSG_CONFLICT [exp(ONF, 2311, 4, 4), std(17, 11, 5, 6)],
    OFPBFC_MSG_TOO_MANY [exp(ONF, 2312, 4, 4), std(17, 12, 5, 6)],
    OFPBFC_MSG_FAILED [exp(ONF, 2313, 4, 4), std(17, 13, 5, 6)],
    OFPBFC_TIMEOUT [exp(ONF, 2314, 4, 4), std(17, 14, 5, 6)],
    OFPBFC_BUNDLE_IN_PROGRESS [exp(ONF, 2315, 4, 4), std(17, 15, 5, 6)],
    OFPFMFC_BAD_PRIORITY [exp(ONF, 2360, 4, 4), std(5, 9, 5, 6)],
    OFPACFC_INVALID [exp(ONF, 2370, 4, 4), std(15, 0, 5, 6)],
    OFPACFC_UNSUPPORTED [exp(ONF, 2371, 4, 4), std(15, 1, 5, 6)],
    OFPACFC_EPERM [exp(ONF, 2372, 4, 4), std(15, 2, 5, 6)],
    OFPBRC_MULTIPART_REQUEST_TIMEOUT [exp(ONF, 2640, 4, 4), std(1, 14, 5, 6)],
    OFPBRC_MULTIPART_REPLY_TIMEOUT [exp(ONF, 2641, 4, 4), std(1, 15, 5, 6)],
    OFPBAC_BAD_SET_MASK [exp(ONF, 4250, 4, 5), std(2, 16, 6, 6)],
    OFPFMFC_CANT_SYNC [std(5, 8, 5, 6)],
    OFPFMFC_IS_SYNC [std(5, 10, 5, 6)],
    OFPMOFC_UNKNOWN [std(16, 0, 5, 6)],
    OFPMOFC_INVALID_MONITOR [std(16, 2, 5, 6)],
    OFPMOFC_BAD_COMMAND [std(16, 4, 5, 6)],
    OFPMOFC_BAD_TABLE_ID [std(16, 6, 5, 6)],
    OFPMOFC_BAD_OUT [std(16, 7, 5, 6)],
    OFPBFC_BAD_VERSION [exp(NICIRA, 22, 5, 6)],
    NXQOFC_QUEUE_ERROR [exp(NICIRA, 23, 5, 6)],
    OFPBRC_MULTIPART_BAD_SCHED [std(1, 16, 6, 6)],
    OFPBRC_PIPELINE_FIELDS_ONLY [std(1, 17, 6, 6)],
    OFPBRC_UNKNOWN [std(1, 18, 6, 6)],
    OFPBAC_BAD_METER [std(2, 17, 6, 6)],
    OFPRRFC_ID_UNSUP [std(11, 3, 6, 6)],
    OFPRRFC_ID_IN_USE [std(11, 4, 6, 6)],
    OFPTFFC_BAD_CAPA [std(13, 6, 6, 6)],
    OFPTFFC_BAD_MAX_ENT [std(13, 7, 6, 6)],
    OFPTFFC_BAD_FEATURES [std(13, 8, 6, 6)],
    OFPTFFC_BAD_COMMAND [std(13, 9, 6, 6)],
    OFPTFFC_TOO_MANY [std(13, 10, 6, 6)],
    OFPBFC_SCHED_NOT_SUPPORTED [std(17, 16, 6, 6)],
    OFPBFC_SCHED_FUTURE [std(17, 17, 6, 6)],
    OFPBFC_SCHED_PAST [std(17, 18, 6, 6)],
}

impl OfError {
    /// Every error that there is.
    pub fn all() -> impl Iterator<Item = OfError> {
        (0..ROWS.len()).map(|i| OfError(i as u8))
    }

    /// The name, as Open vSwitch prints it.
    pub fn name(self) -> &'static str {
        ROWS[usize::from(self.0)].name
    }

    fn place(self, version: Version) -> Option<&'static Place> {
        let wire = version.wire();
        ROWS[usize::from(self.0)].places.iter().find(|p| (p.from..=p.to).contains(&wire))
    }

    /// Whether `version` has a number for this error.
    pub fn encodable(self, version: Version) -> bool {
        self.place(version).is_some()
    }

    /// Appends the body of an `OFPT_ERROR` message (type, code, experimenter fields; no data), big-endian.
    pub fn encode(self, version: Version, out: &mut Vec<u8>) {
        let place = self.place(version).or_else(|| OfError::NXBRC_UNENCODABLE_ERROR.place(version));
        let Some(place) = place else { return };
        match (place.vendor, version) {
            (0, _) => {
                out.put_u16(place.kind);
                out.put_u16(place.code);
            }
            (vendor, Version::V10 | Version::V11) => {
                out.put_u16(NXET_VENDOR);
                out.put_u16(0);
                out.put_u32(vendor);
                out.put_u16(place.kind);
                out.put_u16(place.code);
            }
            (vendor, _) => {
                out.put_u16(OFPET_EXPERIMENTER);
                out.put_u16(place.kind);
                out.put_u32(vendor);
            }
        }
    }

    /// Reads the body of an `OFPT_ERROR` message; the rest of the body is the error's data. `None` for an error that is not in
    /// the table or a body that is too short.
    pub fn decode(version: Version, body: &[u8]) -> Option<(OfError, &[u8])> {
        let u16_at = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?));
        let (kind, code) = (u16_at(0)?, u16_at(2)?);
        let (vendor, kind, code, used) = match (kind, version) {
            (NXET_VENDOR, Version::V10 | Version::V11) if code == 0 => {
                (u32_at(4)?, u16_at(8)?, u16_at(10)?, 12)
            }
            (OFPET_EXPERIMENTER, v) if v >= Version::V12 => (u32_at(4)?, code, 0, 8),
            _ => (0, kind, code, 4),
        };
        let wire = version.wire();
        let hit =
            |p: &Place| (p.vendor, p.kind, p.code) == (vendor, kind, code) && (p.from..=p.to).contains(&wire);
        let at = ROWS.iter().position(|row| row.places.iter().any(hit))?;
        Some((OfError(at as u8), &body[used..]))
    }
}

impl fmt::Display for OfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for OfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for OfError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encodable_error_comes_back() {
        for version in Version::ALL {
            for error in OfError::all().filter(|e| e.encodable(version)) {
                let mut body = Vec::new();
                error.encode(version, &mut body);
                body.extend_from_slice(b"data");
                assert_eq!(OfError::decode(version, &body), Some((error, &b"data"[..])), "{version:?}");
            }
        }
    }

    #[test]
    fn numbers_move_between_versions() {
        let encode = |error: OfError, version| {
            let mut out = Vec::new();
            error.encode(version, &mut out);
            out
        };
        assert_eq!(encode(OfError::OFPFMFC_OVERLAP, Version::V10), [0, 3, 0, 1]);
        assert_eq!(encode(OfError::OFPFMFC_OVERLAP, Version::V13), [0, 5, 0, 3]);
        assert_eq!(
            encode(OfError::OFPBMC_BAD_PREREQ, Version::V10),
            [0xb0, 0xc2, 0, 0, 0, 0, 0x23, 0x20, 0, 1, 1, 4]
        );
        assert_eq!(
            encode(OfError::OFPBFC_TIMEOUT, Version::V13),
            [0xff, 0xff, 0x09, 0x0a, 0x4f, 0x4e, 0x46, 0]
        );
        assert_eq!(
            encode(OfError::OFPBIC_UNKNOWN_INST, Version::V10),
            encode(OfError::NXBRC_UNENCODABLE_ERROR, Version::V10)
        );
    }

    #[test]
    fn unknown_errors_are_none() {
        assert_eq!(OfError::decode(Version::V13, &[0, 99, 0, 0]), None);
        assert_eq!(OfError::decode(Version::V13, &[0, 1, 0]), None);
    }
}
