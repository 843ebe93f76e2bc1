//! The reconciler on real devices, with the real `ovsdb-server` and `ovs-vsctl`.

mod bench;

use bench::Bench;

#[test]
fn a_bridge_comes_with_its_local_port_and_says_who_it_is() {
    let mut bench = Bench::new();
    bench.vsctl("add-br br0");
    assert_eq!(bench.vsctl("get interface br0 ofport"), "65534");
    let mac = bench.vsctl("get interface br0 mac_in_use").replace(['"', ':'], "");
    assert_eq!(bench.vsctl("get bridge br0 datapath_id"), format!("\"0000{mac}\""));
    assert_eq!(bench.vsctl("get bridge br0 datapath_version"), "\"<built-in>\"");
    assert_eq!(bench.vsctl("get open_vswitch . datapath_types"), "[netdev, system]");
    assert!(bench.sh("ip -br link show br0").starts_with("br0"));
    assert_eq!(bench.switch().bridges().len(), 1);
    bench.vsctl("set bridge br0 other_config:datapath-id=0000000000001234");
    assert_eq!(bench.vsctl("get bridge br0 datapath_id"), "\"0000000000001234\"");
    bench.vsctl("del-br br0");
    assert_eq!(bench.switch().bridges().len(), 0);
    let links = bench.sh("ip -br link");
    assert!(!links.contains("br0") && !links.contains("ovs-netdev"), "{links}");
}

#[test]
fn a_device_gets_a_number_and_its_columns() {
    let mut bench = Bench::new();
    bench.veth("p0", "p0b");
    bench.vsctl("add-br br0 -- add-port br0 p0");
    assert_eq!(
        bench.vsctl("get interface p0 ofport error admin_state link_state mtu"),
        "1\n[]\nup\nup\n1500"
    );
    assert_eq!(bench.vsctl("get interface p0 duplex link_speed"), "full\n10000000000");
    assert!(bench.vsctl("get interface p0 status").contains("driver_name=veth"));
    assert!(bench.vsctl("get interface p0 statistics").contains("rx_errors=0"));
    bench.sh("ip link set p0b down");
    bench.until_vsctl("get interface p0 link_state link_resets", "down\n1");
    bench.sh("ip link set p0b up");
    bench.until_vsctl("get interface p0 link_state link_resets", "up\n2");
}

#[test]
fn what_cannot_be_ends_in_its_error_and_the_rest_is_done() {
    let mut bench = Bench::new();
    bench.veth("p0", "p0b");
    let (_, said) = bench.vsctl_says("add-br br0 -- add-port br0 nonexist -- add-port br0 p0");
    assert!(said.contains("could not open network device nonexist (No such device)"), "{said}");
    assert_eq!(bench.vsctl("get interface p0 ofport"), "1");
    assert_eq!(bench.vsctl("get interface nonexist ofport"), "-1");
    let (_, said) = bench.vsctl_says("add-port br0 odd -- set interface odd type=nonesuch");
    assert!(
        said.contains("could not open network device odd (Address family not supported by protocol)"),
        "{said}"
    );
    let (_, said) = bench.vsctl_says("add-port br0 averyveryverylongname");
    assert!(said.contains("could not open network device averyveryverylongname ("), "{said}");
    bench.vsctl("--id=@p get port p0 -- add-br br1 -- add bridge br1 ports @p");
    assert_eq!(
        bench.vsctl("get interface p0 ofport error"),
        "-1\n\"p0: port is in more than one bridge (br0, br1)\""
    );
    bench.vsctl("--id=@p get port p0 -- remove bridge br1 ports @p");
    assert_eq!(bench.vsctl("get interface p0 ofport error"), "1\n[]");
}

#[test]
fn numbers_are_asked_for_and_moved() {
    let mut bench = Bench::new();
    bench.vsctl("add-br br0 -- add-port br0 a -- set interface a type=internal -- add-port br0 b -- set interface b type=internal ofport_request=9");
    assert_eq!(bench.vsctl("get interface a ofport"), "1");
    assert_eq!(bench.vsctl("get interface b ofport"), "9");
    bench.vsctl("set interface a ofport_request=9");
    assert_eq!(bench.vsctl("get interface a ofport"), "1");
    bench.sh("ip address add 10.0.0.1/24 dev a");
    bench.vsctl("set interface a ofport_request=5");
    assert_eq!(bench.vsctl("get interface a ofport"), "5");
    assert!(bench.sh("ip -br address show a").contains("10.0.0.1/24"), "renumbering costs no address");
    bench.vsctl("del-port a");
    assert!(!bench.sh("ip -br link").lines().any(|line| line.starts_with("a ")));
}

