"""Certificates with their keys in files, judged as supplied ones are."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from proxygen.errors import IssueFailed
from proxygen.host import files
from proxygen.host.trust import system_roots
from proxygen.importing.reading import is_nameable
from proxygen.issuers.file_apart import Apart
from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.model.hosts import BadName, extra_name
from proxygen.model.inspection import require_usable
from proxygen.model.material import LARGEST
from proxygen.model.x509 import chain_of, facts_found
from proxygen.plan.ownership import leads_to


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A certificate with its key in files; *refusal* tells why clients would not accept it.

    *names* are those that a model can have, *known* tells that its CA is one that this system
    knows, *length* how many certificates are presented. *bundle* is None where the files cannot be
    used at all. *chain* is the file with the intermediates, where they stand apart. *ours*: the
    files are proxygen's own.
    """

    certificate: Path
    key: Path
    names: tuple[str, ...] = ()
    bundle: Bundle | None = None
    refusal: str = ""
    known: bool = False
    length: int = 0
    chain: Path | None = None
    ours: bool = False

    @property
    def trust(self) -> tuple[bool, bool, int]:
        """By what clients take the one rather than the other."""
        return not self.refusal, self.known, self.length

    @property
    def mark(self) -> str:
        """What tells it from others: that of its leaf."""
        return self.bundle.fingerprint if self.bundle else str(self.certificate)


class PairJudge:
    """Judges pairs as supplied ones are, in a process apart, each once."""

    def __init__(self, apart: Apart, now: datetime, own: Path) -> None:
        self.apart = apart
        self.own = own
        self.now = now
        self.known: dict[tuple[Path, ...], JudgedPair] = {}
        self.roots: tuple[x509.Certificate, ...] | None = None

    def pair(self, *paths: Path) -> JudgedPair:
        """Return the pair in files, judged."""
        if paths not in self.known:
            try:
                self.known[paths] = self.judged(paths)
            except (IssueFailed, OSError) as error:
                words = error.what if isinstance(error, IssueFailed) else str(error)
                self.known[paths] = JudgedPair(paths[0], paths[-1], refusal=words)
        return self.known[paths]

    def judged(self, given: tuple[Path, ...]) -> JudgedPair:
        """Return likewise; raise IssueFailed or OSError for files that cannot be used."""
        paths = tuple(dict.fromkeys(given))
        for path in paths:
            if not is_nameable(path):
                raise OSError(errno.EINVAL, "this can be no path in a model", ascii(str(path)))
        held = files.read_together(paths, LARGEST)
        pair = self.apart.assemble(tuple(zip(map(str, paths), held, strict=True)), None)
        told, chain = facts_found(pair), chain_of(pair)
        if self.roots is None:
            self.roots = system_roots()
        certificate, key, more = files_by_role(dict(zip(paths, held, strict=True)), pair.fullchain)
        return JudgedPair(
            certificate,
            key,
            tuple(names_for_a_model(told.names)),
            told,
            self.refusal(pair),
            leads_to(chain, self.roots),
            len(chain),
            more,
            any(path.is_relative_to(self.own) for path in paths),
        )

    def refusal(self, pair: KeyAndChain) -> str:
        """Return why clients would not accept a pair, empty where they would."""
        try:
            require_usable(pair, (), self.now)
        except IssueFailed as error:
            return error.what
        return ""


def files_by_role(held: dict[Path, bytes], fullchain: bytes) -> tuple[Path, Path, Path | None]:
    """Return which files have the leaf and the key, and the intermediates where they stand apart.

    By what they hold; one that has everything counts for both.
    """
    bare = {path: b"".join(content.split()) for path, content in held.items()}
    blocks = [b"".join(each.split()) for each in fullchain.split(b"-----BEGIN CERTIFICATE-----")]

    def having(part: bytes) -> list[Path]:
        return [path for path, content in bare.items() if part and part in content]

    first, *more = held
    leaf = next(iter(having(b"".join(blocks[1:2]))), first)
    key = next(iter(having(b"PRIVATEKEY-----")), more[-1] if more else first)
    chain = having(b"".join(blocks[2:3]))
    return leaf, key, next(iter(chain), None) if leaf not in chain else None


def names_for_a_model(names: Iterable[str]) -> Iterable[str]:
    """Yield the names that a model can have."""
    for name in names:
        try:
            yield extra_name(name)
        except BadName:
            continue
