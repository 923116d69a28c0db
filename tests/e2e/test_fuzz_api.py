"""Every endpoint of the contract, fuzzed from the node's own OpenAPI document; and the fuzzer itself, on a server with faults.

60 seconds, ten minutes with CX_LONG=1. CX_FUZZ_SEED=n repeats a run.
"""

import json
import os
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fuzz_api import Api, Fuzzer, Request
from node import Node, wait_for
from openrtb import bid_request

SECONDS = 600 if os.environ.get("CX_LONG") else 60
# The suite asks the same each time; the long run looks further.
SEED = int(os.environ.get("CX_FUZZ_SEED", random.randrange(10**6) if "CX_LONG" in os.environ else 1))

# Methods of the contract that a node of this build does not serve.
NOT_SERVED = set()


def test_fuzz(tmp_path):
    print(f"CX_FUZZ_SEED={SEED}")
    with Node(tmp_path, "--auth-key-requests", "0") as node:
        credential = (tmp_path / "data/admin.key").read_text().strip()
        api = Api(node.get("/openapi.json").json())
        fuzzer = Fuzzer(api, node.port, credential, {})
        for operation in ("AuditLog.List", "Campaigns.List"):  # projections take a moment
            verb, path, _ = api.operations[operation]
            wait_for(operation, lambda: fuzzer.send(Request(operation, verb, path, {}, {}))[0] == 200)
        fuzzer.known = make_known(fuzzer)
        fuzzer.run(list(api.operations), SECONDS, SEED)
        assert not fuzzer.wrong, "\n\n".join([f"CX_FUZZ_SEED={SEED}", *fuzzer.wrong])
        assert node.get("/readyz").status == 200

        print(sum(sum(counts.values()) for counts in fuzzer.statuses.values()), "requests")
        for operation, counts in fuzzer.statuses.items():
            print(f"{operation:40}", dict(sorted(counts.items())))
        assert {name for name, counts in fuzzer.statuses.items() if 503 in counts} <= NOT_SERVED
        # Some requests got through: the fuzzer does not only knock at the door.
        assert sum(1 for counts in fuzzer.statuses.values() if 200 in counts) > len(api.operations) // 3


def make_known(fuzzer):
    """Things for requests to be about."""
    def make(operation, path, body):
        verb, template, _ = fuzzer.api.operations[operation]
        status, _, data = fuzzer.send(Request(operation, verb, template, path, {}, {}, body))
        assert status == 200, f"{operation}: {status} {data!r}"
        return json.loads(data)

    campaign = {"name": "Spring", "channels": ["CHANNEL_EMAIL"], "budget": {"micros": "5000000", "currency": "USD"}}
    campaigns = [f"spring-{i}" for i in range(5)]
    for campaign_id in campaigns:
        make("Campaigns.Create", {}, {"campaign_id": campaign_id, "campaign": campaign})
    make("ApprovalRules.Put", {"rule_id": "everybody"}, {"name": "Everybody", "role": "manager", "min_approvals": 1})
    make("Users.Create", {}, {"name": "ana", "password": "correct horse battery"})
    make("Roles.Put", {"name": "ana"}, {"permissions": ["campaign.read"]})
    make("Tenants.Create", {}, {"name": "ana"})
    key = make("ApiKeys.Create", {}, {"name": "fuzz"})["api_key"]["key_id"]
    return {"campaign_id": campaigns, "rule_id": ["everybody"], "name": ["ana"], "key_id": [key], "sequence": ["1", "2"],
            "address": ["campaign/demo/spring-0", "audit/demo/log"], "Bidding.Bid": [bid_request()]}


# The fuzzer itself.

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Faulty", "version": "1"},
    "paths": {
        "/v1/things/{thing_id}": {
            "put": {
                "operationId": "Things.Put",
                "x-permission": "authenticated",
                "parameters": [{"name": "thing_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
                               {"name": "size", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 9}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                              "400": {"description": ""}, "500": {"description": ""}},
            },
        },
    },
    "components": {"schemas": {"Thing": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 0}}, "required": ["count"]}}},
}
PROBLEM = {"type": "/problems/x", "title": "Bad Request", "status": 400, "detail": "No.", "instance": "r"}


class Faulty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fault = ""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            valid = isinstance(json.loads(body)["count"], int)
        except Exception:
            valid = False
        status, content_type, reply = (200, "application/json", {"count": 1}) if valid else (400, "application/problem+json", PROBLEM)
        if valid:
            status, content_type, reply = {
                "status": (418, "application/problem+json", {**PROBLEM, "status": 418}),
                "extra": (200, "application/json", {"count": 1, "more": 1}),
                "schema": (200, "application/json", {"count": -1}),
                "type": (200, "text/plain", {"count": 1}),
                "json": (200, "application/json", None),
            }.get(self.fault, (status, content_type, reply))
        else:
            status, content_type, reply = {
                "crash": (500, "application/problem+json", {**PROBLEM, "status": 500}),
                "problem": (400, "application/json", PROBLEM),
                "title": (400, "application/problem+json", {**PROBLEM, "title": ""}),
                "other": (400, "application/problem+json", {**PROBLEM, "status": 404}),
                "instance": (400, "application/problem+json", {**PROBLEM, "instance": "s"}),
            }.get(self.fault, (status, content_type, reply))
        if self.fault == "close" and not valid:
            self.close_connection = True
            return
        if self.fault == "hang" and not valid:
            time.sleep(3)
        data = json.dumps(reply).encode() if reply is not None else b"{"
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.send_header("x-request-id", "r")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("fault, complaint", [
    ("", ""), ("crash", "failure of the node"), ("status", "does not tell of this status"), ("extra", "more"), ("schema", "minimum"),
    ("type", "content-type"), ("json", "JSONDecodeError"), ("problem", "no problem document"), ("title", "title or detail"),
    ("other", "says that its status"), ("instance", "does not name the request"), ("close", "Remote"), ("hang", "TimeoutError"),
])
def test_faults_are_found(fault, complaint, monkeypatch):
    monkeypatch.setattr("fuzz_api.REPLY_SECONDS", 1)
    handler = type("Handler", (Faulty,), {"fault": fault})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fuzzer = Fuzzer(Api(DOCUMENT), server.server_port, "x", {"thing_id": ["a"]})
        fuzzer.run(["Things.Put"], 0, 1, most=1)
        server.shutdown()
    if fault:
        assert fuzzer.wrong and all(complaint in wrong for wrong in fuzzer.wrong[:1]), fuzzer.wrong
    else:
        assert not fuzzer.wrong, fuzzer.wrong[0]
        assert {200, 400} <= set(fuzzer.statuses["Things.Put"])
