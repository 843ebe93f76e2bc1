//! [`Tunnels`]: from a received packet to the port of its tunnel.
//!
//! # Algorithm
//!
//! A tunnel is known by its kind and UDP port (its [`Service`]), key, remote and local address, of which the last three may be left
//! open. Which are open is its *shape*; there are twelve. All tunnels are in one hash table under (shape, service, key, remote, local)
//! with what is open set to zero. A packet is looked up under each shape that some tunnel has, the most specific first, as
//! ovs-vswitchd.conf.db(5) has it ("Tunnel Options"): a given key beats any, then a given remote any, then a given local
//! address none, and that `local_ip=flow`.
//!
//! # Invariants
//!
//! - No two tunnels under one key: the second is refused.
//! - `shapes[s]` is the number of tunnels of shape `s`; `services` has those, and only those, that some tunnel uses.
//!
//! # Costs
//!
//! A hash per shape in use, at most twelve, whatever the number of tunnels. 80 bytes a tunnel.

use std::net::IpAddr;

use hashbrown::HashMap;
use thiserror::Error;

use crate::tunnel::{Key, Kind, Local, Remote, Tunnel};

const SHAPES: usize = 12;

/// What a tunnel listens to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Service {
    /// Kind of tunnel.
    pub kind: Kind,
    /// UDP destination port in host order; 0 for GRE.
    pub dst_port: u16,
}

/// How packets to a service are to be read. Tunnels with and without the group policy cannot share one, as in Open vSwitch; those with
/// and without the generic protocol can, and then it is read for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Kind of tunnel and port.
    pub service: Service,
    /// VXLAN: the group policy is read.
    pub gbp: bool,
    /// VXLAN: the next protocol is read.
    pub gpe: bool,
}

#[derive(Default)]
struct Users {
    all: usize,
    gbp: bool,
    gpe: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Match {
    shape: u8,
    service: Service,
    key: u64,
    remote: u128,
    local: u128,
}

/// Why a tunnel is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InsertError<T> {
    /// Another port has the same kind, UDP port, key and addresses.
    #[error("a tunnel port with the same configuration exists")]
    Taken(T),
    /// The group policy is read for all tunnels of a UDP port, or for none.
    #[error("VXLAN-GBP, and non-VXLAN-GBP tunnels can't be configured on the same dst_port.")]
    PolicyMixed,
    /// As many as allowed.
    #[error("there are {0} tunnels already")]
    Full(usize),
}

/// All tunnel ports, each known to the owner as a `T`.
pub struct Tunnels<T> {
    ports: HashMap<Match, T>,
    shapes: [usize; SHAPES],
    services: HashMap<Service, Users>,
    limit: usize,
}

impl<T: Copy> Tunnels<T> {
    /// No tunnels, and never more than `limit`.
    pub fn new(limit: usize) -> Self {
        Self { ports: HashMap::new(), shapes: [0; SHAPES], services: HashMap::new(), limit }
    }

    /// Number of tunnels.
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Adds a port, or leaves all as it was.
    pub fn insert(&mut self, tunnel: &Tunnel, port: T) -> Result<(), InsertError<T>> {
        let place = match_of(tunnel);
        if let Some(&other) = self.ports.get(&place) {
            return Err(InsertError::Taken(other));
        }
        if self.ports.len() >= self.limit {
            return Err(InsertError::Full(self.limit));
        }
        if self.services.get(&place.service).is_some_and(|users| users.gbp != tunnel.gbp) {
            return Err(InsertError::PolicyMixed);
        }
        self.ports.insert(place, port);
        self.shapes[usize::from(place.shape)] += 1;
        let users = self.services.entry(place.service).or_default();
        users.all += 1;
        users.gbp = tunnel.gbp;
        users.gpe += usize::from(tunnel.gpe);
        Ok(())
    }

    /// Takes out the port that was inserted with this configuration.
    pub fn remove(&mut self, tunnel: &Tunnel) -> Option<T> {
        let place = match_of(tunnel);
        let port = self.ports.remove(&place)?;
        self.shapes[usize::from(place.shape)] -= 1;
        if let Some(users) = self.services.get_mut(&place.service) {
            users.all -= 1;
            users.gpe -= usize::from(tunnel.gpe);
            if users.all == 0 {
                self.services.remove(&place.service);
            }
        }
        Some(port)
    }

    /// Whether some tunnel listens to a service, and what its packets may have.
    pub fn listener(&self, service: Service) -> Option<Listener> {
        let users = self.services.get(&service)?;
        Some(Listener { service, gbp: users.gbp, gpe: users.gpe > 0 })
    }

