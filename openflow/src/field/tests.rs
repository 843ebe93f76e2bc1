use packet::FlowKey;
use packet::key::WORDS;

use super::*;
use crate::Version;

#[test]
fn rows_stand_at_their_number() {
    for (i, field) in FIELDS.iter().enumerate() {
        assert_eq!(field.id as usize, i, "{}", field.name);
        assert!(FieldId::by_name(field.name) == Some(field.id), "{}", field.name);
        if let Some(place) = field.place {
            assert!(place.offset + place.len <= WORDS * 8);
            assert!(place.shift + place.bits <= place.len as u32 * 8, "{}", field.name);
            assert!(place.bits <= field.n_bytes.max(4) * 8);
        }
    }
}

#[test]
fn headers_are_unique_and_found() {
    for field in &FIELDS {
        for wire in field.wire {
            for has_mask in [false, true] {
                let header = Header::new(field, *wire, has_mask);
                assert_eq!(header.lookup().map(|f| f.id), Some(field.id));
                assert_eq!(header.without_mask(), Header::new(field, *wire, false));
                let mut bytes = Vec::new();
                header.put(&mut bytes);
                assert_eq!(Header::read(&bytes), Ok(header));
            }
        }
    }
}

#[test]
fn code_point_follows_the_version() {
    let header = |id: FieldId, version| id.header(version, false).map(|h| h.0 >> 32);
    assert_eq!(header(FieldId::EthSrc, Version::V10), Some(0x0000_0406));
    assert_eq!(header(FieldId::EthSrc, Version::V13), Some(0x8000_0806));
    assert_eq!(header(FieldId::Metadata, Version::V10), Some(0x8000_0408));
    assert_eq!(header(FieldId::TcpFlags, Version::V13), Some(0xffff_5406));
    assert_eq!(header(FieldId::TcpFlags, Version::V15), Some(0x8000_5402));
    assert_eq!(header(FieldId::DlVlan, Version::V13), None);
}

#[test]
fn set_then_get() {
    for field in FIELDS.iter().filter(|f| f.place.is_some()) {
        let mut key = FlowKey::default();
        let value = if field.id == FieldId::NwTos { 0xfc } else { field.exact() };
        field.set(&mut key, u128::MAX);
        assert_eq!(field.get(&key), value, "{}", field.name);
        field.set(&mut key, 0);
        assert_eq!(field.get(&key), 0, "{}", field.name);
    }
}

#[test]
fn subfields() {
    let mut key = FlowKey::default();
    let low = SubField { field: FieldId::Xreg0, ofs: 0, n_bits: 32 };
    let mid = SubField { field: FieldId::Reg1, ofs: 8, n_bits: 8 };
    low.set(&mut key, 0x1122_3344);
    assert_eq!(mid.get(&key), 0x33);
    mid.set(&mut key, 0xff);
    assert_eq!(FieldId::Xxreg0.get(&key), 0x1122_ff44 << 64);
    let bad = SubField { field: FieldId::Reg1, ofs: 30, n_bits: 3 };
    assert_eq!(bad.check(), Err(SubFieldError::Width(30, 3, 32, "reg1")));
}
