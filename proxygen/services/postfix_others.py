"""What of others' in main.cf and master.cf has postfix present another certificate than ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from proxygen.services.main_cf import assignments
from proxygen.services.master_cf import MasterOption, options_in

MasterService = tuple[str, str]
"""Name and type of a service in master.cf."""

Overrides = Mapping[MasterService, Mapping[str, str]]
"""The ``-o`` options of master.cf, by service."""

PREFIXES = {"smtpd": "smtpd_tls", "tlsproxy": "tlsproxy_tls"}
"""The programs that show clients a certificate, and what begins the names of their parameters."""
CHAIN_FILES, SNI_MAPS = "chain_files", "tls_server_sni_maps"
PAIR = re.compile(r"(?:ec|d)?(?:cert|key)_file")
SAME_AS_OURS = re.compile(r"\$(?:smtpd_tls_chain_files|[{(]smtpd_tls_chain_files[)}])")


@dataclass(frozen=True)
class PostfixFiles:
    """The texts of main.cf, whose path is *main*, and of master.cf beside it."""

    main: Path
    main_text: str
    master_text: str

    @cached_property
    def options(self) -> dict[tuple[str, str, str], MasterOption]:
        """The last option for each parameter, by service, type and parameter."""
        found = options_in(self.master_text)
        return {(each.service, each.kind, each.name): each for each in found}

    def option(self, service: MasterService, parameter: str) -> tuple[str, str]:
        """Return where an option stands in master.cf, and its words; as far as that is known."""
        path, found = self.main.with_name("master.cf"), self.options.get((*service, parameter))
        return (f"{path}:{found.line}", found.written) if found else (str(path), f"-o {parameter}")

    def unexpanded(self, service: MasterService, parameter: str) -> str:
        """Return the value of an option as it is written."""
        found = self.options.get((*service, parameter))
        return found.value if found else ""

    def parameter(self, name: str) -> str:
        """Return where a parameter of main.cf stands: the last of its lines counts."""
        lines = [
            each.lines[0] for each in assignments(self.main_text.split("\n")) if each.name == name
        ]
        return f"{self.main}:{lines[-1] + 1}" if lines else str(self.main)


def foreign_certificates(
    files: PostfixFiles,
    present: Mapping[str, str],
    overrides: Overrides,
    programs: Mapping[MasterService, str],
    folder: Path,
) -> Iterator[str]:
    """Yield a warning for each service that presents, or would present, another certificate.

    *present* are the parameters of main.cf. What stands in our *folder* is ours.
    """
    for service, options in overrides.items():
        if prefix := PREFIXES.get(programs.get(service, "")):
            yield from foreign_options(files, service, prefix, options, folder)
            if not is_ours(present.get("smtpd_tls_chain_files", ""), folder):
                yield from ignored_options(files, service, prefix, options)
    own = present.get("tlsproxy_tls_chain_files", "")
    if "postscreen" in programs.values() and own and not is_ours(own, folder):
        yield (
            f"postfix: {files.parameter('tlsproxy_tls_chain_files')} sets"
            f" tlsproxy_tls_chain_files = {own}, so clients of postscreen get another certificate"
            " than the global one; remove that parameter"
        )


def foreign_options(
    files: PostfixFiles,
    service: MasterService,
    prefix: str,
    options: Mapping[str, str],
    folder: Path,
) -> Iterator[str]:
    """Yield a warning for each option that takes the place of what proxygen sets in main.cf.

    Pairs of certificate and key count only where files of chains are set to nothing (postconf(5)).
    """
    name = f"{prefix}_{CHAIN_FILES}"
    values = options.get(name), files.unexpanded(service, name)
    if values[0] is not None and not any(is_ours(each, folder) for each in values if each):
        yield foreign_option(files, service, name)
    if options.get(SNI_MAPS):
        yield foreign_option(files, service, SNI_MAPS)


def foreign_option(files: PostfixFiles, service: MasterService, parameter: str) -> str:
    """Return the warning about one option."""
    place, written = files.option(service, parameter)
    return (
        f"postfix: {place}: `{service[0]}` sets {parameter}, so its clients may get another"
        f" certificate than the global one; remove `{written}`"
    )


def ignored_options(
    files: PostfixFiles, service: MasterService, prefix: str, options: Mapping[str, str]
) -> Iterator[str]:
    """Yield a warning for what a service presents now, and does no more once ours is set."""
    if options.get(f"{prefix}_{CHAIN_FILES}") is not None:
        return
    for name, value in options.items():
        if name.endswith("cert_file") and PAIR.fullmatch(name.removeprefix(f"{prefix}_")) and value:
            place, written = files.option(service, name)
            yield (
                f"postfix: {place}: `{service[0]}` has a certificate of its own (`{written}`),"
                " which postfix ignores once proxygen sets smtpd_tls_chain_files: its clients then"
                " get the global one"
            )


def is_ours(value: str, folder: Path) -> bool:
    """Return whether files of chains are ours, all of them."""
    words = re.split(r"[\s,]+", value.strip(" ,"))
    return all(
        each.startswith(f"{folder}/") or SAME_AS_OURS.fullmatch(each) is not None for each in words
    )
