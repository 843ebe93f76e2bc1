//! A packet socket that hands over frames with their offload state.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use packet::offload::VNET_LEN;
use packet::{Offload, Packet};

/// Frames of one interface.
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Opens one on an interface of the namespace that the thread is in.
    pub(crate) fn open(interface: &str) -> Result<Self> {
        let index = nix::net::if_::if_nametoindex(interface)?;
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, i32::from(protocol))
        };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.set(libc::PACKET_VNET_HDR)?;
        socket.set(libc::PACKET_IGNORE_OUTGOING)?;
        // SAFETY: all zero is a value of this plain structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        let len = size_of_val(&address) as u32;
        // SAFETY: the address is alive, and as long as said.
        checked(unsafe { libc::bind(fd, (&raw const address).cast(), len) } as isize)?;
        Ok(socket)
    }

    fn set(&self, option: i32) -> Result<()> {
        let on = 1i32;
        // SAFETY: the value is alive, and four bytes long.
        let done = unsafe {
            libc::setsockopt(self.0.as_raw_fd(), libc::SOL_PACKET, option, (&raw const on).cast(), 4)
        };
        checked(done as isize).map(drop)
    }

    pub(crate) fn receive(&self) -> Option<Packet> {
        let mut bytes = vec![0u8; 70_000];
        // SAFETY: the buffer is alive, and as long as said.
        let got = unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        let frame = bytes.get(VNET_LEN..checked(got).ok()?)?;
        let mut packet = Packet::copy_of(frame).ok()?;
        packet.offload =
            Offload::from_vnet(bytes.first_chunk()?, frame.len()).expect("a header that makes sense");
        Some(packet)
    }

    pub(crate) fn send(&self, packet: &Packet) -> Result<()> {
        let bytes = [&packet.offload.to_vnet(packet.len())[..], packet.data()].concat();
        // SAFETY: the buffer is alive, and as long as said.
        checked(unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) }).map(drop)
    }
}

impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn checked(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::last_os_error())
}
