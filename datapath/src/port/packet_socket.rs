//! Existing devices (veth, a guest's tap, a NIC) through packet sockets.
//!
//! Receive: one socket with a [`Ring`] and `virtio_net_hdr`s, so that partial checksums and super-frames come as they are. The
//! host's stack is kept quiet behind it ([`Silence`]). Transmit: a socket a worker, batches by `sendmmsg`, the same headers. When
//! the device's queue or the socket's buffer is full, frames stay with the worker: nothing is dropped here for want of room.
//!
//! The socket outlives the device's going down and up. When the device is removed or moved to another namespace, the socket falls
//! silent for good; whoever follows devices ([`crate::netdev::Netdevs`]) opens the port again when there is one of that name.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use packet::offload::VNET_LEN;
use packet::{Offload, Packet};

use super::landing::{Landed, Landing};
use super::ring::Ring;
use super::silence::Silence;
use super::tap::refused;
use super::{Capabilities, Port, PortError, Queues, RECEIVE_AT_ONCE, Readiness, RxQueue, TxQueue};
use crate::drops::DropReason;
use crate::netdev::Links;
use crate::netlink::socket::set_option;

const PACKET_COPY_THRESH: libc::c_int = 7;
const PACKET_VERSION: libc::c_int = 10;
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const TPACKET_V2: u32 = 1;
/// Slots of the ring: what comes in while the worker is away for a millisecond at full rate, in 2 MiB.
const SLOTS: usize = 1024;
/// Super-frames that may wait at the socket, in bytes of kernel memory. Only used while they wait.
const RECEIVE_BYTES: u32 = 32 << 20;
/// What may be on its way out, in bytes of kernel memory.
const SEND_BYTES: u32 = 4 << 20;
/// Frames a `sendmmsg`.
const BATCH: usize = 32;
/// After so many looks at an empty ring, see whether the socket has an error to tell.
const LOOKS: u32 = 64;

/// Opens the device that `port` names.
pub fn open(port: &Arc<Port>, workers: usize) -> Result<Queues, PortError> {
    let fail = |what| move |source| PortError::Device { name: port.name().to_owned(), what, source };
    let mut links = Links::here().map_err(fail("netlink"))?;
    let link = links.get(port.name()).map_err(fail("could not open network device"))?;
    if link.loopback {
        return Err(PortError::Loopback(port.name().to_owned()));
    }
    if let Some(mtu) = port.spec.mtu.filter(|mtu| *mtu != link.mtu) {
        links.set_mtu(link.index, mtu).map_err(fail("could not set MTU"))?;
    }
    port.set_mtu(port.spec.mtu.unwrap_or(link.mtu));
    port.set_capabilities(capabilities());
    let silence = Silence::keep(link.index).map_err(fail("could not silence the host's stack"))?;
    let rx = PacketRx::open(port, link.index).map_err(fail("could not open packet socket"))?;
    let tx =
        (0..workers).map(|_| PacketTx::open(port, link.index).map(|tx| Box::new(tx) as Box<dyn TxQueue>));
    let tx = tx.collect::<io::Result<_>>().map_err(fail("could not open packet socket"))?;
    Ok(Queues { rx: vec![Box::new(rx)], tx, keep: Some(Box::new(silence)) })
}

/// What a packet socket takes: the kernel does in software what the device cannot.
fn capabilities() -> Capabilities {
    let tcp = Capabilities::CHECKSUM | Capabilities::TSO4 | Capabilities::TSO6 | Capabilities::TSO_ECN;
    if kernel_has_uso() { tcp | Capabilities::USO4 | Capabilities::USO6 } else { tcp }
}

/// UDP segments in `virtio_net_hdr`s: Linux 6.2 and later.
fn kernel_has_uso() -> bool {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 2)
}

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(&fd, libc::SOL_PACKET, PACKET_VNET_HDR, 1)?;
    Ok(fd)
}

