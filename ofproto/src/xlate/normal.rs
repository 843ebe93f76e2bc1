//! NORMAL: what an ordinary learning switch does, by the VLAN settings of the ports.

use openflow::OfPort;
use packet::key::{VLAN_PRESENT, VlanTag};

use super::Xlate;
use super::trace::Kind;
use crate::bridge::lock;
use crate::config::{PortConfig, PriorityTags, VlanMode};
use crate::mac::{Learned, MacKey, MacRef};

const ETH_VLAN: u16 = 0x8100;
const ETH_ARP: u16 = 0x0806;
const BROADCAST: [u8; 6] = [0xff; 6];
const VID: u16 = 0x0fff;
const PCP: u16 = 0xe000;

/// A packet's tags as NORMAL sees them: VLAN 0 where there is none. The first is the VLAN it is switched in.
type Tags = [VlanTag; 2];

impl Xlate<'_> {
    pub(super) fn normal(&mut self) {
        self.mask.0.eth_src = [0xff; 6];
        self.mask.0.eth_dst = [0xff; 6];
        self.look_at_vid();
        let bridge = self.bridge;
        let in_port = self.in_port();
        let from_controller = PortConfig::default();
        let input = match bridge.bundle_of.get(&in_port) {
            Some(input) => input,
            None if matches!(in_port, OfPort::NONE | OfPort::CONTROLLER) => &from_controller,
            None => {
                if !bridge.ports.contains_key(&in_port) {
                    self.note(Kind::Error, || format!("received packet on unknown port {in_port}"));
                }
                self.note(Kind::Warn, || "no input bundle, dropping".into());
                return;
            }
        };
        if self.flow.eth_type.get() == ETH_VLAN && self.flow.vlan[0].tci.get() & VLAN_PRESENT == 0 {
            self.note(Kind::Warn, || "partial VLAN tag, dropping".into());
            return;
        }
        let seen = self.flow.vlan;
        if !self.is_vid_welcome(input, vid(&seen[0]), vid(&seen[1])) {
            self.note(Kind::Warn, || "disallowed VLAN VID for this input port, dropping".into());
            return;
        }
        let tags = incoming(input, &seen);
        if !bridge.config.forward_bpdu && is_reserved(self.flow.eth_dst) {
            self.note(Kind::Detail, || "packet has reserved destination MAC, dropping".into());
            return;
        }
        self.learn(input, vid(&tags[0]));
        self.forward(input, &tags);
    }

    /// Looks at the VLAN, and at that of an inner tag: an access port takes no part in what has one.
    fn look_at_vid(&mut self) {
        let tags = 1 + usize::from(self.flow.vlan[1] != VlanTag::default());
        for tag in &mut self.mask.0.vlan[..tags] {
            tag.tci.set(tag.tci.get() | VLAN_PRESENT | VID);
        }
    }

    fn is_vid_welcome(&mut self, input: &PortConfig, outer: u16, inner: u16) -> bool {
        let name = &input.name;
        match input.vlan_mode {
            VlanMode::Access => {
                if outer != 0 {
                    let tag = input.tag;
                    self.note(Kind::Error, || {
                        format!("dropping VLAN {outer} tagged packet received on port {name} configured as VLAN {tag} access port")
                    });
                }
                outer == 0
            }
            VlanMode::NativeTagged | VlanMode::NativeUntagged | VlanMode::Trunk => {
                let native = input.vlan_mode != VlanMode::Trunk && (outer == 0 || outer == input.tag);
                let welcome = native || trunks(input, outer);
                if !welcome {
                    self.note(Kind::Error, || format!("dropping VLAN {outer} packet received on port {name} not configured for trunking VLAN {outer}"));
                }
                welcome
            }
            VlanMode::Dot1qTunnel => {
                let _ = inner;
                let welcome = input.cvlans.is_empty() || input.cvlans.contains(&outer);
                if !welcome {
                    self.note(Kind::Error, || format!("dropping VLAN {outer} packet received on dot1q-tunnel port {name} that excludes this VLAN"));
                }
                welcome
            }
        }
    }

    /// Whether this is an ARP packet that announces its sender. Looks at what it needs for that.
    fn is_gratuitous_arp(&mut self) -> bool {
        if self.flow.eth_type.get() != ETH_ARP || self.flow.eth_dst != BROADCAST {
            return false;
        }
        self.mask.0.nw_proto = 0xff;
        match self.flow.nw_proto {
            2 => true,
            1 => {
                self.mask.0.nw_src.set(u32::MAX);
                self.mask.0.nw_dst.set(u32::MAX);
                self.flow.nw_src == self.flow.nw_dst
            }
            _ => false,
        }
    }

    fn learn(&mut self, input: &PortConfig, vlan: u16) {
        let gratuitous = self.is_gratuitous_arp();
        let bridge = self.bridge;
        let (mac, port) = (self.flow.eth_src, self.in_port());
        if mac[0] & 1 != 0 || bridge.config.flood_vlans.contains(&vlan) || input.members.is_empty() {
            return;
        }
        let port = input.members.first().copied().unwrap_or(port);
        let key = MacKey { vlan, mac };
        let (slot, changed) = {
            let mut macs = lock(&bridge.macs);
            let slot = macs.slot(key);
            let bond = input.members.len() > 1;
            let changed = match self.input.effects {
                false => {
                    self.effect_due |= macs.would_change(key, port);
                    None
                }
                true => match macs.learn(key, port, gratuitous, bond, self.input.now_ns) {
                    Learned::Known => None,
                    Learned::Changed { evicted } => Some(evicted.map(|key| macs.slot(key))),
                },
            };
            (slot, changed)
        };
        self.depends_on(slot);
        self.ledger.macs.push(MacRef { table: bridge.macs.clone(), key, port });
        if let Some(evicted) = changed {
            let version = self.core.touch([slot].into_iter().chain(evicted));
            self.advance.to(version);
            let name = &input.name;
            self.note(Kind::Detail, || {
                format!("learned that {} is on port {name} in VLAN {vlan}", mac_text(mac))
            });
        }
    }

    fn forward(&mut self, input: &PortConfig, tags: &Tags) {
        let bridge = self.bridge;
        let key = MacKey { vlan: vid(&tags[0]), mac: self.flow.eth_dst };
        let (port, slot) = {
            let macs = lock(&bridge.macs);
            (macs.lookup(key, self.input.now_ns), macs.slot(key))
        };
        self.depends_on(slot);
        let Some(port) = port else {
            self.note(Kind::Detail, || "no learned MAC for destination, flooding".into());
            self.flood_normally(input, tags);
            return;
        };
        match bridge.bundle_of.get(&port) {
            Some(output) if output.name == input.name => {
                self.note(Kind::Detail, || "learned port is input port, dropping".into());
            }
            Some(output) => {
                self.note(Kind::Detail, || "forwarding to learned port".into());
                if !(input.protected && output.protected) {
                    self.send_to_bundle(output, tags);
                }
            }
            None => self.note(Kind::Detail, || "learned port is unknown, dropping".into()),
        }
    }

    fn flood_normally(&mut self, input: &PortConfig, tags: &Tags) {
        let bridge = self.bridge;
        for output in &bridge.bundles {
            let wanted = output.name != input.name
                && carries(output, tags)
                && floods(bridge, output)
                && !(input.protected && output.protected);
            if wanted {
                self.send_to_bundle(output, tags);
            }
        }
    }

    /// Sends to a port of the database with the tags that it wants.
    fn send_to_bundle(&mut self, output: &PortConfig, tags: &Tags) {
        let bridge = self.bridge;
        let usable = |number: &&OfPort| {
            bridge.ports.get(number).is_some_and(|port| port.is_up() && !port.link.link_down)
        };
        let member = output.members.iter().find(usable).or(output.members.first());
        let Some(number) = member.copied() else { return };
        let kept = self.flow.vlan;
        self.flow.vlan = outgoing(output, tags);
        let by_priority = kept.iter().any(|tag| tag.tci.get() & (VLAN_PRESENT | VID) == VLAN_PRESENT);
        if self.flow.vlan != kept || by_priority {
            for tag in &mut self.mask.0.vlan[..1 + usize::from(kept[1] != VlanTag::default())] {
                tag.tci.set(tag.tci.get() | PCP | VID | VLAN_PRESENT);
            }
        }
        self.send_to(number);
        self.flow.vlan = kept;
    }
}

