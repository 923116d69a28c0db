"""A node that is killed over and over keeps what it has answered; with a mistake built in, it is found out."""

import os

import pytest
from loop import Loop
from process import Ended

ROUNDS = int(os.environ.get("CX_ROUNDS", 500 if "CX_LONG" in os.environ else 50))


def tell(loop, findings):
    print(f"lives: {loop.work.life}, commands: {len(loop.work.commands)}, answers: {dict(loop.work.seen)}")
    kinds = {}
    for finding in findings:
        kinds.setdefault(finding.split(":")[0], []).append(finding)
    for few in kinds.values():
        print(f"  {len(few)} like: {few[0][:200]}")


SLOW = ("--sync-ms", 20)


@pytest.mark.parametrize("rounds, power, flags", [
    pytest.param(ROUNDS, False, (), id="kill"),
    pytest.param(ROUNDS // 2, True, (), id="power"),
    pytest.param(ROUNDS // 8, False, SLOW, id="slow"),
])
def test_everything_that_was_answered_is_there_exactly_once(tmp_path, seed, rounds, power, flags):
    loop = Loop(tmp_path, seed, power, flags)
    findings = loop.run(rounds)
    tell(loop, findings)
    assert not findings, findings[:20]


@pytest.mark.parametrize("mistake, power, found, flags", [
    ("reply-early", False, "lost", SLOW),
    ("reply-early", True, "lost", SLOW),
    ("no-sync", True, "lost", ()),
    ("lying-disk", True, "lost", ()),
    ("no-dedupe", False, "twice", ()),
])
def test_the_checker_finds(tmp_path, seed, mistake, power, found, flags):
    loop = Loop(tmp_path, seed, power, ("--sabotage", mistake, *flags))
    try:
        findings = loop.run(6)
    except Ended as ended:  # a disk that lies may lose whole files: then the node itself finds it out, at its start
        assert power and mistake in ("lying-disk", "no-sync") and "is damaged" in str(ended), ended
        return
    tell(loop, findings)
    assert any(finding.startswith(found) for finding in findings), findings[:20]
