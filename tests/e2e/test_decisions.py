"""What was bid for whom, and what came of it: told over the API and by events, listed, and there after a restart."""

import base64
import json
import time
import uuid

import pytest
from node import Node, wait_for
from openrtb import banner, bid_request, bids, somebody

HOUR = 3_600_000


def decided(node, customer, *imps, **fields):
    """Ids of the bids for a customer."""
    found = bids(node.bid(bid_request(*imps, user={"id": customer}, **fields)))
    assert found
    return [bid["id"] for bid in found]


def shown(node, decision, key=None):
    """A decision, or None while it is not there."""
    reply = node.call("GET", f"/v1/decisions/{decision}", key=key)
    if reply.status == 404:
        assert reply.problem()["type"] == "/problems/no-such-decision"
        return None
    assert reply.status == 200, reply
    return reply.json()


def shown_with(node, decision, *kinds):
    """The decision, once these are what came of it."""
    def look():
        found = shown(node, decision)
        return found and [one["outcome"] for one in found.get("outcomes", [])] == list(kinds) and found
    return wait_for(f"{kinds} of {decision}", look)


def report(node, decision, outcome, key=None, **fields):
    return node.call("POST", "/v1/outcomes", {"decision_id": decision, "outcome": f"OUTCOME_{outcome}", **fields}, key=key)


def listed(node, query="", key=None):
    """Ids of all pages."""
    ids, token = [], ""
    while True:
        page = node.call("GET", f"/v1/decisions?page_size=2{query}&page_token={token}", key=key)
        assert page.status == 200, page
        ids += [one["decision_id"] for one in page.json().get("decisions", [])]
        if not (token := page.json().get("next_page_token", "")):
            return ids


def at(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))


def made_up_id(ms):
    """An id of a bid that nobody made."""
    return str(uuid.UUID(int=(ms << 80) | (0x7 << 76) | (0x8 << 60) | 5)) + "-1"


def test_a_bid_and_its_click(node):
    customer = somebody()["id"]
    request = bid_request(banner("a"), banner("b", bidfloor=1e6), user={"id": customer})
    reply = node.bid(request)
    [bid] = bids(reply)
    decision = wait_for("the decision", lambda: shown(node, bid["id"]))
    assert decision["customer_id"] == customer
    assert (decision["offer_id"], decision["campaign_id"]) == (bid["adid"], bid["cid"])
    assert int(decision["price"]["micros"]) == round(bid["price"] * 1e6)
    assert decision["price"]["currency"] == reply.json()["cur"]
    assert decision["model"].startswith("cpu/") and decision["candidates"] > 0 and 0 < decision["score"] < 1
    assert 64 <= len(base64.b64decode(decision["features"])) <= 256

    told = report(node, bid["id"], "CLICK")
    assert told.status == 200 and told.json()["attributed"], told
    assert not told.json().get("duplicate")
    again = report(node, bid["id"], "CLICK").json()
    assert again["duplicate"] and again["attributed"]
    [click] = shown_with(node, bid["id"], "OUTCOME_CLICK")["outcomes"]
    assert click["attributed"]

    page = node.ctl("decisions", "show", bid["id"], "-o", "json")
    assert page.returncode == 0 and json.loads(page.stdout)["outcomes"][0]["outcome"] == "OUTCOME_CLICK", page
    page = node.ctl("decisions", "list", "--outcome", "click", "-o", "json")
    assert page.returncode == 0 and bid["id"] in page.stdout, page
    done = node.ctl("decisions", "report", "--decision-id", bid["id"], "--outcome", "dismiss", "--yes")
    assert done.returncode == 0, done
    shown_with(node, bid["id"], "OUTCOME_CLICK", "OUTCOME_DISMISS")


def test_lists(start):
    node = start()
    ids = [decided(node, somebody()["id"])[0] for _ in range(5)]
    wait_for("all of them", lambda: len(listed(node)) == 5)
    assert listed(node) == ids[::-1] or sorted(listed(node)) == sorted(ids)  # bids of one millisecond are in any order
    assert report(node, ids[1], "CLICK").status == report(node, ids[3], "CLICK").status == 200
    wait_for("the clicks", lambda: sorted(listed(node, "&outcome=OUTCOME_CLICK")) == sorted([ids[1], ids[3]]))
    assert listed(node, "&outcome=OUTCOME_OPEN") == []
    offer = shown(node, ids[0])["offer_id"]
    assert ids[0] in listed(node, f"&offer_id={offer}")
    assert listed(node, "&offer_id=none") == []
    assert listed(node, "&to=" + at(time.time() * 1000 - HOUR)) == []
    assert len(listed(node, "&from=" + at(time.time() * 1000 - HOUR))) == 5
    reply = node.get("/v1/decisions?page_size=1&features=true").json()
    assert reply["decisions"][0]["features"] and reply["next_page_token"]
    assert not node.get("/v1/decisions?page_size=1").json()["decisions"][0]["features"]
    wrong = node.get(f"/v1/decisions?from={at(2e12)}&to={at(1e12)}").problem()
    assert wrong["type"] == "/problems/invalid-time-range"
    assert node.get("/v1/decisions?page_token=abc").problem()["type"] == "/problems/invalid-page-token"


