//! The daemon: `turnoutd`, or `ovs-vswitchd` when started under that name.

pub mod appctl;
pub mod cli;
pub mod daemon;
pub mod embedded_db;
pub mod log;
pub mod paths;
pub mod reconcile;
pub mod status;

use std::process::ExitCode;

/// The program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
