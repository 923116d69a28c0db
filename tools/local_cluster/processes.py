"""Processes that outlive whoever started them, found again by process id and start time."""

import os
import signal
import socket
import subprocess
import time

children = []  # Popen objects of this process: kept, so that what has ended is reaped


def start(command, log, environment=None):
    """Starts `command` in a session of its own, with its output appended to the file `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 start_new_session=True, env={**os.environ, **(environment or {})})
    children.append(child)
    return {"pid": child.pid, "started": _stat(child.pid)[1]}


def _stat(pid):
    """(state, start time in ticks) of a process; of one that is gone, ("gone", 0)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "gone", 0
    return fields[0], int(fields[19])


def _dying(pid):
    """Whether threads of a process that has ended are still there, and with them its ports."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def state(process):
    """"running", "paused" or "gone" of what start() returned, now or in another life."""
    for child in children:
        child.poll()
    if not process:
        return "gone"
    now, started = _stat(process["pid"])
    if now in ("gone", "X") or started != process["started"] or now == "Z" and not _dying(process["pid"]):
        return "gone"
    return "paused" if now in "Tt" else "running"


def send(process, number):
    """Sends a signal, unless the process is gone."""
    if state(process) != "gone":
        try:
            os.kill(process["pid"], number)
        except ProcessLookupError:
            pass


def wait_gone(processes, seconds):
    """Those that are still there after that time."""
    end = time.monotonic() + seconds
    left = [process for process in processes if state(process) != "gone"]
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left = [process for process in left if state(process) != "gone"]
    return left


def stop(processes, seconds):
    """SIGTERM, and SIGKILL for what takes longer than that, which is returned."""
    for process in processes:
        send(process, signal.SIGTERM)
        send(process, signal.SIGCONT)
    late = wait_gone(processes, seconds)
    for process in late:
        send(process, signal.SIGKILL)
    wait_gone(late, seconds)
    return late


def free_port(taken):
    """A port of 127.0.0.1 that nobody listens on and that is not in `taken`, below those that the system gives out by
    itself, so that a process that comes back finds its own free."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        if port not in taken and is_free(port):
            return port
    raise OSError("no port of 127.0.0.1 is free between 20000 and 32000")


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
