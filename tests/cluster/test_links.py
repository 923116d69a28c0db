"""The links between the nodes of tools/cluster carry, lose, cut and delay as they are told; its processes are found again."""

import os
import signal
import socket
import sys
import threading
import time

import pytest
from nodes import ROOT, processes
from tools.local_cluster.links import set_links


@pytest.fixture
def world(tmp_path):
    """A link into the node `here`, whose port answers with what it gets; (its port, set rules)."""
    server = socket.create_server(("127.0.0.1", 0))
    port = processes.free_port([])

    def echo(peer):
        try:
            while data := peer.recv(4096):
                peer.sendall(data)
        except OSError:
            pass
        peer.close()

    def accept():
        while True:
            try:
                threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    process = processes.start([sys.executable, "-B", ROOT / "tools/local_cluster/links.py", tmp_path], tmp_path / "log")
    link = {"port": port, "to": f"127.0.0.1:{server.getsockname()[1]}", "node": "here", "from": "nodes"}

    def rules(*given):
        end = time.monotonic() + 30
        while True:
            try:
                return set_links(tmp_path, [link], list(given), {"there": os.getpid()})
            except OSError:
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.02)

    rules()
    yield port, rules
    processes.stop([process], 10)
    server.close()
    assert "Traceback" not in (tmp_path / "log").read_text()


def connect(port):
    peer = socket.create_connection(("127.0.0.1", port), 30)
    peer.settimeout(30)
    return peer


def hear(peer, seconds=30):
    """What comes, b"" for an end, None for nothing yet."""
    peer.settimeout(seconds)
    try:
        return peer.recv(4096)
    except socket.timeout:
        return None
    except ConnectionResetError:
        return b""


def test_a_link_carries(world):
    with connect(world[0]) as peer:
        for text in (b"one", b"two"):
            peer.sendall(text)
            assert hear(peer) == text
        peer.shutdown(socket.SHUT_WR)
        assert hear(peer) == b""


# By the node that the link leads to, and by the one that the connection comes from: this process.
@pytest.mark.parametrize("node", ["here", "there"])
def test_silence_holds_back_what_is_sent_until_it_is_over(world, node):
    port, rules = world
    with connect(port) as peer:
        peer.sendall(b"before")
        assert hear(peer) == b"before"
        rules({"node": node, "from": "nodes", "how": "silent", "ms": 0})
        peer.sendall(b"late")
        with connect(port) as other:
            other.sendall(b"new")
            assert hear(peer, 0.3) is None and hear(other, 0.1) is None
            rules()
            assert hear(peer) == b"late" and hear(other) == b"new"


def test_resets(world):
    port, rules = world
    with connect(port) as peer:
        peer.sendall(b"before")
        assert hear(peer) == b"before"
        rules({"node": "there", "from": "nodes", "how": "reset", "ms": 0})
        assert hear(peer) == b""
        with connect(port) as other:
            assert hear(other) == b""
    rules()
    with connect(port) as peer:
        peer.sendall(b"after")
        assert hear(peer) == b"after"


def test_rules_of_others_do_not_matter(world):
    port, rules = world
    rules({"node": "somebody", "from": "nodes", "how": "silent", "ms": 0}, {"node": "here", "from": "nats", "how": "silent", "ms": 0})
    with connect(port) as peer:
        peer.sendall(b"text")
        assert hear(peer) == b"text"


def test_what_is_slow_comes_late_and_whole(world):
    port, rules = world
    rules({"node": "here", "from": "nodes", "how": "slow", "ms": 50})
    with connect(port) as peer:
        begun = time.monotonic()
        peer.sendall(b"text")
        assert hear(peer) == b"text" and time.monotonic() - begun >= 0.1


def test_processes_are_found_again(tmp_path):
    process = processes.start(["sleep", "60"], tmp_path / "log")
    assert processes.state(process) == "running" and processes.state({**process, "started": 1}) == "gone"
    processes.send(process, signal.SIGSTOP)
    end = time.monotonic() + 30
    while processes.state(process) != "paused":
        assert time.monotonic() < end
    processes.stop([process], 10)
    assert processes.state(process) == "gone" and processes.state(None) == "gone"
