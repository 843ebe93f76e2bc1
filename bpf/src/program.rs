//! Loading a program by bpf(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::BpfError;

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
/// Opcode of `dst = imm` on 64 bits (`BPF_ALU64 | BPF_MOV | BPF_K`).
const MOV64_IMM: u8 = 0xb7;
/// Opcode of `return r0` (`BPF_JMP | BPF_EXIT`).
const EXIT: u8 = 0x95;
/// `TC_ACT_SHOT`, which is also `TCX_DROP`.
const DROP: i32 = 2;

/// One instruction, as `struct bpf_insn` of `linux/bpf.h`.
#[repr(C)]
struct Instruction {
    opcode: u8,
    /// Destination register in the low half, source register in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads. The kernel takes what is missing at its end for zero.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// A loaded program; it lives as long as this or something it is attached to.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Program {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Loads the program that drops every frame: `r0 = TC_ACT_SHOT; return r0`.
pub fn drop_program() -> Result<Program, BpfError> {
    let code = [
        Instruction { opcode: MOV64_IMM, registers: 0, offset: 0, immediate: DROP },
        Instruction { opcode: EXIT, registers: 0, offset: 0, immediate: 0 },
    ];
    let mut prog_name = [0; 16];
    prog_name[..15].copy_from_slice(b"turnout_silence");
    let load = ProgLoad {
        prog_type: BPF_PROG_TYPE_SCHED_CLS,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name,
    };
    // SAFETY: `load` has the layout BPF_PROG_LOAD reads, and the code and licence it points to outlive the call.
    unsafe { bpf(BPF_PROG_LOAD, &load) }.map(Program).map_err(BpfError::Load)
}

/// Calls bpf(2) for a command that makes a descriptor.
///
/// # Safety
/// `attributes` must have the layout that `command` reads, and every pointer in it must be valid for the call.
pub(crate) unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller vouches for the attributes; their true size is passed.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *const T, size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_accepts_the_program() {
        let program = drop_program().unwrap();
        assert!(program.as_raw_fd() >= 0);
    }
}
