//! The client against the real `ovsdb-server`, on Unix sockets in directories of its own.

use std::os::unix::net::UnixStream;
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
        self.run_with(&[]);
    }

    fn run_with(&mut self, options: &[String]) {
        let path = self.dir.path();
        self.child = Some(
            Command::new("ovsdb-server")
                .arg(path.join("conf.db"))
                .arg(format!("--remote=p{}", self.remote()))
                .arg(format!("--unixctl={}/ctl", path.display()))
                .args(options)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        // A socket that is there may not be listened to yet.
        while ["db.sock", "ctl"].iter().any(|name| UnixStream::connect(path.join(name)).is_err()) {
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

    /// Tells the running server something.
    fn appctl(&self, words: &[&str]) {
        let target = format!("--target={}/ctl", self.dir.path().display());
        let output = Command::new("ovs-appctl").arg(target).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Has it listen at a port of its choice; returns the port.
    fn listen(&self, kind: &str) -> String {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.appctl(&["ovsdb-server/add-remote", &format!("{kind}:{free}:127.0.0.1")]);
        free.to_string()
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
        Self::at(server, &server.remote(), stream::TlsFiles::default())
    }

    fn at(server: &Server, remote: &str, tls: stream::TlsFiles) -> Self {
        let session = Session::new(openvswitch::DATABASE, openvswitch::LOCK, openvswitch::wanted());
        let client = Client::new(remote, server.dir.path(), tls, session, Token(0), Instant::now()).unwrap();
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
        Self::new(server).until_live()
    }

    fn until_live(mut self) -> Self {
        let peer = &mut self;
        peer.until("live with the lock", |client| {
            client.session().is_live() && client.session().lock() == Lock::Held
        });
        self
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

#[test]
fn a_server_without_conditional_monitors_will_do() {
    let server = Server::start(Path::new(SCHEMA));
    server.appctl(&["ovsdb-server/disable-monitor-cond"]);
    let mut peer = Peer::live(&server);
    server.vsctl(&["--no-wait", "add-br", "br0"]);
    peer.until("the bridge", |client| client.session().snapshot().unwrap().rows("Bridge").len() == 1);
    let before = peer.client.session().seqno();
    server.vsctl(&["--no-wait", "set", "Bridge", "br0", "fail_mode=secure"]);
    peer.until("the change", |client| client.session().seqno() > before);
    assert_eq!(peer.database().bridges.values().next().unwrap().fail_mode.as_deref(), Some("secure"));
    let transaction = set_cur_cfg(&peer, 3);
    assert_eq!(peer.commit(&transaction), Outcome::Committed);
}

#[test]
fn tcp_serves_as_well() {
    let server = Server::start(Path::new(SCHEMA));
    let port = server.listen("ptcp");
    let peer = Peer::at(&server, &format!("tcp:127.0.0.1:{port}"), stream::TlsFiles::default());
    assert!(peer.until_live().database().root.is_some());
}

#[test]
fn of_several_remotes_one_that_answers_is_taken() {
    let server = Server::start(Path::new(SCHEMA));
    let remotes = format!("unix:{}/nobody,{}", server.dir.path().display(), server.remote());
    let peer = Peer::at(&server, &remotes, stream::TlsFiles::default());
    assert!(peer.until_live().database().root.is_some());
}

/// Runs Open vSwitch's own maker of certificates.
fn pki(dir: &Path, words: &[&str]) {
    let path = |name: &str| dir.join(name).display().to_string();
    let options = [format!("--dir={}", path("pki")), format!("--log={}", path("log")), "--unique".to_owned()];
    let output = Command::new("ovs-pki").args(options).args(words).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn tls_serves_as_well() {
    let mut server = Server::start(Path::new(SCHEMA));
    server.stop();
    let dir = server.dir.path().to_owned();
    pki(&dir, &["init"]);
    pki(&dir, &["req+sign", "sc", "switch"]);
    pki(&dir, &["req+sign", "db", "controller"]);
    let option = |name: &str, file: &str| format!("--{name}={}", dir.join(file).display());
    server.run_with(&[
        option("private-key", "db-privkey.pem"),
        option("certificate", "db-cert.pem"),
        option("ca-cert", "pki/switchca/cacert.pem"),
    ]);
    let port = server.listen("pssl");
    let tls = stream::TlsFiles {
        private_key: dir.join("sc-privkey.pem"),
        certificate: dir.join("sc-cert.pem"),
        ca_cert: dir.join("pki/controllerca/cacert.pem"),
        bootstrap_ca_cert: false,
    };
    let peer = Peer::at(&server, &format!("ssl:127.0.0.1:{port}"), tls);
    assert!(peer.until_live().database().root.is_some());
}
