#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon that means harm: listens on SOCKET and answers each call as MODE says. It speaks Varlink (src/control/README.md).

usage: hostile_daemon.py SOCKET MODE
       hostile_daemon.py . list                              the modes
       hostile_daemon.py SOCKET relay REAL [FOLDER TARGET]

relay passes everything on to the daemon that listens on REAL, and back; before it passes on that a mount is served, it moves FOLDER
to FOLDER.was and makes a symlink to TARGET of it.
"""
import json
import os
import socket
import sys
import threading
import time

ESCAPE = '\x1b]0;owned\x07\x1b[2J\u009b31m'
DIGEST = 'sha256:' + 'a' * 64
OPEN = {'size_bytes': 4 << 20, 'block_size': 4096, 'image_digest': DIGEST, 'index_identity': 'x'}
STATUS = {'name': 'other', 'generation': 'f' * 32, 'image': 'a:1' + ESCAPE, 'mountpoint': '/etc' + ESCAPE, 'health': 'failed',
          'reason': 'see ' + ESCAPE, 'integrity': 'verified', 'size_bytes': 1,
          'counters': dict.fromkeys(['reads', 'bytes_read', 'errors', 'fetch_requests', 'fetched_bytes', 'blob_bytes',
                                     'cache_hits', 'misses'], 0)}


def text(reply):
    return json.dumps(reply).encode() + b'\0'


def params(**parameters):
    return text({'parameters': parameters})


def with_open(**changes):
    return params(**{**OPEN, **changes})


def flood(peer, piece):
    while True:
        peer.sendall(piece)


def extra_descriptors(peer):
    files = [os.open('/etc/passwd', os.O_RDONLY) for _ in range(200)]
    socket.send_fds(peer, [with_open(size_bytes=1)], files)


# What Open is answered.
OPENS = {
    'no-size': lambda peer: peer.sendall(with_open(size_bytes=0)),
    'odd-size': lambda peer: peer.sendall(with_open(size_bytes=4097)),
    'huge-size': lambda peer: peer.sendall(with_open(size_bytes=1 << 63)),
    'negative-size': lambda peer: peer.sendall(with_open(size_bytes=-4096)),
    'odd-block': lambda peer: peer.sendall(with_open(block_size=3)),
    'bad-digest': lambda peer: peer.sendall(with_open(image_digest='../../etc/passwd')),
    'bad-generation': lambda peer: peer.sendall(with_open(generation='../x' + ESCAPE)),
    'extra-member': lambda peer: peer.sendall(with_open(mountpoint='/etc')),
    'extra-descriptors': extra_descriptors,
    'truncated': lambda peer: peer.sendall(with_open()[:20]),
    'closed': lambda peer: None,
    'not-json': lambda peer: peer.sendall(b'\xff\xfe{' + ESCAPE.encode() + b'\0'),
    'not-an-object': lambda peer: peer.sendall(text([1, 2])),
    'deep': lambda peer: peer.sendall(b'[' * 100000 + b'\0'),
    'endless-message': lambda peer: flood(peer, b'{"parameters":{"stage":"' + b'a' * 65536),
    'files-of-others': lambda peer: peer.sendall(text({'error': 'io.github.erofs-oci.FilesWanted',
                                                       'parameters': {'names': ['../../../etc/shadow']}})),
    'files-of-no-layout': lambda peer: peer.sendall(text({'error': 'io.github.erofs-oci.FilesWanted',
                                                          'parameters': {'names': ['index.json']}})),
    'escapes': lambda peer: peer.sendall(text({'error': 'io.github.erofs-oci.Failed',
                                               'parameters': {'kind': ESCAPE, 'errno': 1 << 40, 'message': ESCAPE}})),
    'unknown-error': lambda peer: peer.sendall(text({'error': 'x.y.' + ESCAPE})),
    'endless-progress': lambda peer: flood(peer, text({'parameters': {'stage': ESCAPE, 'done': 1, 'total': 1 << 62},
                                                       'continues': True})),
    'never-serves': lambda peer: peer.sendall(with_open()),
    'hangs-up': lambda peer: peer.sendall(with_open()),
    'serves-garbage': lambda peer: peer.sendall(with_open()),
    'refuses-to-serve': lambda peer: peer.sendall(with_open()),
}
GARBAGE = bytes(range(1, 251)) * 4


def serve_mount(peer, mode, files):
    """Serve: does nothing with what it is given, or worse."""
    if mode == 'refuses-to-serve':
        peer.sendall(text({'error': 'io.github.erofs-oci.Failed',
                           'parameters': {'kind': 'busy', 'errno': 16, 'message': 'no' + ESCAPE}}))
        return
    peer.sendall(params())
    if mode == 'hangs-up':
        while files:
            os.close(files.pop())
    elif mode == 'serves-garbage':
        threading.Thread(target=answer_garbage, args=(files[0],), daemon=True).start()


def answer_garbage(connection):
    while True:
        try:
            os.write(connection, GARBAGE)
        except OSError:  # fuse's says so, the other one's kernel ends it
            pass
        time.sleep(0.05)


def answer(peer, mode, call, files):
    method = call['method'].rsplit('.', 1)[1]
    if method == 'Open':
        OPENS[mode](peer)
        return mode not in ('closed', 'truncated')
    if method in ('Status', 'List'):
        peer.sendall(params(mounts=[STATUS] if method == 'Status' else []))
    elif method == 'BeginUnmount':
        peer.sendall(params(waiting=1 << 40))
    elif method == 'Serve':
        serve_mount(peer, mode, files)
    else:
        peer.sendall(params())
    return True


def serve(peer, mode):
    buffer, kept = b'', []
    try:
        while True:
            data, files, _, _ = socket.recv_fds(peer, 65536, 253)
            kept += files
            if not data:
                return
            buffer += data
            while b'\0' in buffer:
                message, buffer = buffer.split(b'\0', 1)
                if not answer(peer, mode, json.loads(message), kept):
                    return
    except OSError:
        pass
    finally:
        peer.close()
        if mode not in ('never-serves', 'serves-garbage'):
            for file in kept:
                os.close(file)


def swap(folder, target):
    os.rename(folder, folder + '.was')
    os.symlink(target, folder)


class Relay:
    """One connection to the daemon behind."""

    def __init__(self, peer, real, swapped):
        self.swapped = swapped
        self.asked_to_serve = False
        daemon = socket.socket(socket.AF_UNIX)
        daemon.connect(real)
        threading.Thread(target=self.pass_on, args=(daemon, peer, self.swap_once), daemon=True).start()
        self.pass_on(peer, daemon, self.note_serve)

    def note_serve(self, data):
        self.asked_to_serve |= b'.Serve"' in data

    def swap_once(self, _):
        if self.asked_to_serve and self.swapped:
            swap(*self.swapped)
            self.swapped = []

    @staticmethod
    def pass_on(source, sink, look_at):
        try:
            while True:
                data, files, _, _ = socket.recv_fds(source, 65536, 253)
                if not data:
                    break
                look_at(data)
                socket.send_fds(sink, [data], files)
                for file in files:
                    os.close(file)
        except OSError:
            pass
        for end in source, sink:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def main():
    path, mode, *more = sys.argv[1:]
    if mode == 'list':
        print('\n'.join(OPENS))
        return
    take = (lambda peer, _: Relay(peer, more[0], more[1:])) if mode == 'relay' else serve
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print('listening', flush=True)
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=take, args=(peer, mode), daemon=True).start()


main()
