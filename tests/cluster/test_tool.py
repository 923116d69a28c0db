"""tools/cluster, as somebody types it."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from nodes import ROOT

def run(*words, code=0, folder=None):
    command = [ROOT / "tools/cluster", *words]
    if folder:
        command[2:2] = ["--dir", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "cluster"
    subprocess.run([ROOT / "tools/cluster", "down", "--dir", tmp_path / "cluster"], capture_output=True, timeout=120, check=False)


def rows(folder):
    """{name: the other columns} of the status."""
    lines = run("status", folder=folder).stdout.splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines[1:])}


@pytest.mark.parametrize("verb", ["", *"up status down kill pause resume stop start add remove partition slow heal logs".split()])
def test_each_verb_explains_itself(verb):
    assert "usage: tools/cluster" in run(*verb.split(), "--help").stdout


def test_mistakes_are_explained(tmp_path):
    assert "tools/cluster up" in run("status", folder=tmp_path, code=1).stderr
    (tmp_path / "cluster.json").write_text("{", encoding="utf-8")
    assert "damaged" in run("status", folder=tmp_path, code=1).stderr
    run("up", "0", folder=tmp_path, code=2)


@pytest.mark.usefixtures("cluster")  # needs a campaignd that can be one of a cluster
def test_a_life(folder):
    up = run("up", "2", "--http-port", "0", "--", "--demo-offers", "300", "--demo-campaigns", "30", folder=folder).stdout
    key = re.search(r"key is in (\S+)\.", up)[1]
    urls = dict(re.findall(r"^(n\d)\s+(http://\S+)", up, re.MULTILINE))
    assert urls.keys() == {"n1", "n2"}
    for url in urls.values():
        request = urllib.request.Request(url + "/v1/nodes")
        request.add_header("Authorization", "Bearer " + Path(key).read_text(encoding="ascii").strip())
        told = json.load(urllib.request.urlopen(request, timeout=60))
        assert {node["node"] for node in told["nodes"]} == urls.keys()
    assert run("up", "2", folder=folder).stdout == up  # all of it runs
    assert "tools/cluster add" in run("up", "3", folder=folder, code=1).stderr
    assert "there is no 'n7'; there are n1, n2, nats-1" in run("kill", "n7", folder=folder, code=1).stderr

    run("kill", "n2", folder=folder)
    assert rows(folder)["n2"][:2] == ["gone", "no"]
    run("start", "n2", folder=folder)
    run("pause", "n2", folder=folder)
    assert rows(folder)["n2"][0] == "paused"
    run("resume", "n2", folder=folder)
    run("partition", "n1", "--from", "nodes", folder=folder)
    run("slow", "n2", "--from", "nats", "--ms", "20", folder=folder)
    state = rows(folder)
    assert state["n1"][-2:] == ["silent", "nodes"] and state["n2"][-4:] == ["slow", "nats", "20", "ms"]
    run("heal", folder=folder)
    run("add", folder=folder)
    assert rows(folder)["n3"][:2] == ["running", "yes"]
    run("remove", "n3", folder=folder)
    assert "n3" not in rows(folder)
    assert run("logs", "n1", "-n", "3", folder=folder).stdout

    run("down", folder=folder)
    assert {row[0] for row in rows(folder).values()} == {"gone"}
    run("up", "2", folder=folder)
    assert rows(folder)["n1"][:2] == ["running", "yes"]
    run("down", "--purge", folder=folder)
    assert not folder.exists()
