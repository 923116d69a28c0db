"""The gateway on NATS, and what is published there, against a real nats-server."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest
from node import CAMPAIGNCTL, CAMPAIGND, PATIENCE, ROOT, Node, wait_for

NATS_SERVER = os.environ.get("CX_NATS_SERVER") or shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin")


class Nats:
    """A client of the text protocol, as small as it gets."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.socket.makefile("rb")
        assert self.file.readline().startswith(b"INFO")
        self.socket.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB _INBOX.test.* 1\r\n')

    def close(self):
        self.file.close()
        self.socket.close()

    def subscribe(self, subject):
        self.socket.sendall(f"SUB {subject} 2\r\nPING\r\n".encode())
        while self.file.readline() != b"PONG\r\n":
            pass

    def publish(self, subject, payload, reply="", **fields):
        head = "NATS/1.0\r\n" + "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        line = f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n"
        self.socket.sendall(line.encode() + head.encode() + body + b"\r\n")

    def receive(self):
        """(subject, headers in lower case, payload) of the next message."""
        while True:
            words = self.file.readline().split()
            assert words, "the server closed the connection"
            if words[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            if words[0] in (b"MSG", b"HMSG"):
                break
        data = self.file.read(int(words[-1]) + 2)[:-2]
        headers = {}
        if words[0] == b"HMSG":
            size = int(words[-2])
            first, *lines = data[:size].decode().split("\r\n")
            headers["status"] = first.removeprefix("NATS/1.0").strip()
            headers.update((line.split(":", 1)[0].lower(), line.split(":", 1)[1].strip()) for line in lines if line)
            data = data[size:]
        return words[1].decode(), headers, data

    def ask(self, subject, payload, **fields):
        self.publish(subject, payload, f"_INBOX.test.{time.monotonic_ns()}", **fields)
        _, headers, data = self.receive()
        return int(headers.get("cx-status") or headers["status"]), data


@pytest.fixture(name="nats")
def a_server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([NATS_SERVER, "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", tmp_path / "js"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for("nats-server to listen", listens)
        yield port
    finally:
        server.kill()
        server.wait()


def test_the_contract_bids_and_events_over_nats(nats, start):
    node = start("--nats-urls", f"nats://127.0.0.1:{nats}", "--nats-gateway-enabled", "true",
                 "--nats-gateway-publish", "true")
    client = Nats(nats)
    key = f"Bearer {node.key}"

    status, body = client.ask("cx.demo.customers.get", {"customer_id": "ana"})
    assert (status, json.loads(body)["type"]) == (401, "/problems/no-credential")
    status, _ = client.ask("cx.other.customers.get", {"customer_id": "ana"}, Authorization=key)
    assert status == 404, "another tenant's subjects are nobody's"

    event = {"userId": "ana", "event": "Ordered", "messageId": "m-1", "properties": {"order": "o-1"}}
    status, body = client.ask("cx.demo.events.track", event, Authorization=key)
    assert status == 200, body
    status, body = client.ask("cx.demo.customers.get", {"customer_id": "ana"}, Authorization=key)
    assert status == 200 and json.loads(body)["events"][0]["name"] == "Ordered", body
    assert client.ask("cx.demo.bids.bid", (ROOT / "config/bid-request.json").read_bytes())[0] == 200

    # What happened is told to whoever listens, from the journal.
    client.subscribe("cx.events.demo.>")
    client.publish("cx.demo.events.track", {**event, "messageId": "m-2"}, Authorization=key)
    subject, headers, _ = client.receive()
    assert subject == "cx.events.demo.customer.track"
    assert headers["ce-type"] == "cx.customer.track" and headers["ce-specversion"] == "1.0"
    client.close()


def test_what_a_node_knew_alone_comes_along_into_a_cluster(nats, tmp_path):
    folder = tmp_path / "n1"
    folder.mkdir()
    urls = f"nats://127.0.0.1:{nats}"
    event = {"userId": "ana", "event": "Ordered", "messageId": "m-1", "properties": {"order": "o-1"}}
    with Node(folder) as alone:
        key = alone.key
        assert alone.call("POST", "/v1/track", event).status == 200
        rule = alone.call("PUT", "/v1/delivery-policies/default", {"caps": []})
        assert rule.status in (200, 201), rule.body
        before = alone.get("/v1/customers/ana/timeline").json()["entries"]

    def migrate(*flags):
        command = [CAMPAIGNCTL, "storage", "migrate", "--data", folder / "data", "--nats-urls", urls, "-o", "json", *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    forgetful = subprocess.run([CAMPAIGND, "--data", folder / "data", "--nats-urls", urls, "--cluster-enabled", "true"],
                               capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert forgetful.returncode == 1 and f"campaignctl storage migrate --data {folder}/data" in forgetful.stderr
    moved = migrate()
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["outcome"] == "verified" and "shards: 50 %" in moved.stderr
    again = migrate("--quiet")
    assert again.returncode == 0 and int(json.loads(again.stdout)["skipped"]) > 0 and not again.stderr
    with Node(folder, "--nats-urls", urls, "--cluster-enabled", "true") as member:
        assert member.get("/v1/customers/ana/timeline", key=key).json()["entries"] == before
        assert member.get("/v1/delivery-policies/default", key=key).status == 200
        assert member.call("POST", "/v1/track", event, key=key).status == 200, "a repeat"
        assert len(member.get("/v1/customers/ana/timeline", key=key).json()["entries"]) == 1
        assert member.get("/v1/nodes", key=key).json()["nodes"][0]["shards"] == 1024
        assert member.get("/v1/shards/1024", key=key).status == 400
        refused = member.call("POST", "/v1/nodes/nobody:drain", {}, key=key)
        assert refused.status == 404 and refused.problem()["type"] == "/problems/unknown-node"
    assert migrate().returncode != 0, "the cluster has gone on since"
