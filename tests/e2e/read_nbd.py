#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a range of an export by the NBD protocol and writes it to standard output; exits 1 where the read fails.

usage: read_nbd.py SOCKET OFFSET LENGTH
"""
import socket
import struct
import sys


def exactly(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            sys.exit("the server closed the connection")
        data += part
    return data


path, offset, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(60)
    connection.connect(path)
    exactly(connection, 18)
    # No zeroes; NBD_OPT_EXPORT_NAME with the default name.
    connection.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0))
    exactly(connection, 10)
    connection.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, offset, length))
    magic, error, _ = struct.unpack(">IIQ", exactly(connection, 16))
    if magic != 0x67446698 or error:
        sys.exit(f"the read failed with error {error}")
    sys.stdout.buffer.write(exactly(connection, length))
    connection.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 2, 2, 0, 0))
