#!/usr/bin/env bash
# Installs the Debian packages that a target needs, and only those that are missing. No service is started.
# usage: scripts/setup.sh build|demo|test|bench|bench-peers
set -euo pipefail

switch_tools="openvswitch-common openvswitch-switch iproute2 procps"
traffic="iputils-ping iperf3 tcpdump ethtool"
case "${1:-}" in
build) packages="gcc make" ;;
demo) packages="$switch_tools $traffic" ;;
test) packages="$switch_tools $traffic openssl python3-venv qemu-system-x86 busybox-static" ;;
bench) packages="$switch_tools $traffic bridge-utils" ;;
bench-peers) packages="$switch_tools openvswitch-switch-dpdk librte-net-pcap23 librte-net-null23 librte-mempool-ring23 python3" ;;
*) echo "usage: $0 build|demo|test|bench|bench-peers" >&2; exit 2 ;;
esac

missing=()
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "setup: these packages are missing, and only root can install them: ${missing[*]}" >&2
    exit 1
fi
echo "setup: installing ${missing[*]}"

# Debian's way to say "start nothing while installing"; left alone where the host has a policy of its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
run() { "$@" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; echo "setup: '$*' failed" >&2; exit 1; }; }
export DEBIAN_FRONTEND=noninteractive
run apt-get update
run apt-get install -y --no-install-recommends "${missing[@]}"
rm -f "$log"
