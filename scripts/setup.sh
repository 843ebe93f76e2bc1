#!/usr/bin/env bash
# Installs the Debian packages that a target needs, and only those that are missing. No service is started.
# usage: scripts/setup.sh build|demo|test|bench|bench-peers
set -euo pipefail
cd "$(dirname "$0")/.."

switch_tools="openvswitch-common openvswitch-switch iproute2 procps"
traffic="iputils-ping iperf3 tcpdump ethtool"
case "${1:-}" in
build) packages="gcc make" ;;
demo) packages="$switch_tools $traffic" ;;
test)
    packages="$switch_tools $traffic openssl python3-venv qemu-system-x86 busybox-static"
    packages="$packages nftables conntrack curl vsftpd tftpd-hpa traceroute"
    ;;
bench) packages="$switch_tools $traffic python3" ;;
bench-peers) packages="$switch_tools openvswitch-switch-dpdk librte-net-pcap23 librte-net-null23 librte-mempool-ring23 python3" ;;
*) echo "usage: $0 build|demo|test|bench|bench-peers" >&2; exit 2 ;;
esac

missing() {
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || echo "$package"
    done
}

# Runs a command silently; what it printed is shown if it fails.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        echo "setup: '$*' failed" >&2
        return 1
    fi
    rm -f "$log"
}

install_packages() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "setup: these packages are missing, and only root can install them: $*" >&2
        return 1
    fi
    echo "setup: installing $*"
    # Debian's way to say "start nothing while installing"; left alone where the host has a policy of its own.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update
    quietly apt-get install -y --no-install-recommends "$@"
}

# The controller that the tests run, in a Python environment of the build folder.
install_os_ken() {
    local venv=target/os-ken
    "$venv/bin/python" -c 'import os_ken' 2>/dev/null && return
    echo "setup: installing os-ken"
    quietly python3 -m venv "$venv"
    quietly "$venv/bin/pip" install --disable-pip-version-check 'os-ken>=4,<5'
}

wanted=$(missing)
# shellcheck disable=SC2086 # one word a package
[ -z "$wanted" ] || install_packages $wanted
if [ "$1" = test ]; then
    install_os_ken
    quietly scripts/guest.sh target/guest
fi
