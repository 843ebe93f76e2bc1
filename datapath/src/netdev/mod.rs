//! Network devices of the host: facts about them, changes to them, and word of what happens to them.
//!
//! - [`Netdevs`] follows all devices of the switch's own namespace, and those taps of the switch that somebody moved into another
//!   one. It is what the control loop polls, and what the database's `Interface` columns are filled from.
//! - [`Links`] asks and orders within one namespace, without memory.
//! - [`Link`], [`LinkStats`], [`Settings`], [`Driver`], [`Features`]: the facts.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use datapath::netdev::Netdevs;
//!
//! let mut netdevs = Netdevs::open()?;
//! if let Some(device) = netdevs.get("eth0") {
//!     println!("mtu {} up {} resets {}", device.link.mtu, device.link.up, device.resets);
//! }
//! // When `netdevs.fd()` is readable:
//! for change in netdevs.poll()? {
//!     println!("{} is {:?}", change.name, change.what);
//! }
//! # Ok(()) }
//! ```

mod ethtool;
mod link;
mod requests;
mod stats;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

pub use ethtool::{Driver, Features, Settings};
pub use link::Link;
pub use requests::{Links, NAME_MAX, check_name};
pub use stats::LinkStats;
pub use watch::{Change, Device, Netdevs, What};

/// The kernel's word for an error, without the number that Rust adds: `No such device`.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_c_librarys() {
        let text = |errno| reason(&std::io::Error::from_raw_os_error(errno));
        assert_eq!(text(libc::ENODEV), "No such device");
        assert_eq!(text(libc::EINVAL), "Invalid argument");
        assert_eq!(text(libc::ENAMETOOLONG), "File name too long");
        assert_eq!(reason(&std::io::Error::other("strange")), "strange");
    }
}
