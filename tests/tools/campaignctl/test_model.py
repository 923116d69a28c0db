"""`campaignctl model`: training on tables and decisions, measuring, and the folder that nodes are served from."""
import gzip
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fake_node import Handler, listening

sys.path.append(str(Path(__file__).resolve().parents[2] / "e2e"))
import made_decisions  # noqa: E402

BINARY = os.environ["CAMPAIGNCTL"]
NOW = round(time.time() * 1000)
OFFERS = ["north", "south", "west"]
FORMATS = ["table", "wide", "json", "jsonl", "yaml", "csv", "name"]


def rows(seed, count=3_000):
    """Clicked nearly always when exactly one of two fields is p, which no line through them tells."""
    draw = random.Random(seed)
    out = ["a,b,age,clicked"]
    for _ in range(count):
        a, b = draw.choice("pq"), draw.choice("pq")
        out.append(f"{a},{b},{draw.randrange(18, 90)},{'yes' if (a != b) == (draw.random() < 0.9) else 'no'}")
    return "\n".join(out) + "\n"


def ctl(folder, *words, stdin=None):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CAMPAIGN_")}
    return subprocess.run([BINARY, "model", *words], cwd=folder, env={**kept, "HOME": str(folder)}, text=True,
                          input=stdin, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def bids(tmp_path_factory):
    """A folder with two files of decisions and a model of each."""
    folder = tmp_path_factory.mktemp("bids")
    for seed, name in enumerate(("one", "two")):
        text = made_decisions.lines(made_decisions.by_rules(OFFERS, 4_500, NOW, seed))
        (folder / f"{name}.ndjson.gz").write_bytes(gzip.compress(text.encode()))
        done = ctl(folder, "train", f"--decisions={name}.ndjson.gz", "--out", f"{name}.model", "-o", "json")
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two tables and a model of each."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "one.csv").write_text(rows(1))
    (folder / "two.csv.gz").write_bytes(gzip.compress(rows(2).encode()))
    for name, data in (("one", "one.csv"), ("two", "two.csv.gz")):
        done = ctl(folder, "train", "--data", data, "--target", "clicked", "--out", f"{name}.model", "-o", "json")
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.json").write_text(done.stdout)
    return folder


def test_training_says_how_good_the_model_is_on_rows_that_it_has_not_seen(trained):
    told = json.loads((trained / "one.json").read_text())
    assert told["test"]["auc"] > 0.85 > 0.65 > told["logistic"]["auc"]
    assert told["fit_for_use"] and told["refused_because"] == []
    assert told["rows"] == {"training": 2100, "validation": 450, "test": 450}
    assert told["model"]["name"] == "one"


def test_the_same_seed_gives_the_same_model(trained):
    again = ctl(trained, "train", "--data", "-", "--target", "clicked", "--positive", "yes", "-o", "json",
                stdin=(trained / "one.csv").read_text())
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["test"] == json.loads((trained / "one.json").read_text())["test"]
    assert "give --out" in again.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_is_measured_in_every_format(trained, form):
    done = ctl(trained, "evaluate", "--model", "one.model", "--data", "two.csv.gz", "-o", form)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if form == "json":
        assert json.loads(done.stdout)["measures"]["auc"] > 0.85
        assert not json.loads(done.stdout)["trained_on_these"]


def test_rows_that_were_learnt_are_pointed_out(trained):
    assert "flatter" in ctl(trained, "evaluate", "--model", "one.model", "--data", "one.csv").stderr


def test_a_model_that_does_not_hold_is_bad(trained):
    flipped = rows(1).replace("yes", "maybe").replace("no\n", "yes\n").replace("maybe", "no")
    done = ctl(trained, "evaluate", "--model", "one.model", "--data", "-", "-o", "json", stdin=flipped)
    assert done.returncode == 10
    assert json.loads(done.stdout)["refused_because"]


def test_what_cannot_be_measured_is_not_written(trained):
    # Two successes cannot be among the rows to learn, to calibrate and to test.
    few = "a,y\n" + "".join(f"{'pq'[i % 2]},{int(i in (7, 200))}\n" for i in range(400))
    done = ctl(trained, "train", "--data", "-", "--target", "y", "--out", "few.model", stdin=few)
    assert done.returncode in (7, 10), done.stderr
    assert not (trained / "few.model").exists()


def test_offers_that_are_better_forecast_by_themselves_get_columns_of_their_own(bids):
    told = json.loads((bids / "one.json").read_text())
    assert told["offers"] == {"all": 3, "tried": 3, "kept": 3}
    assert told["test"]["auc"] > max(0.85, told["prior_alone"]["auc"] + 0.1)
    assert told["positive"] == "click within 24h" and told["rows"] == {"training": 3150, "validation": 675, "test": 675}
    assert told["times"]["training"]["to"] <= told["times"]["validation"]["from"] < told["times"]["test"]["from"]
    done = ctl(bids, "evaluate", "--model", "one.model", "--decisions", "two.ndjson.gz", "-o", "json")
    assert done.returncode == 0, done.stderr
    measures = json.loads(done.stdout)
    assert measures["measures"]["auc"] > 0.85 and measures["measures"]["rows"] == 4_500 and not measures["trained_on_these"]
    assert "older than the model" in done.stderr
    assert "flatter" in ctl(bids, "evaluate", "--model", "one.model", "--decisions", "one.ndjson.gz").stderr


def test_a_table_may_name_offers_too(trained):
    draw = random.Random(3)
    rows = ["who,item,bought"]
    for _ in range(4_000):
        who, item = draw.choice("abcd"), draw.choice("xy")
        rows.append(f"{who},{item},{int(draw.random() < (0.8 if (who in 'ab') == (item == 'x') else 0.1))}")
    (trained / "items.csv").write_text("\n".join(rows) + "\n")
    done = ctl(trained, "train", "--data", "items.csv", "--target", "bought", "--offer", "item", "--out", "items.model", "-o", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["offers"]["kept"] == 2 and told["test"]["auc"] > 0.8 > 0.6 > told["prior_alone"]["auc"]
    done = ctl(trained, "evaluate", "--model", "items.model", "--data", "items.csv", "-o", "json")
    assert json.loads(done.stdout)["measures"]["auc"] > 0.8
    shown = json.loads(ctl(trained, "show", "items.model", "-o", "json").stdout)
    assert shown["reads"] == "table, bought = 1 by 1 columns, offers in item"
    assert [offer["id"] for offer in shown["offers"]] == ["x", "y"]


def test_fewer_negatives_promise_no_more(bids):
    done = ctl(bids, "train", "--decisions=one.ndjson.gz", "--keep-negatives", "0.3", "-o", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["calibration"]["sampling"] == 0.3 and told["fit_for_use"] and told["test"]["auc"] > 0.8


def test_a_model_goes_on_from_another(bids):
    few = (bids / "few.ndjson")
    few.write_text(made_decisions.lines(made_decisions.by_rules(OFFERS[:1], 300, NOW, 5)))
    known = ctl(bids, "train", "--decisions=one.ndjson.gz", "--parent", "one.model", "--out", "again.model", "-o", "json")
    assert known.returncode == 0, known.stderr
    told = json.loads(known.stdout)
    assert told["parent"]["auc"] > 0.85 and told["test"]["auc"] > 0.85
    shown = json.loads(ctl(bids, "show", "again.model", "-o", "json").stdout)
    assert shown["parent"] == json.loads((bids / "one.json").read_text())["model"]["hash"]
    anew = json.loads(ctl(bids, "train", f"--decisions={few}", "-o", "json").stdout)
    further = json.loads(ctl(bids, "train", f"--decisions={few}", "--parent", "one.model", "-o", "json").stdout)
    assert further["prior_alone"]["log_loss"] < 1.05 * anew["prior_alone"]["log_loss"]


def test_a_model_says_what_it_is(bids):
    told = json.loads((bids / "one.json").read_text())
    shown = json.loads(ctl(bids, "show", "one.model", "-o", "json").stdout)
    assert shown["reads"] == f"bid, first {made_decisions.FEATURES} features"
    assert (shown["name"], shown["hash"], shown["columns"], shown["parent"]) == ("one", told["model"]["hash"], 4, None)
    assert [offer["id"] for offer in shown["offers"]] == sorted(OFFERS)
    for form in FORMATS:
        assert ctl(bids, "show", "one.model", "-o", form).stdout


class Decisions(Handler):
    """Gives the decisions of its server, newest first, 1,000 a page."""

    def do_GET(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.asked.append(query)
        begin = int(query.get("page_token", 0))
        end = begin + int(query["page_size"])
        more = {"next_page_token": str(end)} if end < len(self.server.decisions) else {}
        self.answer(200, {"decisions": self.server.decisions[begin:end], **more})


def test_decisions_are_fetched_page_by_page(bids):
    decisions = [json.loads(line) for line in gzip.decompress((bids / "one.ndjson.gz").read_bytes()).splitlines()]
    with listening(Decisions, decisions=decisions[::-1], asked=[]) as server:
        done = ctl(bids, "train", "--decisions", "--since", "30d", "--server", server.url, "-o", "json")
        assert done.returncode == 0, done.stderr
        assert [query.get("page_token") for query in server.asked] == [None, "1000", "2000", "3000", "4000"]
        assert all(query["features"] == "true" and query["from"] for query in server.asked)
    told = json.loads(done.stdout)
    assert told["test"] == json.loads((bids / "one.json").read_text())["test"]


def test_what_is_left_out_is_counted(bids):
    made = made_decisions.by_rules(OFFERS, 3_000, NOW, 5)
    young = made_decisions.decision(1, NOW - 1_000, "north", [1], True)
    unseen = {**made_decisions.decision(2, NOW - 10**9, "north", [1], False), "outcomes": []}
    text = made_decisions.lines([*made, made[0], young, unseen])
    done = ctl(bids, "train", "--decisions=-", stdin=text)
    assert done.returncode == 0, done.stderr
    assert "3003 decisions: 3000 were shown" in done.stderr
    assert "1 of which nothing says that they were shown, 1 younger than the window, 1 told twice" in done.stderr
    since = made_decisions.timestamp(NOW - made_decisions.AGO - 500)
    done = ctl(bids, "train", "--decisions=-", "--since", since, stdin=text)
    assert done.returncode == 7 and "too-few" not in done.stdout, done.stderr


def test_help_says_what_the_commands_change(bids):
    assert "Changes your own files." in ctl(bids, "train", "--help").stdout
    assert "Only reads." in ctl(bids, "evaluate", "--help").stdout


def test_a_model_that_cannot_score_bids_is_not_published(trained, tmp_path):
    done = ctl(trained, "publish", "one.model", "--to", str(tmp_path / "models"))
    assert done.returncode == 7 and "model train --decisions" in done.stderr
    assert not (tmp_path / "models").exists()


def label(folder, name):
    return json.loads((folder / f"{name}.json").read_text())["model"]["hash"][:8] + ".model"


def test_published_taken_back_and_listed(bids, tmp_path):
    models = tmp_path / "deep" / "models"
    one, two = label(bids, "one"), label(bids, "two")

    def run(*words):
        done = ctl(bids, *words)
        assert done.returncode == 0, done.stderr
        return done

    def current():
        return os.readlink(models / "current")

    def states():
        return {m["file"]: m["state"] for m in json.loads(run("list", "--in", str(models), "-o", "json").stdout)["models"]}

    run("publish", "one.model", "--to", str(models))
    assert current() == one
    assert (models / one).read_bytes() == (bids / "one.model").read_bytes()
    assert "already" in run("publish", "one.model", "--to", str(models)).stderr
    told = json.loads(run("publish", "two.model", "--to", str(models), "-o", "json").stdout)
    assert (told["before"], told["file"], current()) == (one, two, two)
    assert states() == {two: "in use", one: "earlier"}
    [listed] = [m for m in json.loads(run("list", "--in", str(models), "-o", "json").stdout)["models"] if m["file"] == one]
    assert (listed["reads"], listed["columns"]) == (f"bid, first {made_decisions.FEATURES} features", 4)
    run("rollback", "--to", str(models))
    assert current() == one
    assert states() == {two: "taken back", one: "in use"}
    done = ctl(bids, "rollback", "--to", str(models))
    assert done.returncode == 5 and "publish another" in done.stderr
    run("publish", "two.model", "--to", str(models))
    assert current() == two
    assert sorted(os.listdir(models)) == sorted([one, two, "current", "history"])
    assert [json.loads(line)["action"] for line in (models / "history").read_text().splitlines()] == \
        ["publish", "publish", "rollback", "publish"]
    for form in FORMATS:
        run("list", "--in", str(models), "-o", form)
    # A command that was cut short between the link and the history.
    (models / "history").write_text("\n".join((models / "history").read_text().splitlines()[:1]) + '\n{"at":1')
    run("rollback", "--to", str(models))
    assert current() == one
    assert json.loads((models / "history").read_text().splitlines()[-1])["action"] == "rollback"


def test_a_damaged_model_is_neither_published_nor_gone_back_to(bids, tmp_path):
    models = tmp_path / "models"
    good = (bids / "one.model").read_bytes()
    bad = tmp_path / "bad.model"
    bad.write_bytes(good[:-7] + bytes([good[-7] ^ 1]) + good[-6:])
    done = ctl(bids, "publish", str(bad), "--to", str(models))
    assert done.returncode == 7 and "bad.model" in done.stderr
    assert not models.exists()
    for name in ("one", "two"):
        assert ctl(bids, "publish", f"{name}.model", "--to", str(models)).returncode == 0
    (models / label(bids, "one")).write_bytes(bad.read_bytes())
    assert ctl(bids, "rollback", "--to", str(models)).returncode == 7
    assert os.readlink(models / "current") == label(bids, "two")
    # Publishing it again puts the good file back.
    assert ctl(bids, "publish", "one.model", "--to", str(models)).returncode == 0
    assert (models / label(bids, "one")).read_bytes() == good


@pytest.mark.parametrize("words,code,hint", [
    (["train", "--target", "y"], 2, "needs --data"),
    (["train", "--data", "one.csv"], 2, "needs --target"),
    (["train", "--data", "one.csv", "--target", "clicked", "--seed", "x"], 2, "whole number"),
    (["train", "--data", "none.csv", "--target", "clicked"], 3, "none.csv"),
    (["train", "--data", "one.csv", "--target", "click"], 7, "no column click"),
    (["train", "--data", "one.csv", "--target", "age"], 7, "--positive"),
    (["train", "--data", "one.csv", "--target", "clicked", "--drop", "a,z"], 7, "no column z"),
    (["train", "--data", "bad.csv", "--target", "a"], 7, "bad.csv:3:2"),
    (["evaluate", "--model", "one.csv", "--data", "one.csv"], 7, "one.csv"),
    (["evaluate", "--model", "one.model", "--data", "other.csv"], 7, "no column b"),
    (["train", "--decisions=none.ndjson"], 3, "none.ndjson"),
    (["train", "--decisions=bad.csv"], 7, "bad.csv:1: it is not JSON"),
    (["train", "--decisions=odd.ndjson"], 7, "odd.ndjson:2: it has no decision_id"),
    (["train", "--decisions=flat.ndjson"], 7, "--features"),
    (["train", "--decisions=odd.ndjson", "--data", "one.csv"], 2, "--data goes with a table"),
    (["train", "--data", "one.csv", "--target", "clicked", "--window", "1h"], 2, "--window goes with --decisions"),
    (["train", "--decisions=odd.ndjson", "--window", "soon"], 2, "--window soon"),
    (["train", "--decisions=odd.ndjson", "--outcome", "impression"], 2, "--outcome cannot be impression"),
    (["train", "--decisions=odd.ndjson", "--keep-negatives", "0"], 2, "--keep-negatives 0"),
    (["train", "--data", "one.csv", "--target", "clicked", "--offer", "z"], 7, "no column z"),
    (["evaluate", "--model", "one.model", "--decisions=flat.ndjson"], 7, "trained on a table"),
    (["train", "--data", "one.csv", "--target", "clicked", "--parent", "one.model"], 2, "--parent goes with --decisions"),
    (["train", "--decisions=odd.ndjson", "--parent", "one.model"], 7, "one.model"),
    (["show", "none.model"], 3, "none.model"),
    (["publish", "none.model", "--to", "m"], 3, "none.model"),
    (["publish", "one.model"], 2, "needs --to"),
    (["rollback", "--to", "nowhere"], 3, "nowhere"),
    (["list", "--in", "nowhere"], 3, "nowhere"),
])
def test_mistakes(trained, words, code, hint):
    (trained / "bad.csv").write_text("a,b\n1,2\n3\n")
    (trained / "other.csv").write_text("a,age,clicked\np,20,yes\n")
    flat = made_decisions.lines([made_decisions.decision(1, NOW - 10**9, "o", [], True)])
    (trained / "flat.ndjson").write_text(flat)
    (trained / "odd.ndjson").write_text(flat + '{"id": 1}\n')
    done = ctl(trained, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert hint in done.stderr
