"""Machine: a private nginx, postfix, dovecot and Pebble, and proxygen beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp
from typing import Any, Self

from tests.live import forks
from tests.live.dovecot import Dovecot
from tests.live.needs import missing
from tests.live.nginx import Nginx
from tests.live.pebble import Manners, Pebble
from tests.live.postfix import Postfix
from tests.live.processes import environment, made

PROGRAMS = ("nginx", "pebble", "postfix", "dovecot")
NOBODY_LISTENS = 1
LOCKS = frozenset({"lock", "obtaining", "telling"})
"""Files of ours that a run writes its number to, whatever it does."""

LONGEST_ROOT = 48
"""Dovecot's and postfix's sockets lie below the root; a socket's path has 107 characters."""


class Machine:
    """Programs that run below *root* while the ``with`` block does.

    *programs* chooses among PROGRAMS; ``nginx`` and ``pebble`` are needed. Where postfix
    cannot start (it needs root) name the others. The authority asks the name server *dnsserver*
    (ADDRESS:PORT), by default one of its own.
    """

    def __init__(
        self,
        root: Path,
        programs: tuple[str, ...] = PROGRAMS,
        *,
        manners: Manners | None = None,
        outlives: bool = False,
        dnsserver: str = "",
    ) -> None:
        self.root = root
        self.dnsserver = dnsserver
        self.programs = programs
        self.manners = manners or Manners()
        self.outlives = outlives
        self.nginx = Nginx(root, outlives=outlives)
        self.postfix = Postfix(root, outlives=outlives) if "postfix" in programs else None
        self.dovecot = Dovecot(root, outlives=outlives) if "dovecot" in programs else None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.nginx)
            self.pebble = stack.enter_context(self.authority())
            for program in (self.postfix, self.dovecot):
                if program:
                    stack.enter_context(program)
            self.ends = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ends.close()

    def authority(self) -> Pebble:
        """Return the authority that validates where this machine's nginx listens."""
        return Pebble(
            self.root,
            http_port=self.nginx.http,
            manners=self.manners,
            outlives=self.outlives,
            dnsserver=self.dnsserver,
        )

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the master processes."""
        running = (self.nginx, self.pebble.dns, self.pebble, self.postfix, self.dovecot)
        return tuple(program.pid for program in running if program)

    @property
    def config(self) -> Path:
        """Where the model lies."""
        return self.root / "etc/proxygen/proxygen.yaml"

    def surroundings(self) -> dict[str, Any]:
        """Return the parts of a model that name this machine: ``acme`` and ``services``."""
        listen = {
            "http": [f"127.0.0.1:{self.nginx.http}"],
            "https": [f"127.0.0.1:{self.nginx.https}"],
        }
        services: dict[str, Any] = {"nginx": {"listen": listen}}
        services |= {name: {} for name in ("postfix", "dovecot") if getattr(self, name)}
        acme = {
            "directory": self.pebble.directory,
            "trusted_roots": [str(self.pebble.trusted_root)],
            "terms_of_service_agreed": True,
            "preflight": False,
        }
        return {"acme": acme, "services": services}

    def model(
        self,
        domains: Mapping[str, Any] | None = None,
        *,
        main: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Path:
        """Write a model for this machine and return its path.

        *main* stands below ``global`` (default: mail.example.net with an ACME certificate);
        *more* are further fields, such as ``backends``; ``acme`` and ``services`` are merged
        into what this machine needs.
        """
        wanted: dict[str, Any] = {
            "contact": "hostmaster@example.net",
            "global": dict(main or {"url": "https://mail.example.net", "certificate": "acme"}),
            "domains": dict(domains or {}),
            # A mail server of this host is none of the tests' business.
            "notifiers": {"email": {"host": "127.0.0.1", "port": NOBODY_LISTENS}},
        }
        ours = self.surroundings()
        for part in ("acme", "services"):
            ours[part] |= more.pop(part, {})
        if self.dnsserver:
            ours |= {"resolvers": [self.dnsserver], "addresses": ["127.0.0.1"]}
            ours["acme"] |= {"preflight": True, "validation_port": self.nginx.http}
        made(self.config.parent)
        self.config.write_text(json.dumps(wanted | more | ours, indent=2))  # JSON is YAML
        return self.config

    def proxygen(
        self, *arguments: str, config: Path | None = None, seconds: float = 100
    ) -> subprocess.CompletedProcess[str]:
        """Run the real command on this machine's root and return what it said."""
        return proxygen(self.root, config or self.config, *arguments, seconds=seconds)


def proxygen(
    root: Path, config: Path, *arguments: str, seconds: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run ``proxygen --root ROOT --config CONFIG ARGUMENTS`` with a clean environment."""
    places = ("--root", str(root), "--config", str(config))
    return forks.run((*places, *arguments), environment(), seconds)


def command(root: Path, config: Path, *arguments: str) -> tuple[str, ...]:
    """Return the real command."""
    program = (sys.executable, "-P", "-m", "proxygen")
    return (*program, "--root", str(root), "--config", str(config), *arguments)


def ran(argv: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program with a clean environment, without input."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        cwd="/",
        timeout=seconds,
        check=False,
    )


def runnable() -> tuple[str, ...]:
    """Return those of PROGRAMS that can be run here."""
    return tuple(name for name in PROGRAMS if missing(name) is None)


@contextmanager
def temporary_root() -> Iterator[Path]:
    """Make a folder that service users can enter, short enough for sockets; remove it after."""
    root = new_root()
    try:
        yield root
    finally:
        rmtree(root, ignore_errors=True)


def new_root() -> Path:
    """Make a folder that service users can enter, short enough for sockets."""
    parent = Path(gettempdir())
    if len(str(parent)) > LONGEST_ROOT - 16 or not open_to_all(parent):
        parent = Path("/tmp")  # some hosts give each user a private folder
    root = Path(mkdtemp(prefix="pg-", dir=parent)).resolve()
    root.chmod(0o755)
    return root


def open_to_all(folder: Path) -> bool:
    """Return whether any user may enter *folder* and those above it."""
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))
