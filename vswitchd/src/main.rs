//! `turnoutd`, the daemon. All of it is in the library `vswitchd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vswitchd::main()
}
