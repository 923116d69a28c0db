"""Runs the real campaignctl (path in CAMPAIGNCTL) against a server that plays canned answers."""
import csv
import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading

import pytest
import yaml

from fake_node import Handler, environment, listening

BINARY = os.environ["CAMPAIGNCTL"]
FORMATS = ["table", "wide", "json", "jsonl", "yaml", "csv", "name"]
BID = {"id": "r1", "cur": "USD", "seatbid": [{"seat": "cx", "bid": [
    {"id": "b1", "impid": "1", "price": 2.5, "adid": "offer-1", "cid": "camp-1", "crid": "cr-1", "w": 300, "h": 250,
     "adomain": ["shop.example"], "adm": "<b>\u001b[31m</b>"}]}]}
BID_TEXT = json.dumps(BID, indent=1).replace("2.5", "2.50")
TOPOLOGY = {"as_of": "2026-01-02T03:04:05Z", "of_a_newer_server": 1, "nodes": [{
    "name": "n1", "state": "ok", "uptime_seconds": 60, "cpu": 0.5, "rss_bytes": "1048576",
    "kinds": [{"kind": "customer", "live": "12", "mailbox": "3"}, {"kind": "evil\u001b[2J", "live": "1"}],
    "endpoints": [{"route": "POST /v1/bid", "requests": "7", "p99_ms": 1.5}]}]}
ANY = "type.googleapis.com/cx.v1."
ENTITY = {"address": "customer/demo/c1", "kind": "customer", "shard": 417, "sequence": "12", "schema": 1,
          "as_of": "2026-11-21T10:00:00.000Z", "reminders": [{"name": "wake", "due": "2026-11-22T10:00:00.000Z"}],
          "state": {"@type": ANY + "CustomerState", "reserved_at": ["1795255200000"], "last_seen": "evil\u001b[2J"}}
RECORD = {"sequence": "12", "epoch": "1", "at": "2026-11-21T10:00:00.000Z", "actor": "", "trace": "t1", "schema": 1,
          "command": {"@type": ANY + "ReserveImpressions", "count": 1}, "reminders_set": [], "reminders_cleared": ["wake"],
          "events": [{"@type": ANY + "CustomerEvent", "reserved": {"count": 1}},
                     {"@type": ANY + "TypedBytes", "type": "cx.v1.Forgotten", "bytes": "AA=="}],
          "outbox": [{"to": "campaign/demo/s", "command": {"@type": ANY + "Spend"}}]}
HISTORY = {"address": "customer/demo/c1", "kind": "customer", "shard": 417, "forgotten": "7", "next": "12",
           "records": [RECORD]}
SHARDS = {"as_of": "2026-11-21T10:00:00.000Z", "shards": [
    {"shard": n, "state": state, "epoch": "1", "first": "1", "last": "90", "checkpoint": "80", "resident": "5",
     "dirty": str(dirty), "uncommitted": "0", "outbox": str(outbox), "error": error}
    for n, state, dirty, outbox, error in [(0, "open", 9, 0, ""), (1, "open", 0, 0, ""), (2, "lost", 0, 0, "the disk is full"),
                                           (3, "open", 0, 10, ""), (4, "open", 10, 0, "")]]}
LETTER = {"id": "17-4711-0", "from": "customer/demo/c1", "to": "campain/demo/s", "reason": "unknown-kind", "attempts": 3,
          "detail": "There is no kind of entity campain.", "first_at": "2026-11-21T09:00:00.000Z",
          "last_at": "2026-11-21T10:00:00.000Z", "command": {"@type": ANY + "Spend", "micros": "5"}}
LETTERS = {"dead_letters": [LETTER, {**LETTER, "id": "17-4712-0"}], "next": "17-4712-0"}
VERSION = {"version": "9.9.9", "commit": "abc", "build": "Release"}


