//! What the configuration is applied to.

use datapath::Datapath;
use datapath::netdev::Netdevs;
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
    /// Now, in nanoseconds of the monotonic clock.
    pub now_ns: u64,
}
