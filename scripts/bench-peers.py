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
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from peers import OURS, OVS_DPDK, Switch
HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
HUGE_PAGES = 1400
TURNS, TURN_SECONDS = 5, 1.0


# ---- frames ----------------------------------------------------------------------------------------------------------

def frame(index, vlan):
    """One 60-byte UDP frame; `index` chooses addresses and ports."""
    rng = random.Random(index)
    src = (10 << 24) | (100 << 16) | rng.randrange(1 << 16)
    dst = (10 << 24) | (200 << 16) | (index & 0xFFFF)
    sport, dport = 1024 + (index >> 16) * 64 + rng.randrange(64), 1000 + rng.randrange(8)
    tag = struct.pack("!HH", 0x8100, 100) if vlan else b""
    ethernet = bytes.fromhex("020000000002") + bytes.fromhex("020000000001") + tag + struct.pack("!H", 0x0800)
    payload = bytes(60 - len(ethernet) - 28)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0, src, dst)
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + ip[12:]
    return ethernet + ip + struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def write_pcap(path, flows, vlan):
    order = list(range(flows))
    random.Random(1).shuffle(order)
    # A short pcap is repeated, so that its end does not show in the rate.
    repeats = max(1, 1000 // flows)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        frames = b"".join(struct.pack("<IIII", 0, 0, len(f), len(f)) + f for f in (frame(i, vlan) for i in order))
        out.write(frames * repeats)


# ---- rows of the table -----------------------------------------------------------------------------------------------

def row_c():
    rng = random.Random(3)
    flows = ["table=0,priority=1,ip,actions=resubmit(,1)"]
    for n in range(250):
        flows.append(f"table=1,priority={1000 + n},udp,nw_dst=10.200.{rng.randrange(256)}.{rng.randrange(256)},"
                     f"tp_dst={2000 + n},actions=drop")
        flows.append(f"table=1,priority={500 + n},udp,nw_src=10.101.{n}.0/24,tp_dst=0x{(n % 16) << 8:x}/0xff00,actions=drop")
    flows.append("table=1,priority=1,actions=resubmit(,2)")
    flows.append("table=2,priority=1,ip,actions=mod_dl_src:02:00:00:00:00:99,dec_ttl,output:2")
    return flows


def row_e():
    flows = [f"table={t},priority=1,ip,actions=load:{t}->NXM_NX_REG{t % 8}[],resubmit(,{t + 1})" for t in range(39)]
    return flows + ["table=39,priority=1,udp,nw_dst=10.200.0.0/16,actions=output:2"]


def row_f():
    rng = random.Random(5)
    flows = []
    for n in range(200):
        src, dst, port = rng.randrange(8, 33), rng.randrange(8, 33), rng.choice(["", ",tp_dst=4000", ",tp_src=4001"])
        flows.append(f"priority={1000 + n},udp,nw_src=172.{n}.1.1/{src},nw_dst=10.200.1.1/{dst}{port},actions=drop")
    return flows + ["priority=1,udp,actions=output:2"]


ROWS = {
    "a": ("in_port=1,actions=output:2", lambda: ["in_port=1,actions=output:2"]),
    "b": ("one prefix and a drop", lambda: ["priority=10,udp,nw_dst=10.200.0.0/16,actions=output:2", "priority=0,actions=drop"]),
    "c": ("500 ACL rules, 3 tables, edits", row_c),
    "e": ("40 tables, registers", row_e),
    "f": ("200 rules of many masks", row_f),
    "g": ("VLAN tag off, another on", lambda: ["dl_vlan=100,actions=strip_vlan,push_vlan:0x8100,set_field:4296->vlan_vid,output:2"]),
}


# ---- switches --------------------------------------------------------------------------------------------------------

class Measured(Switch):
    """A switch that forwards from a port `source` to a port `sink`, on the second core."""

    def __init__(self, name, binary, stack, options=()):
        super().__init__(name, binary, stack, ["other_config:pmd-cpu-mask=0x2", *options])

    def set_up(self, pcap, flows):
        path = f"{self.dir}/flows"
        with open(path, "w") as out:
            out.write("\n".join(flows) + "\n")
        self.vsctl("--if-exists", "del-br", "br0")
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
        self.run("ovs-ofctl", "-O", "OpenFlow13", "add-flows", "br0", path)
        self.vsctl("add-port", "br0", "sink", "--", "set", "interface", "sink", "ofport_request=2", *self.sink(), "--",
                   "add-port", "br0", "source", "--", "set", "interface", "source", "ofport_request=1", *self.source(pcap))

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

    def source(self, pcap):
        return ["type=replay", f"options:pcap={pcap}", "options:loop=true"]

    def sink(self):
        return ["type=null"]


class Peer(Measured):
    def __init__(self, stack):
        super().__init__("ovs", OVS_DPDK, stack,
                         ["other_config:dpdk-init=true", "other_config:dpdk-socket-mem=2048", "other_config:dpdk-lcore-mask=0x1",
                          "other_config:dpdk-extra=--no-pci --huge-unlink"])

    def source(self, pcap):
        return ["type=dpdk", f"options:dpdk-devargs=net_pcap0,rx_pcap={pcap},infinite_rx=1"]

    def sink(self):
        return ["type=dpdk", "options:dpdk-devargs=net_null0"]


# ---- the run ---------------------------------------------------------------------------------------------------------

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
    write_pcap(pcap, flows, vlan=row == "g")
    for switch in (ours, peer):
        os.kill(switch.process.pid, signal.SIGCONT)
        switch.set_up(pcap, ROWS[row][1]())
        switch.measure(1.0)
    totals = {ours: [0, 0.0], peer: [0, 0.0]}
    for _ in range(TURNS):
        for switch in (ours, peer):
            packets, seconds = switch.measure(TURN_SECONDS)
            totals[switch][0] += packets
            totals[switch][1] += seconds
    os.unlink(pcap)
    return tuple(packets / seconds / 1e6 for packets, seconds in (totals[ours], totals[peer]))


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
        print(f"Mpps, one core, {TURNS} turns of {TURN_SECONDS:.0f} s each: ours / Open vSwitch 3.1 with DPDK = ratio")
        print("row " + "".join(f"{n:>26} flows" for n in counts))
        for row in rows:
            cells = []
            for count in counts:
                mine, theirs = compare(ours, peer, row, count, directory)
                cells.append(f"{mine:8.2f} / {theirs:8.2f} = {mine / max(theirs, 1e-9):6.2f}x")
            print(f"{row}   " + "".join(f"{cell:>32}" for cell in cells) + f"   {ROWS[row][0]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
