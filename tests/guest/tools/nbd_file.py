#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The smallest NBD device: shows what the guest's kernel does, with nothing of the project in it.

nbd_file.py connect FILE      serves FILE read-only on a new device from a process of its own, prints the device's number
nbd_file.py disconnect NUMBER
"""
import os
import socket
import struct
import sys

# linux/nbd-netlink.h, linux/nbd.h
CONNECT, DISCONNECT = 1, 2
INDEX, SIZE, BLOCK_SIZE, TIMEOUT, SERVER_FLAGS, SOCKETS, BACKEND = 1, 2, 3, 4, 5, 7, 10
HAS_FLAGS, READ_ONLY = 1, 2
REQUEST, REPLY = 0x25609513, 0x67446698
READ, END = 0, 2


def attribute(kind, value):
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + b"\0" * (-len(data) % 4)


def call(family, command, attributes):
    """Sends one generic netlink request; returns the first answer's attributes."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as netlink:  # NETLINK_GENERIC
        body = struct.pack("=BBH", command, 1, 0) + attributes
        netlink.send(struct.pack("=IHHII", 16 + len(body), family, 5, 1, 0) + body)  # NLM_F_REQUEST | NLM_F_ACK
        answer = netlink.recv(65536)
    if struct.unpack_from("=H", answer, 4)[0] == 2:  # NLMSG_ERROR, also an acknowledgement
        error = -struct.unpack_from("=i", answer, 16)[0]
        if error:
            raise OSError(error, os.strerror(error))
        return {}
    found, at = {}, 20
    while at + 4 <= struct.unpack_from("=I", answer)[0]:
        length, kind = struct.unpack_from("=HH", answer, at)
        found[kind & 0x3FFF] = answer[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def nbd(command, attributes):
    family = call(16, 3, attribute(2, b"nbd\0"))[1]  # GENL_ID_CTRL: GETFAMILY by name
    return call(struct.unpack("=H", family)[0], command, attributes)


def serve(server, file):
    while True:
        header = server.recv(28, socket.MSG_WAITALL)
        if len(header) < 28:
            return
        magic, _, kind, cookie, offset, length = struct.unpack(">IHHQQI", header)
        if magic != REQUEST or kind == END:
            return
        if kind != READ:
            server.sendall(struct.pack(">IIQ", REPLY, 1, cookie))
            continue
        data = os.pread(file, length, offset).ljust(length, b"\0")
        server.sendall(struct.pack(">IIQ", REPLY, 0, cookie) + data)


def connect(path):
    file = os.open(path, os.O_RDONLY)
    size = (os.fstat(file).st_size + 4095) & ~4095
    kernel, server = socket.socketpair()
    if os.fork() == 0:
        kernel.close()
        os.close(1)
        serve(server, file)
        os._exit(0)
    sockets = attribute(SOCKETS, attribute(1, attribute(1, struct.pack("=I", kernel.fileno()))))
    answer = nbd(CONNECT, sockets + attribute(SIZE, struct.pack("=Q", size))
                 + attribute(BLOCK_SIZE, struct.pack("=Q", 512)) + attribute(TIMEOUT, struct.pack("=Q", 0))
                 + attribute(SERVER_FLAGS, struct.pack("=Q", HAS_FLAGS | READ_ONLY))
                 + attribute(BACKEND, b"guest:smoke\0"))
    print(struct.unpack("=I", answer[INDEX])[0])


if sys.argv[1] == "connect":
    connect(sys.argv[2])
else:
    nbd(DISCONNECT, attribute(INDEX, struct.pack("=I", int(sys.argv[2]))))
