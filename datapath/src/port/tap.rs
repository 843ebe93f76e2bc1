//! Taps: devices of the switch's own, that the host or a guest uses as an interface.
//!
//! Frames come and go one a system call, each with a `virtio_net_hdr` in front, so that partial checksums and super-frames pass as
//! they are. The device outlives the descriptor (`TUNSETPERSIST`): when the switch is started again the host's addresses and
//! routes on it are as they were. It is found again by its name, in the switch's namespace or, by the alias that it was given,
//! in whichever namespace somebody moved it to. [`taps::release`] makes it go with its port.
//!
//! Some ten frames are taken from a tap for each that a packet ring could give: one system call a frame is what bounds it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use packet::Packet;
use packet::offload::VNET_LEN;

use super::landing::{Landed, Landing};
use super::{
    Capabilities, Port, PortError, PortKind, PortSpec, Queues, RECEIVE_AT_ONCE, Readiness, RxQueue, TxQueue,
    taps,
};
use crate::drops::DropReason;
use crate::netdev::{Links, check_name};
use crate::netlink::Netns;
use crate::owner::Hits;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const IFF_TAP: libc::c_short = 0x0002;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
const TUN_F_CSUM: libc::c_ulong = 0x01;
const TUN_F_TSO: libc::c_ulong = 0x02 | 0x04 | 0x08;
/// Both UDP kinds; Linux 6.2 and later.
const TUN_F_USO: libc::c_ulong = 0x20 | 0x40;

/// The alias of a tap of the switch: who made it, and under what name. A switch is told from another by its namespace.
fn alias_of(home: &Netns, name: &str) -> String {
    format!("turnout:{}:{name}", home.inode())
}

/// Opens the tap of `port`: one that exists already in the switch's namespace, or one of the switch's own that somebody moved
/// to another namespace, else a new one. It has one receive queue; all workers send through the same descriptor.
pub fn open(port: &Arc<Port>, workers: usize) -> Result<Queues, PortError> {
    let name = port.name();
    let fail = |what| move |source| PortError::Device { name: name.to_owned(), what, source };
    check_name(name).map_err(fail("could not open network device"))?;
    let mut links = Links::here().map_err(fail("netlink"))?;
    let (fd, uso, fresh) = match (links.get(name).is_ok(), home_of_orphan(name)) {
        (false, Some(netns)) => {
            links = Links::inside(&netns).map_err(fail("netlink"))?;
            let (fd, uso) = netns.run(|| attach(name)).map_err(fail("creating tap device failed"))?;
            (fd, uso, false)
        }
        (exists, _) => {
            let (fd, uso) = attach(name).map_err(fail("creating tap device failed"))?;
            (fd, uso, !exists)
        }
    };
    let fd = Arc::new(fd);
    taps::remember(name, &fd);
    configure(port, &mut links, fresh).map_err(fail("configuring tap device failed"))?;
    port.set_capabilities(capabilities(uso));
    let tx = |_| Box::new(TapTx { fd: fd.clone(), port: port.clone() }) as Box<dyn TxQueue>;
    let tx = (0..workers).map(tx).collect();
    let keeper = Netns::current().map(|home| Keeper { name: name.to_owned(), home, fd: fd.clone() });
    let keeper = keeper.map_err(fail("network namespace"))?;
    let rx = TapRx { fd, port: port.clone(), landing: Landing::new(), gone: false };
    Ok(Queues { rx: vec![Box::new(rx)], tx, keep: Some(Box::new(keeper)) })
}

fn capabilities(uso: bool) -> Capabilities {
    let tcp = Capabilities::CHECKSUM | Capabilities::TSO4 | Capabilities::TSO6 | Capabilities::TSO_ECN;
    if uso { tcp | Capabilities::USO4 | Capabilities::USO6 } else { tcp }
}