fn vid(tag: &VlanTag) -> u16 {
    tag.tci.get() & VID
}

fn tag_of(tpid: u16, tci: u16) -> VlanTag {
    VlanTag { tpid: tpid.into(), tci: tci.into() }
}

fn trunks(port: &PortConfig, vid: u16) -> bool {
    port.trunks.is_empty() || port.trunks.contains(&vid)
}

/// Whether a port carries what is switched with these tags, as a member of a flood.
fn carries(port: &PortConfig, tags: &Tags) -> bool {
    let [outer, inner] = tags.map(|tag| vid(&tag));
    match port.vlan_mode {
        VlanMode::Access => outer == port.tag && inner == 0,
        VlanMode::Dot1qTunnel => {
            outer == port.tag && (port.cvlans.is_empty() || port.cvlans.contains(&inner))
        }
        VlanMode::Trunk => trunks(port, outer),
        // A port with a VLAN of its own does not carry VLAN 0.
        VlanMode::NativeTagged | VlanMode::NativeUntagged => {
            outer == port.tag || (outer != 0 && trunks(port, outer))
        }
    }
}

/// Whether some interface of the port takes part in floods.
fn floods(bridge: &crate::state::BridgeState, port: &PortConfig) -> bool {
    let in_flood = |number: &OfPort| {
        bridge.ports.get(number).is_some_and(|port| !port.flags.contains(crate::port::PortFlags::NO_FLOOD))
    };
    port.members.iter().any(in_flood)
}

