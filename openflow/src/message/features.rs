//! Features, switch configuration and description.

use crate::codec::oxs::Oxs;
use crate::error::OfError;
use crate::message::port::PortDesc;
use crate::version::Version;
use crate::wire::{Reader, put_string, put_zeros};
use bitflags::bitflags;
use bytes::BufMut;

bitflags! {
    /// What a switch can do. A version is told only the bits that it knows.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Capabilities: u32 {
        /// Flow statistics.
        const FLOW_STATS = 1 << 0;
        /// Table statistics.
        const TABLE_STATS = 1 << 1;
        /// Port statistics.
        const PORT_STATS = 1 << 2;
        /// Group statistics (1.1 and later).
        const GROUP_STATS = 1 << 3;
        /// Can reassemble IP fragments.
        const IP_REASM = 1 << 5;
        /// Queue statistics.
        const QUEUE_STATS = 1 << 6;
        /// Matches IP addresses in ARP packets (1.0 and 1.1).
        const ARP_MATCH_IP = 1 << 7;
        /// The switch blocks looping ports (1.2 and later).
        const PORT_BLOCKED = 1 << 8;
        /// Bundles (1.4 and later).
        const BUNDLES = 1 << 9;
        /// Flow monitoring (1.4 and later).
        const FLOW_MONITORING = 1 << 10;
        /// 802.1D spanning tree (1.0 only, where it has the bit of `GROUP_STATS`).
        const STP = 1 << 31;
    }
}

impl Capabilities {
    fn known(version: Version) -> Capabilities {
        let base =
            Self::FLOW_STATS | Self::TABLE_STATS | Self::PORT_STATS | Self::IP_REASM | Self::QUEUE_STATS;
        match version {
            Version::V10 => base | Self::ARP_MATCH_IP,
            Version::V11 => base | Self::ARP_MATCH_IP | Self::GROUP_STATS,
            Version::V12 | Version::V13 => base | Self::GROUP_STATS | Self::PORT_BLOCKED,
            Version::V14 | Version::V15 => {
                base | Self::GROUP_STATS | Self::PORT_BLOCKED | Self::BUNDLES | Self::FLOW_MONITORING
            }
        }
    }

    fn to_wire(self, version: Version) -> u32 {
        let stp = version == Version::V10 && self.contains(Self::STP);
        (self & Self::known(version)).bits() | u32::from(stp) << 3
    }

    fn from_wire(bits: u32, version: Version) -> Capabilities {
        let stp = if version == Version::V10 && bits & 8 != 0 { Self::STP } else { Self::empty() };
        Self::from_bits_truncate(bits) & Self::known(version) | stp
    }
}

/// The `actions` bits of an OpenFlow 1.0 features reply that a switch with every action of that version sets.
pub const OF10_ACTIONS: u32 = 0xfff;

/// A features reply.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// Datapath id.
    pub datapath_id: u64,
    /// How many packets the switch buffers for packet-ins.
    pub n_buffers: u32,
    /// Number of tables.
    pub n_tables: u8,
    /// Which auxiliary connection this is; 0 for the main one (1.3 and later).
    pub auxiliary_id: u8,
    /// What the switch can do.
    pub capabilities: Capabilities,
    /// Which actions it knows, by OpenFlow 1.0's action numbers (1.0 only).
    pub actions: u32,
    /// Its ports (up to 1.2; as many as fit are sent).
    pub ports: Vec<PortDesc>,
}

impl Features {
    /// Reads the body of a features reply.
    pub fn decode(version: Version, body: &[u8]) -> Result<Features, OfError> {
        let mut reader = Reader::new(body);
        let datapath_id = reader.u64()?;
        let n_buffers = reader.u32()?;
        let (n_tables, aux) = (reader.u8()?, reader.u8()?);
        reader.skip(2)?;
        let capabilities = Capabilities::from_wire(reader.u32()?, version);
        let actions = reader.u32()?;
        let mut ports = Vec::new();
        while !reader.is_empty() {
            ports.push(PortDesc::decode(version, &mut reader)?);
        }
        Ok(Features {
            datapath_id,
            n_buffers,
            n_tables,
            auxiliary_id: if version >= Version::V13 { aux } else { 0 },
            capabilities,
            actions: if version == Version::V10 { actions } else { 0 },
            ports,
        })
    }

    /// Appends the body of a features reply; `room` is how long the message may still become.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u64(self.datapath_id);
        out.put_u32(self.n_buffers);
        out.put_u8(self.n_tables);
        out.put_u8(if version >= Version::V13 { self.auxiliary_id } else { 0 });
        out.put_u16(0);
        out.put_u32(self.capabilities.to_wire(version));
        out.put_u32(if version == Version::V10 { self.actions } else { 0 });
        if version <= Version::V12 {
            let size = if version == Version::V10 { 48 } else { 64 };
            let fit =
                (crate::header::MAX_MESSAGE_LEN - crate::header::HEADER_LEN - (out.len() - start)) / size;
            self.ports.iter().take(fit).for_each(|port| port.encode(version, out));
        }
    }
}

/// What is done with IP fragments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u16)]
pub enum FragMode {
    /// Fragments match as packets whose transport ports are zero.
    #[default]
    Normal = 0,
    /// Fragments are dropped.
    Drop = 1,
    /// Fragments are reassembled.
    Reassemble = 2,
    /// First fragments match with their transport ports (Nicira).
    NxMatch = 3,
}