def problem(status, title, detail, **fields):
    document = {"type": "/problems/" + title, "title": title, "status": status, "detail": detail, **fields}
    return status, {"Content-Type": "application/problem+json"}, json.dumps(document)


class Canned(Handler):
    """The first part of the path names the behaviour: http://host:port/MODE/v1/..."""

    def take(self):
        _, mode, _, what = self.path.split("/", 3)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, body))
        if mode == "slow":
            self.server.stop.wait(30)
            return
        if mode == "flaky" and len(self.server.seen) % 2 == 0:
            self.close_connection = True
            return
        status, fields, text = self.reply(mode, what)
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        if status != 204:
            self.wfile.write(text.encode())

    do_GET = do_POST = take

    def reply(self, mode, what):
        ok = (200, {"Content-Type": "application/json"})
        if mode == "nobid" and what == "bid":
            return 204, {"X-OpenRTB-NBR": "9"}, ""
        if mode == "silent" and what == "bid":
            return 204, {}, ""
        if mode == "400":
            return problem(400, "invalid-bid-request", "imp is missing\u001b[31m", pointer="/imp")
        if mode == "404":
            return 404, {"Content-Type": "text/html"}, "<h1>nothing here</h1>"
        if mode == "403":
            return problem(403, "denied", "not allowed")
        if mode == "500":
            return problem(500, "internal", "a fault")
        if mode == "503":
            status, fields, text = problem(503, "overloaded", "no credit left")
            return status, {**fields, "Retry-After": "1"}, text
        if mode == "garbage":
            return *ok, "not json"
        if mode == "changing" and what == "topology":
            kinds = [[{"kind": "a"}], [{"kind": "a", "live": "1"}], [{"kind": "b"}]][min(len(self.server.seen), 3) - 1]
            return *ok, json.dumps({"nodes": [{"name": "n", "kinds": kinds}]})
        if mode == "empty":
            return *ok, "{}"
        return *ok, {"bid": BID_TEXT, "topology": json.dumps(TOPOLOGY), "version": json.dumps(VERSION),
                     "entity": json.dumps(ENTITY), "entity/history": json.dumps(HISTORY), "shards": json.dumps(SHARDS),
                     "deadletters": json.dumps(LETTERS), "deadletter": json.dumps(LETTER),
                     "deadletters:replay": "{}", "deadletters:discard": "{}"}[what.split("?")[0]]


@pytest.fixture()
def server():
    with listening(Canned, seen=[], stop=threading.Event()) as node:
        yield node
        node.stop.set()


@pytest.fixture()
def home(tmp_path):
    (tmp_path / "request.json").write_text('{"id":"r1"}')
    return tmp_path


def ctl(home, *words, stdin="", **env):
    return subprocess.run([BINARY, *words], cwd=home, env=environment(home, **env), input=stdin, text=True,
                          capture_output=True, timeout=30)


def url(server, mode="ok"):
    return f"http://127.0.0.1:{server.server_port}/{mode}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check_parses(form, text):
    if form == "json":
        json.loads(text)
    elif form == "jsonl":
        assert [json.loads(line) for line in text.splitlines()]
    elif form == "yaml":
        assert yaml.safe_load(text) is not None
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1
    else:
        assert text.endswith("\n") and text.strip()


