"""Faults of every kind, under load: what was acknowledged is there, once, in order, wherever one asks."""

import json
import os
import random
import threading
import time
from contextlib import nullcontext

import pytest
from checker import Checker, Final, read_logs
from faults import Faults
from final import collect
from journal import read
from load import PEOPLE, RULES, Load
from namespaces import NamespaceCluster, available
from nodes import Api, LocalCluster
import vendor as vendors
from vendor import ok

LONG = float(os.environ.get("CX_LONG_MINUTES", 30)) * 60 if os.environ.get("CX_LONG") else 180
APPEARANCE = 60  # seconds; a bound, no promise


def set_up(cluster, vendor):
    """Rules to edit; a journey to start; one that sends for each order, to those who have agreed."""
    api = Api(cluster, next(iter(cluster.nodes)))
    for rule in range(RULES):
        ok(api.call("PUT", f"/v1/approval-rules/rule-{rule}", {"name": "first", "role": "manager", "min_approvals": 1}))
    vendors.journey(api, "once", {"trigger": {"api": {}, "key": "key"}, "steps": [{"id": "done", "exit": {}}]})
    if vendor:
        vendors.webhook(api, vendor)
        vendors.journey(api, "receipt", {"trigger": {"event": {"name": "Ordered"}, "key": "event.properties.order"},
                                         "steps": [{"id": "thanks", "send": vendors.SEND}, {"id": "done", "exit": {}}]})
        for number in range(PEOPLE):
            if number % 4:
                vendors.consent(api, f"p{number}")


def addresses(cluster):
    """What clients know: every node that there is, whether it answers or not."""
    return lambda: {name: (node["host"], node["http"]) for name, node in dict(cluster.nodes).items()}


def tell(checker, faults):
    print(f"  {len(faults.told)} faults; {dict(checker.seen)}")
    kinds = {}
    for finding in checker.findings:
        kinds.setdefault(finding.split(":")[0], []).append(finding)
    for few in kinds.values():
        print(f"  {len(few)} like: {few[0][:300]}")


def check(cluster, lines, vendor, faults, rng):
    checker = Checker(lines, collect(cluster, lines, vendor, rng), faults.overlaps)
    checker.check()
    tell(checker, faults)
    return checker.findings


def storm(cluster, tmp_path, seed, seconds, vendor, plan):
    """Runs `plan`(faults, seconds) under load, and checks."""
    rng = random.Random(seed)
    set_up(cluster, vendor)
    faults = Faults(cluster, rng, cluster.clock)
    with Load(tmp_path / "clients", addresses(cluster), cluster.key_file().read_text().strip(), seed):
        time.sleep(1)
        plan(faults, seconds)
        time.sleep(1)
    assert cluster.running() == list(cluster.nodes), "a node ended by itself"
    assert cluster.wait_settled(), f"shards have not come to rest: {cluster.members()}"
    lines = read_logs(tmp_path / "clients")
    findings = check(cluster, lines, vendor, faults, rng)
    assert not findings, findings[:20]
    acknowledged = sum(line["say"] == "ack" for line in lines)
    assert acknowledged > 10 * seconds, f"only {acknowledged} were acknowledged: too few to mean anything"


def anything(faults, seconds):
    faults.run(seconds)


def a_leader_dies(faults, seconds):
    """Faults of nodes and links, and one of the servers: with many, copies of streams differ at last in nats-server 2.9
    (runtime/nats/README.md), and a node that reads a wrong one does not become a member."""
    nodes = [kind for kind in faults.kinds if "nats" not in kind.__name__ and kind != faults.kill_leader] + [faults.off_nats]
    faults.run(seconds / 2, nodes)
    faults.kill_leader()
    faults.run(seconds / 2, nodes)


def all_nodes(faults, seconds):
    """A restart of each in good order, more nodes and less, and faults between."""
    faults.rolling_restart()
    faults.run(seconds / 4)
    faults.scale(5)
    faults.run(seconds / 4)


# Of tests/python.txt. Three servers are to be as new as that (runtime/nats/README.md).
NEWER = os.environ.get("CX_NEWER_NATS_SERVER", "")
NEWER = NEWER if os.access(NEWER, os.X_OK) else None


