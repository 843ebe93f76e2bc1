//! The names of the fields in the program.

use super::FIELDS;

/// A field. Its number is its row in [`FIELDS`], in Open vSwitch's order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FieldId {
    /// Hash of a `hash` action.
    DpHash,
    /// Recirculation id.
    RecircId,
    /// Packet type.
    PacketType,
    /// Id of a conjunctive match.
    ConjId,
    /// Tunnel key.
    TunId,
    /// Outer IPv4 source.
    TunSrc,
    /// Outer IPv4 destination.
    TunDst,
    /// Outer IPv6 source.
    TunIpv6Src,
    /// Outer IPv6 destination.
    TunIpv6Dst,
    /// Tunnel flags (OAM).
    TunFlags,
    /// Outer TTL.
    TunTtl,
    /// Outer ToS.
    TunTos,
    /// VXLAN group policy id.
    TunGbpId,
    /// VXLAN group policy flags.
    TunGbpFlags,
    /// ERSPAN index.
    TunErspanIdx,
    /// ERSPAN version.
    TunErspanVer,
    /// ERSPAN direction.
    TunErspanDir,
    /// ERSPAN hardware id.
    TunErspanHwid,
    /// GTP-U flags.
    TunGtpuFlags,
    /// GTP-U message type.
    TunGtpuMsgtype,
    /// Tunnel option 0.
    TunMetadata0,
    /// Tunnel option 1.
    TunMetadata1,
    /// Tunnel option 2.
    TunMetadata2,
    /// Tunnel option 3.
    TunMetadata3,
    /// Tunnel option 4.
    TunMetadata4,
    /// Tunnel option 5.
    TunMetadata5,
    /// Tunnel option 6.
    TunMetadata6,
    /// Tunnel option 7.
    TunMetadata7,
    /// Tunnel option 8.
    TunMetadata8,
    /// Tunnel option 9.
    TunMetadata9,
    /// Tunnel option 10.
    TunMetadata10,
    /// Tunnel option 11.
    TunMetadata11,
    /// Tunnel option 12.
    TunMetadata12,
    /// Tunnel option 13.
    TunMetadata13,
    /// Tunnel option 14.
    TunMetadata14,
    /// Tunnel option 15.
    TunMetadata15,
    /// Tunnel option 16.
    TunMetadata16,
    /// Tunnel option 17.
    TunMetadata17,
    /// Tunnel option 18.
    TunMetadata18,
    /// Tunnel option 19.
    TunMetadata19,
    /// Tunnel option 20.
    TunMetadata20,
    /// Tunnel option 21.
    TunMetadata21,
    /// Tunnel option 22.
    TunMetadata22,
    /// Tunnel option 23.
    TunMetadata23,
    /// Tunnel option 24.
    TunMetadata24,
    /// Tunnel option 25.
    TunMetadata25,
    /// Tunnel option 26.
    TunMetadata26,
    /// Tunnel option 27.
    TunMetadata27,
    /// Tunnel option 28.
    TunMetadata28,
    /// Tunnel option 29.
    TunMetadata29,
    /// Tunnel option 30.
    TunMetadata30,
    /// Tunnel option 31.
    TunMetadata31,
    /// Tunnel option 32.
    TunMetadata32,
    /// Tunnel option 33.
    TunMetadata33,
    /// Tunnel option 34.
    TunMetadata34,
    /// Tunnel option 35.
    TunMetadata35,
    /// Tunnel option 36.
    TunMetadata36,
    /// Tunnel option 37.
    TunMetadata37,
    /// Tunnel option 38.
    TunMetadata38,
    /// Tunnel option 39.
    TunMetadata39,
    /// Tunnel option 40.
    TunMetadata40,
    /// Tunnel option 41.
    TunMetadata41,
    /// Tunnel option 42.
    TunMetadata42,
    /// Tunnel option 43.
    TunMetadata43,
    /// Tunnel option 44.
    TunMetadata44,
    /// Tunnel option 45.
    TunMetadata45,
    /// Tunnel option 46.
    TunMetadata46,
    /// Tunnel option 47.
    TunMetadata47,
    /// Tunnel option 48.
    TunMetadata48,
    /// Tunnel option 49.
    TunMetadata49,
    /// Tunnel option 50.
    TunMetadata50,
    /// Tunnel option 51.
    TunMetadata51,
    /// Tunnel option 52.
    TunMetadata52,
    /// Tunnel option 53.
    TunMetadata53,
    /// Tunnel option 54.
    TunMetadata54,
    /// Tunnel option 55.
    TunMetadata55,
    /// Tunnel option 56.
    TunMetadata56,
    /// Tunnel option 57.
    TunMetadata57,
    /// Tunnel option 58.
    TunMetadata58,
    /// Tunnel option 59.
    TunMetadata59,
    /// Tunnel option 60.
    TunMetadata60,
    /// Tunnel option 61.
    TunMetadata61,
    /// Tunnel option 62.
    TunMetadata62,
    /// Tunnel option 63.
    TunMetadata63,
    /// OpenFlow metadata.
    Metadata,
    /// Ingress port, 16 bits on the wire.
    InPort,
    /// Ingress port, 32 bits on the wire.
    InPortOxm,
    /// Output port in the action set.
    ActsetOutput,
    /// Queue.
    SkbPriority,
    /// Packet mark.
    PktMark,
    /// Connection state.
    CtState,
    /// Connection zone.
    CtZone,
    /// Connection mark.
    CtMark,
    /// Connection label.
    CtLabel,
    /// Protocol of the connection's original direction.
    CtNwProto,
    /// IPv4 source of the connection's original direction.
    CtNwSrc,
    /// IPv4 destination of the connection's original direction.
    CtNwDst,
    /// IPv6 source of the connection's original direction.
    CtIpv6Src,
    /// IPv6 destination of the connection's original direction.
    CtIpv6Dst,
    /// Source port of the connection's original direction.
    CtTpSrc,
    /// Destination port of the connection's original direction.
    CtTpDst,
    /// Register 0.
    Reg0,
    /// Register 1.
    Reg1,
    /// Register 2.
    Reg2,
    /// Register 3.
    Reg3,
    /// Register 4.
    Reg4,
    /// Register 5.
    Reg5,
    /// Register 6.
    Reg6,
    /// Register 7.
    Reg7,
    /// Register 8.
    Reg8,
    /// Register 9.
    Reg9,
    /// Register 10.
    Reg10,
    /// Register 11.
    Reg11,
    /// Register 12.
    Reg12,
    /// Register 13.
    Reg13,
    /// Register 14.
    Reg14,
    /// Register 15.
    Reg15,
    /// Extended register 0.
    Xreg0,
    /// Extended register 1.
    Xreg1,
    /// Extended register 2.
    Xreg2,
    /// Extended register 3.
    Xreg3,
    /// Extended register 4.
    Xreg4,
    /// Extended register 5.
    Xreg5,
    /// Extended register 6.
    Xreg6,
    /// Extended register 7.
    Xreg7,
    /// Double-extended register 0.
    Xxreg0,
    /// Double-extended register 1.
    Xxreg1,
    /// Double-extended register 2.
    Xxreg2,
    /// Double-extended register 3.
    Xxreg3,
    /// Ethernet source.
    EthSrc,
    /// Ethernet destination.
    EthDst,
    /// EtherType.
    EthType,
    /// VLAN tag control information.
    VlanTci,
    /// VLAN id as in OpenFlow 1.0.
    DlVlan,
    /// VLAN id with its "present" bit.
    VlanVid,
    /// VLAN priority as in OpenFlow 1.0.
    DlVlanPcp,
    /// VLAN priority.
    VlanPcp,
    /// MPLS label.
    MplsLabel,
    /// MPLS traffic class.
    MplsTc,
    /// MPLS bottom of stack.
    MplsBos,
    /// MPLS TTL.
    MplsTtl,
    /// IPv4 source.
    Ipv4Src,
    /// IPv4 destination.
    Ipv4Dst,
    /// IPv6 source.
    Ipv6Src,
    /// IPv6 destination.
    Ipv6Dst,
    /// IPv6 flow label.
    Ipv6Label,
    /// IP protocol.
    NwProto,
    /// DSCP in its place in the ToS byte.
    NwTos,
    /// DSCP.
    IpDscp,
    /// ECN.
    NwEcn,
    /// TTL or hop limit.
    NwTtl,
    /// Fragment state.
    IpFrag,
    /// ARP opcode.
    ArpOp,
    /// ARP sender protocol address.
    ArpSpa,
    /// ARP target protocol address.
    ArpTpa,
    /// ARP sender hardware address.
    ArpSha,
    /// ARP target hardware address.
    ArpTha,
    /// TCP source port.
    TcpSrc,
    /// TCP destination port.
    TcpDst,
    /// TCP flags.
    TcpFlags,
    /// UDP source port.
    UdpSrc,
    /// UDP destination port.
    UdpDst,
    /// SCTP source port.
    SctpSrc,
    /// SCTP destination port.
    SctpDst,
    /// ICMP type.
    IcmpType,
    /// ICMP code.
    IcmpCode,
    /// ICMPv6 type.
    Icmpv6Type,
    /// ICMPv6 code.
    Icmpv6Code,
    /// Neighbour discovery target.
    NdTarget,
    /// Neighbour discovery source link-layer address.
    NdSll,
    /// Neighbour discovery target link-layer address.
    NdTll,
    /// Reserved word of neighbour discovery.
    NdReserved,
    /// First option of neighbour discovery.
    NdOptionsType,
    /// NSH flags.
    NshFlags,
    /// NSH metadata type.
    NshMdtype,
    /// NSH next protocol.
    NshNp,
    /// NSH service path.
    NshSpi,
    /// NSH service index.
    NshSi,
    /// NSH context 1.
    NshC1,
    /// NSH context 2.
    NshC2,
    /// NSH context 3.
    NshC3,
    /// NSH context 4.
    NshC4,
    /// NSH TTL.
    NshTtl,
}

impl FieldId {
    /// Register `n`, of 32 bits.
    ///
    /// # Panics
    /// When `n` is not below 16.
    pub fn reg(n: usize) -> Self {
        assert!(n < 16, "register {n}");
        FIELDS[Self::Reg0 as usize + n].id
    }

    /// Extended register `n`, of 64 bits.
    ///
    /// # Panics
    /// When `n` is not below 8.
    pub fn xreg(n: usize) -> Self {
        assert!(n < 8, "extended register {n}");
        FIELDS[Self::Xreg0 as usize + n].id
    }

    /// Double-extended register `n`, of 128 bits.
    ///
    /// # Panics
    /// When `n` is not below 4.
    pub fn xxreg(n: usize) -> Self {
        assert!(n < 4, "double-extended register {n}");
        FIELDS[Self::Xxreg0 as usize + n].id
    }
}
