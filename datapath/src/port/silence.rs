//! Keeping the host's stack quiet behind a packet socket.
//!
//! A packet socket gets copies: the stack of the host sees every frame too and might answer it. A program on the device's
//! ingress, which runs after packet sockets are served and before all else, drops every frame. It hangs on a tcx link
//! where the kernel has them (6.6), which goes with the process; else on a `clsact` filter, which is taken away when the port is
//! closed and, after a crash, when the port is opened again or the switch starts ([`remove_left_overs`]).

use std::io;
use std::os::fd::AsRawFd;

use bpf::{BpfError, Program, TcxLink};

use crate::netlink::message::text;
use crate::netlink::{Attributes, Request, Socket};

const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
const TCMSG_LEN: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
/// The program's return value is the verdict.
const ACT_DIRECT: u32 = 1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_PARENT: u32 = 0xffff_fff1;
const INGRESS: u32 = 0xffff_fff2;
/// Priority 1, all protocols (`ETH_P_ALL` in network order): before all other filters.
const INFO: u32 = 1 << 16 | (libc::ETH_P_ALL as u16).to_be() as u32;
const HANDLE: u32 = 1;
/// How our filters are told from others.
const NAME: &str = "turnout_silence";

/// What keeps the stack quiet; it may answer again once this is dropped.
#[derive(Debug)]
pub(super) enum Silence {
    /// By a tcx link.
    Tcx(#[expect(dead_code, reason = "held for what happens when it is dropped")] TcxLink),
    /// By a filter of `clsact`.
    Filter {
        /// The device.
        ifindex: u32,
        /// A socket in the device's namespace.
        route: Socket,
    },
}

impl Silence {
    /// Drops, from now on, what comes in on the device, behind the packet sockets.
    pub(super) fn keep(ifindex: u32) -> io::Result<Self> {
        let program = bpf::drop_program().map_err(cause)?;
        match TcxLink::attach(&program, ifindex) {
            Ok(link) => Ok(Self::Tcx(link)),
            Err(_) => Self::by_filter(ifindex, &program),
        }
    }

    fn by_filter(ifindex: u32, program: &Program) -> io::Result<Self> {
        let mut route = Socket::open(libc::NETLINK_ROUTE)?;
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        let clsact = Request::new(RTM_NEWQDISC, flags)
            .fixed(&tcmsg(ifindex, CLSACT_HANDLE, CLSACT_PARENT, 0))
            .attr_str(TCA_KIND, "clsact");
        match route.ask(clsact) {
            Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
            _ => {}
        }
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let filter = Request::new(RTM_NEWTFILTER, flags)
            .fixed(&tcmsg(ifindex, HANDLE, INGRESS, INFO))
            .attr_str(TCA_KIND, "bpf")
            .nest(TCA_OPTIONS, |options| {
                options
                    .attr_u32(TCA_BPF_FD, program.as_raw_fd() as u32)
                    .attr_str(TCA_BPF_NAME, NAME)
                    .attr_u32(TCA_BPF_FLAGS, ACT_DIRECT)
            });
        route.ask(filter)?;
        Ok(Self::Filter { ifindex, route })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Self::Filter { ifindex, route } = self {
            // When the device is gone, so is the filter.
            let _ = remove_filter(route, *ifindex);
        }
    }
}

/// Removes the filters that a crashed switch left on these devices of the calling thread's namespace.
pub fn remove_left_overs(devices: impl IntoIterator<Item = u32>) -> io::Result<()> {
    let mut route = Socket::open(libc::NETLINK_ROUTE)?;
    for ifindex in devices {
        // A device without clsact gives an error, which is as good as no filter.
        if has_filter(&mut route, ifindex).unwrap_or(false) {
            remove_filter(&mut route, ifindex)?;
        }
    }
    Ok(())
}

fn has_filter(route: &mut Socket, ifindex: u32) -> io::Result<bool> {
    let dump = Request::new(RTM_GETTFILTER, libc::NLM_F_DUMP as u16).fixed(&tcmsg(ifindex, 0, INGRESS, 0));
    let is_ours = |filter: Attributes<'_>| {
        let options = filter.find(TCA_OPTIONS).map(Attributes);
        options.and_then(|options| options.find(TCA_BPF_NAME)).map(text).as_deref() == Some(NAME)
    };
    Ok(route.ask(dump)?.iter().any(|message| is_ours(message.attributes(TCMSG_LEN))))
}

fn remove_filter(route: &mut Socket, ifindex: u32) -> io::Result<()> {
    let request = Request::new(RTM_DELTFILTER, 0)
        .fixed(&tcmsg(ifindex, HANDLE, INGRESS, INFO))
        .attr_str(TCA_KIND, "bpf");
    route.ask(request).map(drop)
}

/// `struct tcmsg` of `linux/rtnetlink.h`.
fn tcmsg(ifindex: u32, handle: u32, parent: u32, info: u32) -> [u8; TCMSG_LEN] {
    let mut fixed = [0; TCMSG_LEN];
    for (index, word) in [ifindex, handle, parent, info].into_iter().enumerate() {
        fixed[4 + 4 * index..8 + 4 * index].copy_from_slice(&word.to_ne_bytes());
    }
    fixed
}

fn cause(error: BpfError) -> io::Error {
    match error {
        BpfError::Load(source) | BpfError::Attach { source, .. } => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netdev::Links;
    use crate::netdev::testing::{guest, in_new_netns, ping, run, wait_until};

    #[test]
    fn the_stack_is_quiet_by_tcx_and_by_filter_and_talks_again_after() {
        in_new_netns(|| {
            let guest = guest("a0", 2);
            assert!(run("ip address add 10.9.9.1/24 dev a0"));
            let answers = || ping(&guest, "10.9.9.1");
            wait_until(answers);
            let ifindex = Links::here().unwrap().get("a0").unwrap().index;
            let silence = Silence::keep(ifindex).unwrap();
            assert!(!answers());
            drop(silence);
            wait_until(answers);
            let silence = Silence::by_filter(ifindex, &bpf::drop_program().unwrap()).unwrap();
            assert!(!answers());
            // As after a crash: nobody took it away.
            std::mem::forget(silence);
            remove_left_overs([ifindex, 0x7fff_0000]).unwrap();
            wait_until(answers);
        });
    }
}
