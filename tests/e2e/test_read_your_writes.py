"""What was answered is seen by the next request, whichever connection it comes on."""

import asyncio
import json
import os
import random

from node import message
from vendor import ok

SEQUENCES = 100_000 if os.environ.get("CX_LONG") else 5_000
CONNECTIONS = 32


class Connection:
    def __init__(self, reader, writer, key):
        self.reader, self.writer, self.key = reader, writer, key
        self.lock = asyncio.Lock()

    async def call(self, method, path, body=None):
        fields = {"authorization": f"Bearer {self.key}"}
        data = b"" if body is None else json.dumps(body).encode()
        async with self.lock:
            self.writer.write(message(method, path, data, **fields))
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            reply = await self.reader.readexactly(length)
        assert status == 200, (status, reply)
        return json.loads(reply)


async def sequence(connections, number):
    """identify, track, trigger, read; each on a connection of its own choice."""
    call = lambda *what: random.choice(connections).call(*what)
    person = f"u{number}"
    await call("POST", "/v1/identify", {"userId": person, "traits": {"n": number}})
    await call("POST", "/v1/track", {"userId": person, "event": "Viewed", "messageId": f"v-{number}"})
    await call("POST", f"/v1/journeys/note/customers/{person}:trigger", {"data": {"n": number}})
    view = await call("GET", f"/v1/customers/{person}")
    assert view["traits"] == {"n": number}, view
    assert {event["name"]: event["count"] for event in view["events"]} == {"Viewed": "1", "identify": "1"}, view
    assert [run["journey"] for run in view["journeys"]] == ["note"] and view["journeys"][0]["running"], view
    if number % 50 == 0:
        entries = (await call("GET", f"/v1/customers/{person}/timeline"))["entries"]
        assert [entry["type"] for entry in entries] == ["journey", "track", "identify"], entries


async def run(port, key):
    connections = [Connection(*await asyncio.open_connection("127.0.0.1", port), key) for _ in range(CONNECTIONS)]
    numbers = iter(range(SEQUENCES))

    async def worker():
        for number in numbers:
            await sequence(connections, number)

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


def test_nothing_is_stale(start):
    node = start("--auth-key-requests", "0")
    ok(node.call("PUT", "/v1/journeys/note", {"trigger": {"api": {}}, "steps": [
        {"id": "rest", "wait": {"duration": "86400s"}}, {"id": "done", "exit": {}}]}))
    ok(node.call("POST", "/v1/journeys/note:activate", {}))
    asyncio.run(run(node.port, node.key))
