//! Reading big-endian fields from a message with one error for every shortage.

use crate::error::OfError;

/// A cursor over the bytes of a message. Every read past the end gives the error that the reader was made with.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    short: OfError,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; a shortage is `OFPBRC_BAD_LEN`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader::or(bytes, OfError::OFPBRC_BAD_LEN)
    }

    /// Reads `bytes`; a shortage is `short`.
    pub fn or(bytes: &'a [u8], short: OfError) -> Reader<'a> {
        Reader { rest: bytes, short }
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, without taking it.
    pub fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// What is left; the reader is empty afterwards.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], OfError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(self.short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], OfError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(self.short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Passes over `n` bytes of any content.
    pub fn skip(&mut self, n: usize) -> Result<(), OfError> {
        self.bytes(n).map(|_| ())
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, OfError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, OfError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, OfError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, OfError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A fixed-size field of `N` bytes that holds a string ended by a NUL or by the field's end; bytes that are not UTF-8 are replaced.
    pub fn string<const N: usize>(&mut self) -> Result<String, OfError> {
        let field = self.array::<N>()?;
        let end = field.iter().position(|&b| b == 0).unwrap_or(N);
        Ok(String::from_utf8_lossy(&field[..end]).into_owned())
    }
}

/// Appends `text` in a field of `size` bytes: cut so that a NUL ends it, filled with NULs.
pub fn put_string(out: &mut Vec<u8>, text: &str, size: usize) {
    let mut end = text.len().min(size.saturating_sub(1));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(&text.as_bytes()[..end]);
    put_zeros(out, size - end);
}

/// Appends `n` zero bytes.
pub fn put_zeros(out: &mut Vec<u8>, n: usize) {
    out.resize(out.len() + n, 0);
}

/// Appends zero bytes until `out` is a multiple of eight bytes longer than `start`.
pub fn pad8(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    put_zeros(out, len.next_multiple_of(8) - len);
}

/// Overwrites the two bytes at `at` with `value`: for lengths that are known once the body is written.
pub fn set_u16(out: &mut [u8], at: usize, value: u16) {
    out[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortage_gives_the_readers_error() {
        let mut reader = Reader::or(&[1, 2, 3], OfError::OFPBAC_BAD_LEN);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u16(), Err(OfError::OFPBAC_BAD_LEN));
        assert_eq!(reader.u8(), Ok(3));
        assert!(reader.is_empty());
    }

    #[test]
    fn strings_are_cut_and_filled() {
        let mut out = Vec::new();
        put_string(&mut out, "abcdef", 4);
        assert_eq!(out, *b"abc\0");
        assert_eq!(Reader::new(&out).string::<4>(), Ok("abc".into()));
        put_string(&mut out, "\u{e9}\u{e9}", 4);
        assert_eq!(out[4..], [0xc3, 0xa9, 0, 0]);
    }

    #[test]
    fn padding_counts_from_the_start() {
        let mut out = vec![0; 3];
        pad8(&mut out, 3);
        assert_eq!(out.len(), 3);
        out.push(1);
        pad8(&mut out, 3);
        assert_eq!(out.len(), 11);
    }
}
