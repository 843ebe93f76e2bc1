"""Connection tracking by ourselves: what a second worker brings, and what a SYN flood leaves of the traffic beside it.

Memory to memory: replay ports in, null ports out, nothing of the kernel. Both measurements compare two states in one run, by turns.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import statistics
import tempfile
import time

from peer_rows import SYN, Flow, both_ways, tracked, write_pcap
from peers import OURS, Switch

FLOWS = 10_000
GOOD_PPS = 500_000
SPOOFED = 500_000


class Replaying(Switch):
    """A switch with replay ports, each with a null port that its traffic goes to."""

    def __init__(self, name, stack, options=()):
        super().__init__(name, OURS, stack, options)
        self.ports = 0
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")

    def add(self, pcap, *options):
        """Adds a pair; returns the number of its null port."""
        self.ports += 2
        rx, tx = self.ports - 1, self.ports
        for flow in tracked():
            rule = flow.replace("output:2", f"output:{tx}").replace("ip,", f"ip,in_port={rx},", 1)
            self.run("ovs-ofctl", "add-flow", "br0", rule)
        self.vsctl("add-port", "br0", f"null{tx}", "--", "set", "interface", f"null{tx}", f"ofport_request={tx}", "type=null", "--",
                   "add-port", "br0", f"replay{rx}", "--", "set", "interface", f"replay{rx}", f"ofport_request={rx}", "type=replay",
                   f"options:pcap={pcap}", "options:loop=true", *options)
        return tx

    def remove(self, tx):
        self.vsctl("del-port", "br0", f"replay{tx - 1}", "--", "del-port", "br0", f"null{tx}")

    def counted(self, sinks):
        return sum(int(re.search(r"tx pkts=(\d+)", self.run("ovs-ofctl", "--no-names", "dump-ports", "br0", str(tx))).group(1))
                   for tx in sinks)

    def rate(self, sinks, seconds):
        """Packets a second that come to these null ports."""
        start, packets = time.monotonic(), self.counted(sinks)
        time.sleep(seconds)
        return (self.counted(sinks) - packets) / (time.monotonic() - start)

    def signal(self, number):
        os.kill(self.process.pid, number)


def conversations(first):
    return lambda index: both_ways(index + first)


def bench_workers(stack, directory, turns, seconds):
    pcaps = []
    for n in range(2):
        pcaps.append(f"{directory}/{n}.pcap")
        write_pcap(pcaps[-1], FLOWS, conversations(n * FLOWS))
    switches = {}
    for workers, mask in ((1, "0x2"), (2, "0x3")):
        switch = Replaying(f"w{workers}", stack, [f"other_config:n-workers={workers}", f"other_config:pmd-cpu-mask={mask}"])
        switches[workers] = (switch, [switch.add(pcap) for pcap in pcaps])
        switch.signal(signal.SIGSTOP)
    rates = {workers: [] for workers in switches}
    for turn in range(turns + 1):
        for workers, (switch, sinks) in switches.items():
            switch.signal(signal.SIGCONT)
            time.sleep(0.2)
            rate = switch.rate(sinks, seconds)
            switch.signal(signal.SIGSTOP)
            if turn > 0:
                rates[workers].append(rate / 1e6)
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    print(f"\nct, both directions, 2 x {FLOWS} flows, median of {turns} turns of {seconds} s")
    print(f"{'one worker':48}{one:8.2f} Mpps")
    print(f"{'two workers':48}{two:8.2f} Mpps{two / one:8.2f}x")


def spoofed_syn(index):
    flow, rng = Flow(index), random.Random(-index)
    flow.src, flow.sport = rng.randrange(1 << 24, 0xDF000000), rng.randrange(1024, 65536)
    return [flow.tcp(SYN, rng.randrange(1 << 32), 0)]


def bench_flood(stack, directory, turns, seconds):
    good, bad = f"{directory}/good.pcap", f"{directory}/bad.pcap"
    write_pcap(good, FLOWS, conversations(0))
    write_pcap(bad, SPOOFED, spoofed_syn)
    switch = Replaying("flood", stack, ["other_config:pmd-cpu-mask=0x2"])
    switch.run("ovs-appctl", "dpctl/ct-set-maxconns", "100000")
    sink = switch.add(good, f"options:rate={GOOD_PPS}")
    time.sleep(1)
    alone, beside, flood = [], [], []
    for _ in range(turns):
        alone.append(switch.rate([sink], seconds) / 1e6)
        other = switch.add(bad)
        time.sleep(1)
        flood.append(switch.rate([other], seconds) / 1e6)
        beside.append(switch.rate([sink], seconds) / 1e6)
        switch.remove(other)
        switch.ports -= 2
    alone, beside, flood = map(statistics.median, (alone, beside, flood))
    print(f"\nct, {FLOWS} connections at {GOOD_PPS / 1e6} Mpps, 100 000 at most, one worker, median of {turns} turns of {seconds} s")
    print(f"{'alone':48}{alone:8.2f} Mpps")
    print(f"{'beside a SYN flood that is forwarded at':48}{flood:8.2f} Mpps")
    print(f"{'':48}{beside:8.2f} Mpps{beside / alone:8.2f}x")


def bench_ct(turns=5, seconds=1):
    with contextlib.ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="turnout-bench-ct-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        bench_workers(stack, directory, turns, seconds)
    with contextlib.ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="turnout-bench-ct-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        bench_flood(stack, directory, turns, seconds)
