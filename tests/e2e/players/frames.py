"""Sends frames through a box and takes what comes out on its other side.

usage: frames.py DEVICE DEVICE < CHUNKS > RESULTS

A chunk is a block of lines "SIDE HEX": the frame goes out of the device of that side (0 or 1). All frames of a chunk are on the way at
once; the next chunk waits until each has come out of the other device, or a while. A frame is known again by its IPv4 identification
or the low half of its IPv6 flow label, which are unique in a chunk. Results: for each frame, in order, what came out, or "-".
"""

import select
import socket
import sys
import time

PATIENCE_S = 20
ALL_PROTOCOLS = 3
SO_RCVBUFFORCE = 33


def open_device(name):
    device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    device.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    device.bind((name, ALL_PROTOCOLS))
    return device


def identity(frame):
    kind = frame[12:14]
    return kind, frame[18:20] if kind == b"\x08\x00" else frame[16:18]


def play(devices, frames):
    waiting = {(1 - side, identity(frame)): at for at, (side, frame) in enumerate(frames)}
    came = ["-"] * len(frames)
    for side, frame in frames:
        devices[side].send(frame)
    deadline = time.monotonic() + PATIENCE_S
    while waiting and time.monotonic() < deadline:
        for device in select.select(devices, [], [], 0.5)[0]:
            frame, address = device.recvfrom(65535)
            if address[2] != socket.PACKET_OUTGOING:
                at = waiting.pop((devices.index(device), identity(frame)), None)
                if at is not None:
                    came[at] = frame.hex()
    return came


def main():
    devices = [open_device(name) for name in sys.argv[1:3]]
    for chunk in sys.stdin.read().strip().split("\n\n"):
        lines = [line.split() for line in chunk.splitlines()]
        for result in play(devices, [(int(side), bytes.fromhex(text)) for side, text in lines]):
            print(result)


main()
