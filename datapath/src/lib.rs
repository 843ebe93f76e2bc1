//! The datapath: ports, workers, caches, the classifier of megaflows, the execution of actions.

pub mod action;
pub mod drops;
pub mod owner;
pub mod port;
pub mod stamps;
