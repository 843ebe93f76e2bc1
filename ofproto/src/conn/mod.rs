//! Connections to controllers and to `ovs-ofctl`.

mod age;
mod bridge_conns;
mod budget;
mod bundle;
pub mod config;
mod devices;
mod door;
mod fail_open;
mod handle;
mod hello;
mod manager;
mod notify;
mod ofconn;
mod packet_in;
mod rconn;
mod reconnect;
mod session;
mod tokens;
mod vconn;
mod work;

pub(crate) use handle::arrange;

pub use config::{ConnConfig, ConnKind, ControllerConfig, ControllerStatus};
pub use manager::ConnManager;
pub use reconnect::Timing;
