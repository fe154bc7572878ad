#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has umoci unpack the image "umoci" of a layout by make_image.py, and prints what a mount of the image "image" must be, as
list_tree.py does.

usage: umoci_tree.py LAYOUT BUNDLE

Where umoci's tree may differ, and why: a directory that no layer has as a member gets the time of unpacking, in the image it has
none. There are eleven of them.
"""
import subprocess
import sys
import time

from list_tree import list_tree

KIND, TIME = 1, 8  # fields of a line


def main():
    layout, bundle = sys.argv[1:]
    began = int(time.time())
    subprocess.run(["umoci", "--log=error", "unpack", "--image", f"{layout}:umoci", bundle], check=True)
    without_member = 0
    for line in list_tree(f"{bundle}/rootfs"):
        fields = line.split("|")
        if fields[KIND] == "dir" and int(fields[TIME]) >= began * 10**9:
            fields[TIME] = "0"
            without_member += 1
        print("|".join(fields))
    if without_member != 11:
        sys.exit(f"umoci_tree: {without_member} directories have the time of unpacking, 11 should")


main()
