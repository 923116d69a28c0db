"""What a bid request asks for, and what it gets."""

import json

import pytest
from node import ROOT
from openrtb import (BANNER, NBR_DAILY_CAP, NBR_TIME, VIDEO, banner, bid_request, bids, checked_bids, somebody, video)

CAP = 10  # bidding.cap_per_hour as shipped
SEAT = "campaign-express"


def bid(node, *imps, **fields):
    request = bid_request(*imps, **fields)
    return checked_bids(request, node.bid(request))


def test_the_example(node):
    request = json.loads((ROOT / "config/bid-request.json").read_bytes())
    assert {found["mtype"] for found in checked_bids(request, node.bid(request))} == {BANNER, VIDEO}


def test_many_imps(node):
    imps = [banner("a"), video("b"), banner("c", 728, 90), banner("d", 7, 7), banner("e"), banner("f")]
    assert {found["impid"] for found in bid(node, *imps)} == {"a", "b", "c", "e", "f"}


def test_one_imp_for_banner_or_video(node):
    imp = {**banner(), **video()}
    assert len(bid(node, imp)) == 1


def test_text_of_the_request_is_escaped(node):
    request = bid_request(banner('"<é\\\n\u2028😀'), id='{"\t\u0000')
    assert len(checked_bids(request, node.bid(request))) == 1


def test_floor(node):
    [found] = bid(node)
    assert bid(node, banner(bidfloor=found["price"] / 2))
    assert not bid(node, banner(bidfloor=1e6))
    imps = [banner("high", bidfloor=1e6), banner("low", bidfloor=0.01)]
    assert [found["impid"] for found in bid(node, *imps)] == ["low"]


def test_a_floor_in_another_currency_is_converted(node):
    [found] = bid(node)
    yen = found["price"] * 151
    assert bid(node, banner(bidfloor=yen / 2, bidfloorcur="JPY"))
    assert not bid(node, banner(bidfloor=yen * 2, bidfloorcur="JPY"))


def test_a_floor_in_an_unknown_currency_is_not_met(node):
    imps = [banner("x", bidfloor=0.01, bidfloorcur="XYZ"), banner("y")]
    assert [found["impid"] for found in bid(node, *imps)] == ["y"]


def test_currency_of_the_answer(node):
    [dollars] = bid(node)
    request = bid_request(cur=["XYZ", "EUR", "USD"])
    reply = node.bid(request)
    [euros] = checked_bids(request, reply)
    assert reply.json()["cur"] == "EUR"
    assert euros["price"] == pytest.approx(dollars["price"] * 0.92, rel=1e-5)
    assert not bid(node, cur=["XYZ"])


def test_blocked_and_allowed_categories(node):
    every = [f"IAB{n}" for n in range(1, 27)]
    assert not bid(node, bcat=every)
    assert bid(node, bcat=every[1:])
    assert bid(node, acat=["IAB3"])
    assert not bid(node, acat=["IAB26"])


def test_blocked_advertisers(node):
    blocked = []
    for _ in range(3):
        [found] = bid(node, badv=blocked)
        blocked += found["adomain"]
    assert len(set(blocked)) == 3
    bid(node, badv=[domain.upper() for domain in blocked])  # domains have no case


def test_a_zeroed_advertising_id_is_nobody(node):
    """It is what devices send whose owner has opted out: one cap for all of them would be wrong."""
    device = {"ifa": "00000000-0000-0000-0000-000000000000"}
    assert sum(len(bid(node, device=device)) for _ in range(CAP + 2)) == CAP + 2


def test_seats(node):
    assert bid(node, wseat=["other", SEAT])
    assert not bid(node, wseat=["other"])
    assert bid(node, bseat=["other"])
    assert not bid(node, bseat=[SEAT])


def test_private_auction(node):
    deals = [{"id": "deal-1", "bidfloor": 0.01}]
    private = banner("1", pmp={"private_auction": 1, "deals": deals})
    public = banner("2", pmp={"private_auction": 0, "deals": deals})
    assert [found["impid"] for found in bid(node, private, public)] == ["2"]


