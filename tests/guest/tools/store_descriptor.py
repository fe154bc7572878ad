#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has the service manager keep an empty file for a service, as if one of its processes had asked for that.

usage: store_descriptor.py SERVICE NAME

What was kept under this name is dropped before. The service has NotifyAccess=all.
"""
import os
import socket
import sys


def notify(manager, text, files):
    socket.send_fds(manager, [text.encode()], files)


def main():
    service, name = sys.argv[1:]
    with open(f"/sys/fs/cgroup/system.slice/{service}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.connect("/run/systemd/notify")
    notify(manager, f"FDSTOREREMOVE=1\nFDNAME={name}", [])
    notify(manager, f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", [os.memfd_create("stranger")])
    # The manager closes it when all that was sent before is done: it looks at who sent that.
    waiting, passed = os.pipe()
    notify(manager, "BARRIER=1", [passed])
    os.close(passed)
    os.read(waiting, 1)


main()
