"""Events as Segment's own clients send them, and as nobody should."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from node import PATIENCE, ROOT, Node, message, wait_for

HERE = Path(__file__).resolve().parent / "segment"
CLIENTS = Path(os.environ.get("SEGMENT_CLIENTS", ROOT / "build/segment/node_modules"))


@pytest.fixture(scope="module")
def write_key(node):
    made = node.call("POST", "/v1/api-keys", {"name": "shop", "roles": ["source"]})
    assert made.status == 200, made
    return made.json()["secret"]


def post(node, path, body, key=None, **fields):
    """One event or batch, under a write key as the user of basic authentication."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    if key:
        fields["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    with node.client() as client:
        client.send(message("POST", path, body, **fields))
        return client.receive()


def customer(node, name):
    reply = node.get(f"/v1/customers/{name}")
    assert reply.status == 200, reply
    return reply.json()


def counts(node, name):
    return {event["name"]: int(event["count"]) for event in customer(node, name).get("events", [])}


def dead_letters(node):
    return node.get("/v1/deadletters?limit=1000").json().get("dead_letters", [])


def node_major():
    try:
        return int(subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout[1:].split(".")[0])
    except (OSError, subprocess.CalledProcessError):
        return 0


@pytest.mark.parametrize("client,needs", [("@segment/analytics-node", 20), ("analytics-node-2", 18)])
def test_segments_own_clients(node, write_key, client, needs):
    """The older one shows its write key in the body, the newer one in the header."""
    if not (CLIENTS / client).exists():
        pytest.skip(f"{client} is not in {CLIENTS}; tools/test installs it")
    if node_major() < needs:
        pytest.skip(f"{client} needs Node.js {needs}")
    user = "ana-" + client[-1]
    run = subprocess.run(["node", HERE / "send.js", client, f"http://127.0.0.1:{node.port}", user], capture_output=True,
                         text=True, timeout=PATIENCE, env=dict(os.environ, NODE_PATH=str(CLIENTS), WRITE_KEY=write_key))
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["problems"] == [] and len(told["delivered"]) == 31
    view = customer(node, user)
    assert view["traits"] == {"email": "ana@example.com", "plan": "premium", "address": {"city": "Bandung"}}
    assert counts(node, user).items() >= {"Order Completed": 25, "page": 1, "screen": 1}.items()
    timeline = node.get(f"/v1/customers/{user}/timeline?page_size=100").json()["entries"]
    orders = {entry["details"]["number"]: entry["details"] for entry in timeline if entry.get("name") == "Order Completed"}
    assert len(orders) == 25 and orders[2] == {"number": 2, "total": 25, "note": "é \U0001F600"}
    assert any(entry["type"] == "group" and entry["details"]["groupId"] == "acme" for entry in timeline)
    anonymous = customer(node, f"anonymous%3Aanonymous-{user}")["events"]
    # The client's clock seems to be behind by as long as the request took.
    assert [(event["name"], event["last"][:17]) for event in anonymous] == [("Signed Up", "2025-01-31T08:30:")]


def test_an_event_is_taken_once_and_read_at_once(node, write_key):
    for i in range(3):
        reply = post(node, "/v1/track", {"userId": "bob", "event": "Seen", "messageId": "m-1"}, write_key)
        assert (reply.status, reply.json()) == (200, {"success": True})
        assert counts(node, "bob") == {"Seen": 1}
    batch = {"batch": [{"type": "track", "userId": "bob", "event": "Seen", "messageId": f"m-{i}"} for i in range(10)]}
    assert post(node, "/v1/batch", batch, write_key).json() == \
        {"success": True, "accepted": 9, "duplicates": 1, "rejected": []}
    assert counts(node, "bob") == {"Seen": 10}


def test_a_page_shows_its_key_in_the_body(node, write_key):
    page = {"content_type": "text/plain;charset=UTF-8", "origin": "https://shop.example"}
    body = {"anonymousId": "x-1", "name": "Home", "writeKey": write_key}
    reply = post(node, "/v1/page", body, **page)
    assert reply.status == 200 and reply.headers["access-control-allow-origin"] == "*"
    assert counts(node, "anonymous%3Ax-1") == {"page": 1}
    assert post(node, "/v1/page", {**body, "writeKey": write_key[:-1] + "?"}, **page).status == 401


def test_who_has_seen_a_page_can_only_send_events(node, write_key):
    assert node.get("/v1/customers/bob", authorization=f"Bearer {write_key}").status == 403
    consent = {"purpose": "marketing", "channel": "CHANNEL_EMAIL", "granted": True}
    refused = node.call("POST", "/v1/customers/bob/consents", consent, key=write_key)
    assert refused.status == 403 and refused.problem()["type"] == "/problems/events-only"


def test_what_is_wrong_is_kept_with_its_reason_but_without_its_key(node, write_key):
    before = {letter["id"] for letter in dead_letters(node)}
    reply = post(node, "/v1/track", {"userId": "carl", "properties": {"total": 1}, "writeKey": write_key}, write_key)
    assert reply.status == 400
    problem = reply.problem()
    assert problem["type"] == "/problems/invalid-event" and problem["pointer"] == "/event"
    batch = {"writeKey": write_key, "sentAt": "2026-01-01T00:00:00Z", "batch": [
        {"type": "track", "userId": "carl", "event": "Fine"}, {"type": "track", "event": "Nobody's"}, 17]}
    told = post(node, "/v1/batch", batch, write_key).json()
    assert told["accepted"] == 1 and [one["index"] for one in told["rejected"]] == [1, 2]
    letters = [letter for letter in dead_letters(node) if letter["id"] not in before]
    assert len(letters) == 3 and all(letter["to"].startswith("intake/demo/") for letter in letters)
    assert sorted(letter["reason"] for letter in letters) == ["invalid-event", "invalid-event", "malformed-json"]
    bodies = [base64.b64decode(letter["command"]["body"]).decode() for letter in letters]
    assert not any(write_key in body for body in bodies) and any('"total": 1' in body for body in bodies)
    # Tried again it is as wrong as before, and not lost.
    assert node.call("POST", "/v1/deadletters:replay", {"id": letters[0]["id"]}).status == 200
    wait_for("it to be a dead letter again", lambda: len([letter for letter in dead_letters(node)
                                                          if letter["id"] not in before]) == 3)


def test_the_statuses_that_clients_read(node, write_key):
    event = {"userId": "dora", "event": "e"}
    assert post(node, "/v1/track", event).status == 401
    assert post(node, "/v1/track", event, "cx_aaaaaaaa_" + "a" * 40).status == 401
    assert post(node, "/v1/track", event, write_key, content_type="text/html").status == 415
    assert post(node, "/v1/track", {**event, "p": "x" * 33_000}, write_key).status == 413
    assert post(node, "/v1/batch", {"batch": [event], "p": "x" * 512_000}, write_key).status == 413
    assert post(node, "/v1/batch", {"batch": [{**event, "type": "track"}] * 2_501}, write_key).status == 413
    for bad in (b"", b"{", b"[]", b"null", b"\xff", b'{"batch":1}', b"{" * 100_000, b'{"batch":' + b"[" * 100_000):
        assert post(node, "/v1/batch", bad, write_key).status in (400, 413), bad[:20]
    assert post(node, "/v1/batch", {"batch": []}, write_key).status == 200


def test_what_was_answered_survives_a_crash(start):
    node = start()
    body = {"batch": [{"type": "track", "userId": f"u{i % 7}", "event": "Kept", "messageId": f"k-{i}"} for i in range(200)]}
    with node.client() as client:
        assert client.call("POST", "/v1/batch", body).json()["accepted"] == 200
        assert client.call("POST", "/v1/track", {"userId": "u0"}).status == 400
    node.kill()
    with Node(node.data.parent) as again, again.client() as client:
        seen = [client.get(f"/v1/customers/u{i}").json()["events"][0] for i in range(7)]
        assert sum(int(event["count"]) for event in seen) == 200
        assert client.call("POST", "/v1/batch", body).json()["duplicates"] == 200
        assert len(client.get("/v1/deadletters").json()["dead_letters"]) == 1


def test_the_command_line_sends_events(node, tmp_path):
    run = node.ctl("events", "identify", "--user", "eve", "--trait", "email=eve@example.com", "--trait", "age=40", "-o", "json")
    assert run.returncode == 0, run.stderr
    run = node.ctl("events", "send", "--user", "eve", "Order Completed", "--property", "total=12.5")
    assert run.returncode == 0, run.stderr
    assert customer(node, "eve")["traits"] == {"email": "eve@example.com", "age": 40}
    lines = [{"userId": "eve", "event": "Order Completed", "properties": {"total": i}} for i in range(1_200)]
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n{\n" + '{"event":"Nobody\'s"}\n')
    for accepted, duplicates in ((1_200, 0), (0, 1_200)):
        run = node.ctl("events", "send", "--file", file, "-o", "json")
        assert run.returncode == 7, run.stderr
        told = json.loads(run.stdout)
        assert (told["accepted"], told["duplicates"], told["rejected"]) == (accepted, duplicates, 2)
        assert [line["line"] for line in told["rejected_lines"]] == [1_202, 1_203]
    assert counts(node, "eve")["Order Completed"] == 1_201
