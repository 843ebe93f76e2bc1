//! Ports: descriptions, changes, status and statistics.

use crate::error::OfError;
use crate::message::prop::{self, PropType};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_string, put_zeros, set_u16};
use bitflags::bitflags;
use bytes::BufMut;

bitflags! {
    /// How a port is configured, with OpenFlow 1.0's bits; later versions know four of them.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct PortConfig: u32 {
        /// Administratively down.
        const PORT_DOWN = 1 << 0;
        /// Not in the spanning tree.
        const NO_STP = 1 << 1;
        /// Drop what it receives.
        const NO_RECV = 1 << 2;
        /// Drop spanning tree frames that it receives.
        const NO_RECV_STP = 1 << 3;
        /// Left out of floods.
        const NO_FLOOD = 1 << 4;
        /// Drop what is sent to it.
        const NO_FWD = 1 << 5;
        /// Its packets cause no packet-in.
        const NO_PACKET_IN = 1 << 6;
    }
}

bitflags! {
    /// The state of a port.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct PortState: u32 {
        /// No physical link.
        const LINK_DOWN = 1 << 0;
        /// Blocked by a protocol outside OpenFlow (1.1 and later).
        const BLOCKED = 1 << 1;
        /// Live for fast failover (1.1 and later).
        const LIVE = 1 << 2;
        /// Spanning tree: learning, not relaying (1.0).
        const STP_LEARN = 1 << 8;
        /// Spanning tree: learning and relaying (1.0).
        const STP_FORWARD = 2 << 8;
    }
}

bitflags! {
    /// Speeds, media and modes of a port, with the bits of OpenFlow 1.1 and later.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct PortFeatures: u32 {
        /// 10 Mb/s half duplex.
        const HD_10MB = 1 << 0;
        /// 10 Mb/s full duplex.
        const FD_10MB = 1 << 1;
        /// 100 Mb/s half duplex.
        const HD_100MB = 1 << 2;
        /// 100 Mb/s full duplex.
        const FD_100MB = 1 << 3;
        /// 1 Gb/s half duplex.
        const HD_1GB = 1 << 4;
        /// 1 Gb/s full duplex.
        const FD_1GB = 1 << 5;
        /// 10 Gb/s.
        const FD_10GB = 1 << 6;
        /// 40 Gb/s.
        const FD_40GB = 1 << 7;
        /// 100 Gb/s.
        const FD_100GB = 1 << 8;
        /// 1 Tb/s.
        const FD_1TB = 1 << 9;
        /// Another speed.
        const OTHER = 1 << 10;
        /// Copper.
        const COPPER = 1 << 11;
        /// Fibre.
        const FIBER = 1 << 12;
        /// Auto-negotiation.
        const AUTONEG = 1 << 13;
        /// Pause.
        const PAUSE = 1 << 14;
        /// Asymmetric pause.
        const PAUSE_ASYM = 1 << 15;
    }
}

impl PortFeatures {
    /// OpenFlow 1.0 has the speeds up to 10 Gb/s and then the rest, without the speeds in between.
    fn from_of10(bits: u32) -> PortFeatures {
        PortFeatures::from_bits_truncate(bits & 0x7f | (bits & 0xf80) << 4)
    }

    fn to_of10(self) -> u32 {
        self.bits() & 0x7f | (self.bits() >> 4 & 0xf80)
    }

    fn from_wire(bits: u32, version: Version) -> PortFeatures {
        if version == Version::V10 { Self::from_of10(bits) } else { Self::from_bits_truncate(bits) }
    }

    fn to_wire(self, version: Version) -> u32 {
        if version == Version::V10 { self.to_of10() } else { self.bits() }
    }

