"""A campaignd process, and a plain HTTP/1.1 client that hides nothing of what the socket saw."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build/release/tools"
CAMPAIGND = Path(os.environ.get("CAMPAIGND", BUILT / "campaignd/campaignd"))
CAMPAIGNCTL = Path(os.environ.get("CAMPAIGNCTL", BUILT / "campaignctl/campaignctl"))
SHARED = Path(os.environ.get("CX_SHARED", ROOT.parent / "shared"))

PATIENCE = 60  # seconds: an upper bound for what takes milliseconds, also for a sanitized build on a busy machine
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def wait_for(what, condition):
    """Polls until `condition` returns something true, and returns that."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
    return result


def message(method, path, body=b"", version="1.1", **fields):
    """The bytes of a request. `content_type="text/plain"` sets that field, None leaves it out."""
    fields = {"host": "test", **fields}
    if method == "POST":
        fields = {"content_type": "application/json", "content_length": len(body), **fields}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} {path} HTTP/{version}\r\n{head}\r\n".encode() + body


def bid_message(request, **fields):
    """`request`: an object to send as JSON, or bytes to send as they are."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return message("POST", "/v1/bid", body, **fields)


@dataclass
class Reply:
    status: int
    headers: dict  # names in lower case
    body: bytes

    def json(self):
        return json.loads(self.body)

    def problem(self):
        """The RFC 9457 document that every error must be."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json()
        assert problem["status"] == self.status and problem["title"], problem
        assert problem["type"].startswith("/problems/") and problem["detail"], problem
        return problem


class Client:
    """One connection. A response that breaks off fails the test, here and not in the caller."""

    def __init__(self, port, key=None, host="127.0.0.1"):
        self.key = key  # shown by get() and call()
        self.socket = socket.create_connection((host, port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def reset(self):
        """Vanishes: the peer gets an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the node has heard enough; receive() shows what it said

    def receive(self, head=False):
        """The next reply, whole; None if the node closed the connection before the first byte of one."""
        try:
            if not self.file.peek(1):
                return None
        except ConnectionResetError:
            return None
        version, status, _ = self._line().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        while line := self._line():
            name, value = line.split(":", 1)
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value.strip()
        reply = Reply(int(status), headers, b"")
        if reply.status < 200 or reply.status in (204, 304):
            assert "content-length" not in headers, "RFC 9110, section 8.6"
        elif not head:
            size = int(headers["content-length"])
            reply.body = self.file.read(size)
            assert len(reply.body) == size, f"the response broke off: {reply}"
        return reply

    def _line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"the response broke off: {line}"
        return line[:-2].decode()

    def _credential(self):
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def get(self, path, **fields):
        return self.call("GET", path, **fields)

    def call(self, method, path, body=None, **fields):
        """`body`: an object to send as JSON, or bytes."""
        fields = {**self._credential(), **fields}
        if body is None:
            body = b""
            if method == "POST":
                fields.setdefault("content_type", None)
        else:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields = {"content_type": "application/json", "content_length": len(body), **fields}
        self.send(message(method, path, body, **fields))
        return self.receive()

    def bid(self, request, **fields):
        self.send(bid_message(request, **fields))
        return self.receive()


class Node:
    """A campaignd on a free port, with its data in `folder`. Leaving the context stops it, which must go well."""

    exit_code = 0  # what stop() expects

    def __init__(self, folder, *flags):
        self.stderr = folder / "stderr"
        self.data = folder / "data"
        self.terminated = self.killed = False
        command = [CAMPAIGND, "--http-port", "0", "--grpc-port", "0", "--data", self.data, *flags]
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        try:
            self.port = int(wait_for("campaignd to be ready", self._ready)[1])
            assert self.get("/readyz").status == 200
        except BaseException:
            self.process.kill()
            raise

    def _ready(self):
        assert self.process.poll() is None, f"campaignd did not start: {self.log()}"
        return re.search(r"ready: http://[^ ]+:(\d+)", self.log())

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                self.stop()
        finally:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.stderr.read_text(errors="replace")

    def terminate(self):
        assert self.process.poll() is None, f"campaignd ended by itself ({self.process.returncode}): {self.log()}"
        self.process.send_signal(signal.SIGTERM)
        self.terminated = True

    def kill(self):
        """Ends the process as a crash would."""
        self.process.kill()
        self.process.wait()
        self.terminated = self.killed = True

    def stop(self):
        """Ends the process, unless that has begun; it must end in good order."""
        if self.killed:
            return
        if not self.terminated:
            self.terminate()
        assert self.process.wait(PATIENCE) == self.exit_code, self.log()
        assert not SANITIZER.search(self.log()), self.log()

    @property
    def key(self):
        """The key of the administrator that the node made when it first started."""
        return (self.data / "admin.key").read_text().strip()

    def client(self, key=None):
        return Client(self.port, key or self.key)

    def get(self, path, **fields):
        return self.call("GET", path, **fields)

    def call(self, method, path, body=None, key=None, **fields):
        with self.client(key) as client:
            return client.call(method, path, body, **fields)

    def ctl(self, *words, **options):
        """Runs campaignctl against the node, as its administrator."""
        command = [CAMPAIGNCTL, "--server", f"http://127.0.0.1:{self.port}", "--key-file", self.data / "admin.key",
                   *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, HOME="/"), **options)

    def bid(self, request, **fields):
        with self.client() as client:
            return client.bid(request, **fields)

    def metric(self, name):
        """The value of a metric without labels."""
        return float(re.search(rf"^{name} (\S+)$", self.get("/metrics").body.decode(), re.MULTILINE)[1])

    def topology(self):
        return self.get("/v1/topology").json()["nodes"][0]

    def kind(self, name):
        """What topology says of an actor kind; in the JSON of Protobuf, 64-bit numbers are strings."""
        return next(kind for kind in self.topology()["kinds"] if kind["kind"] == name)