@pytest.mark.parametrize("imp", [
    banner(w=301, h=251),
    {"id": "1", "banner": {"w": 300, "h": 250, "btype": [2]}},
    {"id": "1", "banner": {"w": 300, "h": 250, "mimes": ["text/html"]}},
    video(mimes=["video/webm"]),
    video(minduration=31, maxduration=60),
    video(maxduration=5),
    video(rqddurs=[7]),
    video(linearity=2),
    video(protocols=[1, 4]),
    video(minbitrate=10_000),
    video(durfloors=[{"mindur": 1, "bidfloor": 1e6}]),
    {"id": "1", "audio": {"mimes": ["audio/mp4"]}},
    {"id": "1", "native": {"request": "{}"}},
])
def test_what_no_offer_suits(node, imp):
    assert not bid(node, imp)


@pytest.mark.parametrize("fields", [
    {"minduration": 15, "maxduration": 15}, {"rqddurs": [6, 10]}, {"minbitrate": 1000, "maxbitrate": 1100},
    {"protocols": [3]}, {"protocols": [2]}, {"protocols": [2, 5]}, {"linearity": 1}, {"protocols": []},
    {"durfloors": [{"mindur": 1, "maxdur": 15, "bidfloor": 0.01}, {"mindur": 16, "bidfloor": 1e6}]},
])
def test_video_constraints(node, fields):
    """Whether there is a bid is up to the catalogue; checked_bids() sees that none breaks the constraint."""
    bid(node, video(**fields))


def test_too_little_time(node):
    request = bid_request(tmax=8)
    assert node.bid(request).headers["x-openrtb-nbr"] == NBR_TIME


def test_test_mode(node):
    assert bid(node, test=1)


@pytest.mark.parametrize("fields", [
    {"regs": {"coppa": 1}}, {"regs": {"gdpr": 1}}, {"regs": {"ext": {"gdpr": 1}}}, {"device": {"lmt": 1}},
    {"device": {"dnt": 1}},
])
def test_no_profile_but_a_cap(node, fields):
    user = somebody()
    assert sum(len(bid(node, user=user, **fields)) for _ in range(CAP + 2)) == CAP
    assert node.bid(bid_request(user=user)).headers["x-openrtb-nbr"] == NBR_DAILY_CAP


def test_nobody_has_no_cap(node):
    assert sum(len(bid(node)) for _ in range(CAP + 2)) == CAP + 2


def test_the_advertising_id_stands_for_a_user(node):
    device = {"ifa": somebody()["id"]}
    assert sum(len(bid(node, device=device)) for _ in range(CAP + 2)) == CAP
    assert bid(node, device={**device, "lmt": 1}), "an id that may not be used must not count"


def test_bids_for_nobody_can_be_switched_off(start):
    node = start("--bidding-bid-anonymous", "false")
    assert not bid(node)
    assert bid(node, user=somebody())


@pytest.mark.parametrize("request_", [
    b"", b"null", b"[]", b"{}", b'{"id": "1"}', b'{"id": "1", "imp": []}', b'{"imp": [{"id": "1", "banner": {}}]}',
    b'{"id": "1", "imp": [{"banner": {}}]}', b'{"id": "1", "imp": [{"id": "1"}]}', b'{"id": "1", "imp": [null]}',
    b'{"id": "1", "imp": [{"id": "1", "banner": {}}, {"id": "1", "banner": {}}]}',
    b'{"id": 1, "imp": "x"}', b'{"id": "1", "imp": [{"id": "1", "banner": {}}]} trailing',
])
def test_not_a_bid_request(node, request_):
    reply = node.bid(request_)
    assert reply.status == 400
    assert reply.problem()["type"] == "/problems/invalid-bid-request"


def test_the_reply_says_what_it_is(node):
    reply = node.bid(bid_request())
    assert bids(reply) and reply.headers["x-openrtb-version"] == "2.6"
