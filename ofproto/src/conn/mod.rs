//! Connections to controllers and to `ovs-ofctl`.

pub mod hello;
pub mod reconnect;
pub mod vconn;
