"""Checks the schemas of definitions, /schemas/KIND.json, with a maintained validator: the project's own definitions
and variations of them pass, and broken ones do not.

Usage: definitions.py DUMP ROOT, where DUMP FOLDER writes the node's documents into a folder.
"""

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

GOLDEN = {
    "trigger": {
        "event": {"name": "Cart Updated", "where": {"all": [
            {"field": "event.properties.total", "at_least": 10},
            {"not": {"field": "traits.plan", "one_of": ["free", None]}},
            {"any": [{"field": "events.Order Completed.count", "equals": 0},
                     {"field": "traits.signed_up", "within_last": "86400s"}]},
        ]}},
        "key": "event.properties.cart_id",
        "re_entry": "restart",
    },
    "exit_on": [{"name": "Order Completed"}],
    "steps": [
        {"id": "total", "remember": {"name": "total", "field": "event.properties.total"}},
        {"id": "settle", "wait": {"duration": "259200s"}},
        {"id": "half", "split": {"shares": [{"weight": 1, "next": "mail"}, {"weight": 1, "next": "hook"}]}},
        {"id": "mail", "send": {"channel": "CHANNEL_EMAIL", "via": "mail", "template": "cart"}, "next": "seen"},
        {"id": "hook", "send": {"channel": "webhook", "via": "hook", "template": "cart", "transactional": True}},
        {"id": "seen", "wait": {"until": {"event": {"name": "Link Clicked"}, "timeout": "3600.5s", "on_timeout": "end"}}},
        {"id": "big", "decide": {"branches": [{"when": {"field": "memory.total", "above": 100.5}, "next": "end"}]}},
        {"id": "at", "wait": {"at": {"field": "event.properties.at", "offset": "-86400s"}}},
        {"id": "end", "exit": {"reason": "done"}},
    ],
}

# Where in GOLDEN, and what instead; DROP: nothing.
DROP = object()
BROKEN = [
    ((), DROP),
    ((), []),
    (("trigger",), DROP),
    (("steps",), DROP),
    (("steps",), []),
    (("steps", 0, "id"), DROP),
    (("steps", 0, "id"), "Not A Name"),
    (("steps", 0, "ID"), "x"),
    (("steps", 0, "remember", "name"), ""),
    (("steps", 1, "wait", "duration"), "3 days"),
    (("steps", 1, "wait", "duration"), 259200),
    (("steps", 2, "split", "shares", 0, "weight"), -1),
    (("steps", 2, "split", "shares", 0, "weight"), 1000001),
    (("steps", 2, "split", "shares"), []),
    (("steps", 3, "send", "channel"), "pigeon"),
    (("steps", 3, "send", "channel"), 1),
    (("steps", 3, "send", "via"), DROP),
    (("steps", 3, "send", "to"), "mail"),
    (("steps", 3, "next"), ["seen"]),
    (("steps", 4, "send", "transactional"), "yes"),
    (("steps", 5, "wait", "until", "timeout"), DROP),
    (("steps", 5, "wait", "until", "event", "name"), DROP),
    (("steps", 6, "decide", "branches", 0, "when"), DROP),
    (("steps", 6, "decide", "branches", 0, "when", "over"), 100),
    (("trigger", "re_entry"), "sometimes"),
    (("trigger", "event", "where", "all"), {}),
    (("trigger", "event", "where", "all", 1, "not", "one_of"), "free"),
    (("trigger", "event", "where", "all", 2, "any", 1, "within_last"), "a day"),
    (("colour",), "red"),
    (("title",), "x" * 201),
]


def broken(at, instead):
    if not at:
        return None if instead is DROP else instead
    whole = copy.deepcopy(GOLDEN)
    inner = whole
    for key in at[:-1]:
        inner = inner[key]
    if instead is DROP:
        del inner[at[-1]]
    else:
        inner[at[-1]] = instead
    return whole


def main():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        schemas = {path.stem: json.loads(path.read_text()) for path in Path(folder, "schemas").glob("*.json")}
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        if '"#/components' in json.dumps(schema):
            wrong.append(f"{name}.json refers to what it does not have")

    # A file is the definition, or the body of the request that stores it: the definition in a field of its kind.
    files = sorted(Path(sys.argv[2], "config").rglob("*.yaml"))
    checked = 0
    for path in files:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = [(kind, content[field]) for kind, field in
                 [("journey", "journey"), ("channel", "channel"), ("template", "template"), ("delivery-policy", "policy")]
                 if isinstance(content, dict) and field in content and path.parent.name != "config"]
        if isinstance(content, dict) and "steps" in content:
            found = [("journey", content)]
        for kind, definition in found:
            checked += 1
            wrong += [f"{path}: {error.json_path}: {error.message}"
                      for error in Draft202012Validator(schemas[kind]).iter_errors(definition)]

    journey = Draft202012Validator(schemas["journey"])
    wrong += [f"the golden journey: {error.json_path}: {error.message}" for error in journey.iter_errors(GOLDEN)]
    wrong += [f"{at} as {instead!r} passes" for at, instead in BROKEN if journey.is_valid(broken(at, instead))]

    print(f"{len(schemas)} schemas, {checked} definitions of {len(files)} files, {len(BROKEN)} broken ones")
    print("\n".join(wrong))
    sys.exit(bool(wrong) or "journey" not in schemas or not checked)


main()