    /// The fastest speed among the bits, in kb/s; 0 if there is none.
    pub fn max_kbps(self) -> u32 {
        const SPEEDS: [(PortFeatures, u32); 7] = [
            (PortFeatures::FD_1TB, 1_000_000_000),
            (PortFeatures::FD_100GB, 100_000_000),
            (PortFeatures::FD_40GB, 40_000_000),
            (PortFeatures::FD_10GB, 10_000_000),
            (PortFeatures::HD_1GB.union(PortFeatures::FD_1GB), 1_000_000),
            (PortFeatures::HD_100MB.union(PortFeatures::FD_100MB), 100_000),
            (PortFeatures::HD_10MB.union(PortFeatures::FD_10MB), 10_000),
        ];
        SPEEDS.iter().find(|(bits, _)| self.intersects(*bits)).map_or(0, |&(_, kbps)| kbps)
    }
}

impl PortConfig {
    fn known(version: Version) -> PortConfig {
        match version {
            Version::V10 => PortConfig::all(),
            _ => Self::PORT_DOWN | Self::NO_RECV | Self::NO_FWD | Self::NO_PACKET_IN,
        }
    }

    fn from_wire(bits: u32, version: Version) -> PortConfig {
        PortConfig::from_bits_truncate(bits) & PortConfig::known(version)
    }

    fn to_wire(self, version: Version) -> u32 {
        (self & PortConfig::known(version)).bits()
    }
}

impl PortState {
    fn known(version: Version) -> PortState {
        match version {
            Version::V10 => Self::LINK_DOWN | Self::STP_LEARN | Self::STP_FORWARD,
            _ => Self::LINK_DOWN | Self::BLOCKED | Self::LIVE,
        }
    }
}

/// Property type of an Ethernet port's features or statistics.
const ETHERNET: u16 = 0;

/// A port as it is described to controllers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortDesc {
    /// Number.
    pub port_no: OfPort,
    /// MAC address.
    pub hw_addr: [u8; 6],
    /// Name; at most 15 bytes are sent.
    pub name: String,
    /// Configuration.
    pub config: PortConfig,
    /// State.
    pub state: PortState,
    /// Current features.
    pub curr: PortFeatures,
    /// Advertised features.
    pub advertised: PortFeatures,
    /// Supported features.
    pub supported: PortFeatures,
    /// Features that the peer advertises.
    pub peer: PortFeatures,
    /// Current speed, kb/s (1.1 and later; for 1.0 it follows from `curr`).
    pub curr_speed: u32,
    /// Highest speed, kb/s (likewise).
    pub max_speed: u32,
}

impl PortDesc {
    /// Takes one description from `reader`.
    pub fn decode(version: Version, reader: &mut Reader<'_>) -> Result<PortDesc, OfError> {
        match version {
            Version::V10 => Self::decode_of10(reader),
            Version::V11 | Version::V12 | Version::V13 => Self::decode_of11(version, reader),
            Version::V14 | Version::V15 => Self::decode_of14(version, reader),
        }
    }

    fn decode_of10(reader: &mut Reader<'_>) -> Result<PortDesc, OfError> {
        let port_no = OfPort::from_u16(reader.u16()?);
        let mut port = PortDesc {
            port_no,
            hw_addr: reader.array()?,
            name: reader.string::<16>()?,
            ..Default::default()
        };
        port.decode_config(Version::V10, reader)?;
        port.decode_features(Version::V10, reader)?;
        port.curr_speed = port.curr.max_kbps();
        port.max_speed = port.supported.max_kbps();
        Ok(port)
    }

    fn decode_of11(version: Version, reader: &mut Reader<'_>) -> Result<PortDesc, OfError> {
        let port_no = OfPort::from_u32(reader.u32()?)?;
        reader.skip(4)?;
        let hw_addr = reader.array()?;
        reader.skip(2)?;
        let mut port = PortDesc { port_no, hw_addr, name: reader.string::<16>()?, ..Default::default() };
        port.decode_config(version, reader)?;
        port.decode_features(version, reader)?;
        port.curr_speed = reader.u32()?;
        port.max_speed = reader.u32()?;
        Ok(port)
    }

