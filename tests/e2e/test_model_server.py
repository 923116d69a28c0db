"""A model server that has the node's own model: the same scores over each protocol, none lost when the node stops."""

import asyncio
import os
import re
import ssl
import subprocess
import threading
import uuid
from pathlib import Path

import pytest
from node import BUILT, CAMPAIGND, PATIENCE, wait_for
from openrtb import banner, bid_request, bids
from vendor import Simulator

KSERVE_SIM = Path(os.environ.get("KSERVE_SIM", BUILT / "kserve-sim/cx-kserve-sim"))
MAKE_MODEL = Path(os.environ.get("MAKE_MODEL", BUILT.parent / "tests/providers/inference/colanet/make_model"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model whose columns differ by offer: no two score alike."""
    folder = tmp_path_factory.mktemp("model")
    subprocess.run([MAKE_MODEL, folder / "bids.model", folder / "cases", "7", "256", "2001", "1"], check=True,
                   timeout=PATIENCE)
    return folder / "bids.model"


def batches(node):
    found = re.findall(r'^cx_inference_remote_batches_total{outcome="(\w+)"} (\S+)$',
                       node.get("/metrics").body.decode(), re.MULTILINE)
    return {outcome: float(count) for outcome, count in found}


def chosen(node, requests):
    """Which offers at what price: what scores decide."""
    return [[(bid["impid"], bid["adid"], bid["price"]) for bid in bids(node.bid(request))] for request in requests]


@pytest.mark.parametrize("provider", ["kserve-http", "kserve-grpc", "tfserving"])
def test_a_model_server_scores_as_the_node_itself(start, tmp_path, model, provider):
    users = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(i))) for i in range(40)]
    requests = [bid_request(banner("1"), banner("2", 728, 90), user={"id": user}, tmax=5_000) for user in users]
    with Simulator(KSERVE_SIM, tmp_path / "kserve.log", "--grpc-port", "0", "--model", model) as server:
        port = server.port_of("grpc-port") if provider == "kserve-grpc" else server.port
        # Its own model is another one, so that only the server's can give these scores.
        far = start("--inference-provider", provider, "--inference-url", f"http://127.0.0.1:{port}",
                    "--inference-timeout-ms", "2000")
        answers = chosen(far, requests)
        counted = batches(far)
    assert counted["answered"] > 0 and counted["failed"] == counted["skipped"] == 0, counted
    assert answers == chosen(start("--inference-model", model), requests)
    assert len({offer for answer in answers for _, offer, _ in answer}) > 10
    assert answers != chosen(start(), requests)


def test_a_simulator_refuses_what_is_no_model(tmp_path):
    (tmp_path / "no.model").write_text("no model")
    done = subprocess.run([KSERVE_SIM, "--port", "0", "--grpc-port", "0", "--model", tmp_path / "no.model"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and "cx-kserve-sim: The model" in done.stderr and "8 bytes" in done.stderr


def test_a_node_that_stops_waits_for_its_predictions(start, tmp_path, model):
    with Simulator(KSERVE_SIM, tmp_path / "kserve.log", "--grpc-port", "0", "--model", model) as server:
        node = start("--inference-provider", "kserve-http", "--inference-url", server.url,
                     "--inference-timeout-ms", "5000")
        assert bids(node.bid(bid_request(tmax=5_000)))
        server.behave(mode="slow", delay_ms=1_000)
        before = server.ask("GET", "/_sim/counts")["misbehaved"]
        answers = []
        caller = threading.Thread(target=lambda: answers.append(node.bid(bid_request(tmax=10_000))))
        caller.start()
        wait_for("a batch at the server", lambda: server.ask("GET", "/_sim/counts")["misbehaved"] > before)
        node.stop()
        caller.join(PATIENCE)
    assert bids(answers[0])
    assert "given up" not in node.log()


class Tls:
    """What a server says behind TLS, for localhost, under a certificate in `folder`."""

    def __init__(self, folder, port, protocol):
        self.certificate = folder / "server.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", folder / "key.pem", "-out", self.certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "key.pem")
        context.set_alpn_protocols([protocol])
        self.target = port
        self.loop = asyncio.new_event_loop()
        server = self.loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0, ssl=context))
        self.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    async def _connect(self, reader, writer):
        back, there = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self._pass(reader, there), self._pass(back, writer))

    @staticmethod
    async def _pass(source, sink):
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # the other side has gone
        finally:
            sink.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    @staticmethod
    async def _end():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize("provider, protocol", [("kserve-http", "http/1.1"), ("kserve-grpc", "h2")])
def test_a_model_server_behind_tls_is_trusted_by_its_authority(start, tmp_path, model, provider, protocol):
    with Simulator(KSERVE_SIM, tmp_path / "kserve.log", "--grpc-port", "0", "--model", model) as server:
        port = server.port_of("grpc-port") if provider == "kserve-grpc" else server.port
        with Tls(tmp_path, port, protocol) as tls:
            where = ("--inference-provider", provider, "--inference-url", tls.url, "--inference-timeout-ms", "2000")
            known = start(*where, "--inference-ca-file", tls.certificate)
            assert bids(known.bid(bid_request(tmax=5_000)))
            assert batches(known)["answered"] > 0 and batches(known)["failed"] == 0
            stranger = start(*where)
            assert bids(stranger.bid(bid_request(tmax=5_000)))
            assert batches(stranger)["answered"] == 0 and batches(stranger)["failed"] > 0


def test_authorities_that_cannot_be_read_are_refused(tmp_path):
    done = subprocess.run([CAMPAIGND, "--inference-provider", "kserve-http", "--inference-url", "https://127.0.0.1:1",
                           "--inference-ca-file", tmp_path / "none.pem", "--check"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and "inference.ca_file" in done.stderr and "PEM" in done.stderr