/// Binds to a device: with `ETH_P_ALL` to get what comes in, with 0 to send only.
fn bind(fd: &OwnedFd, ifindex: u32, protocol: libc::c_int) -> io::Result<()> {
    // SAFETY: all zeros is a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (protocol as u16).to_be();
    address.sll_ifindex = ifindex as i32;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is valid for its length.
    let rc = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The receive side.
struct PacketRx {
    ring: Ring,
    fd: OwnedFd,
    port: Arc<Port>,
    landing: Landing,
    empty_looks: u32,
}

impl PacketRx {
    fn open(port: &Arc<Port>, ifindex: u32) -> io::Result<Self> {
        let fd = socket()?;
        set_option(&fd, libc::SOL_PACKET, PACKET_VERSION, TPACKET_V2)?;
        set_option(&fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
        set_option(&fd, libc::SOL_PACKET, PACKET_COPY_THRESH, 1)?;
        set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BYTES)?;
        let ring = Ring::map(&fd, SLOTS)?;
        bind(&fd, ifindex, libc::ETH_P_ALL)?;
        be_promiscuous(&fd, ifindex)?;
        Ok(Self { ring, fd, port: port.clone(), landing: Landing::new(), empty_looks: 0 })
    }

    /// Takes the oldest frame; nothing when there is none.
    fn take(&mut self) -> Option<Result<Packet, DropReason>> {
        let slot = self.ring.peek()?;
        let losing = slot.losing();
        let (vlan, len) = (slot.vlan(), slot.len());
        let frame = if slot.at_socket() {
            self.landing.expect(len);
            read_whole(&mut self.landing, &self.fd)
        } else {
            slot.frame().ok_or(DropReason::RxOverrun).and_then(|(header, bytes)| packet_of(header, bytes))
        };
        self.ring.release();
        if losing {
            self.port.counters.dropped(DropReason::RxOverrun, losses(&self.fd));
        }
        Some(frame.and_then(|frame| with_tag(frame, vlan)))
    }

    /// Takes note that the ring was empty. An error of the socket (the device went down) would keep its descriptor
    /// readable; asking for it clears it.
    fn nothing(&mut self) {
        self.empty_looks += 1;
        if self.empty_looks >= LOOKS {
            self.empty_looks = 0;
            let _ = nix::sys::socket::getsockopt(&self.fd, nix::sys::socket::sockopt::SocketError);
        }
    }
}

impl RxQueue for PacketRx {
    fn receive(&mut self, max: usize, _now_ns: u64, out: &mut Vec<Packet>) -> usize {
        let before = out.len();
        let mut bytes = 0;
        // Frames that are refused count like others: a flood of them must not keep the worker here.
        for _ in 0..max {
            if bytes >= RECEIVE_AT_ONCE {
                break;
            }
            match self.take() {
                Some(Ok(packet)) => {
                    bytes += packet.len();
                    out.push(packet);
                }
                Some(Err(reason)) => self.port.counters.dropped(reason, 1),
                None => {
                    self.nothing();
                    break;
                }
            }
        }
        out.len() - before
    }

    fn readiness(&self, _now_ns: u64) -> Readiness {
        Readiness::Fd(self.fd.as_raw_fd())
    }
}

fn be_promiscuous(fd: &OwnedFd, ifindex: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: ifindex as i32,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let len = size_of::<libc::packet_mreq>() as libc::socklen_t;
    let (level, name) = (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
    // SAFETY: the value is valid for its length.
    let rc = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const request).cast(), len) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads a frame that did not fit its slot.
fn read_whole(landing: &mut Landing, fd: &OwnedFd) -> Result<Packet, DropReason> {
    loop {
        match landing.read(fd) {
            Ok(Landed::Frame(packet)) => return Ok(packet),
            Ok(Landed::Invalid) => return Err(DropReason::RxInvalid),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The socket tells of its device before it gives frames; then they are still there.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(_) => return Err(DropReason::RxOverrun),
        }
    }
}

fn packet_of(header: &[u8; VNET_LEN], bytes: &[u8]) -> Result<Packet, DropReason> {
    if bytes.len() < 14 {
        return Err(DropReason::RxInvalid);
    }
    let mut packet = Packet::copy_of(bytes).map_err(|_| DropReason::RxTooLong)?;
    packet.offload = Offload::from_vnet(header, bytes.len()).map_err(|_| DropReason::RxInvalid)?;
    Ok(packet)
}

/// Puts back the VLAN tag that the kernel took off. The offsets of a partial checksum move along.
fn with_tag(mut packet: Packet, vlan: Option<(u16, u16)>) -> Result<Packet, DropReason> {
    if let Some((tpid, tci)) = vlan {
        let data = packet.push_front(4).map_err(|_| DropReason::RxTooLong)?;
        data.copy_within(4..16, 0);
        data[12..14].copy_from_slice(&tpid.to_be_bytes());
        data[14..16].copy_from_slice(&tci.to_be_bytes());
    }
    Ok(packet)
}

/// The frames that the kernel dropped since it was last asked.
fn losses(fd: &OwnedFd) -> u64 {
    // `struct tpacket_stats`: frames, drops.
    let mut stats = [0u32; 2];
    let mut len = size_of_val(&stats) as libc::socklen_t;
    let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
    // SAFETY: the value is valid for its length.
    let rc =
        unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, stats.as_mut_ptr().cast(), &raw mut len) };
    if rc < 0 { 0 } else { u64::from(stats[1]) }
}