    fn decode_of14(version: Version, reader: &mut Reader<'_>) -> Result<PortDesc, OfError> {
        let port_no = reader.u32()?;
        let len = usize::from(reader.u16()?).checked_sub(6).ok_or(OfError::OFPBRC_BAD_LEN)?;
        let mut rest = Reader::new(reader.bytes(len)?);
        rest.skip(2)?;
        let port_no = OfPort::from_u32(port_no)?;
        let hw_addr = rest.array()?;
        rest.skip(2)?;
        let mut port = PortDesc { port_no, hw_addr, name: rest.string::<16>()?, ..Default::default() };
        port.decode_config(version, &mut rest)?;
        while !rest.is_empty() {
            let (kind, mut contents) = prop::take(&mut rest)?;
            if kind != PropType::Plain(ETHERNET) {
                continue;
            }
            contents.skip(4)?;
            port.decode_features(version, &mut contents)?;
            port.curr_speed = contents.u32()?;
            port.max_speed = contents.u32()?;
            prop::nothing(&contents)?;
        }
        Ok(port)
    }

    fn decode_config(&mut self, version: Version, reader: &mut Reader<'_>) -> Result<(), OfError> {
        self.config = PortConfig::from_wire(reader.u32()?, version);
        self.state = PortState::from_bits_truncate(reader.u32()?) & PortState::known(version);
        Ok(())
    }

    fn decode_features(&mut self, version: Version, reader: &mut Reader<'_>) -> Result<(), OfError> {
        for features in [&mut self.curr, &mut self.advertised, &mut self.supported, &mut self.peer] {
            *features = PortFeatures::from_wire(reader.u32()?, version);
        }
        Ok(())
    }

    /// Appends the description.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        if version == Version::V10 {
            out.put_u16(self.port_no.to_u16());
            out.extend_from_slice(&self.hw_addr);
        } else {
            out.put_u32(self.port_no.0);
            put_zeros(out, 4);
            out.extend_from_slice(&self.hw_addr);
            put_zeros(out, 2);
        }
        put_string(out, &self.name, 16);
        out.put_u32(self.config.to_wire(version));
        out.put_u32((self.state & PortState::known(version)).bits());
        if version <= Version::V13 {
            self.encode_features(version, out);
            return;
        }
        prop::put(out, PropType::Plain(ETHERNET), |out| {
            put_zeros(out, 4);
            self.encode_features(version, out);
        });
        let len = out.len() - start;
        set_u16(out, start + 4, len as u16);
    }

    fn encode_features(&self, version: Version, out: &mut Vec<u8>) {
        for features in [self.curr, self.advertised, self.supported, self.peer] {
            out.put_u32(features.to_wire(version));
        }
        if version != Version::V10 {
            out.put_u32(self.curr_speed);
            out.put_u32(self.max_speed);
        }
    }
}

/// Why a port status was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PortReason {
    /// The port is new.
    Add = 0,
    /// The port is gone.
    Delete = 1,
    /// Something about the port changed.
    Modify = 2,
}

/// A port status message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port.
    pub desc: PortDesc,
}

impl PortStatus {
    /// Reads the body.
    pub fn decode(version: Version, body: &[u8]) -> Result<PortStatus, OfError> {
        let mut reader = Reader::new(body);
        let reason = match reader.u8()? {
            0 => PortReason::Add,
            1 => PortReason::Delete,
            2 => PortReason::Modify,
            _ => return Err(OfError::NXBRC_BAD_REASON),
        };
        reader.skip(7)?;
        Ok(PortStatus { reason, desc: PortDesc::decode(version, &mut reader)? })
    }

    /// Appends the body.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        out.put_u8(self.reason as u8);
        put_zeros(out, 7);
        self.desc.encode(version, out);
    }
}

