#!/usr/bin/env bash
# Records what Open vSwitch 3.1 says to scenario.txt, in its dummy mode: each line after "> ", then the answer.
# usage: record.sh >expected.txt      (as root; needs openvswitch-switch; runs in a namespace of its own)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir OVS_SYSCONFDIR=$dir
ns=trace-record-$$
ip netns add "$ns"
clean() {
    for pid in "$dir"/*.pid; do kill "$(cat "$pid")" 2>/dev/null || true; done
    ip netns del "$ns"
    rm -rf "$dir"
}
trap clean EXIT
daemon() { ip netns exec "$ns" "$@" --detach --no-chdir --pidfile --log-file 2>/dev/null; }
ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
daemon ovsdb-server --remote="punix:$dir/db.sock" "$dir/conf.db"
daemon /usr/lib/openvswitch-switch/ovs-vswitchd --enable-dummy=override --disable-system "unix:$dir/db.sock"
vsctl() { ovs-vsctl --db="unix:$dir/db.sock" "$@"; }
vsctl --no-wait init
protocols=OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15
for br in br0 br1; do
    vsctl add-br $br -- set bridge $br fail-mode=secure datapath_type=dummy protocols=$protocols
done
for n in 1 2 3 4; do vsctl add-port br0 p$n -- set interface p$n type=dummy ofport_request=$n; done
vsctl add-port br0 pa -- set interface pa type=patch options:peer=pb ofport_request=10 \
    -- add-port br1 pb -- set interface pb type=patch options:peer=pa ofport_request=20
for n in 21 22; do vsctl add-port br1 q$n -- set interface q$n type=dummy ofport_request=$n; done
while read -r what rest; do
    echo "> $what $rest"
    case $what in
        flow) read -r options bridge flow <<<"$rest"; ovs-ofctl "$options" add-flow "$bridge" "$flow" ;;
        del) ovs-ofctl del-flows "$rest" ;;
        port)
            read -r bridge port settings <<<"$rest"
            vsctl clear port "$port" tag -- clear port "$port" trunks -- set port "$port" $settings
            ;;
        trace) ovs-appctl -t "$(echo "$dir"/ovs-vswitchd.*.ctl)" ofproto/trace $rest 2>&1 | grep -v '^ovs-appctl:' || true ;;
    esac
done <"$here/scenario.txt"
