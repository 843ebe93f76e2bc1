//! A switch without its main program: datapath, bridges, connections and reconciler in this thread, which lives in a network
//! namespace of its own; and a real database server beside it.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datapath::{Config, Datapath};
use mio::{Events, Poll, Token};
use nix::sched::{CloneFlags, unshare};
use ofproto::Switch;
use ofproto::conn::ConnManager;
use tempfile::TempDir;
use vswitchd::reconcile::{Reconciler, ReconcilerOptions};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const PATIENCE: Duration = Duration::from_secs(20);
const RECONCILER: Token = Token(1 << 20);

/// One switch per process: it keeps its taps by name.
static ONE_SWITCH: Mutex<()> = Mutex::new(());

/// See the module documentation. Everything goes when it is dropped.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    server: Option<Child>,
    switch: Option<Parts>,
    _alone: MutexGuard<'static, ()>,
}

/// What lives from the start of the switch to its end.
struct Parts {
    poll: Poll,
    datapath: Arc<Datapath>,
    switch: Arc<Switch>,
    conn: ConnManager,
    reconciler: Reconciler,
}

impl Bench {
    /// A namespace, a database of Debian's schema, and a switch that has read it.
    pub(crate) fn new() -> Self {
        let mut bench = Self::without_switch();
        bench.start();
        bench.until("configured", |bench| bench.parts().reconciler.first_config_done());
        bench
    }

    /// A namespace and a database.
    pub(crate) fn without_switch() -> Self {
        let alone = ONE_SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests are to be run by root");
        let dir = TempDir::new().expect("a directory");
        let mut bench = Self { dir, server: None, switch: None, _alone: alone };
        bench.sh("ip link set lo up");
        bench.tool("ovsdb-tool", &["create", &bench.path("conf.db"), SCHEMA]);
        bench.start_server();
        bench.vsctl("--no-wait init");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn remote(&self) -> String {
        format!("unix:{}", self.path("db.sock"))
    }

    pub(crate) fn start_server(&mut self) {
        let server = Command::new("ovsdb-server")
            .arg(self.path("conf.db"))
            .arg(format!("--remote=p{}", self.remote()))
            .arg(format!("--unixctl={}", self.path("db.ctl")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(server.expect("ovsdb-server is installed"));
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(self.path("db.sock")).is_err() {
            assert!(Instant::now() < deadline, "ovsdb-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn stop_server(&mut self) {
        let mut server = self.server.take().expect("a server");
        server.kill().expect("killed");
        server.wait().expect("gone");
        std::fs::remove_file(self.path("db.sock")).expect("its socket");
    }

    /// Starts the switch.
    pub(crate) fn start(&mut self) {
        let poll = Poll::new().expect("a poll");
        let registry = || poll.registry().try_clone().expect("a registry");
        let datapath = Arc::new(Datapath::new(Config::default()).expect("a datapath"));
        let switch = Arc::new(Switch::new(Arc::clone(datapath.stamps()), 1));
        datapath.set_owner(switch.clone());
        let conn =
            ConnManager::new(registry(), 1..1000, PathBuf::from(self.dir.path()), Arc::clone(&datapath));
        let options =
            ReconcilerOptions::new(&self.remote(), false, stream::TlsFiles::default()).expect("options");
        let tokens = RECONCILER.0..RECONCILER.0 + 16;
        let reconciler =
            Reconciler::new(options, &datapath, &switch, registry(), tokens).expect("a reconciler");
        self.switch = Some(Parts { poll, datapath, switch, conn, reconciler });
    }

    /// Ends the switch as `exit` does, with or without `--cleanup`.
    pub(crate) fn stop(&mut self, cleanup: bool) {
        if let Some(mut parts) = self.switch.take() {
            parts.reconciler.stop(cleanup, &mut parts.conn);
        }
    }

    fn parts(&self) -> &Parts {
        self.switch.as_ref().expect("a switch")
    }

    pub(crate) fn switch(&self) -> &Switch {
        &self.parts().switch
    }

    pub(crate) fn datapath(&self) -> &Datapath {
        &self.parts().datapath
    }

    /// One turn of the control loop.
    pub(crate) fn turn(&mut self) {
        let Some(parts) = &mut self.switch else { return std::thread::sleep(Duration::from_millis(5)) };
        let mut events = Events::with_capacity(64);
        let wait = parts.reconciler.next_wakeup().map(|at| at.saturating_duration_since(Instant::now()));
        let wait = wait.unwrap_or(Duration::MAX).min(Duration::from_millis(5));
        parts.poll.poll(&mut events, Some(wait)).expect("polled");
        for event in &events {
            if event.token() >= RECONCILER {
                parts.reconciler.ready(event);
            } else {
                parts.conn.ready(event.token());
            }
        }
        parts.reconciler.run(Instant::now(), &mut parts.conn);
        let now_ns = datapath::clock::monotonic_ns();
        parts.conn.run(now_ns);
        parts.switch.run(now_ns);
    }

    /// Lets the switch run until something is so.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.turn();
        }
    }

    /// Lets the switch run until `ovs-vsctl` with these words prints this.
    pub(crate) fn until_vsctl(&mut self, words: &str, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.vsctl(words);
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{words}: {found}, not {expected}");
            (0..10).for_each(|_| self.turn());
        }
    }

    /// Runs a program to its end while the switch runs.
    pub(crate) fn run(&mut self, program: &str, arguments: &[&str]) -> Output {
        let mut child = Command::new(program)
            .args(arguments)
            .env("OVS_RUNDIR", self.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < deadline, "{program} {arguments:?} does not end");
            self.turn();
        }
        child.wait_with_output().expect("output")
    }

    fn tool(&mut self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// `ovs-vsctl`, which waits until the switch has done what it says; its output.
    pub(crate) fn vsctl(&mut self, words: &str) -> String {
        let (stdout, stderr) = self.vsctl_says(words);
        assert_eq!(stderr, "", "ovs-vsctl {words}");
        stdout
    }

    /// The same, with its complaints.
    pub(crate) fn vsctl_says(&mut self, words: &str) -> (String, String) {
        let remote = format!("--db={}", self.remote());
        let arguments: Vec<&str> = std::iter::once(remote.as_str()).chain(words.split_whitespace()).collect();
        let output = self.run("ovs-vsctl", &arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (text(&output.stdout), text(&output.stderr))
    }

    /// A command line without quotes.
    pub(crate) fn sh(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.tool(words[0], &words[1..])
    }

    /// A pair of veths, both up.
    pub(crate) fn veth(&mut self, name: &str, peer: &str) {
        self.sh(&format!("ip link add {name} type veth peer name {peer}"));
        self.sh(&format!("ip link set {name} up"));
        self.sh(&format!("ip link set {peer} up"));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop(true);
        if let Some(mut server) = self.server.take() {
            drop(server.kill().and_then(|()| server.wait()));
        }
    }
}
