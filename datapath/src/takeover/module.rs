//! What the openvswitch module says of its datapaths (`linux/openvswitch.h`, families `ovs_datapath` and `ovs_vport`).

use std::io;

use crate::netlink::message::{text, u16_at, u32_at};
use crate::netlink::{Message, Request, Socket};

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// Length of `struct genlmsghdr`.
const GENL_LEN: usize = 4;
/// `struct genlmsghdr` and `struct ovs_header`.
const FIXED_LEN: usize = GENL_LEN + 4;

const DATAPATH_VERSION: u8 = 2;
const DP_CMD_DEL: u8 = 2;
const DP_CMD_GET: u8 = 3;
const DP_ATTR_NAME: u16 = 1;
const VPORT_VERSION: u8 = 1;
const VPORT_CMD_GET: u8 = 3;
const VPORT_ATTR_PORT_NO: u16 = 1;
const VPORT_ATTR_TYPE: u16 = 2;
const VPORT_ATTR_NAME: u16 = 3;
const VPORT_ATTR_NETNSID: u16 = 9;
const VPORT_TYPE_INTERNAL: u32 = 2;

/// The numbers that the kernel gave to the module's families.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Families {
    datapath: u16,
    vport: u16,
}

/// A datapath of the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct KernelDatapath {
    pub(super) name: String,
    ifindex: u32,
}

/// A port of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Vport {
    pub(super) name: String,
    pub(super) number: u32,
    kind: u32,
    /// The namespace of its device, when that is not the datapath's.
    pub(super) netnsid: Option<u32>,
}

impl Families {
    /// Asks for both; `None` when the module is not loaded.
    pub(super) fn find(generic: &mut Socket) -> io::Result<Option<Self>> {
        let (datapath, vport) = (family(generic, "ovs_datapath")?, family(generic, "ovs_vport")?);
        Ok(datapath.zip(vport).map(|(datapath, vport)| Self { datapath, vport }))
    }

    /// All datapaths of the namespace.
    pub(super) fn datapaths(self, generic: &mut Socket) -> io::Result<Vec<KernelDatapath>> {
        let request = Request::new(self.datapath, libc::NLM_F_DUMP as u16).fixed(&header(
            DP_CMD_GET,
            DATAPATH_VERSION,
            0,
        ));
        Ok(generic.ask(request)?.iter().filter_map(KernelDatapath::read).collect())
    }

    /// All ports of a datapath.
    pub(super) fn vports(self, generic: &mut Socket, of: &KernelDatapath) -> io::Result<Vec<Vport>> {
        let request = Request::new(self.vport, libc::NLM_F_DUMP as u16).fixed(&header(
            VPORT_CMD_GET,
            VPORT_VERSION,
            of.ifindex,
        ));
        Ok(generic.ask(request)?.iter().filter_map(Vport::read).collect())
    }

    /// Deletes a datapath, and with it its internal devices.
    pub(super) fn delete(self, generic: &mut Socket, datapath: &KernelDatapath) -> io::Result<()> {
        let request =
            Request::new(self.datapath, 0).fixed(&header(DP_CMD_DEL, DATAPATH_VERSION, datapath.ifindex));
        generic.ask(request).map(drop)
    }
}

impl KernelDatapath {
    fn read(message: &Message) -> Option<Self> {
        let name = message.attributes(FIXED_LEN).find(DP_ATTR_NAME).map(text)?;
        Some(Self { name, ifindex: u32_at(&message.payload, GENL_LEN)? })
    }
}

impl Vport {
    fn read(message: &Message) -> Option<Self> {
        let attributes = message.attributes(FIXED_LEN);
        let number = |kind| attributes.find(kind).and_then(|value| u32_at(value, 0));
        Some(Self {
            name: attributes.find(VPORT_ATTR_NAME).map(text)?,
            number: number(VPORT_ATTR_PORT_NO)?,
            kind: number(VPORT_ATTR_TYPE)?,
            netnsid: number(VPORT_ATTR_NETNSID),
        })
    }

    /// Whether its device is the module's own, which goes with the datapath.
    pub(super) fn is_internal(&self) -> bool {
        self.kind == VPORT_TYPE_INTERNAL
    }
}

/// `struct genlmsghdr` and `struct ovs_header`.
fn header(command: u8, version: u8, dp_ifindex: u32) -> [u8; FIXED_LEN] {
    let mut fixed = [0; FIXED_LEN];
    fixed[..2].copy_from_slice(&[command, version]);
    fixed[GENL_LEN..].copy_from_slice(&dp_ifindex.to_ne_bytes());
    fixed
}

