#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passes TCP connections on as over a long line: each byte takes half of the round trip either way, and all connections
together share the rate. To open a connection takes a round trip as well. Prints a line when it listens.

usage: slow_link.py LISTEN-PORT UPSTREAM-PORT ROUND-TRIP-MS [MBIT-PER-SECOND]
"""
import asyncio
import sys

PIECE = 64 * 1024
QUEUE_SECONDS = 0.05  # what a router's queue holds; who sends more waits


class Line:
    """One direction."""

    def __init__(self, delay, rate):
        self.delay = delay
        self.rate = rate
        self.free_at = 0.0

    def arrival(self, length):
        now = asyncio.get_running_loop().time()
        if self.rate:
            self.free_at = max(now, self.free_at) + length / self.rate
            return self.free_at + self.delay
        return now + self.delay

    async def wait_for_room(self):
        over = self.free_at - asyncio.get_running_loop().time() - QUEUE_SECONDS
        if over > 0:
            await asyncio.sleep(over)


async def send(reader, line, queue):
    try:
        while data := await reader.read(PIECE):
            await line.wait_for_room()
            queue.put_nowait((line.arrival(len(data)), data))
    except ConnectionError:
        pass
    queue.put_nowait((line.arrival(0), None))


async def deliver(queue, writer):
    try:
        while True:
            when, data = await queue.get()
            await asyncio.sleep(max(0, when - asyncio.get_running_loop().time()))
            if data is None:
                break
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    listen, upstream = int(sys.argv[1]), int(sys.argv[2])
    delay = float(sys.argv[3]) / 2000
    rate = float(sys.argv[4]) * 1e6 / 8 if len(sys.argv) > 4 else 0
    there, back = Line(delay, rate), Line(delay, rate)

    async def connection(reader, writer):
        await asyncio.sleep(2 * delay)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream)
        ends = []
        for source, line, target in (reader, there, up_writer), (up_reader, back, writer):
            queue = asyncio.Queue()
            ends += [send(source, line, queue), deliver(queue, target)]
        await asyncio.gather(*ends)

    server = await asyncio.start_server(connection, "127.0.0.1", listen, limit=4 * PIECE)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
