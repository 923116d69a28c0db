"""A crash_node process, and the lines that it speaks."""

import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CRASH_NODE = Path(os.environ.get("CRASH_NODE", ROOT / "build/release/tests/crash/crash_node"))

PATIENCE = 60  # seconds: an upper bound for what takes milliseconds, also for a sanitized build on a busy machine
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


class Ended(Exception):
    """The process has ended where it should not have; says why."""


class Process:
    """A crash_node on the directory `folder`/data."""

    def __init__(self, folder, *flags):
        self.stderr = folder / "stderr"
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen([CRASH_NODE, folder / "data", *map(str, flags)], bufsize=0,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self.out = self.process.stdout.fileno()
        self.rest = b""
        self.tag = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def log(self):
        return self.stderr.read_text(errors="replace")

    def send(self, lines):
        """Bytes of whole lines. A process that is gone takes them as well as any."""
        try:
            while lines:
                lines = lines[self.process.stdin.write(lines):]
        except BrokenPipeError:
            pass

    def lines(self, seconds):
        """The lines that have come, or come within that time; None after the last one."""
        if not select.select([self.out], [], [], max(0, seconds))[0]:
            return []
        data = os.read(self.out, 1 << 16)
        if not data:
            return None
        *whole, self.rest = (self.rest + data).split(b"\n")
        return [line.decode() for line in whole]

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while (lines := self.lines(end - time.monotonic())) is not None:
            if "ready" in lines:
                return self
            assert time.monotonic() < end, f"the node does not get ready: {self.log()}"
        self.process.wait(PATIENCE)
        raise Ended(self.log())

    def ask_all(self, verb, *arguments):
        """What the node answers to one line, the lines before the answer included. Nothing else may be under way."""
        self.tag += 1
        tag = f"t{self.tag} "
        self.send(f"{verb} {tag}{' '.join(map(str, arguments))}\n".encode())
        seen = []
        end = time.monotonic() + PATIENCE
        while (lines := self.lines(end - time.monotonic())) is not None:
            seen += lines
            if seen and seen[-1].startswith(tag):
                seen[-1] = seen[-1][len(tag):]
                return seen
            assert time.monotonic() < end, f"no answer to {verb} {arguments}"
        raise Ended(f"{verb} {arguments}: {self.log()}")

    def ask(self, verb, *arguments):
        """The same for an answer of one line: ("ok", text), or ("error", type and detail)."""
        kind, _, text = self.ask_all(verb, *arguments)[-1].partition(" ")
        return kind, text

    def do(self, address, command, text="", identity="- 0 0"):
        return self.ask("do", identity, address, command, text)

    def remains(self):
        """What a process that is ending had still written."""
        seen = []
        while (lines := self.lines(PATIENCE)) is not None:
            seen += lines
        self.process.wait(PATIENCE)
        assert not SANITIZER.search(self.log()), self.log()
        return seen

    def kill(self):
        """SIGKILL; returns what had been written by then."""
        self.process.send_signal(signal.SIGKILL)
        return self.remains()

    def lose_power(self, seed):
        """What was not synced is gone; `seed` decides what chance keeps of it, 0 nothing."""
        self.send(f"power - {seed}\n".encode())
        return self.remains()

    def stop(self):
        """In good order."""
        self.process.stdin.close()
        self.remains()
        assert self.process.returncode == 0, self.log()
