"""The README's first journey, by the commands that stand there."""

import os
import re
import subprocess

from node import CAMPAIGNCTL, ROOT, wait_for
from vendor import Vendor


def commands():
    """What the section says to paste, without comments."""
    section = (ROOT / "README.md").read_text().split("## From an event to a message\n")[1].split("\n## ")[0]
    lines = [line[4:].split("  #")[0].strip() for line in section.splitlines() if line.startswith("    ")]
    return [line for line in lines if line.startswith("campaignctl ")]


def test_the_readme_leads_to_a_message(start, tmp_path):
    with Vendor(tmp_path) as vendor:
        node = start("--channels-allow-private", f"127.0.0.1:{vendor.port}")
        environment = dict(os.environ, HOME=str(tmp_path), PATH=f"{CAMPAIGNCTL.parent}:{os.environ['PATH']}",
                           CAMPAIGN_SERVER=f"http://127.0.0.1:{node.port}")
        (tmp_path / "data").symlink_to(node.data)  # where campaignctl looks for the administrator's key
        files = tmp_path / "config/welcome"
        files.mkdir(parents=True)
        for file in (ROOT / "config/welcome").iterdir():  # the simulator is on a port of its own here
            (files / file.name).write_text(file.read_text().replace("127.0.0.1:9099", f"127.0.0.1:{vendor.port}"))
        found = commands()
        assert len(found) >= 12, found
        said = {}
        for line in found:
            for one in line.split(" && "):
                done = subprocess.run(["/bin/sh", "-c", one], cwd=tmp_path, env=environment,
                                      capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
                assert done.returncode == 0, f"{one}\n{done.stdout}{done.stderr}"
                said[one] = done.stdout
                if "journeys path" in one or "events send" in one:
                    wait_for("the e-mail", vendor.taken)
        mail = vendor.taken()[0]["body"]
        assert mail["subject"] == "Welcome, Ada!" and mail["personalizations"][0]["to"][0]["email"] == "ada@example.com"
        assert "pro plan" in mail["content"][0]["value"]
        simulated = next(text for one, text in said.items() if "simulate" in one)
        assert re.search(r"ada.*hello", simulated) and "bob" in simulated, simulated
        assert "hello" in next(text for one, text in said.items() if "journeys path" in one)
