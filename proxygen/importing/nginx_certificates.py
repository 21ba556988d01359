"""The certificates that nginx's configuration names: for sites, and for all else it does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

from proxygen.services.nginx_lexer import Directive, directives_below
from proxygen.services.nginx_others import file_for

CERTIFICATE, KEY = "ssl_certificate", "ssl_certificate_key"
VARIABLE = re.compile(r"\$(?:\{\w+\}|\w+)")
NO_FILE = re.compile(r"(?:data|engine|store):")


@dataclass(frozen=True, slots=True)
class WrittenPair:
    """A certificate with its key as nginx's configuration has them, maybe with variables."""

    certificate: str
    key: str
    folder: Path

    @property
    def is_plain(self) -> bool:
        """Whether both are files whose names are known."""
        return bool(file_for(self.certificate, "") and file_for(self.key, ""))

    def paths(self, name: str = "") -> tuple[Path, Path] | None:
        """Return the files for a name that clients ask for; None where nobody knows which."""
        found = [file_for(each, name) for each in (self.certificate, self.key)]
        return (self.folder / found[0], self.folder / found[1]) if all(found) else None

    def may_be(self, file: Path) -> bool:
        """Return whether that file may be the certificate, whatever its variables come to."""
        if NO_FILE.match(self.certificate) or self.certificate.startswith("$"):
            return True
        parts = VARIABLE.split(str(self.folder / self.certificate))
        pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
        return any(pattern.fullmatch(each) for each in (str(file), realpath(file)))


@dataclass(frozen=True, slots=True)
class UsedPair:
    """A certificate with its key that *where* (FILE:LINE) names, for something else than a site."""

    written: WrittenPair
    where: str


def written_pairs(server: Directive, http: Directive, folder: Path) -> tuple[WrittenPair, ...]:
    """Return the certificates of a server block; those of `http` are for who has none."""
    certificates, keys = (
        [each.arguments[0] for each in server.all(name) or http.all(name) if each.arguments]
        for name in (CERTIFICATE, KEY)
    )
    found = zip(certificates, keys, strict=False)
    return tuple(WrittenPair(*pair, folder) for pair in found)


def pairs_for(
    written: Sequence[WrittenPair], names: Collection[str]
) -> Iterator[tuple[Path, Path]]:
    """Yield the files of certificates, with those for each of the *names* by which they differ."""
    for each in written:
        asked = [""] if each.is_plain else names
        yield from filter(None, map(each.paths, asked))


def used_elsewhere(whole: Sequence[Directive], folder: Path) -> Iterator[UsedPair]:
    """Yield what `stream` and `mail` show, and what nginx shows to the servers behind it."""
    for top in whole:
        for level in (top, *directives_below(top)):
            yield from used_at(level, folder, is_web=top.name == "http")


def used_at(level: Directive, folder: Path, *, is_web: bool) -> Iterator[UsedPair]:
    """Yield what a block itself names, but what is shown to browsers."""
    for each in level.block:
        if not each.name.endswith(CERTIFICATE) or (is_web and each.name == CERTIFICATE):
            continue
        for key in level.all(f"{each.name}_key") or [each]:
            if each.arguments and key.arguments:
                pair = WrittenPair(each.arguments[0], key.arguments[0], folder)
                yield UsedPair(pair, each.where)
