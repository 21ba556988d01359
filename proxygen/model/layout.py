"""Layout: every path that proxygen reads or writes, below one root."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

LONGEST_STEM = 180
CHAIN = ".chain.pem"
"""The ending of the name of a file that holds only a chain."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one installation; *root* is ``/`` except for tests and trials."""

    root: Path
    config: Path

    def host(self, path: str) -> Path:
        """Return an absolute path of the host, such as ``/etc/nginx``, below the root.

        A path that is below the root already is returned as it is.
        """
        if Path(path).is_relative_to(self.root):
            return Path(path)
        return self.root / path.lstrip("/")

    def usual_folder(self, kind: str) -> Path:
        """Return the folder of a service's own configuration, as Debian has it."""
        return self.host(f"/etc/{kind}")

    @property
    def etc(self) -> Path:
        """The administrator's folder: nginx directives and templates."""
        return self.host("/etc/proxygen")

    @property
    def var(self) -> Path:
        """The folder of everything that proxygen stores."""
        return self.host("/var/lib/proxygen")

    @property
    def store(self) -> Path:
        """Keys, bundles, accounts and orders; only root may read it."""
        return self.var / "store"

    @property
    def challenges(self) -> Path:
        """The root folder from which answers to HTTP challenges are served."""
        return self.var / "challenges"

    @property
    def lock(self) -> Path:
        """The lock file of a deployment."""
        return self.var / "lock"

    @property
    def obtaining(self) -> Path:
        """The lock file of obtaining certificates."""
        return self.var / "obtaining"

    @property
    def untidy(self) -> Path:
        """The file that exists until somebody tidies up after a run that was killed."""
        return self.var / "untidy"

    @property
    def telling(self) -> Path:
        """The lock file of sending mail."""
        return self.var / "telling"

    @property
    def hooks(self) -> Path:
        """The administrator's executables, in ``before.d``, ``deploy.d`` and ``failed.d``."""
        return self.etc / "hooks"

    def lineage(self, host: str) -> Path:
        """Return the link to the folder in which hooks find a certificate, named after its URL."""
        return self.lineages / "live" / file_stem(host)

    @property
    def lineages(self) -> Path:
        """The folders that hooks read certificates from; only root may read them."""
        return self.var / "hooks"

    @property
    def watch(self) -> Path:
        """What the daemon stores, with its own lock; only root may read it."""
        return self.var / "watch"

    @property
    def waiting_names(self) -> Path:
        """The folder with a file for each name that waits for its DNS, for the web server."""
        return self.var / "waiting" / "names"

    @property
    def waiting_socket(self) -> Path:
        """Where the web server tells the daemon that a client asked for such a name."""
        return self.var / "waiting" / "asked"

    @property
    def outage(self) -> Path:
        """What is needed to mail that proxygen cannot run; only root may read it."""
        return self.var / "outage"

    def live(self, service: str) -> Live:
        """Return the paths of what one service reads."""
        return Live(self.var / "live" / service)

    def of(self, service: str) -> ServiceLayout:
        """Return the layout for the service of that name."""
        return ServiceLayout(self.root, self.config, service)


@dataclass(frozen=True, slots=True)
class ServiceLayout(Layout):
    """The paths as one service has them; *service* is its name."""

    service: str

    def usual_folder(self, kind: str) -> Path:  # noqa: ARG002
        """Return the folder of its own configuration, such as `/etc/postfix-out` (postmulti(1))."""
        return self.host(f"/etc/{self.service}")

    @property
    def own(self) -> Live:
        """The paths of what the service reads."""
        return self.live(self.service)


@dataclass(frozen=True, slots=True)
class Live:
    """What one service reads.

    ``generations/ID/`` holds one complete configuration and never changes; ``current`` is a
    symbolic link to the one that serves, so one rename switches all of it. ``certificates/`` holds
    key and chain in one file each, named after their digest: such a file never changes either, nor
    does a folder of ``additions/``.
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
        """The folder of the administrator's directives, as the service accepted them."""
        return self.folder / "additions"

    @property
    def certificates(self) -> Path:
        """The folder of the certificates with their keys."""
        return self.folder / "certificates"

    def certificate(self, owner: str, digest: str) -> Path:
        """Return the path of the file with the owner's key and chain of that digest."""
        return self.certificates / certificate_file(owner, digest)


def certificate_file(owner: str, digest: str) -> str:
    """Return the name of the file with the owner's key and chain of that digest."""
    return f"{file_stem(owner)}-{digest[:16]}.pem"


def chain_file(owner: str, digest: str) -> str:
    """Return the name of the file with the chain of that digest alone, without the key."""
    return f"{file_stem(owner)}-{digest[:16]}{CHAIN}"


def file_stem(owner: str) -> str:
    """Return a file name for *owner*, bounded in length and different for different owners.

    An owner is ``global`` or a host name in A-labels, so it consists of letters, digits, dots and
    hyphens; anything else is a bug and raises ValueError.
    """
    if not owner or owner.startswith(".") or not set(owner) <= ALLOWED:
        raise ValueError(f"not the name of an owner: {owner!r}")
    if len(owner) <= LONGEST_STEM:
        return owner
    return f"{owner[:LONGEST_STEM]}-{hashlib.sha256(owner.encode()).hexdigest()[:16]}"


ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._*")