/// A port-mod.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortMod {
    /// The port.
    pub port_no: OfPort,
    /// Its MAC address, which must be right.
    pub hw_addr: [u8; 6],
    /// New configuration bits.
    pub config: PortConfig,
    /// Which of them to change.
    pub mask: PortConfig,
    /// Features to advertise; empty to leave them.
    pub advertise: PortFeatures,
}

impl PortMod {
    /// Reads the body.
    pub fn decode(version: Version, body: &[u8]) -> Result<PortMod, OfError> {
        let mut reader = Reader::new(body);
        let mut port = PortMod::default();
        if version == Version::V10 {
            port.port_no = OfPort::from_u16(reader.u16()?);
            port.hw_addr = reader.array()?;
        } else {
            port.port_no = OfPort::from_u32(reader.u32()?)?;
            reader.skip(4)?;
            port.hw_addr = reader.array()?;
            reader.skip(2)?;
        }
        port.config = PortConfig::from_wire(reader.u32()?, version);
        port.mask = PortConfig::from_wire(reader.u32()?, version);
        if version <= Version::V13 {
            port.advertise = PortFeatures::from_wire(reader.u32()?, version);
            return Ok(port);
        }
        while !reader.is_empty() {
            let (kind, contents) = prop::take(&mut reader)?;
            if kind != PropType::Plain(ETHERNET) {
                return Err(kind.unknown());
            }
            port.advertise = PortFeatures::from_wire(prop::only_u32(contents)?, version);
        }
        Ok(port)
    }

    /// Appends the body.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V10 {
            out.put_u16(self.port_no.to_u16());
            out.extend_from_slice(&self.hw_addr);
        } else {
            out.put_u32(self.port_no.0);
            put_zeros(out, 4);
            out.extend_from_slice(&self.hw_addr);
            put_zeros(out, 2);
        }
        out.put_u32(self.config.to_wire(version));
        out.put_u32(self.mask.to_wire(version));
        let advertise = self.advertise.to_wire(version);
        if version <= Version::V13 {
            out.put_u32(advertise);
            put_zeros(out, 4);
        } else if advertise != 0 {
            prop::put_u32(out, ETHERNET, advertise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PortDesc {
        PortDesc {
            port_no: OfPort(3),
            hw_addr: [2, 0, 0, 0, 0, 3],
            name: "eth0".into(),
            config: PortConfig::PORT_DOWN | PortConfig::NO_FWD,
            state: PortState::LINK_DOWN,
            curr: PortFeatures::FD_10GB | PortFeatures::COPPER,
            curr_speed: 10_000_000,
            ..Default::default()
        }
    }

    #[test]
    fn descriptions_come_back() {
        for (version, len) in Version::ALL.into_iter().zip([48, 64, 64, 64, 72, 72]) {
            let mut out = Vec::new();
            sample().encode(version, &mut out);
            assert_eq!(out.len(), len);
            let mut reader = Reader::new(&out);
            assert_eq!(PortDesc::decode(version, &mut reader), Ok(sample()));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn port_mods_come_back() {
        let port = PortMod {
            port_no: OfPort::LOCAL,
            config: PortConfig::NO_FWD,
            advertise: PortFeatures::PAUSE,
            ..Default::default()
        };
        for version in Version::ALL {
            let mut out = Vec::new();
            port.encode_body(version, &mut out);
            assert_eq!(PortMod::decode(version, &out), Ok(port.clone()));
        }
    }

    #[test]
    fn features_of_openflow_10_lack_the_high_speeds() {
        assert_eq!((PortFeatures::COPPER | PortFeatures::FD_100GB | PortFeatures::HD_10MB).to_of10(), 0x81);
        assert_eq!(PortFeatures::from_of10(0xc0), PortFeatures::FD_10GB | PortFeatures::COPPER);
        assert_eq!(PortFeatures::from_of10(0xc0).max_kbps(), 10_000_000);
    }
}
