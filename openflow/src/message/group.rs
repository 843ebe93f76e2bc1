//! Groups: changes, descriptions, statistics and features (OpenFlow 1.1 clause 4.4; Nicira's form for 1.0).

use crate::action::Action;
use crate::port::OfPort;
use bitflags::bitflags;

/// Highest number of an ordinary group.
pub const GROUP_MAX: u32 = 0xffff_ff00;
/// All groups.
pub const GROUP_ALL: u32 = 0xffff_fffc;
/// Any group, or none.
pub const GROUP_ANY: u32 = 0xffff_ffff;
/// Insert or remove: at the first bucket.
pub const BUCKET_FIRST: u32 = 0xffff_fffd;
/// Insert or remove: at the last bucket.
pub const BUCKET_LAST: u32 = 0xffff_fffe;
/// Remove: all buckets.
pub const BUCKET_ALL: u32 = 0xffff_ffff;

/// How a group uses its buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum GroupType {
    /// All of them.
    #[default]
    All = 0,
    /// One by a hash.
    Select = 1,
    /// Its only one.
    Indirect = 2,
    /// The first live one.
    FastFailover = 3,
}

/// What a group-mod does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum GroupCommand {
    /// A new group.
    Add = 0,
    /// Change one.
    Modify = 1,
    /// Delete one, or all.
    Delete = 2,
    /// Insert buckets (1.5).
    InsertBucket = 3,
    /// Remove buckets (1.5).
    RemoveBucket = 5,
    /// A new group, or change it if it is there (Nicira).
    AddOrModify = 0x8000,
}

/// A bucket of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Share of a select group's packets.
    pub weight: u16,
    /// Port whose liveness is the bucket's; [`OfPort::NONE`] for none.
    pub watch_port: OfPort,
    /// Group whose liveness is the bucket's; [`GROUP_ANY`] for none.
    pub watch_group: u32,
    /// Its number (1.5 and later; counted up before).
    pub bucket_id: u32,
    /// What it does, an action set.
    pub actions: Vec<Action>,
}

/// How a select group chooses (Netronome's extension, 1.5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Name of the method, at most 15 bytes; empty for the default.
    pub method: String,
    /// Its parameter.
    pub param: u64,
    /// Fields that are hashed, with their masks, as OXM entries.
    pub fields: Vec<u8>,
}

/// A group-mod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupCommand,
    /// Type of the group.
    pub kind: GroupType,
    /// Its number.
    pub group_id: u32,
    /// Insert and remove: which bucket.
    pub command_bucket_id: u32,
    /// Buckets.
    pub buckets: Vec<Bucket>,
    /// How it selects.
    pub selection: Selection,
}

/// Description of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupDesc {
    /// Type of the group.
    pub kind: GroupType,
    /// Its number.
    pub group_id: u32,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How it selects.
    pub selection: Selection,
}

/// Packets and bytes of one bucket; `u64::MAX` if not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BucketStats {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Statistics of one group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupStats {
    /// Its number.
    pub group_id: u32,
    /// Flows and groups that use it.
    pub ref_count: u32,
    /// Packets; `u64::MAX` if not known.
    pub packets: u64,
    /// Bytes; `u64::MAX` if not known.
    pub bytes: u64,
    /// Age, seconds (1.3 and later).
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Of each bucket.
    pub buckets: Vec<BucketStats>,
}

bitflags! {
    /// What groups can do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct GroupCapabilities: u32 {
        /// Weights in select groups.
        const SELECT_WEIGHT = 1;
        /// Liveness in select groups.
        const SELECT_LIVENESS = 2;
        /// Groups that use groups.
        const CHAINING = 4;
        /// Chains are checked for loops.
        const CHAINING_CHECKS = 8;
    }
}

/// Features of groups. Indexed by [`GroupType`] where there are four.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GroupFeatures {
    /// Bit N stands for type N.
    pub types: u32,
    /// What groups can do.
    pub capabilities: GroupCapabilities,
    /// How many there can be of each type.
    pub max_groups: [u32; 4],
    /// Actions of each type, by OpenFlow 1.3's action numbers.
    pub actions: [u32; 4],
}
