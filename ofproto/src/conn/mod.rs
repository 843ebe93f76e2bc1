//! Connections to controllers and to `ovs-ofctl`.

pub mod hello;
pub mod packet_in;
pub mod rconn;
pub mod reconnect;
pub mod vconn;
