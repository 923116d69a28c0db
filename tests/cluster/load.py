"""Clients that write down every answer as they get it, and ask again, of any node, until they get one.

Each client keeps a file of its own, NAME.ndjson, a JSON object a line, as checker.py reads them:
  {"say": "try", "op", "id", "who", "begun"}: sent for the first time;
  {"say": "ack", ..., "at", "node", "tries", and what was answered};
  {"say": "refused", ...}: surely without effect;
  {"say": "odd", "status", "body"}: an answer that no client may get.
Times are those of the system's steady clock, in seconds.
"""

import asyncio
import json
import random
import threading
import time
import uuid

PATIENCE = 4.0  # seconds until a client gives up on an answer, and asks somebody else
LAST_ANSWER = 120  # seconds; a bound, no promise
PEOPLE = 600  # who order; every fourth has not agreed to be written to
CAP = 10  # bids that a customer may get
RETRIABLE = {408, 429, 502, 503, 504}
RULES = 3  # documents that all editors edit


class Lost(Exception):
    """No answer came; whether anything was done is unknown."""


class Connection:
    """HTTP/1.1 to one node, opened when needed."""

    def __init__(self, host, port, key):
        self.host, self.port, self.key = host, port, key
        self.reader = self.writer = None

    def close(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def call(self, method, path, body=None, patience=PATIENCE, **more):
        """(status, headers, body)."""
        try:
            return await asyncio.wait_for(self._call(method, path, body, more), patience)
        except (OSError, asyncio.TimeoutError, EOFError, ValueError) as error:
            self.close()
            raise Lost(repr(error)) from None
        except BaseException:
            self.close()
            raise

    async def _call(self, method, path, body, more):
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        data = b"" if body is None else json.dumps(body).encode()
        head = {"Host": "cluster", "Authorization": f"Bearer {self.key}", **more}
        if body is not None:
            head |= {"Content-Type": "application/json", "Content-Length": len(data)}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        status, *fields = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in fields if ": " in line)
        text = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return int(status.split()[1]), headers, text


class Client:
    """`nodes`: a function that gives {name: (host, port)} of those that there are now."""

    op = "?"

    def __init__(self, name, folder, nodes, key, seed):
        self.name, self.nodes, self.key = name, nodes, key
        self.random = random.Random(f"{seed}/{name}")
        self.file = open(folder / f"{name}.ndjson", "a", buffering=1, encoding="utf-8")
        self.connections = {}
        self.count = 0

    def log(self, say, **what):
        self.file.write(json.dumps({"say": say, "op": self.op, **what}) + "\n")

    def connection(self):
        """To some node: (its name, a Connection)."""
        there = self.nodes()
        name = self.random.choice(list(there))
        mine = self.connections.get(name)
        if mine is None or (mine.host, mine.port) != there[name]:
            mine = self.connections[name] = Connection(*there[name], self.key)
        return name, mine

    async def ask(self, what, method, path, body=None, fields=None, fine=(200, 201), refused=()):
        """Sends until there is an answer, and logs it as `what`; returns its body, or None for one that refuses."""
        begun = time.monotonic()
        self.log("try", begun=begun, **what)
        tries = 0
        while True:
            node, connection = self.connection()
            tries += 1
            try:
                status, headers, text = await connection.call(method, path, body, X_Request_Id=what["id"], **(fields or {}))
            except Lost:
                status = 0
            if status in fine or status in refused:
                answer = json.loads(text) if text and status in fine else {}
                answer["headers"] = headers
                self.log("ack" if status in fine else "refused", begun=begun, at=time.monotonic(), node=node, tries=tries,
                         **what, **(self.told(answer) if status in fine else {}))
                return answer if status in fine else None
            if status and status not in RETRIABLE:
                self.log("odd", begun=begun, at=time.monotonic(), node=node, tries=tries, status=status,
                         body=text[:500].decode(errors="replace"), **what)
                return None
            await asyncio.sleep(self.random.uniform(0.02, 0.25))

    def told(self, _):
        """What of an answer the checker needs."""
        return {}

    def next_id(self):
        self.count += 1
        return f"{self.name}-{self.count}"

    async def run(self, running, pace):
        """Until `running` is no longer set: a request every `pace` seconds, or as fast as they are answered."""
        try:
            while running.is_set():
                await asyncio.sleep(self.random.uniform(0.5, 1.5) * pace)
                await self.one()
        finally:
            for connection in self.connections.values():
                connection.close()
            self.file.close()


class Orders(Client):
    """Events, each of which has a journey send a message."""

    op = "track"

    async def one(self):
        event, who = self.next_id(), f"p{self.random.randrange(PEOPLE)}"
        await self.ask({"id": event, "who": who}, "POST", "/v1/track",
                       {"userId": who, "event": "Ordered", "messageId": event, "properties": {"order": event}})


