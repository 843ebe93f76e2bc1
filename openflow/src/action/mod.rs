//! Actions and instructions: one neutral model for all versions.
//!
//! An [`Action`] keeps the form in which it came where Open vSwitch does (a Nicira `load` stays one, `mod_nw_src` of
//! OpenFlow 1.0 is another action than `set_field` of 1.3), because dumps print it back in that form. What each form means for a
//! packet is said with the variant.

mod check;
mod ct;
mod learn;

pub use check::{CheckParams, check, check_list};
pub use ct::{Ct, CtRange, CtZone, Nat, NatFlags, NatRange};
pub use learn::{Learn, LearnDst, LearnFlags, LearnSpec, LearnSrc};

use crate::OfPort;
use crate::field::{FieldId, SubField};

/// An action, or an instruction that stands in a list of actions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Send to a port; to the controller at most `max_len` bytes of it.
    Output {
        /// Where to.
        port: OfPort,
        /// Bytes for the controller; 0 for other ports in text, kept as it came.
        max_len: u16,
    },
    /// Send to the port that a field holds.
    OutputReg {
        /// Where the port number is read.
        src: SubField,
        /// Bytes for the controller.
        max_len: u16,
        /// Whether it came in the second form, in which it is then sent.
        wide: bool,
    },
    /// Send the first `max_len` bytes to a port.
    OutputTrunc {
        /// Where to.
        port: OfPort,
        /// Bytes to keep, at least 14.
        max_len: u32,
    },
    /// Send to the controllers.
    Controller(Controller),
    /// Send to a port through one of its queues.
    Enqueue {
        /// Where to.
        port: OfPort,
        /// Queue of that port.
        queue: u32,
    },
    /// Use this queue for later outputs.
    SetQueue(u32),
    /// Use no particular queue for later outputs.
    PopQueue,
    /// Do what a group does.
    Group(u32),
    /// Choose one of several ports by a hash and send there, or write it to a field.
    Bundle(Box<Bundle>),
    /// Overwrite bits of a field.
    SetField(SetField),
    /// Copy bits of a field to another.
    Move {
        /// From here.
        src: SubField,
        /// To here, of the same width.
        dst: SubField,
        /// Whether it came as a copy-field, which it then is in 1.3 too, in ONF's form.
        onf: bool,
    },
    /// Push bits of a field on the stack.
    StackPush(SubField),
    /// Pop from the stack into bits of a field.
    StackPop(SubField),
    /// Set the VLAN id; in OpenFlow 1.0 a packet without a tag gets one.
    SetVlanVid {
        /// The id, 12 bits.
        vid: u16,
        /// Whether a packet without a tag gets one.
        push_if_needed: bool,
        /// Whether the flow's match says that there is a tag; set by [`check()`].
        flow_has_vlan: bool,
    },
    /// Set the VLAN priority; in OpenFlow 1.0 a packet without a tag gets one.
    SetVlanPcp {
        /// The priority, 3 bits.
        pcp: u8,
        /// Whether a packet without a tag gets one.
        push_if_needed: bool,
        /// Whether the flow's match says that there is a tag; set by [`check()`].
        flow_has_vlan: bool,
    },
    /// Remove the outermost tag, if there is one: OpenFlow 1.0's.
    StripVlan,
    /// The same, OpenFlow 1.1's.
    PopVlan,
    /// Insert a tag with this TPID, copying id and priority of the one there was, else zero.
    PushVlan(u16),
    /// Set the Ethernet source.
    SetEthSrc([u8; 6]),
    /// Set the Ethernet destination.
    SetEthDst([u8; 6]),
    /// Set the source of an IPv4 packet.
    SetIpv4Src(u32),
    /// Set the destination of an IPv4 packet.
    SetIpv4Dst(u32),
    /// Set the DSCP of an IP packet: a whole ToS byte with the ECN bits zero.
    SetIpDscp(u8),
    /// Set the ECN of an IP packet, 2 bits.
    SetIpEcn(u8),
    /// Set TTL or hop limit of an IP packet.
    SetIpTtl(u8),
    /// Set the source port of a TCP, UDP or SCTP packet.
    SetL4Src(L4Port),
    /// Set the destination port of a TCP, UDP or SCTP packet.
    SetL4Dst(L4Port),
    /// Decrement TTL or hop limit; where it cannot be, stop, and tell the controllers with these ids.
    DecTtl(DecTtl),
    /// Insert an MPLS label stack entry with this EtherType.
    PushMpls(u16),
    /// Remove the outermost MPLS label stack entry; this is the EtherType of what is inside.
    PopMpls(u16),
    /// Set the outermost MPLS label, 20 bits.
    SetMplsLabel(u32),
    /// Set the outermost MPLS traffic class, 3 bits.
    SetMplsTc(u8),
    /// Set the outermost MPLS TTL.
    SetMplsTtl(u8),
    /// Decrement the outermost MPLS TTL; where it cannot be, stop and tell the controllers.
    DecMplsTtl,
    /// Set the tunnel key.
    SetTunnel {
        /// The key.
        id: u64,
        /// Whether it came in the 64-bit form, in which it is then sent.
        wide: bool,
    },
    /// Look up in a table, do what is found there, then go on here.
    Resubmit(Resubmit),
    /// Do these to a copy.
    Clone(Vec<Action>),
    /// Stop here.
    Exit,
    /// Bytes without effect, `6 + 8n` of them.
    Note(Vec<u8>),
    /// Pass through connection tracking.
    Ct(Box<Ct>),
    /// Translate addresses (only within [`Action::Ct`]).
    Nat(Nat),
    /// Forget the connection state of the packet.
    CtClear,
    /// Add a flow made from this packet.
    Learn(Box<Learn>),
    /// Part of a conjunctive match.
    Conjunction {
        /// Which.
        id: u32,
        /// Which dimension, from 0.
        clause: u8,
        /// How many dimensions, 2 to 64.
        n_clauses: u8,
    },
    /// Write a hash to a field.
    Multipath(Multipath),
    /// When the connection ends, time the flow out sooner.
    FinTimeout {
        /// New idle time-out in seconds, 0 for none.
        idle: u16,
        /// New hard time-out in seconds, 0 for none.
        hard: u16,
    },
    /// Sample for IPFIX.
    Sample(Sample),
    /// Compare the packet's length and write the outcome to one bit.
    CheckPktLarger {
        /// Length in bytes.
        len: u16,
        /// The bit.
        dst: SubField,
    },
    /// Remove a tunnel option.
    DeleteField(FieldId),
    /// Wrap in a header.
    Encap(Encap),
    /// Unwrap; the packet type of what is inside, 0xfffe in its lower half for "by the header".
    Decap(u32),
    /// Decrement the TTL of a network service header.
    DecNshTtl,
    /// Pass through a meter.
    Meter(u32),
}

