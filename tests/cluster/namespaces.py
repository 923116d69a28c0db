"""Nodes in network namespaces of their own, with three networks: for clients, to NATS, and among nodes. Needs root and `ip`."""

import os
import shutil
import subprocess

from nodes import LocalCluster

NETWORKS = ("clients", "nats", "nodes")


def available():
    """Why not, or nothing."""
    if os.geteuid() or not shutil.which("ip"):
        return "needs root and the command `ip`"
    name = f"cxprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    # To be entered, one needs a root that is a mount of its own, which a chroot may not have.
    entered = made and subprocess.run(["ip", "-n", name, "link"], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return "" if entered else "network namespaces cannot be made and entered here"


def run(text):
    done = subprocess.run(text.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}: {done.stderr}"


class NamespaceCluster(LocalCluster):
    """A partition takes a node off a bridge: packets are lost, and nobody is told. Addresses are 10.T.NETWORK.NODE, T of this
    process; those of the machine end in 1."""

    @property
    def tag(self):
        return self.state["tag"]

    @classmethod
    def create(cls, folder, nodes, **more):
        cluster = super().create(folder, nodes, **more)
        cluster.state["tag"] = 100 + os.getpid() % 100
        for number, network in enumerate(NETWORKS):
            run(f"ip link add cx{cluster.tag}{network} type bridge")
            run(f"ip address add 10.{cluster.tag}.{number}.1/24 dev cx{cluster.tag}{network}")
            run(f"ip link set cx{cluster.tag}{network} up")
        for server in cluster.servers.values():
            server["host"] = f"10.{cluster.tag}.1.1"
        for name in cluster.nodes:
            cluster.enter(name)
        cluster.save()
        return cluster

    def address(self, name, network):
        return f"10.{self.tag}.{NETWORKS.index(network)}.{10 + int(name[1:])}"

    def space(self, name):
        return f"cx{self.tag}{name}"

    def port_of(self, name, network):
        """The end of a node's cable at the bridge."""
        return f"cx{self.tag}{name}{network[:3]}"

    def new_node(self):
        name = super().new_node()
        if "tag" in self.state:
            self.enter(name)
        return name

    def enter(self, name):
        self.nodes[name]["host"] = self.address(name, "clients")
        run(f"ip netns add {self.space(name)}")
        run(f"ip -n {self.space(name)} link set lo up")
        for network in NETWORKS:
            port = self.port_of(name, network)
            run(f"ip link add {port} type veth peer name {network} netns {self.space(name)}")
            run(f"ip link set {port} master cx{self.tag}{network} up")
            run(f"ip -n {self.space(name)} address add {self.address(name, network)}/24 dev {network}")
            run(f"ip -n {self.space(name)} link set {network} up")

    def leave(self, name):
        run(f"ip netns del {self.space(name)}")

    def launch(self, name, command):
        return super().launch(name, ["ip", "netns", "exec", self.space(name), *command])

    def addresses(self, name):
        urls = ",".join(f"nats://{server['host']}:{server['port']}" for server in self.servers.values())
        return ["--nats-urls", urls, "--cluster-host", self.address(name, "nodes"), "--cluster-port", self.nodes[name]["peers"]]

    def start_links(self):
        pass

    def tell_links(self):
        pass

    def set_rules(self, rules):
        for name in self.nodes:
            for network in ("nats", "nodes"):
                mine = [rule["how"] for rule in rules if (rule["node"], rule["from"]) == (name, network)]
                port = self.port_of(name, network)
                bridge = "nomaster" if {"silent", "reset"} & set(mine) else f"master cx{self.tag}{network}"
                run(f"ip link set dev {port} {bridge}")
                subprocess.run(["tc", "qdisc", "del", "dev", port, "root"], capture_output=True, check=False)
                if "slow" in mine:
                    subprocess.run(f"tc qdisc add dev {port} root tbf rate 4mbit burst 32kb latency 400ms".split(),
                                   capture_output=True, check=False)
        self.state["rules"] = rules
        self.save()

    def remove(self, name):
        super().remove(name)
        self.leave(name)

    def down(self, purge=False):
        super().down(purge)
        for name in self.nodes:
            self.leave(name)
        for network in NETWORKS:
            run(f"ip link del cx{self.tag}{network}")
