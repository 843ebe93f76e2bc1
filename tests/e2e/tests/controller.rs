//! A learning switch, written for os-ken and OpenFlow 1.3, runs on the switch.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use e2e::{Flavor, Host, Sandbox, wait_until};

/// A controller in the switch's namespace; ended when dropped.
struct Controller(Child);

impl Controller {
    fn start(sandbox: &Sandbox) -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python: PathBuf = home.join("../../target/os-ken/bin/python");
        assert!(python.exists(), "scripts/setup.sh test installs os-ken in {}", python.display());
        let mut command = sandbox.command(python.to_str().unwrap());
        command.arg(home.join("controllers/learning_switch.py")).args(["127.0.0.1", "6653"]);
        let log = std::fs::File::create(sandbox.path("controller.log")).unwrap();
        let child = command.env("PYTHONPATH", home.join("controllers")).stdin(Stdio::null());
        let child = child.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        wait_until("the controller to listen", || sandbox.netns().succeeds("ss -ltnH | grep -q :6653"));
        Self(child)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn learning_switch(flavor: Flavor) -> String {
    let sandbox = Sandbox::of(flavor);
    let a = Host::quiet(sandbox.netns(), "p1", 1);
    let b = Host::quiet(sandbox.netns(), "p2", 2);
    sandbox.netns().sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
    let _controller = Controller::start(&sandbox);
    sandbox.add_bridge("br0", &["p1", "p2"]);
    sandbox.vsctl(&["set", "bridge", "br0", "protocols=OpenFlow13", "fail_mode=secure"]);
    sandbox.vsctl(&["set-controller", "br0", "tcp:127.0.0.1:6653"]);
    wait_until("the controller's first flow", || {
        sandbox.ofctl(&["-O", "OpenFlow13", "dump-flows", "br0"]).contains("CONTROLLER:65535")
    });
    wait_until("a ping through the controller", || a.pings(b.address()));
    assert!(b.pings(a.address()));
    assert!(a.pings(b.address()), "by flows now");
    let flows = sandbox.ofctl(&["-O", "OpenFlow13", "--no-stats", "--sort", "dump-flows", "br0"]);
    flows.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_learning_switch_of_os_ken_runs_and_leaves_the_same_flows() {
    let theirs = std::thread::spawn(|| learning_switch(Flavor::OpenVswitch));
    let ours = learning_switch(Flavor::Turnout);
    assert_eq!(ours, theirs.join().unwrap());
    assert!(ours.contains("dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02 actions=output:"), "{ours}");
}
