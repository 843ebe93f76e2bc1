//! What the switch writes into the database, against what Debian's Open vSwitch writes on the same set-up.

use e2e::{Pair, Sandbox};

/// Runs `ovs-vsctl` with these words on both sides; they must write the same.
fn same(pair: &Pair, words: &str) {
    let args: Vec<&str> = words.split_whitespace().collect();
    pair.same(&format!("ovs-vsctl {words}"), |sandbox| sandbox.try_vsctl(&args));
}

/// Changes both sides; `ovs-vsctl` may complain of what came of it.
fn both(pair: &Pair, words: &str) {
    let args: Vec<&str> = words.split_whitespace().collect();
    pair.both(|side| side.sandbox.vsctl(&args));
}

const STATE: &str = "ofport error admin_state link_state link_speed duplex mtu mac_in_use status";

#[test]
fn columns_are_filled_in_alike() {
    let pair = Pair::new("secure");
    same(&pair, "get open_vswitch . dpdk_initialized dpdk_version cur_cfg");
    same(&pair, "get bridge br0 datapath_id datapath_version");
    for name in ["p1", "br0"] {
        same(&pair, &format!("get interface {name} {STATE}"));
    }
    both(
        &pair,
        "add-port br0 i0 -- set interface i0 type=internal mac=\"02:00:00:00:00:07\" ofport_request=9",
    );
    same(&pair, &format!("get interface i0 {STATE}"));
    both(&pair, "set interface p1 mtu_request=1400");
    for name in ["p1", "br0", "i0"] {
        same(&pair, &format!("get interface {name} mtu"));
    }
    both(&pair, "add-port br0 pa -- set interface pa type=patch options:peer=pb");
    same(&pair, "get interface pa ofport error admin_state link_state mtu link_speed duplex ifindex");
    both(&pair, "add-port br0 pb -- set interface pb type=patch options:peer=pa");
    same(&pair, "get interface pb ofport error");
}

#[test]
fn what_cannot_be_is_told_alike() {
    let pair = Pair::new("secure");
    both(&pair, "add-port br0 nonexist");
    both(&pair, "add-port br0 averyveryverylongname");
    both(&pair, "add-port br0 odd -- set interface odd type=nonesuch");
    both(&pair, "add-port br0 px -- set interface px type=patch");
    for name in ["nonexist", "averyveryverylongname", "odd", "px"] {
        same(
            &pair,
            &format!("get interface {name} ofport error mtu mac_in_use link_state status statistics"),
        );
    }
    same(&pair, "get interface p1 ofport error");
    both(&pair, "set interface p2 ofport_request=1");
    same(&pair, "get interface p2 ofport");
    both(&pair, "set bridge br0 other_config:hwaddr=nonsense other_config:datapath-id=nonsense");
    let own = |sandbox: &Sandbox| {
        let mac = sandbox.vsctl(&["get", "interface", "br0", "mac_in_use"]).replace(['"', ':'], "");
        let id = sandbox.vsctl(&["get", "bridge", "br0", "datapath_id"]).replace('"', "");
        (id.trim() == format!("0000{}", mac.trim()), sandbox.log().contains("datapath ID 0000"))
    };
    let (ours, theirs) = pair.both(|side| own(&side.sandbox));
    assert_eq!(ours, theirs);
    assert_eq!(ours, (true, true));
}
