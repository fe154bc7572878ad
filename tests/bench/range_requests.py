#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks for random ranges of a blob on one connection, one at a time, and prints the median time in ns.

usage: range_requests.py HOST:PORT PATH LENGTH COUNT
"""
import http.client
import random
import sys
import time

host, path, length, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
connection = http.client.HTTPConnection(host)
connection.request("HEAD", path)
response = connection.getresponse()
response.read()
size = int(response.getheader("Content-Length"))
random.seed(1)
took = []
for _ in range(count):
    first = random.randrange(max(1, size - length))
    begin = time.monotonic_ns()
    connection.request("GET", path, headers={"Range": f"bytes={first}-{min(size, first + length) - 1}"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 206 or not body:
        sys.exit(f"the registry answered {response.status}")
    took.append(time.monotonic_ns() - begin)
print(sorted(took)[count // 2])
