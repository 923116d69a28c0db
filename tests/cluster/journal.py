"""The journal as NATS holds it, read past campaignd: the log of every shard, message for message."""

import json
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter

BATCH = 500  # messages asked for at once


class NotNow(Exception):
    """The server refused."""


class Nats:
    """Just enough of a NATS client to read a stream."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), 5)
        self.file = self.socket.makefile("rb")
        self.file.readline()  # INFO
        self.inbox = f"_INBOX.cx{self.socket.getsockname()[1]}"
        self.send(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nPING\r\n' + f"SUB {self.inbox}.* 1\r\n".encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """(subject, reply subject, payload) of the next message."""
        while True:
            words = self.file.readline().decode().split()
            assert words, "NATS closed the connection"
            if words[0] == "PING":
                self.send(b"PONG\r\n")
            elif words[0] in ("MSG", "HMSG"):
                size, head = int(words[-1]), int(words[-2]) if words[0] == "HMSG" else 0
                data = self.file.read(size + 2)[head:-2]
                reply = words[3] if len(words) == (5 if words[0] == "MSG" else 6) else ""
                return words[1], reply, data
            elif words[0] == "-ERR":
                raise AssertionError(" ".join(words))

    def ask(self, subject, question):
        body = json.dumps(question).encode()
        self.send(f"PUB {subject} {self.inbox}.ask {len(body)}\r\n".encode() + body + b"\r\n")
        answer = json.loads(self.receive()[2] or b'{"error": "nobody answers"}')
        if "error" in answer:
            raise NotNow(f"{subject}: {answer}")
        return answer

    def stream(self, name):
        """(sequence in the stream, subject, payload) of every message that is there."""
        state = self.ask(f"$JS.API.STREAM.INFO.{name}", {})["state"]
        if not state["messages"]:
            return
        last = state["last_seq"]
        consumer = self.ask(f"$JS.API.CONSUMER.CREATE.{name}", {"stream_name": name, "config": {
            "deliver_policy": "all", "ack_policy": "none", "replay_policy": "instant"}})["name"]
        wanted = json.dumps({"batch": BATCH, "expires": 20_000_000_000}).encode()
        at = left = 0
        end = time.monotonic() + 60
        while at < last:
            if not left:
                self.send(f"PUB $JS.API.CONSUMER.MSG.NEXT.{name}.{consumer} {self.inbox}.all {len(wanted)}\r\n".encode()
                          + wanted + b"\r\n")
                left = BATCH
            subject, reply, data = self.receive()
            if not reply:  # a status: the consumer's server is not heard of yet, or has no more at the moment
                assert time.monotonic() < end, f"{name} ends at {at}, {last} was to be the last"
                left = 0
                time.sleep(0.05)
                continue
            at = int(reply.split(".")[-4])  # $JS.ACK. ... .STREAM-SEQUENCE.CONSUMER-SEQUENCE.TIME.PENDING
            left -= 1
            yield at, subject, data


def fields(data):
    """{number: [values]} of a serialised Protobuf message."""
    found, at = defaultdict(list), 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 2: None, 5: 4}[kind]
            size = varint() if size is None else size
            value = data[at:at + size]
            assert len(value) == size, "cut short"
            at += size
        found[number].append(value)
    return found


@dataclass(slots=True)
class Record:
    """One decision; `source` and `number` name the message that it answers."""

    shard: int
    sequence: int
    epoch: int
    entity: str
    source: str
    number: int


@dataclass(slots=True)
class Entry:
    """One message of a shard's log (ShardEntry)."""

    shard: int
    at: int  # sequence in the stream
    epoch: int
    after: int
    what: str  # "opened", "commit", "truncation"
    records: list = field(default_factory=list)


def record(data):
    """A JournalRecord."""
    message = fields(data)
    text = lambda number: message[number][-1].decode() if message[number] else ""
    number = lambda field: message[field][-1] if message[field] else 0
    name = fields(message[11][-1]) if message[11] else {}
    return Record(number(1), number(2), number(3), text(4), name[1][-1].decode() if name and name[1] else "",
                  name[2][-1] if name and name[2] else 0)


def entry(shard, at, data):
    """A ShardEntry that is whole."""
    message = fields(data)
    number = lambda field: message[field][-1] if message[field] else 0
    what = "opened" if message[6] else "commit" if message[7] else "truncation" if message[8] else "nothing"
    found = Entry(shard, at, number(1), number(2), what)
    for commit in message[7]:
        found.records += [record(one) for one in fields(commit)[1]]
    return found


def entries(messages):
    """Those of messages (stream sequence, subject, payload), in the order of the stream; parts are put together."""
    parts = defaultdict(list)  # by shard
    for at, subject, data in messages:
        shard = subject.rpartition(".")[2]
        if not shard.isdigit():  # the journal's own, of no shard
            continue
        shard, message = int(shard), fields(data)
        count = message[5][-1] if message[5] else 0
        if not count:
            parts.pop(shard, None)
            yield entry(shard, at, data)
            continue
        number = message[4][-1] if message[4] else 0
        if number != len(parts[shard]) or number and message[3] != parts[shard][0][0]:
            parts.pop(shard, None)
            if number:
                continue
        parts[shard].append((message[3], message[9][-1] if message[9] else b""))
        if number + 1 == count:
            yield entry(shard, at, b"".join(slice for _, slice in parts.pop(shard)))


def read(cluster):
    """Every entry of the cluster's journal, from a server that runs; its stream may still be without a leader."""
    server = next(server for name, server in cluster.servers.items() if cluster.state_of(name) == "running")
    end = time.monotonic() + 60
    while True:
        try:
            with Nats(server["host"], server["port"]) as nats:
                return sorted(entries(nats.stream(f"{cluster.name}_journal")), key=attrgetter("at"))
        except (OSError, NotNow):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