COMMANDS = {
    "bid": (["bid", "request.json"], True),
    "topology": (["topology"], True),
    "version": (["version"], True),
    "entity-show": (["entity", "show", "customer/demo/c1"], True),
    "entity-at": (["entity", "at", "2026-11-21T10:00:00Z", "customer/demo/c1"], True),
    "entity-history": (["entity", "history", "customer/demo/c1"], True),
    "shards": (["shards"], True),
    "letters": (["deadletters", "list"], True),
    "letter": (["deadletters", "show", "17-4711-0"], True),
    "replay": (["deadletters", "replay", "17-4711-0", "-y"], True),
    "discard": (["deadletters", "discard", "17-4711-0", "--confirm", "17-4711-0"], True),
    "version-client": (["version", "--client"], False),
    "view": (["config", "view"], False),
    "origin": (["config", "view", "--origin"], False),
    "set": (["config", "set-context", "a", "--server", "http://a:1"], False),
    "use": (["config", "use-context", "known"], False),
    "get": (["config", "get-contexts"], False),
    "bash": (["completion", "bash"], False),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_every_format(server, home, name, form):
    words, asks = COMMANDS[name]
    assert ctl(home, "config", "set-context", "known", "--server", "http://k:1").returncode == 0
    where = ["--server", url(server)] if asks else []
    run = ctl(home, *words, *where, "-o", form)
    assert run.returncode == 0, run.stderr
    check_parses(form, run.stdout)
    assert "\x1b" not in run.stdout + run.stderr
    before = ctl(home, "-o", form, *where, *words)
    assert before.returncode == 0 and (name == "topology" or before.stdout == run.stdout)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("command", [["bid", "request.json"], ["topology"], ["entity", "show", "a/b/c"],
                                     ["entity", "history", "a/b/c"], ["shards"], ["deadletters", "list"],
                                     ["deadletters", "replay", "1-2-3", "-y"]])
@pytest.mark.parametrize("mode,exit_code", [("400", 7), ("403", 4), ("404", 3), ("500", 1), ("503", 6), ("garbage", 1)])
def test_errors_are_told_on_stderr_only(server, home, command, mode, exit_code, form):
    run = ctl(home, *command, "--server", url(server, mode), "-o", form)
    assert run.returncode == exit_code
    assert run.stdout == ""
    assert "\x1b" not in run.stderr
    if form in ("table", "wide"):
        assert run.stderr.startswith("campaignctl: ")
    else:
        document = json.loads(run.stderr)
        assert document["detail"] and document["type"]
        if mode == "400":
            assert document["type"] == "/problems/invalid-bid-request" and document["pointer"] == "/imp"


def test_problem_texts(server, home):
    rejected = ctl(home, "bid", "request.json", "--server", url(server, "400")).stderr
    assert "imp is missing\\x1b[31m" in rejected and "(at /imp)" in rejected
    assert "retry after 1 s" in ctl(home, "topology", "--server", url(server, "503")).stderr
    assert "is it a campaignd?" in ctl(home, "topology", "--server", url(server, "404")).stderr


def test_bid_shows_a_table_and_passes_the_document_through(server, home):
    run = ctl(home, "bid", "request.json", "--server", url(server))
    assert run.stdout.splitlines()[0].split() == ["IMP", "PRICE", "CUR", "OFFER", "CAMPAIGN", "SIZE", "CREATIVE"]
    assert run.stdout.splitlines()[1].split() == ["1", "2.5", "USD", "offer-1", "camp-1", "300x250", "cr-1"]
    assert run.stderr.startswith("answered in ")
    assert server.seen == [("POST", "/ok/v1/bid", b'{"id":"r1"}')]
    assert ctl(home, "bid", "-", "--server", url(server), "-o", "json", stdin="{}").stdout == BID_TEXT + "\n"
    assert server.seen[-1][2] == b"{}"
    assert ctl(home, "bid", "request.json", "--server", url(server), "-q").stderr == ""


def test_no_bid_is_an_answer(server, home):
    run = ctl(home, "bid", "request.json", "--server", url(server, "nobid"))
    assert (run.returncode, run.stdout) == (0, "")
    assert "no bid: the user's daily cap is met (nbr 9)" in run.stderr
    run = ctl(home, "bid", "request.json", "--server", url(server, "nobid"), "-o", "json")
    assert (run.returncode, run.stdout) == (0, '{"nbr":9}\n')
    assert ctl(home, "bid", "request.json", "--server", url(server, "silent"), "-o", "json").stdout == "{}\n"


def test_topology(server, home):
    run = ctl(home, "topology", "--server", url(server))
    assert "evil\\x1b[2J" in run.stdout
    assert run.stderr == "next: campaignctl topology --watch --filter kind=customer\n"
    narrow = ctl(home, "topology", "--server", url(server), "--filter", "kind=customer", "-o", "json")
    node, = json.loads(narrow.stdout)["nodes"]
    assert [kind["kind"] for kind in node["kinds"]] == ["customer"] and node["endpoints"] == []
    assert node["rss_bytes"] == "1048576"  # Protobuf's JSON: 64-bit integers are strings
    names = ctl(home, "topology", "--server", url(server), "-o", "name", "--limit", "1").stdout.splitlines()
    assert names == ["kind/n1/customer", "endpoint/n1/POST /v1/bid"]
    for wrong in (["--filter", "knd=x"], ["--filter", "kind"], ["--limit", "0"], ["--limit", "x"], ["--sort-by", "liv"]):
        assert ctl(home, "topology", "--server", url(server), *wrong).returncode == 2


def test_an_entity_reads_from_top_to_bottom(server, home):
    run = ctl(home, "entity", "show", "customer/demo/c1", "--server", url(server))
    assert [line.split() for line in run.stdout.splitlines()] == [
        ["address", "customer/demo/c1"], ["shard", "417"], ["sequence", "12"], ["as", "of", "2026-11-21T10:00:00.000Z"],
        ["reminders", "wake", "at", "2026-11-22T10:00:00.000Z"], ["state", "cx.v1.CustomerState"], ["reserved_at:"],
        ["-", '"1795255200000"'], ["last_seen:", '"evil\\x1b[2J"']]
    assert run.stderr == ""
    blank = ctl(home, "entity", "show", "customer/demo/c1", "--server", url(server, "empty"))
    assert blank.returncode == 0 and "what it would wake up as" in blank.stderr


def test_questions_arrive_as_they_were_asked(server, home):
    def path_of(*words):
        run = ctl(home, *words, "--server", url(server))
        assert run.returncode == 0, run.stderr
        return server.seen[-1][1].removeprefix("/ok/v1/")

    assert path_of("entity", "show", "customer/demo/a b&c=%é") == "entity?address=customer/demo/a%20b%26c%3D%25%C3%A9"
    assert path_of("entity", "at", "2026-11-21T10:00:00+01:00", "a/b/c") == \
        "entity?address=a/b/c&at=2026-11-21T10:00:00%2B01:00"
    assert re.fullmatch(r"entity\?address=a/b/c&at=20\d\d-\d\d-\d\dT[\d:.]+Z", path_of("entity", "at", "15m", "a/b/c"))
    assert path_of("entity", "history", "a/b/c") == "entity/history?address=a/b/c"
    assert path_of("entity", "history", "a/b/c", "--cursor", "7", "--limit", "9", "--until", "2026-11-21T10:00:00Z") == \
        "entity/history?address=a/b/c&after=7&limit=9&until=2026-11-21T10:00:00Z"
    assert path_of("deadletters", "list", "--cursor", "1-2-3", "--limit", "4") == "deadletters?limit=4&cursor=1-2-3"
    assert path_of("deadletters", "show", "1-2-3") == "deadletter?id=1-2-3"


def test_a_history_is_a_table_with_what_happened(server, home):
    run = ctl(home, "entity", "history", "customer/demo/c1", "--server", url(server))
    heads, line = run.stdout.splitlines()
    assert heads.split() == ["SEQ", "AT", "COMMAND", "EVENTS", "ACTOR"]
    assert line.split() == ["12", "2026-11-21T10:00:00.000Z", "ReserveImpressions", "reserved", "Forgotten"]
    assert run.stderr.splitlines() == ["records up to 7 are no longer kept",
                                       "more: campaignctl entity history customer/demo/c1 --cursor 12"]
    assert "campaign/demo/s" in ctl(home, "entity", "history", "a/b/c", "--server", url(server), "-o", "wide").stdout
    assert ctl(home, "entity", "history", "a/b/c", "--server", url(server, "empty")).stderr == "no records\n"


def test_the_worst_shards_are_on_top(server, home):
    run = ctl(home, "shards", "--server", url(server))
    summary, heads, *lines = run.stdout.splitlines()
    assert summary == ("5 shards · 1 lost · 4 open · 25 entities resident · 19 dirty · 10 messages in the outbox"
                       " · as of 2026-11-21T10:00:00.000Z")
    assert heads.split() == "SHARD STATE EPOCH FIRST LAST CHECKPOINT RESIDENT DIRTY OUTBOX ERROR".split()
    assert [line.split()[0] for line in lines] == ["2", "3", "4", "0", "1"]
    assert lines[0].endswith("the disk is full")
    few = ctl(home, "shards", "--server", url(server), "--limit", "2", "-o", "json")
    assert [shard["shard"] for shard in json.loads(few.stdout)["shards"]] == [2, 3]
    assert "as of" not in ctl(home, "shards", "--server", url(server), "--no-headers").stdout


def test_dead_letters_lead_from_one_to_the_next(server, home):
    run = ctl(home, "deadletters", "list", "--server", url(server))
    assert run.stdout.splitlines()[0].split() == ["ID", "FROM", "TO", "COMMAND", "REASON", "ATTEMPTS", "LAST", "AT"]
    assert run.stderr.splitlines() == ["next: campaignctl deadletters show 17-4711-0",
                                       "more: campaignctl deadletters list --cursor 17-4712-0"]
    shown = ctl(home, "deadletters", "show", "17-4711-0", "--server", url(server))
    assert shown.stdout.splitlines()[-2:] == ["command   cx.v1.Spend", '  micros: "5"']
    assert "deadletters replay 17-4711-0" in shown.stderr
    none = ctl(home, "deadletters", "list", "--server", url(server, "empty"))
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "no dead letters\n")


