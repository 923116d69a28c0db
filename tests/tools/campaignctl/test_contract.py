"""Runs the commands that campaignctl makes from the contract against a server that answers as a test says."""
import hashlib
import json
import os
import pty
import select
import shlex
import signal
import ssl
import subprocess
import threading
import time

import pytest

from fake_node import Handler, environment, listening
from test_campaignctl import BINARY, FORMATS, check_parses, ctl, free_port, home  # noqa: F401

SAMPLES = json.loads(subprocess.run([os.environ["CAMPAIGNCTL_SAMPLES"]], check=True, capture_output=True).stdout)
GENERATED = [s for s in SAMPLES if not s["by_hand"]]
READS, CONFIGURES, CHANGES, DESTROYS = range(4)


class Scripted(Handler):
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answer = self.server.script(self.command, self.path, dict(self.headers), body)
        if answer is None:
            self.close_connection = True
            return
        status, document = answer
        text = document if isinstance(document, str) else json.dumps(document)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        try:
            self.wfile.write(text.encode())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has stopped waiting

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any


@pytest.fixture()
def api():
    with listening(Scripted, seen=[], script=lambda *_: (200, {})) as node:
        yield node


def problem(status, name="refused", detail="No."):
    return status, {"type": "/problems/" + name, "title": name, "status": status, "detail": detail}


def secret_file(home, name="secret.txt", text="correct horse battery\n"):
    path = home / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def working_words(sample):
    """The first example of a command's help, made to ask nobody."""
    words = shlex.split(sample["examples"][0])[1:]
    if sample["effect"] == CHANGES:
        words.append("-y")
    if sample["effect"] == DESTROYS:
        words += ["--confirm", shlex.split(sample["examples"][1])[-1]]
    return words


def test_every_method_is_reached():
    assert [s["method"] for s in SAMPLES if not s["exists"]] == []


@pytest.mark.parametrize("sample", GENERATED, ids=lambda s: s["command"].replace(" ", "-"))
def test_every_verb_in_every_format(api, home, sample):  # noqa: F811
    secret_file(home)
    api.script = lambda *_: (200, sample["reply"])
    for form in FORMATS:
        run = ctl(home, *working_words(sample), "--server", api.url, "-o", form)
        assert run.returncode == 0, run.stderr
        check_parses(form, run.stdout)
        assert "\x1b" not in run.stdout + run.stderr
        if form == "json":
            assert json.loads(run.stdout) == sample["reply"]
        verb, path, headers, body = api.seen[-1]
        assert verb == sample["verb"]
        assert path.startswith(sample["path"].split("{")[0])
        assert body == "" or json.loads(body) is not None
    api.script = lambda *_: problem(400, "invalid", "The field is wrong.")
    run = ctl(home, *working_words(sample), "--server", api.url, "-o", "json")
    assert (run.returncode, run.stdout) == (7, "") and json.loads(run.stderr)["type"] == "/problems/invalid"


@pytest.mark.parametrize("sample", GENERATED, ids=lambda s: s["command"].replace(" ", "-"))
def test_help_and_dry_runs_ask_nobody(api, home, sample):  # noqa: F811
    secret_file(home)
    words = sample["command"].split()
    run = ctl(home, *words, "--help")
    assert run.returncode == 0 and "Usage:" in run.stdout and len(run.stdout.splitlines()) <= 50
    run = ctl(home, *working_words(sample), "--dry-run", "--server", api.url, "-o", "json")
    assert run.returncode == 0, run.stderr
    shown = json.loads(run.stdout)
    assert shown["method"] == sample["verb"] and shown["url"].startswith(api.url)
    assert "correct horse" not in run.stdout + run.stderr and api.seen == []


def test_a_dry_run_reads_like_http(api, home):  # noqa: F811
    run = ctl(home, "campaigns", "approve", "spring-sale", "--comment", "fine", "--if-match", "7", "--idempotency-key", "k1",
              "--dry-run", "--server", api.url, CAMPAIGN_KEY="cx_secret")
    assert run.stdout == (f"POST {api.url}/v1/campaigns/spring-sale:approve\nContent-Type: application/json\n"
                          'Authorization: Bearer ***\nIf-Match: "7"\nIdempotency-Key: k1\n\n{\n  "comment": "fine"\n}\n')
    assert "nothing was sent" in run.stderr


