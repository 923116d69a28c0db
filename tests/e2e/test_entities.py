"""What operators see of entities, shards and dead letters."""

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

import pytest
from node import CAMPAIGNCTL, PATIENCE, Node, message, wait_for
from openrtb import bid_request, bids, somebody

TENANT = "demo"


def bid_for(node, count=1):
    """The address of a customer who has just been seen, with a bid in each of `count` requests."""
    user = somebody()
    for _ in range(count):
        assert bids(node.bid(bid_request(user=user)))
    return f"customer/{TENANT}/{user['id']}"


def ask(node, path, **query):
    return node.get(path + "?" + urlencode(query))


def entity(node, address, **query):
    reply = ask(node, "/v1/entity", address=address, **query)
    assert reply.status == 200, reply
    return reply.json()


def history(node, address, **query):
    reply = ask(node, "/v1/entity/history", address=address, **query)
    assert reply.status == 200, reply
    return reply.json()


def recorded(node, address, count):
    """The history, once it has the records of that many bids, of each a reservation and what was bid: those of relaxed commands
    come a little later."""
    return wait_for(f"{2 * count} records", lambda: (found := history(node, address))
                    and len(found["records"]) >= 2 * count and found)


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_an_entity_is_there_once_it_was_asked_for(node):
    address = bid_for(node)
    seen = recorded(node, address, 1)
    shown = entity(node, address)
    assert shown["address"] == seen["address"] == address and shown["kind"] == "customer"
    assert shown["shard"] == seen["shard"] and 0 <= shown["shard"] < 1024
    assert shown["sequence"] == seen["records"][-1]["sequence"] and shown["schema"] == 1
    assert shown["state"]["@type"] == "type.googleapis.com/cx.v1.CustomerState"
    assert len(shown["state"]["reserved_at"]) == 1
    assert abs(datetime.now(timezone.utc) - time_of(shown["as_of"])) < timedelta(seconds=PATIENCE)


def test_one_that_was_never_seen_is_shown_as_it_would_wake_up(node):
    shown = entity(node, f"customer/{TENANT}/nobody")
    assert shown["sequence"] == "0" and shown["state"]["reserved_at"] == []
    assert history(node, f"customer/{TENANT}/nobody")["records"] == []


def test_a_history_tells_what_led_to_the_state(node):
    address = bid_for(node, 3)
    records = recorded(node, address, 3)["records"]
    sequences = [int(record["sequence"]) for record in records]
    assert sequences == sorted(set(sequences))
    assert all(record["command"]["@type"].startswith("type.googleapis.com/cx.v1.") for record in records)
    reserved = [event for record in records for event in record["events"] if "reserved" in event]
    assert len(reserved) == 3 and all(event["reserved"]["count"] == 1 for event in reserved)

    paged, after = [], "0"
    while after != "0" or not paged:
        page = history(node, address, limit=1, after=after)
        paged += page["records"]
        after = page["next"]
    assert paged == records
    middle = records[1]["at"]
    assert history(node, address, since=middle)["records"] == [r for r in records if r["at"] >= middle]
    assert history(node, address, until=middle)["records"] == [r for r in records if r["at"] < middle]


def test_the_past_is_what_the_present_was(node):
    """The state at the time of each record, folded from the log, is the state after that record."""
    user = somebody()
    address = f"customer/{TENANT}/{user['id']}"
    states = []
    for count in (1, 2, 3):
        assert bids(node.bid(bid_request(user=user)))
        last = recorded(node, address, count)["records"][-1]["at"]
        states.append((last, entity(node, address)["state"]))
        wait_for("the next millisecond", lambda at=last: time_of(entity(node, address)["as_of"]) > time_of(at))
    for at, state in states:
        assert entity(node, address, at=at)["state"] == state
    before = time_of(states[0][0]) - timedelta(seconds=1)
    assert entity(node, address, at=before.isoformat())["sequence"] == "0"