/// Switch configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SwitchConfig {
    /// Fragment handling.
    pub frag: FragMode,
    /// Send packets with an invalid TTL to the controller (up to 1.2; `None` later: leave as it is).
    pub invalid_ttl_to_controller: Option<bool>,
    /// Bytes of a packet that a table miss sends to the controller.
    pub miss_send_len: u16,
}

/// Flag of versions up to 1.2: packets with an invalid TTL go to the controller.
const INVALID_TTL_TO_CONTROLLER: u16 = 4;

impl SwitchConfig {
    /// Reads the body of a set-config or of a get-config reply; flags that the version lacks are `OFPSCFC_BAD_FLAGS`.
    pub fn decode(version: Version, body: &[u8]) -> Result<SwitchConfig, OfError> {
        let mut reader = Reader::new(body);
        let (flags, miss_send_len) = (reader.u16()?, reader.u16()?);
        let has_ttl = version <= Version::V12;
        if flags & !(3 | if has_ttl { INVALID_TTL_TO_CONTROLLER } else { 0 }) != 0 {
            return Err(OfError::OFPSCFC_BAD_FLAGS);
        }
        let frag = match flags & 3 {
            0 => FragMode::Normal,
            1 => FragMode::Drop,
            2 => FragMode::Reassemble,
            _ => FragMode::NxMatch,
        };
        let invalid_ttl_to_controller = has_ttl.then_some(flags & INVALID_TTL_TO_CONTROLLER != 0);
        Ok(SwitchConfig { frag, invalid_ttl_to_controller, miss_send_len })
    }

    /// Appends the body.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        let ttl = version <= Version::V12 && self.invalid_ttl_to_controller == Some(true);
        out.put_u16(self.frag as u16 | if ttl { INVALID_TTL_TO_CONTROLLER } else { 0 });
        out.put_u16(self.miss_send_len);
    }
}

/// A switch's description of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Desc {
    /// Manufacturer, at most 255 bytes.
    pub manufacturer: String,
    /// Hardware, at most 255 bytes.
    pub hardware: String,
    /// Software, at most 255 bytes.
    pub software: String,
    /// Serial number, at most 31 bytes.
    pub serial: String,
    /// Description of the datapath, at most 255 bytes.
    pub datapath: String,
}

impl Desc {
    /// Reads the body of a description reply.
    pub fn decode(body: &[u8]) -> Result<Desc, OfError> {
        let mut reader = Reader::new(body);
        Ok(Desc {
            manufacturer: reader.string::<256>()?,
            hardware: reader.string::<256>()?,
            software: reader.string::<256>()?,
            serial: reader.string::<32>()?,
            datapath: reader.string::<256>()?,
        })
    }

    /// Appends the body.
    pub fn encode_body(&self, out: &mut Vec<u8>) {
        put_string(out, &self.manufacturer, 256);
        put_string(out, &self.hardware, 256);
        put_string(out, &self.software, 256);
        put_string(out, &self.serial, 32);
        put_string(out, &self.datapath, 256);
    }
}

/// Statistics over several flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Aggregate {
    /// Packets; `u64::MAX` if not known.
    pub packets: u64,
    /// Bytes; `u64::MAX` if not known.
    pub bytes: u64,
    /// Number of flows.
    pub flows: u32,
}

impl Aggregate {
    /// Reads the body of an aggregate reply.
    pub fn decode(version: Version, body: &[u8]) -> Result<Aggregate, OfError> {
        let mut reader = Reader::new(body);
        if version < Version::V15 {
            return Ok(Aggregate { packets: reader.u64()?, bytes: reader.u64()?, flows: reader.u32()? });
        }
        let stats = Oxs::pull(&mut reader)?;
        let known = |counter: Option<u64>| counter.unwrap_or(u64::MAX);
        Ok(Aggregate {
            packets: known(stats.packets),
            bytes: known(stats.bytes),
            flows: stats.flows.unwrap_or(u32::MAX),
        })
    }

    /// Appends the body.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        if version < Version::V15 {
            out.put_u64(self.packets);
            out.put_u64(self.bytes);
            out.put_u32(self.flows);
            put_zeros(out, 4);
            return;
        }
        let (packets, bytes) = (Some(self.packets), Some(self.bytes));
        Oxs { packets, bytes, flows: Some(self.flows), ..Oxs::default() }.put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_cut_to_the_version() {
        let all = Capabilities::all();
        assert_eq!(all.to_wire(Version::V10), 0xef);
        assert_eq!((all - Capabilities::STP).to_wire(Version::V13), 0x16f);
        assert_eq!(Capabilities::from_wire(8, Version::V10), Capabilities::STP);
        assert_eq!(Capabilities::from_wire(8, Version::V13), Capabilities::GROUP_STATS);
    }

    #[test]
    fn config_flags_are_checked() {
        assert_eq!(SwitchConfig::decode(Version::V13, &[0, 4, 0, 0]), Err(OfError::OFPSCFC_BAD_FLAGS));
        let config = SwitchConfig::decode(Version::V12, &[0, 7, 1, 0]).unwrap();
        assert_eq!(config.invalid_ttl_to_controller, Some(true));
        assert_eq!((config.frag, config.miss_send_len), (FragMode::NxMatch, 256));
        assert_eq!(SwitchConfig::decode(Version::V12, &[0, 8, 0, 0]), Err(OfError::OFPSCFC_BAD_FLAGS));
    }
}