/// `controller`: send to the controllers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Controller {
    /// Bytes to send at most.
    pub max_len: u16,
    /// Which controllers: those with this id.
    pub controller_id: u16,
    /// Reason (`OFPR_*`).
    pub reason: u8,
    /// Bytes that go along.
    pub userdata: Vec<u8>,
    /// Whether translation stops here and can be resumed.
    pub pause: bool,
    /// Meter, if any.
    pub meter: Option<u32>,
    /// Whether it came in the second form, in which it is then sent.
    pub wide: bool,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            max_len: 0xffff,
            controller_id: 0,
            reason: 1,
            userdata: Vec::new(),
            pause: false,
            meter: None,
            wide: false,
        }
    }
}

/// `set_field` and `load`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SetField {
    /// The field.
    pub field: FieldId,
    /// New value; zero outside `mask`.
    pub value: u128,
    /// Which bits are set: all bits of the field's bytes, also those that are always zero, when it came without a mask.
    pub mask: u128,
    /// In what form it came.
    pub form: SetForm,
}

/// The forms of [`SetField`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SetForm {
    /// A set-field action, printed `set_field`.
    SetField,
    /// Nicira's `load`, printed as such.
    Load,
    /// Nicira's second `load`, printed `set_field`.
    Load2,
}

/// What `mod_tp_src` and `mod_tp_dst` set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct L4Port {
    /// The port.
    pub port: u16,
    /// The protocol that the flow matches, or 0; set by [`check()`].
    pub proto: u8,
}