@pytest.mark.parametrize("verb,flag,answer", [("replay", ["--yes"], "y"), ("discard", ["--confirm", "17-4711-0"], "17-4711-0")])
class TestConfirmation:
    def words(self, server, verb):
        return ["deadletters", verb, "17-4711-0", "--server", url(server)]

    def posts(self, server):
        return [(path, json.loads(body)) for method, path, body in server.seen if method == "POST"]

    def at_terminal(self, server, home, verb, answer):
        """Runs the command at a terminal, gives the answer, and returns what was seen and the exit code."""
        pid, terminal = os.forkpty()
        if pid == 0:
            os.execve(BINARY, [BINARY, *self.words(server, verb)], environment(home))
        seen = b""
        while not re.search(rb"\[y/N\] $|go on: $", seen):
            assert select.select([terminal], [], [], 20)[0], seen
            seen += os.read(terminal, 65536)
        os.write(terminal, answer.encode() + b"\n")
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        return seen.decode(), code

    def test_a_flag_answers(self, server, home, verb, flag, answer):
        run = ctl(home, *self.words(server, verb), *flag, "-o", "json")
        assert run.returncode == 0 and json.loads(run.stdout)["id"] == "17-4711-0"
        assert server.seen == [("POST", f"/ok/v1/deadletters:{verb}", b'{"id":"17-4711-0"}')]

    def test_without_a_terminal_nothing_happens(self, server, home, verb, flag, answer):
        run = ctl(home, *self.words(server, verb), stdin=answer + "\n")
        assert (run.returncode, run.stdout) == (2, "") and flag[0] in run.stderr
        assert not server.seen

    def test_somebody_is_asked(self, server, home, verb, flag, answer):
        seen, code = self.at_terminal(server, home, verb, answer)
        assert code == 0
        for part in ("cx.v1.Spend", "customer/demo/c1", "campain/demo/s", "unknown-kind"):
            assert part in seen
        assert self.posts(server) == [(f"/ok/v1/deadletters:{verb}", {"id": "17-4711-0"})]

    def test_no_means_no(self, server, home, verb, flag, answer):
        for refusal in ("", "n", "17-4711-1"):
            assert self.at_terminal(server, home, verb, refusal)[1] == 130
        assert not self.posts(server)

    def test_a_read_only_context_forbids_it(self, server, home, verb, flag, answer):
        ctl(home, "config", "set-context", "prod", "--server", url(server), "--read-only")
        run = ctl(home, "deadletters", verb, "17-4711-0", *flag, "--context", "prod")
        assert run.returncode == 4 and not server.seen


