#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an archive of 300,000 small files in 3,000 folders, and two of one half of them each.

usage: many_entries.py FILE.tar HALF.tar OTHER-HALF.tar
"""
import io
import sys
import tarfile



def write(path, folders):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for folder in folders:
            name = f"usr/lib/node_modules/package-{folder}"
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 1700000000 + folder
            archive.addfile(info)
            for number in range(99):
                info = tarfile.TarInfo(f"{name}/module-{number}.js")
                info.mode, info.mtime = 0o644, 1700000000 + folder * 100 + number
                data = b"exports.x = %d;\n" % number * (number % 7)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


for output, folders in zip(sys.argv[1:], (range(3000), range(1500), range(1500, 3000))):
    write(output, folders)
