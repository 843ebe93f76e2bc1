//! `learn`: what a packet teaches stands for the next one, stays while there is traffic, and goes as it should.

use e2e::{Host, Sandbox, wait_until};

/// The rule with which OpenStack's agent learns where a MAC address is, but for its time-out.
const TEACH: &str = "NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],\
                     load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:OXM_OF_IN_PORT[]";

struct Rig {
    sandbox: Sandbox,
    a: Host,
    b: Host,
}

impl Rig {
    /// Two hosts: what comes from the first goes to the second and teaches; what comes back goes where table 20 says.
    fn new(learn: &str) -> Self {
        let sandbox = Sandbox::new();
        let a = Host::quiet(sandbox.netns(), "p1", 1);
        let b = Host::quiet(sandbox.netns(), "p2", 2);
        sandbox
            .netns()
            .sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
        sandbox.add_bridge("br0", &["p1", "p2"]);
        sandbox.ofctl(&["del-flows", "br0"]);
        sandbox.ofctl(&["add-flow", "br0", &format!("in_port=1,actions=learn({learn},{TEACH}),output:2")]);
        sandbox.ofctl(&["add-flow", "br0", "in_port=2,actions=resubmit(,20)"]);
        Self { sandbox, a, b }
    }

    fn table(&self, table: u8) -> String {
        self.sandbox.ofctl(&["--no-stats", "--no-names", "dump-flows", "br0", &format!("table={table}")])
    }

    fn learned(&self) -> usize {
        self.table(20).lines().count()
    }

    fn pings(&self) -> bool {
        self.a.pings(self.b.address())
    }

    fn packets(&self) -> u64 {
        let flows = self.sandbox.ofctl(&["dump-aggregate", "br0", "table=20"]);
        let packets = flows.split("packet_count=").nth(1).unwrap();
        packets.split_whitespace().next().unwrap().parse().unwrap()
    }
}

#[test]
fn the_next_packet_goes_by_what_the_first_one_taught() {
    let rig = Rig::new("table=20,hard_timeout=300,priority=1,cookie=0xb16");
    assert_eq!(rig.learned(), 0);
    assert!(rig.pings());
    let mac = rig.a.mac();
    let expected = format!(
        "cookie=0xb16, table=20, hard_timeout=300, priority=1,vlan_tci=0x0000/0x0fff,dl_dst={mac} \
         actions=load:0->NXM_OF_VLAN_TCI[],load:0->NXM_NX_TUN_ID[],output:1"
    );
    assert_eq!(rig.table(20).trim(), expected);
    assert!(rig.pings() && rig.pings());
    wait_until("all to be counted", || rig.packets() == 3);
    // What is taken away is taught again by the next packet.
    rig.sandbox.ofctl(&["del-flows", "br0", "table=20"]);
    wait_until("it to be learned again", || rig.pings());
}

#[test]
fn a_learned_flow_stays_while_there_is_traffic() {
    let rig = Rig::new("table=20,hard_timeout=3,cookie=0xb16");
    assert!(rig.pings());
    let started = std::time::Instant::now();
    while started.elapsed().as_secs() < 7 {
        assert!(rig.pings());
        assert_eq!(rig.learned(), 1);
    }
    wait_until("it to expire", || rig.learned() == 0);
}

#[test]
fn a_limit_and_what_is_deleted_with_its_teacher() {
    let rig = Rig::new("table=20,delete_learned,limit=1,cookie=0xb16");
    assert!(rig.pings());
    let (mac, other) = (rig.a.mac(), "00:00:00:00:00:99");
    rig.a.netns().sh(&format!("ip link set eth0 address {other}"));
    rig.pings();
    assert_eq!(rig.learned(), 1);
    assert!(rig.table(20).contains(&mac));
    rig.sandbox.ofctl(&["add-flow", "br0", "table=20,priority=9,cookie=0x1,actions=drop"]);
    rig.sandbox.ofctl(&["del-flows", "br0", "in_port=1"]);
    assert_eq!(rig.table(20).trim(), "cookie=0x1, table=20, priority=9 actions=drop");
}

#[test]
fn a_trace_without_a_packet_learns_nothing() {
    let rig = Rig::new("table=20,hard_timeout=300,priority=1,cookie=0xb16");
    let flow = "in_port=1,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:01";
    let trace = rig.sandbox.appctl(&["ofproto/trace", "br0", flow]);
    assert!(trace.contains("     >> suppressing side effects, so learn action ignored\n"), "{trace}");
    assert_eq!(rig.learned(), 0);
    let trace = rig.sandbox.appctl(&["ofproto/trace", "br0", flow, "-generate"]);
    let told = "     -> table=20 vlan_tci=0x0000/0x0fff,dl_dst=00:00:00:00:00:02 priority=1 cookie=0xb16 hard=300 \
                actions=load:0->NXM_OF_VLAN_TCI[],load:0->NXM_NX_TUN_ID[],output:1\n";
    assert!(trace.contains(told), "{trace}");
    assert_eq!(rig.learned(), 1);
}