fn family(generic: &mut Socket, name: &str) -> io::Result<Option<u16>> {
    let request = Request::new(GENL_ID_CTRL, 0)
        .fixed(&[CTRL_CMD_GETFAMILY, 1, 0, 0])
        .attr_str(CTRL_ATTR_FAMILY_NAME, name);
    match generic.ask(request) {
        Ok(answers) => Ok(answers.first().and_then(family_id)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn family_id(message: &Message) -> Option<u16> {
    u16_at(message.attributes(GENL_LEN).find(CTRL_ATTR_FAMILY_ID)?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The module's answer to a dump of the ports of `br0`: the datapath's own device, a NIC, and an internal port that somebody moved
    /// to namespace 4. Statistics and upcall sockets stand between, as the module puts them.
    #[rustfmt::skip]
    const VPORTS: &[u8] = &[
        // nlmsghdr: 108 bytes, type 34, multi; genlmsghdr: new, version 1; ovs_header: 9.
        108, 0, 0, 0, 34, 0, 2, 0, 1, 0, 0, 0, 7, 1, 0, 0,   1, 1, 0, 0,   9, 0, 0, 0,
        8, 0, 1, 0, 0, 0, 0, 0,                                     // port number 0
        8, 0, 2, 0, 2, 0, 0, 0,                                     // internal
        15, 0, 3, 0, b'o', b'v', b's', b'-', b's', b'y', b's', b't', b'e', b'm', 0, 0,
        8, 0, 8, 0, 9, 0, 0, 0,                                     // ifindex
        36, 0, 6, 0,                                                // statistics, cut short
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        8, 0, 5, 0, 77, 0, 0, 0,                                    // upcall socket
        48, 0, 0, 0, 34, 0, 2, 0, 1, 0, 0, 0, 7, 1, 0, 0,   1, 1, 0, 0,   9, 0, 0, 0,
        8, 0, 1, 0, 1, 0, 0, 0,
        8, 0, 2, 0, 1, 0, 0, 0,                                     // a device
        8, 0, 3, 0, b'n', b'i', b'c', 0,
        60, 0, 0, 0, 34, 0, 2, 0, 1, 0, 0, 0, 7, 1, 0, 0,   1, 1, 0, 0,   9, 0, 0, 0,
        8, 0, 1, 0, 2, 0, 0, 0,
        8, 0, 2, 0, 2, 0, 0, 0,
        9, 0, 3, 0, b'i', b'n', b't', b'0', 0, 0, 0, 0,
        8, 0, 9, 0, 4, 0, 0, 0,                                     // namespace
    ];

    /// Its answer to a dump of datapaths.
    #[rustfmt::skip]
    const DATAPATHS: &[u8] = &[
        48, 0, 0, 0, 32, 0, 2, 0, 1, 0, 0, 0, 7, 1, 0, 0,   1, 2, 0, 0,   9, 0, 0, 0,
        15, 0, 1, 0, b'o', b'v', b's', b'-', b's', b'y', b's', b't', b'e', b'm', 0, 0,
        8, 0, 5, 0, 3, 0, 0, 0,                                     // user features
    ];

    #[test]
    fn recorded_ports_are_read() {
        let ports: Vec<Vport> = Message::split(VPORTS).iter().filter_map(Vport::read).collect();
        let expected = [("ovs-system", 0, true, None), ("nic", 1, false, None), ("int0", 2, true, Some(4))];
        let got =
            ports.iter().map(|port| (port.name.as_str(), port.number, port.is_internal(), port.netnsid));
        assert!(got.eq(expected), "{ports:?}");
    }

    #[test]
    fn recorded_datapaths_are_read() {
        let datapaths: Vec<_> = Message::split(DATAPATHS).iter().filter_map(KernelDatapath::read).collect();
        assert_eq!(datapaths, [KernelDatapath { name: "ovs-system".to_owned(), ifindex: 9 }]);
    }

    #[test]
    fn requests_are_as_the_module_wants_them() {
        let request = Request::new(32, 0).fixed(&header(DP_CMD_DEL, DATAPATH_VERSION, 9)).finish(1, 0);
        assert_eq!(request, [24, 0, 0, 0, 32, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 9, 0, 0, 0]);
    }

    #[test]
    fn a_kernel_without_the_module_says_so() {
        let mut generic = Socket::open(libc::NETLINK_GENERIC).unwrap();
        assert_eq!(family(&mut generic, "no_such_family").unwrap(), None);
        assert!(family(&mut generic, "nlctrl").unwrap().is_some());
    }
}
