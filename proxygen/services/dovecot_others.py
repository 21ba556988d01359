"""What of others' in dovecot's configuration works against our file, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxygen.services import Pointer
from proxygen.services.dovecot_blocks import DovecotBlock
from proxygen.services.dovecot_files import FILTERS, SERVER, TLS, DovecotFiles, SettingLine

PRESENTS = re.compile(r"(ssl_|ssl_server_)?(alt_)?(cert|key)(_file)?")
CERTIFICATE = re.compile(r"ssl_(server_)?(alt_)?cert(_file)?")
MET = frozenset({"imap", "pop3", "sieve", "submission", "lmtp"})
"""The protocols that clients speak."""


def ours_left_out(files: DovecotFiles, own: Pointer, main: Path) -> Iterator[str]:
    """Yield a warning where dovecot does not read our file, and would not if it were there."""
    if not files.includes_ours:
        yield (
            f"dovecot: {main} does not include {own.path}, so dovecot would not read what proxygen"
            f" sets; write `{own.directive(str(own.path))}` as the last line of {main}, outside of"
            " any block"
        )


def later_settings(files: DovecotFiles, own: Pointer, folder: Path) -> list[str]:
    """Return a warning for each file that sets another certificate, or no TLS, after ours.

    Debian's main file includes ``local.conf`` last. A path in our *folder* is ours as well.
    """
    ours = (f"{folder}/", f"<{folder}/")
    last = {each.name: each for each in files.settings if not each.filters}
    later = [each for each in files.later() if each.value and not each.value.startswith(ours)]
    by_file: dict[Path, list[SettingLine]] = {}
    for each in later:
        if each.name != TLS:
            by_file.setdefault(each.path, []).append(each)
    return [
        *(
            f"dovecot: {told_lines(lines)}, which dovecot reads after proxygen's file, so clients"
            f" get another certificate than the global one; remove {these_lines(lines)}, or write"
            f" `{own.directive(str(own.path))}` below"
            for lines in by_file.values()
        ),
        *(
            f"dovecot: {told_lines([each])}, which dovecot reads after proxygen's file, so it"
            " offers no TLS; write `ssl = yes` in its place"
            for each in later
            if each.name == TLS and each.value == "no" and each == last[TLS]
        ),
    ]


def told_lines(lines: Sequence[SettingLine]) -> str:
    """Return where settings stand, and what there is to find."""
    return " and ".join(f"{each.place} has {each.written}" for each in lines)


def these_lines(lines: Sequence[SettingLine]) -> str:
    """Return the words for so many lines."""
    return "this line" if len(lines) == 1 else "these lines"


def overridden_certificate(root: DovecotBlock, ours: str, folder: Path) -> list[str]:
    """Return a warning where dovecot presents another certificate although *ours* is included.

    Where it is set is unknown. A path in our *folder* is ours as well.
    """
    settings = dict(root.settings)
    for block in root.named(SERVER):
        settings |= {f"{SERVER}_{name}": value for name, value in block.settings.items()}
    return [
        f"dovecot: a file that dovecot reads after proxygen's sets {name} = {path}, so"
        " clients get another certificate than the global one; remove that setting"
        for name, value in (settings.items() if ours else ())
        if (path := value.removeprefix("<"))
        if path not in ours and not path.startswith(f"{folder}/") and CERTIFICATE.fullmatch(name)
    ]


def foreign_filters(
    block: DovecotBlock, files: DovecotFiles, path: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield a warning for each filter that presents another certificate, or has no TLS."""
    for inner in block.blocks:
        inside = (*path, str(inner))
        if inner.kind in FILTERS or (path and inner.kind == SERVER):
            if concerns_clients(inside):
                yield from foreign_settings(inner, inside, files)
            yield from foreign_filters(inner, files, inside)


def concerns_clients(inside: tuple[str, ...]) -> bool:
    """Return whether clients meet what stands in filters: no protocol is one without clients."""
    protocols = [each.split()[1] for each in inside if each.startswith("protocol ")]
    return all(each in MET or each.startswith("!") for each in protocols)


def foreign_settings(
    block: DovecotBlock, inside: tuple[str, ...], files: DovecotFiles
) -> Iterator[str]:
    """Yield what is to be told of one filter, with the lines to remove where they are known."""
    where = files.within(each for each in inside if each != SERVER)
    names = [name for name, value in block.settings.items() if value and PRESENTS.fullmatch(name)]
    quoted = " / ".join(inside)
    if names:
        lines = [each for each in where if each.name != TLS and each.value]
        told = (
            f": {told_lines(lines)}; remove {these_lines(lines)}"
            if lines
            else "; remove these settings"
        )
        yield (
            f"dovecot: `{quoted}` sets {', '.join(names)}, so clients may get another certificate"
            f" than the global one{told}"
        )
    if block.settings.get(TLS) == "no" and block.kind != "remote":
        lines = [each for each in where if each.name == TLS][-1:]
        told = f": {told_lines(lines)}" if lines else ""
        yield (
            f"dovecot: `{quoted}` sets ssl = no, so clients are offered no TLS there{told}; write"
            " `ssl = yes` in its place if they are to have it"
        )
