"""Random commands of a few clients, and what became of them."""

import re
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

NUMBER = re.compile(r"(\w+): (-?\d+)")
RETRIABLE = {"overloaded", "unavailable"}
KEPT = 64  # answered commands that a client may still repeat

# How many of each there are; the names only tell what they are used for.
ENTITIES = {"counter/t/strict": 40, "counter/t/mixed": 20, "account/t/": 30, "alarm/t/": 15}


def numbers(text):
    """The numbers of a message in text format; those that are absent are 0."""
    return defaultdict(int, {name: int(value) for name, value in NUMBER.findall(text)})


@dataclass(eq=False, slots=True)
class Command:
    source: str  # "-" for a query, which has no id
    sequence: int
    address: str
    type: str
    text: str = ""
    values: dict = field(default_factory=dict)  # what the checker needs to know of it
    under_way: int = 0  # copies of it that are with the node
    answer: tuple = None  # the first that settled it: ("ok", reply) or ("error", type)
    life: int = 0  # of the node, that answered
    answered_at: float = 0
    floor: int = 0  # of a query: the change that it must have seen

    @property
    def relaxed(self):
        return self.type == "AddRelaxed"

    @property
    def query(self):
        return self.source == "-"

    def __str__(self):
        return f"{self.source}#{self.sequence} {self.type} {self.text} to {self.address}"


class Client:
    """Numbers its commands, repeats what was not answered, and now and then what was."""

    def __init__(self, source):
        self.source = source
        self.sequence = 0
        self.open = {}  # not answered, by sequence
        self.kept = deque()

    def settled(self):
        return min([next(iter(self.open), self.sequence + 1), *(command.sequence for command in self.kept)])

    def keep(self, command):
        self.kept.append(command)
        if len(self.kept) > KEPT:
            self.kept.popleft()


