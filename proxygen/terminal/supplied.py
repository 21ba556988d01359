"""Certificates that the model names as files, as commands print them."""

from __future__ import annotations

from collections.abc import Iterable

from proxygen.model.hosts import readable
from proxygen.observe.named_files import Supplied
from proxygen.reports.by_cause import some
from proxygen.terminal.printing import echo

FEW = 3
"""Certificates with one problem that are told one by one."""


def show_supplied(files: Iterable[Supplied], *, verbose: bool, err: bool = False) -> None:
    """Print what is wrong with files: all with one problem together, those that are right last."""
    found: dict[str, list[Supplied]] = {}
    for each in files:
        found.setdefault(problem_of(each), []).append(each)
    right = found.pop("", [])
    for group in found.values():
        told = group if verbose or len(group) <= FEW else group[:1]
        for each in told:
            echo(str(each), err=err)
        if others := [readable(each.owner) for each in group[len(told) :]]:
            echo(f"the same is wrong with {len(others):,} more: {some(others)}", err=err)
    for each in right if verbose else ():
        echo(str(each), err=err)
    if right and not verbose:
        files_are = "certificate file is" if len(right) == 1 else "certificate files are"
        echo(f"{len(right):,} {files_are} right", err=err)


def problem_of(supplied: Supplied) -> str:
    """Return what is worth telling of a certificate, in a word; empty where all is right."""
    if supplied.error:
        return supplied.error.failure.code
    wrong = [each.check for each in supplied.verdicts if not each.ok]
    return " ".join(wrong) or ("note" if supplied.warnings else "")
