#!/usr/bin/env python3
"""Measures this switch against Debian's Open vSwitch with DPDK, memory to memory, on one core, in one run.

Both replay the same pcap into a port that counts and drops, through the same flows, loaded by ovs-ofctl. They take turns: while
one forwards, the other is stopped, so the machine's drift falls on both alike. Rates come from the counters of the null port,
by `ovs-ofctl dump-ports`.

Needs root and huge pages (asks the kernel for them); leaves nothing behind.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from peer_rows import ROWS, committed_in, one_way, write_pcap
from peers import OURS, OVS_DPDK, Switch

HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
HUGE_PAGES = 1400
TURNS, TURN_SECONDS = 5, 1.0
# Flows of the pcap that makes connections which are to be alive beside a row's own.
CROWD = 100_000


# ---- switches --------------------------------------------------------------------------------------------------------

class Measured(Switch):
    """A switch that forwards from a port `source` to a port `sink`, on the second core."""

    def __init__(self, name, binary, stack, options=()):
        super().__init__(name, binary, stack, ["other_config:pmd-cpu-mask=0x2", *options])

    def keep_alive(self, connections, pcap, flows):
        """Makes so many connections, of which `flows` come in each of several zones."""
        zones = connections // flows
        self.set_up(pcap, committed_in(zones))
        os.kill(self.process.pid, signal.SIGCONT)
        deadline = time.monotonic() + 60
        while int(self.run("ovs-appctl", "dpctl/ct-get-nconns")) < connections:
            if time.monotonic() > deadline:
                sys.exit(f"bench-peers: {self.name} does not come to {connections} connections")
            time.sleep(0.1)

    def set_up(self, pcap, flows, loop=True):
        path = f"{self.dir}/flows"
        with open(path, "w") as out:
            out.write("\n".join(flows) + "\n")
        self.vsctl("--if-exists", "del-br", "br0")
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
        self.run("ovs-ofctl", "-O", "OpenFlow13", "add-flows", "br0", path)
        self.vsctl("add-port", "br0", "sink", "--", "set", "interface", "sink", "ofport_request=2", *self.sink())
        self.vsctl("add-port", "br0", "source", "--", "set", "interface", "source", "ofport_request=1", *self.source(pcap, loop))

    def counted(self):
        text = self.run("ovs-ofctl", "--no-names", "dump-ports", "br0", "2")
        return int(re.search(r"tx pkts=(\d+)", text).group(1))

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def measure(self, seconds):
        """Packets and seconds of one turn."""
        os.kill(self.process.pid, signal.SIGCONT)
        time.sleep(0.2)
        start, packets = time.monotonic(), self.counted()
        time.sleep(seconds)
        packets = self.counted() - packets
        seconds = time.monotonic() - start
        self.pause()
        return packets, seconds


class Ours(Measured):
    def __init__(self, stack):
        super().__init__("turnout", OURS, stack)

    def source(self, pcap, loop=True):
        return ["type=replay", f"options:pcap={pcap}", f"options:loop={str(loop).lower()}"]

    def sink(self):
        return ["type=null"]


class Peer(Measured):
    def __init__(self, stack):
        super().__init__("ovs", OVS_DPDK, stack,
                         ["other_config:dpdk-init=true", "other_config:dpdk-socket-mem=2048", "other_config:dpdk-lcore-mask=0x1",
                          "other_config:dpdk-extra=--no-pci --huge-unlink"])

    def source(self, pcap, loop=True):
        return ["type=dpdk", f"options:dpdk-devargs=net_pcap0,rx_pcap={pcap}" + (",infinite_rx=1" if loop else "")]

    def sink(self):
        return ["type=dpdk", "options:dpdk-devargs=net_null0"]


# ---- the run ---------------------------------------------------------------------------------------------------------

def measure_once(switch, pcap, row):
    """Packets and seconds of one pass over the pcap, but for its first and last tenth. (What comes before the port is in its bridge goes nowhere.)"""
    os.kill(switch.process.pid, signal.SIGCONT)
    # Without a bridge there is nothing to flush.
    switch.try_run("ovs-appctl", "dpctl/flush-conntrack", "zone=0")
    switch.set_up(pcap, row.flows(), loop=False)
    samples, still_since = [(time.monotonic(), switch.counted())], time.monotonic()
    while time.monotonic() < still_since + 0.5:
        samples.append((time.monotonic(), switch.counted()))
        if samples[-1][1] > samples[-2][1]:
            still_since = samples[-1][0]
    switch.pause()
    last = samples[-1][1]
    middle = [sample for sample in samples if 0.1 * last <= sample[1] <= 0.9 * last]
    if len(middle) < 2:
        sys.exit(f"bench-peers: {switch.name} is through {last} packets between two looks: take more flows")
    return middle[-1][1] - middle[0][1], middle[-1][0] - middle[0][0]


def huge_pages(stack):
    before = open(HUGE).read().strip()
    stack.callback(lambda: open(HUGE, "w").write(before))
    # Free memory lies in pieces on a machine that has built something: the page cache is let go, and the rest moved together.
    for knob in ("/proc/sys/vm/drop_caches", "/proc/sys/vm/compact_memory"):
        with open(knob, "w") as out:
            out.write("1")
    with open(HUGE, "w") as out:
        out.write(str(max(int(before), HUGE_PAGES)))
    if int(open(HUGE).read()) < HUGE_PAGES:
        sys.exit(f"bench-peers: the kernel gave fewer than {HUGE_PAGES} huge pages of 2 MiB")
    mount = tempfile.mkdtemp(prefix="turnout-bench-huge-")
    stack.callback(os.rmdir, mount)
    subprocess.run(["mount", "-t", "hugetlbfs", "nodev", mount], check=True)
    stack.callback(subprocess.run, ["umount", mount])


def compare(ours, peer, row, flows, directory):
    pcap = f"{directory}/{row}-{flows}.pcap"
    row = ROWS[row]
    write_pcap(pcap, flows, row.frames)
    crowd = f"{directory}/crowd.pcap"
    if row.alive:
        write_pcap(crowd, CROWD, one_way)
    for switch in (ours, peer):
        os.kill(switch.process.pid, signal.SIGCONT)
        if row.alive:
            switch.keep_alive(row.alive, crowd, CROWD)
        if not row.once:
            switch.set_up(pcap, row.flows())
            switch.measure(1.0)
    totals = {ours: [0, 0.0], peer: [0, 0.0]}
    for _ in range(TURNS):
        for switch in (ours, peer):
            packets, seconds = measure_once(switch, pcap, row) if row.once else switch.measure(TURN_SECONDS)
            totals[switch][0] += packets
            totals[switch][1] += seconds
    os.unlink(pcap)
    return tuple(packets / row.packets_each / seconds / 1e6 for packets, seconds in (totals[ours], totals[peer]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=" ".join(ROWS), help="rows to measure (default: all)")
    parser.add_argument("--flows", default="1 1000 10000 100000", help="numbers of flows")
    args = parser.parse_args()
    rows, counts = args.rows.split(), [int(n) for n in args.flows.split()]
    if unknown := set(rows) - set(ROWS):
        sys.exit(f"bench-peers: no such row: {' '.join(sorted(unknown))}; there are {' '.join(ROWS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as stack:
        huge_pages(stack)
        directory = tempfile.mkdtemp(prefix="turnout-bench-pcap-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        ours, peer = Ours(stack), Peer(stack)
        print(f"One core, {TURNS} turns of {TURN_SECONDS:.0f} s each: ours / Open vSwitch 3.1 with DPDK = ratio")
        print("row " + "".join(f"{n:>26} flows" for n in counts))
        for row in rows:
            cells = []
            for count in counts:
                if count < ROWS[row].least_flows:
                    cells.append("-")
                    continue
                mine, theirs = compare(ours, peer, row, count, directory)
                cells.append(f"{mine:8.2f} / {theirs:8.2f} = {mine / max(theirs, 1e-9):6.2f}x")
            print(f"{row}   " + "".join(f"{cell:>32}" for cell in cells) + f"   {ROWS[row].what}, {ROWS[row].unit}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
