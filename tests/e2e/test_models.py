"""Who scores bids: a model file, published while the node serves; a model server, well and ill."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest
from node import BUILT, CAMPAIGNCTL, PATIENCE, wait_for
from openrtb import bid_request, bids
from vendor import Simulator

KSERVE_SIM = Path(os.environ.get("KSERVE_SIM", BUILT / "kserve-sim/cx-kserve-sim"))


def model(folder, *words):
    done = subprocess.run([CAMPAIGNCTL, "model", *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, HOME="/"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(folder, name, seed):
    """A model of a table in which exactly one of two fields has to be p."""
    draw = random.Random(seed)
    rows = ["a,b,clicked"]
    for _ in range(2_000):
        a, b = draw.choice("pq"), draw.choice("pq")
        rows.append(f"{a},{b},{'yes' if (a != b) == (draw.random() < 0.9) else 'no'}")
    (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    model(folder, "train", "--data", f"{name}.csv", "--target", "clicked", "--out", f"{name}.model")
    return f"{name}.model"


def test_a_model_is_published_while_the_node_serves(start, tmp_path):
    one, two = (train(tmp_path, name, seed) for seed, name in enumerate(("one", "two")))
    model(tmp_path, "publish", one, "--to", "models")
    node = start("--inference-model", tmp_path / "models/current")
    assert bids(node.bid(bid_request()))
    assert node.metric("cx_model_columns") == 1
    model(tmp_path, "publish", two, "--to", "models")
    wait_for("the second model", lambda: node.metric("cx_model_swaps_total") == 1)
    assert bids(node.bid(bid_request()))
    current = tmp_path / "models/current"
    current.unlink()
    current.write_bytes(b"no model")  # as no command of ours would
    wait_for("the refusal", lambda: node.metric("cx_model_refusals_total") == 1)
    assert bids(node.bid(bid_request()))
    current.unlink()
    model(tmp_path, "publish", one, "--to", "models")
    wait_for("the first model again", lambda: node.metric("cx_model_swaps_total") == 2)


def batches(node, outcome):
    found = re.search(rf'^cx_inference_remote_batches_total{{outcome="{outcome}"}} (\S+)$',
                      node.get("/metrics").body.decode(), re.MULTILINE)
    return float(found[1])


@pytest.mark.parametrize("provider", ["kserve-http", "kserve-grpc", "tfserving"])
def test_bids_go_on_whatever_a_model_server_does(start, tmp_path, provider):
    with Simulator(KSERVE_SIM, tmp_path / "kserve.log", "--grpc-port", "0") as server:
        port = server.port_of("grpc-port") if provider == "kserve-grpc" else server.port
        node = start("--inference-provider", provider, "--inference-url", f"http://127.0.0.1:{port}",
                     "--inference-timeout-ms", "200")

        def bid_until(outcome):
            before = batches(node, outcome)

            def done():
                assert bids(node.bid(bid_request(tmax=2_000)))
                return batches(node, outcome) > before

            wait_for(f"a batch that is {outcome}", done)

        bid_until("answered")
        for mode in ["error", "nan", "hang"]:
            server.behave(mode=mode)
            bid_until("failed")
        bid_until("skipped")  # the breaker
        server.behave(mode="ok")
        bid_until("answered")
