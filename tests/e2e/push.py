#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes an image of one layer, the file as it is, and prints the layer's digest.

usage: push.py HOST:PORT REPOSITORY TAG MEDIA_TYPE FILE [--login USER:PASSWORD] [--platform OS/ARCH] [--single]

--single: the tag is the manifest itself, without an index of platforms before it
"""
import argparse
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import subprocess
import urllib.parse

OCI = "application/vnd.oci.image"


class Registry:
    def __init__(self, host, repository, login):
        self.connection = http.client.HTTPConnection(host)
        self.repository = repository
        self.headers = {}
        if login:
            self.headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()

    def call(self, method, path, body=None, **headers):
        self.connection.request(method, path, body, {**self.headers, **headers})
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise SystemExit(f"push: {method} {path}: {response.status} {text.decode(errors='replace')}")
        return response

    def put_blob(self, data, digest, size):
        begun = self.call("POST", f"/v2/{self.repository}/blobs/uploads/", **{"Content-Length": "0"})
        where = urllib.parse.urlsplit(begun.getheader("Location"))
        query = f"{where.query}&digest={digest}" if where.query else f"digest={digest}"
        self.call("PUT", f"{where.path}?{query}", data,
                  **{"Content-Type": "application/octet-stream", "Content-Length": str(size)})

    def put_manifest(self, reference, manifest):
        body = json.dumps(manifest).encode()
        self.call("PUT", f"/v2/{self.repository}/manifests/{reference}", body, **{"Content-Type": manifest["mediaType"]})


def digest_of(file):
    total = hashlib.sha256()
    while block := file.read(1 << 20):
        total.update(block)
    return "sha256:" + total.hexdigest()


def opened(file, media_type):
    """The file's bytes, decompressed as its type says."""
    if media_type.endswith("+gzip"):
        return gzip.open(file)
    if media_type.endswith("+zstd"):
        return io.BytesIO(subprocess.run(["zstd", "-dcq", file], stdout=subprocess.PIPE, check=True).stdout)
    return open(file, "rb")


def descriptor(media_type, digest, size):
    return {"mediaType": media_type, "digest": digest, "size": size}


def of_json(value):
    body = json.dumps(value).encode()
    return body, "sha256:" + hashlib.sha256(body).hexdigest()


def main():
    parser = argparse.ArgumentParser()
    for name in "host", "repository", "tag", "media_type", "file":
        parser.add_argument(name)
    parser.add_argument("--login")
    parser.add_argument("--platform", default="linux/amd64")
    parser.add_argument("--single", action="store_true")
    arguments = parser.parse_args()
    system, architecture = arguments.platform.split("/")
    registry = Registry(arguments.host, arguments.repository, arguments.login)

    size = os.path.getsize(arguments.file)
    with open(arguments.file, "rb") as file:
        layer = digest_of(file)
        file.seek(0)
        registry.put_blob(file, layer, size)
    with opened(arguments.file, arguments.media_type) as stream:
        diff_id = digest_of(stream)
    config, config_digest = of_json({"architecture": architecture, "os": system, "config": {},
                                     "rootfs": {"type": "layers", "diff_ids": [diff_id]}})
    registry.put_blob(config, config_digest, len(config))
    manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
                "config": descriptor(f"{OCI}.config.v1+json", config_digest, len(config)),
                "layers": [descriptor(arguments.media_type, layer, size)]}
    body, manifest_digest = of_json(manifest)
    registry.put_manifest(arguments.tag if arguments.single else manifest_digest, manifest)
    if arguments.single:
        print(layer)
        return
    entry = descriptor(manifest["mediaType"], manifest_digest, len(body))
    entry["platform"] = {"os": system, "architecture": architecture}
    registry.put_manifest(arguments.tag, {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [entry]})
    print(layer)


if __name__ == "__main__":
    main()
