//! TFTP (RFC 1350): the answer to a request comes from another port than the request went to.

/// Whether a datagram asks for a transfer: a read or write request with a file name and a mode, both ended by a zero byte.
pub fn is_request(payload: &[u8]) -> bool {
    let [0, 1 | 2, names @ ..] = payload else { return false };
    let mut names = names.split(|&byte| byte == 0);
    let (Some(file), Some(mode), Some(_)) = (names.next(), names.next(), names.next()) else { return false };
    let is_text = |name: &[u8]| !name.is_empty() && name.iter().all(|byte| !byte.is_ascii_control());
    is_text(file) && is_text(mode) && mode.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_others() {
        assert!(is_request(b"\0\x01file\0octet\0"));
        assert!(is_request(b"\0\x02a b.txt\0netascii\0blksize\x001428\0"));
        for other in [
            &b""[..],
            b"\0\x01",
            b"\0\x01file\0octet",
            b"\0\x01\0octet\0",
            b"\0\x01file\0\0",
            b"\0\x03file\0octet\0",
            b"\x01\x01file\0octet\0",
            b"\0\x01fi\nle\0octet\0",
        ] {
            assert!(!is_request(other), "{other:?}");
        }
    }
}
