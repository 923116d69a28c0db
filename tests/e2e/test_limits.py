"""Slow clients, too many clients, too much work, and the end: bounded, answered, in good order."""

import json
import select
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from node import PATIENCE, bid_message, message, wait_for
from openrtb import bid_request, bids, checked_bids

BID = bid_message(bid_request())


def test_slow_requests_time_out_and_hurt_nobody(start):
    node = start("--http-read-timeout-ms", "300")
    request = bid_message(json.dumps(bid_request()).encode() + b" " * 10_000)
    slow = {node.client(): 5 * i for i in range(1, 51)}  # some are within the header, some within the body
    for client, sent in slow.items():
        client.send(request[:sent])

    def drip():
        for client, sent in slow.items():
            client.send(request[sent:sent + 1])
            slow[client] += 1
        assert bids(node.bid(bid_request()))
        told_off, _, _ = select.select([client.socket for client in slow], [], [], 0)
        return len(told_off) == len(slow)

    wait_for("the slow clients to be told off", drip)
    for client in slow:
        reply = client.receive()
        assert reply is None or reply.status == 408 and reply.problem()
        client.close()
    wait_for("the connections to be closed", lambda: node.metric("cx_http_connections") == 1)


def test_a_silent_connection_is_closed(start):
    node = start("--http-idle-timeout-ms", "100")
    with node.client() as fresh, node.client() as used:
        assert used.get("/healthz").status == 200
        assert fresh.receive() is None and used.receive() is None


def admitted(node):
    """A connection within the limit, once there is room for it."""

    def attempt():
        client = node.client()
        if (reply := client.get("/healthz")) and reply.status == 200:
            return client
        client.close()
        return None

    return wait_for("a place", attempt)


def test_connection_limit(start):
    node = start("--http-max-connections", "4")
    clients = [admitted(node) for _ in range(4)]
    for _ in range(20):
        with node.client() as turned_away:
            reply = turned_away.receive()
            assert reply.status == 503 and reply.headers["retry-after"] and reply.headers["connection"] == "close"
            assert reply.problem()["type"] == "/problems/too-many-connections"
    assert all(bids(client.bid(bid_request())) for client in clients)
    clients.pop().close()
    clients.append(admitted(node))
    assert all(client.get("/healthz").status == 200 for client in clients)


def test_a_client_that_does_not_read(start):
    """Its answers fill the buffers; the node stops reading from it, and serves others."""
    node = start("--http-write-timeout-ms", "300")
    with node.client() as deaf:
        deaf.socket.setblocking(False)
        sent = 0
        try:
            while sent < 1 << 26:
                sent += deaf.socket.send(BID * 100)
        except BlockingIOError:
            pass
        assert sent < 1 << 26, "the node takes requests without end"
        assert bids(node.bid(bid_request()))
        wait_for("the deaf client to be dropped", lambda: node.metric("cx_http_connections") == 1)


def test_agents_without_credit(start):
    node = start("--bidding-agents", "1", "--bidding-agent-credit", "1")
    seen = []

    def talk(_):
        with node.client() as client:
            for _ in range(10):
                client.send(BID * 16)
                seen.extend(client.receive() for _ in range(16))

    def overload():
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(talk, range(16)))
        return {reply.status for reply in seen} >= {200, 503}

    wait_for("both bids and refusals", overload)
    for reply in seen:
        assert reply.status in (200, 204, 503)
        if reply.status == 503:
            assert reply.headers["retry-after"] == "1" and reply.problem()["type"] == "/problems/overloaded"
    assert node.metric("cx_bids_under_way") == 0
    assert all(bids(node.bid(bid_request())) for _ in range(10))


def test_inference_without_room(start):
    """The exchange gets a no-bid, the operator a count."""
    node = start("--inference-max-queue", "1")
    request = bid_request({"id": "1", "banner": {"w": 300, "h": 250}}, {"id": "2", "banner": {"w": 728, "h": 90}})
    assert node.bid(request).headers["x-openrtb-nbr"] == "1"
    assert node.metric("cx_inference_shed_total") == node.metric("cx_bid_failures_total") == 1
    assert bids(node.bid(bid_request()))


def listens(node):
    try:
        node.client().close()
        return True
    except ConnectionError:
        return False


def test_draining(start):
    """What had begun when the signal came is finished; nothing new is taken."""
    node = start()
    with node.client() as ready, node.client() as bidding, node.client() as idle:
        begun = {ready: message("GET", "/readyz"), bidding: BID}
        for client, data in begun.items():
            client.send(data[:-5])
        assert idle.get("/healthz").status == 200
        wait_for("all to be admitted", lambda: node.metric("cx_http_connections") == 4)
        node.terminate()
        wait_for("the port to be closed", lambda: not listens(node))
        assert idle.receive() is None
        for client, data in begun.items():
            client.send(data[-5:])
        replies = [client.receive() for client in begun]
        assert [reply.status for reply in replies] == [503, 200]
        assert all(reply.headers["connection"] == "close" for reply in replies)
        assert ready.receive() is None and bidding.receive() is None
    node.stop()


def test_draining_ends(start):
    """A request that never arrives does not hold the node up."""
    node = start("--drain-ms", "100")
    with node.client() as client:
        client.send(BID[:-1])
        wait_for("it to be admitted", lambda: node.metric("cx_http_connections") == 2)
        node.stop()
        assert client.receive() is None


def test_a_second_signal_ends_at_once(start):
    node = start("--drain-ms", "600000")
    with node.client() as client:
        client.send(BID[:-1])
        wait_for("it to be admitted", lambda: node.metric("cx_http_connections") == 2)
        node.terminate()
        wait_for("the port to be closed", lambda: not listens(node))
        node.process.send_signal(signal.SIGTERM)
        node.exit_code = -signal.SIGTERM
        node.stop()


@pytest.mark.parametrize("depth", [1, 16])
def test_termination_under_load(start, depth):
    """Answers are whole or absent: Client.receive() fails on half a one."""
    node = start()
    answered = threading.Semaphore(0)

    def talk(client):
        request = bid_request()
        with client:
            while True:
                client.send(bid_message(request) * depth)
                for _ in range(depth):
                    if (reply := client.receive()) is None:
                        return
                    checked_bids(request, reply)
                    answered.release()

    clients = [node.client() for _ in range(32)]
    with ThreadPoolExecutor(len(clients)) as pool:
        talks = [pool.submit(talk, client) for client in clients]
        for _ in range(500):
            assert answered.acquire(timeout=PATIENCE)
        node.terminate()
        for done in talks:
            done.result()
    node.stop()
