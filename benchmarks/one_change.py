"""How long one change among many domains takes in a running process, until clients see it.

    .venv/bin/python -m benchmarks.one_change [DOMAINS]

Runs the real nginx, postfix and dovecot on loopback ports. To set it up every certificate is
self-signed and written without fsync; the rounds that are measured are as the daemon does them.
Once with a file for each domain, once with all of them in the model file.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.many_domains import MAIN, as_yaml, domains, set_up
from proxygen import assemble
from proxygen.apply.outcome import SILENT
from proxygen.host import memory
from proxygen.model.layout import Layout
from proxygen.reconcile import reconcile
from tests.live import client
from tests.live.machine import Machine, temporary_root

TIMES = 5
LOOKS = 0.01

Put = Callable[[], None]
"""Puts files that were written in place."""
Write = Callable[[Machine, Mapping[str, Any], Iterable[str]], Put]
"""Writes a model of some domains, of which some changed."""


class Daemon:
    """Rounds of one process, with the parts that it keeps."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.layout = Layout(machine.root, machine.config)
        self.parts = assemble.build_installation(self.layout, lambda: datetime.now(UTC))
        self.files = assemble.ModelFiles()

    def round(self) -> None:
        """Do one round, as the daemon does."""
        site = assemble.read_site(self.layout, self.files)
        self.parts = assemble.build_installation(self.layout, self.parts.now, self.parts)
        outcome = reconcile(site, self.parts, SILENT)
        if outcome.failures:
            sys.exit(str(outcome.failures[0][1]))

    def idle(self) -> float:
        """Return the seconds of a core that a round takes with nothing to do."""
        begun = time.process_time()
        self.round()
        spent = time.process_time() - begun
        memory.settle_memory()
        return spent

    def served(self, name: str, change: Put) -> tuple[float, float]:
        """Return the seconds from a change until a client sees *name*'s, and until all is done."""
        former = shown(self.machine, name)
        seen: list[float] = []
        begun = time.monotonic()
        looking = threading.Thread(target=wait_for_other, args=(self.machine, name, former, seen))
        change()
        looking.start()
        self.round()
        done = time.monotonic() - begun
        looking.join()
        memory.settle_memory()
        return seen[0] - begun, done


def shown(machine: Machine, name: str) -> int | None:
    """Return the serial number of the certificate that a client is shown for a name."""
    try:
        leaf = client.leaf(machine.nginx.https, name)
    except OSError:
        return None
    return leaf.serial_number


def wait_for_other(machine: Machine, name: str, former: int | None, seen: list[float]) -> None:
    """Look until a client is shown another certificate than the former one."""
    while shown(machine, name) in (former, None):
        time.sleep(LOOKS)
    seen.append(time.monotonic())


def main() -> None:
    """Measure both ways to write a model, each in a process of its own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    os.environ["MALLOC_ARENA_MAX"] = "2"  # a thread of its own for each look scatters memory
    for way in (separate, together):
        child = multiprocessing.get_context("spawn").Process(target=one_way, args=(count, way))
        child.start()
        child.join()


def one_way(count: int, write: Write) -> None:
    """Measure one way to write a model."""
    with temporary_root() as root, Machine(root) as machine:
        measure(machine, domains(count), write)
    print(f"  largest size of the process: {megabytes()} MiB")


def separate(machine: Machine, wanted: Mapping[str, Any], changed: Iterable[str]) -> Put:
    """a file for each domain"""
    folder = machine.config.parent / "domains.d"
    if not folder.is_dir():
        as_yaml(machine.model({}, main=MAIN, include=["domains.d/*.yaml"]))
        folder.mkdir()
    return put(
        {folder / f"{domain}.yaml": {"domains": {domain: wanted[domain]}} for domain in changed}
    )


def together(machine: Machine, wanted: Mapping[str, Any], changed: Iterable[str]) -> Put:  # noqa: ARG001
    """all in one file"""
    content: dict[str, Any] = {"contact": "hostmaster@example.net", "global": MAIN}
    machine.config.parent.mkdir(parents=True, exist_ok=True)
    return put({machine.config: content | {"domains": dict(wanted)} | machine.surroundings()})


def put(contents: Mapping[Path, Mapping[str, Any]]) -> Put:
    """Write files under other names; return what gives them their own, as control panels do."""
    news = {path: path.with_suffix(".new") for path in contents}
    for path, new in news.items():
        new.write_text(yaml.dump(dict(contents[path]), Dumper=yaml.CDumper))

    def rename() -> None:
        for path, new in news.items():
            new.rename(path)

    return rename


def measure(machine: Machine, wanted: dict[str, Any], write: Write) -> None:
    """Set up and print what changes take."""
    write(machine, wanted, wanted)()
    child = multiprocessing.Process(target=set_up, args=(Layout(machine.root, machine.config),))
    child.start()
    child.join()
    daemon = Daemon(machine)
    daemon.idle()
    print(f"{len(wanted)} domains, {write.__doc__}:")
    idle = statistics.median(daemon.idle() for _ in range(TIMES))
    print(f"  nothing due: {idle:.2f} s of a core")
    first = next(iter(wanted))

    def joins(number: int) -> tuple[str, Put]:
        domain, host = f"new-{number}.example", f"www.new-{number}.example"
        wanted[domain] = {"url": f"https://{host}", "certificate": "selfsigned"}
        return host, write(machine, wanted, [domain])

    def named(number: int) -> tuple[str, Put]:
        names = [f"autodiscover.{first}", *(f"n{each}.{first}" for each in range(number + 1))]
        wanted[first] = wanted[first] | {"extra_names": names}
        return names[-1], write(machine, wanted, [first])

    def renewed(number: int) -> tuple[str, Put]:  # noqa: ARG001
        bundles = daemon.parts.bundles
        bundle = bundles.all()[first]
        return bundle.names[-1], lambda: bundles.note(bundle, replace=True)

    for what, change in (
        ("a domain joins", joins),
        ("an extra name joins", named),
        ("a certificate is renewed", renewed),
    ):
        found = [daemon.served(*change(number)) for number in range(TIMES)]
        served, done = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"  {what}: served after {served:.2f} s, verified after {done:.2f} s")


def megabytes() -> int:
    """Return the largest size that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
