#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the files of a list of SHA-256 sums again and again past the page cache, each byte compared, and tells the longest
pause.

usage: reader.py FOLDER SUMS OUTPUT [READERS]

It goes on until OUTPUT.stop exists. OUTPUT.N is of reader N, written anew after each file: JSON with files and bytes read,
failed reads and wrong files, and the longest time that one read took, in milliseconds.
"""
import hashlib
import os
import sys
import time

CHUNK = 256 * 1024


def read_file(path, told):
    """The digest of the file, or None where a read failed."""
    digest = hashlib.sha256()
    try:
        began = time.monotonic()
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            while True:
                piece = os.read(fd, CHUNK)
                now = time.monotonic()
                told["longest_ms"] = max(told["longest_ms"], round((now - began) * 1000))
                if not piece:
                    return digest.hexdigest()
                told["bytes"] += len(piece)
                digest.update(piece)
                began = time.monotonic()
        finally:
            os.close(fd)
    except OSError as error:
        told["failed"].append(f"{os.path.basename(path)}: {error.strerror}")
        return None


def tell(told, output):
    # By hand: the guest's python has no module json.
    text = str(told).replace("'", '"')
    with open(output + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(output + ".new", output)


def rotated(sums, number):
    """Another order for each round of each reader."""
    at = number * 7 % len(sums)
    return sums[at:] + sums[:at]


def read_all(folder, sums, output, number):
    told = {"files": 0, "bytes": 0, "failed": [], "wrong": [], "longest_ms": 0}
    rounds = number
    while not os.path.exists(output + ".stop"):
        rounds += 1
        for digest, name in rotated(sums, rounds):
            found = read_file(os.path.join(folder, name), told)
            if found is not None and found != digest:
                told["wrong"].append(name)
            told["files"] += 1
            tell(told, f"{output}.{number}")
            if os.path.exists(output + ".stop"):
                break


def main():
    folder, list_of_sums, output = sys.argv[1:4]
    readers = int(sys.argv[4]) if len(sys.argv) > 4 else 4
    with open(list_of_sums, encoding="utf-8") as file:
        sums = [tuple(line.rstrip("\n").split("  ", 1)) for line in file]
    children = []
    for number in range(readers):
        pid = os.fork()
        if pid == 0:
            read_all(folder, sums, output, number)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


main()