/// The transmit side of one worker.
struct PacketTx {
    fd: OwnedFd,
    port: Arc<Port>,
}

impl PacketTx {
    fn open(port: &Arc<Port>, ifindex: u32) -> io::Result<Self> {
        let fd = socket()?;
        set_option(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BYTES)?;
        bind(&fd, ifindex, 0)?;
        Ok(Self { fd, port: port.clone() })
    }
}

impl TxQueue for PacketTx {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        let mut done = 0;
        while done < batch.len() {
            let end = batch.len().min(done + BATCH);
            match send_some(&self.fd, &batch[done..end]) {
                Ok(sent) => done += sent,
                Err(error) => match verdict(&error) {
                    Verdict::Again => {}
                    Verdict::Wait => break,
                    Verdict::Never(reason) => {
                        refused(&self.port, &batch[done], reason);
                        done += 1;
                    }
                },
            }
        }
        batch.drain(..done);
    }

    fn poll_fd(&self) -> Option<i32> {
        Some(self.fd.as_raw_fd())
    }
}

/// What an error of `sendmmsg` means for the first frame.
enum Verdict {
    Again,
    Wait,
    Never(DropReason),
}

fn verdict(error: &io::Error) -> Verdict {
    match error.raw_os_error() {
        Some(libc::EINTR) => Verdict::Again,
        // The socket's buffer is full, or the device's queue.
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Verdict::Wait,
        Some(libc::EMSGSIZE) => Verdict::Never(DropReason::MtuExceeded),
        _ => Verdict::Never(DropReason::TxError),
    }
}

