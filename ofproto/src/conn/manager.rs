//! The connections of all bridges, driven by the control loop.
//!
//! The loop calls [`ConnManager::ready`] for each event with a token of ours, then [`ConnManager::run`], and sleeps no longer than
//! [`ConnManager::next_wakeup`] says. Each turn gives every connection a millisecond at most; what is left
//! is done in the next turn, which is then due at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use datapath::Datapath;
use mio::{Registry, Token};
use stream::TlsFiles;

use super::bridge_conns::BridgeConns;
use super::config::{ConnConfig, ControllerStatus};
use super::devices::Devices;
use super::rconn::Net;
use super::tokens::Tokens;
use crate::Bridge;

/// What all bridges' connections share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) net: Net,
    pub(super) devices: Devices,
    pub(super) tokens: Tokens,
    pub(super) rundir: PathBuf,
    /// Number of the next one who comes by a Unix-domain socket.
    pub(super) unix_serial: u64,
    /// Connections that were refused for want of room.
    pub(super) refused: u64,
    /// Packets that found the queue of their connection full.
    pub(super) packet_in_overflow: u64,
}

/// The connections of all bridges.
#[derive(Debug)]
pub struct ConnManager {
    world: World,
    bridges: BTreeMap<String, BridgeConns>,
    now_ns: u64,
    busy: bool,
}

impl ConnManager {
    /// No bridges yet. Sockets are registered with `registry` under `tokens`; service sockets lie in `rundir`.
    pub fn new(registry: Registry, tokens: Range<usize>, rundir: PathBuf, datapath: Arc<Datapath>) -> Self {
        let net = Net { registry, tls: TlsFiles::default() };
        let world = World {
            net,
            devices: Devices::new(datapath),
            tokens: Tokens::new(tokens),
            rundir,
            unix_serial: 0,
            refused: 0,
            packet_in_overflow: 0,
        };
        Self { world, bridges: BTreeMap::new(), now_ns: 0, busy: false }
    }

    /// Says where keys and certificates are; connections made from now on use them.
    pub fn set_tls(&mut self, files: TlsFiles) {
        self.world.net.tls = files;
    }

    /// Takes a bridge in: opens `BRIDGE.mgmt` and `BRIDGE.snoop`.
    pub fn add_bridge(&mut self, bridge: &Arc<Bridge>, now_ns: u64) {
        let conns = BridgeConns::new(Arc::clone(bridge), &mut self.world, now_ns);
        if let Some(old) = self.bridges.insert(bridge.name().to_owned(), conns) {
            old.close(&mut self.world);
        }
    }

    /// Closes all that belongs to a bridge.
    pub fn remove_bridge(&mut self, name: &str) {
        if let Some(conns) = self.bridges.remove(name) {
            conns.close(&mut self.world);
        }
    }

    /// Sets protocols and controllers of a bridge.
    pub fn configure(&mut self, name: &str, config: &ConnConfig, now_ns: u64) {
        if let Some(conns) = self.bridges.get_mut(name) {
            conns.configure(config, &mut self.world, now_ns);
        }
    }

    /// Takes note that the bridge's own settings (datapath id, fail mode) have changed.
    pub fn bridge_changed(&mut self, name: &str, now_ns: u64) {
        if let Some(conns) = self.bridges.get_mut(name) {
            conns.bridge_changed(&mut self.world, now_ns);
        }
    }

    /// How many connections there are, snoopers aside; those that are to be made count.
    pub fn count(&self) -> usize {
        self.bridges.values().map(BridgeConns::count).sum()
    }

    /// How many who came in were refused, because too many were in already.
    pub fn refused(&self) -> u64 {
        self.world.refused
    }

    /// What happened that operators look for, by the names of `coverage/show`.
    pub fn coverage(&self) -> Vec<(&'static str, u64)> {
        vec![("connmgr_refused", self.world.refused), ("rconn_overflow", self.world.packet_in_overflow)]
    }

    /// State of the controllers of a bridge, by target.
    pub fn status(&self, name: &str) -> Vec<(String, ControllerStatus)> {
        self.bridges.get(name).map(|conns| conns.status(self.now_ns / 1_000_000)).unwrap_or_default()
    }

    /// Drops the connections to the controllers of one bridge, or all, and makes them anew. Whether there is such a bridge.
    pub fn reconnect(&mut self, name: Option<&str>, now_ns: u64) -> bool {
        let mut found = name.is_none();
        for (bridge, conns) in &mut self.bridges {
            if name.is_none_or(|name| name == bridge) {
                conns.reconnect(&mut self.world, now_ns);
                found = true;
            }
        }
        found
    }

    /// Whether an event under `token` is for us.
    pub fn owns(&self, token: Token) -> bool {
        self.world.tokens.owns(token)
    }

    /// Notes that a socket may be readable or writable.
    pub fn ready(&mut self, token: Token) {
        for conns in self.bridges.values_mut() {
            if conns.ready(token) {
                return;
            }
        }
    }

    /// Gives every connection its turn. `now_ns` is of the monotonic clock.
    pub fn run(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        self.busy = false;
        for conns in self.bridges.values_mut() {
            self.busy |= conns.run(&mut self.world, now_ns);
        }
    }

    /// When to run next even if nothing happens, nanoseconds of the monotonic clock; may be in the past.
    pub fn next_wakeup(&self) -> Option<u64> {
        if self.busy {
            return Some(self.now_ns);
        }
        self.bridges.values().filter_map(BridgeConns::deadline_ms).min().map(|ms| ms * 1_000_000)
    }
}
