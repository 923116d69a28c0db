"""Whether what a cluster holds in the end is what it answered: from the clients' logs, the journal and what the API shows.

A finding is a line that begins with what is wrong:
  answer    an answer that no client may get
  lost      what was acknowledged is not there
  twice     something took effect twice
  phantom   something is there that nobody asked for, or that was refused
  sequence  a shard's records are not contiguous
  epoch     an older epoch has written after a newer one
  read      a read did not see what had been acknowledged before it
  cap       a customer got more bids than the cap allows
  copies    nodes tell different stories
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from load import CAP, PEOPLE


@dataclass
class Final:
    """What there is in the end."""

    timelines: dict = field(default_factory=dict)  # node: {customer: entries, the newest first}
    histories: dict = field(default_factory=dict)  # node: {address: [(sequence, epoch)]}
    sample: list = field(default_factory=list)  # the addresses in histories
    revisions: dict = field(default_factory=dict)  # node: {rule: [(revision, name)], the newest first}
    audit: dict = field(default_factory=dict)  # node: [AuditEntry], the newest last
    journal: list = field(default_factory=list)  # Entry
    vendor: list = field(default_factory=list)  # (order, message id) of every message that left; None: no one looked
    dead_letters: list = field(default_factory=list)


def read_logs(folder):
    """Every line of every client; the last one of a file may be cut off."""
    lines = []
    for file in sorted(folder.glob("*.ndjson")):
        lines += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return lines


class Checker:
    """`overlaps`: [(node, from, to)], when a node had just been stopped for longer than its lease: until it notices, it may
    answer what it knew; these reads are counted."""

    def __init__(self, lines, final, overlaps=()):
        self.final, self.overlaps = final, overlaps
        self.findings = []
        self.seen = Counter()
        self.by = defaultdict(list)  # (op, say): lines
        for line in lines:
            self.by[line["op"], line["say"]].append(line)

    def find(self, what):
        self.findings.append(what)

    def check(self):
        for (op, say), lines in self.by.items():
            self.seen[f"{op} {say}"] = len(lines)
            for line in lines if say == "odd" else ():
                self.find(f"answer: {line}")
        self.check_journal()
        self.check_histories()
        self.check_timelines("track", "track", lambda entry: entry["id"])
        self.check_timelines("consent", "consent", origin)
        self.check_timelines("trigger", "journey", started_key)
        self.check_numbers()
        self.check_triggers()
        self.check_registers()
        self.check_caps()
        self.check_edits()
        self.check_audit()
        if self.final.vendor is not None:
            self.check_vendor()
        return self.findings

    # --- the journal, as NATS has it ---

    def check_journal(self):
        last, epochs, seen = {}, Counter(), {}
        for entry in self.final.journal:
            shard = entry.shard
            if entry.epoch < epochs[shard]:
                self.find(f"epoch: {entry.epoch} of shard {shard} wrote {entry.what} (message {entry.at}) after "
                          f"{epochs[shard]} had written")
            epochs[shard] = max(epochs[shard], entry.epoch)
            expected = last.setdefault(shard, entry.after)
            if entry.after != expected:
                self.find(f"sequence: message {entry.at} goes on after {entry.after} of shard {shard}, "
                          f"which is at {expected}")
            for record in entry.records:
                expected += 1
                if (record.shard, record.sequence, record.epoch) != (shard, expected, entry.epoch):
                    self.find(f"sequence: message {entry.at} has {record} for record {expected} of shard {shard}, "
                              f"epoch {entry.epoch}")
                if record.source:
                    identity = record.entity, record.source, record.number
                    if identity in seen:
                        self.find(f"twice: {identity} is record {seen[identity]} and {record.sequence} of shard {shard}")
                    seen[identity] = record.sequence
            last[shard] = max(expected, last[shard])
        self.seen["records"] = sum(len(entry.records) for entry in self.final.journal)
        self.seen["owners of shards"] = sum(entry.what == "opened" for entry in self.final.journal)

    def check_histories(self):
        """What nodes tell of an entity is what the journal has of it; they may have more, which came later."""
        sample = set(self.final.sample)
        written = defaultdict(list)
        for entry in self.final.journal:
            for record in entry.records:
                if record.entity in sample:
                    written[record.entity].append((record.sequence, record.epoch))
        for node, histories in self.final.histories.items():
            for address, told in histories.items():
                if told[:len(written[address])] != written[address]:
                    self.find(f"copies: {node} tells {told[-3:]} ({len(told)}) of {address}, "
                              f"the journal has {written[address][-3:]} ({len(written[address])})")

    # --- customers ---

    def check_timelines(self, op, kind, id_of):
        """Every acknowledged one is in its customer's timeline once, at every node; others at most once, if sent at all."""
        tried = {line["id"]: line["who"] for line in self.by[op, "try"]}
        refused = {line["id"] for line in self.by[op, "refused"]}
        for node, timelines in self.final.timelines.items():
            held = Counter()
            for who, entries in timelines.items():
                for entry in entries:
                    event = id_of(entry) if entry["type"] == kind else None
                    if event is None:
                        continue
                    held[event] += 1
                    if tried.get(event) != who:
                        self.find(f"phantom: {node} has {op} {event} of {who}, "
                                  f"which was sent for {tried.get(event, 'nobody')}")
            for line in self.by[op, "ack"]:
                if not held[line["id"]]:
                    self.find(f"lost: {node} does not have {op} {line['id']} of {line['who']}, "
                              f"acknowledged by {line['node']}")
            for event, times in held.items():
                if times > 1:
                    self.find(f"twice: {node} has {op} {event} {times} times")
                if event in refused:
                    self.find(f"phantom: {node} has {op} {event}, which was refused")

    def check_numbers(self):
        first = {}
        for node, timelines in self.final.timelines.items():
            for who, entries in timelines.items():
                numbers = [int(entry["number"]) for entry in entries]
                if numbers != list(range(len(numbers), 0, -1)):
                    self.find(f"sequence: the timeline of {who} at {node} is numbered {numbers[:5]}...")
                if first.setdefault(who, (node, len(numbers)))[1] != len(numbers):
                    self.find(f"copies: {node} has {len(numbers)} entries of {who}, {first[who][0]} has {first[who][1]}")

    def check_triggers(self):
        for line in self.by["trigger", "ack"]:
            if not line["started"] or line["run"] != 1:
                self.find(f"twice: the repeated start {line['id']} did not get the first one's answer: {line}")

    def check_registers(self):
        """Reads of what a single client writes, one value after the other: nothing that was acknowledged, or seen, before a
        read began may be missing from it."""
        events = defaultdict(list)  # customer: (time, order, what, line)
        for line in self.by["consent", "ack"]:
            events[line["who"]].append((line["at"], 0, "bound", line))
        for line in self.by["consent", "try"]:
            events[line["who"]].append((line["begun"], 0, "try", line))
        for line in self.by["consent", "read"]:
            events[line["who"]] += [(line["begun"], 1, "begin", line), (line["at"], 2, "end", line)]
        for who, timeline in events.items():
            bound = tried = 0
            least = {}
            for at, _, what, line in sorted(timeline, key=lambda event: event[:2]):
                if what == "try":
                    tried = max(tried, line["value"])
                elif what == "begin":
                    least[id(line)] = bound
                else:
                    if what == "end" and line["value"] < least[id(line)]:
                        self.stale(who, line, least[id(line)])
                    if line["value"] > tried:
                        self.find(f"phantom: {line['node']} told value {line['value']} of {who}, "
                                  f"of which {tried} was the last sent")
                    bound = max(bound, line["value"])

    def stale(self, who, line, least):
        if any(node == line["node"] and begin <= line["at"] <= end for node, begin, end in self.overlaps):
            self.seen["stale reads of a node that had been stopped"] += 1
        else:
            self.find(f"read: {line['node']} told value {line['value']} of {who} at {line['at']:.3f} "
                      f"after {least} had been acknowledged or seen")

    def check_caps(self):
        bids = Counter()
        for line in self.by["bid", "ack"]:
            bids[line["who"]] += line["bids"]
        for who, count in bids.items():
            if count > CAP:
                self.find(f"cap: {who} got {count} bids, {CAP} are allowed")
        self.seen["customers at their cap"] = sum(count == CAP for count in bids.values())

    # --- the catalog ---

    def check_edits(self):
        tried = {line["id"] for line in self.by["edit", "try"]}
        refused = {line["id"] for line in self.by["edit", "refused"]}
        for node, rules in self.final.revisions.items():
            place = {}
            for rule, revisions in rules.items():
                if [number for number, _ in revisions] != list(range(len(revisions), 0, -1)):
                    self.find(f"sequence: {node} has revisions {[number for number, _ in revisions][:5]}... of {rule}")
                for number, name in revisions:
                    if not name.startswith("edit"):  # from before the clients began
                        continue
                    if name in place:
                        self.find(f"twice: {node} has edit {name} as {place[name]} and {rule, number}")
                    place[name] = rule, number
                    if name not in tried or name in refused:
                        self.find(f"phantom: {node} has edit {name}, "
                                  f"which was {'refused' if name in refused else 'never sent'}")
            for line in self.by["edit", "ack"]:
                if place.get(line["id"]) != (line["who"], line["revision"]):
                    self.find(f"lost: edit {line['id']}, acknowledged as revision {line['revision']} of {line['who']}, "
                              f"is {place.get(line['id'])} at {node}")

    # --- the audit log ---

    def check_audit(self):
        """It is one chain, the same at every node, in which everything acknowledged that changed something stands once."""
        acknowledged = [line["id"] for op in ("consent", "trigger", "edit") for line in self.by[op, "ack"]]
        first = None
        for node, entries in self.final.audit.items():
            before = "0" * 64
            for number, entry in enumerate(entries, 1):
                if int(entry["sequence"]) != number or entry["previous_hash"] != before:
                    self.find(f"sequence: entry {entry['sequence']} of the audit log at {node} "
                              f"does not follow on entry {number - 1}")
                before = entry["hash"]
            done = Counter(entry["request_id"] for entry in entries if entry["outcome"] == "done")
            for event in acknowledged:
                if done[event] != 1:
                    self.find(f"{'twice' if done[event] else 'lost'}: {event} is {done[event]} times in the audit log "
                              f"at {node}")
            if before != (first := first or (node, before))[1]:
                self.find(f"copies: the audit log ends in {before} at {node}, in {first[1]} at {first[0]}")

    # --- messages ---

    def check_vendor(self):
        ids = defaultdict(Counter)
        for order, message in self.final.vendor:
            ids[order][message] += 1
        tried = {line["id"]: line["who"] for line in self.by["track", "try"]}
        for order, messages in ids.items():
            if len(messages) > 1:
                self.find(f"twice: the message for {order} left under {len(messages)} ids")
            if order not in tried or not agrees(tried[order]):
                self.find(f"phantom: a message for {order} left, of {tried.get(order, 'nobody')}")
        for order in self.due():
            if order not in ids:
                self.find(f"lost: the message for {order} of {tried[order]} never left")
        self.seen["messages"] = len(ids)
        self.seen["messages that left again"] = sum(sum(messages.values()) - len(messages) for messages in ids.values())

    def due(self):
        """Orders that surely have a message."""
        return {line["id"] for line in self.by["track", "ack"] if agrees(line["who"])}


def agrees(who):
    return int(who[1:]) < PEOPLE and int(who[1:]) % 4 != 0


def origin(entry):
    """The id that a client gave a consent; None of those that were there before."""
    text = entry["details"].get("origin", "")
    return text.rpartition("/")[0] or None


def started_key(entry):
    """The key of a start of the journey `once`."""
    details = entry["details"]
    return details.get("key") if details.get("journey") == "once" and entry["name"] in ("started", "restarted") else None
