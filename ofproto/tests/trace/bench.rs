//! Two bridges that are joined by a patch, as `record.sh` sets them up, driven by `ovs-ofctl` and `trace`.

use std::ops::ControlFlow;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datapath::action::PortNo;
use datapath::{Config, Datapath};
use mio::{Events, Poll};
use ofproto::config::{Attachment, BridgeConfig, FailMode, InterfaceConfig, PortConfig, VlanMode};
use ofproto::conn::ConnManager;
use ofproto::port::OfPort;
use ofproto::{Bridge, Switch};

/// See the module documentation.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    switch: Arc<Switch>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let datapath = Arc::new(Datapath::new(Config::default()).expect("a datapath"));
        let switch = Arc::new(Switch::new(Arc::clone(datapath.stamps()), 1));
        switch.set_datapath(&datapath);
        let bridges = [add_bridge(&switch, 0), add_bridge(&switch, 1)];
        for n in 1..=4 {
            add_port(&bridges[0], &format!("p{n}"), n, Attachment::Datapath(PortNo(n)));
        }
        add_port(&bridges[0], "pa", 10, Attachment::Patch("pb".into()));
        add_port(&bridges[1], "pb", 20, Attachment::Patch("pa".into()));
        for n in 21..=22 {
            add_port(&bridges[1], &format!("q{n}"), n, Attachment::Datapath(PortNo(n)));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let poll = Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("a registry");
        let mut manager = ConnManager::new(registry, 1..1000, dir.path().to_owned(), datapath);
        bridges.iter().for_each(|bridge| manager.add_bridge(bridge, 0));
        let thread = std::thread::spawn({
            let (switch, stop) = (Arc::clone(&switch), Arc::clone(&stop));
            move || serve(poll, manager, &switch, &stop)
        });
        Self { dir, switch, stop, thread: Some(thread) }
    }

    /// Does what a line of the scenario says, and returns what is answered.
    pub(crate) fn obey(&self, order: &str) -> String {
        let words: Vec<&str> = order.split_whitespace().collect();
        match words[..] {
            ["flow", version, bridge, flow] => self.ofctl(&[version, "add-flow", bridge, flow]),
            ["del", bridge] => self.ofctl(&["del-flows", bridge]),
            ["port", bridge, port, ref settings @ ..] => self.set_port(bridge, port, settings),
            ["trace", ref args @ ..] => {
                let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
                self.switch.trace(&args, 1_000_000_000).unwrap_or_else(|error| error + "\n")
            }
            _ => panic!("{order}"),
        }
    }

    fn ofctl(&self, args: &[&str]) -> String {
        let mut command = Command::new("ovs-ofctl");
        let output =
            command.args(args).env("OVS_RUNDIR", self.dir.path()).output().expect("ovs-ofctl is installed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn set_port(&self, bridge: &str, name: &str, settings: &[&str]) -> String {
        let bridge = self.switch.bridge(bridge).expect("a bridge");
        let members = vec![bridge.port_by_name(name).expect("a port").number];
        let mut config = PortConfig { name: name.into(), members, ..PortConfig::default() };
        for (key, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
            match key {
                "vlan_mode" => config.vlan_mode = vlan_mode(value),
                "tag" => config.tag = value.parse().expect("a tag"),
                "trunks" => config.trunks = value.split(',').map(|vid| vid.parse().expect("a tag")).collect(),
                _ => panic!("{key}"),
            }
        }
        bridge.set_port(config);
        String::new()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn vlan_mode(name: &str) -> VlanMode {
    match name {
        "access" => VlanMode::Access,
        "native-tagged" => VlanMode::NativeTagged,
        "native-untagged" => VlanMode::NativeUntagged,
        "dot1q-tunnel" => VlanMode::Dot1qTunnel,
        _ => VlanMode::Trunk,
    }
}

fn add_bridge(switch: &Switch, n: u32) -> Arc<Bridge> {
    let name = format!("br{n}");
    let config = BridgeConfig { datapath_id: 1, fail_mode: FailMode::Secure, ..BridgeConfig::default() };
    let bridge = switch.add_bridge(&name, config).expect("a bridge");
    add_port(&bridge, &name, OfPort::LOCAL.0, Attachment::Datapath(PortNo(100 + n)));
    bridge
}

fn add_port(bridge: &Bridge, name: &str, number: u32, attachment: Attachment) {
    let local = number == OfPort::LOCAL.0;
    let ofport_request = Some(OfPort(number));
    let interface = InterfaceConfig { name: name.into(), attachment, local, ofport_request, hw_addr: [0; 6] };
    let number = bridge.add_interface(&interface, 0).expect("a number");
    bridge.set_port(PortConfig { name: name.into(), members: vec![number], ..PortConfig::default() });
}

fn serve(mut poll: Poll, mut manager: ConnManager, switch: &Switch, stop: &AtomicBool) {
    let start = Instant::now();
    let mut events = Events::with_capacity(64);
    while !stop.load(Ordering::Relaxed) {
        let now_ns = start.elapsed().as_nanos() as u64;
        switch.run(now_ns);
        if let ControlFlow::Break(()) = step(&mut poll, &mut events) {
            return;
        }
        events.iter().for_each(|event| manager.ready(event.token()));
        manager.run(start.elapsed().as_nanos() as u64);
    }
}

fn step(poll: &mut Poll, events: &mut Events) -> ControlFlow<()> {
    match poll.poll(events, Some(Duration::from_millis(1))) {
        Err(error) if error.kind() != std::io::ErrorKind::Interrupted => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}
