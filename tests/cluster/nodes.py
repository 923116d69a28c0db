"""Clusters of real processes: what the tests build on, and what they add."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from node import Client  # noqa: E402
from tools.local_cluster import processes  # noqa: E402, F401
from tools.local_cluster.cluster import CAMPAIGND, ROOT, Cluster, Failure  # noqa: E402, F401


class Clocked:
    """Mixed into a cluster: each node has a wall clock of its own."""

    clock = None

    def launch(self, name, command):
        before = self.environment
        try:
            if self.clock:
                self.environment = {**before, **self.clock.environment(name)}
            return super().launch(name, command)
        finally:
            self.environment = before


class LocalCluster(Clocked, Cluster):
    pass


class Api:
    """A node as the helpers of tests/e2e want one."""

    def __init__(self, cluster, node):
        self.host, self.port = cluster.node(node)["host"], cluster.node(node)["http"]
        self.key = cluster.key_file().read_text().strip()

    def client(self):
        return Client(self.port, self.key, self.host)

    def call(self, method, path, body=None, **fields):
        with self.client() as client:
            return client.call(method, path, body, **fields)

    def get(self, path):
        return self.call("GET", path)