/// Attaches to the tap of this name in the calling thread's namespace, making it if need be. Tells whether it does USO.
fn attach(name: &str) -> io::Result<(OwnedFd, bool)> {
    let tun =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    // SAFETY: the request holds a terminated name (it was checked) and the flags.
    if unsafe { libc::ioctl(tun.as_raw_fd(), TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    taps::set_persistent(&tun, true)?;
    let uso = set_offload(&tun, TUN_F_CSUM | TUN_F_TSO | TUN_F_USO).is_ok();
    if !uso {
        set_offload(&tun, TUN_F_CSUM | TUN_F_TSO)?;
    }
    Ok((tun.into(), uso))
}

/// Makes a tap that stays although nobody has it open, in the calling thread's namespace, for the switch of namespace `home`.
pub(crate) fn make(name: &str, home: &Netns) -> io::Result<()> {
    check_name(name)?;
    let _until_marked = attach(name)?;
    let mut links = Links::here()?;
    let index = links.get(name)?.index;
    links.set_alias(index, &alias_of(home, name))
}

/// Tells the kernel what may be left undone in frames that we read.
fn set_offload(tun: &impl AsRawFd, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the request takes a number.
    let rc = unsafe { libc::ioctl(tun.as_raw_fd(), TUNSETOFFLOAD, flags) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Marks the device as ours, and gives a new one the MTU and, if it is internal, the MAC it is to have.
fn configure(port: &Port, links: &mut Links, fresh: bool) -> io::Result<()> {
    let PortSpec { name, kind, mac, mtu, .. } = &port.spec;
    let fresh = fresh && matches!(kind, PortKind::Internal);
    let link = links.get(name)?;
    let alias = alias_of(&Netns::current()?, name);
    if link.alias != alias {
        links.set_alias(link.index, &alias)?;
    }
    if let Some(mac) = mac.filter(|mac| fresh && *mac != link.mac) {
        links.set_mac(link.index, mac)?;
    }
    if let Some(mtu) = mtu.filter(|mtu| *mtu != link.mtu) {
        links.set_mtu(link.index, mtu)?;
    }
    port.set_mtu(mtu.unwrap_or(link.mtu));
    Ok(())
}

/// The inodes of the namespaces in which taps of this switch are that nobody has open: by the inode of the switch's namespace, then
/// by name.
type Orphans = HashMap<u64, HashMap<String, u64>>;

fn orphans() -> MutexGuard<'static, Orphans> {
    static ORPHANS: LazyLock<Mutex<Orphans>> = LazyLock::new(Mutex::default);
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other namespace in which a tap of this switch, of this name, was left: by a process that ran before, or by a port that
/// was closed.
///
/// All namespaces are looked through once, when the first tap is opened that is not in the switch's own. From then on the
/// switch knows where its taps are ([`Keeper`]).
fn home_of_orphan(name: &str) -> Option<Netns> {
    let home = Netns::current().ok()?;
    let mut orphans = orphans();
    let of_home = orphans.entry(home.inode()).or_insert_with(|| find_orphans(&home));
    let netns = Netns::with_inode(of_home.remove(name)?)?;
    let link = Links::inside(&netns).ok()?.get(name).ok()?;
    (link.alias == alias_of(&home, name)).then_some(netns)
}

/// Makes this process know as little of taps elsewhere as one that has just begun.
#[cfg(test)]
pub(super) fn testing_forget_orphans() {
    orphans().clear();
}

fn find_orphans(home: &Netns) -> HashMap<String, u64> {
    let mut found = HashMap::new();
    for netns in Netns::others() {
        let links = Links::inside(&netns).and_then(|mut links| links.all()).unwrap_or_default();
        let ours = links.into_iter().filter(|link| link.alias == alias_of(home, &link.name));
        found.extend(ours.map(|link| (link.name, netns.inode())));
    }
    found
}

/// What a port of a tap leaves when it is closed: word of where its device is, if that goes on living in another namespace.
struct Keeper {
    name: String,
    home: Netns,
    fd: Arc<OwnedFd>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !taps::is_persistent(&*self.fd) {
            return;
        }
        if let Some(away) = Netns::of_tap(&*self.fd).ok().filter(|netns| *netns != self.home) {
            orphans().entry(self.home.inode()).or_default().insert(self.name.clone(), away.inode());
        }
    }
}

/// Removes the taps that an earlier process of this switch left, here or in other namespaces, and that nobody opened since: their
/// ports were taken out of the configuration while no switch ran. To be called once the configuration stands. Returns the
/// names of the devices removed.
pub fn remove_strays() -> io::Result<Vec<String>> {
    let home = Netns::current()?;
    let mut removed = Vec::new();
    for netns in std::iter::once(home.clone()).chain(Netns::others()) {
        let Ok(mut links) = Links::inside(&netns) else { continue };
        for link in links.all()? {
            let open = taps::netns_of(&link.name).is_some_and(|at| at == netns);
            if link.alias == alias_of(&home, &link.name) && !open && links.delete(link.index).is_ok() {
                removed.push(link.name);
            }
        }
    }
    Ok(removed)
}

/// The receive side.
struct TapRx {
    fd: Arc<OwnedFd>,
    port: Arc<Port>,
    landing: Landing,
    gone: bool,
}

impl RxQueue for TapRx {
    fn receive(&mut self, max: usize, _now_ns: u64, out: &mut Vec<Packet>) -> usize {
        let before = out.len();
        let mut bytes = 0;
        // Frames that are refused count like others: a flood of them must not keep the worker here.
        for _ in 0..max {
            if bytes >= RECEIVE_AT_ONCE {
                break;
            }
            match self.landing.read(&self.fd) {
                Ok(Landed::Frame(packet)) => {
                    bytes += packet.len();
                    out.push(packet);
                }
                Ok(Landed::Invalid) => self.port.counters.dropped(DropReason::RxInvalid, 1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Anything else than "nothing there" means that the device was removed.
                    self.gone = error.kind() != io::ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        out.len() - before
    }

    fn readiness(&self, _now_ns: u64) -> Readiness {
        if self.gone { Readiness::Never } else { Readiness::Fd(self.fd.as_raw_fd()) }
    }
}

/// The transmit side of one worker.
struct TapTx {
    fd: Arc<OwnedFd>,
    port: Arc<Port>,
}

impl TxQueue for TapTx {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        let mut done = 0;
        for packet in batch.iter() {
            match write(&self.fd, packet) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The device is down, gone, or finds fault with the frame.
                Err(_) => refused(&self.port, packet, DropReason::TxError),
            }
            done += 1;
        }
        batch.drain(..done);
    }

    fn poll_fd(&self) -> Option<i32> {
        Some(self.fd.as_raw_fd())
    }
}

/// Counts a frame that the device will never take.
pub(super) fn refused(port: &Port, packet: &Packet, reason: DropReason) {
    port.counters.unsent(Hits { packets: 1, bytes: packet.len() as u64 });
    port.counters.dropped(reason, 1);
}

fn write(fd: &OwnedFd, packet: &Packet) -> io::Result<()> {
    let data = packet.data();
    let header: [u8; VNET_LEN] = packet.offload.to_vnet(data.len());
    let vectors = [&header[..], data]
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    loop {
        // SAFETY: both vectors are slices borrowed while the call lasts, and writev only reads them.
        let sent = unsafe { libc::writev(fd.as_raw_fd(), vectors.as_ptr(), vectors.len() as libc::c_int) };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
