//! `--mlockall` and `--user`.

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::{Gid, Group, Uid, User, initgroups, setresgid, setresuid};

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegesError {
    /// The user does not exist.
    #[error("invalid --user option {0}: no such user")]
    NoUser(String),
    /// The group does not exist.
    #[error("invalid --user option {0}: no such group")]
    NoGroup(String),
    /// A system call failed.
    #[error("--user: {0} failed ({1})")]
    System(&'static str, #[source] io::Error),
}

/// Locks all memory, now and later. A failure is for the log only.
pub fn lock_memory() -> io::Result<()> {
    Ok(mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)?)
}

/// Becomes the user (and group) of `USER[:GROUP]`, keeping only the capabilities that a switch needs.
///
/// Must be called while the process has one thread: identities are per thread in the kernel.
pub fn become_user(spec: &str) -> Result<(), PrivilegesError> {
    let (uid, gid, name) = resolve(spec)?;
    nix::sys::prctl::set_keepcaps(true).map_err(|error| PrivilegesError::System("prctl", error.into()))?;
    if let Ok(name) = std::ffi::CString::new(name) {
        initgroups(&name, gid).map_err(|error| PrivilegesError::System("initgroups", error.into()))?;
    }
    setresgid(gid, gid, gid).map_err(|error| PrivilegesError::System("setresgid", error.into()))?;
    setresuid(uid, uid, uid).map_err(|error| PrivilegesError::System("setresuid", error.into()))?;
    keep_capabilities().map_err(|error| PrivilegesError::System("capset", error))
}

fn resolve(spec: &str) -> Result<(Uid, Gid, String), PrivilegesError> {
    let (user, group) = spec.split_once(':').map_or((spec, None), |(user, group)| (user, Some(group)));
    let found = if user.is_empty() { User::from_uid(Uid::current()) } else { User::from_name(user) };
    let found = found.ok().flatten().ok_or_else(|| PrivilegesError::NoUser(spec.into()))?;
    let gid = match group {
        None | Some("") => found.gid,
        Some(name) => {
            let group = Group::from_name(name).ok().flatten();
            group.ok_or_else(|| PrivilegesError::NoGroup(spec.into()))?.gid
        }
    };
    Ok((found.uid, gid, found.name))
}

/// Capability numbers of `linux/capability.h`.
const KEPT: [u32; 6] = [
    10, // CAP_NET_BIND_SERVICE
    11, // CAP_NET_BROADCAST
    12, // CAP_NET_ADMIN
    13, // CAP_NET_RAW
    14, // CAP_IPC_LOCK
    21, // CAP_SYS_ADMIN: to enter the namespaces of internal ports, and for BPF
];

/// `struct __user_cap_header_struct` of version 3.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; version 3 takes two.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn keep_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let bits = KEPT.iter().fold(0, |bits, capability| bits | 1 << capability);
    let header = CapabilityHeader { version: VERSION_3, pid: 0 };
    let low = CapabilityData { effective: bits, permitted: bits, inheritable: bits };
    let data = [low, CapabilityData { effective: 0, permitted: 0, inheritable: 0 }];
    // SAFETY: both pointers are to live structures of the layout that capset(2) takes for version 3, and it only reads them.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_looked_up() {
        assert_eq!(resolve("root").unwrap().0, Uid::from_raw(0));
        assert_eq!(resolve("root:daemon").unwrap().1, Group::from_name("daemon").unwrap().unwrap().gid);
        assert!(matches!(resolve("nosuchuser"), Err(PrivilegesError::NoUser(_))));
        assert!(matches!(resolve("root:nosuchgroup"), Err(PrivilegesError::NoGroup(_))));
    }
}
