#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints all that can be seen of every entry under a folder, a line each, sorted by path: path, type, mode, owner, group, links,
size, device, time in nanoseconds, target, attributes, SHA-256. Needs no more of Python than Debian's python3-minimal.

usage: list_tree.py FOLDER

A directory's size is left out: each filesystem counts its own.
"""
import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFCHR: "char", stat.S_IFBLK: "block",
         stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}


def text(name):
    return repr(os.fsencode(name))[2:-1]


def sha256(path):
    total = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def describe(path, shown):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    xattrs = [f"{text(name)}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in names]
    fields = [text(shown), KINDS[kind], f"{stat.S_IMODE(info.st_mode):o}", info.st_uid, info.st_gid, info.st_nlink,
              "-" if kind == stat.S_IFDIR else info.st_size, f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}",
              info.st_mtime_ns, text(os.readlink(path)) if kind == stat.S_IFLNK else "-", ",".join(xattrs) or "-",
              sha256(path) if kind == stat.S_IFREG else "-"]
    return "|".join(map(str, fields))


def list_tree(root):
    lines = [describe(root, ".")]
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            lines.append(describe(path, os.path.relpath(path, root)))
    return sorted(lines)


if __name__ == "__main__":
    print("\n".join(list_tree(sys.argv[1])))