# Requests from files.

def test_flags_go_before_the_file(api, home):  # noqa: F811
    (home / "request.yaml").write_text("campaign:\n  name: Old\n  channels: [CHANNEL_EMAIL]\n  budget: {micros: '5', currency: USD}\n")
    (home / "body.json").write_text('{"name": "Old", "landing": {"default": "https://a.example"}}')
    assert ctl(home, "campaigns", "update", "x", "-f", "request.yaml", "--name", "New", "-y", "--server", api.url).returncode == 0
    assert json.loads(api.seen[-1][3]) == {"name": "New", "channels": ["CHANNEL_EMAIL"], "budget": {"micros": "5", "currency": "USD"}}
    assert ctl(home, "campaigns", "update", "x", "-f", "body.json", "-y", "--server", api.url).returncode == 0
    assert json.loads(api.seen[-1][3])["landing"] == {"default": "https://a.example"}
    run = ctl(home, "campaigns", "create", "-f", "-", "-y", "--server", api.url, stdin='{"campaign": {"name": "In"}}')
    assert run.returncode == 0 and json.loads(api.seen[-1][3]) == {"campaign": {"name": "In"}}
    (home / "bad.yaml").write_text("a: [1\n")
    run = ctl(home, "campaigns", "create", "-f", "bad.yaml", "-y", "--server", api.url)
    assert run.returncode == 7 and "bad.yaml:" in run.stderr


# Pages.

def pages(lines=7, size=3):
    def script(verb, path, headers, body):
        token = int(path.split("page_token=")[1].split("&")[0]) if "page_token=" in path else 0
        items = [{"id": f"c-{i}", "content": {"name": f"N{i}"}} for i in range(token, min(lines, token + size))]
        return 200, {"campaigns": items, "next_page_token": str(token + size) if token + size < lines else ""}
    return script


def test_the_next_page_is_a_command(api, home):  # noqa: F811
    api.script = pages()
    run = ctl(home, "campaigns", "list", "--stage", "draft", "--server", api.url, "-o", "name")
    assert run.stdout == "c-0\nc-1\nc-2\n"
    more = run.stderr.removeprefix("more: campaignctl ").strip()
    run = ctl(home, *shlex.split(more), "-o", "name")
    assert run.stdout == "c-3\nc-4\nc-5\n"
    assert "stage=CAMPAIGN_STAGE_DRAFT" in api.seen[-1][1]


def test_all_follows_pages(api, home):  # noqa: F811
    api.script = pages()
    run = ctl(home, "campaigns", "list", "--all", "--server", api.url, "-o", "json")
    document = json.loads(run.stdout)
    assert [c["id"] for c in document["campaigns"]] == [f"c-{i}" for i in range(7)] and document["next_page_token"] == ""
    assert "page_size=1000" in api.seen[0][1] and len(api.seen) == 3
    api.script = lambda *_: (200, {"campaigns": [], "next_page_token": "same"})
    assert ctl(home, "campaigns", "list", "--all", "--server", api.url).returncode == 1


# Asking first.