/// The tags in which a packet is switched that came in by `port` with the tags `seen`.
fn incoming(port: &PortConfig, seen: &Tags) -> Tags {
    let tpid = if seen[0].tpid.get() == 0 { ETH_VLAN } else { seen[0].tpid.get() };
    let own = tag_of(tpid, port.tag | VLAN_PRESENT | seen[0].tci.get() & PCP);
    match port.vlan_mode {
        VlanMode::Access => [own, VlanTag::default()],
        VlanMode::NativeTagged | VlanMode::NativeUntagged if vid(&seen[0]) == 0 => [own, seen[1]],
        VlanMode::Trunk | VlanMode::NativeTagged | VlanMode::NativeUntagged => *seen,
        VlanMode::Dot1qTunnel => {
            let tpid = if port.qinq_ethtype == 0 { 0x88a8 } else { port.qinq_ethtype };
            [tag_of(tpid, port.tag | VLAN_PRESENT), seen[0]]
        }
    }
}

/// The tags with which a packet leaves by `port`. A tag of VLAN 0 and priority 0 dissolves, unless `port` wants priority tags
/// always, and an inner one with it.
fn outgoing(port: &PortConfig, tags: &Tags) -> Tags {
    let none = VlanTag::default();
    let mut out = match port.vlan_mode {
        VlanMode::Access => [none, none],
        VlanMode::Dot1qTunnel => [tags[1], none],
        VlanMode::NativeUntagged if vid(&tags[0]) == port.tag => [tags[1], none],
        VlanMode::NativeUntagged | VlanMode::Trunk | VlanMode::NativeTagged => *tags,
    };
    if port.priority_tags != PriorityTags::Never {
        out[0].tci.set(out[0].tci.get() & !PCP | tags[0].tci.get() & PCP);
    }
    let always = port.priority_tags == PriorityTags::Always;
    let put = out.map(|tag| {
        let (tci, tpid) = (tag.tci.get() & (PCP | VID), tag.tpid.get());
        let stays = tci != 0 || (always && tpid != 0);
        if stays { tag_of(tpid, tci | VLAN_PRESENT) } else { none }
    });
    if put[0] == none { [none, none] } else { put }
}

