"""The checker finds each kind of violation in logs made by hand, and nothing where there is none."""

import copy
import json
import struct

import pytest
from checker import Checker, Final, read_logs
from journal import Entry, Record, entries


def line(say, op, event, who, begun, at=None, node="n1", **more):
    return {"say": say, "op": op, "id": event, "who": who, "begun": begun, "at": at, "node": node, **more}


def both(op, event, who, begun, tried=None, **more):
    tried = tried or {}
    return [line("try", op, event, who, begun, **tried), line("ack", op, event, who, begun, begun + 0.1, **tried, **more)]


def entry(number, kind, event="", **details):
    name = "started" if kind == "journey" else ""
    return {"number": str(number), "type": kind, "id": event, "name": name, "details": details}


def log(shard, at, epoch, after, *sources):
    records = [Record(shard, after + 1 + i, epoch, "customer/demo/p1", source, i + at * 10) for i, source in enumerate(sources)]
    return Entry(shard, at, epoch, after, "commit" if sources else "opened", records)


def audit(*ids):
    """An audit log of these requests."""
    hashes = ["0" * 64, *(f"{event:>064}" for event in ids)]
    return [{"sequence": str(i + 1), "previous_hash": hashes[i], "hash": hashes[i + 1], "request_id": event, "outcome": "done"}
            for i, event in enumerate(ids)]


def world():
    """(lines, final) of a small history in which all is well."""
    lines = [*both("track", "o1", "p1", 1), *both("track", "o2", "p4", 2), line("try", "track", "o3", "p1", 3),
             *both("consent", "a1", "c1", 1, {"value": 1}), *both("consent", "a2", "c1", 2, {"value": 2}),
             line("try", "consent", "a3", "c1", 3, value=3),
             line("read", "consent", "", "c1", 2.5, 2.6, node="n2", value=2), line("read", "consent", "", "c1", 3.1, 3.2, value=3),
             *both("trigger", "t1", "t7", 1, started=True, run=1),
             line("ack", "bid", "", "v1", 1, 1.1, bids=6), line("ack", "bid", "", "v1", 1, 1.1, bids=4),
             *both("edit", "edit-1", "rule-0", 1, revision=2), line("try", "edit", "edit-2", "rule-0", 2),
             line("refused", "edit", "edit-2", "rule-0", 2, 2.1)]
    timelines = {
        "p1": [entry(2, "track", "o3"), entry(1, "track", "o1")], "p4": [entry(1, "track", "o2")],
        "c1": [entry(3, "consent", origin="a3/3"), entry(2, "consent", origin="a2/2"), entry(1, "consent", origin="a1/1")],
        "t7": [entry(1, "journey", journey="once", key="t1")]}
    journal = [log(1, 1, 1, 0), log(1, 2, 1, 0, "a", "b"), log(2, 3, 4, 7), log(1, 4, 1, 2, "a"), log(1, 5, 2, 3),
               log(1, 6, 2, 3, "c")]
    history = [(1, 1), (2, 1), (3, 1), (4, 2)]
    final = Final(timelines={"n1": timelines, "n2": copy.deepcopy(timelines)}, sample=["customer/demo/p1"],
                  histories={"n1": {"customer/demo/p1": history}, "n2": {"customer/demo/p1": [*history, (5, 2)]}},
                  revisions={node: {"rule-0": [(2, "edit-1"), (1, "first")]} for node in ("n1", "n2")}, journal=journal,
                  audit={node: audit("a1", "t1", "a2", "edit-1", "a3") for node in ("n1", "n2")},
                  vendor=[("o1", "m1"), ("o1", "m1"), ("o3", "m3")])
    return lines, final


def test_a_good_history_is_good():
    lines, final = world()
    checker = Checker(lines, final)
    assert checker.check() == []
    assert checker.seen["messages that left again"] == 1 and checker.seen["customers at their cap"] == 1