    /// The same, for a UDP port whose kind of tunnel is not known. VXLAN comes before Geneve where both are given the same port.
    pub fn udp_listener(&self, dst_port: u16) -> Option<Listener> {
        [Kind::Vxlan, Kind::Geneve].into_iter().find_map(|kind| self.listener(Service { kind, dst_port }))
    }

    /// All services that some tunnel listens to, and how many do.
    pub fn services(&self) -> impl Iterator<Item = (Service, usize)> {
        self.services.iter().map(|(&service, users)| (service, users.all))
    }

    /// The port of a packet that came from `remote` to `local` with `key` (0 for none).
    pub fn find(&self, service: Service, remote: IpAddr, local: IpAddr, key: u64) -> Option<T> {
        let (remote, local) = (bits(remote), bits(local));
        let shapes = (0..SHAPES as u8).zip(&self.shapes).filter(|(_, tunnels)| **tunnels != 0);
        shapes
            .map(|(shape, _)| open(Match { shape, service, key, remote, local }))
            .find_map(|place| self.ports.get(&place).copied())
    }
}

/// A tunnel's shape: the smaller the more specific.
fn shape(tunnel: &Tunnel) -> u8 {
    let local = match tunnel.local {
        Local::Fixed(_) => 0,
        Local::Any => 1,
        Local::Flow => 2,
    };
    6 * u8::from(tunnel.in_key == Key::Flow) + 3 * u8::from(tunnel.remote == Remote::Flow) + local
}

/// Clears what the shape leaves open.
fn open(mut place: Match) -> Match {
    if place.shape >= 6 {
        place.key = 0;
    }
    if place.shape % 6 >= 3 {
        place.remote = 0;
    }
    if !place.shape.is_multiple_of(3) {
        place.local = 0;
    }
    place
}

fn match_of(tunnel: &Tunnel) -> Match {
    let key = if let Key::Fixed(key) = tunnel.in_key { key } else { 0 };
    let remote = if let Remote::Fixed(remote) = tunnel.remote { bits(remote) } else { 0 };
    let local = if let Local::Fixed(local) = tunnel.local { bits(local) } else { 0 };
    let service = Service { kind: tunnel.kind, dst_port: tunnel.dst_port };
    Match { shape: shape(tunnel), service, key, remote, local }
}

