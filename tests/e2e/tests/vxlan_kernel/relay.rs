//! Between an inner interface and an underlay: the least that the `vxlan` crate needs around it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use e2e::Netns;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use packet::{Checksum, FlowMask, Packet, extract};
use vxlan::tunnel::{Key, Local, Remote};
use vxlan::{EncapError, Fresh, Inner, Kind, Path, PortRange, Template, Tunnel, Tunnels, entropy, too_big};

use crate::inside;
use crate::socket::Socket;

/// What passed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Trains sent into the underlay.
    pub(crate) trains: usize,
    /// Inner super-frames that came out of the tunnel.
    pub(crate) super_frames: usize,
    /// Inner packets with a partial checksum that came out of it.
    pub(crate) partial: usize,
    /// Packets that were too big for the tunnel.
    pub(crate) too_big: usize,
    /// Why packets were dropped.
    pub(crate) refused: Vec<String>,
}

pub(crate) struct Relay {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

struct Ends {
    inner: Socket,
    under: Socket,
    tunnel: Tunnel,
    tunnels: Tunnels<()>,
    seen: Seen,
}

impl Relay {
    pub(crate) fn start(switch: &Netns, ours: &str, theirs: &str, csum: bool) -> Self {
        let key = Key::Fixed(7);
        let local = Local::Fixed(ours.parse().unwrap());
        let remote = Remote::Fixed(theirs.parse().unwrap());
        let tunnel = Tunnel { local, in_key: key, out_key: key, csum, ..Tunnel::new(Kind::Vxlan, remote) };
        tunnel.check().unwrap();
        let mut tunnels = Tunnels::new(1);
        tunnels.insert(&tunnel, ()).unwrap();
        let (inner, under) =
            inside(switch, || (Socket::open("inner").unwrap(), Socket::open("under").unwrap()));
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let mut ends = Ends { inner, under, tunnel, tunnels, seen: Seen::default() };
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                ends.turn();
            }
            ends.seen
        });
        Self { over, thread }
    }

    pub(crate) fn stop(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Ends {
    fn turn(&mut self) {
        let mut fds = [&self.inner, &self.under].map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        poll(&mut fds, PollTimeout::from(50u8)).unwrap();
        while let Some(packet) = self.inner.receive() {
            self.encapsulate(packet).unwrap_or_else(|why| self.seen.refused.push(format!("out: {why}")));
        }
        while let Some(packet) = self.under.receive() {
            self.decapsulate(packet).unwrap_or_else(|why| self.seen.refused.push(format!("in: {why}")));
        }
    }

    fn encapsulate(&mut self, packet: Packet) -> Result<(), Box<dyn std::error::Error>> {
        let (key, _) = extract(packet.data(), 1);
        let meta = self.tunnel.outgoing(&key, &mut FlowMask::default())?;
        let path = Path { src_mac: [2, 0, 0, 0, 9, 1], dst_mac: [2, 0, 0, 0, 9, 2], mtu: 1500 };
        let template = Template::new(&self.tunnel, Inner::Ethernet, &meta, &[], &path)?;
        let src_port = PortRange::default().port(entropy::flow_hash(&key));
        let was_super = packet.offload.gso.is_some();
        let mut packets = Vec::new();
        let whole = packet.clone();
        let fresh = Fresh { src_port, ..Fresh::default() };
        match template.encap(packet, fresh, !was_super, &mut packets) {
            Err(EncapError::TooBig { inner_max, .. }) => {
                self.seen.too_big += 1;
                return Ok(too_big::message(&whole, inner_max).map_or(Ok(()), |told| self.inner.send(&told))?);
            }
            done => done?,
        }
        let mut out = Vec::new();
        template.couple(packets, 64, &mut out);
        for packet in out {
            self.seen.trains += usize::from(packet.offload.gso.is_some());
            self.under.send(&packet)?;
        }
        Ok(())
    }

    /// What is no packet of a tunnel is not for us.
    fn decapsulate(&mut self, mut packet: Packet) -> Result<(), Box<dyn std::error::Error>> {
        let (key, layers) = extract(packet.data(), 1);
        let Some(listener) = self.tunnels.udp_listener(key.tp_dst.get()) else { return Ok(()) };
        let found = vxlan::decap(&packet, &layers, &listener)?;
        let meta = &found.meta;
        self.tunnels.find(listener.service, meta.src, meta.dst, meta.id).ok_or("no tunnel for it")?;
        found.pull(&mut packet)?;
        self.seen.super_frames += usize::from(packet.offload.gso.is_some());
        self.seen.partial += usize::from(matches!(packet.offload.checksum, Checksum::Partial { .. }));
        self.inner.send(&packet)?;
        Ok(())
    }
}
