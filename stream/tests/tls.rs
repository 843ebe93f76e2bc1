//! TLS between two of our streams, with certificates that `openssl` makes.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use stream::{Listener, Stream, Target, TlsFiles};

/// Authorities and certificates in a directory of their own.
struct Keys {
    dir: tempfile::TempDir,
}

fn openssl(dir: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split_whitespace()).current_dir(dir).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for ca in ["ca", "stranger"] {
            openssl(
                dir.path(),
                &format!(
                    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"
                ),
            );
        }
        for name in ["switch", "controller"] {
            let path = dir.path();
            openssl(
                path,
                &format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"),
            );
            std::fs::write(path.join("ext"), "basicConstraints=CA:FALSE\n").expect("a file");
            openssl(
                path,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
                ),
            );
        }
        Self { dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn files(&self, name: &str, ca: &str) -> TlsFiles {
        TlsFiles {
            private_key: self.path(&format!("{name}.key")),
            certificate: self.path(&format!("{name}.pem")),
            ca_cert: self.path(ca),
            bootstrap_ca_cert: false,
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

fn target(name: &str) -> Target {
    Target::parse(name, 6653, Path::new("/")).expect("a name")
}

/// Waits until `step` gives something else than "not yet".
fn until<T>(mut step: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        match step() {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        if start.elapsed() > Duration::from_secs(10) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Connects one to the other; both ends, or why one of them gave up.
fn connect(client: &TlsFiles, server: &TlsFiles) -> io::Result<(Stream, Stream)> {
    let port = free_port();
    let mut listener = Listener::bind(&target(&format!("pssl:{port}:127.0.0.1")), 0)?;
    let mut out = Stream::connect(&target(&format!("ssl:127.0.0.1:{port}")), client)?;
    let (mut inside, name) = until(|| listener.accept(server).map(Some))?;
    assert!(name.is_some_and(|name| name.starts_with("ssl:127.0.0.1:")));
    let (mut here, mut there) = (false, false);
    until(|| {
        here = here || out.finish_connect()?;
        there = there || inside.finish_connect()?;
        Ok((here && there).then_some(()))
    })?;
    Ok((out, inside))
}

#[test]
fn both_sides_are_checked_and_bytes_pass() {
    let keys = Keys::new();
    let (mut out, mut inside) =
        connect(&keys.files("switch", "ca.pem"), &keys.files("controller", "ca.pem")).expect("a connection");
    let sent: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
    let (mut done, mut got, mut buf) = (0, Vec::new(), vec![0; 5000]);
    until(|| {
        if done < sent.len() {
            done += out
                .write(&sent[done..])
                .or_else(|e| if e.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(e) })?;
        } else {
            let _ = out.flush();
        }
        loop {
            match inside.read(&mut buf) {
                Ok(n) => got.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok((got.len() == sent.len()).then_some(()))
    })
    .expect("all of it passes");
    assert_eq!(got, sent);
    drop(out);
    assert_eq!(until(|| inside.read(&mut buf).map(Some)).unwrap_or(0), 0, "the end");
}

#[test]
fn strangers_are_refused() {
    let keys = Keys::new();
    let good = keys.files("controller", "ca.pem");
    let client_distrusts = connect(&keys.files("switch", "stranger.pem"), &good);
    assert!(client_distrusts.is_err());
    let server_distrusts =
        connect(&keys.files("switch", "ca.pem"), &keys.files("controller", "stranger.pem"));
    let Ok((mut out, _inside)) = server_distrusts else { return };
    // In TLS 1.3 the client hears of it only after its own handshake is complete.
    let mut buf = [0; 10];
    assert!(until(|| out.read(&mut buf).map(Some)).is_err());
}

#[test]
fn the_authority_is_taken_from_the_first_peer() {
    let keys = Keys::new();
    let chain = std::fs::read_to_string(keys.path("controller.pem")).expect("a certificate")
        + &std::fs::read_to_string(keys.path("ca.pem")).expect("a certificate");
    std::fs::write(keys.path("chain.pem"), chain).expect("a file");
    let server = TlsFiles { certificate: keys.path("chain.pem"), ..keys.files("controller", "ca.pem") };
    let client = TlsFiles { bootstrap_ca_cert: true, ..keys.files("switch", "new-ca.pem") };
    let first = connect(&client, &server);
    assert!(first.is_err(), "the first connection is closed");
    let taken = std::fs::read_to_string(keys.path("new-ca.pem")).expect("the authority was written");
    let known = std::fs::read_to_string(keys.path("ca.pem")).expect("a certificate");
    let digits = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(digits(&taken), digits(&known));
    connect(&client, &server).expect("the second one stands");
}
