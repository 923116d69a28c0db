"""The vendors' simulator, tools/vendor-sim, as a process: the witness of what has left."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from node import BUILT, PATIENCE, wait_for

VENDOR_SIM = Path(os.environ.get("VENDOR_SIM", BUILT / "vendor-sim/cx-vendor-sim"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Simulator:
    """A simulator's process, which prints its ports and is told by /_sim/ how to behave."""

    def __init__(self, binary, log, *flags):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen([binary, "--port", "0", *flags], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.port = self.port_of("port")
        self.url = f"http://127.0.0.1:{self.port}"

    def port_of(self, name):
        def printed():
            assert self.process.poll() is None, self.log.read_text()
            return re.search(rf"^{name} (\d+)$", self.log.read_text(), re.MULTILINE)

        return int(wait_for(f"a simulator to listen: {name}", printed)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def behave(self, **how):
        """behave(path="/hooks/a", mode="throttle", count=3); mode "ok" is good behaviour again."""
        self.ask("POST", "/_sim/behaviour", how)


class Vendor(Simulator):
    """Stays while nodes come and go. What it has taken is on its disk before it answers."""

    def __init__(self, folder):
        self.journal = folder / "vendor.ndjson"
        super().__init__(VENDOR_SIM, folder / "vendor.log", "--secret", SECRET, "--log", self.journal)

    def taken(self):
        """What it has taken for good, one object each time: {"id", "path", "signature", "body", ...}."""
        if not self.journal.exists():
            return []
        lines = [json.loads(line) for line in self.journal.read_text().splitlines() if line.endswith("}")]
        return [{**line, "body": json.loads(line["body"])} for line in lines if line["accepted"]]


def message_node(start, vendor, *flags):
    """A node that may call the simulator."""
    return start("--channels-allow-private", f"127.0.0.1:{vendor.port}", "--auth-key-requests", "0", *flags)


def ok(reply, *statuses):
    assert reply.status in (statuses or (200, 201)), (reply.status, reply.body)
    return reply.json() if reply.body else None


def webhook(node, vendor, name="hook", **account):
    """A channel account and a template of the same name, whose messages show all that a template sees."""
    ok(node.call("PUT", f"/v1/channels/{name}",
                 {"webhook": {"url": f"{vendor.url}/hooks/{name}", "secret": SECRET}, **account}))
    ok(node.call("PUT", f"/v1/templates/{name}", {"webhook": {}}))


def journey(node, name, definition, activate=True):
    ok(node.call("PUT", f"/v1/journeys/{name}", definition))
    if activate:
        ok(node.call("POST", f"/v1/journeys/{name}:activate", {}))


def consent(node, customer, granted=True, channel="CHANNEL_WEBHOOK", purpose="marketing", client=None):
    body = {"purpose": purpose, "channel": channel, "granted": granted}
    path = f"/v1/customers/{customer}/consents"
    return ok(client.call("POST", path, body) if client else node.call("POST", path, body))


SEND = {"channel": "CHANNEL_WEBHOOK", "via": "hook", "template": "hook"}
