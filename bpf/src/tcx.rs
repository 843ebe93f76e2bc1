//! Attaching a program to a device's ingress by a tcx link (Linux 6.6 and later).

use std::os::fd::{AsRawFd, OwnedFd};

use crate::BpfError;
use crate::program::{Program, bpf};

const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_TCX_INGRESS: u32 = 46;
/// With no other program named: before all others.
const BPF_F_BEFORE: u32 = 1 << 3;

/// The part of `union bpf_attr` that `BPF_LINK_CREATE` reads for tcx.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative_fd: u32,
    pad: u32,
    expected_revision: u64,
}

/// A program attached to the ingress of a device, before all other tcx programs and before `clsact`; detached on drop, and by
/// the kernel when the process ends or the device goes.
#[derive(Debug)]
pub struct TcxLink {
    _link: OwnedFd,
}

impl TcxLink {
    /// Attaches `program` to the device with this index in the namespace of the calling thread.
    pub fn attach(program: &Program, ifindex: u32) -> Result<Self, BpfError> {
        let create = LinkCreate {
            prog_fd: program.as_raw_fd() as u32,
            target_ifindex: ifindex,
            attach_type: BPF_TCX_INGRESS,
            flags: BPF_F_BEFORE,
            relative_fd: 0,
            pad: 0,
            expected_revision: 0,
        };
        // SAFETY: `create` has the layout BPF_LINK_CREATE reads for tcx and holds no pointer.
        let link = unsafe { bpf(BPF_LINK_CREATE, &create) };
        link.map(|link| Self { _link: link }).map_err(|source| BpfError::Attach { ifindex, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drop_program;

    #[test]
    fn a_device_that_does_not_exist_is_refused() {
        let program = drop_program().unwrap();
        let error = TcxLink::attach(&program, 0x7fff_fff0).unwrap_err();
        assert!(matches!(error, BpfError::Attach { ifindex: 0x7fff_fff0, .. }), "{error}");
    }
}
