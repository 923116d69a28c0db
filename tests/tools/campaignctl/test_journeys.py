"""`campaignctl journeys` validate, apply and simulate: the first and last without a server."""
import json
import os
import subprocess

import pytest

from fake_node import Handler, environment, listening

BINARY = os.environ["CAMPAIGNCTL"]

WELCOME = """
id: welcome
trigger: {event: {name: Signed Up}}
steps:
  - {id: hello, send: {channel: EMAIL, via: email-main, template: welcome}}
  - {id: two-days, wait: {duration: 172800s}}
  - {id: tips, send: {channel: EMAIL, via: email-main, template: tips}}
  - {id: end, exit: {}}
"""
BROKEN = """
trigger: {event: {name: Signed Up}}
steps:
  - {id: hello, send: {channel: EMAIL, via: email-main, template: welcome}, next: nowhere}
  - {id: over, exit: {}}
"""
HISTORY = [
    {"type": "track", "userId": "u2", "event": "Signed Up", "timestamp": "2026-03-01T22:30:00Z", "messageId": "b"},
    {"type": "track", "userId": "u1", "event": "Signed Up", "timestamp": "2026-03-01T00:00:00Z", "messageId": "a"},
    {"type": "consent", "userId": "u2", "purpose": "marketing", "channel": "email", "granted": True,
     "timestamp": "2026-02-01T00:00:00Z"},
]


class Journeys(Handler):
    """Keeps definitions by id, with a revision and an ETag."""

    def do_GET(self):
        found = self.server.stored.get(self.path.rsplit("/", 1)[1])
        if found is None:
            return self.answer(404, {"type": "/problems/not-found", "title": "not found", "status": 404, "detail": "None."})
        return self.answer(200, found)

    def do_PUT(self):
        name = self.path.rsplit("/", 1)[1]
        before = self.server.stored.get(name)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if before is not None and self.headers.get("If-Match") != f'"{before["etag"]}"':
            return self.answer(412, {"type": "/problems/etag-mismatch", "title": "changed", "status": 412, "detail": "Changed."})
        revision = int(before["revision"]) + 1 if before else 1
        self.server.stored[name] = {**body, "id": name, "revision": str(revision), "etag": f"r{revision}"}
        return self.answer(200, self.server.stored[name])


@pytest.fixture()
def server():
    with listening(Journeys, stored={}) as node:
        yield node


@pytest.fixture()
def ctl(tmp_path):
    (tmp_path / "welcome.yaml").write_text(WELCOME)
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "history.ndjson").write_text("".join(json.dumps(line) + "\n" for line in HISTORY))

    def run(*words, stdin=""):
        return subprocess.run([BINARY, "journeys", *words], cwd=tmp_path, input=stdin, text=True, capture_output=True,
                              timeout=60, env=environment(tmp_path))
    run.folder = tmp_path
    return run


def test_a_valid_definition(ctl):
    run = ctl("validate", "welcome.yaml")
    assert (run.returncode, run.stdout) == (0, "")
    assert "valid" in run.stderr
    assert json.loads(ctl("validate", "welcome.yaml", "-o", "json").stdout) == {"valid": True, "problems": []}


def test_everything_that_is_wrong_with_its_place(ctl):
    run = ctl("validate", "broken.yaml")
    assert run.returncode == 10
    assert run.stdout.splitlines() == [
        "broken.yaml/steps/0/next: There is no step called nowhere. (unknown-step)",
        "broken.yaml/steps/1: No way leads from the first step to over. Lead to it, or remove it. (unreachable-step)"]
    told = json.loads(ctl("validate", "broken.yaml", "-o", "json").stdout)
    assert [(p["type"], p["pointer"]) for p in told["problems"]] == [
        ("unknown-step", "/steps/0/next"), ("unreachable-step", "/steps/1")]


@pytest.mark.parametrize("text,problem", [
    ('{"trigger": {}, "stepps": []}', "unknown-field"),
    ('{"trigger": {"api": {}}, "steps": [{"id": "a", "wait": {"duration": "soon"}}]}', "invalid-value"),
    ('{"trigger": {"api": {}}, "steps": [{"id": "a", "exit": {"reason": "%s"}}]}' % ("x" * 201), "too-long"),
])
def test_what_no_definition_has(ctl, text, problem):
    run = ctl("validate", "-", "-o", "json", stdin=text)
    assert run.returncode == 10, run.stderr
    assert [p["type"] for p in json.loads(run.stdout)["problems"]] == [problem]


@pytest.mark.parametrize("text", ["[1]", "{", "- a\n- b"])
def test_what_is_no_document(ctl, text):
    assert ctl("validate", "-", stdin=text).returncode == 7


