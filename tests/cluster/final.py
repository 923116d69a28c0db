"""What a cluster holds in the end, asked of every node."""

import json
import time
from collections import Counter
from urllib.parse import urlencode

from checker import Checker, Final
from journal import read
from load import PEOPLE, RULES

SETTLING = 120  # seconds; a bound, no promise
OF_CUSTOMERS = "track", "consent", "trigger"
SAMPLE = 60  # customers whose histories are compared


def ask(cluster, node, path, **query):
    """A 200 of that node, within the time that a cluster may take to come to rest."""
    end = time.monotonic() + SETTLING
    while (text := cluster.ask(node, path + ("?" + urlencode(query) if query else ""), 15)) is None:
        assert time.monotonic() < end, (f"{node} does not answer {path} with 200, {SETTLING} s after the last fault\n"
                                        f"{cluster.last_words(node)}")
        time.sleep(0.1)
    return json.loads(text)


def pages(cluster, node, path, name):
    found, token = [], ""
    while True:
        page = ask(cluster, node, path, page_size=1000, page_token=token)
        found += page.get(name, [])
        token = page.get("next_page_token", "")
        if not token:
            return found


def history(cluster, node, address):
    """[(sequence, epoch)] of its records."""
    found, after = [], "0"
    while True:
        page = ask(cluster, node, "/v1/entity/history", address=address, limit=1000, after=after)
        found += [(int(record["sequence"]), int(record["epoch"])) for record in page["records"]]
        after = page["next"]
        if after in ("0", 0):
            return found


def alike(read, nodes, count):
    """{node: what read(node) gives}, once all nodes tell equally much and at least `count`, or time is over."""
    end = time.monotonic() + SETTLING
    while True:
        told = {node: read(node) for node in nodes}
        sizes = {len(one) for one in told.values()}
        if len(sizes) == 1 and min(sizes) >= count or time.monotonic() > end:
            return told
        time.sleep(0.1)


def collect(cluster, lines, vendor, random, tenant="demo"):
    """`vendor`: its simulator, if there is one. Waits for messages that are due, and for nodes that lag."""
    final = Final()
    nodes = cluster.running()
    final.vendor = wait_for_messages(lines, vendor) if vendor else None
    customers = sorted({line["who"] for line in lines if line["op"] in OF_CUSTOMERS and line["say"] == "try"})
    for who in customers:
        told = alike(lambda node, who=who: pages(cluster, node, f"/v1/customers/{who}/timeline", "entries"), nodes, 0)
        for node, entries in told.items():
            final.timelines.setdefault(node, {})[who] = entries
    for rule in (f"rule-{number}" for number in range(RULES)):
        told = alike(lambda node, rule=rule: pages(cluster, node, f"/v1/approval-rules/{rule}/revisions", "rules"), nodes, 1)
        for node, revisions in told.items():
            final.revisions.setdefault(node, {})[rule] = [(int(one["revision"]), one["name"]) for one in revisions]
    head = int(ask(cluster, nodes[0], "/v1/audit:head")["count"])
    final.audit = alike(lambda node: pages(cluster, node, "/v1/audit", "entries"), nodes, head)
    for node in nodes:
        final.dead_letters += ask(cluster, node, "/v1/deadletters")["dead_letters"]
    final.journal = read(cluster)
    counts = Counter(record.entity for entry in final.journal for record in entry.records)
    for who in random.sample(customers, min(SAMPLE, len(customers))):
        address = f"customer/{tenant}/{who}"
        final.sample.append(address)
        told = alike(lambda node, address=address: history(cluster, node, address), nodes, counts[address])
        for node, records in told.items():
            final.histories.setdefault(node, {})[address] = records
    return final


def wait_for_messages(lines, vendor):
    due = Checker(lines, Final()).due()
    end = time.monotonic() + SETTLING
    while True:
        left = [(message["body"]["event"]["properties"]["order"], message["id"]) for message in vendor.taken()]
        if due <= {order for order, _ in left} or time.monotonic() > end:
            return left
        time.sleep(0.2)
