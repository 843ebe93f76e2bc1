//! A switch with its database.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::command::{Output, run, try_run};
use crate::netns::Netns;
use crate::wait::{wait_for, wait_until};

/// Whose switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// Ours, under the name `ovs-vswitchd`.
    Turnout,
    /// Debian's Open vSwitch.
    OpenVswitch,
}

/// A running switch and its database, in a directory and a namespace of their own.
#[derive(Debug)]
pub struct Sandbox {
    flavor: Flavor,
    dir: TempDir,
    netns: Netns,
    database: Option<Child>,
    switch: Option<Child>,
}

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

impl Sandbox {
    /// Starts our switch.
    pub fn new() -> Self {
        Self::of(Flavor::Turnout)
    }

    /// Starts a switch of this flavor.
    pub fn of(flavor: Flavor) -> Self {
        let mut sandbox = Self::bare(flavor);
        sandbox.start_database();
        sandbox.start_switch();
        sandbox
    }

    /// Makes the directory, the database file and the namespace, and starts nothing.
    pub fn bare(flavor: Flavor) -> Self {
        let dir = tempfile::Builder::new().prefix("turnout-e2e-").tempdir().expect("a directory");
        let netns = Netns::new("sw");
        let sandbox = Self { flavor, dir, netns, database: None, switch: None };
        symlink(sandbox.binary(), sandbox.path("ovs-vswitchd")).expect("a link to the switch");
        run(Command::new("ovsdb-tool").args(["create", &sandbox.str_path("conf.db"), SCHEMA]));
        sandbox
    }

    fn binary(&self) -> PathBuf {
        let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/turnoutd");
        match self.flavor {
            Flavor::OpenVswitch => "/usr/lib/openvswitch-switch/ovs-vswitchd".into(),
            Flavor::Turnout => env::var_os("TURNOUTD").map_or_else(ours, PathBuf::from),
        }
    }

    /// A file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn str_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The namespace of the switch.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// A program in the switch's namespace, with the environment that makes tools find this switch.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.netns.command(program);
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.dir.path());
        }
        command.env("OVS_SYSLOG_METHOD", "null").current_dir(self.dir.path());
        command
    }

    /// Starts `ovsdb-server`.
    pub fn start_database(&mut self) {
        let remote = format!("--remote=punix:{}", self.str_path("db.sock"));
        let mut command = self.command("ovsdb-server");
        command.args([
            "--no-chdir",
            "--pidfile",
            "--log-file",
            "-vconsole:off",
            &remote,
            &self.str_path("conf.db"),
        ]);
        self.database = Some(command.spawn().expect("ovsdb-server"));
        wait_until("ovsdb-server", || {
            try_run(self.command("ovs-vsctl").args(["--no-wait", "--timeout=5", "init"])).code == 0
        });
    }

    /// Starts the switch in the foreground and waits until it has taken its first configuration.
    pub fn start_switch(&mut self) {
        let mut command = self.command(&self.str_path("ovs-vswitchd"));
        command.args([
            "--disable-system",
            "--no-chdir",
            "--pidfile",
            "--log-file",
            "-vconsole:off",
            "-vfile:info",
        ]);
        self.switch = Some(command.stdin(Stdio::null()).spawn().expect("the switch"));
        wait_until("the switch", || self.try_appctl(&["version"]).code == 0);
        self.vsctl(&["--timeout=20", "init"]);
    }

    /// Kills the switch with this signal and waits until it is gone.
    pub fn stop_switch(&mut self, signal: Signal) {
        stop(self.switch.take(), signal);
    }

    /// Kills the database with this signal and waits until it is gone.
    pub fn stop_database(&mut self, signal: Signal) {
        stop(self.database.take(), signal);
    }

    /// The switch's process id, as its pidfile has it.
    pub fn pid(&self) -> Option<Pid> {
        fs::read_to_string(self.path("ovs-vswitchd.pid")).ok()?.trim().parse().ok().map(Pid::from_raw)
    }

    /// Runs `ovs-vsctl`, which must succeed.
    pub fn vsctl(&self, args: &[&str]) -> String {
        run(self.command("ovs-vsctl").arg("--timeout=20").args(args))
    }

    /// Runs `ovs-vsctl`.
    pub fn try_vsctl(&self, args: &[&str]) -> Output {
        try_run(self.command("ovs-vsctl").arg("--timeout=20").args(args))
    }

    /// Runs `ovs-ofctl`, which must succeed.
    pub fn ofctl(&self, args: &[&str]) -> String {
        run(self.command("ovs-ofctl").args(args))
    }

    /// Runs `ovs-ofctl`.
    pub fn try_ofctl(&self, args: &[&str]) -> Output {
        try_run(self.command("ovs-ofctl").args(args))
    }

    /// Runs `ovs-appctl`, which must succeed.
    pub fn appctl(&self, args: &[&str]) -> String {
        run(self.command("ovs-appctl").args(args))
    }

    /// Runs `ovs-appctl`.
    pub fn try_appctl(&self, args: &[&str]) -> Output {
        try_run(self.command("ovs-appctl").args(args))
    }

    /// A bridge in the userspace datapath with these system ports, which must exist; they get the OpenFlow port numbers 1, 2, ...
    /// (Ports added in one transaction would be numbered in no particular order.)
    pub fn add_bridge(&self, name: &str, ports: &[&str]) {
        self.vsctl(&["add-br", name, "--", "set", "bridge", name, "datapath_type=netdev"]);
        for (n, port) in ports.iter().enumerate() {
            let request = format!("ofport_request={}", n + 1);
            self.vsctl(&["add-port", name, port, "--", "set", "interface", port, &request]);
        }
    }

    /// The switch's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("ovs-vswitchd.log")).unwrap_or_default()
    }

    /// Waits until the log has a line with this text, and returns it.
    pub fn wait_for_log(&self, text: &str) -> String {
        let find = || self.log().lines().find(|line| line.contains(text)).map(str::to_owned);
        wait_for(&format!("{text:?} in the log"), find)
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(30).collect();
            let text: Vec<_> = tail.into_iter().rev().collect();
            let _ = std::io::Write::write_all(&mut std::io::stderr(), (text.join("\n") + "\n").as_bytes());
        }
        // A switch that was started detached is known by its pidfile only.
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        self.stop_switch(Signal::SIGKILL);
        self.stop_database(Signal::SIGKILL);
    }
}

fn stop(child: Option<Child>, signal: Signal) {
    if let Some(mut child) = child {
        let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        let _ = child.wait();
    }
}
