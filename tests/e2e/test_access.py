"""Who may do what, tried on every method that the contract has: the methods are those of /openapi.json."""

import base64
import hashlib
import hmac
import json
import time

import pytest

TENANTS = ("acme", "globex")


def segment(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def token(secret, **claims):
    """A signed JWT (HS256)."""
    head = segment(b'{"alg":"HS256","typ":"JWT"}') + "." + segment(json.dumps(claims).encode())
    return head + "." + segment(hmac.new(secret, head.encode(), hashlib.sha256).digest())


def operations(node):
    """(verb, path, operation) of every endpoint of the contract."""
    document = node.get("/openapi.json").json()
    return [(verb.upper(), path, operation) for path, item in sorted(document["paths"].items())
            for verb, operation in item.items() if verb in ("get", "post", "put", "patch", "delete")]


def fill(path, name="there"):
    """The path of one thing."""
    while "{" in path:
        path = path[:path.index("{")] + name + path[path.index("}") + 1:]
    return path


class World:
    """Two tenants on one node, and one credential of each sort."""

    def __init__(self, start, tmp_path):
        self.secret = b"0123456789abcdef0123456789abcdef"
        (tmp_path / "secret").write_bytes(self.secret)
        config = tmp_path / "node.yaml"
        config.write_text(f"""
demo:
  anonymous_bids: false
auth:
  issuers:
    - issuer: https://sso.example.com
      audience: campaigns
      hs256_secret_file: {tmp_path / "secret"}
""")
        self.node = start("--config", str(config))
        self.operator = self.node.key
        self.admins = {}
        for tenant in TENANTS:
            reply = self.post("/v1/tenants", self.operator, {"name": tenant, "display_name": tenant})
            self.admins[tenant] = reply["admin_key"]["secret"]
        now = int(time.time())
        self.claims = {"iss": "https://sso.example.com", "aud": "campaigns", "sub": "sam", "tenant_id": "acme",
                       "roles": ["admin"], "iat": now - 7200}
        self.token = token(self.secret, **self.claims, exp=now + 3600)
        self.expired = token(self.secret, **self.claims, exp=now - 3600)
        self.forged = token(b"x" * 32, **self.claims, exp=now + 3600)
        self.powerless = self.make_key("acme", [])
        revoked = self.post("/v1/api-keys", self.admins["acme"], {"name": "old", "roles": ["admin"]})
        self.revoked = revoked["secret"]
        self.post(f"/v1/api-keys/{revoked['api_key']['key_id']}:revoke", self.admins["acme"], {})

    def post(self, path, key, body):
        reply = self.node.call("POST", path, body, key=key)
        assert reply.status == 200, reply
        return reply.json()

    def make_key(self, tenant, roles):
        return self.post("/v1/api-keys", self.admins[tenant], {"name": "robot", "roles": roles})["secret"]

    def ask(self, verb, path, authorization):
        """A request with an empty body, which no method of interest needs to look at before it refuses."""
        with self.node.client() as client:
            client.key = None
            fields = {"authorization": authorization} if authorization else {}
            return client.call(verb, path, None if verb in ("GET", "DELETE") else {}, **fields)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from node import Node
    folder = tmp_path_factory.mktemp("world")
    nodes = []

    def start(*flags):
        nodes.append(Node(folder, *flags))
        return nodes[0]

    yield World(start, folder)
    nodes[0].stop()


def same_words(reply):
    """A problem without what differs from request to request."""
    problem = reply.problem()
    problem.pop("instance", None)
    return problem


def test_every_method_refuses_whoever_shows_no_good_credential(world):
    checked = 0
    for verb, path, operation in operations(world.node):
        if operation["x-permission"] == "public":
            continue
        refusals = {}
        for name, credential in {
                "none": None, "expired": world.expired, "forged": world.forged, "revoked": world.revoked,
                "made up": "cx_AAAAAAAA_" + "A" * 40, "rubbish": "rubbish"}.items():
            reply = world.ask(verb, fill(path), credential and f"Bearer {credential}")
            assert reply.status == 401, (verb, path, name, reply)
            assert reply.headers["www-authenticate"].startswith("Bearer"), reply
            refusals[name] = same_words(reply)
            # Whether there is such a thing makes no difference.
            other = world.ask(verb, fill(path, "elsewhere"), credential and f"Bearer {credential}")
            assert same_words(other) == refusals[name], (verb, path, name)
        # What was wrong with a credential is its owner's to find out.
        assert refusals["forged"] == refusals["made up"] == refusals["rubbish"] == refusals["revoked"], path
        checked += 1
    assert checked > 40


def test_every_method_refuses_who_lacks_its_permission(world):
    for verb, path, operation in operations(world.node):
        permission = operation["x-permission"]
        if permission in ("public", "authenticated"):
            continue
        reply = world.ask(verb, fill(path), f"Bearer {world.powerless}")
        assert reply.status == 403, (verb, path, reply)
        problem = same_words(reply)
        assert permission in problem["detail"]
        assert same_words(world.ask(verb, fill(path, "elsewhere"), f"Bearer {world.powerless}")) == problem


def test_only_the_operating_tenant_has_system_permissions(world):
    for verb, path, operation in operations(world.node):
        if operation["x-permission"].startswith("system."):
            reply = world.ask(verb, fill(path), f"Bearer {world.admins['acme']}")
            assert reply.status == 403, (verb, path, reply)


def test_each_role_opens_exactly_what_its_permissions_say(world):
    node, admin = world.node, world.admins["acme"]
    roles = node.call("GET", "/v1/roles?page_size=1000", key=admin).json()["roles"]
    assert {"admin", "manager", "director", "compliance", "bidder", "viewer"} <= {role["name"] for role in roles}
    for role in roles:
        held = {one for one in role["permissions"] if not one.startswith("system.")}
        # The tenant's administrator cannot give away what only operators have.
        if not held:
            continue
        key = world.make_key("acme", [role["name"]])
        for verb, path, operation in operations(node):
            permission = operation["x-permission"]
            if permission in ("public", "authenticated") or (verb != "GET" and permission in held):
                continue  # those would change something
            status = world.ask(verb, fill(path), f"Bearer {key}").status
            assert (status != 403) == (permission in held), (role["name"], verb, path, status)


@pytest.fixture(scope="module")
def things(world):
    """One of everything in tenant globex, by the name of the path's variable."""
    admin, node = world.admins["globex"], world.node
    put = {"name": "r", "role": "manager", "min_approvals": 1}
    assert node.call("PUT", "/v1/approval-rules/secret-rule", put, key=admin).status == 200
    campaign = {"campaign_id": "secret-campaign", "campaign": {"name": "Secret", "channels": ["EMAIL"]}}
    assert node.call("POST", "/v1/campaigns", campaign, key=admin).status == 200
    user = {"name": "secret-user", "roles": ["viewer"], "password": "correct horse battery"}
    assert node.call("POST", "/v1/users", user, key=admin).status == 200
    role = {"permissions": ["campaign.read"]}
    assert node.call("PUT", "/v1/roles/secret-role", role, key=admin).status == 200
    key = node.call("POST", "/v1/api-keys", {"name": "secret-key", "roles": ["viewer"]}, key=admin).json()
    return {"rule_id": "secret-rule", "campaign_id": "secret-campaign", "key_id": key["api_key"]["key_id"],
            "users": "secret-user", "roles": "secret-role"}


def test_no_method_reaches_into_another_tenant(world, things):
    """Every method with a path to something, called by another tenant's administrator, who may do everything there."""
    node, stranger = world.node, world.admins["acme"]

    def snapshot():
        admin, seen = world.admins["globex"], []
        for path in ("/v1/campaigns/secret-campaign", "/v1/approval-rules/secret-rule", "/v1/users/secret-user",
                     "/v1/roles/secret-role", f"/v1/api-keys/{things['key_id']}"):
            reply = node.call("GET", path, key=admin)
            assert reply.status == 200, (path, reply)
            seen.append(reply.json())
        return seen

    def path_to(path):
        for noun, name in things.items():
            path = path.replace("{" + noun + "}", name)
        return path.replace("/users/{name}", "/users/secret-user").replace("/roles/{name}", "/roles/secret-role")

    before, tried = snapshot(), 0
    for verb, path, operation in operations(node):
        if operation["x-permission"].startswith("system.") or operation["x-permission"] == "public":
            continue
        target = path_to(path)
        if target == path or "{" in target:
            continue
        missing = world.ask(verb, fill(path, "no-such-thing"), f"Bearer {stranger}")
        reply = world.ask(verb, target, f"Bearer {stranger}")
        # As if there were no such thing: it is no secret that this tenant has none.
        assert reply.status == missing.status, (verb, path, reply, missing)
        if reply.status >= 400:
            assert same_words(reply)["type"] == same_words(missing)["type"], (verb, path)
        assert b"Secret" not in reply.body and b"globex" not in reply.body, (verb, path, reply)
        tried += 1
    assert tried > 20
    assert snapshot() == before
    # Lists show the caller's own only; and no field or parameter names another tenant.
    for verb, path, operation in operations(node):
        if verb == "GET" and "{" not in path and operation["x-permission"] not in ("public",) \
                and not operation["x-permission"].startswith("system."):
            if path.startswith("/v1/audit"):  # where it is told that the stranger tried
                continue
            for query in ("", "?tenant=globex"):
                reply = world.ask(verb, path + query, f"Bearer {stranger}")
                assert b"secret-" not in reply.body, (path, reply)


def test_a_token_of_an_issuer_in_the_configuration_comes_in(world):
    me = world.ask("GET", "/v1/me", f"Bearer {world.token}").json()
    assert me["tenant"] == "acme" and me["credential"] == "external-token" and "campaign.approve" in me["permissions"]
    assert not any(one.startswith("system.") for one in me["permissions"])


def test_a_user_signs_in_and_out(world):
    node, admin = world.node, world.admins["acme"]
    user = {"name": "ana", "roles": ["manager"], "password": "correct horse battery"}
    assert node.call("POST", "/v1/users", user, key=admin).status == 200
    login = {"tenant": "acme", "user": "ana", "password": "correct horse battery"}
    tokens = node.call("POST", "/v1/login", login).json()
    access = f"Bearer {tokens['access_token']}"
    assert world.ask("GET", "/v1/me", access).json()["actor"] == "user/ana"
    fresh = node.call("POST", "/v1/token:refresh", {"refresh_token": tokens["refresh_token"]}).json()
    assert node.call("POST", "/v1/token:refresh", {"refresh_token": tokens["refresh_token"]}).status == 401
    # Somebody has a copy of the first token: the session is over for both.
    assert node.call("POST", "/v1/token:refresh", {"refresh_token": fresh["refresh_token"]}).status == 401
    again = node.call("POST", "/v1/login", login).json()
    access = f"Bearer {again['access_token']}"
    assert world.ask("POST", "/v1/logout", access).status == 200
    assert world.ask("GET", "/v1/me", access).status == 401
    wrong = [node.call("POST", "/v1/login", {**login, "password": "x" * 20}) for _ in range(6)]
    unknown = node.call("POST", "/v1/login", {**login, "user": "nobody"})
    assert {same_words(reply)["detail"] for reply in wrong} == {same_words(unknown)["detail"]}
    assert node.call("POST", "/v1/login", login).status == 401  # locked
    assert node.call("POST", "/v1/users/ana:unlock", {}, key=admin).status == 200
    assert node.call("POST", "/v1/login", login).status == 200


def test_a_limited_key_is_told_when_to_come_back(world):
    body = {"name": "slow", "roles": ["viewer"], "rate": {"requests": 3, "window_seconds": 60}}
    key = world.post("/v1/api-keys", world.admins["acme"], body)["secret"]
    replies = [world.ask("GET", "/v1/me", f"Bearer {key}") for _ in range(5)]
    assert [reply.status for reply in replies][:3] == [200, 200, 200]
    assert replies[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert replies[0].headers["ratelimit"].startswith('"default";r=2;t=')
    assert replies[4].status == 429 and 1 <= int(replies[4].headers["retry-after"]) <= 60
    assert replies[4].problem()["type"] == "/problems/rate-limited"
