"""Requests that are broken, huge or odd: each gets its answer, and the node lives on."""

import copy
import json
import random

import pytest
from node import ROOT, bid_message, message, wait_for
from openrtb import bid_request, bids, checked_bids

REQUEST = json.loads((ROOT / "config/bid-request.json").read_bytes()) | {"user": {}, "tmax": 1000}  # uncapped
EXAMPLE = json.dumps(REQUEST, indent=1).encode()


@pytest.fixture(autouse=True)
def lives_on(node):
    yield
    assert bids(node.bid(bid_request()))


def test_truncated_anywhere(node):
    with node.client() as client:
        for size in range(0, len(EXAMPLE), 37):
            reply = client.bid(EXAMPLE[:size])
            assert reply.status == 400, EXAMPLE[:size]
            reply.problem()


@pytest.mark.parametrize("opening,closing", [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting(node, opening, closing):
    deep = opening * 10_000 + b"1" + closing * 10_000
    assert node.bid(deep).status == 400
    # In a part that nobody reads, it may be refused but must not hurt.
    assert node.bid(EXAMPLE[:-1] + b', "ext": ' + deep + b"}").status in (200, 204, 400)


def test_noise(node):
    rng = random.Random(1)
    with node.client() as client:
        for _ in range(300):
            reply = client.bid(rng.randbytes(rng.randrange(2000)))
            assert reply.status == 400
            reply.problem()


def test_flipped_bytes(node):
    rng = random.Random(2)
    with node.client() as client:
        for _ in range(1000):
            body = bytearray(EXAMPLE)
            for _ in range(rng.randint(1, 5)):
                body[rng.randrange(len(body))] = rng.randrange(256)
            assert client.bid(bytes(body)).status in (200, 204, 400)


def paths(value, at=()):
    """The way to every member of a JSON document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from paths(child, (*at, key))


@pytest.mark.parametrize("wrong", [None, True, -1, 0, 1.5, 1e308, 10**30, "", "x", "\ud800", [], [[]], {}, {"id": []}])
def test_wrong_types_anywhere(node, wrong):
    with node.client() as client:
        for path in paths(REQUEST):
            broken = copy.deepcopy(REQUEST)
            place = broken
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = wrong
            reply = client.bid(broken)
            assert reply.status in (200, 204, 400), path
            if reply.status == 400:
                reply.problem()
            else:
                impids = [imp["id"] for imp in broken["imp"] or []]
                assert {bid["impid"] for bid in bids(reply)} <= set(impids), path


def test_large_body(node):
    for size, status in ((1 << 20, 413), (524_288 + 1, 413), (524_288, 200)):
        reply = node.bid(EXAMPLE + b" " * (size - len(EXAMPLE)))
        assert reply.status == status, size
        assert status == 200 or "524288" in reply.problem()["detail"]


def test_large_body_in_chunks(node):
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with node.client() as client:
        client.send(bid_message(b"", content_length=None, transfer_encoding="chunked") + chunk * 64 + b"0\r\n\r\n")
        assert client.receive().status == 413


def test_content_type(node):
    assert node.bid(EXAMPLE, content_type="text/plain").status == 415
    assert node.bid(EXAMPLE, content_encoding="gzip").status == 415
    for good in ("application/json", "Application/JSON ; charset=utf-8", None):
        assert node.bid(EXAMPLE, content_type=good).status == 200, good


@pytest.mark.parametrize("data,status", [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"hello\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400),  # no host
    (message("GET", "/healthz"), 200),
    (b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nhost : a\r\n\r\n", 400),
    (bid_message(EXAMPLE, transfer_encoding="chunked"), 400),  # and a length: a way to smuggle requests
    (bid_message(EXAMPLE, content_length="5\r\ncontent-length: 6"), 400),
    (bid_message(EXAMPLE, content_length="-1"), 400),
    (bid_message(EXAMPLE, content_length="99999999999999999999999"), 400),
    (bid_message(EXAMPLE, content_length=None, transfer_encoding="gzip, chunked"), 400),
    (bid_message(b"zz\r\n", content_length=None, transfer_encoding="chunked"), 400),
    (message("GET", "/healthz", x="y" * 20_000), 431),
    (message("GET", "/" + "y" * 20_000), 431),
    (message("GET", "/nothing"), 404),
    (message("GET", "/v1/bid"), 405),
    (message("DELETE", "/v1/bid"), 405),
    (message("POST", "/healthz"), 405),
])
def test_requests_of_http(node, data, status):
    with node.client() as client:
        client.send(data)
        reply = client.receive()
    assert reply.status == status
    if status >= 400:
        reply.problem()
    if status == 405:
        assert reply.headers["allow"]


def test_head(node):
    with node.client() as client:
        client.send(message("HEAD", "/healthz"))
        assert client.receive(head=True).headers["content-length"] == "3"
        assert client.get("/healthz").status == 200


def test_chunked(node):
    pieces = [EXAMPLE[:1], EXAMPLE[1:2], EXAMPLE[2:50], EXAMPLE[50:]]
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\ntrailer: x\r\n\r\n"
    with node.client() as client:
        for _ in range(2):
            client.send(bid_message(b"", content_length=None, transfer_encoding="chunked") + chunks)
            assert checked_bids(REQUEST, client.receive())


def test_byte_by_byte(node):
    with node.client() as client:
        for byte in bid_message(EXAMPLE):
            client.send(bytes([byte]))
        assert client.receive().status == 200


def test_continue(node):
    with node.client() as client:
        head = bid_message(b"", content_length=len(EXAMPLE), expect="100-continue")
        client.send(head)
        assert client.receive().status == 100
        client.send(EXAMPLE)
        assert client.receive().status == 200
        client.send(bid_message(b"", content_length=1 << 20, expect="100-continue"))
        assert client.receive().status == 413, "no invitation to send what is too much"


def test_http_1_0(node):
    with node.client() as client:
        client.send(message("GET", "/healthz", version="1.0", host=None, connection="keep-alive"))
        assert client.receive().headers["connection"] == "keep-alive"
        client.send(message("GET", "/healthz", version="1.0", host=None))
        assert client.receive().status == 200
        assert client.receive() is None


def test_connection_close(node):
    with node.client() as client:
        client.send(message("GET", "/healthz", connection="close"))
        assert client.receive().headers["connection"] == "close"
        assert client.receive() is None


def test_pipelined_answers_keep_the_order(node):
    requests = [bid_request(test=i % 2) for i in range(200)]
    with node.client() as client:
        client.send(b"".join(bid_message(request) + message("GET", "/healthz") for request in requests))
        for request in requests:
            assert checked_bids(request, client.receive())
            assert client.receive().body == b"ok\n"


def test_half_closed(node):
    with node.client() as client:
        client.send(bid_message(EXAMPLE) * 3)
        client.socket.shutdown(1)
        assert [client.receive().status for _ in range(3)] == [200] * 3
        assert client.receive() is None


def test_half_a_request_and_half_closed(node):
    with node.client() as client:
        client.send(bid_message(EXAMPLE)[:-1])
        client.socket.shutdown(1)
        assert client.receive().status == 400
        assert client.receive() is None


def test_clients_that_vanish(node):
    """A thousand, each in the middle of a request or with answers under way."""
    rng = random.Random(3)
    data = bid_message(EXAMPLE) * 2
    with node.client() as live:
        for _ in range(20):
            clients = [node.client() for _ in range(50)]
            for client in clients:
                client.send(data[:rng.randrange(len(data))])
            for client in clients:
                client.reset()
            assert live.get("/healthz").status == 200
        wait_for("the node to forget them", lambda: node.metric("cx_http_connections") == 2)  # `live` and the asker
        wait_for("their bids to end", lambda: node.metric("cx_bids_under_way") == 0)
