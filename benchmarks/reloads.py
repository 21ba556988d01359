"""How many requests fail while nginx reloads again and again under load; none should.

.venv/bin/python -m benchmarks.reloads [RELOADS]
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter

from tests.live import client
from tests.live.backend import Backend
from tests.live.machine import Machine, temporary_root

CLIENTS = 4
MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned", "backend": "web"}


def main() -> None:
    """Let clients ask while the configuration changes and reloads; print what they saw."""
    reloads = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seen: Counter[str] = Counter()
    stop = threading.Event()
    with (
        temporary_root() as root,
        Backend("web") as backend,
        Machine(root, ("nginx", "pebble")) as machine,
    ):
        apply(machine, backend.url, 0)
        asking = [
            threading.Thread(target=ask, args=(machine.nginx.https, seen, stop))
            for _ in range(CLIENTS)
        ]
        for thread in asking:
            thread.start()
        begun = time.monotonic()
        for number in range(1, reloads + 1):
            apply(machine, backend.url, number)
        seconds = time.monotonic() - begun
        stop.set()
        for thread in asking:
            thread.join()
    print(f"{reloads} changes applied and reloaded in {seconds:.1f} s, meanwhile: {dict(seen)}")


def apply(machine: Machine, upstream: str, number: int) -> None:
    """Apply a model that differs from the one before in one extra name."""
    main = MAIN | {"extra_names": [f"n{number}.example.net"]}
    machine.model({}, main=main, backends={"web": {"upstreams": {"web": [upstream]}}})
    run = machine.proxygen("apply")
    if run.returncode:
        sys.exit(run.stdout + run.stderr)


def ask(port: int, seen: Counter[str], stop: threading.Event) -> None:
    """Ask on a new connection each time, as the hardest case."""
    while not stop.is_set():
        try:
            seen[str(client.get(port, "mail.example.net").status)] += 1
        except OSError as error:
            seen[repr(error)] += 1


if __name__ == "__main__":
    main()
