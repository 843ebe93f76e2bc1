//! The table of fields. `ovs-fields(7)` describes the same, and is where it comes from.

use std::mem::offset_of;

use packet::FlowKey;

use super::wire::{eric, et, nsh, nx, of, onf, oxm, pkt_reg};
use super::{Field, FieldId, Format, Place, Prereq, WireId};
use crate::Version::{V12, V13, V15};

/// How many fields there are.
pub const N_FIELDS: usize = 183;

/// Any bitmask goes.
const MASK: bool = true;
/// All or nothing.
const EXACT: bool = false;
/// Actions may write it.
const RW: bool = true;
/// Actions may not write it.
const RO: bool = false;

/// A row of the table: id and names, then bytes and bits, place, format and rules, code points.
const fn row(
    names: (FieldId, &'static str, Option<&'static str>),
    (n_bytes, n_bits): (u32, u32),
    place: Option<Place>,
    (format, maskable, writable, prereq): (Format, bool, bool, Prereq),
    wire: &'static [WireId],
) -> Field {
    let (id, name, alias) = names;
    Field { id, name, alias, n_bytes, n_bits, place, format, maskable, writable, prereq, wire }
}

/// A field that no key holds yet.
const NO_PLACE: Option<Place> = None;

/// The bits `shift..shift + bits` of the `len` bytes of a key's field, or of those some bytes into it.
macro_rules! at {
    ($field:ident $(+ $bytes:literal)?, $len:literal, $shift:literal, $bits:literal) => {
        Some(Place { offset: offset_of!(FlowKey, $field) $(+ $bytes)?, len: $len, shift: $shift, bits: $bits })
    };
}