/// `dec_ttl`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DecTtl {
    /// Controllers to tell; `[0]` by default.
    pub ids: Vec<u16>,
    /// Whether ids were given.
    pub explicit: bool,
}

/// `resubmit`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Resubmit {
    /// The port to take as input port; [`OfPort::IN_PORT`] leaves it.
    pub port: OfPort,
    /// The table; 255 is the current one.
    pub table: u8,
    /// Whether to swap source and destination by the connection's original direction.
    pub with_ct_orig: bool,
    /// Whether it came in the form that names the table, in which it is then sent although the table is the current one.
    pub explicit: bool,
}

/// What [`Multipath`] and [`Bundle`] hash over (`NX_HASH_FIELDS_*`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum HashFields {
    /// Ethernet source.
    EthSrc = 0,
    /// Layer 2 to 4, the same for both directions.
    SymmetricL4 = 1,
    /// Layer 3 and TCP, SCTP, the same for both directions.
    SymmetricL3L4 = 2,
    /// The same with UDP.
    SymmetricL3L4Udp = 3,
    /// IPv4 or IPv6 source.
    NwSrc = 4,
    /// IPv4 or IPv6 destination.
    NwDst = 5,
    /// IPv4 or IPv6 addresses, the same for both directions.
    SymmetricL3 = 6,
}

/// `multipath`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Multipath {
    /// What is hashed.
    pub fields: HashFields,
    /// Added to the hash.
    pub basis: u16,
    /// `NX_MP_ALG_*`: 0 modulo_n, 1 hash_threshold, 2 hrw, 3 iter_hash.
    pub algorithm: u16,
    /// Number of links less one.
    pub max_link: u16,
    /// Argument of the algorithm.
    pub arg: u32,
    /// Where the outcome goes.
    pub dst: SubField,
}

/// `bundle` and `bundle_load`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bundle {
    /// What is hashed.
    pub fields: HashFields,
    /// Added to the hash.
    pub basis: u16,
    /// `NX_BD_ALG_*`: 0 active_backup, 1 hrw.
    pub algorithm: u16,
    /// The members.
    pub members: Vec<OfPort>,
    /// Where the chosen port goes; sent there when `None`.
    pub dst: Option<SubField>,
}

/// `sample`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sample {
    /// Of 65535 packets so many.
    pub probability: u16,
    /// Collector set.
    pub collector_set: u32,
    /// Observation domain.
    pub obs_domain: u32,
    /// Observation point.
    pub obs_point: u32,
    /// Port whose tunnel is reported; [`OfPort::NONE`] for none.
    pub sampling_port: OfPort,
    /// 0 unspecified, 1 ingress, 2 egress.
    pub direction: u8,
    /// In which of three forms it came.
    pub form: u8,
}

/// `encap`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Encap {
    /// Size hint in bytes.
    pub header_size: u16,
    /// Packet type of the new header.
    pub packet_type: u32,
    /// Its properties: class, type, data.
    pub props: Vec<(u16, u8, Vec<u8>)>,
}

/// What a flow does: its instructions. In OpenFlow 1.0 there is only `apply`, and what Nicira's actions add.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Instructions {
    /// Pass through this meter first.
    pub meter: Option<u32>,
    /// Do these at once.
    pub apply: Vec<Action>,
    /// Empty the action set.
    pub clear: bool,
    /// Put these into the action set.
    pub write: Option<Vec<Action>>,
    /// Set the bits `mask` of the metadata: value, mask.
    pub metadata: Option<(u64, u64)>,
    /// Go on in this table.
    pub goto_table: Option<u8>,
}

impl Instructions {
    /// The instructions that do `actions` at once.
    pub fn apply(actions: Vec<Action>) -> Self {
        Self { apply: actions, ..Self::default() }
    }

    /// Whether nothing is done: the packet is dropped.
    pub fn is_drop(&self) -> bool {
        *self == Self::default()
    }
}
