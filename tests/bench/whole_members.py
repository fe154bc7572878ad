#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies an archive that was cut off anywhere up to its last whole member, and ends it.

usage: whole_members.py CUT.tar WHOLE.tar
"""
import os
import sys
import tarfile


def end_of_members(path):
    size = os.path.getsize(path)
    end = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                after = member.offset_data + (member.size + 511 & ~511 if member.isreg() else 0)
                if after > size:
                    break
                end = after
    except tarfile.ReadError:
        pass  # cut in a header
    return end


def main():
    end = end_of_members(sys.argv[1])
    with open(sys.argv[1], "rb") as cut, open(sys.argv[2], "wb") as whole:
        while end > 0 and (piece := cut.read(min(1 << 20, end))):
            whole.write(piece)
            end -= len(piece)
        whole.write(bytes(1024))


main()
