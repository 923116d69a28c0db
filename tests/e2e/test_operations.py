"""What operators see of a node."""

import json
import math
import os
import re
import subprocess

import pytest
from node import CAMPAIGNCTL, PATIENCE, ROOT, wait_for
from openrtb import bid_request, bids, somebody

SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)",?')


def families(text):
    """The Prometheus text format, version 0.0.4: {family: (type, {(sample name, labels): value})}."""
    found = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in found and line.split(" ", 3)[3]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family, "HELP, TYPE and samples of a family stand together"
            found[family] = kind, {}
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert re.sub("_(bucket|sum|count)$", "", name) == family or name == family
            assert LABEL.sub("", labels or "") == "", line
            key = name, tuple(sorted(LABEL.findall(labels or "")))
            assert key not in found[family][1], f"{line} twice"
            found[family][1][key] = float(value)
    return found


def read(node):
    reply = node.get("/metrics")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return families(reply.body.decode())


def test_metrics_are_prometheus(node):
    node.bid(bid_request())
    for family, (kind, samples) in read(node).items():
        assert re.match("(cx|process)_", family) and samples, family
        assert kind in ("counter", "gauge", "histogram")
        assert (kind == "counter") == family.endswith("_total"), family
        for value in samples.values():
            assert math.isfinite(value) and value >= 0, family
        if kind == "histogram":
            check_histogram(family, samples)


def check_histogram(family, samples):
    series = {}
    for (name, labels), value in samples.items():
        rest = tuple(label for label in labels if label[0] != "le")
        bound = dict(labels).get("le", name)
        series.setdefault(rest, {})[bound] = value
    for values in series.values():
        count, _ = values.pop(family + "_count"), values.pop(family + "_sum")
        buckets = sorted((float(bound), value) for bound, value in values.items())
        assert buckets[-1] == (math.inf, count)
        assert [value for _, value in buckets] == sorted(value for _, value in buckets)


def test_counters_grow(node):
    def value(name, **labels):
        family = re.sub("_count$", "", name)
        return read(node)[family][1][name, tuple(sorted(labels.items()))]

    watched = {
        ("cx_bids_total",): bid_request(),
        ("cx_no_bids_total",): bid_request(cur=["XYZ"]),
        ("cx_bid_timeouts_total",): bid_request(tmax=1),
        ("cx_bid_requests_invalid_total",): b"{}",
        ("cx_requests_total", ("route", "/v1/bid"), ("outcome", "ok")): bid_request(),
        ("cx_requests_total", ("route", "/v1/bid"), ("outcome", "empty")): bid_request(cur=["XYZ"]),
        ("cx_requests_total", ("route", "/v1/bid"), ("outcome", "client_error")): b"{}",
        ("cx_request_duration_seconds_count", ("route", "/v1/bid")): bid_request(),
    }
    for (name, *labels), request in watched.items():
        before = value(name, **dict(labels))
        for _ in range(3):
            node.bid(request)
        wait_for(f"{name} to grow by 3", lambda n=name, l=dict(labels), b=before: value(n, **l) == b + 3)


def test_health(node):
    for path, body in (("/healthz", b"ok\n"), ("/readyz", b"ready\n")):
        reply = node.get(path)
        assert reply.status == 200 and reply.body == body


def test_version(node):
    assert re.fullmatch(r"\d+\.\d+\.\d+", node.get("/v1/version").json()["version"])


def test_topology(start):
    node = start("--node", "left", "--bidding-agents", "20")
    topology = node.topology()
    assert topology["name"] == "left" and topology["state"] == "ok" and int(topology["rss_bytes"]) > 1 << 20
    agents = node.kind("bid-agent")
    assert int(agents["live"]) == len(set(agents["addresses"])) == 20
    assert all(address.startswith("bid-agent/system/left-") for address in agents["addresses"])

    for count in (1, 5):
        before = int(node.kind("customer")["live"])
        for _ in range(count):
            assert bids(node.bid(bid_request(user=somebody())))
        assert int(node.kind("customer")["live"]) == before + count
    handled = int(node.kind("bid-agent")["handled"])
    node.bid(bid_request())
    wait_for("the agents to have handled it", lambda: int(node.kind("bid-agent")["handled"]) > handled)
    assert all(kind["failures"] == "0" for kind in node.topology()["kinds"])
    endpoint = next(one for one in node.topology()["endpoints"] if one["route"] == "/v1/bid")
    assert int(endpoint["requests"]) == 7 and endpoint["p99_ms"] >= endpoint["p50_ms"] > 0


def test_customers_sleep_and_are_remembered(start):
    """More customers than may be awake: their caps hold all the same."""
    node = start("--entities-max-resident", "8", "--bidding-cap-per-hour", "2")
    users = [somebody() for _ in range(50)]
    for expected in (1, 1, 0):
        assert [len(bids(node.bid(bid_request(user=user)))) for user in users] == [expected] * 50
    wait_for("all but a few to be on disk", lambda: int(node.kind("customer")["live"]) <= 8)
    assert not any(bids(node.bid(bid_request(user=user))) for user in users)


@pytest.mark.skipif(not CAMPAIGNCTL.exists(), reason=f"SKIPPED: {CAMPAIGNCTL} is not built")
class TestCampaignctl:
    def run(self, node, *arguments):
        done = node.ctl(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def test_topology(self, node):
        assert '"bid-agent/system/n1-01"' in json.dumps(self.run(node, "topology", "-o", "json"))

    def test_bid(self, node):
        reply = self.run(node, "bid", ROOT / "config/bid-request.json", "-o", "json")
        assert '"demo-request-1"' in json.dumps(reply)
