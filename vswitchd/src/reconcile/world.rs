//! What the configuration is applied to.

use std::io;

use datapath::Datapath;
use datapath::netdev::{Change, Netdevs, reason};
use ofproto::Switch;
use ofproto::conn::ConnManager;

/// Everything that a change of configuration touches, borrowed for one turn of the control loop.
pub(super) struct World<'a> {
    /// Ports and workers.
    pub datapath: &'a Datapath,
    /// Bridges.
    pub switch: &'a Switch,
    /// Connections to controllers.
    pub conn: &'a mut ConnManager,
    /// Network devices.
    pub netdevs: &'a mut Netdevs,
    /// What was heard of devices meanwhile, to be looked into afterwards.
    pub news: &'a mut Vec<Change>,
    /// Now, in nanoseconds of the monotonic clock.
    pub now_ns: u64,
}

impl World<'_> {
    /// Hears what happened to devices.
    pub(super) fn hear(&mut self) {
        let heard = self.netdevs.poll();
        self.take(heard);
    }

    /// Looks for devices that went without a word.
    pub(super) fn sweep(&mut self) {
        let found = self.netdevs.sweep();
        self.take(Ok(found));
    }

    fn take(&mut self, changes: io::Result<Vec<Change>>) {
        match changes {
            Ok(changes) => self.news.extend(changes),
            Err(error) => {
                tracing::warn!(target: "netdev_linux", "devices cannot be followed: {}", reason(&error));
            }
        }
    }
}
