#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes an image of gzip layers, the lowest first, as tag 1.0, and prints its manifest's digest and the blobs' size together.

usage: push_layers.py HOST:PORT REPOSITORY LAYER.tar.gz…
"""
import gzip
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from push import OCI, Registry, descriptor, digest_of, of_json


def main():
    registry = Registry(sys.argv[1], sys.argv[2], None)
    layers, diff_ids = [], []
    for path in sys.argv[3:]:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            digest = digest_of(file)
            file.seek(0)
            registry.put_blob(file, digest, size)
        with gzip.open(path, "rb") as file:
            diff_ids.append(digest_of(file))
        layers.append(descriptor(f"{OCI}.layer.v1.tar+gzip", digest, size))
    config, config_digest = of_json({"architecture": "amd64", "os": "linux", "config": {},
                                     "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    registry.put_blob(config, config_digest, len(config))
    manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
                "config": descriptor(f"{OCI}.config.v1+json", config_digest, len(config)), "layers": layers}
    _, digest = of_json(manifest)
    for reference in digest, "1.0":
        registry.put_manifest(reference, manifest)
    print(digest, sum(layer["size"] for layer in layers))


main()
