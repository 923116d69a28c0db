"""N nodes and their NATS servers on this machine, below one folder."""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from . import processes
from .links import set_links

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGND = Path(os.environ.get("CAMPAIGND", ROOT / "build/release/tools/campaignd/campaignd"))
NATS_SERVER = os.environ.get("CX_NATS_SERVER") or shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin")
NAME = "cx"  # of the cluster, in NATS
READY = 90  # seconds: an upper bound for what takes a few, also on a busy machine
STOPPING = 30  # longest that a process may take to end in good order
WHOM = {"nats": ["nats"], "nodes": ["nodes"], "all": ["nats", "nodes"]}


class Failure(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


class Cluster:
    """What stands in `folder`/cluster.json. `environment`: variables for the nodes that are started by this object."""

    def __init__(self, folder, environment=None):
        self.folder = Path(folder).resolve()
        self.file = self.folder / "cluster.json"
        self.environment = environment or {}
        self.nats_server = NATS_SERVER  # the program
        try:
            self.state = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Failure(f"there is no cluster in {self.folder}; start one: tools/cluster up 3") from None
        except ValueError as error:
            raise Failure(f"{self.file} is damaged ({error}); delete {self.folder}, after ending what runs there") from None

    @classmethod
    def create(cls, folder, nodes, servers=1, http_port=8080, flags=(), environment=None):
        """A new cluster, of which nothing runs yet. `http_port`: of the first node; 0 for free ones. `flags`: for campaignd."""
        folder = Path(folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "cluster.json").exists():
            raise Failure(f"there is a cluster in {folder} already: `tools/cluster down --purge` forgets it, or use --dir")
        write(folder / "cluster.json", {"flags": list(flags), "http_port": http_port, "servers": {}, "nodes": {},
                                        "links": None, "rules": [], "ports": []})
        cluster = cls(folder, environment)
        for number in range(1, servers + 1):
            cluster.state["servers"][f"nats-{number}"] = {
                "host": "127.0.0.1", "port": cluster.port(), "peers": cluster.port(), "monitor": cluster.port(),
                "process": None}
        for _ in range(nodes):
            cluster.new_node()
        cluster.save()
        return cluster

    # --- what there is ---

    @property
    def name(self):
        return NAME

    @property
    def nodes(self):
        return self.state["nodes"]

    @property
    def servers(self):
        return self.state["servers"]

    def one(self, name):
        """A node or a server, by name."""
        found = self.nodes.get(name) or self.servers.get(name)
        if not found:
            raise Failure(f"there is no '{name}'; there are {', '.join([*self.nodes, *self.servers])}")
        return found

    def node(self, name):
        if name not in self.nodes:
            raise Failure(f"there is no node '{name}'; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def state_of(self, name):
        """"running", "paused" or "gone"."""
        return processes.state(self.one(name)["process"])

    def running(self):
        return [name for name in self.nodes if self.state_of(name) == "running"]

    def url(self, name):
        return f"http://{self.node(name)['host']}:{self.node(name)['http']}"

    def key_file(self):
        """Where the administrator's key is: with the node that was there first."""
        found = [self.folder / name / "data/admin.key" for name in self.nodes]
        return next((file for file in found if file.exists()), found[0])

    def log(self, name):
        self.one(name)
        return self.folder / name / "log"

    def last_words(self, name):
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()[-15:]
        except FileNotFoundError:
            lines = []
        return f"its last words, in {self.log(name)}:\n" + ("\n".join("  " + line for line in lines) or "  (none)")

    def ask(self, name, path, seconds=5, key=True):
        """What a node answers to a GET, or None: it does not answer, or not with 200."""
        request = urllib.request.Request(self.url(name) + path)
        try:
            if key:
                request.add_header("Authorization", "Bearer " + self.key_file().read_text().strip())
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                return reply.read()
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def is_ready(self, name):
        return self.ask(name, "/readyz", 2, key=False) is not None

    def members(self, name=None):
        """What ListNodes says, asked of `name` or of any node that answers; None without an answer."""
        for one in [name] if name else self.running():
            if (answer := self.ask(one, "/v1/nodes")) is not None:
                return json.loads(answer)
        return None

    # --- making ---

    def port(self):
        port = processes.free_port(self.state["ports"])
        self.state["ports"].append(port)
        return port

    def new_node(self):
        number = 1 + max([int(name[1:]) for name in self.nodes], default=0)
        first = self.state["http_port"]
        self.nodes[f"n{number}"] = {
            "host": "127.0.0.1", "http": first + number - 1 if first else self.port(), "grpc": self.port(),
            "peers": self.port(), "announce": self.port(), "nats": {name: self.port() for name in self.servers},
            "process": None}
        return f"n{number}"

    def save(self):
        write(self.file, self.state)

    @contextmanager
    def locked(self):
        """One command at a time; sees what those before it wrote."""
        with open(self.folder / "lock", "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.state = json.loads(self.file.read_text(encoding="utf-8"))
            try:
                yield
            finally:
                if self.file.exists():
                    self.save()

    # --- starting ---

    def up(self):
        """Starts whatever does not run, and waits until all of it is ready."""
        for name in self.servers:
            self.start_server(name)
        for name in self.servers:
            self.wait_server(name)
        self.start_links()
        first, *others = self.nodes
        self.start_node(first)
        self.wait_ready(first)  # it makes the administrator's key
        for name in others:
            self.start_node(name)
        for name in others:
            self.wait_ready(name)

    def start(self, name):
        """Starts one node or server again, and waits until it is ready."""
        if name in self.servers:
            self.start_server(name)
            self.wait_server(name)
        else:
            self.start_node(name)
            self.wait_ready(name)

    def check_port(self, name, *ports):
        for port in ports:
            if not processes.is_free(port):
                raise Failure(f"{name} is to listen on 127.0.0.1:{port}, where something listens already; stop that, or choose "
                              "others: tools/cluster down --purge, then tools/cluster up N --http-port 8090")

    def start_server(self, name):
        server = self.one(name)
        if self.state_of(name) != "gone":
            return
        if not self.nats_server:
            raise Failure("nats-server is not installed: apt-get install nats-server")
        self.check_port(name, server["port"], server["monitor"])
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "nats.conf").write_text(server_configuration(name, self.servers, folder), encoding="utf-8")
        server["process"] = processes.start([self.nats_server, "-c", folder / "nats.conf"], self.log(name))
        self.save()

    def wait_server(self, name):
        """Until the server, and in a cluster of servers a majority, takes what is to be stored."""
        self.wait(name, "take what is to be stored", lambda: self.server_is_ready(name))

    def server_is_ready(self, name):
        told = self.monitor(name, "/jsz")
        return told is not None and (len(self.servers) == 1 or bool(told.get("meta_cluster", {}).get("leader")))

    def monitor(self, name, path):
        """What a server tells of itself; None without an answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.one(name)['monitor']}{path}", timeout=2) as reply:
                return json.load(reply)
        except (OSError, ValueError):
            return None

    def start_node(self, name):
        node = self.node(name)
        if self.state_of(name) != "gone":
            return
        self.check_port(name, node["http"], node["grpc"])
        node["process"] = self.launch(name, self.command(name))
        self.save()
        self.tell_links()

    def launch(self, name, command):
        return processes.start(command, self.log(name), self.environment)

    def command(self, name):
        """How campaignd is started as this node."""
        node = self.node(name)
        return [CAMPAIGND, *last_wins([
            "--node", name, "--data", self.folder / name / "data", "--http-host", node["host"], "--http-port", node["http"],
            "--grpc-host", node["host"], "--grpc-port", node["grpc"], "--nats-replicas", len(self.servers),
            "--cluster-enabled", "true", "--cluster-name", NAME, *self.addresses(name), *self.state["flags"]])]

    def addresses(self, name):
        """The flags for what lies between this node and the others: here, our links."""
        node = self.node(name)
        return ["--nats-urls", ",".join(f"nats://127.0.0.1:{port}" for port in node["nats"].values()),
                "--cluster-host", "127.0.0.1", "--cluster-port", node["peers"],
                "--cluster-announce", f"127.0.0.1:{node['announce']}"]

    def wait_ready(self, name):
        self.wait(name, "become ready", lambda: self.is_ready(name))

    def wait(self, name, what, condition):
        end = time.monotonic() + READY
        while not condition():
            if self.state_of(name) == "gone":
                raise Failure(f"{name} ended before it could {what}; {self.last_words(name)}")
            if time.monotonic() > end:
                raise Failure(f"{name} did not {what} within {READY} s; {self.last_words(name)}")
            time.sleep(0.05)

    def wait_settled(self, seconds=READY):
        """Until every shard has an owner and none is on its way, for a while: they go some at a time. Whether that came
        about in time."""
        end = time.monotonic() + seconds
        since, version = None, None
        while time.monotonic() < end:
            told = self.members()
            rests = told and not told.get("unowned") and len(told["nodes"]) == len(self.running()) and not any(
                node.get("leaving") or node.get("coming") for node in told["nodes"])
            if not rests or told.get("table_version") != version:
                since, version = time.monotonic(), told.get("table_version") if told else None
            elif time.monotonic() - since > 1:
                return True
            time.sleep(0.05)
        return False

    # --- the links between them ---

    def start_links(self):
        if processes.state(self.state["links"]) == "gone":
            script = Path(__file__).with_name("links.py")
            self.state["links"] = processes.start([sys.executable, "-B", script, self.folder], self.folder / "links.log")
            self.save()
        end = time.monotonic() + READY
        while True:
            try:
                return self.tell_links()
            except OSError as error:
                if processes.state(self.state["links"]) == "gone" or time.monotonic() > end:
                    raise Failure(f"the links between the nodes cannot be made: {error}; see {self.folder / 'links.log'}") from None
                time.sleep(0.05)

    def tell_links(self):
        links = []
        for name, node in self.nodes.items():
            links.append({"port": node["announce"], "to": f"127.0.0.1:{node['peers']}", "node": name, "from": "nodes"})
            for server, port in node["nats"].items():
                there = self.servers[server]
                links.append({"port": port, "to": f"{there['host']}:{there['port']}", "node": name, "from": "nats"})
        pids = {name: node["process"]["pid"] for name, node in self.nodes.items() if self.state_of(name) != "gone"}
        set_links(self.folder, links, self.state["rules"], pids)

    def rule(self, name, whom, how, milliseconds=0):
        """What becomes of a node's connections from now on; links.py has the words. `whom`: "nats", "nodes" or "all"."""
        self.node(name)
        kinds = WHOM[whom]
        others = [rule for rule in self.state["rules"] if rule["node"] != name or rule["from"] not in kinds]
        self.set_rules(others + [{"node": name, "from": kind, "how": how, "ms": milliseconds} for kind in kinds])

    def heal(self, name=None):
        """Takes back the rules of a node, or all."""
        self.set_rules([rule for rule in self.state["rules"] if name not in (None, rule["node"])])

    def set_rules(self, rules):
        before, self.state["rules"] = self.state["rules"], rules
        try:
            self.tell_links()
            self.save()
        except OSError as error:
            self.state["rules"] = before
            raise Failure(f"the links between the nodes do not answer ({error}); is the cluster up? tools/cluster status") from None

    # --- harming and ending ---

    def signal(self, name, number):
        process = self.one(name)["process"]
        if processes.state(process) == "gone":
            raise Failure(f"{name} does not run; tools/cluster start {name}")
        processes.send(process, number)
        if number == signal.SIGKILL:
            processes.wait_gone([process], STOPPING)

    def kill(self, name):
        self.signal(name, signal.SIGKILL)

    def pause(self, name):
        self.signal(name, signal.SIGSTOP)

    def resume(self, name):
        self.signal(name, signal.SIGCONT)

    def stop(self, name):
        """In good order: a node hands its shards over first."""
        if processes.stop([self.one(name)["process"]], STOPPING):
            raise Failure(f"{name} did not end within {STOPPING} s and was killed; {self.last_words(name)}")

    def remove(self, name):
        """Stops a node for good."""
        self.node(name)
        self.stop(name)
        self.heal(name)
        del self.nodes[name]
        self.save()
        self.tell_links()

    def down(self, purge=False):
        """Ends all that runs; `purge` deletes the folder as well."""
        for group in (self.nodes, self.servers, {"links": {"process": self.state["links"]}}):
            processes.stop([one["process"] for one in group.values() if one["process"]], STOPPING)
        if purge:
            shutil.rmtree(self.folder)
        else:
            self.state["rules"] = []
            self.save()


def last_wins(words):
    """`--flag value` and `--flag=value`, of which campaignd takes each once."""
    flags, words = {}, iter(map(str, words))
    for word in words:
        name, equals, value = word.partition("=")
        try:
            flags[name] = value if equals else next(words)
        except StopIteration:
            raise Failure(f"the flag {name} has no value") from None
    return [word for flag in flags.items() for word in flag]


def write(file, state):
    """Whole or not at all."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(state, indent=1), encoding="utf-8")
    os.replace(new, file)


def server_configuration(name, servers, folder):
    """Clients are told of no other server: they would go there past the links."""
    server = servers[name]
    text = f"""server_name: {name}
listen: "{server['host']}:{server['port']}"
http: "127.0.0.1:{server['monitor']}"
max_payload: 8MB
jetstream {{ store_dir: {json.dumps(str(folder / 'data'))}, max_memory_store: 64MB, max_file_store: 20GB }}
"""
    if len(servers) > 1:
        routes = ", ".join(f"\"nats://127.0.0.1:{one['peers']}\"" for one in servers.values())
        text += f"""cluster {{ name: local, listen: "127.0.0.1:{server['peers']}", routes: [{routes}], no_advertise: true }}
"""
    return text
