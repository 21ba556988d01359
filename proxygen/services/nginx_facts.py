"""nginx: what ``nginx -V`` and its configuration tell about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from proxygen.errors import ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.model.layout import Layout
from proxygen.services import Answer, WebFacts
from proxygen.services.nginx_settings import Settings

OLDEST = (1, 19, 5)
"""``ssl_reject_handshake`` came with 1.19.4, the option ``-e`` with 1.19.5."""

LONGEST_PORT = 5

SKIPPED = r"""\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
INCLUDE = r"""(?<![^\s;{}])include\s+(?P<quote>["']?)(?P<mask>[^\s;"']+)(?P=quote)\s*;|""" + SKIPPED


@dataclass(frozen=True, slots=True)
class NginxFacts(WebFacts):
    """What was found out about nginx.

    *openssl*: the version of the OpenSSL it uses, empty when unknown. *default_ports* are those
    for which somebody else's server block is the default.
    """

    openssl: tuple[int, ...] = ()
    default_ports: frozenset[int] = frozenset()


def main_file(settings: Settings, layout: Layout) -> Path:
    """Return the main configuration file."""
    if settings.configuration:
        return layout.host(settings.configuration)
    return layout.host("/etc/nginx/nginx.conf")


def pointer_file(main: Path) -> Path:
    """Return the one file of ours among nginx's own; the first that is included."""
    return main.parent / "conf.d" / "00-proxygen.conf"


def able(program: str, settings: Settings, built: str) -> tuple[int, ...]:
    """Return nginx's version; raise ServiceError when it lacks what we need."""
    version = numbers(r"nginx version: \S+?/([0-9.]+)", built)
    if version < OLDEST:
        raise ServiceError(too_old(version, program, built))
    if settings.proxy_protocol and "http_realip_module" not in built:
        raise ServiceError(failure("nginx-no-realip", Scope.SERVICE, "nginx", where=program))
    return version


def too_old(version: tuple[int, ...], program: str, built: str) -> Failure:
    """Return what is said of a version that lacks what we need, or is not told."""
    return failure(
        "nginx-too-old" if version else "nginx-no-version",
        Scope.SERVICE,
        "nginx",
        where=program,
        words=built[:1000],
        oldest=dotted(OLDEST),
        version=dotted(version),
    )


def configuration(answer: Answer, main: Path, built: str) -> str:
    """Return nginx's configuration without comments and strings; it must include our file."""
    if answer.code:
        compiled = option("conf-path", built)
        raise ServiceError(
            failure(
                "nginx-unreadable-there" if compiled else "nginx-unreadable",
                Scope.SERVICE,
                "nginx",
                where=main,
                words=answer.words,
                compiled=compiled or "",
            )
        )
    ours = pointer_file(main)
    masks = (match["mask"] for match in re.finditer(INCLUDE, answer.out) if match["mask"])
    if not any(ours.match(str(main.parent / mask)) for mask in masks):
        mask = f"{ours.parent}/*.conf"
        raise ServiceError(
            failure("nginx-not-including", Scope.SERVICE, "nginx", where=main, mask=mask)
        )
    return re.sub(SKIPPED, "", answer.out)


def numbers(pattern: str, text: str) -> tuple[int, ...]:
    """Return the dotted number that *pattern* finds; empty when it finds none."""
    match = re.search(pattern, text)
    return tuple(int(part) for part in match[1].split(".") if part) if match else ()


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as it is written."""
    return ".".join(map(str, version))


def directive(name: str, text: str) -> str | None:
    """Return the first argument of a directive in a configuration, without its quotes."""
    text = re.sub(SKIPPED, lambda match: "" if match[0].startswith("#") else match[0], text)
    match = re.search(rf"(?<![^\s;{{}}]){name}\s+(\"[^\"]*\"|'[^']*'|[^\s;]+)[^;]*;", text)
    return match[1].strip("\"'") if match else None


def option(name: str, built: str) -> str | None:
    """Return what nginx was built with (``nginx -V``)."""
    match = re.search(rf"--{name}=(\S+)", built)
    return match[1] if match else None


def pid_file(text: str, built: str, layout: Layout) -> Path:
    """Return where the master process leaves its id; a relative path is below the prefix."""
    if written := directive("pid", text):
        return layout.host(option("prefix", built) or "/") / written
    return layout.host(option("pid-path", built) or "/run/nginx.pid")


def error_log(text: str, built: str, layout: Layout) -> Path | None:
    """Return the file of the error log, None where it is no file."""
    written = directive("error_log", text) or option("error-log-path", built) or ""
    return layout.host(written) if written.startswith("/") else None


def default_ports(text: str) -> frozenset[int]:
    """Return the ports for which somebody else's server block is the default."""
    listens = re.findall(r"(?<![^\s;{}])listen\s+([^\s;]+)([^;]*);", text)
    defaults = (address for address, more in listens if "default" in more)
    ports = (match[1] if (match := re.search(r"(?:^|:)([0-9]+)$", a)) else "80" for a in defaults)
    return frozenset(int(port) for port in ports if len(port) <= LONGEST_PORT)


def addresses(text: str) -> dict[str, set[str]]:
    """Return where somebody else's server blocks listen on one address alone, by port."""
    found: dict[str, set[str]] = {}
    for listen in re.findall(r"(?<![^\s;{}])listen\s+([^\s;]+)", text):
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+)(?::(\d+))?", listen)
        if match and not match[1].isdigit() and match[1] not in ("0.0.0.0", "[::]"):
            found.setdefault(match[2] or "80", set()).add(f"{match[1]}:{match[2] or 80}")
    return found


def server_names(text: str) -> frozenset[str]:
    """Return the names that somebody else's server blocks answer for."""
    lists = re.findall(r"(?<![^\s;{}])server_name\s+([^;]+);", text)
    return frozenset(name.lower() for names in lists for name in names.split())


def quoted_names(text: str) -> frozenset[str]:
    """Return their regular expressions that stand in quotes, as those with braces have to."""
    kept = re.sub(SKIPPED, lambda match: "" if match[0].startswith("#") else match[0], text)
    lists = re.findall(r"(?<![^\s;{}])server_name\s+((?:\"[^\"]*\"|'[^']*'|[^;\"'])+);", kept)
    return frozenset(name for names in lists for name in re.findall(r"[\"'](~[^\"']*)", names))
