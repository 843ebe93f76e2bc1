//! The first light: a bridge, two hosts, pings and rules.

use e2e::{Host, Sandbox, wait_until};

#[test]
fn hosts_on_veths_ping_by_normal_and_by_rules() {
    let sandbox = Sandbox::new();
    let a = Host::new(sandbox.netns(), "p1", "10.0.0.1/24");
    let b = Host::new(sandbox.netns(), "p2", "10.0.0.2/24");
    sandbox.add_bridge("br0", &["p1", "p2"]);
    wait_until("the first ping", || a.pings(b.address()));

    sandbox.ofctl(&["del-flows", "br0"]);
    assert!(!a.pings(b.address()), "nothing passes without rules");

    sandbox.ofctl(&["add-flow", "br0", "in_port=1,actions=output:2"]);
    sandbox.ofctl(&["add-flow", "br0", "in_port=2,actions=output:1"]);
    assert!(a.pings(b.address()));
    let flows = sandbox.ofctl(&["--no-names", "dump-flows", "br0"]);
    assert!(flows.contains("in_port=1 actions=output:2"), "{flows}");
}
