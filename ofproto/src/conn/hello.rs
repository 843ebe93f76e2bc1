//! The exchange of hellos: which versions of OpenFlow each side speaks, and what is said when there is none in common
//! (OpenFlow 1.3.1, 6.3.1 and 7.5.1).

use bytes::{BufMut, Bytes};
use openflow::header::{HEADER_LEN, MAX_MESSAGE_LEN};
use openflow::{Header, OfError, Version, Versions};

/// `OFPT_HELLO`.
const TYPE_HELLO: u8 = 0;
/// `OFPT_ERROR`.
const TYPE_ERROR: u8 = 1;
/// `OFPHET_VERSIONBITMAP`.
const ELEMENT_BITMAP: u16 = 1;

/// Versions in words: "version 0x04", "version 0x06 and earlier", "versions 0x01, 0x04".
pub(crate) fn describe(versions: Versions) -> String {
    let bits = versions.0;
    let highest = 31u32.saturating_sub(bits.leading_zeros());
    if bits.count_ones() == 1 {
        format!("version 0x{highest:02x}")
    } else if versions == Versions::up_to(highest as u8) {
        format!("version 0x{highest:02x} and earlier")
    } else {
        let all: Vec<_> = (0..32).filter(|v| bits & 1 << v != 0).map(|v| format!("0x{v:02x}")).collect();
        format!("versions {}", all.join(", "))
    }
}

/// Our hello: our highest version in its header, and all of them in a bitmap where the header does not say it all.
pub(crate) fn encode(ours: Versions, xid: u32) -> Bytes {
    let highest = ours.highest().unwrap_or(Version::V10);
    let bitmap = ours != Versions::up_to(highest.wire());
    let length = if bitmap { 16 } else { 8 };
    let mut out = Vec::with_capacity(16);
    Header { version: highest.wire(), kind: TYPE_HELLO, length, xid }.put(&mut out);
    if bitmap {
        out.put_u16(ELEMENT_BITMAP);
        out.put_u16(8);
        out.put_u32(ours.0);
    }
    out.into()
}

/// The versions that a hello offers; `None` if `message` is something else.
pub(crate) fn decode(message: &[u8]) -> Option<Versions> {
    let header = Header::parse(message)?;
    if header.kind != TYPE_HELLO || header.version == 0 {
        return None;
    }
    let mut rest = &message[8..];
    while let [t0, t1, l0, l1, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < 4 || length > rest.len() {
            break;
        }
        if u16::from_be_bytes([t0, t1]) == ELEMENT_BITMAP && length >= 8 {
            let bits = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]);
            return Some(Versions(bits & !1));
        }
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    Some(Versions::up_to(header.version))
}

/// "Hello failed, incompatible", with the reason in words. It goes out as OpenFlow 1.0, which everyone can read.
pub(crate) fn encode_incompatible(ours: Versions, theirs: Versions) -> Bytes {
    let text =
        format!("We support {}, you support {}, no common versions.", describe(ours), describe(theirs));
    let mut out = Vec::new();
    let length = 12 + text.len() as u16;
    Header { version: Version::V10.wire(), kind: TYPE_ERROR, length, xid: 0 }.put(&mut out);
    out.put_u32(0);
    out.put_slice(text.as_bytes());
    out.into()
}

/// An error message in answer to `request`, of which it carries as much as fits.
pub(crate) fn encode_error(version: Version, error: OfError, request: &[u8]) -> Bytes {
    let xid = Header::parse(request).map_or(0, |h| h.xid);
    let mut body = Vec::new();
    error.encode(version, &mut body);
    body.extend_from_slice(&request[..request.len().min(MAX_MESSAGE_LEN - HEADER_LEN - body.len())]);
    let mut out = Vec::with_capacity(8 + body.len());
    Header { version: version.wire(), kind: TYPE_ERROR, length: 8 + body.len() as u16, xid }.put(&mut out);
    out.extend_from_slice(&body);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(versions: &[Version]) -> Versions {
        versions.iter().copied().collect()
    }

    #[test]
    fn hello_round_trip() {
        assert_eq!(encode(Versions::ALL, 5)[..], [6, 0, 0, 8, 0, 0, 0, 5]);
        for versions in [Versions::ALL, Versions::only(Version::V13), set(&[Version::V10, Version::V14])] {
            assert_eq!(decode(&encode(versions, 1)), Some(versions));
        }
    }

    #[test]
    fn unknown_elements_and_garbage() {
        let with_unknown = [6, 0, 0, 28, 0, 0, 0, 1, 0, 9, 0, 5, 1, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0, 2];
        assert_eq!(decode(&with_unknown), Some(Versions::only(Version::V10)));
        assert_eq!(decode(&[4, 0, 0, 12, 0, 0, 0, 1, 0, 1, 0, 0]), Some(Versions::up_to(4)));
        assert_eq!(decode(&[4, 2, 0, 8, 0, 0, 0, 1]), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn names() {
        assert_eq!(describe(Versions::only(Version::V13)), "version 0x04");
        assert_eq!(describe(Versions::ALL), "version 0x06 and earlier");
        assert_eq!(describe(set(&[Version::V10, Version::V13])), "versions 0x01, 0x04");
    }
}
