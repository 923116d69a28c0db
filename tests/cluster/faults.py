"""What is done to a cluster under load: one fault after the other, from a seed."""

import struct
import subprocess
import time
from pathlib import Path

LEASE = 1.0  # seconds, of the clusters of these tests
MARGIN = 2.0  # how long after it was stopped a node may still answer what it knew: until it looks at its clock


class Clock:
    """The preloaded library that moves the wall clocks of nodes."""

    def __init__(self, folder):
        self.folder = folder
        self.library = folder / "clock.so"
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", self.library,
                        Path(__file__).with_name("clock.c"), "-ldl"], check=True)

    def environment(self, node):
        file = self.folder / f"{node}.clock"
        if not file.exists():
            self.set(node, 0)
        return {"LD_PRELOAD": str(self.library), "CX_CLOCK": str(file)}

    def set(self, node, seconds):
        file = self.folder / f"{node}.clock"
        with open(file, "r+b" if file.exists() else "wb") as out:
            out.write(struct.pack("q", seconds))


class Faults:
    """Each method is one fault, which is over when it returns: the schedule only picks among them. `told` is their log."""

    def __init__(self, cluster, random, clock=None):
        self.cluster, self.random, self.clock = cluster, random, clock
        self.told = []
        self.overlaps = []  # see checker.py
        self.begun = time.monotonic()
        self.kinds = [self.kill, self.pause, self.off_nats, self.off_nodes] * 2 + [
            self.slow, self.restart_nats, self.pause_nats]
        if len(cluster.servers) > 1:
            self.kinds += [self.kill_leader, self.kill_leader]
        if clock:
            self.kinds += [self.step_clock, self.step_clock]

    def tell(self, what):
        self.told.append(what)
        print(f"  {time.monotonic() - self.begun:6.1f} s  {what}", flush=True)

    def some(self):
        return self.random.choice(list(self.cluster.nodes))

    def run(self, seconds, kinds=None):
        """Faults for that long, one at a time; none comes again before all have come."""
        end = time.monotonic() + seconds
        left = []
        while time.monotonic() < end:
            time.sleep(self.random.uniform(0.3, 1.5))
            if not left:
                left = list(kinds or self.kinds)
                self.random.shuffle(left)
            left.pop()()

    # --- nodes ---

    def kill(self):
        node, rest = self.some(), self.random.uniform(0, 3 * LEASE)
        self.tell(f"kill {node}, start it {rest:.1f} s later")
        self.cluster.kill(node)
        time.sleep(rest)
        self.cluster.start(node)

    def pause(self):
        node, rest = self.some(), self.random.uniform(0.5 * LEASE, 4 * LEASE)
        self.tell(f"pause {node} for {rest:.1f} s")
        self.cluster.pause(node)
        time.sleep(rest)
        resumed = time.monotonic()
        self.cluster.resume(node)
        self.overlaps.append((node, resumed - rest, resumed + MARGIN))

    def step_clock(self):
        node, rest = self.some(), self.random.uniform(0.5, 3)
        seconds = self.random.choice([-1, 1]) * self.random.randint(5, 60)
        self.tell(f"step the clock of {node} by {seconds} s for {rest:.1f} s")
        self.clock.set(node, seconds)
        time.sleep(rest)
        self.clock.set(node, 0)

    def rolling_restart(self):
        for node in list(self.cluster.nodes):
            self.tell(f"restart {node} in good order")
            self.cluster.stop(node)
            self.cluster.start(node)

    def scale(self, most):
        """Up to `most` nodes and back, in good order."""
        few = len(self.cluster.nodes)
        while len(self.cluster.nodes) < most:
            node = self.cluster.new_node()
            self.tell(f"add {node}")
            self.cluster.start(node)
        time.sleep(2 * LEASE)
        while len(self.cluster.nodes) > few:
            node = list(self.cluster.nodes)[-1]
            self.tell(f"remove {node}")
            self.cluster.remove(node)

    # --- the network ---

    def off(self, whom, text):
        node, how = self.some(), self.random.choice(["silent", "reset"])
        rest = self.random.uniform(0.3 * LEASE, 4 * LEASE)
        self.tell(f"{node} off {text}, {how}, for {rest:.1f} s")
        self.cluster.rule(node, whom, how)
        time.sleep(rest)
        self.cluster.heal(node)

    def off_nats(self):
        self.off("nats", "NATS")

    def off_nodes(self):
        self.off("nodes", "the other nodes")

    def slow(self):
        node, late, rest = self.some(), self.random.randint(10, 150), self.random.uniform(1, 4)
        whom = self.random.choice(["nats", "nodes", "all"])
        self.tell(f"{node} slow by {late} ms from {whom} for {rest:.1f} s")
        self.cluster.rule(node, whom, "slow", late)
        time.sleep(rest)
        self.cluster.heal(node)

    # --- NATS ---

    def restart_server(self, server, end, rest):
        end(server)
        time.sleep(rest)
        self.cluster.start(server)

    def restart_nats(self):
        server, rest = self.random.choice(list(self.cluster.servers)), self.random.uniform(0, 2 * LEASE)
        end = self.random.choice([self.cluster.stop, self.cluster.kill])
        self.tell(f"{end.__name__} {server}, start it {rest:.1f} s later")
        self.restart_server(server, end, rest)

    def pause_nats(self):
        server, rest = self.random.choice(list(self.cluster.servers)), self.random.uniform(0.5 * LEASE, 3 * LEASE)
        self.tell(f"pause {server} for {rest:.1f} s")
        self.cluster.pause(server)
        time.sleep(rest)
        self.cluster.resume(server)

    def kill_leader(self):
        server, rest = self.leader(), self.random.uniform(0, 3 * LEASE)
        self.tell(f"kill {server}, the leader of the journal, start it {rest:.1f} s later")
        self.restart_server(server, self.cluster.kill, rest)

    def leader(self):
        """The server that leads the journal's stream, or any."""
        for server in self.cluster.servers:
            told = self.cluster.monitor(server, "/jsz?accounts=true&streams=true") or {}
            for account in told.get("account_details", []):
                for stream in account.get("stream_detail", []):
                    leader = (stream.get("cluster") or {}).get("leader")
                    if stream["name"] == f"{self.cluster.name}_journal" and leader in self.cluster.servers:
                        return leader
        return self.random.choice(list(self.cluster.servers))
