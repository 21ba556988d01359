"""Run proxygen and kill it at one of its effects: killed_at.py EFFECT DELAY ARMED ARGUMENTS.

An effect is a file that is opened to be written, a change of a name or a mode, a lock, a
connection, a program that is started. From EFFECT on, counted once the file ARMED is there and
holds something (empty: from the beginning), it lives for DELAY seconds. One that ends before tells
how many it had.
"""

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

CHANGES = ("rename", "remove", "mkdir", "rmdir", "symlink", "link", "chmod", "chown", "truncate")
EFFECTS = {f"os.{each}" for each in CHANGES} | {"fcntl.flock", "socket.connect", "subprocess.Popen"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
last, delay, armed = int(sys.argv.pop(1)), float(sys.argv.pop(1)), sys.argv.pop(1)
counted = 0
counts = threading.Event()


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Count effects; at the last one begin to die."""
    global counted
    if not counts.is_set() or not is_effect(event, arguments):
        return
    counted += 1
    if counted == last:
        if delay:
            threading.Thread(target=die, daemon=True).start()
        else:
            die()


def is_effect(event: str, arguments: tuple[object, ...]) -> bool:
    """Return whether an event changes something, or may wait for others."""
    if event == "open":
        return isinstance(arguments[2], int) and bool(arguments[2] & WRITES)
    return event in EFFECTS


def die() -> None:
    """Be killed."""
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)


def arm() -> None:
    """Count once the file is there and holds something."""
    while not holds_something(Path(armed)):
        time.sleep(0.005)
    counts.set()


def holds_something(path: Path) -> bool:
    """Return whether a file is there, and not empty."""
    with suppress(OSError):
        return path.stat().st_size > 0
    return False


if __name__ == "__main__":
    from proxygen.cli import main

    if armed:
        threading.Thread(target=arm, daemon=True).start()
    else:
        counts.set()
    atexit.register(lambda: print(f"effects: {counted}", file=sys.stderr))
    sys.addaudithook(watch)
    main()
