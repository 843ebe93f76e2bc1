//! The taps that this process holds, by name.
//!
//! A tap may be moved into another namespace and goes on working there, because what the switch holds is its descriptor. Who
//! wants to know its state, or take it away for good, therefore goes by that descriptor, found here by the port's name.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::netlink::Netns;

/// `TUNSETPERSIST` of `linux/if_tun.h`.
const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
/// `TUNGETIFF` of `linux/if_tun.h`.
const TUNGETIFF: libc::c_ulong = 0x8004_54d2;
const IFF_PERSIST: libc::c_short = 0x0800;

static OPEN: Mutex<BTreeMap<String, Weak<OwnedFd>>> = Mutex::new(BTreeMap::new());

fn open() -> MutexGuard<'static, BTreeMap<String, Weak<OwnedFd>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a tap for as long as its descriptor is open.
pub(super) fn remember(name: &str, fd: &Arc<OwnedFd>) {
    let mut open = open();
    open.retain(|_, fd| fd.strong_count() > 0);
    open.insert(name.to_owned(), Arc::downgrade(fd));
}

fn find(name: &str) -> Option<Arc<OwnedFd>> {
    open().get(name)?.upgrade()
}

/// Whether this process holds a tap of this name.
pub fn is_open(name: &str) -> bool {
    find(name).is_some()
}

/// The namespace in which the tap of this name now is; nothing if there is no such tap or its device was removed.
pub fn netns_of(name: &str) -> Option<Netns> {
    Netns::of_tap(&find(name)?).ok()
}

/// The names of all taps of ours.
pub fn names() -> Vec<String> {
    open().iter().filter(|(_, fd)| fd.strong_count() > 0).map(|(name, _)| name.clone()).collect()
}

/// From now on the device of this name lives no longer than its port: it goes when the port is closed. Without this, a tap stays
/// when it is closed, and with it the host's addresses on it. Nothing happens when there is no such tap.
pub fn release(name: &str) -> io::Result<()> {
    find(name).map_or(Ok(()), |fd| set_persistent(&*fd, false))
}

/// Makes the device behind a tap's descriptor outlive it, or not.
pub(super) fn set_persistent(fd: &impl AsRawFd, persistent: bool) -> io::Result<()> {
    // SAFETY: the request takes a number.
    let rc = unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETPERSIST, libc::c_ulong::from(persistent)) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the device behind a tap's descriptor will outlive it. Not so when the device is gone already.
pub(super) fn is_persistent(fd: &impl AsRawFd) -> bool {
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes an `ifreq`.
    let rc = unsafe { libc::ioctl(fd.as_raw_fd(), TUNGETIFF, &raw mut request) };
    // SAFETY: on success the kernel has written the flags.
    rc == 0 && unsafe { request.ifr_ifru.ifru_flags } & IFF_PERSIST != 0
}
