#!/usr/bin/env python3
"""Compares this switch with its peers on ordinary kernel devices, in one run: TCP between two namespaces on veths, and how long
100 000 flows take to load. The peers take turns, so that the machine's drift falls on all alike. Then connection tracking with one
and two workers, and beside a SYN flood.

Needs root; leaves nothing behind.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from bench_ct import bench_ct
from peers import OURS, OVS, Switch

ROUNDS, SECONDS = 3, 4


class Hosts:
    """Two namespaces on veths, whose other ends are `p1` and `p2` in the switch's namespace."""

    def __init__(self, netns, tag, stack, offloads=True):
        self.names = [f"{netns}-{tag}{n}" for n in (1, 2)]
        for n, name in enumerate(self.names, 1):
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "del", name])
            ip("-n", netns, "link", "add", f"p{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", netns, "link", "set", f"p{n}", "up")
            ip("-n", name, "addr", "add", f"10.0.0.{n}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            if not offloads:
                subprocess.run(["ip", "netns", "exec", name, "ethtool", "-K", "eth0", "tx", "off"], check=True, capture_output=True)

    def exec(self, n, *args, **kwargs):
        return subprocess.run(["ip", "netns", "exec", self.names[n - 1], *args], capture_output=True, text=True, **kwargs)

    def await_path(self):
        for _ in range(100):
            if self.exec(1, "ping", "-c", "1", "-W", "1", "10.0.0.2").returncode == 0:
                return
        sys.exit("bench: the hosts do not reach each other")

    def tcp(self, seconds):
        """Gbit/s and retransmits of one TCP stream."""
        server = subprocess.Popen(["ip", "netns", "exec", self.names[1], "iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if "5201" in self.exec(2, "ss", "-ltnH").stdout:
                    break
                time.sleep(0.05)
            text = self.exec(1, "iperf3", "-c", "10.0.0.2", "-t", str(seconds), "-J", timeout=seconds + 20).stdout
            end = json.loads(text)["end"]
            return end["sum_received"]["bits_per_second"] / 1e9, end["sum_sent"]["retransmits"]
        finally:
            server.terminate()
            server.wait()

    def ping_us(self):
        text = self.exec(1, "ping", "-q", "-c", "50", "-i", "0.01", "10.0.0.2").stdout
        return float(text.rsplit("=", 1)[1].split("/")[1]) * 1000


def ip(*args):
    subprocess.run(["ip", *args], check=True)


class Bridged(Switch):
    """A switch whose bridge `br0` joins `p1` and `p2` by NORMAL."""

    def __init__(self, name, binary, stack, options=(), offloads=True):
        super().__init__(name, binary, stack, options)
        self.hosts = Hosts(self.netns, "h", stack, offloads)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--",
                   "add-port", "br0", "p1", "--", "add-port", "br0", "p2")
        self.hosts.await_path()

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)


class KernelBridge:
    """The reference: the kernel's own bridge."""

    def __init__(self, stack):
        self.netns = f"bench{os.getpid()}-kernel"
        ip("netns", "add", self.netns)
        stack.callback(subprocess.run, ["ip", "netns", "del", self.netns])
        self.hosts = Hosts(self.netns, "h", stack)
        ip("-n", self.netns, "link", "add", "br0", "type", "bridge")
        ip("-n", self.netns, "link", "set", "br0", "up")
        for port in ("p1", "p2"):
            ip("-n", self.netns, "link", "set", port, "master", "br0")
        self.hosts.await_path()

    def pause(self):
        pass

    go_on = pause


def bench_tcp(rounds, seconds):
    with contextlib.ExitStack() as stack:
        peers = {
            "kernel bridge": KernelBridge(stack),
            "Open vSwitch 3.1 netdev, hosts' offloads off": Bridged("ovs", OVS, stack, offloads=False),
            "Open vSwitch 3.1 netdev, userspace-tso-enable": Bridged(
                "tso", OVS, stack, ["other_config:userspace-tso-enable=true"]),
            "Turnout": Bridged("turnout", OURS, stack),
        }
        rates = {name: [] for name in peers}
        retransmits = dict.fromkeys(peers, 0)
        pings = {}
        for peer in peers.values():
            peer.pause()
        for _ in range(rounds):
            for name, peer in peers.items():
                peer.go_on()
                peer.hosts.await_path()
                rate, lost = peer.hosts.tcp(seconds)
                rates[name].append(rate)
                retransmits[name] += lost
                pings[name] = peer.hosts.ping_us()
                peer.pause()
        for peer in peers.values():
            peer.go_on()
        ours = statistics.median(rates["Turnout"])
        print(f"TCP, one stream, two namespaces on veths, median of {rounds} rounds of {seconds} s")
        print(f"{'':48}{'Gbit/s':>8}{'ours/it':>9}{'retransmits':>13}{'ping, us':>10}")
        for name in peers:
            rate = statistics.median(rates[name])
            print(f"{name:48}{rate:8.2f}{ours / rate:8.2f}x{retransmits[name]:13}{pings[name]:10.0f}")


def flow_file(count):
    out = tempfile.NamedTemporaryFile("w", prefix="turnout-bench-flows-", delete=False)
    for n in range(count):
        out.write(f"priority={100 + n % 7},tcp,nw_src=10.{n >> 16}.{n >> 8 & 255}.{n & 255},tp_dst={80 + n % 16},actions=output:2\n")
    out.close()
    return out.name


def bench_load(rounds, count):
    path = flow_file(count)
    try:
        with contextlib.ExitStack() as stack:
            peers = {"Open vSwitch 3.1": Switch("ovs", OVS, stack), "Turnout": Switch("turnout", OURS, stack)}
            times = {name: [] for name in peers}
            for _ in range(rounds):
                for name, peer in peers.items():
                    peer.vsctl("--if-exists", "del-br", "br0", "--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
                    start = time.monotonic()
                    peer.run("ovs-ofctl", "add-flows", "br0", path)
                    times[name].append(time.monotonic() - start)
                    loaded = int(peer.run("ovs-ofctl", "dump-aggregate", "br0").rsplit("flow_count=", 1)[1])
                    if loaded < count:
                        sys.exit(f"bench: {name} holds {loaded} of {count} flows")
            ours = statistics.median(times["Turnout"])
            print(f"\novs-ofctl add-flows, {count} flows, median of {rounds} rounds")
            for name in peers:
                seconds = statistics.median(times[name])
                print(f"{name:48}{seconds:8.2f} s{seconds / ours:8.2f}x ours")
    finally:
        os.unlink(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["tcp", "load", "ct"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.only in (None, "tcp"):
        bench_tcp(args.rounds, args.seconds)
    if args.only in (None, "load"):
        bench_load(args.rounds, 100_000)
    if args.only in (None, "ct"):
        bench_ct()


if __name__ == "__main__":
    main()