def more(who, *entry_of):
    """Another entry in the timeline of a customer at n1."""
    def change(_, final):
        final.timelines["n1"][who].insert(0, entry(len(final.timelines["n1"][who]) + 1, *entry_of))
    return change


def said(*args, **more):
    return lambda lines, final: lines.append(line(*args, **more))


def rules(node, *revisions):
    return lambda lines, final: final.revisions[node].update({"rule-0": list(revisions)})


def written(*entry):
    return lambda lines, final: final.journal.append(log(*entry))


def drop(who, at=0):
    return lambda lines, final: final.timelines["n2"][who].pop(at)


def started_again(_, final):
    final.timelines["n1"]["t7"].insert(0, entry(2, "journey", journey="once", key="t1"))


def never_left(_, final):
    final.vendor = [message for message in final.vendor if message[0] != "o1"]


def of_another_shard(_, final):
    final.journal.append(Entry(1, 7, 2, 4, "commit", [Record(3, 5, 2, "customer/demo/p9", "", 0)]))


def handled_again(_, final):
    final.journal.append(Entry(1, 7, 2, 4, "commit", [Record(1, 5, 2, "customer/demo/p1", "a", 20)]))


def audited(*ids):
    return lambda lines, final: final.audit.update(n1=audit(*ids))


def history(*records):
    return lambda lines, final: final.histories["n1"].update({"customer/demo/p1": list(records)})