@pytest.mark.parametrize("servers, kind, plan, share, own_clocks", [
    pytest.param(1, LocalCluster, anything, 0.35, True, id="one-server"),
    pytest.param(3, LocalCluster, anything if NEWER else a_leader_dies, 0.3, False, id="three-servers"),
    pytest.param(1, LocalCluster, all_nodes, 0.2, False, id="three-five-three-nodes"),
    pytest.param(1, NamespaceCluster, anything, 0.15, False, id="namespaces"),
])
def test_nothing_is_lost_or_done_twice(cluster, tmp_path, seed, servers, kind, plan, share, own_clocks):
    if kind is NamespaceCluster and (reason := available()):
        pytest.skip(f"SKIPPED: {reason}")
    # The simulator listens on this machine's own address, which nodes in namespaces do not reach.
    with nullcontext() if kind is NamespaceCluster else vendors.Vendor(tmp_path) as vendor:
        flags = ["--channels-allow-private", f"127.0.0.1:{vendor.port}"] if vendor else []
        started = cluster(3, servers, flags, clocked=own_clocks, kind=kind, nats_server=NEWER if servers > 1 else None)
        storm(started, tmp_path, seed, LONG * share, vendor, plan)


# --- without the fence ---

def owner_of(cluster, shard, node):
    """Who owns a shard, as `node` sees it; empty for nobody."""
    answer = cluster.ask(node, f"/v1/shards/{shard}")
    return json.loads(answer)["node"] if answer else ""


def until(what, condition):
    end = time.monotonic() + APPEARANCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


def write(cluster, node, who, value, patience=3):
    """One consent, whatever comes of it."""
    try:
        with Api(cluster, node).client() as client:
            client.socket.settimeout(patience)
            reply = client.call("POST", f"/v1/customers/{who}/consents", {
                "purpose": "service", "channel": "CHANNEL_SMS", "granted": True, "origin": str(value)})
            return reply is not None and reply.status == 200
    except (OSError, AssertionError):
        return False


def old_owner_writes_late(cluster, harm):
    """Writes of an owner are on their way when it is harmed; they go on when others have long written in a newer epoch."""
    *others, victim = cluster.nodes
    shards = {}
    for who in (f"c{number}" for number in range(20)):
        until("a first write", lambda who=who: write(cluster, others[0], who, "before"))
        path = f"/v1/entity?address=customer/demo/{who}"
        shards[who] = json.loads(until("its shard", lambda path=path: cluster.ask(others[0], path)))["shard"]
    mine = [who for who in shards if owner_of(cluster, shards[who], others[0]) == victim]
    assert mine, f"{victim} owns none of the shards of {len(shards)} customers"
    go_on = harm(cluster, victim)
    late = [threading.Thread(target=write, args=(cluster, victim, who, "late")) for who in mine]
    for thread in late:
        thread.start()
    for who in mine:
        until(f"another owner of the shard of {who}",
              lambda who=who: owner_of(cluster, shards[who], others[0]) not in ("", victim))
        until(f"a write for {who} in the newer epoch", lambda who=who: write(cluster, others[0], who, "after"))
    go_on()
    for thread in late:
        thread.join()
    until(f"{victim} to be back", lambda: cluster.is_ready(victim))
    assert cluster.wait_settled()
    for who in mine:
        until(f"a last write for {who}", lambda who=who: write(cluster, victim, who, "last"))


def findings_of_the_log(cluster):
    checker = Checker([], Final(journal=read(cluster)))
    checker.check_journal()
    assert checker.seen["records"]
    return checker.findings


def off_nats(cluster, victim):
    cluster.rule(victim, "nats", "silent")
    return cluster.heal


def paused(cluster, victim):
    cluster.pause(victim)
    return lambda: cluster.resume(victim)


@pytest.mark.parametrize("harm", [off_nats, paused])
def test_the_fence_holds_off_an_old_owner(cluster, harm):
    cluster = cluster(3)
    old_owner_writes_late(cluster, harm)
    assert not findings_of_the_log(cluster)


def test_without_the_fence_the_checker_finds_out(cluster):
    cluster = cluster(3, environment={"CX_TEST_NO_FENCE": "1"})
    old_owner_writes_late(cluster, off_nats)
    findings = findings_of_the_log(cluster)
    print(f"  {len(findings)} findings like: {findings[:1]}")
    assert any(finding.startswith(("epoch", "sequence")) for finding in findings)
