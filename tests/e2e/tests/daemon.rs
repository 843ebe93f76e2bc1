//! The process: options, pidfile, control socket, signals, monitor.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use e2e::{Flavor, Sandbox, try_run, wait_for, wait_until};
use nix::sys::signal::{Signal, kill};

fn alive(pid: nix::unistd::Pid) -> bool {
    kill(pid, None).is_ok()
}

/// Starts the switch as `ovs-ctl` and the test suites do; the command must be silent and succeed.
fn start_detached(sandbox: &Sandbox, extra: &[&str]) {
    let binary = sandbox.path("ovs-vswitchd");
    let mut command = sandbox.command(binary.to_str().unwrap());
    command
        .args(["--disable-system", "--detach", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off"])
        .args(extra);
    let output = try_run(&mut command);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "", ""));
}

#[test]
fn detaching_waits_for_the_configuration_and_leaves_files_where_tools_look() {
    let mut sandbox = Sandbox::bare(Flavor::Turnout);
    sandbox.start_database();
    sandbox.vsctl(&["--no-wait", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]);
    start_detached(&sandbox, &["-vvconn", "-vofproto_dpif", "-vunixctl"]);
    let pid = sandbox.pid().expect("a pidfile");
    assert!(alive(pid));
    assert!(
        sandbox.vsctl(&["get", "bridge", "br0", "datapath_id"]).len() >= 16,
        "the first configuration is in place"
    );
    for name in [format!("ovs-vswitchd.{pid}.ctl"), "br0.mgmt".into(), "br0.snoop".into()] {
        let metadata = fs::metadata(sandbox.path(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o750, "{name}");
    }
    let line = sandbox.log().lines().next().unwrap().to_owned();
    assert!(line.contains("Z|00001|vlog|INFO|opened log file "), "{line}");

    assert_eq!(sandbox.appctl(&["coverage/read-counter", "dp_packet_batch_grow"]), "0\n");
    assert_eq!(sandbox.appctl(&["-t", "ovs-vswitchd", "exit", "--cleanup"]), "");
    wait_until("the switch to end", || !alive(pid));
    assert!(!sandbox.path("ovs-vswitchd.pid").exists());
    assert!(!sandbox.path(&format!("ovs-vswitchd.{pid}.ctl")).exists());
    assert!(!sandbox.netns().succeeds("ip link show br0"), "exit --cleanup removes internal ports");
    assert!(!sandbox.netns().succeeds("ip link show ovs-netdev"));
    let log = sandbox.log();
    let bad: Vec<_> =
        log.lines().filter(|line| ["|WARN|", "|ERR|", "|EMER|"].iter().any(|l| line.contains(l))).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_second_daemon_is_refused() {
    let sandbox = Sandbox::new();
    let binary = sandbox.path("ovs-vswitchd");
    let second = try_run(sandbox.command(binary.to_str().unwrap()).args(["--pidfile", "--detach"]));
    assert_eq!(second.code, 1);
    let pid = sandbox.pid().unwrap();
    assert!(second.stderr.contains(&format!("already running as pid {pid}, aborting")), "{}", second.stderr);
    assert_eq!(sandbox.try_appctl(&["version"]).code, 0, "the first one goes on");
}

#[test]
fn bad_options_are_one_line_and_exit_1() {
    let sandbox = Sandbox::bare(Flavor::Turnout);
    let binary = sandbox.path("ovs-vswitchd");
    // What getopt says begins with the command as it was given, all else with the name of the program.
    let path = binary.to_str().unwrap();
    for (args, program, text) in [
        (&["--nonesuch=1"][..], path, "unrecognized option '--nonesuch=1'"),
        (&["--detach=yes"], path, "option '--detach' doesn't allow an argument"),
        (&["--unix"], path, "option '--unixctl' requires an argument"),
        (&["-p"], path, "option requires an argument -- 'p'"),
        (&["a", "b"], "ovs-vswitchd", "at most one non-option argument accepted; use --help for usage"),
        (
            &["-vnonesuch:dbg"],
            "ovs-vswitchd",
            "processing \"nonesuch:dbg\": no destination, level, or module \"nonesuch\"",
        ),
        (&["bogus:remote"], "ovs-vswitchd", "bogus:remote: unknown connection type"),
    ] {
        let output = try_run(sandbox.command(path).args(args));
        let line = format!("{program}: {text}\n");
        assert_eq!((output.code, output.stdout.as_str(), output.stderr), (1, "", line), "{args:?}");
    }
}

#[test]
fn version_is_what_scripts_parse() {
    let sandbox = Sandbox::bare(Flavor::Turnout);
    let line = "./ovs-vswitchd --version | awk '/Open vSwitch/{print $NF}'";
    let version = e2e::run(sandbox.command("sh").args(["-c", line]));
    let peer = "/usr/lib/openvswitch-switch/ovs-vswitchd --version | awk '/Open vSwitch/{print $NF}'";
    assert_eq!(version, sandbox.netns().sh(peer));
}

#[test]
fn sigterm_ends_it_and_internal_ports_stay() {
    let mut sandbox = Sandbox::new();
    sandbox.add_bridge("br0", &[]);
    sandbox.netns().ip("addr add 10.9.9.1/24 dev br0");
    let pid = sandbox.pid().unwrap();
    sandbox.stop_switch(Signal::SIGTERM);
    assert!(!alive(pid));
    assert!(!sandbox.path("ovs-vswitchd.pid").exists());
    assert!(sandbox.netns().ip("-br addr show br0").contains("10.9.9.1/24"));
    sandbox.start_switch();
    assert!(
        sandbox.netns().ip("-br addr show br0").contains("10.9.9.1/24"),
        "the next switch takes the device as it is"
    );
}

#[test]
fn a_monitored_switch_comes_back_after_kill_9() {
    let mut sandbox = Sandbox::bare(Flavor::Turnout);
    sandbox.start_database();
    start_detached(&sandbox, &["--monitor"]);
    sandbox.add_bridge("br0", &[]);
    sandbox.netns().ip("addr add 10.9.9.1/24 dev br0");
    let first = sandbox.pid().unwrap();
    kill(first, Signal::SIGKILL).unwrap();
    let second = wait_for("another switch", || sandbox.pid().filter(|pid| *pid != first && alive(*pid)));
    wait_until("it to answer", || sandbox.try_appctl(&["version"]).code == 0);
    wait_until("OpenFlow", || sandbox.try_ofctl(&["show", "br0"]).code == 0);
    assert!(sandbox.netns().ip("-br addr show br0").contains("10.9.9.1/24"));
    sandbox.appctl(&["exit", "--cleanup"]);
    wait_until("the switch to end", || !alive(second));
}

#[test]
fn the_log_is_reopened_for_logrotate() {
    let sandbox = Sandbox::new();
    fs::rename(sandbox.path("ovs-vswitchd.log"), sandbox.path("old.log")).unwrap();
    sandbox.appctl(&["vlog/reopen"]);
    sandbox.appctl(&["vlog/set", "bridge:file:dbg"]);
    wait_until("the new file", || sandbox.log().contains("opened log file"));
    let levels = sandbox.appctl(&["vlog/list"]);
    let bridge = levels.lines().find(|line| line.starts_with("bridge ")).unwrap();
    assert!(bridge.trim_end().ends_with("DBG"), "{bridge}");
}
