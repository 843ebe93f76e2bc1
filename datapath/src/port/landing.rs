//! Reading frames with a `virtio_net_hdr` in front, one a system call, into buffers of about the right size.
//!
//! A frame may be 60 bytes or 64 KB, and how long it is shows only afterwards. Reading all into large buffers would waste cache and
//! the pool, reading into a small and an overflow buffer would copy super-frames twice. Traffic comes in runs, so the size of the
//! last frame is taken for that of the next: after a short frame the read goes into a small buffer with an overflow behind it, after
//! a long one into a large buffer, and what turns out short there is copied out.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use packet::offload::VNET_LEN;
use packet::{Class, Offload, Packet};

/// Shortest frame that is one: an Ethernet header.
const ETHERNET_LEN: usize = 14;

/// What came of a read.
#[derive(Debug)]
pub(super) enum Landed {
    /// A frame with its offload state.
    Frame(Packet),
    /// Something that is no frame.
    Invalid,
}

/// Where frames land.
#[derive(Debug)]
pub(super) struct Landing {
    small: Option<Packet>,
    large: Option<Packet>,
    overflow: Vec<u8>,
    expect_large: bool,
}

impl Landing {
    pub(super) fn new() -> Self {
        Self { small: None, large: None, overflow: Vec::new(), expect_large: false }
    }

    /// The next frame is this long, for a driver that knows.
    pub(super) fn expect(&mut self, len: usize) {
        self.expect_large = len > Class::Small.size() - packet::HEADROOM;
    }

    /// Reads one frame. `WouldBlock` when there is none.
    pub(super) fn read(&mut self, fd: &impl AsRawFd) -> io::Result<Landed> {
        let fd = fd.as_raw_fd();
        if self.expect_large { self.read_large(fd) } else { self.read_small(fd) }
    }

    fn read_large(&mut self, fd: RawFd) -> io::Result<Landed> {
        let mut packet = self.large.take().unwrap_or_else(|| Packet::empty(Class::Large));
        let mut header = [0; VNET_LEN];
        let got = read_vectors(fd, [&mut header, packet.spare_mut(), &mut []]);
        let len = match got {
            Ok(got) => got.saturating_sub(VNET_LEN),
            Err(error) => {
                self.large = Some(packet);
                return Err(error);
            }
        };
        self.expect(len);
        if self.expect_large {
            let _ = packet.append(len);
            return Ok(finish(packet, &header));
        }
        let copy = packet.spare_mut().get(..len).map(Packet::copy_of);
        self.large = Some(packet);
        Ok(match copy {
            Some(Ok(copy)) => finish(copy, &header),
            _ => Landed::Invalid,
        })
    }

    fn read_small(&mut self, fd: RawFd) -> io::Result<Landed> {
        let mut packet = self.small.take().unwrap_or_else(|| Packet::empty(Class::Small));
        if self.overflow.is_empty() {
            self.overflow = vec![0; packet::MAX_LEN];
        }
        let mut header = [0; VNET_LEN];
        let got = read_vectors(fd, [&mut header, packet.spare_mut(), &mut self.overflow]);
        let len = match got {
            Ok(got) => got.saturating_sub(VNET_LEN),
            Err(error) => {
                self.small = Some(packet);
                return Err(error);
            }
        };
        self.expect(len);
        let room = packet.spare_mut().len();
        let _ = packet.append(len.min(room));
        if len > room && packet.extend(&self.overflow[..len - room]).is_err() {
            return Ok(Landed::Invalid);
        }
        Ok(finish(packet, &header))
    }
}

fn finish(mut packet: Packet, header: &[u8; VNET_LEN]) -> Landed {
    if packet.len() < ETHERNET_LEN {
        return Landed::Invalid;
    }
    match Offload::from_vnet(header, packet.len()) {
        Ok(offload) => {
            packet.offload = offload;
            Landed::Frame(packet)
        }
        Err(_) => Landed::Invalid,
    }
}

fn read_vectors(fd: RawFd, parts: [&mut [u8]; 3]) -> io::Result<usize> {
    let vectors = parts.map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
    // SAFETY: each vector is a slice that is borrowed for writing while the call lasts.
    let got = unsafe { libc::readv(fd, vectors.as_ptr(), vectors.len() as libc::c_int) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    fn send(socket: &UnixDatagram, header: [u8; VNET_LEN], frame: &[u8]) {
        socket.send(&[&header[..], frame].concat()).unwrap();
    }

    fn frame(landed: io::Result<Landed>) -> Packet {
        match landed.unwrap() {
            Landed::Frame(packet) => packet,
            Landed::Invalid => panic!("not a frame"),
        }
    }

    #[test]
    fn frames_of_all_sizes_land_whole_whatever_came_before() {
        let (far, near) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut landing = Landing::new();
        for len in [14, 60, 1920, 1921, 60_000, 65_550, 60, 65_550, 14] {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
            send(&far, [0; VNET_LEN], &bytes);
            assert_eq!(frame(landing.read(&near)).data(), bytes, "{len} bytes");
        }
        assert_eq!(landing.read(&near).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let (far, near) = UnixDatagram::pair().unwrap();
        let mut landing = Landing::new();
        send(&far, [0; VNET_LEN], &[1; 13]);
        assert!(matches!(landing.read(&near).unwrap(), Landed::Invalid));
        far.send(&[1; 3]).unwrap();
        assert!(matches!(landing.read(&near).unwrap(), Landed::Invalid));
        send(&far, [1, 0, 0, 0, 0, 0, 255, 0, 0, 0], &[1; 60]);
        assert!(matches!(landing.read(&near).unwrap(), Landed::Invalid));
        send(&far, [1, 0, 0, 0, 0, 0, 34, 0, 6, 0], &[1; 60]);
        assert_eq!(
            frame(landing.read(&near)).offload.checksum,
            packet::Checksum::Partial { start: 34, offset: 6 }
        );
    }
}
