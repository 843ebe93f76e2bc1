//! Where files are: the directories of Open vSwitch, each overridden by its environment variable.

use std::env;
use std::path::{Path, PathBuf};

fn dir(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable).filter(|v| !v.is_empty()).map_or_else(|| default.into(), PathBuf::from)
}

/// Sockets and pidfiles: `OVS_RUNDIR`.
pub fn rundir() -> PathBuf {
    dir("OVS_RUNDIR", "/var/run/openvswitch")
}

/// Log files: `OVS_LOGDIR`.
pub fn logdir() -> PathBuf {
    dir("OVS_LOGDIR", "/var/log/openvswitch")
}

/// The database: `OVS_DBDIR`, else the `openvswitch` folder of `OVS_SYSCONFDIR`.
pub fn dbdir() -> PathBuf {
    match env::var_os("OVS_DBDIR").filter(|v| !v.is_empty()) {
        Some(path) => path.into(),
        None => sysconfdir().join("openvswitch"),
    }
}

/// Configuration: `OVS_SYSCONFDIR`.
pub fn sysconfdir() -> PathBuf {
    dir("OVS_SYSCONFDIR", "/etc")
}

/// Schemas and scripts: `OVS_PKGDATADIR`.
pub fn pkgdatadir() -> PathBuf {
    dir("OVS_PKGDATADIR", "/usr/share/openvswitch")
}

/// `name` itself when it is an absolute path, else the file of that name in `directory`.
pub fn in_dir(directory: &Path, name: &str) -> PathBuf {
    directory.join(name)
}

/// The name that this process was started under, without its folder: it names the pidfile, the control socket and the log.
pub fn program_name() -> String {
    env::args_os()
        .next()
        .and_then(|arg0| Path::new(&arg0).file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "turnoutd".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_name_stands_for_itself() {
        assert_eq!(in_dir(Path::new("/run"), "a.pid"), Path::new("/run/a.pid"));
        assert_eq!(in_dir(Path::new("/run"), "/tmp/a.pid"), Path::new("/tmp/a.pid"));
    }
}
