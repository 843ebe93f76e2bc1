//! Running programs.

use std::process::Command;

/// What a program left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code; -1 when it died of a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a program to its end and takes what it leaves, success or not.
///
/// # Panics
/// When it cannot be started.
pub fn try_run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a program that must succeed; its standard output.
///
/// # Panics
/// When it does not.
pub fn run(command: &mut Command) -> String {
    let output = try_run(command);
    assert!(output.code == 0, "{command:?} exited {}: {}{}", output.code, output.stdout, output.stderr);
    output.stdout
}
