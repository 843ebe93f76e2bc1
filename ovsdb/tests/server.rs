//! The client against the real `ovsdb-server`, on Unix sockets in directories of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use ovsdb::client::Client;
use ovsdb::openvswitch::{self, Database};
use ovsdb::session::{Lock, Session};
use ovsdb::transaction::{Outcome, Transaction};
use ovsdb::value::{Atom, Datum};
use tempfile::TempDir;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A database server with its directory; both go when it is dropped.
struct Server {
    dir: TempDir,
    child: Option<Child>,
}

impl Server {
    fn start(schema: &Path) -> Self {
        let dir = TempDir::new().unwrap();
        let database = dir.path().join("conf.db");
        let made = Command::new("ovsdb-tool").arg("create").arg(&database).arg(schema).status().unwrap();
        assert!(made.success());
        let mut server = Self { dir, child: None };
        server.run();
        server.vsctl(&["--no-wait", "init"]);
        server
    }

    fn remote(&self) -> String {
        format!("unix:{}/db.sock", self.dir.path().display())
    }

    fn run(&mut self) {
        let path = self.dir.path();
        self.child = Some(
            Command::new("ovsdb-server")
                .arg(path.join("conf.db"))
                .arg(format!("--remote=p{}", self.remote()))
                .arg(format!("--unixctl={}/ctl", path.display()))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        while !path.join("db.sock").exists() {
            assert!(Instant::now() < deadline, "ovsdb-server does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let _ = std::fs::remove_file(self.dir.path().join("db.sock"));
    }

    fn vsctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("ovs-vsctl")
            .arg(format!("--db={}", self.remote()))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client with a loop of its own.
struct Peer {
    poll: Poll,
    client: Client,
}

impl Peer {
    fn new(server: &Server) -> Self {
        let session = Session::new(openvswitch::DATABASE, openvswitch::LOCK, openvswitch::wanted());
        let (tls, now) = (stream::TlsFiles::default(), Instant::now());
        let client = Client::new(&server.remote(), server.dir.path(), tls, session, Token(0), now).unwrap();
        Self { poll: Poll::new().unwrap(), client }
    }

    fn turn(&mut self) {
        let mut events = Events::with_capacity(8);
        let now = Instant::now();
        let wakeup = self.client.next_wakeup(now).map(|at| at.saturating_duration_since(now));
        let timeout = wakeup.unwrap_or(Duration::MAX).min(Duration::from_millis(20));
        self.poll.poll(&mut events, Some(timeout)).unwrap();
        if !events.is_empty() {
            self.client.ready();
        }
        self.client.run(self.poll.registry(), Instant::now());
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Client) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done(&mut self.client) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.turn();
        }
    }

    fn database(&self) -> Database {
        let (database, errors) = Database::read(self.client.session().snapshot().unwrap());
        assert_eq!(errors, []);
        database
    }

    fn live(server: &Server) -> Self {
        let mut peer = Self::new(server);
        peer.until("live with the lock", |client| {
            client.session().is_live() && client.session().lock() == Lock::Held
        });
        peer
    }

    fn commit(&mut self, transaction: &Transaction) -> Outcome {
        let id = self.client.session_mut().transact(transaction);
        let mut outcome = None;
        self.until("outcome", |client| {
            outcome = client.session_mut().take_outcomes().into_iter().find(|(of, _)| *of == id);
            outcome.is_some()
        });
        outcome.unwrap().1
    }
}

fn set_cur_cfg(peer: &Peer, number: i64) -> Transaction {
    let mut transaction = Transaction::default();
    let root = peer.database().root.unwrap().uuid;
    transaction.set("Open_vSwitch", root, "cur_cfg", &Datum::Set([Atom::Integer(number)].into()));
    transaction
}

#[test]
fn changes_by_others_arrive() {
    let server = Server::start(Path::new(SCHEMA));
    let mut peer = Peer::live(&server);
    server.vsctl(&[
        "--no-wait",
        "add-br",
        "br0",
        "--",
        "add-port",
        "br0",
        "p0",
        "tag=5",
        "--",
        "set",
        "Bridge",
        "br0",
        "other_config:a=b",
    ]);
    peer.until("the bridge", |client| client.session().snapshot().unwrap().rows("Bridge").len() == 1);
    let tag = |peer: &Peer| {
        let ports = peer.database().ports;
        ports.into_values().find(|port| port.name == "p0").unwrap().tag
    };
    assert_eq!(tag(&peer), Some(5));
    // An optional column's difference is its new value; a set's and a map's what comes and goes.
    for (arguments, expected) in
        [(["set", "Port", "p0", "tag=7"], Some(7)), (["clear", "Port", "p0", "tag"], None)]
    {
        let before = peer.client.session().seqno();
        server.vsctl(&[&["--no-wait"], &arguments[..]].concat());
        peer.until("the change", |client| client.session().seqno() > before);
        assert_eq!(tag(&peer), expected);
    }
    let before = peer.client.session().seqno();
    server.vsctl(&[
        "--no-wait",
        "set",
        "Bridge",
        "br0",
        "other_config:a=c",
        "other_config:d=e",
        "--",
        "set",
        "Port",
        "p0",
        "trunks=1,2",
    ]);
    peer.until("the change", |client| client.session().seqno() > before);
    let before = peer.client.session().seqno();
    server.vsctl(&[
        "--no-wait",
        "remove",
        "Bridge",
        "br0",
        "other_config",
        "d",
        "--",
        "set",
        "Port",
        "p0",
        "trunks=2,3",
    ]);
    peer.until("the change", |client| client.session().seqno() > before);
    let database = peer.database();
    let bridge = database.bridges.values().next().unwrap();
    assert_eq!(bridge.other_config, [("a".to_owned(), "c".to_owned())].into());
    assert!(database.ports.values().any(|port| port.trunks == [2, 3]));
}

#[test]
fn our_writes_arrive_and_do_not_alert_us() {
    let server = Server::start(Path::new(SCHEMA));
    let mut peer = Peer::live(&server);
    let before = peer.client.session().seqno();
    let transaction = set_cur_cfg(&peer, 42);
    assert_eq!(peer.commit(&transaction), Outcome::Committed);
    assert_eq!(server.vsctl(&["get", "Open_vSwitch", ".", "cur_cfg"]), "42");
    let snapshot = peer.client.session().snapshot().unwrap();
    let root = snapshot.rows("Open_vSwitch")[0];
    assert_eq!(
        root.cell("cur_cfg"),
        Some(&Datum::Set([Atom::Integer(42)].into())),
        "seen before the outcome"
    );
    assert_eq!(peer.client.session().seqno(), before);
}

#[test]
fn a_refused_transaction_says_why() {
    let server = Server::start(Path::new(SCHEMA));
    let mut peer = Peer::live(&server);
    let mut transaction = set_cur_cfg(&peer, 1);
    let root = peer.database().root.unwrap().uuid;
    transaction.set("Open_vSwitch", root, "no_such_column", &Datum::Set([Atom::Integer(1)].into()));
    let Outcome::Refused(why) = peer.commit(&transaction) else { panic!("not refused") };
    assert!(why.contains("no_such_column"), "{why}");
    assert_eq!(server.vsctl(&["get", "Open_vSwitch", ".", "cur_cfg"]), "0");
}

#[test]
fn the_lock_passes_on_when_its_holder_goes() {
    let server = Server::start(Path::new(SCHEMA));
    let first = Peer::live(&server);
    let mut second = Peer::new(&server);
    second.until("contended", |client| {
        client.session().lock() == Lock::Contended && client.session().is_live()
    });
    let transaction = set_cur_cfg(&second, 1);
    assert!(matches!(second.commit(&transaction), Outcome::Refused(_)));
    drop(first);
    second.until("the lock", |client| client.session().lock() == Lock::Held);
}

#[test]
fn the_servers_restart_is_survived() {
    let mut server = Server::start(Path::new(SCHEMA));
    let mut peer = Peer::live(&server);
    server.vsctl(&["--no-wait", "add-br", "br0"]);
    peer.until("the bridge", |client| client.session().snapshot().unwrap().rows("Bridge").len() == 1);
    server.stop();
    peer.until("down", |client| !client.is_connected());
    assert_eq!(peer.database().bridges.len(), 1, "the last snapshot serves");
    server.run();
    server.vsctl(&["--no-wait", "add-br", "br1"]);
    peer.until("live again", |client| client.session().is_live() && client.session().lock() == Lock::Held);
    assert_eq!(peer.database().bridges.len(), 2);
}

#[test]
fn an_older_schema_lacks_columns_and_tables() {
    let text = std::fs::read_to_string(SCHEMA).unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    schema.as_object_mut().unwrap().remove("cksum");
    schema["version"] = "7.0.0".into();
    let tables = &mut schema["tables"];
    tables["Interface"]["columns"].as_object_mut().unwrap().remove("mtu_request");
    tables["Open_vSwitch"]["columns"].as_object_mut().unwrap().remove("dpdk_version");
    tables["Bridge"]["columns"].as_object_mut().unwrap().remove("flow_tables");
    tables.as_object_mut().unwrap().remove("Flow_Table");
    let dir = TempDir::new().unwrap();
    let older = dir.path().join("older.ovsschema");
    std::fs::write(&older, schema.to_string()).unwrap();

    let server = Server::start(&older);
    let mut peer = Peer::live(&server);
    assert!(!peer.client.session().snapshot().unwrap().has("Open_vSwitch", "dpdk_version"));
    assert!(peer.database().root.is_some());
    let transaction = set_cur_cfg(&peer, 3);
    assert_eq!(peer.commit(&transaction), Outcome::Committed);
}
