//! What the configuration is applied to.

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
    /// Hears of a device that was made a moment ago.
    pub(super) fn hear(&mut self) {
        match self.netdevs.poll() {
            Ok(changes) => self.news.extend(changes),
            Err(error) => {
                tracing::warn!(target: "netdev_linux", "devices cannot be followed: {}", reason(&error));
            }
        }
    }
}