/// Every field, in the order of [`FieldId`], one a line: id, names; bytes, bits; place; format and rules; code points.
#[rustfmt::skip]
pub static FIELDS: [Field; N_FIELDS] = {
    use FieldId as Id;
    use Format::*;
    use Prereq as P;
    [
        row((Id::DpHash, "dp_hash", None), (4, 32), at!(dp_hash, 4, 0, 32), (Hex, MASK, RO, P::None), &[et(0), nx(35)]),
        row((Id::RecircId, "recirc_id", None), (4, 32), at!(recirc_id, 4, 0, 32), (Decimal, EXACT, RO, P::None), &[nx(36)]),
        row((Id::PacketType, "packet_type", None), (4, 32), at!(packet_type, 4, 0, 32), (PacketType, EXACT, RO, P::None), &[oxm(44, V15)]),
        row((Id::ConjId, "conj_id", None), (4, 32), at!(conj_id, 4, 0, 32), (Decimal, EXACT, RO, P::None), &[nx(37)]),
        row((Id::TunId, "tun_id", Some("tunnel_id")), (8, 64), at!(tun_id, 8, 0, 64), (Hex, MASK, RW, P::None), &[nx(16), oxm(38, V13)]),
        row((Id::TunSrc, "tun_src", None), (4, 32), at!(tun_src, 4, 0, 32), (Ipv4, MASK, RW, P::None), &[nx(31)]),
        row((Id::TunDst, "tun_dst", None), (4, 32), at!(tun_dst, 4, 0, 32), (Ipv4, MASK, RW, P::None), &[nx(32)]),
        row((Id::TunIpv6Src, "tun_ipv6_src", None), (16, 128), at!(tun_ipv6_src, 16, 0, 128), (Ipv6, MASK, RW, P::None), &[nx(109)]),
        row((Id::TunIpv6Dst, "tun_ipv6_dst", None), (16, 128), at!(tun_ipv6_dst, 16, 0, 128), (Ipv6, MASK, RW, P::None), &[nx(110)]),
        row((Id::TunFlags, "tun_flags", None), (2, 1), at!(tun_flags, 2, 0, 1), (TunFlags, MASK, RW, P::None), &[nx(104)]),
        row((Id::TunTtl, "tun_ttl", None), (1, 8), at!(tun_ttl, 1, 0, 8), (Decimal, EXACT, RW, P::None), &[]),
        row((Id::TunTos, "tun_tos", None), (1, 8), at!(tun_tos, 1, 0, 8), (Decimal, EXACT, RW, P::None), &[]),
        row((Id::TunGbpId, "tun_gbp_id", None), (2, 16), at!(tun_gbp_id, 2, 0, 16), (Decimal, MASK, RW, P::None), &[nx(38)]),
        row((Id::TunGbpFlags, "tun_gbp_flags", None), (1, 8), at!(tun_gbp_flags, 1, 0, 8), (Hex, MASK, RW, P::None), &[nx(39)]),
        row((Id::TunErspanIdx, "tun_erspan_idx", None), (4, 20), NO_PLACE, (Hex, MASK, RW, P::None), &[et(11)]),
        row((Id::TunErspanVer, "tun_erspan_ver", None), (1, 4), NO_PLACE, (Decimal, MASK, RW, P::None), &[et(12)]),
        row((Id::TunErspanDir, "tun_erspan_dir", None), (1, 1), NO_PLACE, (Decimal, MASK, RW, P::None), &[et(13)]),
        row((Id::TunErspanHwid, "tun_erspan_hwid", None), (1, 6), NO_PLACE, (Hex, MASK, RW, P::None), &[et(14)]),
        row((Id::TunGtpuFlags, "tun_gtpu_flags", None), (1, 8), NO_PLACE, (Hex, MASK, RO, P::None), &[et(15)]),
        row((Id::TunGtpuMsgtype, "tun_gtpu_msgtype", None), (1, 8), NO_PLACE, (Decimal, MASK, RO, P::None), &[et(16)]),
        row((Id::TunMetadata0, "tun_metadata0", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(40)]),
        row((Id::TunMetadata1, "tun_metadata1", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(41)]),
        row((Id::TunMetadata2, "tun_metadata2", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(42)]),
        row((Id::TunMetadata3, "tun_metadata3", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(43)]),
        row((Id::TunMetadata4, "tun_metadata4", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(44)]),
        row((Id::TunMetadata5, "tun_metadata5", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(45)]),
        row((Id::TunMetadata6, "tun_metadata6", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(46)]),
        row((Id::TunMetadata7, "tun_metadata7", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(47)]),
        row((Id::TunMetadata8, "tun_metadata8", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(48)]),
        row((Id::TunMetadata9, "tun_metadata9", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(49)]),
        row((Id::TunMetadata10, "tun_metadata10", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(50)]),
        row((Id::TunMetadata11, "tun_metadata11", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(51)]),
        row((Id::TunMetadata12, "tun_metadata12", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(52)]),
        row((Id::TunMetadata13, "tun_metadata13", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(53)]),
        row((Id::TunMetadata14, "tun_metadata14", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(54)]),
        row((Id::TunMetadata15, "tun_metadata15", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(55)]),
        row((Id::TunMetadata16, "tun_metadata16", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(56)]),
        row((Id::TunMetadata17, "tun_metadata17", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(57)]),
        row((Id::TunMetadata18, "tun_metadata18", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(58)]),
        row((Id::TunMetadata19, "tun_metadata19", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(59)]),
        row((Id::TunMetadata20, "tun_metadata20", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(60)]),
        row((Id::TunMetadata21, "tun_metadata21", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(61)]),
        row((Id::TunMetadata22, "tun_metadata22", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(62)]),
        row((Id::TunMetadata23, "tun_metadata23", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(63)]),
        row((Id::TunMetadata24, "tun_metadata24", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(64)]),
        row((Id::TunMetadata25, "tun_metadata25", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(65)]),
        row((Id::TunMetadata26, "tun_metadata26", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(66)]),
        row((Id::TunMetadata27, "tun_metadata27", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(67)]),
        row((Id::TunMetadata28, "tun_metadata28", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(68)]),
        row((Id::TunMetadata29, "tun_metadata29", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(69)]),
        row((Id::TunMetadata30, "tun_metadata30", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(70)]),
        row((Id::TunMetadata31, "tun_metadata31", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(71)]),
        row((Id::TunMetadata32, "tun_metadata32", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(72)]),
        row((Id::TunMetadata33, "tun_metadata33", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(73)]),
        row((Id::TunMetadata34, "tun_metadata34", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(74)]),
        row((Id::TunMetadata35, "tun_metadata35", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(75)]),
        row((Id::TunMetadata36, "tun_metadata36", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(76)]),
        row((Id::TunMetadata37, "tun_metadata37", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(77)]),
        row((Id::TunMetadata38, "tun_metadata38", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(78)]),
        row((Id::TunMetadata39, "tun_metadata39", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(79)]),
        row((Id::TunMetadata40, "tun_metadata40", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(80)]),
        row((Id::TunMetadata41, "tun_metadata41", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(81)]),
        row((Id::TunMetadata42, "tun_metadata42", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(82)]),
        row((Id::TunMetadata43, "tun_metadata43", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(83)]),
        row((Id::TunMetadata44, "tun_metadata44", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(84)]),
        row((Id::TunMetadata45, "tun_metadata45", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(85)]),
        row((Id::TunMetadata46, "tun_metadata46", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(86)]),
        row((Id::TunMetadata47, "tun_metadata47", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(87)]),
        row((Id::TunMetadata48, "tun_metadata48", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(88)]),
        row((Id::TunMetadata49, "tun_metadata49", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(89)]),
        row((Id::TunMetadata50, "tun_metadata50", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(90)]),
        row((Id::TunMetadata51, "tun_metadata51", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(91)]),
        row((Id::TunMetadata52, "tun_metadata52", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(92)]),
        row((Id::TunMetadata53, "tun_metadata53", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(93)]),
        row((Id::TunMetadata54, "tun_metadata54", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(94)]),
        row((Id::TunMetadata55, "tun_metadata55", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(95)]),
        row((Id::TunMetadata56, "tun_metadata56", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(96)]),
        row((Id::TunMetadata57, "tun_metadata57", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(97)]),
        row((Id::TunMetadata58, "tun_metadata58", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(98)]),
        row((Id::TunMetadata59, "tun_metadata59", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(99)]),
        row((Id::TunMetadata60, "tun_metadata60", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(100)]),
        row((Id::TunMetadata61, "tun_metadata61", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(101)]),
        row((Id::TunMetadata62, "tun_metadata62", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(102)]),
        row((Id::TunMetadata63, "tun_metadata63", None), (124, 992), NO_PLACE, (Hex, MASK, RW, P::None), &[nx(103)]),
        row((Id::Metadata, "metadata", None), (8, 64), at!(metadata, 8, 0, 64), (Hex, MASK, RW, P::None), &[oxm(2, V12)]),
        row((Id::InPort, "in_port", None), (2, 16), at!(in_port, 4, 0, 16), (Port16, EXACT, RW, P::None), &[of(0)]),
        row((Id::InPortOxm, "in_port_oxm", None), (4, 32), at!(in_port, 4, 0, 32), (Port32, EXACT, RW, P::None), &[oxm(0, V12)]),
        row((Id::ActsetOutput, "actset_output", None), (4, 32), at!(actset_output, 4, 0, 32), (Port32, EXACT, RO, P::None), &[onf(43, V13), oxm(43, V15)]),
        row((Id::SkbPriority, "skb_priority", None), (4, 32), at!(skb_priority, 4, 0, 32), (Hex, EXACT, RO, P::None), &[]),
        row((Id::PktMark, "pkt_mark", None), (4, 32), at!(pkt_mark, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(33)]),
        row((Id::CtState, "ct_state", None), (4, 32), at!(ct_state, 4, 0, 8), (CtState, MASK, RO, P::None), &[nx(105)]),
        row((Id::CtZone, "ct_zone", None), (2, 16), at!(ct_zone, 2, 0, 16), (Hex, EXACT, RO, P::None), &[nx(106)]),
        row((Id::CtMark, "ct_mark", None), (4, 32), at!(ct_mark, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(107)]),
        row((Id::CtLabel, "ct_label", None), (16, 128), at!(ct_label, 16, 0, 128), (Hex, MASK, RW, P::None), &[nx(108)]),
        row((Id::CtNwProto, "ct_nw_proto", None), (1, 8), at!(ct_nw_proto, 1, 0, 8), (Decimal, EXACT, RO, P::Ct), &[nx(119)]),
        row((Id::CtNwSrc, "ct_nw_src", None), (4, 32), at!(ct_nw_src, 4, 0, 32), (Ipv4, MASK, RO, P::Ct), &[nx(120)]),
        row((Id::CtNwDst, "ct_nw_dst", None), (4, 32), at!(ct_nw_dst, 4, 0, 32), (Ipv4, MASK, RO, P::Ct), &[nx(121)]),
        row((Id::CtIpv6Src, "ct_ipv6_src", None), (16, 128), at!(ct_ipv6_src, 16, 0, 128), (Ipv6, MASK, RO, P::Ct), &[nx(122)]),
        row((Id::CtIpv6Dst, "ct_ipv6_dst", None), (16, 128), at!(ct_ipv6_dst, 16, 0, 128), (Ipv6, MASK, RO, P::Ct), &[nx(123)]),
        row((Id::CtTpSrc, "ct_tp_src", None), (2, 16), at!(ct_tp_src, 2, 0, 16), (Decimal, MASK, RO, P::Ct), &[nx(124)]),
        row((Id::CtTpDst, "ct_tp_dst", None), (2, 16), at!(ct_tp_dst, 2, 0, 16), (Decimal, MASK, RO, P::Ct), &[nx(125)]),
        row((Id::Reg0, "reg0", None), (4, 32), at!(regs, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(0)]),
        row((Id::Reg1, "reg1", None), (4, 32), at!(regs + 4, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(1)]),
        row((Id::Reg2, "reg2", None), (4, 32), at!(regs + 8, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(2)]),
        row((Id::Reg3, "reg3", None), (4, 32), at!(regs + 12, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(3)]),
        row((Id::Reg4, "reg4", None), (4, 32), at!(regs + 16, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(4)]),
        row((Id::Reg5, "reg5", None), (4, 32), at!(regs + 20, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(5)]),
        row((Id::Reg6, "reg6", None), (4, 32), at!(regs + 24, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(6)]),
        row((Id::Reg7, "reg7", None), (4, 32), at!(regs + 28, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(7)]),
        row((Id::Reg8, "reg8", None), (4, 32), at!(regs + 32, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(8)]),
        row((Id::Reg9, "reg9", None), (4, 32), at!(regs + 36, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(9)]),
        row((Id::Reg10, "reg10", None), (4, 32), at!(regs + 40, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(10)]),
        row((Id::Reg11, "reg11", None), (4, 32), at!(regs + 44, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(11)]),
        row((Id::Reg12, "reg12", None), (4, 32), at!(regs + 48, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(12)]),
        row((Id::Reg13, "reg13", None), (4, 32), at!(regs + 52, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(13)]),
        row((Id::Reg14, "reg14", None), (4, 32), at!(regs + 56, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(14)]),
        row((Id::Reg15, "reg15", None), (4, 32), at!(regs + 60, 4, 0, 32), (Hex, MASK, RW, P::None), &[nx(15)]),
        row((Id::Xreg0, "xreg0", None), (8, 64), at!(regs, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(0)]),
        row((Id::Xreg1, "xreg1", None), (8, 64), at!(regs + 8, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(1)]),
        row((Id::Xreg2, "xreg2", None), (8, 64), at!(regs + 16, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(2)]),
        row((Id::Xreg3, "xreg3", None), (8, 64), at!(regs + 24, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(3)]),
        row((Id::Xreg4, "xreg4", None), (8, 64), at!(regs + 32, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(4)]),
        row((Id::Xreg5, "xreg5", None), (8, 64), at!(regs + 40, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(5)]),
        row((Id::Xreg6, "xreg6", None), (8, 64), at!(regs + 48, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(6)]),
        row((Id::Xreg7, "xreg7", None), (8, 64), at!(regs + 56, 8, 0, 64), (Hex, MASK, RW, P::None), &[pkt_reg(7)]),
        row((Id::Xxreg0, "xxreg0", None), (16, 128), at!(regs, 16, 0, 128), (Hex, MASK, RW, P::None), &[nx(111)]),
        row((Id::Xxreg1, "xxreg1", None), (16, 128), at!(regs + 16, 16, 0, 128), (Hex, MASK, RW, P::None), &[nx(112)]),
        row((Id::Xxreg2, "xxreg2", None), (16, 128), at!(regs + 32, 16, 0, 128), (Hex, MASK, RW, P::None), &[nx(113)]),
        row((Id::Xxreg3, "xxreg3", None), (16, 128), at!(regs + 48, 16, 0, 128), (Hex, MASK, RW, P::None), &[nx(114)]),
        row((Id::EthSrc, "eth_src", Some("dl_src")), (6, 48), at!(eth_src, 6, 0, 48), (Ethernet, MASK, RW, P::Ethernet), &[of(2), oxm(4, V12)]),
        row((Id::EthDst, "eth_dst", Some("dl_dst")), (6, 48), at!(eth_dst, 6, 0, 48), (Ethernet, MASK, RW, P::Ethernet), &[of(1), oxm(3, V12)]),
        row((Id::EthType, "eth_type", Some("dl_type")), (2, 16), at!(eth_type, 2, 0, 16), (Hex, EXACT, RO, P::Ethernet), &[of(3), oxm(5, V12)]),
        row((Id::VlanTci, "vlan_tci", None), (2, 16), at!(vlan + 2, 2, 0, 16), (Hex, MASK, RW, P::Ethernet), &[of(4)]),
        row((Id::DlVlan, "dl_vlan", None), (2, 12), at!(vlan + 2, 2, 0, 12), (Decimal, EXACT, RW, P::Ethernet), &[]),
        row((Id::VlanVid, "vlan_vid", None), (2, 12), at!(vlan + 2, 2, 0, 13), (Decimal, MASK, RW, P::Ethernet), &[oxm(6, V12)]),
        row((Id::DlVlanPcp, "dl_vlan_pcp", None), (1, 3), at!(vlan + 2, 2, 13, 3), (Decimal, EXACT, RW, P::Ethernet), &[]),
        row((Id::VlanPcp, "vlan_pcp", None), (1, 3), at!(vlan + 2, 2, 13, 3), (Decimal, EXACT, RW, P::VlanVid), &[oxm(7, V12)]),
        row((Id::MplsLabel, "mpls_label", None), (4, 20), at!(mpls_lse, 4, 12, 20), (Decimal, EXACT, RW, P::Mpls), &[oxm(34, V12)]),
        row((Id::MplsTc, "mpls_tc", None), (1, 3), at!(mpls_lse, 4, 9, 3), (Decimal, EXACT, RW, P::Mpls), &[oxm(35, V12)]),
        row((Id::MplsBos, "mpls_bos", None), (1, 1), at!(mpls_lse, 4, 8, 1), (Decimal, EXACT, RO, P::Mpls), &[oxm(36, V13)]),
        row((Id::MplsTtl, "mpls_ttl", None), (1, 8), at!(mpls_lse, 4, 0, 8), (Decimal, EXACT, RW, P::Mpls), &[nx(30)]),
        row((Id::Ipv4Src, "ip_src", Some("nw_src")), (4, 32), at!(nw_src, 4, 0, 32), (Ipv4, MASK, RW, P::Ipv4), &[of(7), oxm(11, V12)]),
        row((Id::Ipv4Dst, "ip_dst", Some("nw_dst")), (4, 32), at!(nw_dst, 4, 0, 32), (Ipv4, MASK, RW, P::Ipv4), &[of(8), oxm(12, V12)]),
        row((Id::Ipv6Src, "ipv6_src", None), (16, 128), at!(ipv6_src, 16, 0, 128), (Ipv6, MASK, RW, P::Ipv6), &[nx(19), oxm(26, V12)]),
        row((Id::Ipv6Dst, "ipv6_dst", None), (16, 128), at!(ipv6_dst, 16, 0, 128), (Ipv6, MASK, RW, P::Ipv6), &[nx(20), oxm(27, V12)]),
        row((Id::Ipv6Label, "ipv6_label", None), (4, 20), at!(ipv6_label, 4, 0, 32), (Hex, MASK, RW, P::Ipv6), &[nx(27), oxm(28, V12)]),
        row((Id::NwProto, "nw_proto", Some("ip_proto")), (1, 8), at!(nw_proto, 1, 0, 8), (Decimal, EXACT, RO, P::Ip), &[of(6), oxm(10, V12)]),
        row((Id::NwTos, "nw_tos", None), (1, 8), at!(nw_tos, 1, 0, 8), (Decimal, EXACT, RW, P::Ip), &[of(5)]),
        row((Id::IpDscp, "ip_dscp", None), (1, 6), at!(nw_tos, 1, 2, 6), (Decimal, EXACT, RW, P::Ip), &[oxm(8, V12)]),
        row((Id::NwEcn, "nw_ecn", Some("ip_ecn")), (1, 2), at!(nw_tos, 1, 0, 2), (Decimal, EXACT, RW, P::Ip), &[nx(28), oxm(9, V12)]),
        row((Id::NwTtl, "nw_ttl", None), (1, 8), at!(nw_ttl, 1, 0, 8), (Decimal, EXACT, RW, P::Ip), &[nx(29)]),
        row((Id::IpFrag, "ip_frag", Some("nw_frag")), (1, 2), at!(nw_frag, 1, 0, 2), (Frag, MASK, RO, P::Ip), &[nx(26)]),
        row((Id::ArpOp, "arp_op", None), (2, 16), at!(nw_proto, 1, 0, 8), (Decimal, EXACT, RW, P::Arp), &[of(15), oxm(21, V12)]),
        row((Id::ArpSpa, "arp_spa", None), (4, 32), at!(nw_src, 4, 0, 32), (Ipv4, MASK, RW, P::Arp), &[of(16), oxm(22, V12)]),
        row((Id::ArpTpa, "arp_tpa", None), (4, 32), at!(nw_dst, 4, 0, 32), (Ipv4, MASK, RW, P::Arp), &[of(17), oxm(23, V12)]),
        row((Id::ArpSha, "arp_sha", None), (6, 48), at!(arp_sha, 6, 0, 48), (Ethernet, MASK, RW, P::Arp), &[nx(17), oxm(24, V12)]),
        row((Id::ArpTha, "arp_tha", None), (6, 48), at!(arp_tha, 6, 0, 48), (Ethernet, MASK, RW, P::Arp), &[nx(18), oxm(25, V12)]),
        row((Id::TcpSrc, "tcp_src", Some("tp_src")), (2, 16), at!(tp_src, 2, 0, 16), (Decimal, MASK, RW, P::Tcp), &[of(9), oxm(13, V12)]),
        row((Id::TcpDst, "tcp_dst", Some("tp_dst")), (2, 16), at!(tp_dst, 2, 0, 16), (Decimal, MASK, RW, P::Tcp), &[of(10), oxm(14, V12)]),
        row((Id::TcpFlags, "tcp_flags", None), (2, 12), at!(tcp_flags, 2, 0, 16), (TcpFlags, MASK, RO, P::Tcp), &[nx(34), onf(42, V13), oxm(42, V15)]),
        row((Id::UdpSrc, "udp_src", None), (2, 16), at!(tp_src, 2, 0, 16), (Decimal, MASK, RW, P::Udp), &[of(11), oxm(15, V12)]),
        row((Id::UdpDst, "udp_dst", None), (2, 16), at!(tp_dst, 2, 0, 16), (Decimal, MASK, RW, P::Udp), &[of(12), oxm(16, V12)]),
        row((Id::SctpSrc, "sctp_src", None), (2, 16), at!(tp_src, 2, 0, 16), (Decimal, MASK, RW, P::Sctp), &[oxm(17, V12)]),
        row((Id::SctpDst, "sctp_dst", None), (2, 16), at!(tp_dst, 2, 0, 16), (Decimal, MASK, RW, P::Sctp), &[oxm(18, V12)]),
        row((Id::IcmpType, "icmp_type", None), (1, 8), at!(tp_src + 1, 1, 0, 8), (Decimal, EXACT, RW, P::Icmp), &[of(13), oxm(19, V12)]),
        row((Id::IcmpCode, "icmp_code", None), (1, 8), at!(tp_dst + 1, 1, 0, 8), (Decimal, EXACT, RW, P::Icmp), &[of(14), oxm(20, V12)]),
        row((Id::Icmpv6Type, "icmpv6_type", None), (1, 8), at!(tp_src + 1, 1, 0, 8), (Decimal, EXACT, RW, P::Icmpv6), &[nx(21), oxm(29, V12)]),
        row((Id::Icmpv6Code, "icmpv6_code", None), (1, 8), at!(tp_dst + 1, 1, 0, 8), (Decimal, EXACT, RW, P::Icmpv6), &[nx(22), oxm(30, V12)]),
        row((Id::NdTarget, "nd_target", None), (16, 128), at!(nd_target, 16, 0, 128), (Ipv6, MASK, RW, P::Nd), &[nx(23), oxm(31, V12)]),
        row((Id::NdSll, "nd_sll", None), (6, 48), at!(arp_sha, 6, 0, 48), (Ethernet, MASK, RW, P::NdSolicit), &[nx(24), oxm(32, V12)]),
        row((Id::NdTll, "nd_tll", None), (6, 48), at!(arp_tha, 6, 0, 48), (Ethernet, MASK, RW, P::NdAdvert), &[nx(25), oxm(33, V12)]),
        row((Id::NdReserved, "nd_reserved", None), (4, 32), NO_PLACE, (Decimal, EXACT, RW, P::Nd), &[eric(1)]),
        row((Id::NdOptionsType, "nd_options_type", None), (1, 8), NO_PLACE, (Decimal, EXACT, RW, P::Nd), &[eric(2)]),
        row((Id::NshFlags, "nsh_flags", None), (1, 8), NO_PLACE, (Decimal, MASK, RW, P::Nsh), &[nsh(1)]),
        row((Id::NshMdtype, "nsh_mdtype", None), (1, 8), NO_PLACE, (Decimal, EXACT, RO, P::Nsh), &[nsh(2)]),
        row((Id::NshNp, "nsh_np", None), (1, 8), NO_PLACE, (Decimal, EXACT, RO, P::Nsh), &[nsh(3)]),
        row((Id::NshSpi, "nsh_spi", Some("nsp")), (4, 24), NO_PLACE, (Hex, EXACT, RW, P::Nsh), &[nsh(4)]),
        row((Id::NshSi, "nsh_si", Some("nsi")), (1, 8), NO_PLACE, (Decimal, EXACT, RW, P::Nsh), &[nsh(5)]),
        row((Id::NshC1, "nsh_c1", Some("nshc1")), (4, 32), NO_PLACE, (Hex, MASK, RW, P::Nsh), &[nsh(6)]),
        row((Id::NshC2, "nsh_c2", Some("nshc2")), (4, 32), NO_PLACE, (Hex, MASK, RW, P::Nsh), &[nsh(7)]),
        row((Id::NshC3, "nsh_c3", Some("nshc3")), (4, 32), NO_PLACE, (Hex, MASK, RW, P::Nsh), &[nsh(8)]),
        row((Id::NshC4, "nsh_c4", Some("nshc4")), (4, 32), NO_PLACE, (Hex, MASK, RW, P::Nsh), &[nsh(9)]),
        row((Id::NshTtl, "nsh_ttl", None), (1, 8), NO_PLACE, (Decimal, EXACT, RW, P::Nsh), &[nsh(10)]),
    ]
};
