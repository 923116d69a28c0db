"""The process that carries the connections between nodes, and from nodes to NATS, and makes them fail on demand.

A link listens on a port of 127.0.0.1 and passes on to another. A rule {"node", "from", "how", "ms"} says what becomes of the
connections of a node, from "nats" or from other "nodes":
- "silent": nothing passes either way and nothing is closed, as when packets are lost. What is sent meanwhile arrives when the
  rule is gone, though its sender may be gone, too.
- "reset": connections are reset, and new ones as soon as they come.
- "slow": what passes is `ms` late.

Listens on `links.sock` of the folder that it is given: a request is a line of JSON, {"links": [...], "rules": [...],
"pids": {node: process id}}, each replacing what there was; the answer is the line {}. A link is {"port", "to", "node", "from"};
links from "nodes" lead to the node that they name, and who comes in by one is found out by process id.
"""

import asyncio
import json
import os
import re
import socket
import struct
import sys

SOCKET = "links.sock"


def source_of(port, to_port, pids):
    """The name, by process id, of who has the connection from `port` to `to_port` of 127.0.0.1; None if nobody of these."""
    ends = f"0100007F:{port:04X} 0100007F:{to_port:04X} "
    with open("/proc/net/tcp", encoding="ascii") as file:
        inode = next((line.split()[9] for line in file if ends in line), None)
    for name, pid in pids.items() if inode else ():
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(entry.path) == f"socket:[{inode}]":
                    return name
        except OSError:
            continue
    return None


class Connection:
    """One connection that is passed on."""

    def __init__(self, links, link, writer):
        self.links, self.link = links, link
        self.writers = [writer]
        self.source = link["node"] if link["from"] == "nats" else None
        self.peer = writer.get_extra_info("peername")[1]

    def rule(self):
        """The rule in force for it, the harshest first."""
        link = self.link
        if link["from"] == "nodes" and self.source is None and self.links.rules:
            self.source = source_of(self.peer, link["port"], self.links.pids)
        found = [rule for rule in self.links.rules
                 if rule["from"] == link["from"] and rule["node"] in (link["node"], self.source)]
        return min(found, key=lambda rule: ("reset", "silent", "slow").index(rule["how"]), default=None)

    def reset(self):
        for writer in self.writers:
            raw = writer.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def passable(self):
        """Waits while nothing passes; returns how late what passes is to be, in seconds."""
        while rule := self.rule():
            if rule["how"] == "slow":
                return rule["ms"] / 1000
            if rule["how"] == "reset":
                self.reset()
                raise ConnectionResetError
            await self.links.changed()
        return 0

    async def pump(self, reader, writer):
        while data := await reader.read(1 << 16):
            if delay := await self.passable():
                await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()
        await self.passable()
        if writer.can_write_eof():
            writer.write_eof()


class Links:
    def __init__(self):
        self.rules, self.pids = [], {}
        self.servers = {}  # by port
        self.connections = set()
        self.change = asyncio.Event()

    async def changed(self):
        await self.change.wait()

    async def serve(self, link, reader, writer):
        connection = Connection(self, link, writer)
        self.connections.add(connection)
        try:
            await connection.passable()
            host, port = link["to"].rsplit(":", 1)
            there, onward = await asyncio.open_connection(host, int(port))
            connection.writers.append(onward)
            for one in connection.writers:
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pumps = {asyncio.create_task(pump) for pump in (connection.pump(reader, onward), connection.pump(there, writer))}
            _, rest = await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
            for pump in rest:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # nobody listens there, or either side is gone: so is the other, then
        finally:
            self.connections.discard(connection)
            for one in connection.writers:
                one.transport.abort()

    async def listen(self, links):
        for port in self.servers.keys() - {link["port"] for link in links}:
            self.servers.pop(port).close()
        for link in links:
            if link["port"] not in self.servers:
                self.servers[link["port"]] = await asyncio.start_server(
                    lambda reader, writer, link=link: self.serve(link, reader, writer), "127.0.0.1", link["port"])

    async def control(self, reader, writer):
        try:
            while line := await reader.readline():
                request = json.loads(line)
                self.pids = request["pids"]
                self.rules = request["rules"]
                await self.listen(request["links"])
                for connection in list(self.connections):
                    if (rule := connection.rule()) and rule["how"] == "reset":
                        connection.reset()
                change, self.change = self.change, asyncio.Event()
                change.set()
                writer.write(b"{}\n")
                await writer.drain()
        except OSError as error:
            writer.write(json.dumps({"error": str(error)}).encode() + b"\n")
        finally:
            writer.close()


async def main():
    links = Links()
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    server = await asyncio.start_unix_server(links.control, SOCKET)
    os.chmod(SOCKET, 0o600)
    await server.serve_forever()


def set_links(folder, links, rules, pids):
    """Tells the process of `folder`."""
    handle = os.open(folder, os.O_PATH)  # a socket's path must be short, and the folder's may not be
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(f"/proc/self/fd/{handle}/{SOCKET}")
            control.sendall(json.dumps({"links": links, "rules": rules, "pids": pids}).encode() + b"\n")
            answer = json.loads(control.makefile().readline() or '{"error": "it said nothing"}')
    finally:
        os.close(handle)
    if "error" in answer:
        raise OSError(re.sub(r"\s+", " ", answer["error"]))


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    asyncio.run(main())
