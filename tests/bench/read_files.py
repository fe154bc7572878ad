#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads files one after the other, whole, as a program's start does, and prints the SHA-256 of all of it, and the seconds it took.

usage: read_files.py ROOT LIST     LIST: a path below ROOT a line
       read_files.py ROOT          every file, in the order of folders
"""
import hashlib
import os
import sys
import time


def every_file(root):
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


root = sys.argv[1]
if len(sys.argv) > 2:
    with open(sys.argv[2]) as names:
        paths = [os.path.join(root, name) for name in names.read().splitlines()]
else:
    paths = every_file(root)
total = hashlib.sha256()
size = 0
begin = time.monotonic()
for path in paths:
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(256 * 1024):
            size += len(piece)
            total.update(piece)
print(total.hexdigest(), f"{time.monotonic() - begin:.6f}", size)
