//! NORMAL, as a plain learning switch with VLANs does it.

use std::collections::{BTreeMap, BTreeSet};

use crate::field::Slot;
use crate::view::View;

/// How long an address is kept unused.
const AGING_NS: u64 = 300_000_000_000;

/// How a port treats tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All its VLANs tagged; untagged is VLAN 0.
    Trunk,
    /// One VLAN, untagged.
    Access(u16),
    /// A trunk that has this VLAN tagged going out, untagged or tagged coming in.
    NativeTagged(u16),
    /// A trunk that has this VLAN untagged.
    NativeUntagged(u16),
}

/// A port of the bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// See [`Mode`].
    pub mode: Mode,
    /// VLANs that a trunk carries; empty for all.
    pub trunks: BTreeSet<u16>,
}

/// A tag: TPID, and TCI without the present bit.
type Tag = (u16, u16);

impl Port {
    /// A trunk of all VLANs.
    pub fn trunk() -> Self {
        Self { mode: Mode::Trunk, trunks: BTreeSet::new() }
    }

    fn in_trunks(&self, vlan: u16) -> bool {
        self.trunks.is_empty() || self.trunks.contains(&vlan)
    }

    /// Whether what is switched with these tags can leave here.
    fn carries(&self, tags: &[Tag]) -> bool {
        let vlan_of = |index: usize| tags.get(index).map_or(0, |tag| tag.1 & 0xfff);
        let vlan = vlan_of(0);
        match self.mode {
            Mode::Access(own) => vlan == own && vlan_of(1) == 0,
            Mode::Trunk => self.in_trunks(vlan),
            // A port with a VLAN of its own has no VLAN 0.
            Mode::NativeTagged(own) | Mode::NativeUntagged(own) => {
                vlan == own || (vlan != 0 && self.in_trunks(vlan))
            }
        }
    }

    /// The tags in which a packet is switched that comes in with these; none if it is not welcome.
    fn tags_in(&self, tags: &[Tag]) -> Option<Vec<Tag>> {
        let (tpid, tci) = tags.first().copied().unwrap_or((0x8100, 0));
        let vid = tci & 0xfff;
        let owned = |own: u16| (tpid, own | tci & 0xe000);
        match self.mode {
            Mode::Access(own) => (vid == 0).then(|| vec![owned(own)]),
            Mode::NativeTagged(own) | Mode::NativeUntagged(own) if vid == 0 => {
                let inner = tags.iter().skip(1).copied();
                Some([owned(own)].into_iter().chain(inner).collect())
            }
            Mode::NativeTagged(own) | Mode::NativeUntagged(own) => {
                (vid == own || self.in_trunks(vid)).then(|| tags.to_vec())
            }
            Mode::Trunk => self.in_trunks(vid).then(|| tags.to_vec()),
        }
    }

    /// The tags with which it leaves. One of VLAN 0 and priority 0 dissolves, and all inside it.
    fn tags_out(&self, tags: &[Tag]) -> Vec<Tag> {
        let vlan = tags.first().map_or(0, |tag| tag.1 & 0xfff);
        let kept = match self.mode {
            Mode::Access(_) => &[],
            Mode::NativeUntagged(own) if own == vlan => &tags[1..],
            _ => tags,
        };
        kept.iter().copied().take_while(|tag| tag.1 != 0).collect()
    }
}

/// Learned addresses: VLAN and address to port and last use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Macs(BTreeMap<(u16, u128), (u16, u64)>);

impl Macs {
    /// Forgets what was not used for too long.
    pub fn expire(&mut self, now_ns: u64) {
        self.0.retain(|_, (_, used)| now_ns < *used + AGING_NS);
    }

    /// Forgets all.
    pub fn flush(&mut self) {
        self.0.clear();
    }

    /// Forgets what was learned on a port.
    pub fn forget(&mut self, port: u16) {
        self.0.retain(|_, (at, _)| *at != port);
    }

    /// VLAN, address, port of all that is known.
    pub fn rows(&self) -> impl Iterator<Item = (u16, u128, u16)> {
        self.0.iter().map(|((vlan, mac), (port, _))| (*vlan, *mac, *port))
    }

    /// Learns from a packet and says where it goes, and how it looks there.
    pub fn forward(
        &mut self,
        ports: &BTreeMap<u16, Port>,
        from: u16,
        view: &View,
        now_ns: u64,
    ) -> Vec<(u16, View)> {
        let (source, target) = (view.values[Slot::EthSrc], view.values[Slot::EthDst]);
        if view.values[Slot::EthType] == 0x8100 && view.values[Slot::VlanTci] == 0 {
            // Half a tag.
            return Vec::new();
        }
        let Some(tags) = ports.get(&from).and_then(|port| port.tags_in(&view.tags())) else {
            return Vec::new();
        };
        let vlan = tags.first().map_or(0, |tag| tag.1 & 0xfff);
        if target >> 4 == 0x0018_0c20_0000 {
            return Vec::new();
        }
        let is_multicast = |mac: u128| mac >> 40 & 1 == 1;
        if !is_multicast(source) {
            self.0.insert((vlan, source), (from, now_ns));
        }
        let known = self.0.get(&(vlan, target)).filter(|_| !is_multicast(target)).map(|(port, _)| *port);
        let others = ports.iter().filter(|(number, _)| **number != from);
        let chosen = others.filter(|(number, port)| match known {
            Some(known) => known == **number,
            None => port.carries(&tags),
        });
        let leave = |(number, port): (&u16, &Port)| {
            let mut out = view.clone();
            out.set_tags(&port.tags_out(&tags));
            (*number, out)
        };
        chosen.map(leave).collect()
    }
}
