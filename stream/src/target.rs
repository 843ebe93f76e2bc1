//! Names of connections: `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`, `unix:FILE`, and the passive forms `ptcp:[PORT][:HOST]`,
//! `pssl:[PORT][:HOST]`, `punix:FILE`, as `ovs-vsctl` takes them.
//!
//! A host is an address, an IPv6 one in brackets with an optional `%device`, or a name from `/etc/hosts`: a resolver
//! that waits has no place on the control thread.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};

use nix::net::if_::if_nametoindex;

/// What kind of byte stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// A parsed connection name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Connect to this address.
    Connect(Transport, SocketAddr),
    /// Connect to this Unix-domain socket.
    ConnectUnix(PathBuf),
    /// Listen on this address.
    Listen(Transport, SocketAddr),
    /// Listen on this Unix-domain socket.
    ListenUnix(PathBuf),
}

/// Why a name is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TargetError {
    /// no such kind of connection
    #[error("{0}: unknown connection type")]
    UnknownType(String),
    /// the host cannot be made out
    #[error("{0}: bad address or unknown host")]
    BadHost(String),
    /// the port is no number from 0 to 65535
    #[error("{0}: bad port number")]
    BadPort(String),
}

impl Target {
    /// Parses `name`. A name without a port means `default_port`; a relative file is meant relative to `rundir`.
    pub fn parse(name: &str, default_port: u16, rundir: &Path) -> Result<Self, TargetError> {
        let Some((kind, rest)) = name.split_once(':') else {
            return Err(TargetError::UnknownType(name.to_owned()));
        };
        match kind {
            "tcp" => Ok(Self::Connect(Transport::Tcp, active_address(rest, default_port)?)),
            "ssl" => Ok(Self::Connect(Transport::Tls, active_address(rest, default_port)?)),
            "unix" => Ok(Self::ConnectUnix(rundir.join(rest))),
            "ptcp" => Ok(Self::Listen(Transport::Tcp, passive_address(rest, default_port)?)),
            "pssl" => Ok(Self::Listen(Transport::Tls, passive_address(rest, default_port)?)),
            "punix" => Ok(Self::ListenUnix(rundir.join(rest))),
            _ => Err(TargetError::UnknownType(name.to_owned())),
        }
    }

    /// Whether this one waits for others to connect.
    pub fn is_passive(&self) -> bool {
        matches!(self, Self::Listen(..) | Self::ListenUnix(_))
    }
}

fn active_address(text: &str, default_port: u16) -> Result<SocketAddr, TargetError> {
    let (host, rest) = split_host(text);
    let port = match rest {
        "" => default_port,
        rest => port(rest)?,
    };
    resolve(host, port)
}

fn passive_address(text: &str, default_port: u16) -> Result<SocketAddr, TargetError> {
    let (port_text, host) = text.split_once(':').unwrap_or((text, ""));
    let port = if port_text.is_empty() { default_port } else { port(port_text)? };
    match host {
        "" => Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        host => resolve(split_host(host).0, port),
    }
}

/// Splits `HOST:PORT`, `[HOST]:PORT`, `HOST` or `[HOST]` into host and port text.
fn split_host(text: &str) -> (&str, &str) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (host, rest.strip_prefix(':').unwrap_or(rest));
    }
    text.split_once(':').unwrap_or((text, ""))
}

fn port(text: &str) -> Result<u16, TargetError> {
    text.parse().map_err(|_| TargetError::BadPort(text.to_owned()))
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, TargetError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    if let Some((address, device)) = host.split_once('%') {
        let scope = if_nametoindex(device).map_err(|_| TargetError::BadHost(host.to_owned()))?;
        let address = address.parse().map_err(|_| TargetError::BadHost(host.to_owned()))?;
        return Ok(SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope)));
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let address = in_hosts_file(&hosts, host).ok_or_else(|| TargetError::BadHost(host.to_owned()))?;
    Ok(SocketAddr::new(address, port))
}

/// The first address, an IPv4 one if there is one, that a hosts file gives for `name`.
fn in_hosts_file(hosts: &str, name: &str) -> Option<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found: Vec<IpAddr> = lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<Target, TargetError> {
        Target::parse(name, 6653, Path::new("/run/x"))
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn active_names() {
        assert_eq!(parse("tcp:10.0.0.1"), Ok(Target::Connect(Transport::Tcp, address("10.0.0.1:6653"))));
        assert_eq!(parse("ssl:10.0.0.1:99"), Ok(Target::Connect(Transport::Tls, address("10.0.0.1:99"))));
        assert_eq!(parse("tcp:[::1]:6633"), Ok(Target::Connect(Transport::Tcp, address("[::1]:6633"))));
        assert_eq!(parse("unix:a"), Ok(Target::ConnectUnix("/run/x/a".into())));
        assert_eq!(parse("unix:/b"), Ok(Target::ConnectUnix("/b".into())));
    }

    #[test]
    fn passive_names() {
        assert_eq!(parse("ptcp:"), Ok(Target::Listen(Transport::Tcp, address("0.0.0.0:6653"))));
        assert_eq!(parse("ptcp:1:127.0.0.1"), Ok(Target::Listen(Transport::Tcp, address("127.0.0.1:1"))));
        assert_eq!(parse("pssl:1:[::1]"), Ok(Target::Listen(Transport::Tls, address("[::1]:1"))));
        assert_eq!(parse("punix:m"), Ok(Target::ListenUnix("/run/x/m".into())));
        assert!(parse("ptcp:").unwrap().is_passive());
    }

    #[test]
    fn bad_names() {
        assert_eq!(parse("tcp:1.2.3.4:x"), Err(TargetError::BadPort("x".into())));
        assert_eq!(parse("carrier"), Err(TargetError::UnknownType("carrier".into())));
        assert_eq!(parse("fd:3"), Err(TargetError::UnknownType("fd:3".into())));
        assert!(matches!(parse("tcp:no.such.host.invalid"), Err(TargetError::BadHost(_))));
    }

    #[test]
    fn hosts_file_prefers_ipv4() {
        let hosts = "::1 localhost six # x\n127.0.0.1\tlocalhost\n";
        assert_eq!(in_hosts_file(hosts, "localhost"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(in_hosts_file(hosts, "SIX"), Some("::1".parse().unwrap()));
        assert_eq!(in_hosts_file(hosts, "x"), None);
    }
}
