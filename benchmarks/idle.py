"""What the daemon takes of a core while nothing happens, and how soon one change is served.

    .venv/bin/python -m benchmarks.idle [DOMAINS [SECONDS]]

Runs the real daemon and the real nginx on loopback ports, with a file for each domain. To set
it up every certificate is self-signed and written without fsync.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml

from benchmarks.many_domains import MAIN, as_yaml, domains, set_up
from benchmarks.one_change import LOOKS, shown
from proxygen.model.layout import Layout
from tests.live.machine import Machine, temporary_root
from tests.live.processes import until

CHANGES = 3
WEB = ("nginx", "pebble")


def main() -> None:
    """Set up, measure, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    os.environ["MALLOC_ARENA_MAX"] = "2"  # as the unit has it
    with temporary_root() as root, Machine(root, WEB) as machine:
        written(machine, count)
        child = multiprocessing.Process(target=set_up, args=(Layout(root, machine.config),))
        child.start()
        child.join()
        log = root / "watch.log"
        with log.open("w") as output, daemon(machine, output.fileno()) as running:
            try:
                until(lambda: "round_ended" in log.read_text(), "the first round", 600)
                print(f"{count} domains, a file for each:")
                idle(psutil.Process(running.pid), seconds)
                for number in range(CHANGES):
                    changed(machine, number)
            finally:
                running.terminate()


def daemon(machine: Machine, output: int) -> subprocess.Popen[bytes]:
    """Start the real daemon."""
    options = ("--root", str(machine.root), "--config", str(machine.config))
    command = [sys.executable, "-P", "-m", "proxygen", *options, "watch"]
    return subprocess.Popen(
        command, stderr=output, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
    )


def written(machine: Machine, count: int) -> None:
    """Write the model."""
    as_yaml(machine.model({}, main=MAIN, include=["domains.d/*.yaml"]))
    folder = machine.config.parent / "domains.d"
    folder.mkdir()
    for domain, wanted in domains(count).items():
        (folder / f"{domain}.yaml").write_text(yaml.dump({"domains": {domain: wanted}}))


def idle(process: psutil.Process, seconds: float) -> None:
    """Print what the daemon takes while nothing happens, from its first quiet moment on."""
    settled(process)
    before, begun = used(process), time.monotonic()
    time.sleep(seconds)
    share = (used(process) - before) / (time.monotonic() - begun)
    size = process.memory_info().rss // 1024**2
    print(f"  while nothing happens: {share:.2%} of a core, {size} MiB")


def settled(process: psutil.Process) -> None:
    """Wait until a second passed in which next to nothing was done."""
    while True:
        before = used(process)
        time.sleep(1)
        if used(process) - before < 0.05:
            return


def used(process: psutil.Process) -> float:
    """Return the seconds of a core that a process used."""
    return float(sum(process.cpu_times()[:2]))


def changed(machine: Machine, number: int) -> None:
    """Let a domain join, as a control panel does, and print how soon clients see it."""
    domain, host = f"new-{number}.example", f"www.new-{number}.example"
    path = machine.config.parent / f"domains.d/{domain}.yaml"
    wanted = {"url": f"https://{host}", "certificate": "selfsigned"}
    path.with_suffix(".new").write_text(yaml.dump({"domains": {domain: wanted}}))
    former, begun = shown(machine, host), time.monotonic()
    path.with_suffix(".new").rename(path)
    while shown(machine, host) in (former, None):
        time.sleep(LOOKS)
    print(f"  a domain joins: served after {time.monotonic() - begun:.2f} s")
    time.sleep(30)  # verified, and looked at again


if __name__ == "__main__":
    main()