def test_another_id_confirms_nothing(server, home):
    run = ctl(home, "deadletters", "discard", "1-2-3", "--confirm", "1-2-4", "--server", url(server))
    assert run.returncode == 2 and "1-2-4" in run.stderr and not server.seen
    assert ctl(home, "deadletters", "discard", "1-2-3", "--yes", "--server", url(server)).returncode == 2


def test_version_without_a_server(home):
    run = ctl(home, "version", "--server", f"http://127.0.0.1:{free_port()}", "-o", "json")
    document = json.loads(run.stdout)
    assert run.returncode == 0 and document["server"] is None and document["client"]["version"]
    assert "cannot reach" in run.stderr


@pytest.mark.parametrize("form", ["table", "json"])
def test_unreachable(home, form):
    address = f"http://127.0.0.1:{free_port()}"
    run = ctl(home, "topology", "-o", form, CAMPAIGN_SERVER=address)
    assert (run.returncode, run.stdout) == (6, "")
    for part in (address, "CAMPAIGN_SERVER", "refused", "tools/run", "--server"):
        assert part in run.stderr


def test_timeout_covers_the_whole_exchange(server, home):
    run = ctl(home, "topology", "--server", url(server, "slow"), "--timeout", "200ms")
    assert (run.returncode, run.stdout) == (6, "")
    assert "within 200 ms" in run.stderr and "waiting for the answer" in run.stderr


