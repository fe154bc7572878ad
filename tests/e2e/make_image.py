#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes an image of five layers as an OCI layout: a tree, and on it four layers with all that layers can do to one another.

usage: make_image.py BASE.tar LAYOUT

BASE.tar is the tree: it holds ./, usr/lib/, lib -> usr/lib and three regular files under usr/lib/python3 or so; it is appended
to. The layout's tags:

  image    its layers: tar+gzip, tar, tar+zstd of many frames, tar+gzip of several members, tar+gzip
  umoci    the same tree for Debian's umoci, which takes neither zstd nor GNU sparse members: the third layer is the same archive
           by gzip, and in the second a sparse file stands as pax has it
  lying    as image, but the diff_id of the second layer is another's
"""
import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile

OCI = "application/vnd.oci.image"
LONG = "n" * 255  # what a name may have at most
DEEP = "/".join(f"{i:02}" + "d" * 98 for i in range(9))  # 908 bytes: more than any header holds
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service=ep (linux/capability.h)


class Layer:
    """A layer's archive that is being made. Every member has a time of its own, to the nanosecond where pax holds it."""

    def __init__(self, path, form, append=False):
        self.tar = tarfile.open(path, "a" if append else "w", format=form)
        self.path = path
        self.pax = form == tarfile.PAX_FORMAT
        self.count = 0

    def add(self, name, data=b"", kind=tarfile.REGTYPE, mode=0o644, link="", xattrs=None, uid=0, gid=0, device=(0, 0),
            mtime=None):
        self.count += 1
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname, member.uid, member.gid = kind, mode, link, uid, gid
        member.devmajor, member.devminor = device
        member.size = len(data)
        member.mtime = 1600000000 + self.count
        if self.pax:
            member.pax_headers["mtime"] = mtime or f"{member.mtime}.{self.count:09}"
        for key, value in (xattrs or {}).items():
            member.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape")
        self.tar.addfile(member, io.BytesIO(data))

    def dir(self, name, mode=0o755, **more):
        self.add(name, kind=tarfile.DIRTYPE, mode=mode, **more)

    def link(self, name, target):
        self.add(name, kind=tarfile.LNKTYPE, link=target)

    def symlink(self, name, target, **more):
        self.add(name, kind=tarfile.SYMTYPE, mode=0o777, link=target, **more)

    def hide(self, name):
        folder, _, last = name.rpartition("/")
        self.add(f"{folder}/.wh.{last}".lstrip("/"))

    def hide_all(self, folder):
        self.add(f"{folder}/.wh..wh..opq")

    def finish(self):
        self.tar.close()

    def finish_by_sparse(self, name, form):
        """A file with holes goes last, as GNU tar writes it in this format."""
        end = self.tar.offset
        self.finish()
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.dirname(f"{folder}/{name}"))
            with open(f"{folder}/{name}", "wb") as file:
                for i in range(12):  # more ranges than one header holds
                    file.seek(i * 300000 + 100)
                    file.write(b"island %d\n" % i * 1000)
                file.truncate(5000000)
            os.utime(file.name, (0, 1500000000))
            sparse = subprocess.run(["tar", "--create", "--sparse", f"--format={form}", "--owner=0", "--group=0", "-C", folder, name],
                                    stdout=subprocess.PIPE, check=True).stdout
        with open(self.path, "r+b") as file:
            file.seek(end)
            file.write(sparse)
            file.truncate()


def base(path):
    """Adds what the other layers alter; returns files of the tree itself that they may alter."""
    with tarfile.open(path) as tar:
        files = [m.name.removeprefix("./") for m in tar if m.isreg() and m.size > 500 and "/lib/python3" in m.name]
    layer = Layer(path, tarfile.PAX_FORMAT, append=True)
    for name in ("", "/deleted-dir", "/deleted-dir/b", "/opaque", "/opaque/sub", "/late-opaque", "/dir-to-file", "/dir-to-file/x",
                 "/kept", "/zapped", "/dir-to-link", "/dir-to-hard"):
        layer.dir(f"odd{name}")
    for name in ("deleted", "deleted-dir/a", "deleted-dir/b/c", "opaque/old", "opaque/same", "opaque/sub/old", "late-opaque/old",
                 "replaced", "file-to-dir", "dir-to-file/x/y", "kept/one", "kept/two", "linked", "linked-2", "zapped/z",
                 "file-to-link", "file-to-fifo", "dir-to-link/inside", "dir-to-hard/inside",
                 "comes-back", "xattrs-go"):
        layer.add(f"odd/{name}", f"base {name}\n".encode() * 300,
                  xattrs={"user.gone": b"soon"} if name == "xattrs-go" else None)
    layer.add("odd/hard-a", b"one inode\n" * 5000, mode=0o600, uid=7, gid=8)
    layer.link("odd/hard-b", "odd/hard-a")
    layer.link("odd/hard-c", "./odd/hard-a")
    layer.symlink("odd/link-to-kept", "kept")
    layer.symlink("odd/link-to-dir", "kept")
    layer.symlink("odd/link-away", "/odd/kept")
    layer.symlink("odd/deleted-link", "kept")
    layer.finish()
    return files


