"""Who scores bids: a model trained on decisions and published while the node serves; a model server, well and ill."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import made_decisions
import pytest
from node import BUILT, CAMPAIGNCTL, PATIENCE, wait_for
from openrtb import bid_request, bids
from vendor import Simulator

KSERVE_SIM = Path(os.environ.get("KSERVE_SIM", BUILT / "kserve-sim/cx-kserve-sim"))
NOW = round(time.time() * 1000)


def model(folder, *words):
    done = subprocess.run([CAMPAIGNCTL, "model", *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, HOME="/"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(folder, name, decisions):
    """Trains NAME.model, and says how good it is."""
    (folder / f"{name}.ndjson").write_text(made_decisions.lines(decisions))
    return json.loads(model(folder, "train", f"--decisions={name}.ndjson", "--out", f"{name}.model", "-o", "json"))


def train_on_table(folder):
    rows = ["a,clicked", *(f"{'pq'[i % 2]},{'yes' if i % 20 < 17 and i % 2 else 'no'}" for i in range(2_000))]
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    model(folder, "train", "--data", "table.csv", "--target", "clicked", "--out", "table.model")


def replace(link, file):
    """Has `link` lead to a file that is no published model, as no command of ours would."""
    beside = link.with_name("next")
    beside.symlink_to(file)
    beside.rename(link)


def test_a_model_is_published_while_the_node_serves(start, tmp_path):
    for seed, name in enumerate(("one", "two")):
        assert train(tmp_path, name, made_decisions.alike(2_000, NOW, seed))["offers"]["kept"] == 0
    model(tmp_path, "publish", "one.model", "--to", "models")
    node = start("--inference-model", tmp_path / "models/current")
    assert bids(node.bid(bid_request()))
    assert node.metric("cx_model_columns") == 1
    model(tmp_path, "publish", "two.model", "--to", "models")
    wait_for("the second model", lambda: node.metric("cx_model_swaps_total") == 1)
    assert bids(node.bid(bid_request()))
    (tmp_path / "no.model").write_bytes(b"no model")
    replace(tmp_path / "models/current", tmp_path / "no.model")
    wait_for("the refusal", lambda: node.metric("cx_model_refusals_total") == 1)
    assert bids(node.bid(bid_request()))
    model(tmp_path, "publish", "one.model", "--to", "models")
    wait_for("the first model again", lambda: node.metric("cx_model_swaps_total") == 2)


def test_a_model_of_another_schema_stops_the_start_and_takes_no_ones_place(start, tmp_path):
    train_on_table(tmp_path)
    with pytest.raises(AssertionError, match="campaignctl model train --decisions"):
        start("--inference-model", tmp_path / "table.model")
    train(tmp_path, "one", made_decisions.alike(2_000, NOW, 1))
    model(tmp_path, "publish", "one.model", "--to", "models")
    node = start("--inference-model", tmp_path / "models/current")
    replace(tmp_path / "models/current", tmp_path / "table.model")
    wait_for("the refusal", lambda: node.metric("cx_model_refusals_total") == 1)
    assert "campaignctl model train --decisions" in node.log() and "stays in use" in node.log()
    assert bids(node.bid(bid_request()))
    assert node.metric("cx_model_swaps_total") == 0


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


def offers_of(node, count):
    """Offers that this node bids with, at least so many."""
    found = set()
    for device in range(200):
        found |= {bid["adid"] for bid in bids(node.bid(bid_request(user={"id": f"u-{device}"})))}
        if len(found) >= count:
            break
    return sorted(found)


def test_a_model_ranks_by_rules_that_only_outcomes_tell_and_the_node_bids_with_it(start, tmp_path):
    offers = offers_of(start(), 4)[:4]
    assert len(offers) >= 2
    told = train(tmp_path, "rules", made_decisions.by_rules(offers, 1_500 * len(offers), NOW))
    assert told["offers"] == {"all": len(offers), "tried": len(offers), "kept": len(offers)}
    assert told["test"]["auc"] > max(0.85, told["prior_alone"]["auc"] + 0.1)
    fresh = made_decisions.by_rules(offers, 2_000, NOW, seed=2)
    (tmp_path / "fresh.ndjson").write_text(made_decisions.lines(fresh))
    measured = json.loads(model(tmp_path, "evaluate", "--model", "rules.model", "--decisions=fresh.ndjson", "-o", "json"))
    assert measured["measures"]["auc"] > 0.85 and measured["fit_for_use"]

    model(tmp_path, "publish", "rules.model", "--to", "models")
    node = start("--inference-model", tmp_path / "models/current")
    assert node.metric("cx_model_columns") == 1 + len(offers)
    [bid] = bids(node.bid(bid_request(user={"id": "somebody"})))
    done = wait_for("the decision", lambda: (it := node.ctl("decisions", "show", bid["id"], "-o", "json")).returncode == 0 and it)
    assert json.loads(done.stdout)["model"] == f"cpu/rules@{told['model']['hash'][:8]}"


def test_outcomes_that_the_node_was_told_make_a_model_for_it(start, tmp_path):
    """From bids to a model: who asks by a set-top box clicks, whoever it is and whatever they see."""
    node = start()
    shown = 0
    with node.client() as client:
        for number in range(700):
            device = 7 if number % 3 == 0 else 1
            request = bid_request(user={"id": f"u-{number}"}, device={"devicetype": device})
            for bid in bids(client.bid(request)):
                shown += 1
                outcomes = ["OUTCOME_IMPRESSION", "OUTCOME_CLICK"] if device == 7 else ["OUTCOME_IMPRESSION"]
                for outcome in outcomes:
                    reply = client.call("POST", "/v1/outcomes", {"decision_id": bid["id"], "outcome": outcome})
                    assert reply.status == 200 and reply.json()["attributed"], reply
    assert shown > 500

    def trained():
        done = node.ctl("model", "train", "--decisions", "--window", "1s", "--out", tmp_path / "loop.model", "-o", "json")
        assert done.returncode in (0, 7, 10), done.stderr
        told = json.loads(done.stdout) if done.returncode == 0 else None
        return told if told and sum(told["rows"].values()) == shown else None

    told = wait_for("all decisions to be old enough", trained)
    assert told["test"]["auc"] > 0.95
    assert json.loads(model(tmp_path, "show", "loop.model", "-o", "json"))["reads"].startswith("bid, first")
    model(tmp_path, "publish", "loop.model", "--to", "models")
    second = start("--inference-model", tmp_path / "models/current")
    [bid] = bids(second.bid(bid_request(user={"id": "u"}, device={"devicetype": 7})))
    found = wait_for("the decision", lambda: (it := second.get(f"/v1/decisions/{bid['id']}")).status == 200 and it)
    assert found.json()["model"].startswith("cpu/loop@") and found.json()["score"] > 0.5
