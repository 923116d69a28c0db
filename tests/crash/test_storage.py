"""A node on a directory that is taken, full, read-only or damaged says so, and serves nothing wrong."""

import os
import shutil
import time
from random import Random

import pytest
from checker import check
from loop import Loop
from process import PATIENCE, Ended, Process


def refusal(folder, *flags):
    """Why a node does not start on `folder`."""
    with Process(folder, *flags) as node:
        with pytest.raises(Ended):
            node.wait_ready()
        assert node.process.returncode == 1, node.log()
        return node.log()


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


def copy(folder, to):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    return to


def newest_log(folder):
    return max((folder / "data/journal").glob("*.log"))


@pytest.fixture
def counted(tmp_path):
    """A folder in which a killed node has left 200 changes, all of them answered, in its write-ahead log."""
    folder = tmp_path / "counted"
    folder.mkdir()
    with Process(folder) as node:
        node.wait_ready()
        for i in range(200):
            assert node.do(f"counter/t/{i % 20}", "Add", f"n: {i}")[0] == "ok"
    return folder


def total(folder):
    with Process(folder) as node:
        node.wait_ready()
        replies = [node.do(f"counter/t/{i}", "GetTotal") for i in range(20)]
        node.stop()
    return sum(int(text.split()[2]) for _, text in replies)


def test_a_directory_in_use_is_refused_and_its_owner_not_disturbed(counted):
    with Process(counted) as owner:
        owner.wait_ready()
        with Process(counted) as second:
            with pytest.raises(Ended):
                second.wait_ready()
            assert second.process.returncode == 1
            assert f"Another process has {counted}/data/journal open. Stop it" in second.log()
        assert owner.do("counter/t/0", "Add", "n: 1")[0] == "ok"
    assert total(counted) == sum(range(200)) + 1


def test_a_directory_that_cannot_be_written_is_refused(counted):
    log = refusal(counted, "--disk", "read-only")
    assert "read-only" in log and "Make the directory writable" in log and str(counted) in log
    assert total(counted) == sum(range(200))


@pytest.mark.parametrize("place", ["data", "data/journal"])
def test_a_file_in_the_way_is_named(tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("not a directory")
    log = refusal(tmp_path)
    assert f"{tmp_path}/{place}" in log and "Check the path" in log
    assert (tmp_path / place).read_text() == "not a directory"


def test_a_torn_end_of_the_log_costs_only_what_was_being_written(counted):
    log = newest_log(counted)
    os.truncate(log, log.stat().st_size - 3)
    assert total(counted) == sum(range(199))


def test_a_flipped_byte_in_the_log_is_refused(counted, tmp_path, seed):
    size = newest_log(counted).stat().st_size
    for offset in Random(seed).sample(range(size * 9 // 10), 8):
        damaged = copy(counted, tmp_path / "damaged")
        log = newest_log(damaged)
        flip(log, offset)
        said = refusal(damaged)
        assert "is damaged" in said and str(log) in said, (offset, said)
        assert "restore the directory from a backup" in said, said


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*"])
def test_a_flipped_byte_in_what_lists_the_files_is_refused(counted, pattern):
    file = next((counted / "data/journal").glob(pattern))
    flip(file, file.stat().st_size // 2)
    assert "backup" in refusal(counted)


def test_a_flipped_byte_in_a_table_is_never_served(tmp_path, seed):
    loop = Loop(tmp_path, seed)
    for _ in range(3):
        loop.round()
    held = loop.finish()
    assert not check(loop.work, held)
    with loop.start() as node:  # what is only in the write-ahead log goes into a table when the next node starts
        node.wait_ready()
        node.stop()
    tables = sorted((tmp_path / "data/journal").glob("*.sst"))
    assert tables
    refused = unreadable = harmless = 0
    for _ in range(24):
        damaged = copy(tmp_path / "data", tmp_path / "damaged/data").parent
        table = damaged / "data/journal" / loop.random.choice(tables).name
        flip(table, loop.random.randrange(table.stat().st_size))
        with Process(damaged) as node:
            try:
                node.wait_ready()
            except Ended:
                assert node.process.returncode == 1 and "is damaged" in node.log() and str(damaged) in node.log()
                refused += 1
                continue
            wrong = 0
            for address, (kind, text) in loop.states(node).items():
                if (kind, text) != held.states[address]:
                    assert kind == "error" and text.startswith("corrupt ") and str(damaged) in text, (address, text)
                    wrong += 1
            unreadable += wrong > 0
            harmless += wrong == 0
    print(f"of 24 damaged tables: {refused} refused, {unreadable} with entities refused, {harmless} without effect")
    assert refused + unreadable > 0


def test_a_full_disk_refuses_and_forgets_nothing(tmp_path, seed):
    loop = Loop(tmp_path, seed)
    work = loop.work
    loop.round()
    with loop.start() as node:
        loop.begin(node)
        loop.play(node)
        node.send(b"disk full full\n")  # whose answer comes among many
        loop.play(node)
        loop.hear_out(node)
        kind, text = node.do(work.addresses["counter/t/strict"][0], "Add", "n: 1")
        assert kind == "error" and text.startswith("unavailable ") and "is full. Free some space" in text
        assert "is full" in node.ask("status")[1]
        work.life += 1  # relaxed commands that could not be written are forgotten as in a crash

        node.ask("disk", "heal")
        end = time.monotonic() + PATIENCE
        while node.do(work.addresses["counter/t/strict"][0], "GetTotal")[0] != "ok":
            assert time.monotonic() < end, node.ask("status")
            time.sleep(0.05)
        loop.play(node)
        work.killed_at[work.life] = time.monotonic()
        work.take(node.kill())
    findings = check(work, loop.finish())
    print(dict(work.seen))
    assert not findings, findings[:20]