def test_apply_stores_what_is_new_and_shows_what_changes(server, ctl):
    at = ("--server", f"http://127.0.0.1:{server.server_port}")
    run = ctl("apply", "welcome.yaml", "--yes", "-o", "json", *at)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["revision"] == "1"
    assert server.stored["welcome"]["steps"][1]["wait"]["duration"] == "172800s"

    again = json.loads(ctl("apply", "welcome.yaml", "--yes", "-o", "json", *at).stdout)
    assert again == {"id": "welcome", "stored": False, "revision": "", "changes": []}

    (ctl.folder / "welcome.yaml").write_text(WELCOME.replace("172800s", "86400s"))
    dry = json.loads(ctl("apply", "welcome.yaml", "--dry-run", "-o", "json", *at).stdout)
    assert dry["changes"] == [{"change": "changed", "pointer": "/steps/1/wait/duration", "before": "172800s",
                               "after": "86400s"}]
    assert server.stored["welcome"]["revision"] == "1"
    run = ctl("apply", "welcome.yaml", "--yes", *at)
    assert run.returncode == 0 and "/steps/1/wait/duration" in run.stdout
    assert "activate welcome" in run.stderr
    assert server.stored["welcome"]["revision"] == "2"


def test_apply_asks_first_and_takes_the_name_of_the_file(server, ctl):
    at = ("--server", f"http://127.0.0.1:{server.server_port}")
    (ctl.folder / "hello-again.yaml").write_text(WELCOME.replace("id: welcome\n", ""))
    assert ctl("apply", "hello-again.yaml", *at).returncode == 2  # nobody to ask
    assert not server.stored
    assert ctl("apply", "hello-again.yaml", "--yes", *at).returncode == 0
    assert list(server.stored) == ["hello-again"]
    assert ctl("apply", "-", "--yes", *at, stdin=WELCOME.replace("id: welcome\n", "")).returncode == 2
    broken = ctl("apply", "broken.yaml", "--yes", *at)
    assert broken.returncode == 7 and "/steps/0/next" in broken.stderr and "validate broken.yaml" in broken.stderr


def test_simulate_says_who_would_get_what(ctl):
    run = ctl("simulate", "welcome.yaml", "--history", "history.ndjson")
    assert run.returncode == 0, run.stderr
    assert "2 events of 2 customers" in run.stdout and "nothing was sent" in run.stderr
    rows = ctl("simulate", "welcome.yaml", "--history", "history.ndjson", "-o", "csv").stdout.splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [
        ["2026-03-01T00:00:00Z", "u1", "hello"], ["2026-03-01T22:30:00Z", "u2", "hello"],
        ["2026-03-03T00:00:00Z", "u1", "tips"], ["2026-03-03T22:30:00Z", "u2", "tips"]]


def test_simulate_with_policy_and_consents(ctl):
    (ctl.folder / "policy.yaml").write_text('quiet_hours: [{start: "22:00", end: "08:00"}]\n')
    told = json.loads(ctl("simulate", "welcome.yaml", "--history", "history.ndjson", "--policy", "policy.yaml",
                          "--consent", "recorded", "--until", "2026-03-03", "-o", "json").stdout)
    assert [(m["at"], m["customer"], m["outcome"], m["rule"]) for m in told["messages"]] == [
        ("2026-03-01T00:00:00Z", "u1", "refused", "consent"), ("2026-03-01T22:30:00Z", "u2", "deferred", "quiet-hours"),
        ("2026-03-02T08:00:00Z", "u2", "sent", ""), ("2026-03-03T00:00:00Z", "u1", "refused", "consent")]
    assert told["runs"] == {"started": 2, "completed": 1, "exited": 0, "under_way": 1}
    none = json.loads(ctl("simulate", "welcome.yaml", "--history", "history.ndjson", "--consent", "none", "-o", "json").stdout)
    assert {m["outcome"] for m in none["messages"]} == {"refused"}


def test_simulate_leaves_out_what_is_no_event(ctl):
    (ctl.folder / "history.ndjson").write_text('nonsense\n\n{"type":"track","userId":"u","event":"Signed Up"}\n' +
                                               json.dumps(HISTORY[0]) + "\n")
    run = ctl("simulate", "welcome.yaml", "--history", "history.ndjson", "-o", "json")
    assert run.returncode == 0 and json.loads(run.stdout)["unreadable_lines"] == 2
    assert "line 1:" in run.stderr and "line 3:" in run.stderr
    assert ctl("simulate", "welcome.yaml", "--history", "none.ndjson").returncode == 2
    assert ctl("simulate", "welcome.yaml").returncode == 2
    assert ctl("simulate", "broken.yaml", "--history", "history.ndjson").returncode == 7
