"""Installation: the exact files, links and parameters that a service should have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from proxygen.model.certificate import Bundle
from proxygen.model.hosts import is_address
from proxygen.model.layout import Live, certificate_file, chain_file
from proxygen.plan.render import Templates, render_template
from proxygen.services import Additions, Endpoint, Pointer, Wanted


@dataclass(frozen=True)
class Rendering:
    """What one service should have; *id* names its generation and is a hash of all of it.

    *files*: texts by name. *certificates*: bundles by the name of their file. *links*: names in the
    generation with the certificate file that they lead to. *parameters*: what to set in the
    service's own configuration. *endpoints*: where clients must see it. *version*: the version of
    the service that it is written for; the same files may do for others. *addresses*: the addresses
    of names as written into the files. *additions*: the administrator's directives that the files
    include, None for an owner that is answered with 503. *overrides*: his templates from which they
    were rendered.
    """

    service: str
    live: Live
    files: Mapping[str, str]
    links: Mapping[str, str]
    certificates: Mapping[str, Bundle]
    pointer: Pointer | None
    parameters: Mapping[str, str]
    readers: str | None
    endpoints: tuple[Endpoint, ...] = field(repr=False)
    id: str
    version: tuple[int, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    additions: Mapping[str, Additions | None] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def pointer_text(self) -> str:
        """The content of the pointer file."""
        return pointer_text(self.pointer, self.live.current) if self.pointer else ""

    @cached_property
    def served(self) -> dict[str, str]:
        """What clients get for each name; see ``mark_of``."""
        return served_fingerprints(self.manifest)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What is stored beside the files of a generation, in JSON's types."""
        return {
            "certificates": sorted(self.certificates),
            "parameters": dict(self.parameters),
            "readers": self.readers,
            OVERRIDES: dict(self.overrides),
            ADDITIONS: {
                scope: each.digest if each else CLOSED for scope, each in self.additions.items()
            },
            "addresses": {name: list(found) for name, found in self.addresses.items()},
            "endpoints": [
                [
                    *(each.address, each.port, each.server_name, each.starttls),
                    *(each.proxy_protocol, each.shown),
                ]
                for each in self.endpoints
            ],
        }


VERSION = "version"
"""What is noted besides in the manifest, but makes no difference."""


def mark_of(shown: str) -> str:
    """Return the beginnings of the leaves' fingerprints that clients get (``Endpoint.shown``)."""
    return "+".join(each[:16] for each in shown.split("+"))


def served_fingerprints(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what clients get for each name; see ``mark_of``."""
    return {
        name: mark_of(shown)
        for _, _, name, _, _, shown in manifest.get("endpoints", ())
        if shown and name and not name.endswith(NOBODYS)
    }


def shown_to_others(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the names under which clients get a certificate without asking for its names.

    These are unknown names, and none (empty).
    """
    return frozenset(
        name
        for _, _, name, _, _, shown in manifest.get("endpoints", ())
        if shown and (not name or name.endswith(NOBODYS))
    )


def addresses_in(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the addresses of names with which a generation was written."""
    noted = manifest.get("addresses")
    pairs = noted.items() if isinstance(noted, dict) else ()
    lists = {name: found for name, found in pairs if isinstance(found, list)}
    return {
        name: tuple(each for each in found if isinstance(each, str) and is_address(each))
        for name, found in lists.items()
    }


ADDITIONS = "additions"
CLOSED = ""
"""What is noted for an owner whose directives are refused, and that never had others."""


def digests_in(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the administrator's directives in a generation, by scope."""
    noted = manifest.get(ADDITIONS)
    pairs = noted.items() if isinstance(noted, dict) else ()
    return {scope: digest for scope, digest in pairs if isinstance(digest, str)}


OVERRIDES = "overrides"


def overrides_in(manifest: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the administrator's templates of a generation, None if unknown."""
    noted = manifest.get(OVERRIDES)
    if not isinstance(noted, dict):
        return None
    return {name: text for name, text in noted.items() if isinstance(text, str)}


def closed_in(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the owners that a generation answers with 503."""
    return frozenset(scope for scope, digest in digests_in(manifest).items() if digest == CLOSED)


NOBODYS = ".invalid"
"""Names below it are only asked for to see that they are nobody's (RFC 6761 section 6.4)."""

MASK = "*.conf"
"""The files of a generation that a service includes."""

HEADER = "# Written by proxygen; `proxygen uninstall` removes it. What it includes is proxygen's.\n"


def pointer_text(pointer: Pointer, target: Path) -> str:
    """Return the pointer's text: the include of the generation at *target*."""
    return f"{HEADER}{pointer.directive(str(target / MASK))}\n"


def rendering_of(
    service: str,
    wanted: Wanted,
    pointer: Pointer | None,
    endpoints: Iterator[Endpoint],
    templates: Templates,
    live: Live,
    version: tuple[int, ...] = (),
    overrides: Mapping[str, str] | None = None,
) -> Rendering:
    """Return what the service of that name should have, rendered; raise ServiceError."""
    files = {each.name: render_template(templates, each) for each in wanted.files}
    links = {name: file_of(bundle) for name, bundle in wanted.links.items()}
    links |= {name: chain_of(bundle) for name, bundle in wanted.chains.items()}
    needed = {file_of(bundle): bundle for bundle in (*wanted.certificates, *wanted.links.values())}
    needed |= {chain_of(bundle): bundle for bundle in wanted.chains.values()}
    parameters = (
        assigned_parameters(render_template(templates, wanted.parameters))
        if wanted.parameters
        else {}
    )
    parts = [files, links, sorted(needed), parameters, wanted.readers or ""]
    content = json.dumps(parts, sort_keys=True).encode()
    return Rendering(
        service=service,
        live=live,
        files=files,
        links=links,
        certificates=needed,
        pointer=pointer,
        parameters=parameters,
        readers=wanted.readers,
        endpoints=tuple(endpoints),
        id=hashlib.sha256(content).hexdigest()[:16],
        version=version,
        addresses=wanted.addresses,
        additions=wanted.additions,
        overrides=overrides or {},
    )


def assigned_parameters(text: str) -> dict[str, str]:
    """Return the parameters that a rendered template assigns, one `name = value` a line."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in sorted(pairs)}


def chain_of(bundle: Bundle) -> str:
    """Return the name of the file that holds only a bundle's chain."""
    return chain_file(bundle.owner, bundle.digest)


def file_of(bundle: Bundle) -> str:
    """Return the name of the file that holds a bundle with its key."""
    return certificate_file(bundle.owner, bundle.digest)