VIOLATIONS = {
    "an event is not there": ("lost: n2 does not have track o2", drop("p4")),
    "a consent is not there": ("lost: n2 does not have consent a2", drop("c1", 1)),
    "a start is not there": ("lost: n2 does not have trigger t1", drop("t7")),
    "entries are missing in between": ("sequence: the timeline of c1", drop("c1", 1)),
    "a node lacks what another has": ("copies: n2", drop("p1")),
    "an event is there twice": ("twice: n1 has track o1 2 times", more("p1", "track", "o1")),
    "a journey started twice": ("twice: n1 has trigger t1", started_again),
    "nobody sent it": ("phantom: n1 has track o9", more("p4", "track", "o9")),
    "it is another's": ("phantom: n1 has track o1 of p4", more("p4", "track", "o1")),
    "a repeated start was another": ("twice: the repeated start",
                                     said("ack", "trigger", "t1", "t7", 1, 2, started=False, run=0)),
    "a stale read": ("read: n3", said("read", "consent", "", "c1", 2.5, 2.6, "n3", value=1)),
    "a read goes back": ("read: n3", said("read", "consent", "", "c1", 3.3, 3.4, "n3", value=2)),
    "a read of the future": ("phantom: n3 told", said("read", "consent", "", "c1", 3.3, 3.4, "n3", value=4)),
    "too many bids": ("cap: v1", said("ack", "bid", "", "v1", 1, 2, bids=1)),
    "an odd answer": ("answer: ", said("odd", "track", "o8", "p1", 1, 2, status=500)),
    "an edit is lost": ("lost: edit edit-1", rules("n1", (1, "first"))),
    "two edits were one revision": ("lost: edit edit-7", said("ack", "edit", "edit-7", "rule-0", 1, 2, revision=2)),
    "a refused edit is there": ("phantom: n1 has edit edit-2", rules("n1", (3, "edit-2"), (2, "edit-1"), (1, "first"))),
    "an edit is there twice": ("twice: n1 has edit edit-1", rules("n1", (3, "edit-1"), (2, "edit-1"), (1, "first"))),
    "revisions are missing": ("sequence: n2 has revisions", rules("n2", (4, "edit-1"), (1, "first"))),
    "a message never left": ("lost: the message for o1", never_left),
    "a message under two ids": ("twice: the message for o1", lambda lines, final: final.vendor.append(("o1", "m2"))),
    "a message without consent": ("phantom: a message for o2", lambda lines, final: final.vendor.append(("o2", "m9"))),
    "the audit log lacks an entry": ("lost: t1 is 0 times", audited("a1", "a2", "edit-1", "a3")),
    "it has one twice": ("twice: a1 is 2 times", audited("a1", "t1", "a2", "edit-1", "a3", "a1")),
    "its chain is broken": ("sequence: entry 3 of the audit log", lambda lines, final: final.audit["n2"].pop(1)),
    "it differs": ("copies: the audit log", lambda lines, final: final.audit["n2"].pop()),
    "an old epoch writes": ("epoch: 1 of shard 1", written(1, 7, 1, 4, "d")),
    "an old epoch opens": ("epoch: 1 of shard 2", written(2, 7, 1, 7)),
    "a gap in a shard": ("sequence: message 7", written(1, 7, 2, 5, "d")),
    "numbers come twice": ("sequence: message 7", written(1, 7, 2, 3, "d")),
    "a record of another shard": ("sequence: message 7", of_another_shard),
    "a message handled twice": ("twice: ('customer/demo/p1', 'a', 20)", handled_again),
    "a replica that differs": ("copies: n1 tells", history((1, 1), (2, 1), (4, 2))),
    "a replica that lags": ("copies: n1 tells", history((1, 1), (2, 1), (3, 1))),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_each_violation_is_found(violation):
    found, break_it = VIOLATIONS[violation]
    lines, final = world()
    break_it(lines, final)
    findings = Checker(lines, final).check()
    assert any(finding.startswith(found) for finding in findings), findings


def test_a_node_that_had_been_stopped_may_be_behind_for_a_moment():
    lines, final = world()
    lines.append(line("read", "consent", "", "c1", 2.5, 2.6, "n3", value=1))
    checker = Checker(lines, final, [("n3", 2.0, 3.0)])
    assert checker.check() == [] and checker.seen["stale reads of a node that had been stopped"] == 1


def test_a_line_that_was_cut_off_is_not_read(tmp_path):
    whole = line("ack", "track", "o1", "p1", 1, 1.1)
    (tmp_path / "a.ndjson").write_text(json.dumps(whole) + '\n{"say": "ack", "op"', encoding="utf-8")
    assert read_logs(tmp_path) == [whole]


# --- the messages of the journal's stream ---

def varint(value):
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def message(*values):
    """A serialised Protobuf message of (number, value): an int, bytes or text, or a float for a fixed64."""
    data = b""
    for number, value in values:
        if isinstance(value, float):
            data += varint(number << 3 | 1) + struct.pack("<Q", int(value))
        elif isinstance(value, int):
            data += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            data += varint(number << 3 | 2) + varint(len(value)) + value
    return data


RECORD = message((1, 300), (2, 5), (3, 2), (4, "customer/demo/p1"), (11, message((1, "shard/17"), (2, 1 << 40))))
WHOLE = message((1, 2), (2, 4), (3, 77.0), (7, message((1, RECORD), (3, 1))))


def parts(data, attempt, count=3):
    size = -(-len(data) // count)
    return [message((3, float(attempt)), (4, i), (5, count), (9, data[i * size:(i + 1) * size])) for i in range(count)]


def read(*messages):
    return list(entries((i + 1, "cx.journal.300", data) for i, data in enumerate(messages)))


def test_messages_are_read():
    opened = message((1, 2), (2, 4), (3, 1.0), (6, 1))
    found = read(opened, WHOLE)
    record = Record(300, 5, 2, "customer/demo/p1", "shard/17", 1 << 40)
    assert found == [Entry(300, 1, 2, 4, "opened", []), Entry(300, 2, 2, 4, "commit", [record])]


def test_parts_are_put_together_and_void_when_interrupted():
    one, two, three = parts(WHOLE, 1)
    assert [entry.at for entry in read(one, two, three)] == [3]
    assert read(one, two, three)[0].records == read(WHOLE)[0].records
    assert [entry.at for entry in read(one, two, WHOLE)] == [3]
    assert [entry.at for entry in read(one, WHOLE, two, three)] == [2]
    again = parts(WHOLE, 2)
    assert [entry.at for entry in read(one, two, *again)] == [5]
    assert read(one, two, again[2]) == []
