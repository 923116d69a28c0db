"""Frequency caps hold exactly, whatever runs at once."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from node import Node
from openrtb import NBR_DAILY_CAP, banner, bid_request, bids, checked_bids, somebody

CONNECTIONS = 64


def hammer(node, users, requests_of):
    """The number of bids for each of `users`, with every connection sending its requests for each of them at once."""

    def talk(seed):
        counts = [0] * len(users)
        with node.client() as client:
            for request in requests_of(random.Random(seed)):
                for i, user in enumerate(users):
                    mine = {**request, "user": user}
                    counts[i] += len(checked_bids(mine, client.bid(mine)))
        return counts

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [sum(of_user) for of_user in zip(*pool.map(talk, range(CONNECTIONS)))]


def fill(node, user):
    """Bids for `user`, one impression at a time, until the cap says no; the number of bids."""
    count = 0
    while (reply := node.bid(bid_request(user=user))).status == 200:
        count += len(bids(reply))
        assert count < 1000, "there is no cap"
    assert reply.headers["x-openrtb-nbr"] == NBR_DAILY_CAP
    return count


def one_imp(_):
    return [bid_request() for _ in range(3)]


def mixed(rng):
    """One to three impressions, of which some have a floor that nobody meets."""
    def imp(i):
        return banner(str(i), bidfloor=1e6 if rng.random() < 0.3 else 0)

    return [bid_request(*map(imp, range(rng.randint(1, 3)))) for _ in range(3)]


@pytest.mark.parametrize("seed,flags,cap", [
    (1, [], 10),
    (2, ["--bidding-cap-per-hour", "1"], 1),
    (3, ["--bidding-cap-per-hour", "100"], 40),  # of the day
    (4, ["--bidding-cap-per-hour", "0"], 0),
    (5, ["--actors-threads", "4", "--http-threads", "2"], 10),
])
@pytest.mark.parametrize("requests_of", [one_imp, mixed])
def test_exact_under_concurrency(start, seed, flags, cap, requests_of):
    node = start("--demo-seed", str(seed), *flags)
    users = [somebody() for _ in range(4)]
    bystander = somebody()
    counts = hammer(node, users, requests_of)
    # A bid that lost a race for time, or saw the last impressions reserved by one that did not use them, leaves some.
    assert [count + fill(node, user) for count, user in zip(counts, users)] == [cap] * len(users), counts
    assert fill(node, bystander) == cap


def test_what_is_not_offered_is_given_back(node):
    user = somebody()
    too_dear = bid_request(*(banner(str(i), bidfloor=1e6) for i in range(3)), user=user)
    unknown_size = bid_request(banner(w=7, h=7), user=user)
    no_time = bid_request(user=user, tmax=1)
    for _ in range(20):
        for request in (too_dear, unknown_size, no_time):
            assert node.bid(request).status == 204
    assert fill(node, user) == 10


def test_a_request_for_more_than_is_left_gets_what_is_left(node):
    user = somebody()
    request = bid_request(*(banner(str(i)) for i in range(7)), user=user)
    assert [len(checked_bids(request, node.bid(request))) for _ in range(3)] == [7, 3, 0]


def test_ids_that_are_not_keys_are_people_too(node):
    """Long, empty and odd ids, each with a cap of its own."""
    for name in ("x" * 2000, "né\u0000\n", "../../etc", "a/b/c", " ", "😀" * 300):
        first, second = {"id": name + "1"}, {"id": name + "2"}
        assert fill(node, first) == 10 and fill(node, second) == 10


def test_buyeruid_stands_for_the_user(node):
    user = {"buyeruid": somebody()["id"]}
    assert fill(node, {**user, "id": "a"}) == 10
    assert fill(node, {**user, "id": "b"}) == 0


def test_caps_survive_a_restart(tmp_path):
    user, other = somebody(), somebody()
    with Node(tmp_path) as node:
        assert fill(node, user) == 10
        assert bids(node.bid(bid_request(user=other)))
    with Node(tmp_path) as node:
        assert fill(node, user) == 0
        assert fill(node, other) == 9


def test_caps_survive_a_kill(tmp_path):
    """With `strict`, what was answered is on disk; a relaxed reservation may be forgotten, within its milliseconds."""
    users = [somebody() for _ in range(20)]
    offered = dict.fromkeys((user["id"] for user in users), 0)
    rng = random.Random(1)
    for _ in range(5):
        with Node(tmp_path, "--entities-strict", "true") as node:
            for user in rng.choices(users, k=60):
                offered[user["id"]] += len(bids(node.bid(bid_request(user=user))))
            node.kill()
    with Node(tmp_path) as node:
        for user in users:
            assert offered[user["id"]] + fill(node, user) == 10
