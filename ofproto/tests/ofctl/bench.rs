//! A bridge with two memory ports on a datapath of its own, and a control thread that serves its OpenFlow connections.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datapath::port::memory::Wires;
use datapath::port::{PortKind, PortSpec};
use datapath::{Config, Datapath};
use mio::{Events, Poll, Token, Waker};
use ofproto::config::{Attachment, BridgeConfig, FailMode, InterfaceConfig, PortConfig};
use ofproto::conn::ConnManager;
use ofproto::port::OfPort;
use ofproto::{Bridge, Switch};

/// Token of the waker; connections have those above.
const WAKER: Token = Token(0);

type Order = Box<dyn FnOnce(&mut ConnManager, u64) + Send>;

/// See the module documentation. Everything goes when it is dropped.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) wires: [Wires; 2],
    orders: Sender<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Bench {
    /// A bridge `br0`, in fail mode secure, with ports `p1` and `p2`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let datapath = Arc::new(Datapath::new(Config::default()).expect("a datapath"));
        let switch = Arc::new(Switch::new(Arc::clone(datapath.stamps()), 1));
        switch.set_datapath(&datapath);
        datapath.set_owner(Arc::clone(&switch) as Arc<dyn datapath::owner::Owner>);
        let config = BridgeConfig {
            datapath_id: 1,
            hw_addr: [0, 0, 0, 0, 0, 1],
            fail_mode: FailMode::Secure,
            ..BridgeConfig::default()
        };
        let bridge = switch.add_bridge("br0", config).expect("a bridge");
        let wires = [Wires::default(), Wires::default()];
        add_port(&bridge, &datapath, "br0", PortKind::Null, [0, 0, 0, 0, 0, 1], true);
        for (n, wires) in (5u8..).zip(&wires) {
            let name = format!("p{}", n - 4);
            let kind = PortKind::Memory(wires.clone());
            add_port(&bridge, &datapath, &name, kind, [0xaa, 0x55, 0xaa, 0x55, 0, n], false);
        }
        let poll = Poll::new().expect("a poll");
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("a waker"));
        let registry = poll.registry().try_clone().expect("a registry");
        let mut manager = ConnManager::new(registry, 1..1000, dir.path().to_owned(), datapath);
        let wake = Arc::clone(&waker);
        switch.set_waker(move || wake.wake().expect("waking"));
        manager.add_bridge(&bridge, 0);
        let (orders, receiver) = channel();
        let thread = std::thread::spawn(move || serve(poll, manager, &switch, &receiver));
        Self { dir, bridge, wires, orders, waker, thread: Some(thread) }
    }

    /// Has the control thread do something.
    pub(crate) fn order(&self, order: impl FnOnce(&mut ConnManager, u64) + Send + 'static) {
        let (done, wait) = channel();
        let order: Order = Box::new(move |manager, now_ns| {
            order(manager, now_ns);
            let _ = done.send(());
        });
        self.orders.send(order).expect("the control thread lives");
        self.waker.wake().expect("waking");
        wait.recv_timeout(Duration::from_secs(5)).expect("the control thread works");
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `ovs-ofctl` with these words, its output and errors together.
    pub(crate) fn ofctl(&self, words: &str) -> String {
        self.ofctl_with(words, "")
    }

    /// The same, with this on its standard input.
    pub(crate) fn ofctl_with(&self, words: &str, stdin: &str) -> String {
        use std::io::Write;
        let mut child = Command::new("ovs-ofctl")
            .args(["--timeout=20"])
            .args(words.split_whitespace())
            .env("OVS_RUNDIR", self.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("ovs-ofctl is installed");
        child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()).expect("writing");
        let output = child.wait_with_output().expect("output");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let (orders, _) = channel();
        drop(std::mem::replace(&mut self.orders, orders));
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn add_port(bridge: &Bridge, datapath: &Datapath, name: &str, kind: PortKind, hw_addr: [u8; 6], local: bool) {
    let port = datapath.add_port(PortSpec::new(name, kind)).expect("a port");
    let interface = InterfaceConfig {
        name: name.into(),
        attachment: Attachment::Datapath(port.number),
        local,
        ofport_request: None,
        hw_addr,
    };
    let number = bridge.add_interface(&interface, 0).expect("a number");
    bridge.set_port(PortConfig { name: name.into(), members: vec![number], ..PortConfig::default() });
    assert!(number == OfPort::LOCAL || !local);
}

fn serve(mut poll: Poll, mut manager: ConnManager, switch: &Switch, orders: &Receiver<Order>) {
    let start = Instant::now();
    let now_ns = || start.elapsed().as_nanos() as u64;
    let mut events = Events::with_capacity(64);
    loop {
        let next = manager.next_wakeup().unwrap_or(u64::MAX).min(switch.run(now_ns()));
        let wait = Duration::from_nanos(next.saturating_sub(now_ns())).min(Duration::from_secs(1));
        match poll.poll(&mut events, Some(wait)) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => panic!("poll: {e}"),
            _ => {}
        }
        if let ControlFlow::Break(()) = obey(&mut manager, orders, now_ns()) {
            return;
        }
        events.iter().filter(|event| event.token() != WAKER).for_each(|event| manager.ready(event.token()));
        manager.run(now_ns());
    }
}

fn obey(manager: &mut ConnManager, orders: &Receiver<Order>, now_ns: u64) -> ControlFlow<()> {
    loop {
        match orders.try_recv() {
            Ok(order) => order(manager, now_ns),
            Err(std::sync::mpsc::TryRecvError::Empty) => return ControlFlow::Continue(()),
            Err(std::sync::mpsc::TryRecvError::Disconnected) => return ControlFlow::Break(()),
        }
    }
}
