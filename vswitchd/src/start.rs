//! From the command line to the running loop.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{self, Cli, Request};
use crate::control;
use crate::daemon::{self, Process};
use crate::log::{self, SyslogMethod, Vlog};
use crate::paths;
use crate::reconcile::ReconcilerOptions;

/// The program: reads the arguments, becomes a daemon, runs the switch.
pub fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(Request::Run(cli)) => *cli,
        Ok(Request::Print(text)) => {
            let printed = std::io::stdout().write_all(text.as_bytes());
            return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(line) => {
            let _ = writeln!(std::io::stderr(), "{line}");
            return ExitCode::FAILURE;
        }
    };
    match set_up_log(&cli).and_then(|log| run(&cli, &log).inspect_err(|line| record(&log, line))) {
        Ok(code) => ExitCode::from(code),
        Err(line) => fail(&line),
    }
}

/// Says why on standard error, in one line.
fn fail(line: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{}: {line}", paths::program_name());
    ExitCode::FAILURE
}

/// Has a panic, on whatever thread, end the process by a signal: a switch with a dead worker looks alive and is not, and the monitor
/// starts another one after a signal.
fn abort_on_panic(log: &Vlog) {
    let log = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        log.last_words(&panic.to_string());
        std::process::abort();
    }));
}

/// Says why in the log as well, but not twice on standard error.
fn record(log: &Vlog, line: &str) {
    log.set_console(false);
    tracing::error!(target: "vswitchd", "{line}");
}

fn run(cli: &Cli, log: &Vlog) -> Result<u8, String> {
    abort_on_panic(log);
    let reconciler = reconciler_options(cli)?;
    if let Some(user) = &cli.user {
        daemon::become_user(user).map_err(|error| error.to_string())?;
    }
    let (startup, _pidfile) = match daemon::start(&daemon_options(cli)).map_err(|error| error.to_string())? {
        Process::Switch(startup, pidfile) => (startup, pidfile),
        Process::Done(code) => return Ok(code),
    };
    if cli.mlockall
        && let Err(error) = daemon::lock_memory()
    {
        tracing::error!(target: "vswitchd", "mlockall failed: {error}");
    }
    let options = control::Options { unixctl: control_socket(cli), reconciler };
    control::run(log.clone(), options, startup).map_err(|error| error.to_string())?;
    Ok(0)
}

fn set_up_log(cli: &Cli) -> Result<Vlog, String> {
    let from_environment = std::env::var("OVS_SYSLOG_METHOD").ok();
    let from_target = cli.syslog_target.as_ref().map(|target| format!("udp:{target}"));
    let method = cli.syslog_method.clone().or(from_target).or(from_environment);
    let method = SyslogMethod::parse(method.as_deref().unwrap_or("libc"))?;
    let log = log::install(&paths::program_name(), method);
    for spec in &cli.verbose {
        log.set(spec).map_err(|error| format!("processing \"{spec}\": {error}"))?;
    }
    if let Some(name) = &cli.log_file {
        let name = if name.is_empty() { format!("{}.log", paths::program_name()) } else { name.clone() };
        let path = paths::in_dir(&paths::logdir(), &name);
        log.open_file(&path).map_err(|error| {
            format!("failed to open {} for logging: {}", path.display(), datapath::netdev::reason(&error))
        })?;
    }
    Ok(log)
}

fn daemon_options(cli: &Cli) -> daemon::Options {
    let named =
        |name: &String| if name.is_empty() { format!("{}.pid", paths::program_name()) } else { name.clone() };
    daemon::Options {
        detach: cli.detach,
        chdir: !cli.no_chdir,
        monitor: cli.monitor,
        pidfile: cli.pidfile.as_ref().map(|name| paths::in_dir(&paths::rundir(), &named(name))),
        overwrite_pidfile: cli.overwrite_pidfile,
    }
}

fn control_socket(cli: &Cli) -> Option<PathBuf> {
    match cli.unixctl.as_deref() {
        Some("none") => None,
        Some(name) => Some(paths::in_dir(&paths::rundir(), name)),
        None => {
            let name = format!("{}.{}.ctl", paths::program_name(), std::process::id());
            Some(paths::rundir().join(name))
        }
    }
}

fn reconciler_options(cli: &Cli) -> Result<ReconcilerOptions, String> {
    let default = format!("unix:{}", paths::rundir().join("db.sock").display());
    let remote = cli.database.clone().unwrap_or(default);
    let tls = stream::TlsFiles {
        private_key: cli.private_key.as_deref().unwrap_or_default().into(),
        certificate: cli.certificate.as_deref().unwrap_or_default().into(),
        ca_cert: cli.ca_cert.as_deref().or(cli.bootstrap_ca_cert.as_deref()).unwrap_or_default().into(),
        bootstrap_ca_cert: cli.bootstrap_ca_cert.is_some(),
    };
    ReconcilerOptions::new(&remote, cli.embedded_db, tls).map_err(|error| error.to_string())
}
