"""Layout: every path that proxygen reads or writes, below one root."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

LONGEST_STEM = 180
CHAIN = ".chain.pem"
"""What the name of a file ends with that holds a chain alone."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one installation; *root* is ``/`` except for tests and trials."""

    root: Path
    config: Path

    def host(self, path: str) -> Path:
        """Return an absolute path of the host, such as ``/etc/nginx``, below the root.

        A path that is below the root already stays as it is.
        """
        if Path(path).is_relative_to(self.root):
            return Path(path)
        return self.root / path.lstrip("/")

    @property
    def etc(self) -> Path:
        """The administrator's folder: local nginx directives and templates."""
        return self.host("/etc/proxygen")

    @property
    def var(self) -> Path:
        """All that proxygen keeps."""
        return self.host("/var/lib/proxygen")

    @property
    def store(self) -> Path:
        """Keys, bundles, accounts and orders: for root alone."""
        return self.var / "store"

    @property
    def challenges(self) -> Path:
        """The root folder from which HTTP challenges are served."""
        return self.var / "challenges"

    @property
    def lock(self) -> Path:
        """The file whose lock a deployment holds."""
        return self.var / "lock"

    @property
    def obtaining(self) -> Path:
        """The file whose lock is held by who obtains certificates."""
        return self.var / "obtaining"

    @property
    def untidy(self) -> Path:
        """The file that is there until somebody tidies up after a run that was killed."""
        return self.var / "untidy"

    @property
    def telling(self) -> Path:
        """The file whose lock is held by who tells people."""
        return self.var / "telling"

    @property
    def hooks(self) -> Path:
        """The administrator's executables, in ``before.d``, ``deploy.d`` and ``failed.d``."""
        return self.etc / "hooks"

    def lineage(self, host: str) -> Path:
        """Return the link to the folder that hooks find a certificate in, named as its URL."""
        return self.lineages / "live" / stem(host)

    @property
    def lineages(self) -> Path:
        """All that is kept for hooks to read: for root alone."""
        return self.var / "hooks"

    @property
    def watch(self) -> Path:
        """What the daemon keeps, its own lock among it: for root alone."""
        return self.var / "watch"

    @property
    def outage(self) -> Path:
        """What is known to those who tell people that proxygen cannot run: for root alone."""
        return self.var / "outage"

    def live(self, service: str) -> Live:
        """Return the places of what one service reads."""
        return Live(self.var / "live" / service)

    def of(self, service: str) -> ServiceLayout:
        """Return the layout as the service of that name has it."""
        return ServiceLayout(self.root, self.config, service)


@dataclass(frozen=True, slots=True)
class ServiceLayout(Layout):
    """The places as one service has them, whose name is *service*."""

    service: str

    @property
    def own(self) -> Live:
        """The places of what it reads."""
        return self.live(self.service)


@dataclass(frozen=True, slots=True)
class Live:
    """What one service reads.

    ``generations/ID/`` holds one complete configuration and never changes; ``current`` is a
    symbolic link to the one that serves, so one rename switches all of it. ``certificates/``
    holds key and chain in one file each, named after their digest: such a file never changes
    either, nor does a folder of ``additions/``.
    """

    folder: Path

    @property
    def current(self) -> Path:
        """The link that the service's configuration follows."""
        return self.folder / "current"

    @property
    def generations(self) -> Path:
        """The folder of the generations."""
        return self.folder / "generations"

    @property
    def additions(self) -> Path:
        """The folder of the administrator's directives, as they were when they were taken."""
        return self.folder / "additions"

    @property
    def certificates(self) -> Path:
        """The folder of the certificates with their keys."""
        return self.folder / "certificates"

    def certificate(self, owner: str, digest: str) -> Path:
        """Return the file that holds the owner's key and chain of that digest."""
        return self.certificates / certificate_file(owner, digest)


def certificate_file(owner: str, digest: str) -> str:
    """Return the name of the file that holds the owner's key and chain of that digest."""
    return f"{stem(owner)}-{digest[:16]}.pem"


def chain_file(owner: str, digest: str) -> str:
    """Return the name of the file that holds the chain of that digest alone, without the key."""
    return f"{stem(owner)}-{digest[:16]}{CHAIN}"


def stem(owner: str) -> str:
    """Return a file name for *owner*, bounded in length and different for different owners.

    An owner is ``global`` or a host name in A-labels, so it holds letters, digits, dots and
    hyphens; anything else is our own bug and refused.
    """
    if not owner or owner.startswith(".") or not set(owner) <= ALLOWED:
        raise ValueError(f"not the name of an owner: {owner!r}")
    if len(owner) <= LONGEST_STEM:
        return owner
    return f"{owner[:LONGEST_STEM]}-{hashlib.sha256(owner.encode()).hexdigest()[:16]}"


ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._*")
