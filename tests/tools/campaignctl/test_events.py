"""`campaignctl events` against a server that plays a node."""
import json
import os
import subprocess

import pytest

from fake_node import Handler, environment, listening

BINARY = os.environ["CAMPAIGNCTL"]


class Events(Handler):
    """Takes events, but those that are called "bad"; answers 503 as often as the server says."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.busy > 0:
            self.server.busy -= 1
            return self.answer(503, {"type": "/problems/overloaded", "title": "overloaded", "status": 503, "detail": "Busy."})
        self.server.seen.append((self.path, body))
        if self.path != "/v1/batch":
            return self.answer(200, {"success": True})
        rejected = [{"index": i, "type": "invalid-event", "detail": "It is bad.", "pointer": f"/batch/{i}/event"}
                    for i, event in enumerate(body["batch"]) if event.get("event") == "bad"]
        ids = [event["messageId"] for event in body["batch"] if event.get("event") != "bad"]
        new = set(ids) - self.server.ids
        self.server.ids |= new
        return self.answer(200, {"success": True, "accepted": len(new), "duplicates": len(ids) - len(new),
                                "rejected": rejected})


@pytest.fixture()
def server():
    with listening(Events, seen=[], ids=set(), busy=0) as node:
        yield node


@pytest.fixture()
def ctl(server, tmp_path):
    def run(*words, stdin=""):
        return subprocess.run([BINARY, "events", *words, "--server", server.url], cwd=tmp_path, input=stdin, text=True,
                              capture_output=True, timeout=60, env=environment(tmp_path))
    return run


def test_an_event_with_properties(server, ctl):
    run = ctl("send", "--user", "u1", "Order Completed", "--property", "total=12.5", "--property", "gift=true",
              "--property", "note=a=b", "--property", 'code="007"', "--property", 'items=[1,{"a":2}]', "--property", "empty=")
    assert run.returncode == 0, run.stderr
    (path, event), = server.seen
    assert path == "/v1/track" and len(event.pop("messageId")) == 36
    assert event == {"userId": "u1", "event": "Order Completed", "properties": {
        "total": 12.5, "gift": True, "note": "a=b", "code": "007", "items": [1, {"a": 2}], "empty": ""}}
    assert "Order Completed" in run.stdout and "--message-id" in run.stderr


def test_traits(server, ctl):
    assert ctl("identify", "--anonymous", "a1", "--trait", "email=a@b.c", "--message-id", "m",
               "--timestamp", "2026-01-31T08:30:00Z").returncode == 0
    assert server.seen == [("/v1/identify", {"anonymousId": "a1", "messageId": "m", "timestamp": "2026-01-31T08:30:00Z",
                                             "traits": {"email": "a@b.c"}})]


@pytest.mark.parametrize("form", ["table", "wide", "json", "jsonl", "yaml", "csv", "name"])
def test_every_format(server, ctl, tmp_path, form):
    (tmp_path / "e.ndjson").write_text('{"userId":"u","event":"e"}\n')
    for words in (["send", "--user", "u", "e"], ["identify", "--user", "u"], ["send", "--file", "e.ndjson"]):
        run = ctl(*words, "-o", form)
        assert run.returncode == 0 and run.stdout.strip(), run.stderr
        if form == "json":
            json.loads(run.stdout)


@pytest.mark.parametrize("words", [["send"], ["send", "e"], ["send", "--user", "u"], ["send", "--user", "u", "e", "--property", "x"],
                                   ["send", "--user", "u", "e", "--property", "=x"], ["send", "--file", "none"],
                                   ["send", "--file", "."], ["send", "--file", "x", "e"], ["send", "--file", "x", "--user", "u"],
                                   ["identify"], ["identify", "--user", "u", "--trait", "x"],
                                   ["send", "--user", "u", "e", "--timestamp", "soon"]])
def test_mistakes_are_told_before_anything_is_sent(server, ctl, words):
    run = ctl(*words)
    assert run.returncode == 2 and run.stdout == "" and not server.seen, run


def test_a_file_is_sent_in_batches_and_can_be_sent_again(server, ctl, tmp_path):
    lines = [json.dumps({"userId": f"u{i}", "event": "bad" if i == 700 else "e"}) for i in range(1, 1_202)]
    lines[9] = "{"
    (tmp_path / "e.ndjson").write_text("\n".join(lines) + "\n\n")
    server.busy = 2
    run = ctl("send", "--file", "e.ndjson", "-o", "json")
    assert run.returncode == 7, run.stderr
    told = json.loads(run.stdout)
    assert {name: told[name] for name in ("lines", "accepted", "duplicates", "rejected")} == \
        {"lines": 1_202, "accepted": 1_199, "duplicates": 0, "rejected": 2}
    assert [(line["line"], line["type"], line["pointer"]) for line in told["rejected_lines"]] == \
        [(10, "invalid-line", ""), (700, "invalid-event", "/event")]
    assert "line 700: It is bad. (at /event)" in run.stderr
    assert [len(body["batch"]) for _, body in server.seen] == [500, 500, 200]
    again = ctl("send", "--file", "-", "-o", "json", stdin=(tmp_path / "e.ndjson").read_text())
    assert json.loads(again.stdout)["duplicates"] == 1_199


def test_batches_keep_below_what_a_node_takes(server, ctl, tmp_path):
    event = {"userId": "u", "event": "e", "properties": {"p": "x" * 30_000}}
    (tmp_path / "e.ndjson").write_text((json.dumps(event) + "\n") * 40)
    assert ctl("send", "--file", "e.ndjson").returncode == 0
    assert len(server.seen) == 3 and all(len(json.dumps(body)) < 500_000 for _, body in server.seen)


def test_a_server_that_stays_busy(server, ctl, tmp_path):
    (tmp_path / "e.ndjson").write_text('{"userId":"u","event":"e"}\n' * 600)
    server.busy = 1_000
    run = ctl("send", "--file", "e.ndjson")
    assert run.returncode == 6 and run.stdout == ""
    assert "Busy." in run.stderr and "before line 1 are taken" in run.stderr