def test_events_are_outcomes(node):
    customer = somebody()["id"]
    [decision] = decided(node, customer)

    def track(event, **properties):
        reply = node.call("POST", "/v1/track", {"userId": customer, "event": event, "messageId": str(uuid.uuid4()),
                                                "properties": {"decision_id": decision, **properties}})
        assert reply.status == 200, reply

    track("Promotion Viewed")
    track("Promotion Clicked")
    track("Order Completed", order_id="o-1", revenue=25.5, currency="EUR")
    track("Order Completed", order_id="o-2")
    track("Order Completed", order_id="o-2")
    track("Promotion Clicked", decision_id="nonsense")
    outcomes = shown_with(node, decision, "OUTCOME_IMPRESSION", "OUTCOME_CLICK", "OUTCOME_CONVERSION",
                          "OUTCOME_CONVERSION")["outcomes"]
    assert outcomes[2]["value"] == {"micros": "25500000", "currency": "EUR"}
    assert [one["outcome_id"] for one in outcomes[2:]] == ["o-1", "o-2"]
    letters = node.get("/v1/deadletters")
    assert letters.status == 200 and not letters.json().get("dead_letters"), letters


def test_late_early_and_nonsense(node):
    now = int(time.time() * 1000)
    late = made_up_id(now - 200 * HOUR)  # more than the default of 168
    told = report(node, late, "CLICK").json()
    assert not told.get("attributed") and "168 hours" in told["reason"]
    assert report(node, late, "CONVERSION", at=at(now - 100 * HOUR)).json()["attributed"]
    assert shown(node, late) is None  # nobody made it

    def problem(decision, outcome="CLICK", **fields):
        reply = report(node, decision, outcome, **fields)
        assert reply.status == 400, reply
        return reply.problem()["type"].removeprefix("/problems/"), reply.problem().get("pointer")

    fresh = made_up_id(now)
    assert problem(fresh, at=at(now - HOUR)) == ("invalid-outcome-time", "/at")
    assert problem(fresh, at=at(now + HOUR)) == ("invalid-outcome-time", "/at")
    assert problem(made_up_id(now + HOUR)) == ("invalid-decision-id", "/decision_id")
    for nonsense in ("x", "a/b", "..", fresh[:-2], fresh.upper(), fresh + "x", str(uuid.uuid4()) + "-1", "😀"):
        assert problem(nonsense) == ("invalid-decision-id", "/decision_id"), nonsense
    assert problem(fresh, value={"micros": "1", "currency": "dollars"})[1].startswith("/value/currency")
    assert problem(fresh, "SNEEZE")[1] == "/outcome"
    assert problem("x" * 1000)[1] == "/decision_id"
    assert node.call("GET", "/v1/decisions/" + "x" * 40).status == 404


def test_nobody_in_particular_is_not_recorded(node):
    [bid] = bids(node.bid(bid_request()))
    marker = decided(node, somebody()["id"])[0]
    wait_for("a later decision", lambda: shown(node, marker))
    assert shown(node, bid["id"]) is None


def test_another_tenant_sees_nothing(node):
    [decision] = decided(node, somebody()["id"])
    wait_for("the decision", lambda: shown(node, decision))
    made = node.call("POST", "/v1/tenants", {"name": "other", "display_name": "Other"})
    assert made.status == 200, made
    key = made.json()["admin_key"]["secret"]
    assert shown(node, decision, key=key) is None
    assert listed(node, key=key) == []
    assert report(node, decision, "CLICK", key=key).status == 200  # of a decision of its own, which nobody made
    assert shown(node, decision, key=key) is None
    assert not shown(node, decision).get("outcomes")


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart(tmp_path, crash):
    with Node(tmp_path) as node:
        [decision] = decided(node, somebody()["id"])
        assert report(node, decision, "IMPRESSION").status == 200
        shown_with(node, decision, "OUTCOME_IMPRESSION")
        assert report(node, decision, "CLICK").status == 200  # perhaps not in the list yet
        if crash:
            node.kill()
    with Node(tmp_path) as node:
        shown_with(node, decision, "OUTCOME_IMPRESSION", "OUTCOME_CLICK")
        assert report(node, decision, "CLICK").json()["duplicate"]