/// Destinations that an ordinary switch does not forward: IEEE 802.1D's reserved addresses, and those that other makers use the
/// same way.
fn is_reserved(mac: [u8; 6]) -> bool {
    match mac {
        [0x01, 0x80, 0xc2, 0, 0, last] => last <= 0x0f,
        [0x00, 0xe0, 0x2b, 0, 0, last] => matches!(last, 0 | 4 | 6),
        [0x01, 0x00, 0x0c, 0, 0, 0] => true,
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, last] => matches!(last, 0xcc | 0xcd | 0xc0..=0xc7),
        [0x01, 0x00, 0x0c, 0xcd, 0xcd, 0xcd] => true,
        _ => false,
    }
}

fn mac_text(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(vlan_mode: VlanMode, tag: u16) -> PortConfig {
        PortConfig { vlan_mode, tag, ..PortConfig::default() }
    }

    #[test]
    fn tags_are_put_on_and_taken_off_by_mode() {
        let none = VlanTag::default();
        let five = tag_of(ETH_VLAN, VLAN_PRESENT | 5);
        assert_eq!(incoming(&port(VlanMode::Access, 5), &[none, none]), [five, none]);
        assert_eq!(outgoing(&port(VlanMode::Access, 5), &[five, none]), [none, none]);
        assert_eq!(outgoing(&port(VlanMode::Trunk, 0), &[five, none]), [five, none]);
        assert_eq!(outgoing(&port(VlanMode::NativeUntagged, 5), &[five, none]), [none, none]);
        assert_eq!(outgoing(&port(VlanMode::NativeTagged, 5), &[five, none]), [five, none]);
        let tunnel = port(VlanMode::Dot1qTunnel, 9);
        let wrapped = incoming(&tunnel, &[five, none]);
        assert_eq!((wrapped[0].tpid.get(), vid(&wrapped[0]), wrapped[1]), (0x88a8, 9, five));
        assert_eq!(outgoing(&tunnel, &wrapped), [five, none]);
    }

    #[test]
    fn priority_tags_when_asked_for() {
        let tags = [tag_of(ETH_VLAN, VLAN_PRESENT | 5 | 3 << 13), VlanTag::default()];
        let mut access = port(VlanMode::Access, 5);
        access.priority_tags = PriorityTags::IfNonzero;
        assert_eq!(outgoing(&access, &tags)[0].tci.get(), VLAN_PRESENT | 3 << 13);
    }

    #[test]
    fn tags_as_open_vswitch_treats_them() {
        let none = VlanTag::default();
        let tag = |tpid: u16, tci: u16| tag_of(tpid, tci | VLAN_PRESENT);
        let (access, native) = (port(VlanMode::Access, 5), port(VlanMode::NativeUntagged, 5));
        let trunk = port(VlanMode::Trunk, 0);
        assert_eq!(
            incoming(&native, &[tag(0x88a8, 0xa000), tag(ETH_VLAN, 7)]),
            [tag(0x88a8, 0xa005), tag(ETH_VLAN, 7)]
        );
        assert_eq!(incoming(&access, &[tag(0x88a8, 0xa000), tag(ETH_VLAN, 7)]), [tag(0x88a8, 0xa005), none]);
        assert_eq!(outgoing(&trunk, &[tag(ETH_VLAN, 0xa000), none]), [tag(ETH_VLAN, 0xa000), none]);
        assert_eq!(outgoing(&trunk, &[tag(ETH_VLAN, 0), tag(ETH_VLAN, 7)]), [none, none]);
        assert_eq!(outgoing(&trunk, &[tag(ETH_VLAN, 5), tag(ETH_VLAN, 0)]), [tag(ETH_VLAN, 5), none]);
        assert!(!carries(&native, &[none, none]) && !carries(&access, &[tag(ETH_VLAN, 5), tag(ETH_VLAN, 7)]));
    }

    #[test]
    fn reserved_addresses() {
        assert!(is_reserved([1, 0x80, 0xc2, 0, 0, 0x0e]) && !is_reserved([1, 0x80, 0xc2, 0, 0, 0x10]));
        assert!(is_reserved([1, 0, 0xc, 0xcc, 0xcc, 0xcc]) && !is_reserved(BROADCAST));
    }
}
