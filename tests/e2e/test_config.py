"""Settings: what is refused, with which words, and what wins."""

import json
import re
import socket
import subprocess

import pytest
from node import CAMPAIGND, PATIENCE, ROOT
from openrtb import bid_request, bids

DEFAULTS = ROOT / "config/campaignd.yaml"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A node that starts though it should not must not leave its data in the tree."""
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    """A run of campaignd that is to end by itself: exit code, stdout, stderr."""
    done = subprocess.run([CAMPAIGND, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert "ready:" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("yaml,where,words", [
    ("http:\n  prot: 1\n", "2:3", ["http.prot", "known keys are", "port"]),
    ("nonsense: 1\n", "1:1", ["nonsense", "known keys are", "http"]),
    ("http:\n  port: eighty\n", "2:9", ["http.port", "'eighty'", "number 0..65535"]),
    ("http:\n  port: 65536\n", "2:9", ["http.port", "number 0..65535"]),
    ("http:\n  port: -1\n", "2:9", ["http.port"]),
    ("http:\n  port: 1.5\n", "2:9", ["http.port"]),
    ("http:\n  threads: 0\n", "2:12", ["http.threads", "number 1..256"]),
    ("http:\n  port: [1]\n", "2:9", ["http.port", "single value"]),
    ("http: 8080\n", "1:7", ["http", "mapping"]),
    ("- 1\n", "1:1", ["mapping"]),
    ("log:\n  level: loud\n", "2:10", ["log.level", "trace|debug|info|warn|error"]),
    ("bidding:\n  bid_anonymous: maybe\n", "2:18", ["bidding.bid_anonymous", "true|false"]),
    ("node: a\nhttp:\n  port: 1\nnode: b\n", "4:1", ["node", "twice"]),
    ("http:\n  port: 1\n  port: 2\n", "3:3", ["http.port", "twice"]),
    ("http: {port: 1\n", r"\d+:\d+", ["not YAML"]),
    ("http:\n\tport: 1\n", r"2:\d+", ["not YAML"]),
    ("bidding:\n  currencies:\n    EUR: [1]\n", "3:10", ["bidding.currencies"]),
])
@pytest.mark.parametrize("more", [[], ["--check"]])
def test_a_bad_file(tmp_path, yaml, where, words, more):
    file = tmp_path / "my.yaml"
    file.write_text(yaml)
    code, stdout, stderr = run("--config", file, *more)
    assert code == 2 and stdout == ""
    assert re.match(rf"campaignd: {re.escape(str(file))}:{where}: ", stderr), stderr
    assert all(word in stderr for word in words), stderr


@pytest.mark.parametrize("yaml,where,word", [
    ("bidding:\n  currencies: {EUR: '1', EUR: '2'}\n", r"2:\d+", "twice"),
    ("node: a\n---\nnode: b\n", r"\d:1", "document"),
])
def test_nothing_is_ignored(tmp_path, yaml, where, word):
    file = tmp_path / "my.yaml"
    file.write_text(yaml)
    code, _, stderr = run("--config", file, "--check")
    assert code == 2 and re.match(rf"campaignd: {re.escape(str(file))}:{where}: .*{word}", stderr), stderr


@pytest.mark.parametrize("more", [[], ["--check"]])
def test_a_bad_rate(tmp_path, more):
    file = tmp_path / "my.yaml"
    for rate in ("x", "0", "-1", "", "1e400", "nan"):
        file.write_text(f"bidding:\n  currencies:\n    EUR: '{rate}'\n")
        code, stdout, stderr = run("--config", file, *more)
        assert code in (1, 2) and stdout == "" and "bidding.currencies.EUR" in stderr, f"{rate!r}: {stdout}{stderr}"


def test_no_such_file(tmp_path):
    code, _, stderr = run("--config", tmp_path / "none.yaml")
    assert code == 2 and "none.yaml" in stderr


@pytest.mark.parametrize("arguments,words", [
    (["--http-port", "x"], ["--http-port", "number 0..65535"]),
    (["--http-port", "70000"], ["--http-port", "number 0..65535"]),
    (["--http-port"], ["--http-port"]),
    (["--log-level", "loud"], ["--log-level", "trace|debug|info|warn|error"]),
    (["--no-such-flag", "1"], ["--no-such-flag"]),
    (["stray"], ["stray"]),
])
def test_a_bad_flag(arguments, words):
    code, stdout, stderr = run(*arguments)
    assert code == 2 and stdout == ""
    assert all(word in stderr for word in words), stderr


def test_a_flag_overrides_the_file_and_the_file_the_default(tmp_path, start):
    file = tmp_path / "my.yaml"
    file.write_text("node: from-file\nbidding: {seat: from-file}\n")
    node = start("--config", file, "--bidding-seat", "from-flag")
    assert node.topology()["name"] == "from-file"
    request = bid_request(wseat=["from-flag"])
    assert bids(node.bid(request)) and not bids(node.bid({**request, "wseat": ["from-file"]}))


def test_check(tmp_path):
    empty = tmp_path / "empty.yaml"
    empty.touch()
    for arguments in ([], ["--config", DEFAULTS], ["--config", empty]):
        code, stdout, stderr = run(*arguments, "--check", "--data", tmp_path / "data")
        assert (code, stderr) == (0, "") and "valid" in stdout
    assert not (tmp_path / "data").exists(), "a check changes nothing"


def settings():
    """The flags of all settings, read from the file with the defaults."""
    found, sections = {}, []
    for line in DEFAULTS.read_text().splitlines():
        if match := re.match(r"( *)([a-z_]+): *(.*)", line):
            indent, key, value = match.groups()
            sections = sections[:len(indent) // 2] + [key]
            if value:
                found["--" + "-".join(sections).replace("_", "-")] = value
    return found


def test_help_knows_every_setting_and_its_default():
    code, stdout, _ = run("--help")
    assert code == 0
    flags = settings()
    assert len(flags) > 30
    for flag, default in flags.items():
        default = "" if default in ("[]", '""') else default
        assert re.search(rf"^ +{flag} [^\n]*=?{re.escape(default)}\b", stdout, re.MULTILINE), flag


def test_version():
    code, stdout, _ = run("--version")
    assert code == 0 and re.match(r"campaignd \d+\.\d+\.\d+ \(", stdout)


def test_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, stderr = run("--http-port", port, "--grpc-port", "0", "--data", tmp_path)
        assert code == 1 and port in stderr and "in use" in stderr and "--http-port" in stderr, stderr


def test_an_address_of_somebody_else(tmp_path):
    code, _, stderr = run("--http-host", "192.0.2.1", "--http-port", "0", "--grpc-port", "0", "--data", tmp_path)
    assert code == 1 and "192.0.2.1" in stderr and "--http-host" in stderr, stderr


def test_a_data_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    for data in (tmp_path / "file", tmp_path / "file/data", "/proc/none"):
        code, _, stderr = run("--data", data, "--http-port", "0", "--grpc-port", "0")
        assert code == 1 and str(data) in stderr and "Check the path" in stderr, stderr


def test_log_in_json(start):
    node = start("--log-format", "json", "--log-level", "trace")
    node.bid(b"not JSON")
    node.stop()
    lines = [json.loads(line) for line in node.log().splitlines()]
    assert [line["message"] for line in lines if line["message"].startswith("ready:")]
    for line in lines:
        assert set(line) == {"time", "level", "message"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("trace", "debug", "info", "warning", "error")


@pytest.mark.parametrize("flag", ["--tenant", "--node"])
def test_names_that_cannot_be_in_an_address(flag):
    for name in ("", "A", "a b", "a/b", "a\n", "x" * 64, "é"):
        code, _, stderr = run(flag, name, "--check")
        assert code == 2 and flag[2:] in stderr, f"{name!r} is accepted"
