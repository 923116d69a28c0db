"""The crash loop: random commands, a sudden end, and again, on one directory; then the checker."""

import time
from random import Random

from checker import Held, check
from process import PATIENCE, Ended, Process
from workload import ENTITIES, Workload

# So small that entities are put to sleep, snapshotted and woken all the time.
HABITS = ("--max-resident", 40, "--idle-ms", 30, "--snapshot-ms", 50, "--twice", 0.1)
SHARDS = 16  # that the entities share: several in each


class Loop:
    """Rounds with a node on `folder`/data. `power`: a round ends with a loss of power, not with SIGKILL."""

    def __init__(self, folder, seed, power=False, flags=()):
        self.folder, self.power, self.flags = folder, power, (*HABITS, *flags)
        self.random = Random(seed)
        self.archive = {}  # records by (shard, sequence), from before the log was cut
        with Process(folder) as node:
            self.work = Workload(self.random, pick_addresses(node.wait_ready()))
            node.stop()

    def start(self, *flags):
        return Process(self.folder, *self.flags, *flags)

    def run(self, rounds):
        """What the checker finds."""
        for _ in range(rounds):
            self.round()
        return check(self.work, self.finish())

    def finish(self):
        """A last life, in which everything comes to rest; what the node holds then."""
        with self.start() as node:
            self.begin(node)
            held = self.drain(node)
            node.stop()
        return held

    def begin(self, node):
        node.wait_ready()
        held = self.dump(node) if self.random.random() < 0.4 else None
        self.work.begin()
        if held:  # have the log cut while commands come
            node.send("".join(f"cut cut {shard} {self.random.randint(held.first[shard], last)}\n"
                              for shard, last in held.last.items() if held.first[shard] <= last).encode())

    def dump(self, node):
        """What the node holds; of the log, only what has not been cut. A record must never change."""
        held = Held.parse(node.ask_all("dump"))
        for record in held.records:
            before = self.archive.setdefault((record.shard, record.sequence), record)
            if before != record:
                self.work.findings.append(f"sequence: {before} has become {record}")
        return held

    def round(self):
        if self.power:
            return self.lose_power()
        with self.start() as node:
            if self.random.random() < 0.1:  # before it has got ready, or soon after
                return time.sleep(self.random.uniform(0, 0.2))
            self.begin(node)
            self.play(node)
            self.ended(node.kill())

    def lose_power(self):
        """A round that ends when somebody says so or, at the worst of times, when something is to be synced."""
        seed = self.random.choice([0, self.random.randrange(1, 1 << 32)])
        until = self.random.choice([0, 0, self.random.randint(1, 60)])
        with self.start("--power-until", until, "--power-seed", seed) as node:
            try:
                self.begin(node)
                self.play(node)
                self.ended(node.lose_power(seed))
            except Ended:
                self.work.take(node.remains())
                if not until or node.process.returncode != 0:
                    raise

    def ended(self, remains):
        self.work.killed_at[self.work.life] = time.monotonic()
        self.work.take(remains)

    def play(self, node):
        """Random commands for a while, as many at once as this round likes."""
        at_once = self.random.choice([1, 10, 100, 400])
        # The node sweeps twice a second: a life should now and then see more than its first sweep.
        end = time.monotonic() + self.random.uniform(0.02, self.random.choice([0.1, 0.3, 1.2]))
        while time.monotonic() < end:
            if (room := at_once - len(self.work.tags)) > 0:
                node.send(self.work.lines(room))
            self.receive(node, 0.002)

    def receive(self, node, seconds):
        lines = node.lines(seconds)
        if lines is None:
            raise Ended(f"the node has ended by itself: {node.log()}")
        self.work.take(lines)

    def hear_out(self, node):
        """Until the node has answered, be it that it cannot."""
        end = time.monotonic() + PATIENCE
        while self.work.tags:
            assert time.monotonic() < end, f"no answer to {[str(c) for c in self.work.tags.values()][:5]}"
            self.receive(node, 0.05)

    def settle(self, node):
        """Until every command is done or refused for good."""
        end = time.monotonic() + PATIENCE
        while self.work.tags or self.work.to_retry:
            assert time.monotonic() < end, f"unanswered: {[str(c) for c in self.work.to_retry][:5]}"
            node.send(self.work.retries())
            self.hear_out(node)

    def drain(self, node):
        """Until nothing is under way and nothing is due; what the node then holds."""
        self.settle(node)
        end = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < end, f"the node does not come to rest: {node.ask('status')}"
            now = time.time() * 1000
            status = node.ask("status")[1]
            if now > self.work.last_due and " uncommitted: 0 outbox: 0 " in status:
                held = self.dump(node)
                if all(due > now for due, *_ in held.reminders):
                    break
            time.sleep(0.05)
        held.states = self.states(node)
        held.records = [self.archive[key] for key in sorted(self.archive)]
        return held

    def states(self, node):
        """What every entity is, or the error that says why it cannot be told."""
        all_addresses = [address for addresses in self.work.addresses.values() for address in addresses]
        return {address: node.ask("inspect", address) for address in all_addresses}


def pick_addresses(node):
    """As many addresses of each kind as the workload wants, of few shards."""
    picked = {}
    for prefix, wanted in ENTITIES.items():
        candidates = (f"{prefix}{i}" for i in range(1 << 20))
        few = picked[prefix] = []
        while len(few) < wanted:
            some = [next(candidates) for _ in range(500)]
            node.send("".join(f"shard {address} {address}\n" for address in some).encode())
            answers = []
            while len(answers) < len(some):
                answers += node.lines(PATIENCE)
            for address, _, shard in map(str.split, answers):
                if int(shard) < SHARDS and len(few) < wanted:
                    few.append(address)
    return picked