def at_terminal(words, home, answers):  # noqa: F811
    """Runs a command at a terminal and types an answer at each prompt; what was seen and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BINARY, [BINARY, *words], environment(home))
    seen = b""
    for prompt, answer in answers:
        while not seen.endswith(prompt.encode()):
            assert select.select([terminal], [], [], 20)[0], seen
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                raise AssertionError(seen)
        os.write(terminal, answer.encode())
    try:
        while block := os.read(terminal, 65536):
            seen += block
    except OSError:
        pass
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return seen.decode(), code


def test_changes_and_destruction_are_confirmed(api, home):  # noqa: F811
    change = ["campaigns", "pause", "x", "--server", api.url]
    destroy = ["users", "delete", "ana", "--server", api.url]
    for words, flag in ((change, "--yes"), (destroy, "--confirm NAME")):
        run = ctl(home, *words)
        assert run.returncode == 2 and flag in run.stderr and not api.seen
        assert ctl(home, *words, "--no-input").returncode == 2
    assert ctl(home, *destroy, "--confirm", "bo").returncode == 2
    assert at_terminal(change, home, [("[y/N] ", "n\n")])[1] == 130 and not api.seen
    assert at_terminal(destroy, home, [("go on: ", "an\n")])[1] == 130 and not api.seen
    assert at_terminal(change, home, [("[y/N] ", "y\n")])[1] == 0
    assert at_terminal(destroy, home, [("go on: ", "ana\n")])[1] == 0
    assert [seen[0] for seen in api.seen] == ["POST", "DELETE"]


def test_a_read_only_context_forbids_what_changes(api, home):  # noqa: F811
    assert ctl(home, "config", "set-context", "prod", "--server", api.url, "--read-only").returncode == 0
    for words in (["campaigns", "pause", "x", "-y"], ["users", "delete", "a", "--confirm", "a"]):
        run = ctl(home, *words, "--context", "prod")
        assert run.returncode == 4 and "read-only" in run.stderr
    assert not api.seen and ctl(home, "campaigns", "list", "--context", "prod").returncode == 0


# Who asks.

def bearer(api):
    return api.seen[-1][2].get("Authorization", "")


def origin(home, api, *words, **env):  # noqa: F811
    run = ctl(home, "config", "view", "--origin", "-o", "json", "--server", api.url, *words, **env)
    return json.loads(run.stdout)["credential"]


def test_credentials_in_their_order(api, home):  # noqa: F811
    def sent(*words, **env):
        run = ctl(home, "whoami", "--server", api.url, *words, **env)
        assert run.returncode == 0, run.stderr
        return bearer(api)

    assert sent() == "" and origin(home, api) == {"value": "", "origin": "default"}
    (home / "data").mkdir()
    admin = secret_file(home / "data", "admin.key", "cx_admin\n")
    assert sent() == "Bearer cx_admin" and origin(home, api) == {"value": "data/admin.key", "origin": "default"}
    key = secret_file(home, "key", "cx_key")
    ctl(home, "config", "set-context", "here", "--server", api.url, "--key-file", "key")
    assert ctl(home, "whoami", "--context", "here").returncode == 0 and bearer(api) == "Bearer cx_key"
    assert sent(CAMPAIGN_KEY="cx_env") == "Bearer cx_env"
    other = secret_file(home, "other", "cx_other")
    assert sent(CAMPAIGN_KEY="cx_env", CAMPAIGN_KEY_FILE=other) == "Bearer cx_other"
    assert sent("--token-file", key, CAMPAIGN_KEY_FILE=other) == "Bearer cx_key"
    assert origin(home, api, "--key-file", key) == {"value": key, "origin": "flag --key-file"}
    assert "cx_" not in ctl(home, "config", "view", "--origin", "--server", api.url, CAMPAIGN_KEY="cx_env").stdout
    os.chmod(key, 0o644)
    refused = ctl(home, "whoami", "--server", api.url, "--key-file", key)
    assert refused.returncode == 2 and "chmod 600" in refused.stderr
    for text in ("", "a\nb\n", "x" * 20000):
        assert ctl(home, "whoami", "--server", api.url, "--key-file", secret_file(home, "odd", text)).returncode == 2
    assert os.path.exists(admin)


def test_a_context_keeps_its_key_to_its_server(api, home):  # noqa: F811
    secret_file(home, "key", "cx_key")
    ctl(home, "config", "set-context", "prod", "--server", "http://127.0.0.1:1", "--key-file", "key")
    ctl(home, "config", "use-context", "prod")
    assert ctl(home, "whoami", "--server", api.url).returncode == 0 and bearer(api) == ""


def test_refusals_say_what_to_do(api, home):  # noqa: F811
    api.script = lambda *_: problem(401, "no-credential", "Say who you are.")
    nobody = ctl(home, "campaigns", "list", "--server", api.url)
    assert nobody.returncode == 4 and "--key-file" in nobody.stderr and "campaignctl login" in nobody.stderr
    key = secret_file(home, "key", "cx_key")
    known = ctl(home, "campaigns", "list", "--server", api.url, "--key-file", key)
    assert known.returncode == 4 and key in known.stderr and "cx_key" not in known.stderr
    api.script = lambda *_: problem(403, "denied", "You may not.")
    denied = ctl(home, "campaigns", "approve", "x", "-y", "--server", api.url, "--key-file", key)
    assert denied.returncode == 4 and "campaign.approve" in denied.stderr and "whoami" in denied.stderr


@pytest.mark.parametrize("status,code", [(404, 3), (409, 5), (412, 5), (429, 6), (503, 6), (504, 6), (500, 1), (400, 7)])
def test_statuses_as_exit_codes_and_the_request_named(api, home, status, code):  # noqa: F811
    api.script = lambda *_: problem(status)
    run = ctl(home, "campaigns", "get", "x", "--server", api.url)
    assert (run.returncode, run.stdout) == (code, "")
    assert api.seen[-1][2]["X-Request-Id"] in run.stderr


def test_verbose_names_the_request(api, home):  # noqa: F811
    run = ctl(home, "campaigns", "pause", "x", "-y", "-v", "--server", api.url)
    headers = api.seen[-1][2]
    assert headers["X-Request-Id"] in run.stderr and headers["Idempotency-Key"] in run.stderr


def test_what_may_have_been_done_can_be_repeated(api, home):  # noqa: F811
    api.script = lambda *_: None  # the answer is lost
    run = ctl(home, "campaigns", "pause", "x", "--comment", "it's late", "-y", "--server", api.url)
    assert run.returncode == 6
    again = run.stderr[run.stderr.index("campaignctl campaigns") :].splitlines()[0]
    api.script = lambda *_: (200, {"id": "x"})
    assert ctl(home, *shlex.split(again)[1:]).returncode == 0
    first, second = api.seen
    assert first[2]["Idempotency-Key"] == second[2]["Idempotency-Key"] and first[3] == second[3]
    api.script = lambda *_: None
    assert "Idempotency-Key" not in ctl(home, "users", "unlock", "ana", "-y", "--server", api.url).stderr
    assert "look before" in ctl(home, "users", "unlock", "ana", "-y", "--server", api.url).stderr


# Signing in.

class Identity:
    """Tokens of one user: each refresh token is good for one use."""

    def __init__(self, lifetime=900):
        self.lifetime, self.number, self.over = lifetime, 0, False
        self.lock = threading.Lock()

    def tokens(self):
        self.number += 1
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))
        return 200, {"access_token": f"at-{self.number}", "token_type": "Bearer", "expires_at": end, "tenant": "acme",
                     "refresh_token": f"rt-{self.number}", "session_expires_at": end, "actor": "user/ana"}

    def __call__(self, verb, path, headers, body):
        with self.lock:
            if path == "/v1/login":
                good = json.loads(body) == {"tenant": "acme", "user": "ana", "password": "correct horse battery"}
                return self.tokens() if good else problem(401, "wrong-password", "Wrong.")
            if path == "/v1/token:refresh":
                assert "Authorization" not in headers
                current = json.loads(body)["refresh_token"] == f"rt-{self.number}" and not self.over
                self.over = not current
                return self.tokens() if current else problem(401, "session-over", "It is over.")
            if headers.get("Authorization") != f"Bearer at-{self.number}":
                return problem(401, "invalid-credential", "No such token.")
            return 200, {"tenant": "acme", "actor": "user/ana"}


LOGIN = ["login", "--tenant", "acme", "--user", "ana"]


def test_login_keeps_tokens_for_its_server_only(api, home):  # noqa: F811
    api.script = Identity()
    run = ctl(home, *LOGIN, "--password-file", secret_file(home), "--server", api.url, "-o", "json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["actor"] == "user/ana"
    assert "at-" not in run.stdout + run.stderr and "rt-" not in run.stdout + run.stderr
    kept = home / "xdg/campaign/logins.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert origin(home, api) == {"value": "user/ana of acme", "origin": "login"}
    assert ctl(home, "whoami", "--server", api.url).returncode == 0 and bearer(api) == "Bearer at-1"
    assert ctl(home, "config", "view", "-o", "json").stdout.count("login") == 0
    assert ctl(home, "logout", "--server", api.url).returncode == 0
    assert json.loads(kept.read_text()) == {} and ctl(home, "logout", "--server", api.url).returncode == 3
    assert ctl(home, "whoami", "--server", api.url).returncode == 4


def test_a_wrong_password_is_refused(api, home):  # noqa: F811
    api.script = Identity()
    run = ctl(home, *LOGIN, "--password-file", "-", "--server", api.url, stdin="wrong\n")
    assert run.returncode == 4 and "Wrong." in run.stderr and not (home / "xdg/campaign/logins.json").exists()
    assert ctl(home, *LOGIN, "--server", api.url).returncode == 2
    assert ctl(home, "login", "--server", api.url).returncode == 2


def test_a_password_is_typed_unseen(api, home):  # noqa: F811
    api.script = Identity()
    typed = [("tenant: ", "acme\n"), ("user: ", "ana\n"), ("password: ", "correct horse battery\n")]
    seen, code = at_terminal(["login", "--server", api.url], home, typed)
    assert code == 0 and "horse" not in seen
    assert at_terminal([*LOGIN, "--server", api.url], home, [("password: ", "corr\x03")])[1] == 130
    seen, code = at_terminal(["users", "set-password", "ana", "-y", "--server", api.url, "--key-file", secret_file(home, "k", "at-1")],
                             home, [("password: ", "correct horse\n")])
    assert code == 0 and "horse" not in seen and json.loads(api.seen[-1][3]) == {"password": "correct horse"}


def test_tokens_renew_themselves_once(api, home):  # noqa: F811
    api.script = identity = Identity(lifetime=5)  # over before it is used
    assert ctl(home, *LOGIN, "--password-file", secret_file(home), "--server", api.url).returncode == 0
    assert ctl(home, "whoami", "--server", api.url).returncode == 0 and identity.number == 2
    identity.lifetime = 900
    runs = [subprocess.Popen([BINARY, "whoami", "--server", api.url], env=environment(home), stdout=subprocess.DEVNULL) for _ in range(6)]
    assert [run.wait(timeout=20) for run in runs] == [0] * 6 and identity.number == 3
    identity.lifetime, identity.number = 5, 9  # the server has forgotten this session
    kept = home / "xdg/campaign/logins.json"
    kept.write_text(kept.read_text().replace(json.loads(kept.read_text())[api.url]["expires_at"], "2020-01-01T00:00:00Z"))
    over = ctl(home, "whoami", "--server", api.url)
    assert over.returncode == 4 and "campaignctl login" in over.stderr


# The audit log.

def netstring(text):
    raw = text.encode()
    return str(len(raw)).encode() + b":" + raw + b","


def chain(count):
    """A log of `count` entries, its hashes made as audit.proto says."""
    entries, previous = [], "0" * 64
    for n in range(1, count + 1):
        entry = {"sequence": str(n), "at": f"2026-11-21T10:00:{n % 60:02d}.250Z", "tenant": "acme", "actor": "user/ana",
                 "roles": ["admin", "é"], "method": "cx.v1.Campaigns.Approve", "resource": f"campaign/c-{n}", "outcome": "done",
                 "problem": "", "request_id": f"r{n}", "trace": "", "details": '{"a":1}', "previous_hash": previous}
        seconds = 1795255200 + n % 60
        roles = b"".join(netstring(role) for role in entry["roles"])
        parts = ["cx.v1.AuditEntry", previous, str(n), str(seconds * 1000 + 250), "acme", "user/ana", None, entry["method"],
                 entry["resource"], "done", "", entry["request_id"], "", entry["details"]]
        raw = b"".join(str(len(roles)).encode() + b":" + roles + b"," if part is None else netstring(part) for part in parts)
        entry["hash"] = previous = hashlib.sha256(raw).hexdigest()
        entries.append(entry)
    return entries


def log(entries, page=3):
    def script(verb, path, headers, body):
        if path == "/v1/audit:head":
            return 200, {"count": str(len(entries)), "hash": entries[-1]["hash"] if entries else "0" * 64}
        after = int(path.split("after_sequence=")[1].split("&")[0])
        rest = [e for e in entries if int(e["sequence"]) > after]
        return 200, "".join(json.dumps(e) + "\n" for e in rest[:page])
    return script


def test_an_export_goes_over_pages_and_verifies(api, home):  # noqa: F811
    entries = chain(8)
    api.script = log(entries)
    run = ctl(home, "audit", "export", "--server", api.url)
    assert run.returncode == 0 and [json.loads(line) for line in run.stdout.splitlines()] == entries
    assert [e["sequence"] for e in json.loads(ctl(home, "audit", "export", "--limit", "4", "-o", "json", "--server", api.url).stdout)["entries"]] \
        == ["1", "2", "3", "4"]
    tail = ctl(home, "audit", "export", "--after-sequence", "6", "--server", api.url).stdout
    assert len(tail.splitlines()) == 2
    (home / "audit.ndjson").write_text(run.stdout)
    head = f"8:{entries[-1]['hash']}"
    for words in (["--server", api.url], ["audit.ndjson"], ["-"], ["audit.ndjson", "--head", head]):
        good = ctl(home, "audit", "verify", *words, "-o", "json", stdin=run.stdout)
        assert good.returncode == 0, good.stderr
        assert json.loads(good.stdout) == {"verdict": "good", "checked": 8, "count": 8, "head": head}
    assert f"head {head}" in ctl(home, "audit", "verify", "audit.ndjson").stdout
    (home / "tail").write_text(tail)
    assert ctl(home, "audit", "verify", "tail", "--after", f"6:{entries[5]['hash']}").returncode == 0
    assert ctl(home, "audit", "verify", "tail").returncode == 10
    assert ctl(home, "audit", "verify", "tail", "--after", "6").returncode == 2


@pytest.mark.parametrize("what", ["details", "actor", "roles", "at", "hash", "previous_hash", "gone", "swapped", "end"])
def test_a_log_that_was_touched_is_bad(api, home, what):  # noqa: F811
    entries = chain(8)
    head = f"8:{entries[-1]['hash']}"
    broken = 5
    if what == "gone":
        del entries[4]
    elif what == "swapped":
        entries[4], entries[5] = entries[5], entries[4]
    elif what == "end":
        del entries[6:]
        broken = 8
    elif what == "roles":
        entries[4]["roles"] = ["admin,é"]
    elif what == "at":
        entries[4]["at"] = "2026-11-21T10:00:59.250Z"
    else:
        entries[4][what] = entries[4][what].replace("a", "b").replace("0", "1")
    (home / "log").write_text("".join(json.dumps(e) + "\n" for e in entries))
    offline = ctl(home, "audit", "verify", "log", "--head", head, "-o", "json")
    assert offline.returncode == 10 and json.loads(offline.stdout)["broken"] == broken, offline.stdout
    assert f"bad at entry {broken}" in ctl(home, "audit", "verify", "log", "--head", head).stdout
    if what != "swapped":
        api.script = lambda verb, path, *rest: (200, {"count": "8", "hash": head[2:]}) if path.endswith("head") else log(entries)(verb, path, *rest)
        assert ctl(home, "audit", "verify", "--server", api.url).returncode == 10


def test_an_empty_log_is_good(api, home):  # noqa: F811
    api.script = lambda verb, path, *_: (200, {"count": "0", "hash": "0" * 64} if path.endswith("head") else "")
    assert json.loads(ctl(home, "audit", "verify", "--server", api.url, "-o", "json").stdout)["checked"] == 0
    (home / "no-log").write_text("{}x\n")
    assert ctl(home, "audit", "verify", "no-log").returncode == 7
    assert ctl(home, "audit", "verify", "absent").returncode == 2


def test_an_export_that_breaks_off_says_how_to_go_on(api, home):  # noqa: F811
    whole = log(chain(8))
    api.script = lambda verb, path, *rest: whole(verb, path, *rest) if len(api.seen) < 2 else problem(503)
    run = ctl(home, "audit", "export", "--server", api.url)
    assert run.returncode == 6 and len(run.stdout.splitlines()) == 3 and "--after-sequence 3" in run.stderr


# The rest.

@pytest.mark.parametrize("topic,said", [
    ("Campaign.content.budget", "What it may cost in all"), ("campaign.CONTENT", "CampaignContent"), ("CampaignStage", "CAMPAIGN_STAGE_LIVE"),
    ("Campaigns.Approve", "campaign.approve"), ("campaigns.go-live", "campaigns go-live"), ("campaigns", "campaigns approve"),
    ("cx.v1.ListCampaigns", "page_size"), ("Campaign.content.landing", "map of string by string")])
def test_explain(home, topic, said):  # noqa: F811
    run = ctl(home, "explain", topic)
    assert run.returncode == 0 and said in run.stdout
    for form in FORMATS:
        check_parses(form, ctl(home, "explain", topic, "-o", form).stdout)


@pytest.mark.parametrize("topic,guess", [("Campain", "Campaign?"), ("Campaign.contnt", "content?"), ("Campaign.id.x", "no")])
def test_explain_guesses(home, topic, guess):  # noqa: F811
    run = ctl(home, "explain", topic)
    assert run.returncode == 3 and guess in run.stderr


def test_live_names_complete_and_are_kept(api, home):  # noqa: F811
    api.script = pages(lines=3)

    def complete(*words):
        return ctl(home, "__complete", *words, CAMPAIGN_SERVER=api.url, XDG_CACHE_HOME=str(home / "cache")).stdout.split()

    assert complete("campaigns", "approve", "c-") == ["c-0", "c-1", "c-2"]
    assert complete("campaigns", "approve", "c-1") == ["c-1"] and len(api.seen) == 1
    api.script = lambda *_: (time.sleep(1), (200, {}))[1]
    begun = time.monotonic()
    assert complete("users", "get", "") == [] and time.monotonic() - begun < 1
    assert complete("whoami", "") == []


@pytest.fixture()
def tls(tmp_path):
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=cx",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with listening(Scripted, tls=context, seen=[], script=lambda *_: (200, {"actor": "user/ana"})) as node:
        yield node


def test_https_is_verified(tls, home):  # noqa: F811
    ca = str(home / "cert.pem")
    for host in ("localhost", "127.0.0.1"):
        where = f"https://{host}:{tls.server_port}"
        assert ctl(home, "whoami", "--server", where, "--ca-file", ca).returncode == 0
        unknown = ctl(home, "whoami", "--server", where)
        assert unknown.returncode == 6 and "--ca-file" in unknown.stderr
    ctl(home, "config", "set-context", "tls", "--server", f"https://localhost:{tls.server_port}", "--ca-file", "cert.pem")
    assert ctl(home, "whoami", "--context", "tls").returncode == 0
    assert ctl(home, "whoami", "--server", f"https://127.0.0.1:{free_port()}").returncode == 6
    other = ctl(home, "whoami", "--server", f"https://127.0.0.2:{tls.server_port}", "--ca-file", ca)
    assert other.returncode == 6
    assert ctl(home, "whoami", "--server", f"https://localhost:{tls.server_port}", "--ca-file", "absent").returncode == 2


def test_a_watch_follows_a_list(api, home):  # noqa: F811
    api.script = pages(lines=2)
    watch = subprocess.Popen([BINARY, "campaigns", "list", "--watch=100ms", "-o", "jsonl", "--server", api.url], env=environment(home), text=True,
                             stdout=subprocess.PIPE)
    assert [json.loads(watch.stdout.readline())["name"] for _ in range(2)] == ["c-0", "c-1"]
    watch.send_signal(signal.SIGINT)
    assert watch.wait(timeout=10) == 130
    watch.stdout.close()
