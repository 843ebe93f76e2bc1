//! The `tracing` subscriber: takes events, writes lines.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tracing::field::{Field, Visit};
use tracing::metadata::LevelFilter;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use super::level::{Destination, Level, Levels};
use super::pattern::{Record, render};
use super::rate::RateLimits;
use super::sink::{LogFile, Syslog, SyslogMethod};
use super::spec::Spec;

/// The log: settings and destinations. Cheap to clone; all clones are the same log.
#[derive(Debug, Clone)]
pub struct Vlog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The most verbose [`Level`] that any destination wants, so that the rest costs one load.
    most_verbose: AtomicU8,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    program: String,
    started: Instant,
    levels: Levels,
    patterns: [String; 3],
    facility: u8,
    console: bool,
    file: LogFile,
    syslog: Syslog,
    rates: RateLimits,
    /// Modules whose warnings are not limited.
    unlimited: HashSet<&'static str>,
    sequence: u64,
}

/// Makes the log of `program` and puts it under `tracing` for the whole process.
///
/// # Panics
/// When called twice in one process.
pub fn install(program: &str, syslog: SyslogMethod) -> Vlog {
    let log = Vlog::new(program, syslog);
    tracing::subscriber::set_global_default(log.clone()).expect("the log is installed once");
    log
}