class Workload:
    """Makes commands, takes answers, remembers all of them. `shards`: of the addresses that may be used."""

    def __init__(self, random, addresses):
        self.random = random
        self.addresses = addresses
        self.clients = [Client(f"client-{i}") for i in range(3)]
        self.commands = {}  # that were sent, by (source, sequence)
        self.to_retry = []
        self.tags = {}  # tag: command
        self.next_tag = 0
        self.life = 0
        self.alarms = 0
        self.cancellable = []
        self.last_due = 0  # of an alarm, Unix milliseconds
        self.durable = Counter()  # changes of each counter that were seen and so must last
        self.killed_at = {}  # life: time
        self.findings = []  # what is wrong with a single answer
        self.seen = Counter()  # answers by what they say

    def begin(self):
        """The node lives again: what was under way is in doubt, and is asked for again with the same id."""
        self.life += 1
        for command in self.tags.values():
            command.under_way = 0
        self.tags.clear()
        self.to_retry = [command for client in self.clients for command in client.open.values()]
        self.random.shuffle(self.to_retry)

    def lines(self, count):
        """The next commands as the node reads them, about `count`."""
        lines = []
        while count > 0:
            count -= 1
            if self.to_retry:
                command = self.to_retry.pop()
            elif self.random.random() < 0.04 and (kept := self._kept()):
                command = kept
            else:
                command = self._new()
                if self.random.random() < 0.03 and command.type in ("Add", "AddRelaxed", "Deposit", "SetAlarm"):
                    lines.append(self._line(command))
            lines.append(self._line(command))
        return "".join(lines).encode()

    def retries(self):
        lines = [self._line(command) for command in self.to_retry]
        self.to_retry = []
        return "".join(lines).encode()

    def _line(self, command):
        self.next_tag += 1
        self.tags[self.next_tag] = command
        command.under_way += 1
        settled = 0 if command.query else self.client(command).settled()
        return (f"do {self.next_tag} {command.source} {command.sequence} {settled} {command.address} "
                f"{command.type} {command.text}\n")

    def client(self, command):
        return self.clients[int(command.source[-1])]

    def _kept(self):
        kept = self.random.choice(self.clients).kept
        command = self.random.choice(kept) if kept else None
        # A relaxed one that a crash has forgotten would only now be done.
        return None if command and command.relaxed and command.life != self.life else command

    def _new(self):
        pick = self.random.choice
        kind = pick(list(ENTITIES))
        address = pick(self.addresses[kind])
        chance = self.random.random()
        if kind.startswith("counter"):
            if chance < 0.1:
                command = Command("-", 0, address, "GetTotal", floor=self.durable[address])
            elif chance < 0.3:
                command = self._numbered(address, "Take", n=self.random.randint(1, 5000))
            else:
                relaxed = kind.endswith("mixed") and chance < 0.8
                command = self._numbered(address, "AddRelaxed" if relaxed else "Add", n=self.random.randint(1, 999))
        elif kind.startswith("account"):
            if chance < 0.4:
                command = self._numbered(address, "Deposit", amount=self.random.randint(1, 1000))
            else:
                command = self._numbered(address, "Transfer", to=pick(self.addresses[kind]),
                                         amount=self.random.randint(1, 300))
        else:
            command = self._alarm(address, chance)
        return command

    def _alarm(self, address, chance):
        now = int(time.time() * 1000)
        if chance < 0.1 and self.cancellable:
            address, name = self.cancellable.pop()
            return self._numbered(address, "CancelAlarm", name=name)
        self.alarms += 1
        name = f"a{self.alarms}"
        if chance < 0.25:  # in an hour
            return self._numbered(address, "SetAlarm", name=name, at=now + 3_600_000, repeat_ms=0, times=0)
        at, times = now + self.random.randint(-100, 1500), self.random.randint(1, 3)
        self.last_due = max(self.last_due, at + 50 * times)
        return self._numbered(address, "SetAlarm", name=name, at=at, repeat_ms=50, times=times)

    def _numbered(self, address, kind, **values):
        client = self.random.choice(self.clients)
        client.sequence += 1
        text = " ".join(f'{name}: "{value}"' if isinstance(value, str) else f"{name}: {value}"
                        for name, value in values.items())
        command = Command(client.source, client.sequence, address, kind, text, values)
        client.open[command.sequence] = command
        self.commands[client.source, client.sequence] = command
        return command

    def take(self, lines):
        """Lines that the node wrote."""
        for line in lines:
            tag, _, answer = line.partition(" ")
            if tag.isdigit():
                self._answered(self.tags.pop(int(tag)), *answer.split(" ", 1))
            elif tag == "cut":
                kind, text = answer.split(" ", 1)
                if kind == "ok":
                    self.seen["records cut"] += int(text)
                else:
                    self.seen[f"cut: {text.split()[0]}"] += 1

    def _answered(self, command, kind, text):
        command.under_way -= 1
        if kind == "error":
            text, _, detail = text.partition(" ")
            self.seen[text] += 1
            if text in RETRIABLE:
                if not command.answer and not command.under_way and not command.query:
                    self.to_retry.append(command)
                return
            if text != "too-little":
                self.findings.append(f"answer: {command} got {text}: {detail}")
        else:
            self.seen[command.type] += 1
        if command.answer:
            if command.answer != (kind, text):
                self.findings.append(f"reply: {command} was answered {command.answer}, and {kind, text} when repeated")
            return
        command.answer, command.life, command.answered_at = (kind, text), self.life, time.monotonic()
        if kind == "ok" and command.address.startswith("counter/") and not command.relaxed:
            self._saw_changes(command, numbers(text)["changes"])
        if not command.query:
            client = self.client(command)
            client.open.pop(command.sequence, None)
            if kind == "ok":
                client.keep(command)
                if command.type == "SetAlarm" and not command.values["times"]:
                    self.cancellable.append((command.address, command.values["name"]))

    def _saw_changes(self, command, changes):
        if command.query and changes < command.floor:
            self.findings.append(f"read: {command} saw change {changes} after {command.floor} had been seen")
        self.durable[command.address] = max(self.durable[command.address], changes)