/// Sends as many of these (at most [`BATCH`]) as the kernel takes; fails only if it does not take the first.
fn send_some(fd: &OwnedFd, frames: &[Packet]) -> io::Result<usize> {
    let mut headers = [[0u8; VNET_LEN]; BATCH];
    let mut vectors = [[libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 2]; BATCH];
    // SAFETY: all zeros is a valid `mmsghdr`: no address, no data.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let count = frames.len().min(BATCH);
    for (index, packet) in frames.iter().take(count).enumerate() {
        let data = packet.data();
        headers[index] = packet.offload.to_vnet(data.len());
        vectors[index] = [&headers[index][..], data]
            .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
        messages[index].msg_hdr.msg_iov = vectors[index].as_mut_ptr();
        messages[index].msg_hdr.msg_iovlen = 2;
    }
    // SAFETY: the first `count` messages point to vectors, headers and frames that outlive the call, which only reads them.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::PortNo;
    use crate::port::ring::TestKernel;
    use crate::port::ring::tests::{COPY, TAGGED};
    use crate::port::{PortKind, PortSpec};
    use std::os::unix::net::UnixDatagram;

    /// The receive side on a ring in memory; the sockets stand for the packet socket, the far end for the kernel.
    fn rx(slots: usize) -> (PacketRx, TestKernel, UnixDatagram) {
        let (ring, kernel) = Ring::testing(slots);
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let port = Arc::new(Port::new(PortNo(1), PortSpec::new("test", PortKind::System)));
        (PacketRx { ring, fd: near.into(), port, landing: Landing::new(), empty_looks: 0 }, kernel, far)
    }

    fn frame(mark: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![mark; len];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame
    }

    fn put(kernel: &mut TestKernel, far: &UnixDatagram, frame: &[u8]) {
        let held = &frame[..frame.len().min(1900)];
        if held.len() < frame.len() {
            far.send(&[&[0; VNET_LEN], frame].concat()).unwrap();
            assert!(kernel.put(COPY, frame.len(), held, (0, 0)));
        } else {
            assert!(kernel.put(0, frame.len(), held, (0, 0)));
        }
    }

    #[test]
    fn long_and_short_frames_come_in_the_order_in_which_they_arrived() {
        let (mut rx, mut kernel, far) = rx(8);
        let lengths = [60, 1500, 9000, 60, 30_000, 60_000, 1900, 1901];
        for (mark, len) in (0u8..).zip(lengths) {
            put(&mut kernel, &far, &frame(mark, len));
        }
        let mut got = Vec::new();
        while rx.receive(3, 0, &mut got) != 0 {}
        let expected: Vec<_> = (0u8..).zip(lengths).map(|(mark, len)| frame(mark, len)).collect();
        assert!(got.iter().map(Packet::data).eq(expected.iter().map(Vec::as_slice)));
    }

    #[test]
    fn a_batch_ends_when_it_is_large() {
        let (mut rx, mut kernel, far) = rx(8);
        (0..4).for_each(|mark| put(&mut kernel, &far, &frame(mark, 60_000)));
        assert_eq!(rx.receive(32, 0, &mut Vec::new()), 1);
        assert_eq!(rx.receive(32, 0, &mut Vec::new()), 1);
    }

    #[test]
    fn a_tag_goes_back_in_and_the_checksums_place_moves() {
        let (mut rx, mut kernel, _far) = rx(2);
        let bytes: Vec<u8> = (0..60).collect();
        kernel.put(TAGGED, 60, &bytes, (0x88a8, 0x3005));
        let mut got = Vec::new();
        assert_eq!(rx.receive(32, 0, &mut got), 1);
        let expected = [&bytes[..12], &[0x88, 0xa8, 0x30, 0x05], &bytes[12..]].concat();
        assert_eq!(got[0].data(), expected);
        let mut partial = Packet::copy_of(&bytes).unwrap();
        partial.offload.checksum = packet::Checksum::Partial { start: 34, offset: 6 };
        let tagged = with_tag(partial, Some((0x8100, 7))).unwrap();
        assert_eq!(tagged.offload.checksum, packet::Checksum::Partial { start: 38, offset: 6 });
    }

    #[test]
    fn what_cannot_be_had_is_counted_and_the_rest_comes() {
        let (mut rx, mut kernel, _far) = rx(4);
        // Cut, and not at the socket: its buffer was full.
        kernel.put(0, 3000, &[1; 1900], (0, 0));
        kernel.put(0, 13, &[2; 13], (0, 0));
        // Said to be at the socket, and is not.
        kernel.put(COPY, 3000, &[3; 1900], (0, 0));
        kernel.put(0, 60, &frame(4, 60), (0, 0));
        let mut got = Vec::new();
        assert_eq!(rx.receive(32, 0, &mut got), 1);
        assert_eq!(got[0].data(), frame(4, 60));
        let counted = rx.port.counters.read();
        assert_eq!(counted.dropped(DropReason::RxOverrun), 2);
        assert_eq!(counted.dropped(DropReason::RxInvalid), 1);
    }

    #[test]
    fn a_flood_of_refused_frames_does_not_keep_the_worker() {
        let (mut rx, mut kernel, _far) = rx(16);
        (0..10).for_each(|_| assert!(kernel.put(0, 13, &[2; 13], (0, 0))));
        kernel.put(0, 60, &frame(4, 60), (0, 0));
        let mut got = Vec::new();
        let refused = |rx: &PacketRx| rx.port.counters.read().dropped(DropReason::RxInvalid);
        assert_eq!((rx.receive(4, 0, &mut got), refused(&rx)), (0, 4));
        assert_eq!((rx.receive(4, 0, &mut got), refused(&rx)), (0, 8));
        assert_eq!((rx.receive(4, 0, &mut got), refused(&rx)), (1, 10));
    }
}
