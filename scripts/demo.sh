#!/usr/bin/env bash
# Runs the switch on real traffic and shows it: two hosts on veths, one on a tap, all in namespaces of their own.
# Leaves nothing behind, also when it fails or is interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "demo: run this as root: it makes network namespaces" >&2; exit 1; }
daemon="$PWD/target/release/turnoutd"
dir=$(mktemp -d /tmp/turnout-demo.XXXXXX)
tag=$$
switch="demo$tag-switch" h1="demo$tag-h1" h2="demo$tag-h2" h3="demo$tag-h3"
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir OVS_SYSCONFDIR=$dir

in_ns() { ip netns exec "$@"; }
alive() { [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null; }
pid_of() { cat "$dir/$1.pid" 2>/dev/null || true; }
# Waits up to 10 s for a command to succeed.
await() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "demo: gave up on: $*" >&2; return 1; }

clean_up() {
    status=$?
    trap - EXIT INT TERM
    set +e
    if [ $status -ne 0 ] && [ -f "$dir/turnoutd.log" ]; then
        echo "--- the demo failed; the end of the switch's log:" >&2
        tail -n 20 "$dir/turnoutd.log" >&2
    fi
    pid=$(pid_of turnoutd)
    if alive "$pid"; then
        timeout 5 ovs-appctl -t turnoutd exit --cleanup
        for _ in $(seq 50); do alive "$pid" || break; sleep 0.1; done
        alive "$pid" && kill -9 "$pid"
    fi
    for pid in $(pid_of ovsdb-server) ${iperf:-}; do alive "$pid" && kill "$pid"; done
    for ns in "$switch" "$h1" "$h2" "$h3"; do ip netns del "$ns" 2>/dev/null; done
    rm -rf "$dir"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }

step "Three hosts: h1 and h2 will sit on veth pairs, h3 on a tap. The switch has a namespace of its own as well."
for ns in "$switch" "$h1" "$h2" "$h3"; do
    ip netns add "$ns"
    ip -n "$ns" link set lo up
done
for n in 1 2; do
    host="demo$tag-h$n"
    ip -n "$switch" link add "veth$n" type veth peer name eth0 netns "$host"
    ip -n "$switch" link set "veth$n" up
    ip -n "$host" addr add "10.0.0.$n/24" dev eth0
    ip -n "$host" link set eth0 up
done

step "Start the switch; it makes the database and runs the real ovsdb-server itself."
show in_ns "$switch" "$daemon" --embedded-db --detach --no-chdir --pidfile --log-file -vconsole:off
show ovs-appctl -t turnoutd version

step "A bridge and its ports, by ovs-vsctl, as with Open vSwitch."
show ovs-vsctl add-br br0 -- add-port br0 veth1 -- add-port br0 veth2 -- add-port br0 tap3 -- set interface tap3 type=tap
ip -n "$switch" link set tap3 netns "$h3"
ip -n "$h3" addr add 10.0.0.3/24 dev tap3
ip -n "$h3" link set tap3 up
show ovs-vsctl show

step "Pings between all three: the default flow is NORMAL, a learning switch."
await in_ns "$h1" ping -c 1 -W 1 10.0.0.2
show in_ns "$h1" ping -q -c 3 -i 0.2 10.0.0.2
show in_ns "$h3" ping -q -c 3 -i 0.2 10.0.0.1

step "TCP for two seconds, all offloads on: super-frames of up to 64 KB pass whole."
in_ns "$h2" iperf3 -s -1 >"$dir/iperf.log" 2>&1 &
iperf=$!
await in_ns "$h2" sh -c 'ss -ltn | grep -q :5201'
show in_ns "$h1" iperf3 -c 10.0.0.2 -t 2 -f g | grep -E 'SUM|sender|receiver'

step "The ports as OpenFlow sees them, and what the switch has learned."
show ovs-ofctl show br0
show ovs-appctl -t turnoutd fdb/show br0

step "A rule: nothing from h1 to h3; the other directions stay open."
show ovs-ofctl add-flow br0 priority=100,ip,nw_src=10.0.0.1,nw_dst=10.0.0.3,actions=drop
if in_ns "$h1" ping -q -c 2 -i 0.2 -W 1 10.0.0.3; then
    echo "demo: the rule did not block" >&2
    exit 1
fi
show in_ns "$h1" ping -q -c 2 -i 0.2 10.0.0.2

step "The rules, with exact counters: the blocked pings are those of the drop rule."
show ovs-ofctl dump-flows br0

step "Why: a trace of such a packet through the tables."
show ovs-appctl -t turnoutd ofproto/trace br0 in_port=veth1,ip,nw_src=10.0.0.1,nw_dst=10.0.0.3

step "Done. The switch is stopped, and everything that the demo made is removed."
