//! Connections to controllers and to `ovs-ofctl`.

pub mod config;
pub mod door;
pub mod hello;
pub mod packet_in;
pub mod rconn;
pub mod reconnect;
pub mod tokens;
pub mod vconn;
