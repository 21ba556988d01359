"""How soon a domain that joins is served by the daemon while an authority, or the DNS, is silent.

    .venv/bin/python -m benchmarks.silent [DOMAINS [ORDERS]]

Runs the real daemon and the real nginx on loopback ports, with a file for each domain. Measured
without any order; with ORDERS of them at an authority that takes connections and never answers;
and with as many whose names are checked before, at a name server that never answers. To set it up
every certificate is self-signed and written without fsync.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import yaml

from benchmarks.idle import WEB, daemon
from benchmarks.many_domains import MAIN, as_yaml, domains, set_up
from benchmarks.one_change import LOOKS, shown
from proxygen.model.layout import Layout
from tests.live import ports
from tests.live.machine import Machine, temporary_root
from tests.live.processes import until

CHANGES = 5
FEW, SHORT_REST, REST = 1000, 3.0, 60.0
"""Seconds between changes: the daemon takes one part in twenty of a core for those that follow at
once (`Allowance` in `daemon/calendar.py`), and each costs a second with many domains."""


def main() -> None:
    """Set up, measure, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    orders = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    os.environ["MALLOC_ARENA_MAX"] = "2"  # as the unit has it
    print(f"{count} domains, {os.getloadavg()[0]:.1f} others want a core:", flush=True)
    for silent, hanging in (("nobody", 0), ("the authority", orders), ("the name server", orders)):
        with temporary_root() as root, Machine(root, WEB) as machine, silence() as port:
            acme = {
                "directory": f"https://127.0.0.1:{port}/dir",
                "terms_of_service_agreed": True,
                "preflight": silent == "the name server",
                "validation_port": machine.nginx.http,
            }
            more = {"resolvers": [f"127.0.0.1:{port}"], "addresses": ["127.0.0.1"]}
            more |= {"include": ["domains.d/*.yaml"]}
            as_yaml(machine.model({}, main=MAIN, acme=acme, **more))
            (machine.config.parent / "domains.d").mkdir()
            write(machine, domains(count))
            child = multiprocessing.Process(target=set_up, args=(Layout(root, machine.config),))
            child.start()
            child.join()
            ordered = {f"o{n}.example": {"url": f"www.o{n}.example"} for n in range(hanging)}
            write(machine, {each: ordered[each] | {"certificate": "acme"} for each in ordered})
            measured(machine, silent, hanging)


def measured(machine: Machine, silent: str, hanging: int) -> None:
    """Run the daemon, have domains join, and print how soon each was served."""
    log = machine.root / "watch.log"
    with log.open("w") as output, daemon(machine, output.fileno()) as running:
        try:
            until(lambda: "round_ended" in log.read_text(), "the first round", 600)
            time.sleep(5)
            took = [joined(machine, number) for number in range(CHANGES)]
        finally:
            running.terminate()
    middle, most = statistics.median(took), max(took)
    words = f"{silent} is silent, {hanging} orders wait"
    print(f"  {words}: {middle:.2f} s, at most {most:.2f} s, of {CHANGES}", flush=True)


def joined(machine: Machine, number: int) -> float:
    """Have a self-signed domain join; return after how many seconds a client sees it."""
    name = f"www.new-{number}.example"
    wanted = {"url": name, "certificate": "selfsigned"}
    folder = machine.config.parent / "domains.d"
    new = folder / "new"
    new.write_text(yaml.dump({"domains": {f"new-{number}.example": wanted}}))
    begun = time.monotonic()
    new.rename(folder / f"new-{number}.yaml")
    while shown(machine, name) is None:
        time.sleep(LOOKS)
    took = time.monotonic() - begun
    time.sleep(REST if len(list(folder.iterdir())) > FEW else SHORT_REST)
    return took


def write(machine: Machine, wanted: dict[str, dict[str, object]]) -> None:
    """Write a file for each domain."""
    folder = machine.config.parent / "domains.d"
    for domain, each in wanted.items():
        (folder / f"{domain}.yaml").write_text(yaml.dump({"domains": {domain: each}}))


@contextmanager
def silence() -> Iterator[int]:
    """Have a port that takes connections and datagrams, and never answers."""
    port = ports.reserve()
    kept = []
    with (
        socket.create_server(("127.0.0.1", port), backlog=1000) as server,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", port))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    kept.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield port
        server.shutdown(socket.SHUT_RDWR)
    for each in kept:
        each.close()
    ports.release(port)


if __name__ == "__main__":
    main()