def changes(path, files, sparse="gnu"):
    layer = Layer(path, tarfile.GNU_FORMAT)
    layer.hide("odd/deleted")
    layer.hide("odd/deleted-dir")
    layer.hide("odd/deleted-link")  # not what it leads to
    layer.hide("odd/comes-back")
    layer.hide("odd/was-never-there")
    layer.hide("odd/nor/was/this")
    layer.hide(files[2])
    layer.hide_all("odd/opaque")
    layer.add("odd/opaque/new", b"new\n")
    layer.add("odd/opaque/same", b"same name, of this layer\n")
    layer.add("odd/late-opaque/new", b"stands before the marker\n")
    layer.hide_all("odd/late-opaque")
    layer.add("odd/replaced", b"other\n", mode=0o600, uid=1000, gid=1000)
    layer.add(files[4], b"# replaced\n" * 40, mode=0o640)
    layer.dir("odd/file-to-dir", mode=0o711)
    layer.add("odd/file-to-dir/inside", b"inside\n")
    layer.add("odd/dir-to-file", b"now a file\n")
    layer.symlink("odd/file-to-link", "replaced")
    layer.symlink("odd/dir-to-link", "kept")
    layer.add("odd/file-to-fifo", kind=tarfile.FIFOTYPE)
    layer.dir("odd/link-to-dir", mode=0o700)  # what it led to stays
    layer.add("odd/link-to-dir/inside", b"inside\n")
    layer.add("odd/link-to-kept/three", b"by a symlink\n")
    layer.add("odd/link-away/four", b"by a symlink from the root\n")
    layer.link("odd/cross", "odd/linked")
    layer.link("odd/cross-2", files[6])
    layer.add("lib/through-symlink", b"usr-merge\n")
    layer.add("odd/" + LONG, b"long name\n")
    layer.dir("odd/" + DEEP)
    layer.add(f"odd/{DEEP}/{LONG[:90]}", b"long path\n")
    layer.symlink("odd/long-link", DEEP + "/" + LONG[:90])
    layer.link("odd/hard-to-long", f"odd/{DEEP}/{LONG[:90]}")
    layer.finish_by_sparse("odd/sparse-1", sparse)


