#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads random blocks of 4 KiB of an export by the NBD protocol, DEPTH at a time, and compares them with a copy of the device.
Prints the median latency, and the time of all, in ns.

usage: random_reads.py SOCKET COPY COUNT DEPTH SEED
"""
import os
import random
import socket
import struct
import sys
import time

BLOCK = 4096


def exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            sys.exit("the server closed the connection")
        data += part
    return bytes(data)


path, copy, count, depth, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
random.seed(seed)
reference = os.open(copy, os.O_RDONLY)
# Not in its last MiB, which is a gap.
offsets = [BLOCK * random.randrange((os.fstat(reference).st_size - (1 << 20)) // BLOCK) for _ in range(count)]
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(120)
    connection.connect(path)
    exactly(connection, 18)
    # No zeroes; NBD_OPT_EXPORT_NAME with the default name.
    connection.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0))
    exactly(connection, 10)
    begun, took = {}, []
    begin = time.monotonic_ns()
    sent = 0
    while len(took) < count:
        while sent < count and len(begun) < depth:
            begun[sent] = time.monotonic_ns()
            connection.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, sent, offsets[sent], BLOCK))
            sent += 1
        magic, error, number = struct.unpack(">IIQ", exactly(connection, 16))
        if magic != 0x67446698 or error:
            sys.exit(f"the read at {offsets[number]} failed with error {error}")
        data = exactly(connection, BLOCK)
        took.append(time.monotonic_ns() - begun.pop(number))
        if data != os.pread(reference, BLOCK, offsets[number]):
            sys.exit(f"the read at {offsets[number]} gave other bytes")
    print(sorted(took)[count // 2], time.monotonic_ns() - begin)
