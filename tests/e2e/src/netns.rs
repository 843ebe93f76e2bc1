//! Network namespaces, and hosts in them.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::command::{run, try_run};

/// A network namespace with a name of its own; deleted, with all devices in it, when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Netns {
    /// Makes one. `hint` shows in its name.
    pub fn new(hint: &str) -> Self {
        let name = format!("t{}-{}-{hint}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name]));
        let netns = Self { name };
        netns.ip("link set lo up");
        netns
    }

    /// Its name, for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program in this namespace; `ip netns exec` becomes it, so its process id is the child's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command line (words split at spaces) that must succeed; its output.
    pub fn sh(&self, line: &str) -> String {
        run(self.command("sh").args(["-c", line]))
    }

    /// Whether a command line succeeds.
    pub fn succeeds(&self, line: &str) -> bool {
        try_run(self.command("sh").args(["-c", line])).code == 0
    }

    /// Runs `ip` with these words.
    pub fn ip(&self, words: &str) -> String {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split_whitespace()))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        try_run(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

/// A host: a namespace with a veth `eth0`, whose other end is in a switch's namespace.
#[derive(Debug)]
pub struct Host {
    netns: Netns,
    address: String,
}

impl Host {
    /// Makes a host whose veth ends as `port` in `switch`, with an address such as `10.0.0.1/24`. All offloads are as the kernel
    /// sets them.
    pub fn new(switch: &Netns, port: &str, address: &str) -> Self {
        let netns = Netns::new(port);
        switch.ip(&format!("link add {port} type veth peer name eth0 netns {}", netns.name()));
        switch.ip(&format!("link set {port} up"));
        netns.ip(&format!("addr add {address} dev eth0"));
        netns.ip("link set eth0 up");
        let address = address.split('/').next().unwrap_or(address).to_owned();
        Self { netns, address }
    }

    /// A host that sends nothing unless told to: no IPv6, MACs that are chosen, and hosts 1 to 9 as known neighbours. Host `n`
    /// is 10.0.0.n with MAC 02:00:00:00:00:0n; the switch's end of its veth has MAC 02:00:00:00:01:0n.
    pub fn quiet(switch: &Netns, port: &str, n: u8) -> Self {
        let netns = Netns::new(port);
        netns.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
        switch.ip(&format!(
            "link add {port} address 02:00:00:00:01:0{n} type veth peer name eth0 address 02:00:00:00:00:0{n} netns {}",
            netns.name()
        ));
        netns.ip(&format!("addr add 10.0.0.{n}/24 dev eth0"));
        netns.ip("link set eth0 up");
        switch.ip(&format!("link set {port} up"));
        for other in (1..10).filter(|other| *other != n) {
            netns.ip(&format!("neigh add 10.0.0.{other} lladdr 02:00:00:00:00:0{other} dev eth0"));
        }
        Self { netns, address: format!("10.0.0.{n}") }
    }

    /// Its namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether one ping to `address` is answered within a second.
    pub fn pings(&self, address: &str) -> bool {
        self.netns.succeeds(&format!("ping -c 1 -W 1 {address}"))
    }

    /// The MAC of `eth0`.
    pub fn mac(&self) -> String {
        self.netns.sh("cat /sys/class/net/eth0/address").trim().to_owned()
    }
}