def test_what_is_not_http_is_named(home):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-x\r\n\r\n")
        threading.Thread(target=answer, daemon=True).start()
        run = ctl(home, "topology", "--server", "http://127.0.0.1:%d" % listener.getsockname()[1])
    assert run.returncode == 1 and "does not answer in HTTP" in run.stderr


@pytest.mark.parametrize("wrong", ["127.0.0.1:8080", "ftp://a", "http://", "http://u:p@a", "http://a:x", "http://a?b"])
def test_server_must_be_a_plain_url(home, wrong):
    assert ctl(home, "topology", "--server", wrong).returncode == 2
    assert ctl(home, "config", "set-context", "a", "--server", wrong).returncode == 2


@pytest.mark.parametrize("words,hint", [
    (["topolgy"], "did you mean topology?"), (["config", "veiw"], "did you mean view?"),
    (["topology", "--wach"], "did you mean --watch?"), (["topology", "-o", "jsno"], "did you mean json?"),
    (["version", "--limit", "3"], "has no use for --limit"), (["completion", "bash", "--server", "http://a"], "no use"),
    (["bid"], "needs FILE"), (["bid", "absent.json"], "cannot open absent.json"), (["bid", "."], "cannot read ."),
    (["topology", "--timeout", "soon"], "500ms"), (["topology", "-w", "-o", "json"], "--watch never ends"),
    (["topology", "-w=soon"], "not a time"),
    (["entity", "sho", "a/b/c"], "did you mean show?"), (["entiti"], "did you mean entity?"), (["entity"], "show, history, at"),
    (["entity", "show"], "needs ADDRESS"), (["entity", "at", "a/b/c"], "needs ADDRESS"),
    (["entity", "at", "soon", "a/b/c"], "TIME soon is not a time"), (["entity", "at", "", "a/b/c"], "TIME is empty"),
    (["entity", "history", "a/b/c", "--since", "1"], "--since 1 is not a time"),
    (["entity", "history", "a/b/c", "--limit", "0"], "--limit 0"), (["deadletters", "lst"], "did you mean list?"),
    (["deadletters", "show"], "needs ID"), (["shard"], "did you mean shards?"),
])
def test_usage(home, words, hint):
    run = ctl(home, *words)
    assert (run.returncode, run.stdout) == (2, "")
    assert hint in run.stderr


