"""Certificates that the model names as files, as commands print them."""

from __future__ import annotations

from collections.abc import Iterable

from proxygen.languages.counts import some_names
from proxygen.model.hosts import readable_name
from proxygen.observe.named_files import SuppliedCertificate
from proxygen.terminal.printing import print_text

FEW = 3
"""Certificates with one problem that are told one by one."""


def show_supplied(
    files: Iterable[SuppliedCertificate], *, verbose: bool, err: bool = False
) -> None:
    """Print what is wrong with files: all with one problem together, those that are right last."""
    found: dict[str, list[SuppliedCertificate]] = {}
    for each in files:
        found.setdefault(problem_of(each), []).append(each)
    right = found.pop("", [])
    for group in found.values():
        told = group if verbose or len(group) <= FEW else group[:1]
        for each in told:
            print_text(str(each), err=err)
        if others := [readable_name(each.owner) for each in group[len(told) :]]:
            print_text(
                f"the same is wrong with {len(others):,} more: {some_names(others)}", err=err
            )
    for each in right if verbose else ():
        print_text(str(each), err=err)
    if right and not verbose:
        files_are = "certificate file is" if len(right) == 1 else "certificate files are"
        print_text(f"{len(right):,} {files_are} right", err=err)


def problem_of(supplied: SuppliedCertificate) -> str:
    """Return what is worth telling of a certificate, in a word; empty where all is right."""
    if supplied.error:
        return supplied.error.failure.code
    wrong = [each.check for each in supplied.verdicts if not each.ok]
    return " ".join(wrong) or ("note" if supplied.warnings else "")
