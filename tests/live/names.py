"""Names: a hosts file that only some processes see, in the place of this machine's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.live.machine import Machine, command, ran

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
        return ran(self.wrapped(*command(machine.root, machine.config, *arguments)), seconds)


def may_mount() -> bool:
    """Return whether this process may give others files of their own."""
    return os.geteuid() == 0
