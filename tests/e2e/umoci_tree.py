#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has umoci unpack the image "umoci" of a layout by make_image.py, and prints what a mount of the image "image" must be, as
list_tree.py does.

usage: umoci_tree.py LAYOUT BUNDLE

Where umoci's tree may differ, and why: a directory that no layer has as a member gets the time of unpacking, in the image it has
none. There are eleven of them.
"""
import re
import subprocess
import sys
import time

from list_tree import list_tree

KIND, TIME = 1, 8  # fields of a line

# What the tree is made to show must be in it, or be gone from it: else a mount that lost it would be as expected.
PRESENT = {
    "python3": r"usr/bin/python3(\.\d+)?\|file\|755\|0\|0\|1\|\d{6,}\|",
    "names of one inode": r"odd/hard-b\|file\|600\|7\|8\|2\|50000\|",
    "hard links across layers": r"odd/last-link\|file\|644\|0\|0\|2\|3600\|",
    "a file capability": r"odd/xattrs/capable\|.*security\.capability=0100000200040000",
    "other attributes": r"odd/xattrs/binary\|.*trusted\.root=0001,user\.binary=00010203",
    "nanoseconds": r"odd/nanosecond\|.*\|1700000000000000001\|",
    "times before 1970": r"odd/before-1970\|.*\|-1500000000\|",
    "device numbers": r"odd/char-big\|char\|600\|.*\|4095:1048575\|",
    "a block device": r"odd/block\|block\|660\|0\|6\|1\|0\|259:300\|",
    "large owners": r"odd/owner\|file\|644\|3000000000\|4000000000\|",
    "what replaced a directory": r"odd/dir-to-file\|file\|",
    "a directory that replaced a file": r"odd/file-to-dir\|dir\|711\|",
    "what an opaque directory's layer has": r"odd/opaque/new\|file\|",
}
GONE = {
    "deletions": r"odd/(deleted|deleted-dir|deleted-link|replaced)(/|\|)",
    "opaque directories": r"odd/(opaque/(old|sub)|late-opaque/old|zapped/z)(/|\|)",
    "whiteouts": r"(.*/)?\.wh\.",
}


def main():
    layout, bundle = sys.argv[1:]
    began = int(time.time())
    subprocess.run(["umoci", "--log=error", "unpack", "--image", f"{layout}:umoci", bundle], check=True)
    without_member = 0
    lines = []
    for line in list_tree(f"{bundle}/rootfs"):
        fields = line.split("|")
        if fields[KIND] == "dir" and int(fields[TIME]) >= began * 10**9:
            fields[TIME] = "0"
            without_member += 1
        lines.append("|".join(fields))
    print("\n".join(lines))
    missing = [what for what, pattern in PRESENT.items() if not any(re.match(pattern, line) for line in lines)]
    missing += [what for what, pattern in GONE.items() if any(re.match(pattern, line) for line in lines)]
    if missing:
        sys.exit(f"umoci_tree: the tree does not show: {', '.join(missing)}")
    if without_member != 11:
        sys.exit(f"umoci_tree: {without_member} directories have the time of unpacking, 11 should")


main()
