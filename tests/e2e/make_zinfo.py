#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the smallest zinfo (src/gzip/README.md) of a gzip file: one checkpoint, at its first deflate block.

usage: make_zinfo.py FILE.gz OUTPUT
"""
import struct
import sys


def deflate_start(data):
    """Where the deflate stream of the first member begins (RFC 1952)."""
    flags, at = data[3], 10
    if flags & 4:
        at += 2 + struct.unpack_from("<H", data, at)[0]
    for bit in 8, 16:
        if flags & bit:
            at = data.index(0, at) + 1
    return at + (2 if flags & 2 else 0)


with open(sys.argv[1], "rb") as file:
    start = deflate_start(file.read(1 << 16))
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<IQ", 1, 4 << 20) + struct.pack("<QQB", start, 0, 0) + bytes(32768))
