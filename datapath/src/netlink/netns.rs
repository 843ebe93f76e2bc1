//! Network namespaces: naming one, entering one, finding all.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `TUNGETDEVNETNS` of `linux/if_tun.h`.
const TUNGETDEVNETNS: libc::c_ulong = 0x54e3;

/// A network namespace, held open: it does not go away while this lives. Not to be kept for long, but for one's own: with a
/// container's namespace, the far ends of its veths would stay.
#[derive(Clone, Debug)]
pub struct Netns {
    file: Arc<File>,
    inode: u64,
}

impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        self.inode == other.inode
    }
}

impl Eq for Netns {}

impl Netns {
    /// That of the calling thread.
    pub fn current() -> io::Result<Self> {
        Self::at(Path::new("/proc/thread-self/ns/net"))
    }

    /// The one a path leads to (`/run/netns/NAME`, `/proc/PID/ns/net`).
    pub fn at(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// The one in which the device behind an attached tap descriptor now is. (Linux 5.8 and later.)
    pub fn of_tap(tap: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: the request takes no argument.
        let fd: RawFd = unsafe { libc::ioctl(tap.as_raw_fd(), TUNGETDEVNETNS, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Self::of(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn of(file: File) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        Ok(Self { file: Arc::new(file), inode })
    }

    /// The descriptor that holds it, for messages that name a namespace so.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// What identifies it while it lives.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Runs `work` on a thread of its own inside the namespace. Sockets and taps opened there stay there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let fd = self.file.as_raw_fd();
        let enter_and_work = move || {
            // SAFETY: plain system call on a descriptor that `self` keeps open; it changes this thread only.
            if unsafe { libc::setns(fd, libc::CLONE_NEWNET) } < 0 {
                return Err(io::Error::last_os_error());
            }
            work()
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("netns".to_owned());
            let handle = thread.spawn_scoped(scope, enter_and_work)?;
            handle.join().unwrap_or_else(|_| Err(io::Error::other("a thread inside a namespace panicked")))
        })
    }

    /// The one with this inode, if it can be found.
    pub fn with_inode(inode: u64) -> Option<Self> {
        let path = candidates().find(|path| fs::metadata(path).is_ok_and(|found| found.ino() == inode))?;
        Self::at(&path).ok().filter(|netns| netns.inode == inode)
    }

    /// All namespaces that can be found, each once, that of the calling thread left out: those with a name under `/run/netns` and
    /// `/run/docker/netns`, and those of all processes.
    pub fn others() -> Vec<Self> {
        let mut seen: HashSet<u64> = Self::current().map(|own| own.inode).into_iter().collect();
        let mut found = Vec::new();
        for path in candidates() {
            let Ok(inode) = fs::metadata(&path).map(|metadata| metadata.ino()) else { continue };
            if seen.insert(inode) {
                found.extend(Self::at(&path).ok());
            }
        }
        found
    }
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let entries = |dir: &str| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = ["/run/netns", "/run/docker/netns"].into_iter().flat_map(entries);
    let is_pid = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    };
    named.chain(entries("/proc").filter(is_pid).map(|path| path.join("ns/net")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_entered_by_one_thread_only() {
        let own = Netns::current().unwrap();
        let other = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            Netns::current().unwrap()
        });
        let other = other.join().unwrap();
        assert_ne!(own, other);
        assert_eq!(other.run(Netns::current).unwrap(), other);
        assert_eq!(Netns::current().unwrap(), own);
    }
}
