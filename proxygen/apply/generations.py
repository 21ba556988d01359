"""Generations: built beside what serves, kept for the way back, and purged."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxygen.errors import ServiceError
from proxygen.failure import Scope, failure
from proxygen.host import files
from proxygen.model.certificate import Bundle
from proxygen.model.layout import CHAIN, Live
from proxygen.observe.installed import (
    MANIFEST,
    SCOPE,
    certificate_links,
    generation_texts,
    group_of,
    manifest_of,
)
from proxygen.observe.services import is_as_written
from proxygen.plan.compare import SECOND, is_damaged
from proxygen.plan.observed import Installed
from proxygen.plan.rendering import VERSION, Rendering, chain_of, digests_in
from proxygen.services import Additions, Endpoint
from proxygen.stores.bundles import Bundles


@dataclass(frozen=True, slots=True)
class Generations:
    """The generations of one service; *installed* is what was found when the run began."""

    service: str
    live: Live
    installed: Installed

    # Building beside what serves.

    def build(self, wanted: Rendering, bundles: Bundles, damaged: Collection[str] = ()) -> str:
        """Return the generation's name; write it and its certificates if they do not exist yet.

        Certificates that are *damaged* are written again. The user who reads certificates for what
        serves now may go on until another generation serves.
        """
        group = group_of(wanted.readers)
        entering = group or group_of(self.installed.manifest.get("readers"))
        files.folder(self.live.folder, 0o711)
        files.folder(self.live.generations, 0o711)
        files.folder(self.live.certificates, 0o700 if entering is None else 0o750, entering)
        there = self.installed.readable(wanted.readers) & set(files.names(self.live.certificates))
        for name, bundle in wanted.certificates.items():
            if name not in there or name in damaged:
                self.write_certificate(name, bundle, bundles, group)
        for each in wanted.additions.values():
            if each and not self.has(each):
                self.write_additions(each)
        return self.generation(wanted)

    def has(self, additions: Additions) -> bool:
        """Return whether the administrator's directives are stored as they are now."""
        known = additions.digest in self.installed.additions
        return known and (self.live.additions / additions.digest).is_dir()

    def write_additions(self, additions: Additions) -> None:
        """Store the administrator's directives, which may hold passwords, as they are now."""
        files.folder(self.live.additions, 0o700)
        with files.new_folder(self.live.additions / additions.digest, 0o700) as new:
            for name, text in additions.files:
                files.write(new / name, files.encode_text(text), 0o600)
            files.write(new / SCOPE, json.dumps({"scope": additions.scope}).encode(), 0o600)

    def generation(self, wanted: Rendering) -> str:
        """Return the name of the whole generation on disk; write it if it does not exist.

        The one that serves is never written again: if somebody changed its files, a second one with
        the same content takes its place.
        """
        present = self.installed
        if not is_damaged(wanted, present) and present.generation is not None:
            return present.generation
        name = f"{wanted.id}{SECOND}" if present.generation == wanted.id else wanted.id
        if not self.whole(name, wanted):
            self.write_generation(name, wanted)
        return name

    def whole(self, name: str, wanted: Rendering) -> bool:
        """Return whether a generation that does not serve is complete on disk."""
        path = self.live.generations / name
        there = (generation_texts(path), certificate_links(path), manifest_of(path))
        return there == (wanted.files, wanted.links, wanted.manifest)

    def write_certificate(
        self, name: str, bundle: Bundle, bundles: Bundles, group: int | None
    ) -> None:
        """Write one certificate, with its key or alone; the mode is set before the content."""
        path, mode = self.live.certificates / name, 0o600 if group is None else 0o640
        if name in self.installed.former and is_as_written(path):
            files.write(path, files.read(path) or b"", mode, group)
            return
        material = bundles.material(bundle)
        if material is None:
            bundles.forget(bundle)
            raise ServiceError(failure("stored-key-damaged", Scope.OWNER, bundle.owner))
        content = material.fullchain if name == chain_of(bundle) else material.pem
        files.write(path, content, mode, group)

    def damaged(self, wanted: Rendering) -> frozenset[str]:
        """Return which certificates are on disk but not as written; without chains."""
        found = ((name, self.live.certificates / name) for name in wanted.certificates)
        whole = [(name, path) for name, path in found if not name.endswith(CHAIN)]
        return frozenset(name for name, path in whole if path.exists() and not is_as_written(path))

    def write_generation(self, name: str, wanted: Rendering) -> None:
        """Write a whole generation under a temporary name, then rename it."""
        with files.new_folder(self.live.generations / name, 0o755) as new:
            for file, text in wanted.files.items():
                files.write(new / file, files.encode_text(text), 0o644)
            for file, certificate in wanted.links.items():
                files.link(new / file, f"../../certificates/{certificate}")
            noted = wanted.manifest | {VERSION: wanted.version}
            files.write(new / MANIFEST, json.dumps(noted).encode(), 0o644)

    # The way back.

    def former(self) -> str | None:
        """Return the generation to go back to; a killed run noted it before it switched."""
        if not self.installed.begun:
            return self.installed.generation
        noted = files.read_note(self.live.folder / "begun").get("former")
        return noted if noted in files.names(self.live.generations) else None

    def before_present(self) -> str | None:
        """Return the generation that served before the present one, as far as is known.

        After a run that was killed, this is the one that served before it.
        """
        noted = self.former() if self.installed.begun else self.noted_former()
        there = noted in files.names(self.live.generations)
        return noted if there and noted != self.installed.generation else None

    def noted_former(self) -> str | None:
        """Return the generation that was noted for `rollback`."""
        noted = files.read(self.live.folder / "former")
        return noted.decode("ascii", "replace").strip() if noted else None

    def note_former(self, generation: str | None) -> None:
        """Note the generation that served before this run, for `rollback`."""
        if generation:
            files.write(self.live.folder / "former", generation.encode())

    def endpoints_of(self, generation: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of a generation, with the certificates that clients saw there."""
        noted = manifest_of(self.live.generations / generation).get("endpoints", ())
        return tuple(self.endpoint(*each) for each in noted)

    def endpoint(
        self,
        address: str,
        port: int,
        name: str,
        starttls: str | None,
        proxied: bool,
        shown: str | None,
    ) -> Endpoint:
        """Return an endpoint as it was noted in a manifest."""
        first, _, second = (shown or "").partition("+")
        return Endpoint(
            *(self.service, address, port, name),
            bundle=bundle_by_fingerprint(first) if first else None,
            starttls=starttls,
            proxy_protocol=proxied,
            beside=bundle_by_fingerprint(second) if second else None,
        )

    def parameters_of(self, generation: str) -> Mapping[str, str]:
        """Return the parameters that went with a generation."""
        found = manifest_of(self.live.generations / generation).get("parameters", {})
        return {str(name): str(value) for name, value in found.items()}

    def purge(self) -> None:
        """Keep what serves and what served before it; remove everything else, certificates too."""
        kept = self.purge_but(self.in_use)
        if kept and not any(manifest["readers"] for manifest in kept):
            self.close_certificates()

    def purge_refused(self) -> None:
        """Remove what was built and refused, with its keys and directives.

        What served when the run began may be what is gone back to.
        """
        self.purge_but(self.in_use | {self.former()})

    @property
    def in_use(self) -> set[str | None]:
        """The generation that serves, and the one that served before it."""
        return {Path(files.link_target(self.live.current) or "").name, self.noted_former()}

    def purge_but(self, keep: Collection[str | None]) -> list[dict[str, Any]]:
        """Remove all other generations and what only they need; return the manifests of those kept.

        None if one is lost: without it nobody knows what a generation needs.
        """
        for name in files.names(self.live.generations):
            if name not in keep:
                files.remove(self.live.generations / name)
        kept = [manifest_of(self.live.generations / each) for each in keep if each]
        if not all(kept):
            return []
        needed = {name for manifest in kept for name in manifest["certificates"]}
        for name in files.names(self.live.certificates):
            if name not in needed:
                (self.live.certificates / name).unlink()
        used = {digest for manifest in kept for digest in digests_in(manifest).values()}
        for name in files.names(self.live.additions):
            if name not in used:
                files.remove(self.live.additions / name)
        return kept

    def close_certificates(self) -> None:
        """Let only root read the certificates, once no generation that is kept needs more."""
        for name in self.installed.shared & set(files.names(self.live.certificates)):
            (self.live.certificates / name).chmod(0o600)
        if self.live.certificates.is_dir():
            self.live.certificates.chmod(0o700)


def bundle_by_fingerprint(fingerprint: str) -> Bundle:
    """Return a bundle of which only the leaf's fingerprint is known."""
    never = datetime.fromtimestamp(0, UTC)
    return Bundle(
        owner="",
        names=(),
        issuer="",
        issued_by="",
        not_before=never,
        not_after=never,
        serial="",
        fingerprint=fingerprint,
        spki="",
        digest="",
        key_type="",
    )