/// An address as a number; IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2).
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VXLAN: Service = Service { kind: Kind::Vxlan, dst_port: 4789 };

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn tunnel(in_key: Key, remote: Remote, local: Local) -> Tunnel {
        Tunnel { in_key, local, ..Tunnel::new(Kind::Vxlan, remote) }
    }

    /// Every valid shape for key 5, remote 2, local 1, the most specific first.
    fn ladder() -> Vec<Tunnel> {
        let mut out = Vec::new();
        for key in [Key::Fixed(5), Key::Flow] {
            for remote in [Remote::Fixed(v4(2)), Remote::Flow] {
                for local in [Local::Fixed(v4(1)), Local::Any, Local::Flow] {
                    let tunnel = tunnel(key, remote, local);
                    out.extend(tunnel.check().is_ok().then_some(tunnel));
                }
            }
        }
        out
    }

    #[test]
    fn the_most_specific_is_found_first() {
        let ladder = ladder();
        assert_eq!(ladder.len(), 10);
        let mut tunnels = Tunnels::new(100);
        for (port, tunnel) in ladder.iter().enumerate().rev() {
            tunnels.insert(tunnel, port).unwrap();
            assert_eq!(tunnels.insert(tunnel, 99), Err(InsertError::Taken(port)));
            assert_eq!(tunnels.find(VXLAN, v4(2), v4(1), 5), Some(port));
        }
        for (port, tunnel) in ladder.iter().enumerate() {
            assert_eq!(tunnels.find(VXLAN, v4(2), v4(1), 5), Some(port));
            assert_eq!(tunnels.remove(tunnel), Some(port));
        }
        assert_eq!(tunnels.find(VXLAN, v4(2), v4(1), 5), None);
        assert!(tunnels.is_empty() && tunnels.listener(VXLAN).is_none());
    }

    #[test]
    fn what_does_not_fit_is_not_found() {
        let mut tunnels = Tunnels::new(1);
        let fixed = tunnel(Key::Fixed(5), Remote::Fixed(v4(2)), Local::Fixed(v4(1)));
        tunnels.insert(&fixed, 1).unwrap();
        assert_eq!(tunnels.insert(&Tunnel { dst_port: 8472, ..fixed }, 2), Err(InsertError::Full(1)));
        assert_eq!(tunnels.find(VXLAN, v4(2), v4(1), 6), None);
        assert_eq!(tunnels.find(VXLAN, v4(3), v4(1), 5), None);
        assert_eq!(tunnels.find(VXLAN, v4(2), v4(3), 5), None);
        assert_eq!(tunnels.find(Service { dst_port: 8472, ..VXLAN }, v4(2), v4(1), 5), None);
        assert_eq!(tunnels.find(Service { kind: Kind::Geneve, ..VXLAN }, v4(2), v4(1), 5), None);
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 2).to_ipv6_compatible());
        assert_eq!(tunnels.find(VXLAN, mapped, v4(1), 5), None);
    }

    #[test]
    fn a_service_reads_what_any_of_its_tunnels_wants() {
        let mut tunnels = Tunnels::new(9);
        let plain = tunnel(Key::Fixed(1), Remote::Flow, Local::Any);
        let policy = Tunnel { in_key: Key::Fixed(2), gbp: true, ..plain };
        let generic = Tunnel { in_key: Key::Fixed(2), gpe: true, ..plain };
        tunnels.insert(&plain, 1).unwrap();
        assert_eq!(tunnels.insert(&policy, 2), Err(InsertError::PolicyMixed));
        assert_eq!(tunnels.listener(VXLAN), Some(Listener { service: VXLAN, gbp: false, gpe: false }));
        tunnels.insert(&generic, 2).unwrap();
        assert_eq!(tunnels.listener(VXLAN), Some(Listener { service: VXLAN, gbp: false, gpe: true }));
        assert_eq!(tunnels.udp_listener(4789), tunnels.listener(VXLAN));
        assert_eq!(tunnels.udp_listener(6081), None);
        assert_eq!(tunnels.services().collect::<Vec<_>>(), [(VXLAN, 2)]);
        assert_eq!((tunnels.remove(&generic), tunnels.remove(&generic)), (Some(2), None));
        assert_eq!(tunnels.listener(VXLAN), Some(Listener { service: VXLAN, gbp: false, gpe: false }));
        tunnels.remove(&plain);
        tunnels.insert(&policy, 2).unwrap();
        assert_eq!(tunnels.listener(VXLAN), Some(Listener { service: VXLAN, gbp: true, gpe: false }));
        assert_eq!(tunnels.listener(Service { kind: Kind::Gre, dst_port: 0 }), None);
    }

    fn accepts(tunnel: &Tunnel, remote: IpAddr, local: IpAddr, key: u64) -> bool {
        (tunnel.in_key == Key::Flow || tunnel.in_key == Key::Fixed(key))
            && (tunnel.remote == Remote::Flow || tunnel.remote == Remote::Fixed(remote))
            && (!matches!(tunnel.local, Local::Fixed(_)) || tunnel.local == Local::Fixed(local))
    }

    fn any_tunnel() -> impl Strategy<Value = Tunnel> {
        let key = prop_oneof![(0..3u64).prop_map(Key::Fixed), Just(Key::Flow)];
        let remote = prop_oneof![(1..3u8).prop_map(|a| Remote::Fixed(v4(a))), Just(Remote::Flow)];
        let local =
            prop_oneof![(1..3u8).prop_map(|a| Local::Fixed(v4(a))), Just(Local::Any), Just(Local::Flow)];
        (key, remote, local).prop_map(|(key, remote, local)| tunnel(key, remote, local))
    }

    proptest! {
        #[test]
        fn finds_what_a_linear_scan_finds(
            all in prop::collection::vec(any_tunnel(), 0..20),
            remote in 1..4u8,
            local in 1..4u8,
            key in 0..4u64,
        ) {
            let mut tunnels = Tunnels::new(100);
            let kept: Vec<_> = all.iter().filter(|tunnel| tunnels.insert(tunnel, **tunnel).is_ok()).collect();
            let (remote, local) = (v4(remote), v4(local));
            let fits = kept.into_iter().filter(|tunnel| accepts(tunnel, remote, local, key));
            let best = fits.min_by_key(|tunnel| (
                tunnel.in_key == Key::Flow,
                tunnel.remote == Remote::Flow,
                tunnel.local == Local::Flow,
                tunnel.local == Local::Any,
            ));
            prop_assert_eq!(tunnels.find(VXLAN, remote, local, key), best.copied());
        }
    }
}
