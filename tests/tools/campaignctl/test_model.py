"""`campaignctl model`: training on a table, measuring, and the folder that nodes are served from. Without a server."""
import gzip
import json
import os
import random
import subprocess

import pytest

BINARY = os.environ["CAMPAIGNCTL"]
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


def label(folder, name):
    return json.loads((folder / f"{name}.json").read_text())["model"]["hash"][:8] + ".model"


def test_published_taken_back_and_listed(trained, tmp_path):
    models = tmp_path / "deep" / "models"
    one, two = label(trained, "one"), label(trained, "two")

    def run(*words):
        done = ctl(trained, *words)
        assert done.returncode == 0, done.stderr
        return done

    def current():
        return os.readlink(models / "current")

    def states():
        return {m["file"]: m["state"] for m in json.loads(run("list", "--in", str(models), "-o", "json").stdout)["models"]}

    run("publish", "one.model", "--to", str(models))
    assert current() == one
    assert (models / one).read_bytes() == (trained / "one.model").read_bytes()
    assert "already" in run("publish", "one.model", "--to", str(models)).stderr
    told = json.loads(run("publish", "two.model", "--to", str(models), "-o", "json").stdout)
    assert (told["before"], told["file"], current()) == (one, two, two)
    assert states() == {two: "in use", one: "earlier"}
    run("rollback", "--to", str(models))
    assert current() == one
    assert states() == {two: "taken back", one: "in use"}
    done = ctl(trained, "rollback", "--to", str(models))
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


def test_a_damaged_model_is_neither_published_nor_gone_back_to(trained, tmp_path):
    models = tmp_path / "models"
    good = (trained / "one.model").read_bytes()
    bad = tmp_path / "bad.model"
    bad.write_bytes(good[:-7] + bytes([good[-7] ^ 1]) + good[-6:])
    done = ctl(trained, "publish", str(bad), "--to", str(models))
    assert done.returncode == 7 and "bad.model" in done.stderr
    assert not models.exists()
    for name in ("one", "two"):
        assert ctl(trained, "publish", f"{name}.model", "--to", str(models)).returncode == 0
    (models / label(trained, "one")).write_bytes(bad.read_bytes())
    assert ctl(trained, "rollback", "--to", str(models)).returncode == 7
    assert os.readlink(models / "current") == label(trained, "two")
    # Publishing it again puts the good file back.
    assert ctl(trained, "publish", "one.model", "--to", str(models)).returncode == 0
    assert (models / label(trained, "one")).read_bytes() == good


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
    (["publish", "none.model", "--to", "m"], 3, "none.model"),
    (["publish", "one.model"], 2, "needs --to"),
    (["rollback", "--to", "nowhere"], 3, "nowhere"),
    (["list", "--in", "nowhere"], 3, "nowhere"),
])
def test_mistakes(trained, words, code, hint):
    (trained / "bad.csv").write_text("a,b\n1,2\n3\n")
    (trained / "other.csv").write_text("a,age,clicked\np,20,yes\n")
    done = ctl(trained, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert hint in done.stderr
