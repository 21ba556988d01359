"""How long the commands take with many domains, and how much memory, when nothing is due.

    .venv/bin/python -m benchmarks.many_domains [DOMAINS]

Runs the real nginx, postfix and dovecot on loopback ports. To set it up every certificate is
self-signed and written without fsync; what is measured afterwards is the real command.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from proxygen import assemble
from proxygen.apply.outcome import SILENT, tell_nobody
from proxygen.model.layout import Layout
from proxygen.reconcile import reconcile
from tests.live.machine import Machine, temporary_root

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}


def domains(count: int) -> dict[str, dict[str, object]]:
    """Return domains with a URL, an extra name and a certificate of their own."""
    return {
        f"customer-{number}.example": {
            "url": f"https://webmail.customer-{number}.example",
            "extra_names": [f"autodiscover.customer-{number}.example"],
            "certificate": "selfsigned",
        }
        for number in range(count)
    }


def main() -> None:
    """Set up, measure, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with temporary_root() as root, Machine(root) as machine:
        as_yaml(machine.model(domains(count), main=MAIN))
        begun = time.monotonic()
        # In a process of its own: a child's largest size begins with that of its parent.
        child = multiprocessing.Process(target=set_up, args=(Layout(root, machine.config),))
        child.start()
        child.join()
        print(f"{count} domains; set up and verified in {time.monotonic() - begun:.1f} s")
        for command in ("plan", "apply", "status", "validate"):
            measure(machine, command)
        change_one(machine, count)


def as_yaml(path: Path) -> None:
    """Write the model as people do; JSON would be read at another speed."""
    path.write_text(yaml.dump(json.loads(path.read_text()), Dumper=yaml.CDumper))


def set_up(layout: Layout) -> None:
    """Apply the model in this process, without waiting for the disk."""
    os.fsync = tell_nobody  # type: ignore[assignment]
    site = assemble.read_site(layout)
    parts = assemble.build_installation(layout, lambda: datetime.now(UTC))
    outcome = reconcile(site, parts, SILENT)
    if outcome.failures:
        sys.exit(str(outcome.failures[0][1]))


def measure(machine: Machine, command: str) -> None:
    """Run a command and print its time and its largest memory."""
    begun = time.monotonic()
    argv = [sys.executable, "-m", "proxygen", "--root", str(machine.root), command]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begun
    last = said.strip().splitlines()[-1:] if command in ("plan", "apply") else ""
    print(f"{command:9} {seconds:5.2f} s {megabytes(used):4} MiB  {process.returncode} {last}")


def megabytes(used: resource.struct_rusage) -> int:
    """Return the largest resident size."""
    return used.ru_maxrss // 1024


def change_one(machine: Machine, count: int) -> None:
    """Add one domain and apply."""
    as_yaml(machine.model(domains(count + 1), main=MAIN))
    print("one domain more:")
    measure(machine, "apply")


if __name__ == "__main__":
    main()
