#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints which files of some folders below / make a layer, each ended by NUL, sorted: those that a start opens, and of the others as
many as it takes for the layer to have so many bytes.

usage: layer_list.py BYTES START-LIST FOLDER…
"""
import os
import sys

most = int(sys.argv[1])
with open(sys.argv[2]) as names:
    start = {name for name in names.read().splitlines() if name.startswith(tuple(folder + "/" for folder in sys.argv[3:]))}
chosen = set(start)
size = sum(os.path.getsize("/" + name) for name in start)
for folder in sys.argv[3:]:
    for where, folders, names in os.walk("/" + folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(where, name)
            if size >= most or path[1:] in chosen or not os.path.isfile(path) or os.path.islink(path) or not os.access(path, os.R_OK):
                continue
            chosen.add(path[1:])
            size += os.path.getsize(path)
sys.stdout.write("".join(name + "\0" for name in sorted(chosen)))
