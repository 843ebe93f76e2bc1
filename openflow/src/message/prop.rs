//! Properties: the type-length-value lists that end many messages from OpenFlow 1.3 on (clause 7.2.1).

use crate::error::OfError;
use crate::wire::{Reader, pad8, set_u16};
use bytes::BufMut;

/// Property type of an experimenter's property.
const EXPERIMENTER: u16 = 0xffff;

/// The type of a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PropType {
    /// A type of the specification.
    Plain(u16),
    /// An experimenter and its type.
    Exp(u32, u32),
}

impl PropType {
    /// The error for a property that is not known.
    pub(crate) fn unknown(self) -> OfError {
        match self {
            PropType::Plain(_) => OfError::OFPBPC_BAD_TYPE,
            PropType::Exp(..) => OfError::OFPBPC_BAD_EXP_TYPE,
        }
    }
}

/// Takes one property: its type and its contents after the type and length (and experimenter) fields. The contents exclude padding;
/// a shortage in them is `OFPBPC_BAD_LEN`.
pub(crate) fn take<'a>(reader: &mut Reader<'a>) -> Result<(PropType, Reader<'a>), OfError> {
    take_aligned(reader, EXPERIMENTER, 8)
}

/// Like [`take`], where types from `min_exp` on are experimenters' and properties are padded to `align` bytes.
pub(crate) fn take_aligned<'a>(
    reader: &mut Reader<'a>,
    min_exp: u16,
    align: usize,
) -> Result<(PropType, Reader<'a>), OfError> {
    let bad = OfError::OFPBPC_BAD_LEN;
    let mut head = Reader::or(reader.peek(), bad);
    let (kind, len) = (head.u16()?, usize::from(head.u16()?));
    let padded = len.next_multiple_of(align);
    if len < 4 || padded > reader.len() {
        return Err(bad);
    }
    let whole = reader.bytes(padded)?;
    let mut contents = Reader::or(&whole[4..len], bad);
    if kind < min_exp {
        return Ok((PropType::Plain(kind), contents));
    }
    let (exp, exp_type) = (contents.u32()?, contents.u32()?);
    Ok((PropType::Exp(exp, exp_type), contents))
}

/// The contents of a property that hold one 32-bit number after no padding.
pub(crate) fn only_u32(mut contents: Reader<'_>) -> Result<u32, OfError> {
    let value = contents.u32()?;
    if contents.is_empty() { Ok(value) } else { Err(OfError::OFPBPC_BAD_LEN) }
}

/// The contents of a property that begin with a 16-bit number. As its padding is sometimes counted, any length will do.
pub(crate) fn only_u16(mut contents: Reader<'_>) -> Result<u16, OfError> {
    contents.u16()
}

/// The contents of a property that begin with one byte. As its padding is sometimes counted, any length will do.
pub(crate) fn only_u8(mut contents: Reader<'_>) -> Result<u8, OfError> {
    contents.u8()
}

/// The contents of a property that hold four bytes of padding and one 64-bit number.
pub(crate) fn only_u64(mut contents: Reader<'_>) -> Result<u64, OfError> {
    contents.skip(4)?;
    let value = contents.u64()?;
    if contents.is_empty() { Ok(value) } else { Err(OfError::OFPBPC_BAD_LEN) }
}

/// The contents of a property without contents.
pub(crate) fn nothing(contents: &Reader<'_>) -> Result<(), OfError> {
    if contents.is_empty() { Ok(()) } else { Err(OfError::OFPBPC_BAD_LEN) }
}

/// Appends a property whose contents `fill` writes; the length excludes the padding that follows.
pub(crate) fn put(out: &mut Vec<u8>, kind: PropType, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let (number, exp) = match kind {
        PropType::Plain(number) => (number, None),
        PropType::Exp(exp, exp_type) => (EXPERIMENTER, Some((exp, exp_type))),
    };
    out.put_u16(number);
    out.put_u16(0);
    if let Some((exp, exp_type)) = exp {
        out.put_u32(exp);
        out.put_u32(exp_type);
    }
    fill(out);
    let len = out.len() - start;
    set_u16(out, start + 2, len as u16);
    pad8(out, start);
}

/// Appends a plain property that holds one 16-bit number and two bytes of padding.
pub(crate) fn put_u16(out: &mut Vec<u8>, kind: u16, value: u16) {
    put(out, PropType::Plain(kind), |out| {
        out.put_u16(value);
        out.put_u16(0);
    });
}

/// Appends a plain property that holds one 32-bit number.
pub(crate) fn put_u32(out: &mut Vec<u8>, kind: u16, value: u32) {
    put(out, PropType::Plain(kind), |out| out.put_u32(value));
}

/// Appends a plain property that holds four bytes of padding and one 64-bit number.
pub(crate) fn put_u64(out: &mut Vec<u8>, kind: u16, value: u64) {
    put(out, PropType::Plain(kind), |out| {
        out.put_u32(0);
        out.put_u64(value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_back() {
        let mut out = Vec::new();
        put_u32(&mut out, 3, 77);
        put(&mut out, PropType::Exp(1, 2), |out| out.put_u8(9));
        assert_eq!(out.len(), 24);
        let mut reader = Reader::new(&out);
        let (kind, contents) = take(&mut reader).unwrap();
        assert_eq!((kind, only_u32(contents)), (PropType::Plain(3), Ok(77)));
        let (kind, contents) = take(&mut reader).unwrap();
        assert_eq!((kind, only_u8(contents)), (PropType::Exp(1, 2), Ok(9)));
        assert!(reader.is_empty());
    }

    #[test]
    fn bad_lengths_are_refused() {
        for bytes in [
            &[0u8, 1, 0][..],
            &[0, 1, 0, 3, 0, 0, 0, 0],
            &[0, 1, 0, 9, 0, 0, 0, 0],
            &[0xff, 0xff, 0, 8, 0, 0, 0, 0],
        ] {
            assert_eq!(take(&mut Reader::new(bytes)).map(|p| p.0), Err(OfError::OFPBPC_BAD_LEN));
        }
    }
}