class Consents(Client):
    """Customers whom nobody else writes to, and anybody may read: each is a register that only this client sets."""

    op = "consent"

    def __init__(self, *args):
        super().__init__(*args)
        self.values = {}

    async def one(self):
        who = f"{self.name}-{self.random.randrange(20)}"
        if self.random.random() < 0.4 and who in self.values:
            return await self.read(who)
        self.values[who] = value = self.values.get(who, 0) + 1
        event = self.next_id()
        await self.ask({"id": event, "who": who, "value": value}, "POST", f"/v1/customers/{who}/consents",
                       {"purpose": "service", "channel": "CHANNEL_SMS", "granted": bool(value % 2), "origin": f"{event}/{value}"},
                       {"Idempotency_Key": event})

    async def read(self, who):
        begun = time.monotonic()
        node, connection = self.connection()
        try:
            status, _, text = await connection.call("GET", f"/v1/customers/{who}")
        except Lost:
            return
        if status == 200:
            held = [consent for consent in json.loads(text)["consents"] if consent["purpose"] == "service"]
            value = int(held[0]["origin"].rpartition("/")[2]) if held else 0
            self.log("read", who=who, value=value, begun=begun, at=time.monotonic(), node=node)
        elif status not in RETRIABLE:
            self.log("odd", who=who, begun=begun, at=time.monotonic(), node=node, status=status,
                     body=text[:500].decode(errors="replace"))


class Triggers(Client):
    """Starts of a journey; without the idempotency key, a repeat would start it again."""

    op = "trigger"

    def told(self, answer):
        return {"started": answer.get("started", False), "run": int(answer.get("run", 0))}

    async def one(self):
        event, who = self.next_id(), f"t{self.random.randrange(PEOPLE)}"
        await self.ask({"id": event, "who": who}, "POST", f"/v1/journeys/once/customers/{who}:trigger",
                       {"key": event, "data": {"n": self.count}}, {"Idempotency_Key": event})


class Bids(Client):
    """All of these clients bid for the same few customers, until their caps are used up."""

    op = "bid"

    def told(self, answer):
        bids = sum(len(seat["bid"]) for seat in answer.get("seatbid", []))
        return {"bids": bids}

    async def one(self):
        minute = int(time.monotonic() / 20)
        who = f"visitor-{minute}-{self.random.randrange(4)}"
        request = {"id": str(uuid.uuid4()), "tmax": 1000, "user": {"id": who}, "site": {"domain": "news.example"},
                   "imp": [{"id": "1", "banner": {"format": [{"w": 300, "h": 250}]}}]}
        node, connection = self.connection()
        begun = time.monotonic()
        try:
            status, _, text = await connection.call("POST", "/v1/bid", request)
        except Lost:
            return
        if status == 200:
            self.log("ack", who=who, begun=begun, at=time.monotonic(), node=node, **self.told(json.loads(text)))
        elif status != 204 and status not in RETRIABLE:
            self.log("odd", who=who, begun=begun, at=time.monotonic(), node=node, status=status,
                     body=text[:500].decode(errors="replace"))


class Edits(Client):
    """Edits of a few documents, each on the condition that nobody else was faster."""

    op = "edit"

    async def one(self):
        rule = f"rule-{self.random.randrange(RULES)}"
        node, connection = self.connection()
        try:
            status, headers, _ = await connection.call("GET", f"/v1/approval-rules/{rule}")
            if status != 200:
                return
            event, begun = self.next_id(), time.monotonic()
            self.log("try", id=event, who=rule, begun=begun)
            status, _, text = await connection.call(
                "PUT", f"/v1/approval-rules/{rule}", {"name": event, "role": "manager", "min_approvals": 1},
                If_Match=headers["etag"], X_Request_Id=event)
        except Lost:
            return
        what = {"id": event, "who": rule, "begun": begun, "at": time.monotonic(), "node": node}
        if status == 200:
            self.log("ack", revision=int(json.loads(text)["revision"]), **what)
        elif status == 412:
            self.log("refused", **what)
        elif status not in RETRIABLE:
            self.log("odd", status=status, body=text[:500].decode(errors="replace"), **what)


# How many of each, and how long each pauses on average between two requests.
CLIENTS = {Orders: (6, 0.1), Consents: (4, 0.08), Triggers: (3, 0.15), Bids: (4, 0.1), Edits: (3, 0.5)}


class Load:
    """Runs the clients in a thread, while the context lasts. Leaving it waits until each has its last answer."""

    def __init__(self, folder, nodes, key, seed):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.nodes, self.key, self.seed = folder, nodes, key, seed
        self.running = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)
        self.failure = None

    async def run(self):
        try:
            clients = [(kind(f"{kind.op}{number}", self.folder, self.nodes, self.key, self.seed), pace)
                       for kind, (count, pace) in CLIENTS.items() for number in range(count)]
            await asyncio.gather(*(client.run(self.running, pace) for client, pace in clients))
        except BaseException as failure:
            self.failure = failure
            raise

    def __enter__(self):
        self.running.set()
        self.thread.start()
        return self

    def __exit__(self, failed, *_):
        self.running.clear()
        self.thread.join(0 if failed else LAST_ANSWER)
        if not failed:
            assert not self.failure, self.failure
            assert not self.thread.is_alive(), f"some client still waits for an answer, {LAST_ANSWER} s after the last fault"