impl Vlog {
    fn new(program: &str, syslog: SyslogMethod) -> Self {
        let line = "|%05N|%c%T|%p|%m";
        let state = State {
            program: program.into(),
            started: Instant::now(),
            levels: Levels::default(),
            patterns: [
                "<%B> %D{%h %e %T} %E %A: ovs|%05N|%c%T|%p|%m".into(),
                format!("%D{{%Y-%m-%dT%H:%M:%SZ}}{line}"),
                format!("%D{{%Y-%m-%dT%H:%M:%S.###Z}}{line}"),
            ],
            facility: 3,
            console: true,
            file: LogFile::default(),
            syslog: Syslog::new(syslog),
            rates: RateLimits::default(),
            unlimited: HashSet::new(),
            sequence: 0,
        };
        let most_verbose = AtomicU8::new(Level::Info as u8);
        Self(Arc::new(Shared { most_verbose, state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies the words of `-v` or `vlog/set`; the error is what to answer.
    pub fn set(&self, spec: &str) -> Result<(), String> {
        let spec = Spec::parse(spec)?;
        let mut state = self.state();
        match spec {
            Spec::Level { module, destination, level } => state.levels.set(module, destination, level),
            Spec::Pattern(destination, pattern) => {
                for which in Destination::ALL {
                    if destination.is_none_or(|destination| destination == which) {
                        state.patterns[which as usize].clone_from(&pattern);
                    }
                }
            }
            Spec::Facility(facility) => state.facility = facility,
        }
        self.0.most_verbose.store(state.levels.most_verbose() as u8, Ordering::Relaxed);
        drop(state);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// The text of `vlog/list`.
    pub fn list(&self) -> String {
        self.state().levels.to_string()
    }

    /// The text of `vlog/list-pattern`.
    pub fn list_patterns(&self) -> String {
        let state = self.state();
        let mut out = String::from("         prefix                            format\n");
        out.push_str("         ------                            ------\n");
        for which in Destination::ALL {
            let (prefix, format) = split_prefix(which, &state.patterns[which as usize]);
            let _ = writeln!(out, "{:<8} {prefix:<33} {format}", which.name());
        }
        out
    }

    /// Logs to this file from now on.
    pub fn open_file(&self, path: &Path) -> io::Result<()> {
        self.state().file.open(path)?;
        tracing::info!(target: "vlog", "opened log file {}", path.display());
        Ok(())
    }

    /// Opens the log file again, for `logrotate`.
    pub fn reopen(&self) -> Result<(), String> {
        let Some((path, result)) = self.state().file.reopen() else {
            return Err("Logging to file not configured".into());
        };
        result.map_err(|error| {
            format!("failed to open {} for logging: {}", path.display(), datapath::netdev::reason(&error))
        })?;
        tracing::info!(target: "vlog", "opened log file {}", path.display());
        Ok(())
    }

    /// Closes the log file until [`reopen`](Self::reopen).
    pub fn close(&self) {
        self.state().file.close();
    }

    /// Turns all modules off on standard error, as after detaching.
    pub fn silence_console(&self) {
        // These words are right.
        let _ = self.set("console:off");
    }

    /// Whether lines go to standard error as well.
    pub fn set_console(&self, on: bool) {
        self.state().console = on;
    }

    /// Turns the limit on repeated warnings on or off, for these modules or, if none is named, for all.
    pub fn set_rate_limited(&self, modules: &[String], on: bool) -> Result<(), String> {
        let named = modules.iter().filter(|name| !name.eq_ignore_ascii_case("any"));
        let modules =
            named.map(|name| Levels::module(name).ok_or("unknown module")).collect::<Result<Vec<_>, _>>()?;
        let mut state = self.state();
        let which = if modules.is_empty() { Levels::modules().to_vec() } else { modules };
        for module in which {
            if on {
                state.unlimited.remove(module)
            } else {
                state.unlimited.insert(module)
            };
        }
        Ok(())
    }

    /// Logs why the process ends at once. Gives up where the log is in use, which may be by the very thread that calls.
    pub fn last_words(&self, text: &str) {
        if let Ok(mut state) = self.0.state.try_lock() {
            state.log("util", Level::Emer, text);
        }
    }

    fn wants(&self, level: Level) -> bool {
        level as u8 <= self.0.most_verbose.load(Ordering::Relaxed)
    }
}

/// What syslog puts before a line, and the rest of the pattern.
fn split_prefix(destination: Destination, pattern: &str) -> (&str, &str) {
    match pattern.split_once("%A: ") {
        Some((prefix, rest)) if destination == Destination::Syslog => (&pattern[..prefix.len() + 3], rest),
        _ => ("none", pattern),
    }
}

/// The vlog module of an event's target.
fn module_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

impl State {
    fn log(&mut self, module: &str, level: Level, message: &str) {
        let thread = std::thread::current();
        let thread = thread.name().filter(|name| *name != "main").unwrap_or_default();
        self.sequence += 1;
        for which in Destination::ALL {
            if level > self.levels.get(module, which) || !self.is_open(which) {
                continue;
            }
            let record = Record {
                program: &self.program,
                module,
                level,
                sequence: self.sequence,
                thread,
                time: SystemTime::now(),
                uptime_ms: self.started.elapsed().as_millis(),
                message,
                facility: self.facility,
            };
            let mut line = render(&self.patterns[which as usize], &record);
            match which {
                Destination::Syslog => self.syslog.write(&line),
                Destination::Console => {
                    line.push('\n');
                    let _ = io::stderr().write_all(line.as_bytes());
                }
                Destination::File => {
                    line.push('\n');
                    self.file.write(&line);
                }
            }
        }
    }

    fn is_open(&self, destination: Destination) -> bool {
        match destination {
            Destination::Syslog => true,
            Destination::Console => self.console,
            Destination::File => self.file.is_open(),
        }
    }
}

impl Subscriber for Vlog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.wants((*metadata.level()).into())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.wants(Level::Dbg) { LevelFilter::TRACE } else { LevelFilter::INFO })
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let level = Level::from(*metadata.level());
        let module = module_of(metadata.target());
        let mut message = Message::default();
        event.record(&mut message);
        let mut state = self.state();
        // What peers can bring about as often as they like is limited: warnings, and what is refused on their connections.
        let limited = level == Level::Warn || level == Level::Info && module == "connmgr";
        if limited && !state.unlimited.contains(module) {
            let site = std::ptr::from_ref(metadata).addr();
            match state.rates.admit(site, Instant::now()) {
                None => return,
                Some(Some(word)) => state.log(module, level, &word),
                Some(None) => {}
            }
        }
        state.log(module, level, message.0.trim_end());
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

/// The text of an event: its message, then other fields as `name=value`.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match (field.name(), self.0.is_empty()) {
            ("message", _) => write!(self.0, "{value:?}"),
            (name, true) => write!(self.0, "{name}={value:?}"),
            (name, false) => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(level: &str, emit: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let log = Vlog::new("turnoutd", SyslogMethod::Null);
        log.set_console(false);
        tracing::subscriber::with_default(log.clone(), || {
            log.open_file(&path).unwrap();
            log.set(level).unwrap();
            log.set("PATTERN:file:%c|%p|%m").unwrap();
            emit();
        });
        std::fs::read_to_string(path).unwrap().lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn events_are_filtered_by_module() {
        let text = logged("vconn:file:dbg", || {
            tracing::debug!(target: "vconn", "sent {}", 1);
            tracing::debug!(target: "bridge", "not asked for");
            tracing::info!(target: "bridge", "added interface");
        });
        assert_eq!(text, "vconn|DBG|sent 1\nbridge|INFO|added interface");
    }

    #[test]
    fn a_rust_path_counts_as_its_crate() {
        let text = logged("any:info", || tracing::warn!(target: "ofproto::conn", "odd"));
        assert_eq!(text, "ofproto|WARN|odd");
    }

    #[test]
    fn after_detaching_the_console_is_off_for_all() {
        let log = Vlog::new("turnoutd", SyslogMethod::Null);
        log.set("vconn:console:dbg").unwrap();
        log.silence_console();
        let list = log.list();
        assert!(list.lines().skip(2).all(|line| line.split_whitespace().nth(1) == Some("OFF")), "{list}");
        assert!(list.contains("INFO"), "{list}");
    }
}
