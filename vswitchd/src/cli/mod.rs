//! The command line: that of `ovs-vswitchd`, plus `--embedded-db`.

mod getopt;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser};

/// The version of Open vSwitch that this switch is compatible with.
pub const OVS_VERSION: &str = "3.1.0";

/// Options as given. An option whose value may be left out holds an empty string then.
#[derive(Parser, Debug, Clone, Default)]
#[command(
    disable_version_flag = true,
    about = "Turnout: a userspace OpenFlow switch",
    override_usage = "turnoutd [OPTIONS] [DATABASE]",
    after_help = "DATABASE is a socket on which ovsdb-server is listening (default: unix:$OVS_RUNDIR/db.sock)."
)]
pub struct Cli {
    /// Run in the background; returns once the first configuration is in place
    #[arg(long)]
    pub detach: bool,
    /// Do not change to the root directory when detaching
    #[arg(long)]
    pub no_chdir: bool,
    /// Restart the switch when it dies of a signal
    #[arg(long)]
    pub monitor: bool,
    /// Create a pidfile (default: $OVS_RUNDIR/PROGRAM.pid)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub pidfile: Option<String>,
    /// Start although the pidfile names a running process
    #[arg(long)]
    pub overwrite_pidfile: bool,
    /// Log to a file (default: $OVS_LOGDIR/PROGRAM.log)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub log_file: Option<String>,
    /// Set log levels: [MODULE][:DESTINATION][:LEVEL], or PATTERN:DESTINATION:TEXT; short form -vSPEC
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "any:dbg", action = ArgAction::Append)]
    pub verbose: Vec<String>,
    /// How to reach syslog: libc, null, unix:FILE or udp:IP:PORT
    #[arg(long, value_name = "METHOD")]
    pub syslog_method: Option<String>,
    /// Send syslog by UDP to this host and port
    #[arg(long, value_name = "HOST:PORT")]
    pub syslog_target: Option<String>,
    /// Control socket for ovs-appctl; "none" for none
    #[arg(long, value_name = "SOCKET")]
    pub unixctl: Option<String>,
    /// Lock all memory, so that nothing is ever paged out
    #[arg(long)]
    pub mlockall: bool,
    /// Change to this user (and group) once what needs root is done
    #[arg(long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Accepted for compatibility: the kernel module is never used
    #[arg(long)]
    pub disable_system: bool,
    /// Accepted for compatibility: no routes are read from the kernel
    #[arg(long)]
    pub disable_system_route: bool,
    /// Accepted for compatibility
    #[arg(long)]
    pub no_self_confinement: bool,
    /// Create the database and run ovsdb-server when none answers
    #[arg(long)]
    pub embedded_db: bool,
    /// Private key for ssl: connections
    #[arg(short = 'p', long, value_name = "FILE")]
    pub private_key: Option<String>,
    /// Certificate for ssl: connections
    #[arg(short = 'c', long, value_name = "FILE")]
    pub certificate: Option<String>,
    /// Certificate authority that peers of ssl: connections are checked against
    #[arg(short = 'C', long, value_name = "FILE")]
    pub ca_cert: Option<String>,
    /// Certificate authority; taken from the first connection when the file does not exist
    #[arg(long, value_name = "FILE")]
    pub bootstrap_ca_cert: Option<String>,
    /// Certificate authority to send to peers
    #[arg(long, value_name = "FILE")]
    pub peer_ca_cert: Option<String>,
    /// Print the version
    #[arg(short = 'V', long)]
    pub version: bool,
    /// The database to connect to
    #[arg(value_name = "DATABASE")]
    pub database: Option<String>,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Run the switch.
    Run(Box<Cli>),
    /// Print this and succeed.
    Print(String),
}

/// Reads the arguments, the program's name first. The error is one line that begins with it.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let mut command = Cli::command();
    command.build();
    // Like getopt, the first word is that of the command line, which may be a path.
    let spelled =
        getopt::spell_out(&command, args).map_err(|line| format!("{}: {line}", program.to_string_lossy()))?;
    match Cli::try_parse_from(std::iter::once(program).chain(spelled)) {
        Ok(cli) if cli.version => Ok(Request::Print(version_text())),
        Ok(cli) => Ok(Request::Run(Box::new(cli))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Request::Print(error.to_string())),
        Err(error) => Err(format!("{}: {}", crate::paths::program_name(), one_line(&error))),
    }
}

/// What `--version` prints: the first line is the one that `ovs-ctl` parses.
pub fn version_text() -> String {
    let program = crate::paths::program_name();
    format!("{program} (Open vSwitch) {OVS_VERSION}\nTurnout {}\n", env!("CARGO_PKG_VERSION"))
}

fn one_line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match (error.kind(), context(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(_)) => {
            "at most one non-option argument accepted; use --help for usage".into()
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or("bad command line");
            line.strip_prefix("error: ").unwrap_or(line).trim_end_matches(':').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Cli {
        match parse(["turnoutd"].iter().chain(args).map(OsString::from)) {
            Ok(Request::Run(cli)) => *cli,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_line_that_debian_uses() {
        let cli = run(&[
            "unix:/run/db.sock",
            "-vconsole:emer",
            "-vsyslog:err",
            "-vfile:info",
            "--mlockall",
            "--no-chdir",
            "--log-file=/l",
            "--pidfile=/p",
            "--detach",
            "--monitor",
        ]);
        assert_eq!(cli.database.as_deref(), Some("unix:/run/db.sock"));
        assert_eq!(cli.verbose, ["console:emer", "syslog:err", "file:info"]);
        assert_eq!((cli.log_file.as_deref(), cli.pidfile.as_deref()), (Some("/l"), Some("/p")));
        assert!(cli.detach && cli.monitor && cli.mlockall && cli.no_chdir);
    }

    #[test]
    fn the_line_that_the_test_suites_use() {
        let cli =
            run(&["--disable-system", "--detach", "--no-chdir", "--pidfile", "--log-file", "-vvconn", "-v"]);
        assert_eq!(cli.pidfile.as_deref(), Some(""));
        assert_eq!(cli.log_file.as_deref(), Some(""));
        assert_eq!(cli.verbose, ["vconn", "any:dbg"]);
        assert_eq!(cli.database, None);
    }

    #[test]
    fn bad_options_are_one_clear_line() {
        let line = |args: &[&str]| parse(["turnoutd"].iter().chain(args).map(OsString::from)).unwrap_err();
        assert_eq!(line(&["--nonesuch"]), "turnoutd: unrecognized option '--nonesuch'");
        let two = line(&["a", "b"]);
        let (_, two) = two.split_once(": ").unwrap();
        assert_eq!(two, "at most one non-option argument accepted; use --help for usage");
        assert!(!line(&["--detach=yes"]).contains('\n'));
    }

    #[test]
    fn version_is_parsed_by_the_scripts_awk() {
        let text = version_text();
        let line = text.lines().find(|line| line.contains("Open vSwitch")).unwrap();
        assert_eq!(line.split_whitespace().last(), Some(OVS_VERSION));
    }
}