def test_help(home):
    everything = ctl(home, "--help")
    assert everything.returncode == 0 and everything.stderr == ""
    nothing = ctl(home)
    assert nothing.returncode == 2 and nothing.stdout == "" and "Usage:" in nothing.stderr
    for words in (["bid"], ["topology"], ["config"], ["config", "view"], ["completion"], ["entity"], ["entity", "at"],
                  ["entity", "history"], ["shards"], ["deadletters"], ["deadletters", "discard"]):
        run = ctl(home, *words, "--help")
        assert run.returncode == 0 and len(run.stdout.splitlines()) <= 40 and run.stderr == ""


def test_contexts(server, home):
    assert ctl(home, "config", "set-context", "prod", "--server", url(server), "--read-only").returncode == 0
    assert ctl(home, "config", "use-context", "prd").returncode == 3
    assert ctl(home, "config", "use-context", "prod").returncode == 0
    assert json.loads(ctl(home, "config", "get-contexts", "-o", "json").stdout) == [
        {"name": "prod", "current": True, "server": url(server), "read_only": True, "key_file": "", "token_file": "", "ca_file": ""}]
    assert ctl(home, "topology").returncode == 0
    denied = ctl(home, "bid", "request.json")
    assert denied.returncode == 4 and "read-only" in denied.stderr
    file = home / "xdg/campaign/config.yaml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(file.parent) == ["config.yaml"]
    file.chmod(0o644)
    refused = ctl(home, "topology")
    assert refused.returncode == 2 and "chmod 600" in refused.stderr
    assert ctl(home, "version", "--client").returncode == 0


def test_origin_names_the_winner(home):
    ctl(home, "config", "set-context", "dev", "--server", "http://dev:1")

    def winner(*words, **env):
        return json.loads(ctl(home, "config", "view", "--origin", "-o", "json", *words, **env).stdout)["server"]

    assert winner() == {"value": "http://127.0.0.1:8080", "origin": "default"}
    assert winner(CAMPAIGN_CONTEXT="dev") == {"value": "http://dev:1", "origin": "context dev"}
    ctl(home, "config", "use-context", "dev")
    assert winner() == {"value": "http://dev:1", "origin": "context dev"}
    assert winner(CAMPAIGN_SERVER="http://e:1") == {"value": "http://e:1", "origin": "CAMPAIGN_SERVER"}
    assert winner("--server", "http://f:1", CAMPAIGN_SERVER="http://e:1")["origin"] == "flag --server"
    assert json.loads(ctl(home, "config", "view", CAMPAIGN_OUTPUT="json").stdout)["output"] == "json"
    wrong = ctl(home, "config", "view", CAMPAIGN_OUTPUT="jsn")
    assert wrong.returncode == 2 and "CAMPAIGN_OUTPUT" in wrong.stderr


class Watch:
    """A watch under way, its output piped to us."""

    def __init__(self, home, *words):
        self.process = subprocess.Popen([BINARY, "topology", "--watch=100ms", *words], env=environment(home), text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def lines(self, count):
        return [self.process.stdout.readline() for _ in range(count)]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=10)

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def test_watch_appends_to_a_pipe_and_is_interrupted_with_130(server, home):
    with Watch(home, "--server", url(server)) as watch:
        lines = watch.lines(10)
        assert sum(line.startswith("1 node") for line in lines) == 2
        assert "\x1b" not in "".join(lines)
        assert watch.interrupt() == 130


