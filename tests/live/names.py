"""Names: a hosts file that only some processes see, in the place of this machine's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.live.machine import Machine
from tests.live.processes import environment

SCRIPT = 'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


class Names:
    """What names stand for, for the programs that ``wrapped`` starts; no name server answers."""

    def __init__(self, folder: Path) -> None:
        self.hosts = folder / "hosts"
        self.resolvers = folder / "resolv.conf"
        self.resolvers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.are({})

    def are(self, names: Mapping[str, str]) -> None:
        """Have names stand for addresses from now on; written in place, as it is mounted."""
        lines = [f"{address} {name}\n" for name, address in names.items()]
        with self.hosts.open("w") as file:
            file.write("127.0.0.1 localhost\n" + "".join(lines))

    def wrapped(self, *argv: str) -> tuple[str, ...]:
        """Return the command that runs another one with these names; it needs root."""
        script = ("sh", "-c", SCRIPT, str(self.hosts), str(self.resolvers))
        return ("unshare", "--mount", *script, *argv)

    def proxygen(
        self, machine: Machine, *arguments: str, seconds: float = 100
    ) -> subprocess.CompletedProcess[str]:
        """Run the real command on a machine with these names."""
        return subprocess.run(
            self.wrapped(*command(machine, *arguments)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment(),
            cwd="/",
            timeout=seconds,
            check=False,
        )


def command(machine: Machine, *arguments: str) -> tuple[str, ...]:
    """Return the real command for a machine."""
    root, config = str(machine.root), str(machine.config)
    program = (sys.executable, "-P", "-m", "proxygen", "--root", root, "--config", config)
    return (*program, *arguments)


def may_mount() -> bool:
    """Return whether this process may give others files of their own."""
    return os.geteuid() == 0
