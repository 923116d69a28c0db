"""Makes requests up from an OpenAPI document, sends them, and judges the answers.

Valid requests, and ones that break the schema, are schemathesis's; from the valid ones come nearly valid ones, by putting
something hostile in one place. Every answer must be one that the document tells of, in time.
"""

import copy
import gzip
import http.client
import json
import random
import time
import urllib.parse
from dataclasses import dataclass, field, replace

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from schemathesis import GenerationMode

REPLY_SECONDS = 20  # an answer that takes longer hangs, even on a busy machine

HOSTILE = [
    None, True, False, 0, -1, 1, 1.5, 1e308, -0.0, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, "", " ", "0", "-1",
    "1e5", "NaN", "Infinity", "null", "a" * 64, "a" * 5000, "ä" * 100, "\u0000", "\ud7ff\ue000", "\U0010ffff", "a/b", "../../etc/passwd",
    "%2e%2e%2f", "%00", "a:b", "{tenant}", "*", "\"", "\\", "'; --", "<script>", "\r\nSet-Cookie: a=b", "9999-12-31T23:59:59Z",
    "0000-00-00T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-31T08:30:00+99:99", "-1s", "99999999999999s", "name,,x", "a.b.c",
    "CAMPAIGN_STAGE_DRAFT", "draft", "////", "====", [], {}, [[]], [None], [{}], {"": {}}, {"@type": "x"},
    {"@type": "type.googleapis.com/google.protobuf.Any", "value": {}}, ["a"] * 2000, {str(i): i for i in range(300)},
]
HOSTILE_HEADERS = [
    {"If-Match": "*"}, {"If-Match": '"1"'}, {"If-Match": "1"}, {"If-Match": 'W/"1"'}, {"If-Match": '"' * 300}, {"If-None-Match": "*"},
    {"Idempotency-Key": "k"}, {"Idempotency-Key": "k" * 300}, {"Idempotency-Key": "k\tk"}, {"X-Request-Id": "\xff"}, {"X-Timeout-Ms": "1"},
    {"X-Timeout-Ms": "-1"}, {"X-Timeout-Ms": "9" * 30}, {"traceparent": "00-0-0-0"}, {"Content-Type": "text/plain"}, {"Content-Type": ""},
    {"Content-Encoding": "gzip"}, {"Content-Encoding": "x"}, {"Accept-Encoding": "gzip, br;q=0"}, {"Accept-Encoding": ";q=x"}, {"Accept": "text/html"},
    {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer " + "a" * 5000}, {"X-Api-Key": "cx_x_y"},
    {"Origin": "null"}, {"Cookie": "a=b"}, {"Range": "bytes=0-0"},
]
HOSTILE_BODIES = [
    b"", b" ", b"{", b"}", b"[]", b"null", b"0", b'""', b"{}{}", b'{"a":1,"a":2}', b'{"\\ud800":1}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"a":01}',
    b"[" * 3000, b'{"a":' * 3000, b'{"comment":"' + b"x" * 200_000 + b'"}', b"\x1f\x8b\x08\x00", b'{"if_match":"x"}', b'{"@type":"x"}',
]


@dataclass
class Request:
    operation: str
    verb: str
    template: str
    path: dict
    query: dict
    headers: dict = field(default_factory=dict)
    body: object = None  # JSON, bytes as they are, or None

    def target(self):
        path = self.template
        for name, value in self.path.items():
            path = path.replace("{%s}" % name, urllib.parse.quote(text_of(value), safe=""))
        query = urllib.parse.urlencode({k: [text_of(x) for x in v] if isinstance(v, list) else text_of(v) for k, v in self.query.items()},
                                       doseq=True)
        return f"{path}?{query}" if query else path


def text_of(value):
    """As it stands in a path or a query: surrogates cannot."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()


def places(value, path=()):
    """Paths to everything inside a JSON value, and to itself."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def put(value, path, new):
    """A copy of `value` with `new` at `path`."""
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = put(value[path[0]], path[1:], new)
    return value


class Api:
    def __init__(self, document):
        self.document = document
        self.operations = {operation["operationId"]: (verb.upper(), path, operation)
                           for path, operations in document["paths"].items() for verb, operation in operations.items()}
        closed = copy.deepcopy(document)
        for schema in closed["components"]["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False  # a node says what it serves, and nothing else
        self._registry = Registry().with_resource("urn:api", Resource(contents=closed, specification=DRAFT202012))

        # Header fields come from HOSTILE_HEADERS: nearly every made-up credential or timeout ends a request at the door.
        plain = copy.deepcopy(document)
        plain.pop("security", None)
        plain["components"].pop("securitySchemes", None)
        headers = {f"#/components/parameters/{name}" for name in plain["components"].pop("parameters", {})}
        for operations in plain["paths"].values():
            for operation in operations.values():
                operation.pop("security", None)
                operation["parameters"] = [p for p in operation["parameters"] if p.get("$ref") not in headers]
        loaded = schemathesis.openapi.from_dict(plain)
        self._made_up = {found.ok().definition.raw["operationId"]: found.ok() for found in loaded.get_all_operations()}

    def make_up(self, operation, valid, count, number):
        """Up to `count` requests of an operation, the same for the same `number`."""
        verb, path, _ = self.operations[operation]
        mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE
        requests = []

        @seed(number)
        @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=self._made_up[operation].as_strategy(generation_mode=mode))
        def collect(case):
            body = case.body if isinstance(case.body, (dict, list, str, int, float, bool, bytes)) else None
            values = {name: urllib.parse.unquote(value) if isinstance(value, str) else value
                      for name, value in (case.path_parameters or {}).items()}
            requests.append(Request(operation, verb, path, values, dict(case.query or {}), {}, body))

        try:
            collect()
        except Exception as error:  # an operation that nothing can be wrong with has no invalid requests
            if valid or requests:
                raise error
        return requests

    def judge(self, request, status, headers, body):
        """What is wrong with an answer; empty if nothing is."""
        verb, path, operation = self.operations[request.operation]
        content_type = headers.get("content-type", "")
        if status >= 400:
            if (wrong := self._judge_problem(status, headers, body)):
                return wrong
            hurried = status == 504 and any(name.lower() == "x-timeout-ms" for name in request.headers)
            unserved = status == 503 and json.loads(body)["type"] == "/problems/not-served"
            if status >= 500 and not hurried and not unserved:
                return "it is a failure of the node"
        if str(status) not in operation["responses"]:
            return "the document does not tell of this status"
        if status == 200 and content_type == "application/x-ndjson":
            return "; ".join(f"not a line of JSON: {line!r}" for line in body.splitlines() if not line.startswith(b"{"))
        if status != 200 or not body:
            return "" if status != 200 or "content" not in operation["responses"]["200"] else "an empty document"
        (media_type, media), *_ = operation["responses"]["200"]["content"].items()
        if media_type != "*/*" and content_type.partition(";")[0] != media_type:
            return f"its content-type is {content_type}, not {media_type}"
        if media_type != "application/json" or not media["schema"]:
            return ""
        steps = ["paths", path, verb.lower(), "responses", "200", "content", media_type, "schema"]
        pointer = "/".join(urllib.parse.quote(step.replace("~", "~0").replace("/", "~1"), safe="") for step in steps)
        validator = Draft202012Validator({"$ref": f"urn:api#/{pointer}"}, registry=self._registry,
                                         format_checker=Draft202012Validator.FORMAT_CHECKER)
        return "; ".join(f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(json.loads(body)))

    @staticmethod
    def _judge_problem(status, headers, body):
        if headers.get("content-type") != "application/problem+json":
            return f"it is no problem document, but {headers.get('content-type')}"
        problem = json.loads(body)
        if problem.get("status") != status:
            return f"the problem says that its status is {problem.get('status')}"
        if not str(problem.get("type")).startswith("/problems/") or not problem.get("title") or not problem.get("detail"):
            return "type, title or detail is missing"
        if not isinstance(problem.get("pointer", ""), str) or not set(problem) <= {"type", "title", "status", "detail", "pointer", "instance"}:
            return "the problem has fields that it should not have"
        if "x-request-id" in headers and problem.get("instance") != headers["x-request-id"]:
            return "the problem does not name the request"
        return ""


class Fuzzer:
    """`known`: values of parameters that name something on the node, by name; and bodies that mean something, by operation."""

    def __init__(self, api, port, credential, known):
        self.api, self.port, self.known = api, port, known
        self.headers = {"Authorization": f"Bearer {credential}"}
        self.connection = None
        self.statuses = {}  # operation: {status: count}
        self.wrong = []

    def send(self, request):
        """Status, header fields and body of the answer."""
        headers = {**self.headers, "Content-Type": "application/json", **request.headers}
        body = request.body
        if body is None and request.verb not in ("GET", "DELETE") and "requestBody" in self.api.operations[request.operation][2]:
            body = {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        for again in (True, False):
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REPLY_SECONDS)
            try:
                self.connection.request(request.verb, request.target(), body, headers)
                response = self.connection.getresponse()
                data, fields = response.read(), {name.lower(): value for name, value in response.getheaders()}
                if fields.get("content-encoding") == "gzip":
                    data = gzip.decompress(data)
                return response.status, fields, data
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection.close()  # kept alive for too long, perhaps: once more on a new one
                self.connection = None
                if not again:
                    raise
            except Exception:
                self.connection.close()
                self.connection = None
                raise

    def try_one(self, request):
        try:
            status, headers, body = self.send(request)
            wrong = self.api.judge(request, status, headers, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            status, body, wrong = 0, b"", f"{type(error).__name__}: {error}"
        counts = self.statuses.setdefault(request.operation, {})
        counts[status] = counts.get(status, 0) + 1
        if wrong:
            self.wrong.append(f"{request.operation}: {wrong}\n  {request.verb} {request.target()[:300]} {request.headers}\n"
                              f"  {str(request.body)[:600]}\n  -> {status} {body[:600]!r}")
        return status

    def at_known(self, request, rng):
        """Half of the requests are about something that is there."""
        def choose(values):
            return {name: rng.choice(self.known[name]) if self.known.get(name) and rng.random() < 0.5 else value
                    for name, value in values.items()}

        if request.operation in self.known and rng.random() < 0.5:
            request = replace(request, body=rng.choice(self.known[request.operation]))
        return replace(request, path=choose(request.path), query=choose(request.query))

    def nearly_valid(self, request, rng):
        kind = rng.randrange(6)
        if kind == 0 and request.path:
            return replace(request, path={**request.path, rng.choice(list(request.path)): rng.choice(HOSTILE) or "x"})
        if kind == 1:
            name = rng.choice([*request.query, "page_size", "page_token", "update_mask", "nothing", "a.b", "%"])
            return replace(request, query={**request.query, name: rng.choice(HOSTILE)})
        if kind == 2:
            return replace(request, headers=rng.choice(HOSTILE_HEADERS))
        if kind == 3:
            return replace(request, body=rng.choice(HOSTILE_BODIES))
        if isinstance(request.body, (dict, list)) and request.body:
            return replace(request, body=put(request.body, rng.choice(list(places(request.body))), rng.choice(HOSTILE)))
        return replace(request, body=rng.choice(HOSTILE))

    def run(self, operations, seconds, number, most=20):
        """Goes round the operations until the time is over, at least once; stops early when `most` answers were wrong."""
        rng = random.Random(number)
        end = time.monotonic() + seconds
        rounds = 0
        while rounds == 0 or time.monotonic() < end:
            for operation in operations:
                valid = self.api.make_up(operation, True, 4, number + rounds)
                requests = [self.at_known(request, rng) for request in valid]
                requests += self.api.make_up(operation, False, 4, number + rounds)
                requests += [self.nearly_valid(self.at_known(rng.choice(valid), rng), rng) for _ in range(24) if valid]
                for request in requests:
                    self.try_one(request)
                    if len(self.wrong) >= most:
                        return
                if rounds > 0 and time.monotonic() > end:
                    return
            rounds += 1