#[test]
fn patch_ports_wait_for_their_peer() {
    let mut bench = Bench::new();
    bench.vsctl(
        "add-br br0 -- add-br br1 -- add-port br0 pa -- set interface pa type=patch options:peer=none",
    );
    assert_eq!(
        bench.vsctl("get interface pa ofport error"),
        "1\n\"No usable peer 'none' exists in 'system' datapath.\""
    );
    bench.vsctl(
        "set interface pa options:peer=pb -- add-port br1 pb -- set interface pb type=patch options:peer=pa",
    );
    assert_eq!(bench.vsctl("get interface pa ofport error link_state"), "1\n[]\nup");
    assert_eq!(bench.vsctl("get interface pb ofport error"), "1\n[]");
    let (_, said) = bench.vsctl_says("add-port br0 px -- set interface px type=patch");
    assert!(said.contains("px: patch type requires valid 'peer' argument"), "{said}");
}

#[test]
fn a_device_that_vanishes_and_comes_back_is_attached_again() {
    let mut bench = Bench::new();
    bench.veth("p0", "p0b");
    bench.veth("p1", "p1b");
    bench.vsctl("add-br br0 -- add-port br0 p0 -- add-port br0 p1");
    assert_eq!(bench.vsctl("get interface p1 ofport"), "2");
    bench.sh("ip link del p1");
    bench.until_vsctl(
        "get interface p1 ofport error",
        "-1\n\"could not open network device p1 (No such device)\"",
    );
    bench.veth("p1", "p1b");
    bench.until_vsctl("get interface p1 ofport error link_state", "2\n[]\nup");
    assert!(bench.datapath().port_by_name("p1").is_some());
    bench.sh("ip link del br0");
    bench.until_vsctl("get interface br0 ofport error", "65534\n[]");
    assert!(bench.sh("ip -br link show br0").starts_with("br0"));
}

#[test]
fn the_mac_follows_the_lowest_member_and_the_mtu_the_smallest() {
    let mut bench = Bench::new();
    bench.veth("p0", "p0b");
    bench.sh("ip link set p0 address 00:11:22:33:44:55");
    bench.vsctl("add-br br0 -- add-port br0 p0");
    assert_eq!(bench.vsctl("get interface br0 mac_in_use"), "\"00:11:22:33:44:55\"");
    assert_eq!(bench.vsctl("get bridge br0 datapath_id"), "\"0000001122334455\"");
    bench.vsctl("set bridge br0 other_config:hwaddr=02:11:22:33:44:66");
    assert_eq!(bench.vsctl("get interface br0 mac_in_use"), "\"02:11:22:33:44:66\"");
    assert!(bench.sh("ip link show br0").contains("02:11:22:33:44:66"));
    bench.vsctl("set interface p0 mtu_request=1400");
    assert_eq!(bench.vsctl("get interface p0 mtu"), "1400");
    assert_eq!(bench.vsctl("get interface br0 mtu"), "1400");
    bench.vsctl("set interface br0 mtu_request=1300");
    assert_eq!(bench.vsctl("get interface br0 mtu"), "1300");
}

#[test]
fn after_a_restart_numbers_and_addresses_are_as_they_were() {
    let mut bench = Bench::new();
    bench.vsctl("add-br br0 -- add-port br0 i0 -- set interface i0 type=internal");
    bench.vsctl("add-port br0 i1 -- set interface i1 type=internal -- del-port i0");
    assert_eq!(bench.vsctl("get interface i1 ofport"), "2");
    bench.sh("ip address add 10.0.0.1/24 dev i1");
    let mac = bench.vsctl("get interface br0 mac_in_use");
    bench.stop(false);
    bench.start();
    bench.until_vsctl("--no-wait get open_vswitch . datapath_types", "[netdev, system]");
    bench.vsctl("set bridge br0 fail_mode=secure");
    assert_eq!(bench.vsctl("get interface i1 ofport error"), "2\n[]");
    assert_eq!(bench.vsctl("get interface br0 mac_in_use"), mac);
    assert!(bench.sh("ip -br address show i1").contains("10.0.0.1/24"));
}

#[test]
fn the_databases_restart_costs_nothing() {
    let mut bench = Bench::new();
    bench.vsctl("add-br br0 -- add-port br0 i0 -- set interface i0 type=internal");
    bench.stop_server();
    for _ in 0..100 {
        bench.turn();
        assert_eq!(bench.datapath().ports().len(), 3);
    }
    bench.start_server();
    bench.vsctl("add-port br0 i1 -- set interface i1 type=internal");
    assert_eq!(bench.vsctl("get interface i0 ofport"), "1");
    assert_eq!(bench.vsctl("get interface i1 ofport"), "2");
}

#[test]
fn controllers_are_told_of() {
    let mut bench = Bench::new();
    bench.vsctl("add-br br0 -- set-controller br0 tcp:127.0.0.1:1 ptcp:16653:127.0.0.1");
    let connected = "--bare --columns=is_connected list controller";
    assert_eq!(bench.vsctl(connected), "false\n\nfalse");
    let ofctl = bench.run("ovs-ofctl", &["show", "br0"]);
    assert!(ofctl.status.success(), "{}", String::from_utf8_lossy(&ofctl.stderr));
    assert!(String::from_utf8_lossy(&ofctl.stdout).contains("LOCAL(br0)"));
}