def attributes(path, files):
    layer = Layer(path, tarfile.PAX_FORMAT)
    binary = bytes(range(256)) + b"\xff\n=\0"
    layer.dir("odd/xattrs", xattrs={"user.dir": b"of a directory"})
    layer.add("odd/xattrs/binary", b"x\n", xattrs={"user.binary": binary, "user.second": b"2", "trusted.root": b"\0\1"})
    layer.add("odd/xattrs/large", b"", xattrs={"user.large": binary * 8, "user.an.name=with equals": b"v"})
    layer.add("odd/xattrs/alike", b"y\n", xattrs={"user.second": b"2"})
    layer.symlink("odd/xattrs/link", "binary", xattrs={"trusted.of-link": b"l"})
    with open("/usr/bin/env", "rb") as file:
        layer.add("odd/xattrs/capable", file.read(), mode=0o755, xattrs={"security.capability": CAPABILITY})
    layer.add("odd/char", kind=tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    layer.add("odd/char-big", kind=tarfile.CHRTYPE, mode=0o600, device=(4095, 1048575))
    layer.add("odd/block", kind=tarfile.BLKTYPE, mode=0o660, gid=6, device=(259, 300))
    layer.add("odd/fifo", kind=tarfile.FIFOTYPE, mode=0o622)
    layer.add("odd/setuid", b"#!/bin/sh\n", mode=0o4755)
    layer.add("odd/setgid", b"#!/bin/sh\n", mode=0o2755)
    layer.dir("odd/sticky", mode=0o1777)
    layer.dir("odd/sticky-setgid", mode=0o3770)
    layer.add("odd/no-mode", b"secret\n", mode=0)
    layer.add("odd/empty")
    layer.add("odd/one-byte", b"1")
    for size in 4095, 4096, 4097, 1 << 20:
        layer.add(f"odd/size-{size}", (b"%d " % size * size)[:size])
    layer.add("odd/owner", b"o\n", uid=3000000000, gid=4000000000)
    layer.add("odd/before-1970", b"t\n", mtime="-1.5")
    layer.add("odd/nanosecond", b"t\n", mtime="1700000000.000000001")
    layer.add("odd/2100", b"t\n", mtime="4102444800.999999999")
    layer.add("odd/\u00e4\u00f6 \"quoted\" \\ \t\n", b"name\n")
    layer.finish_by_sparse("odd/sparse-2", "posix")


def more(path, files):
    layer = Layer(path, tarfile.PAX_FORMAT)
    layer.add("odd/comes-back", b"again\n")
    layer.hide("odd/replaced")
    layer.hide("odd/link-to-dir")
    layer.add("odd/linked", b"the other names keep the old content\n")
    layer.hide("odd/hard-c")
    layer.hide_all("odd/zapped")
    layer.link("odd/zapped/link", "odd/linked-2")
    layer.dir("odd/implicit/explicit")  # one whose parent is nowhere a member
    layer.link("odd/implicit/explicit/env", "odd/xattrs/capable")
    layer.add("odd/" + LONG, b"replaced by pax\n")
    layer.hide(f"odd/{DEEP}/{LONG[:90]}")
    layer.add("odd/file-to-fifo", b"a file once more\n")
    layer.link("odd/dir-to-hard", "odd/linked-2")
    layer.link("odd/hard-to-link", "odd/link-away")  # two names of a symlink
    layer.symlink("odd/dangling", "nowhere/deep")
    layer.add("odd/dangling/x", b"in odd/nowhere/deep\n")
    layer.add("./odd/./kept/..//dots", b"a path of dots\n")
    layer.hide("lib/through-symlink")
    layer.add("lib/through-symlink-2", b"usr-merge\n")
    layer.finish()


def last(path, files):
    layer = Layer(path, tarfile.PAX_FORMAT)
    layer.dir("odd/kept", mode=0o555, uid=99, xattrs={"user.new": b"its children stay"})
    layer.dir("odd/xattrs", mode=0o750)
    layer.add("odd/xattrs-go", b"without\n")
    layer.hide("odd/sticky")
    layer.dir("odd/sticky")
    layer.link("odd/last-link", "odd/cross")
    # umoci gives a directory in which it removed something the time of that, unless a member comes behind it.
    for folder in "odd", "usr/lib", os.path.dirname(files[2]):
        layer.dir(folder)
    layer.finish()


def gzipped(data, members=1):
    size = len(data) // members + 1
    return b"".join(gzip.compress(data[i:i + size], 1, mtime=0) for i in range(0, len(data), size))


def zstd_frames(data, size):
    """Frames of `size` bytes of data."""
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(subprocess.run(["zstd", "-q", "-c"], input=p, stdout=subprocess.PIPE, check=True).stdout for p in pieces)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def contents(path):
    with open(path, "rb") as file:
        return file.read()


class Layout:
    def __init__(self, path):
        self.path = path
        self.tags = []
        os.makedirs(f"{path}/blobs/sha256")

    def put(self, media_type, data):
        with open(f"{self.path}/blobs/sha256/{digest(data)[7:]}", "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def put_image(self, tag, layers, diff_ids):
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
                    "config": self.put(f"{OCI}.config.v1+json", json.dumps(config).encode()), "layers": layers}
        entry = self.put(manifest["mediaType"], json.dumps(manifest).encode())
        self.tags.append({**entry, "annotations": {"org.opencontainers.image.ref.name": tag}})

    def finish(self):
        with open(f"{self.path}/oci-layout", "w") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)
        with open(f"{self.path}/index.json", "w") as file:
            json.dump({"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": self.tags}, file)


def main():
    base_tar, path = sys.argv[1:]
    layout = Layout(path)
    files = base(base_tar)
    archives = [base_tar]
    with tempfile.TemporaryDirectory() as folder:
        for make in changes, attributes, more, last:
            archives.append(f"{folder}/{len(archives)}.tar")
            make(archives[-1], files)
        streams = [contents(name) for name in archives]
        changes(f"{folder}/umoci.tar", files, sparse="posix")
        for_umoci = contents(f"{folder}/umoci.tar")
    tar = f"{OCI}.layer.v1.tar"
    layers = [layout.put(tar + "+gzip", gzipped(streams[0])), layout.put(tar, streams[1]),
              layout.put(tar + "+zstd", zstd_frames(streams[2], 100000)), layout.put(tar + "+gzip", gzipped(streams[3], 4)),
              layout.put(tar + "+gzip", gzipped(streams[4]))]
    diff_ids = [digest(stream) for stream in streams]
    layout.put_image("image", layers, diff_ids)
    layout.put_image("lying", layers, [diff_ids[0], diff_ids[2], *diff_ids[2:]])
    layers[1], layers[2] = layout.put(tar, for_umoci), layout.put(tar + "+gzip", gzipped(streams[2]))
    layout.put_image("umoci", layers, [diff_ids[0], digest(for_umoci), *diff_ids[2:]])
    layout.finish()


main()
