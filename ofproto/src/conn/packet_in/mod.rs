//! Packets on their way to controllers.

pub mod limiter;