@pytest.mark.parametrize("path,query,status,problem,hint", [
    ("/v1/entity", {"address": "custmer/demo/c1"}, 404, "unknown-kind", "customer"),
    ("/v1/entity", {"address": "customer"}, 400, "invalid-address", "kind/tenant/key"),
    ("/v1/entity", {"address": "customer/DEMO/c1"}, 400, "invalid-address", "tenant"),
    ("/v1/entity", {}, 400, "required-field", "address"),
    ("/v1/entity", {"address": "customer/demo/c1", "at": "noon"}, 400, "invalid-time", "RFC 3339"),
    ("/v1/entity", {"address": "customer/demo/c1", "at": "9000-01-01T00:00:00Z"}, 400, "time-in-the-future", "9000"),
    ("/v1/entity/history", {"address": "custmer/demo/c1"}, 404, "unknown-kind", "customer"),
    ("/v1/entity/history", {"address": "customer/demo/c1", "limit": 1001}, 400, "out-of-range", "1000"),
    ("/v1/entity/history", {"address": "customer/demo/c1", "since": "noon"}, 400, "invalid-time", "RFC 3339"),
    ("/v1/entity/history", {"address": "customer/demo/c1", "limit": "x"}, 400, "invalid-value", "limit"),
    ("/v1/deadletters", {"cursor": "x"}, 400, "invalid-dead-letter", "SHARD-SEQUENCE-INDEX"),
    ("/v1/deadletters", {"limit": 1001}, 400, "out-of-range", "1000"),
    ("/v1/deadletter", {"id": "17"}, 400, "invalid-dead-letter", "SHARD-SEQUENCE-INDEX"),
    ("/v1/deadletter", {"id": "17-1-0"}, 404, "no-dead-letter", "17-1-0"),
])
def test_mistakes_are_explained(node, path, query, status, problem, hint):
    reply = ask(node, path, **query)
    assert reply.status == status, reply
    document = reply.problem()
    assert document["type"] == "/problems/" + problem and hint in document["detail"]


def test_shards(node):
    address = bid_for(node)
    recorded(node, address, 1)
    shards = node.get("/v1/shards").json()["shards"]
    assert [shard["shard"] for shard in shards] == list(range(1024))
    assert all(shard["state"] == "open" and shard["error"] == "" and int(shard["epoch"]) > 0 for shard in shards)
    mine = shards[entity(node, address)["shard"]]
    assert int(mine["last"]) >= int(mine["first"]) and int(mine["resident"]) >= 1


def test_there_are_no_dead_letters(node):
    assert node.get("/v1/deadletters").json() == {"dead_letters": [], "next": ""}
    for verb in ("replay", "discard"):
        with node.client() as client:
            assert client.call("POST", f"/v1/deadletters:{verb}", {"id": "17-1-0"}).status == 404
            assert client.call("POST", f"/v1/deadletters:{verb}", {"id": "1024-1-0"}).status == 404
            assert client.call("POST", f"/v1/deadletters:{verb}", {"id": "x"}).status == 400


def test_everything_survives_a_restart(tmp_path):
    with Node(tmp_path) as node:
        address = bid_for(node, 2)
        records = recorded(node, address, 2)["records"]
        before = entity(node, address)
    with Node(tmp_path) as node:
        after = entity(node, address)
        for field in ("address", "shard", "sequence", "schema", "state", "reminders"):
            assert after[field] == before[field], field
        assert history(node, address)["records"] == records
        assert entity(node, address, at=records[-1]["at"])["state"] == before["state"]
        shard = node.get("/v1/shards").json()["shards"][after["shard"]]
        assert int(shard["epoch"]) > int(records[-1]["epoch"])


@pytest.mark.skipif(not CAMPAIGNCTL.exists(), reason=f"SKIPPED: {CAMPAIGNCTL} is not built")
class TestCampaignctl:
    def run(self, node, *words, code=0):
        done = node.ctl(*words)
        assert done.returncode == code, done.stderr
        return done

    def test_show_history_and_at_tell_one_story(self, node):
        address = bid_for(node, 2)
        records = recorded(node, address, 2)["records"]
        shown = self.run(node, "entity", "show", address).stdout
        assert shown.splitlines()[0].split() == ["address", address] and "cx.v1.CustomerState" in shown
        rows = self.run(node, "entity", "history", address, "--no-headers").stdout.splitlines()
        assert [row.split()[0] for row in rows] == [record["sequence"] for record in records]
        assert sum("ReserveImpressions" in row and "reserved" in row for row in rows) == 2
        assert sum("RecordDecisions" in row and "decisions" in row for row in rows) == 2
        then = json.loads(self.run(node, "entity", "at", records[-1]["at"], address, "-o", "json").stdout)
        assert then["state"] == entity(node, address)["state"]
        assert "what it would wake up as" in self.run(node, "entity", "at", "24h", address).stderr

    def test_mistakes_have_their_exit_codes(self, node):
        assert "customer" in self.run(node, "entity", "show", "custmer/demo/x", code=3).stderr
        assert "kind/tenant/key" in self.run(node, "entity", "show", "x", code=7).stderr
        assert "1000" in self.run(node, "entity", "history", "customer/demo/x", "--limit", "2000", code=7).stderr
        assert "17-1-0" in self.run(node, "deadletters", "show", "17-1-0", code=3).stderr
        self.run(node, "deadletters", "replay", "17-1-0", "--yes", code=3)
        self.run(node, "deadletters", "discard", "17-1-0", "--confirm", "17-1-0", code=3)

    def test_shards_and_dead_letters(self, node):
        lines = self.run(node, "shards", "--limit", "3").stdout.splitlines()
        assert lines[0].startswith("1024 shards · 1024 open · ") and len(lines) == 5
        assert "no dead letters" in self.run(node, "deadletters", "list").stderr