def test_watch_tells_what_changed(server, home):
    with Watch(home, "--server", url(server, "changing"), "-o", "jsonl") as watch:
        events = [json.loads(line) for line in watch.lines(4)]
        assert [(e["type"], e["name"]) for e in events] == [
            ("ADDED", "kind/n/a"), ("CHANGED", "kind/n/a"), ("ADDED", "kind/n/b"), ("DELETED", "kind/n/a")]
        assert watch.interrupt() == 130


def test_watch_outlives_its_server(server, home):
    with Watch(home, "--server", url(server, "flaky")) as watch:
        assert sum(line.startswith("1 node") for line in watch.lines(15)) == 3
        assert watch.process.stderr.readline().startswith("stale ")
        assert watch.interrupt() == 130


def test_watch_waits_for_a_server_that_is_not_there_yet(home):
    with Watch(home, "--server", f"http://127.0.0.1:{free_port()}") as watch:
        assert "cannot reach" in watch.process.stderr.readline()
        assert watch.process.poll() is None
        assert watch.interrupt() == 130


def test_watch_gives_up_when_it_is_refused(server, home):
    assert ctl(home, "topology", "-w", "--server", url(server, "403")).returncode == 4


def test_watch_ends_with_its_reader(server, home):
    with Watch(home, "--server", url(server)) as watch:
        watch.lines(1)
        watch.process.stdout.close()
        assert watch.process.wait(timeout=10) == 0
        watch.process.stdout = None


def test_interrupting_a_request(server, home):
    process = subprocess.Popen([BINARY, "topology", "--server", url(server, "slow")], env=environment(home))
    while not server.seen:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130


def test_a_terminal_gets_colours_and_a_repaint(server, home):
    pid, terminal = os.forkpty()
    if pid == 0:
        os.execve(BINARY, [BINARY, "topology", "--watch=100ms", "--server", url(server)], environment(home))
    seen = b""
    while seen.count(b"1 node") < 2:
        assert select.select([terminal], [], [], 20)[0]
        seen += os.read(terminal, 65536)
    os.kill(pid, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)
    assert b"\x1b[H" in seen and b"\x1b[1mn1" in seen


def test_colour_only_when_asked(server, home):
    assert "\x1b[1m" in ctl(home, "bid", "request.json", "--server", url(server), "--color", "always").stdout
    assert "\x1b" not in ctl(home, "bid", "request.json", "--server", url(server)).stdout


def test_a_full_disk_is_not_success(server, home):
    with open("/dev/full", "w") as full:
        run = subprocess.run([BINARY, "version", "--client"], env=environment(home), stdout=full, stderr=subprocess.PIPE)
    assert run.returncode == 1 and b"No space left" in run.stderr


def test_completion_scripts(home):
    script = ctl(home, "completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0

    def complete(line):
        program = script + f"""
COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}}
compopt() {{ :; }}
_campaignctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        run = subprocess.run(["bash", "-c", program.replace(";COMP", "\nCOMP")], text=True, capture_output=True, cwd=home,
                             env={**environment(home), "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"]})
        return run.stdout.split()

    ctl(home, "config", "set-context", "live-name", "--server", "http://a:1")
    assert complete("campaignctl topo") == ["topology"]
    assert complete("campaignctl entity ") == ["show", "history", "at"]
    assert complete("campaignctl deadletters re") == ["replay"]
    assert complete("campaignctl deadletters discard --conf") == ["--confirm"]
    assert complete("campaignctl config ") == ["view", "set-context", "use-context", "get-contexts"]
    assert complete("campaignctl topology --output=ya") == ["yaml"]
    assert complete("campaignctl topology --context l") == ["live-name"]
    assert complete("campaignctl bid requ") == ["request.json"]
