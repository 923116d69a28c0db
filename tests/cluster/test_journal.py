"""The journal's stream is read to its end, from real servers."""

import json

import pytest
from journal import Nats, read
from nodes import LocalCluster
from test_checker import WHOLE, message, parts


@pytest.fixture(params=[1, 3])
def servers(tmp_path, request):
    """A cluster of which only the NATS servers run."""
    cluster = LocalCluster.create(tmp_path / "cluster", 1, servers=request.param, http_port=0)
    try:
        for name in cluster.servers:
            cluster.start_server(name)
        for name in cluster.servers:
            cluster.wait_server(name)
        yield cluster
    finally:
        cluster.down(purge=True)


def publish(cluster, messages):
    server = cluster.servers["nats-1"]
    with Nats(server["host"], server["port"]) as nats:
        for shard, data in messages:
            nats.send(f"PUB cx.journal.{shard} {nats.inbox}.ack {len(data)}\r\n".encode() + data + b"\r\n")
            assert "seq" in json.loads(nats.receive()[2])


def test_all_of_it_is_read(servers):
    server = servers.servers["nats-1"]
    with Nats(server["host"], server["port"]) as nats:
        nats.ask("$JS.API.STREAM.CREATE.cx_journal", {"name": "cx_journal", "subjects": ["cx.journal.*"], "storage": "file",
                                                      "retention": "limits", "num_replicas": len(servers.servers)})
    assert read(servers) == []
    opened = message((1, 2), (2, 4), (3, 1.0), (6, 1))
    publish(servers, [(number % 7, opened) for number in range(2000)])
    publish(servers, [(300, part) for part in parts(WHOLE, 5)])
    found = read(servers)
    assert [entry.at for entry in found] == [*range(1, 2001), 2003]
    assert [entry.shard for entry in found[:8]] == [0, 1, 2, 3, 4, 5, 6, 0] and len(found[-1].records) == 1
    for name in servers.servers:
        servers.kill(name)
    for name in servers.servers:
        servers.start_server(name)
    for name in servers.servers:
        servers.wait_server(name)
    assert read(servers) == found
