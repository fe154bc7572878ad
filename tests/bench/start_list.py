#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the files below /, a path a line, that the start of a shell and then of a python program open, in their order."""
import os
import subprocess
import sys

PYTHON = "/usr/bin/python3"
# What a service in python brings in before it does anything of its own.
PROGRAM = """
import argparse, asyncio, collections, concurrent.futures, csv, ctypes, dataclasses, datetime, decimal, email.message, hashlib
import http.client, http.server, inspect, json, logging.handlers, multiprocessing, pathlib, random, re, shutil, socket, sqlite3
import ssl, string, subprocess, sys, tarfile, tempfile, threading, traceback, typing, unittest, urllib.request, uuid, xml.dom.minidom, zipfile
mapped = [line.split()[-1] for line in open("/proc/self/maps") if line.split()[-1].startswith("/usr")]
for module in list(sys.modules.values()):
    mapped.append(getattr(module, "__cached__", None) or getattr(module, "__file__", None))
for path in [sys.executable] + mapped:
    print(path or "")
"""
SHELL_TOOLS = "bash", "ls", "cat", "grep", "sed", "awk", "find", "tar", "gzip", "env", "id", "date", "sort"


def opened():
    for name in SHELL_TOOLS:
        yield f"/usr/bin/{name}"
        linked = subprocess.run(["ldd", f"/usr/bin/{name}"], capture_output=True, text=True).stdout
        yield from (word for word in linked.split() if word.startswith("/"))
    yield from subprocess.run([PYTHON, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True).stdout.split()


seen = set()
for path in map(os.path.realpath, opened()):
    if path.startswith(("/usr/bin/", "/usr/share/", "/usr/lib/python", f"/usr/lib/{os.uname().machine}-linux-gnu/")) and os.path.isfile(path) and path not in seen:
        seen.add(path)
        sys.stdout.write(path[1:] + "\n")
