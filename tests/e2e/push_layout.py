#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes an image of an OCI layout, its blobs as they are (skopeo compresses plain layers), and prints the manifest's digest; with
--list also a line for each layer.

usage: push_layout.py LAYOUT TAG HOST:PORT REPOSITORY [--list]
"""
import json
import os
import sys

from push import Registry


def main():
    layout, tag, host, repository = sys.argv[1:5]
    registry = Registry(host, repository, None)

    def path_of(descriptor):
        return f"{layout}/blobs/{descriptor['digest'].replace(':', '/')}"

    with open(f"{layout}/index.json") as file:
        entries = json.load(file)["manifests"]
    entry = next(e for e in entries if e["annotations"]["org.opencontainers.image.ref.name"] == tag)
    with open(path_of(entry), "rb") as file:
        manifest = file.read()
    for blob in [json.loads(manifest)["config"], *json.loads(manifest)["layers"]]:
        with open(path_of(blob), "rb") as file:
            registry.put_blob(file, blob["digest"], os.path.getsize(path_of(blob)))
    registry.call("PUT", f"/v2/{repository}/manifests/{tag}", manifest, **{"Content-Type": entry["mediaType"]})
    print(entry["digest"])
    if sys.argv[5:] == ["--list"]:
        for number, layer in enumerate(json.loads(manifest)["layers"]):
            print(f"  layer {number}  {layer['mediaType'].rsplit('.', 1)[1]:8}  {layer['size'] / 1024:8,.0f} KiB")


main()
