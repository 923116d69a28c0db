"""Bid requests that others wrote, as their index says that a bidder must take them."""

import csv
import json

import pytest
from node import SHARED
from openrtb import bids, checked_bids

FOLDER = SHARED / "conformance/openrtb"
CASES = []
if (FOLDER / "INDEX.tsv").exists():
    with open(FOLDER / "INDEX.tsv", encoding="utf-8") as index:
        CASES = [(row["file"], row["expect"]) for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE)]

pytestmark = pytest.mark.skipif(not CASES, reason=f"SKIPPED: no conformance data in {FOLDER}; set CX_SHARED")


@pytest.mark.parametrize("file,expect", CASES)
def test_case(node, file, expect):
    body = (FOLDER / file).read_bytes()
    reply = node.bid(body)
    assert expect != "reject" or reply.status == 400
    if reply.status == 400:
        assert expect != "strict", reply.problem()
        reply.problem()
    elif expect == "no-bid-imp":
        assert bids(reply) == []
    else:
        checked_bids(json.loads(body), reply)


def test_some_are_bid_for(node):
    """The cases above prove little if none of them is bid for."""
    strict = [(FOLDER / file).read_bytes() for file, expect in CASES if expect == "strict"]
    assert sum(node.bid(body).status == 200 for body in strict) > len(strict) / 4
