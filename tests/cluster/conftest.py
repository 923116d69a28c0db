import os
import random
import re
import subprocess
from contextlib import contextmanager

import pytest
from faults import LEASE, Clock
from nodes import CAMPAIGND, ROOT, LocalCluster

# What makes a node start fast, answer everything that a client may ask at once, and be quick to notice what is done to it.
FLAGS = ["--demo-offers", "300", "--demo-campaigns", "30", "--auth-key-requests", "0", "--entities-strict", "true",
         "--cluster-lease-ms", str(int(1000 * LEASE)), "--entities-snapshot-seconds", "2"]

# What a process that ends as it should never writes.
CRASH = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|terminate called|pure virtual|Assertion .* failed")


def pytest_collection_modifyitems(items):
    """Skips what needs nodes of a cluster, where there is no campaignd that can be one."""
    missing = why_not()
    for item in items if missing else ():
        if "cluster" in item.fixturenames:
            item.add_marker(pytest.mark.skip(reason=missing))


def why_not():
    try:
        told = subprocess.run([CAMPAIGND, "--help"], capture_output=True, text=True, timeout=60, check=False).stdout
    except OSError as error:
        return f"SKIPPED: {error}; build campaignd, or name it in CAMPAIGND"
    return "" if "--cluster-enabled" in told else f"SKIPPED: {CAMPAIGND} cannot be one of a cluster"


@pytest.fixture
def seed():
    """Of this test; printed, so that a failure can be repeated with CX_SEED."""
    seed = int(os.environ.get("CX_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nCX_SEED={seed}", flush=True)
    return seed


@contextmanager
def ended_with_us(cluster):
    """Ends a cluster with the context, and when this process dies."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", 'read line; exec "$0" down --dir "$1"', ROOT / "tools/cluster", cluster.folder],
        stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield cluster
    finally:
        try:
            cluster.down()
        finally:
            guard.kill()
            guard.wait()
            guard.stdin.close()


@pytest.fixture
def cluster(tmp_path):
    """cluster(3, servers=1) starts one of the test's own. `clocked`: with clocks that can be moved. `nats_server`: the program, where it
    is to be another than elsewhere."""
    contexts = []

    def start(nodes, servers=1, flags=(), environment=None, clocked=False, kind=LocalCluster, nats_server=None):
        cluster = kind.create(tmp_path / "cluster", nodes, servers=servers, http_port=0, flags=[*FLAGS, *flags],
                              environment=environment)
        if clocked:
            cluster.clock = Clock(tmp_path)
        cluster.nats_server = nats_server or cluster.nats_server
        context = ended_with_us(cluster)
        context.__enter__()
        contexts.append((cluster, context))
        cluster.up()
        assert cluster.wait_settled(), cluster.members()
        return cluster

    yield start
    for one, context in contexts:
        context.__exit__(None, None, None)
        for log in one.folder.glob("n[0-9]*/log"):
            crash = CRASH.search(text := log.read_text(errors="replace"))
            assert not crash, f"{log}: {text[max(0, crash.start() - 500):crash.end() + 500]}"
