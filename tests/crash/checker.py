"""Whether what a node holds in the end is what it answered: from the answers, the log and the states alone."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from workload import numbers


@dataclass(slots=True)
class Record:
    shard: int
    sequence: int
    inner: int  # the sequence that the record itself names
    epoch: int
    entity: str
    type: str
    source: str
    number: int  # of the message's id


@dataclass(slots=True)
class Held:
    """What a dump of the node says."""

    first: dict = field(default_factory=dict)  # of the log, by shard
    last: dict = field(default_factory=dict)
    records: list = field(default_factory=list)  # all that there ever were, when it comes to checking
    outbox: list = field(default_factory=list)
    dead: list = field(default_factory=list)
    reminders: set = field(default_factory=set)  # (due, entity, name)
    states: dict = field(default_factory=dict)  # address: ("ok", sequence and state)

    @classmethod
    def parse(cls, lines):
        held = cls()
        for line in lines:
            what, *values = line.split(" ")
            if what == "shard":
                shard, first, last = map(int, values)
                held.first[shard], held.last[shard] = first, last
            elif what == "record":
                held.records.append(Record(*map(int, values[:4]), *values[4:7], int(values[7])))
            elif what == "reminder":
                held.reminders.add((int(values[1]), *values[2:]))
            elif what in ("outbox", "dead"):
                getattr(held, what).append(line)
        return held


def check(work, held):
    """What is wrong, a line each; the lost relaxed commands, which may be lost, are counted in `work.seen`."""
    checker = Checker(work, held)
    checker.check_log()
    checker.check_presence()
    checker.check_letters()
    checker.check_replies()
    checker.check_states()
    return work.findings + checker.findings


class Checker:
    def __init__(self, work, held):
        self.work, self.held = work, held
        self.findings = []
        self.by_id = defaultdict(list)
        for record in held.records:
            self.by_id[record.source, record.number].append(record)
        # What took effect, in the end: strict ones that were answered, relaxed ones that are there.
        self.effective = []

    def find(self, what):
        self.findings.append(what)

    def check_log(self):
        expected = dict.fromkeys(self.held.first, 1)
        epochs = Counter()
        for record in self.held.records:
            shard = record.shard
            if not record.sequence == record.inner == expected[shard]:
                self.find(f"sequence: {expected[shard]} of shard {shard} is {record}")
            expected[shard] = record.sequence + 1
            if record.epoch < epochs[shard]:
                self.find(f"sequence: the epoch falls at {record}")
            epochs[shard] = record.epoch
        for shard, after in expected.items():
            if after != self.held.last[shard] + 1:
                self.find(f"sequence: shard {shard} ends before {self.held.last[shard]}")

    def check_presence(self):
        seen = Counter((r.entity, r.source, r.number) for r in self.held.records if r.source != "-")
        for identity, times in seen.items():
            if times > 1:
                self.find(f"twice: {identity} has {times} records")
        newest = Counter()  # (address, life): the last change that is there
        lost = []
        for identity, command in self.work.commands.items():
            records = self.by_id[identity]
            for record in records:
                if (record.entity, record.type) != (command.address, command.type):
                    self.find(f"reply: {command} is {record}")
            if not command.answer:
                self.find(f"answer: {command} was never answered")
            elif command.answer[0] == "error":
                if records:
                    self.find(f"reply: {command} was refused ({command.answer[1]}) and took effect: {records[0]}")
            elif records:
                self.effective.append(command)
                key = command.address, command.life
                newest[key] = max(newest[key], numbers(command.answer[1])["changes"])
            elif command.relaxed:
                lost.append(command)
            else:
                self.find(f"lost: {command}, answered {command.answer[1]} in life {command.life}")
        for command in lost:  # only if nothing that came after it is there
            changes = numbers(command.answer[1])["changes"]
            if changes < newest[command.address, command.life]:
                self.find(f"lost: {command}, relaxed, but what came later is there")
        self.work.seen["lost relaxed"] = len(lost)
        ages = [self.work.killed_at[c.life] - c.answered_at for c in lost if c.life in self.work.killed_at]
        self.work.seen["oldest lost relaxed, ms before the kill"] = round(1000 * max(ages, default=0))

    def check_letters(self):
        """Every transfer has one credit, and every credit its transfer."""
        transfers = {(r.shard, r.sequence): self.work.commands[r.source, r.number]
                     for r in self.held.records if r.type == "Transfer"}
        credits = Counter()
        for record in self.held.records:
            if record.type != "Credit":
                continue
            key = int(record.source.removeprefix("shard/")), record.number // 1024
            if key not in transfers or transfers[key].values["to"] != record.entity:
                self.find(f"outbox: nobody sent {record}")
            credits[key] += 1
        for key, command in transfers.items():
            if credits[key] != 1:
                self.find(f"outbox: {command} was credited {credits[key]} times")
        for line in self.held.outbox + self.held.dead:
            self.find(f"outbox: left over: {line}")

    def check_replies(self):
        """Every answer is what the log up to its record leads to."""
        total, changes = Counter(), Counter()
        for record in self.held.records:
            command = self.work.commands.get((record.source, record.number))
            if command is None or not record.entity.startswith("counter/"):
                continue
            total[record.entity] += -command.values["n"] if command.type == "Take" else command.values["n"]
            changes[record.entity] += 1
            if not command.answer or command.answer[0] == "error":
                continue
            reply = numbers(command.answer[1])
            if (reply["total"], reply["changes"]) != (total[record.entity], changes[record.entity]):
                self.find(f"reply: {command} was answered {command.answer[1]}, but the log says "
                          f"{total[record.entity]} after {changes[record.entity]}")

    def check_states(self):
        expected = defaultdict(Counter)
        rings = defaultdict(Counter)
        reminders = set()
        for command in self.effective:
            values, state = command.values, expected[command.address]
            if command.address.startswith("counter/"):
                state["total"] += -values["n"] if command.type == "Take" else values["n"]
                state["changes"] += 1
            elif command.type == "Deposit":
                state["balance"] += values["amount"]
            elif command.type == "Transfer":
                state["balance"] -= values["amount"]
                state["transfers_out"] += 1
                expected[values["to"]]["balance"] += values["amount"]
                expected[values["to"]]["transfers_in"] += 1
            elif command.type == "SetAlarm" and values["times"]:
                rings[command.address][values["name"]] = values["times"]
            elif command.type == "SetAlarm":
                reminders.add((values["at"], command.address, values["name"]))
        cancelled = {(c.address, c.values["name"]) for c in self.effective if c.type == "CancelAlarm"}
        for address, (kind, text) in self.held.states.items():
            if kind != "ok":
                self.find(f"state: {address} cannot be read: {text}")
            elif address.startswith("alarm/"):
                self._check_rings(address, text, rings[address])
            else:
                state = numbers(text)
                if Counter(state) != expected[address]:  # what is absent counts as 0
                    self.find(f"state: {address} is {dict(state)}, and should be {dict(expected[address])}")
        if self.held.reminders != (reminders := {r for r in reminders if r[1:] not in cancelled}):
            self.find(f"state: reminders that should not be: {self.held.reminders - reminders}, "
                      f"that should: {reminders - self.held.reminders}")
        money = sum(numbers(text)["balance"] for a, (_, text) in self.held.states.items() if a.startswith("account/"))
        paid_in = sum(c.values["amount"] for c in self.effective if c.type == "Deposit")
        if money != paid_in:
            self.find(f"state: {paid_in} was paid in, and {money} is there")

    def _check_rings(self, address, text, expected):
        rang = Counter()
        for entry in text.split("rang {")[1:]:
            values = entry.split()
            rang[values[1].strip('"')] = int(values[3])
        for name in rang.keys() | expected.keys():
            if rang[name] != expected[name]:
                self.find(f"state: {name} of {address} rang {rang[name]} times, and should {expected[name]}")
