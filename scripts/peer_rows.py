"""The rows of bench-peers.py: what is replayed, and through which flows."""

import dataclasses
import random
import struct
import typing

CLIENT, SERVER = "020000000001", "020000000002"
SYN, RST, ACK = 0x02, 0x04, 0x10


# ---- frames ----------------------------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Flow:
    """Addresses and ports of one conversation; `index` chooses them."""

    def __init__(self, index):
        rng = random.Random(index)
        self.src = (10 << 24) | (100 << 16) | rng.randrange(1 << 16)
        self.dst = (10 << 24) | (200 << 16) | (index & 0xFFFF)
        self.sport = 1024 + (index >> 16) * 64 + rng.randrange(64)
        self.dport = 1000 + rng.randrange(8)

    def reply(self):
        other = Flow.__new__(Flow)
        other.src, other.dst, other.sport, other.dport = self.dst, self.src, self.dport, self.sport
        return other

    def udp(self, vlan=False, macs=(SERVER, CLIENT)):
        """A 60-byte UDP frame."""
        tag = struct.pack("!HH", 0x8100, 100) if vlan else b""
        payload = bytes(60 - 14 - len(tag) - 28)
        return self.frame(17, struct.pack("!HHHH", self.sport, self.dport, 8 + len(payload), 0) + payload, tag, macs)

    def tcp(self, flags, seq, ack, macs=(SERVER, CLIENT)):
        """A TCP segment without payload."""
        header = struct.pack("!HHIIBBHHH", self.sport, self.dport, seq, ack, 0x50, flags, 0xFFFF, 0, 0)
        pseudo = struct.pack("!IIHH", self.src, self.dst, 6, len(header))
        header = header[:16] + struct.pack("!H", checksum(pseudo + header)) + header[18:]
        return self.frame(6, header, b"", macs).ljust(60, b"\0")

    def frame(self, protocol, transport, tag, macs):
        ethernet = bytes.fromhex(macs[0] + macs[1]) + tag + struct.pack("!H", 0x0800)
        ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(transport), 0, 0x4000, 64, protocol, 0, self.src, self.dst)
        return ethernet + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + transport


def one_way(index):
    return [Flow(index).udp()]


def tagged(index):
    return [Flow(index).udp(vlan=True)]


def both_ways(index):
    flow = Flow(index)
    return [flow.udp(), flow.reply().udp(macs=(CLIENT, SERVER))]


def handshake(index):
    """A connection that is opened and reset, so that the next time round it is a new one."""
    flow, back = Flow(index), (CLIENT, SERVER)
    return [flow.tcp(SYN, 1000, 0), flow.reply().tcp(SYN | ACK, 5000, 1001, back), flow.tcp(ACK, 1001, 5001),
            flow.tcp(RST | ACK, 1001, 5001)]


# ---- flow tables -----------------------------------------------------------------------------------------------------

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


def tracked():
    """One zone: what is new is committed, all is forwarded."""
    return ["ip,actions=ct(table=1)", "table=1,ct_state=+trk+new,ip,actions=ct(commit),output:2",
            "table=1,ct_state=+trk+est,ip,actions=output:2"]


def tracked_twice():
    """Two zones in turn."""
    return ["ip,actions=ct(zone=1,table=1)",
            "table=1,ct_state=+trk+new,ip,actions=ct(commit,zone=1),ct(zone=2,table=2)",
            "table=1,ct_state=+trk+est,ip,actions=ct(zone=2,table=2)",
            "table=2,ct_state=+trk+new,ip,actions=ct(commit,zone=2),output:2",
            "table=2,ct_state=+trk+est,ip,actions=output:2"]


def committed_in(zones):
    """Every packet is committed in so many zones, and dropped."""
    return ["ip,actions=" + ",".join(f"ct(commit,zone={zone})" for zone in range(100, 100 + zones))]


# ---- rows ------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Row:
    what: str
    flows: typing.Callable
    frames: typing.Callable = one_way
    # Connections that are alive meanwhile: made once, before the row's own flows are loaded.
    alive: int = 0
    # Packets of the pcap for each thing that is counted.
    packets_each: int = 1
    # With fewer flows than this a batch holds several steps of one conversation, and the row says nothing.
    least_flows: int = 1
    # The pcap is played once a turn, with no connection there before.
    once: bool = False
    unit: str = "Mpps"


ROWS = {
    "a": Row("in_port=1,actions=output:2", lambda: ["in_port=1,actions=output:2"]),
    "b": Row("one prefix and a drop", lambda: ["priority=10,udp,nw_dst=10.200.0.0/16,actions=output:2", "priority=0,actions=drop"]),
    "c": Row("500 ACL rules, 3 tables, edits", row_c),
    "e": Row("40 tables, registers", row_e),
    "f": Row("200 rules of many masks", row_f),
    "g": Row("VLAN tag off, another on",
             lambda: ["dl_vlan=100,actions=strip_vlan,push_vlan:0x8100,set_field:4296->vlan_vid,output:2"], tagged),
    "s": Row("ct, one way: every packet commits", tracked),
    "t": Row("ct, both directions", tracked, both_ways),
    "u": Row("ct in two zones, both directions", tracked_twice, both_ways),
    "n": Row("new TCP connections (handshake, reset)", tracked, handshake, packets_each=4, least_flows=100, unit="M/s"),
    "m": Row("the same, a million others alive", tracked, handshake, alive=1_000_000, packets_each=4, least_flows=100,
             unit="M/s"),
    "d": Row("new UDP connections, each by its first packet", tracked, least_flows=100_000, once=True, unit="M/s"),
    "l": Row("the same, a million others alive", tracked, alive=1_000_000, least_flows=100_000, once=True, unit="M/s"),
}


def write_pcap(path, count, frames):
    """A pcap of `count` flows in random order; the frames of one flow keep theirs."""
    order = list(range(count))
    random.Random(1).shuffle(order)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        # A short pcap is repeated, so that its end does not show in the rate.
        for _ in range(max(1, 1000 // count)):
            for step in zip(*(frames(index) for index in order)):
                out.write(b"".join(struct.pack("<IIII", 0, 0, len(f), len(f)) + f for f in step))
