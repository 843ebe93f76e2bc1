//! What others left on this host: the kernel's own datapath, and an earlier process of ours that crashed.

use datapath::netdev::{Links, reason};
use datapath::port::{silence, tap};
use datapath::takeover;

/// Before any port is opened: takes the devices of the kernel module's datapaths over, and filters off devices that an
/// earlier process left there.
pub(super) fn clear() {
    match takeover::run() {
        Ok(taken) => {
            for device in taken {
                let (name, datapath) = (device.name, device.datapath);
                tracing::info!(target: "dpif", "took device {name} over from kernel datapath {datapath}");
                if device.lost > 0 {
                    tracing::warn!(target: "dpif", "{name}: {} addresses or routes are lost", device.lost);
                }
            }
        }
        Err(error) => {
            tracing::warn!(target: "dpif", "kernel datapath could not be taken over: {}", reason(&error));
        }
    }
    let indexes = Links::here()
        .and_then(|mut links| links.all())
        .map(|links| links.into_iter().map(|link| link.index).collect::<Vec<_>>());
    if let Err(error) = indexes.and_then(silence::remove_left_overs) {
        tracing::debug!(target: "netdev_linux", "filters of an earlier process may be left: {}", reason(&error));
    }
}

/// Once the configuration stands: removes our devices of bridges that were deleted while no switch ran.
pub(super) fn clear_strays() {
    match tap::remove_strays() {
        Ok(names) => {
            for name in names {
                tracing::info!(target: "bridge", "removed left-over device {name}");
            }
        }
        Err(error) => {
            tracing::debug!(target: "netdev_linux", "devices of an earlier process may be left: {}", reason(&error));
        }
    }
}
