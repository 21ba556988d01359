"""One service: from what serves to what is wanted, or back; never in between.

The new files are built beside the old ones, checked by the service itself, switched by one
rename, and only then is the service reloaded and looked at from outside. Until that was
right, ``begun`` stands in its folder: the next run finishes what a killed one began.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxygen.apply import staging
from proxygen.apply.parameters import Parameters
from proxygen.apply.probe import Seen, wrong
from proxygen.bundles import Bundles
from proxygen.errors import CheckFailed, NotServed, ServiceError
from proxygen.host import files, processes
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.observe import MANIFEST, SETTINGS, UNSERVED, group_of, manifest_of
from proxygen.plan.compare import SECOND, damaged
from proxygen.plan.installation import Installation, chain_of, pointing
from proxygen.plan.observed import ServiceState
from proxygen.services import Endpoint

PATIENCE = 15.0
"""Seconds within which a reloaded service must serve what is wanted, and a bit more for many."""
A_SECOND = 300
"""Endpoints for which it is given one second more; a loaded core looks at 600 in that time."""

Wrong = tuple[tuple[Endpoint, Seen], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What to switch to; a *generation* of None takes all of ours out."""

    generation: str | None
    parameters: Mapping[str, str]


class LiveService:
    """One service as this host has it, with the means to change it."""

    def __init__(self, module: Any, state: ServiceState, layout: Layout) -> None:
        if state.facts is None:
            raise state.error or ServiceError(f"{state.name} was not looked at")
        self.name = state.name
        self.module = module
        self.state = state
        self.facts = state.facts
        self.settings = state.settings
        self.live = layout.live(state.name)
        self.pointer = module.pointer(state.facts)
        self.parameters = Parameters(
            module, state.facts, self.live.folder, layout.former(state.name)
        )
        self.former = self.former_generation()

    def former_generation(self) -> str | None:
        """Return the generation to go back to; a killed run noted it before it switched."""
        installed = self.state.installed
        if not installed.begun:
            return installed.generation
        noted = files.noted(self.live.folder / "begun").get("former")
        return noted if noted in files.names(self.live.generations) else None

    def before_present(self) -> str | None:
        """Return the generation that served before the present one, as far as is known.

        After a run that was killed this is the one that served before it.
        """
        noted = self.former if self.state.installed.begun else self.noted_former()
        there = noted in files.names(self.live.generations)
        return noted if there and noted != self.state.installed.generation else None

    def noted_former(self) -> str | None:
        """Return the generation that was noted for `rollback`."""
        noted = files.read(self.live.folder / "former")
        return noted.decode("ascii", "replace").strip() if noted else None

    def note_former(self, generation: str | None) -> None:
        """Note the generation that served before this run, for `rollback`."""
        if generation:
            files.write(self.live.folder / "former", generation.encode())

    def note_settings(self) -> None:
        """Note the settings, with which the service can be given back without the model."""
        text = self.settings.model_dump_json(by_alias=True).encode()
        if files.read(self.live.folder / SETTINGS) != text:
            files.write(self.live.folder / SETTINGS, text)

    def note_served(self, *, well: bool) -> None:
        """Note whether clients see what is wanted, so that the next run looks again if not."""
        path = self.live.folder / UNSERVED
        if well:
            path.unlink(missing_ok=True)
        else:
            files.write(path, b"")

    # Building beside what serves.

    def build(self, wanted: Installation, bundles: Bundles) -> Target:
        """Write the certificates and the generation that are not there yet, durably.

        Whoever reads certificates for what serves now may go on to until another one does.
        """
        group = group_of(wanted.readers)
        entering = group or group_of(self.state.installed.manifest.get("readers"))
        files.folder(self.live.folder, 0o711)
        files.folder(self.live.generations, 0o711)
        files.folder(self.live.certificates, 0o700 if entering is None else 0o750, entering)
        present = self.state.installed.readable(wanted.readers)
        for name, bundle in wanted.certificates.items():
            if name not in present:
                self.write_certificate(name, bundle, bundles, group)
        return Target(self.generation(wanted), wanted.parameters)

    def generation(self, wanted: Installation) -> str:
        """Return the name of the whole generation on disk, written if it is not there.

        The one that serves is never written again: where somebody changed its files, a second
        one of the same content takes its place.
        """
        present = self.state.installed
        if not damaged(wanted, present) and present.generation is not None:
            return present.generation
        name = f"{wanted.id}{SECOND}" if present.generation == wanted.id else wanted.id
        self.write_generation(name, wanted)
        return name

    def write_certificate(
        self, name: str, bundle: Bundle, bundles: Bundles, group: int | None
    ) -> None:
        """Write one certificate, with its key or alone; the mode is there before the content."""
        material = bundles.material(bundle)
        if material is None:
            bundles.forget(bundle)
            raise ServiceError(
                f"the stored key of {bundle.owner} is damaged, and was forgotten",
                remedy="run `proxygen apply`: it obtains a new certificate",
            )
        content = material.fullchain if name == chain_of(bundle) else material.pem
        mode = 0o600 if group is None else 0o640
        files.write(self.live.certificates / name, content, mode, group)

    def write_generation(self, name: str, wanted: Installation) -> None:
        """Write a whole generation under a passing name, then give it its own."""
        path = self.live.generations / name
        new = path.with_name(f"{name}.new")
        files.remove(new)
        files.folder(new, 0o755)
        for file, text in wanted.files.items():
            files.write(new / file, files.encoded(text), 0o644)
        for file, certificate in wanted.links.items():
            files.link(new / file, f"../../certificates/{certificate}")
        files.write(new / MANIFEST, json.dumps(wanted.manifest).encode(), 0o644)
        files.remove(path)
        new.rename(path)
        files.sync_folder(self.live.generations)

    # Checking, while what serves is untouched.

    def check(self, target: Target) -> None:
        """Have the service check its complete configuration; raise CheckFailed."""
        words = self.refusal(target)
        if words is None:
            return
        if foreign := self.refusal_without_ours():
            raise CheckFailed(
                f"{self.name} refuses its configuration even without proxygen's part",
                where=str(self.facts.main),
                remedy="correct it (the words below name the place), then run `proxygen apply`; "
                "proxygen changed nothing",
                words=foreign,
            )
        raise CheckFailed(
            f"{self.name} refused the new configuration",
            where=str(self.facts.main),
            remedy="correct what it names, then run `proxygen apply`; the former files still serve",
            words=words,
        )

    def refusal(self, target: Target) -> str | None:
        """Return why the service refuses the configuration with *target*, None if it does not."""
        folder = self.live.generations / target.generation if target.generation else None
        if self.pointer:
            with staging.included(self.facts.main, self.pointer, folder) as main:
                return self.asked(main)
        with staging.copied(self.facts.main, self.live.folder / "check") as main:
            values = {
                name: value.replace(str(self.live.current), str(folder))
                for name, value in target.parameters.items()
            }
            self.parameters.change(main, self.parameters.changes(values))
            return self.asked(main)

    def refusal_without_ours(self) -> str | None:
        """Return why the service refuses what is the administrator's alone."""
        if self.pointer:
            return self.refusal(Target(None, {}))
        return self.asked(self.facts.main)

    def asked(self, main: Path) -> str | None:
        """Return the refusal of the configuration whose main file is *main*."""
        commands = self.module.check(self.facts, self.settings, main)
        words: str | None = self.module.refused([processes.run(each) for each in commands])
        return words and words.replace(f"/{staging.PREFIX}", "/")

    # Switching.

    def switch(self, target: Target) -> None:
        """Put *target* in place. The order keeps every instant one from which a start works."""
        if target.generation is None:
            self.take_out()
            return
        files.link(self.live.current, f"generations/{target.generation}")
        if self.pointer:
            text = pointing(self.pointer, self.live.current)
            if files.text(self.pointer.path) != text:
                files.write(self.pointer.path, files.encoded(text), 0o644)
        else:
            self.parameters.set(target.parameters)

    def take_out(self) -> None:
        """Take ours out of the service's own configuration, the pointer first."""
        if self.pointer:
            files.remove(self.pointer.path)
        else:
            self.parameters.give_back()
        files.remove(self.live.current)

    def put_back(self) -> None:
        """Make what served before serve again."""
        if self.former is None:
            self.take_out()
        else:
            self.switch(Target(self.former, self.parameters_of(self.former)))

    def endpoints_of(self, generation: str) -> tuple[Endpoint, ...]:
        """Return where clients saw a generation, and what."""
        return tuple(
            Endpoint(self.name, address, port, name, shown and known(shown), starttls, proxied)
            for address, port, name, starttls, proxied, shown in manifest_of(
                self.live.generations / generation
            ).get("endpoints", ())
        )

    def parameters_of(self, generation: str) -> Mapping[str, str]:
        """Return the parameters that went with a generation."""
        found = manifest_of(self.live.generations / generation).get("parameters", {})
        return {str(name): str(value) for name, value in found.items()}

    # The running service.

    def reload(self) -> None:
        """Reload, and be sure that it happened; raise ServiceError."""
        if self.state.pid is None:
            return
        workers = processes.workers(self.state.pid) if self.module.WORKERS else frozenset()
        logged = files.size(self.facts.log)
        answer = processes.run(self.module.reload(self.facts, self.settings))
        if answer.code != 0:
            raise ServiceError(f"{self.name} did not reload", words=answer.words)
        if self.module.WORKERS and not processes.replaced(self.state.pid, workers):
            command = self.module.reload(self.facts, self.settings)
            raise ServiceError(
                f"{self.name} was told to reload, but its old workers still serve",
                remedy=f"see its error log {self.facts.log or ''}, then run `{command}`",
                words=self.complaints(logged),
            )

    def complaints(self, since: int) -> str:
        """Return the grave lines that the service wrote into its log, each once."""
        lines = files.added(self.facts.log, since).splitlines() if self.facts.log else []
        grave = (line for line in lines if "[emerg]" in line or "[alert]" in line)
        return "\n".join(dict.fromkeys(line.partition("] ")[2] or line for line in grave))

    def purge(self) -> None:
        """Keep what serves and what served before it; remove all else, certificates too."""
        keep = {Path(files.linked(self.live.current) or "").name, self.noted_former()}
        for name in files.names(self.live.generations):
            if name not in keep:
                files.remove(self.live.generations / name)
        kept = [manifest_of(self.live.generations / each) for each in keep if each]
        if not all(kept):
            return  # without its manifest nobody knows what a generation needs
        needed = {name for manifest in kept for name in manifest["certificates"]}
        for name in files.names(self.live.certificates):
            if name not in needed:
                (self.live.certificates / name).unlink()
        if not any(manifest["readers"] for manifest in kept):
            self.close_certificates()

    def close_certificates(self) -> None:
        """Let only root read the certificates, now that no kept generation needs more."""
        for name in self.state.installed.shared & set(files.names(self.live.certificates)):
            (self.live.certificates / name).chmod(0o600)
        if self.live.certificates.is_dir():
            self.live.certificates.chmod(0o700)


def known(fingerprint: str) -> Bundle:
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


def bring(
    service: LiveService,
    target: Target,
    endpoints: tuple[Endpoint, ...],
    say: Callable[[str], None],
    before: str | None,
) -> None:
    """Check *target*, switch to it, reload and verify; put back what served when it fails.

    *before* is the generation that served before this run, to which `rollback` leads. Raises
    CheckFailed when the service refuses (nothing was switched), ServiceError when it was put
    back, NotServed when *target* is in place but a client sees something else for a reason that
    is not ours.
    """
    files.folder(service.live.folder, 0o711)
    service.check(target)
    service.note_settings()
    begun = service.live.folder / "begun"
    files.write(begun, json.dumps({"former": service.former}).encode())
    try:
        service.switch(target)
        if service.state.pid is not None:
            say(f"reload {service.name}")
        service.reload()
        bad = verified(service, endpoints, say)
    except (ServiceError, OSError) as error:
        undo(service, begun)
        raise taken_back(service.name, error) from error
    if bad:
        blame(service, target, bad)
    if target.generation not in (None, before):
        service.note_former(before)
    files.remove(begun)
    service.purge()
    conclude(service, bad)


def look_again(
    service: LiveService, endpoints: tuple[Endpoint, ...], say: Callable[[str], None]
) -> None:
    """See whether clients are shown by now what they were not; raise NotServed while not."""
    conclude(service, verified(service, endpoints, say))


def conclude(service: LiveService, bad: Wrong) -> None:
    """Note whether all is served as wanted; raise NotServed if not."""
    running = service.state.pid is not None
    service.note_served(well=running and not bad)
    if not running:
        raise NotServed(
            f"{service.name} is not running; its files are in place for its next start",
            remedy=f"start it, for instance with `systemctl start {service.name}`",
        )
    if bad:
        raise not_served(service.name, bad)


def verified(
    service: LiveService, endpoints: tuple[Endpoint, ...], say: Callable[[str], None]
) -> Wrong:
    """Return the endpoints at which a client does not see what is wanted."""
    if service.state.pid is None or not endpoints:
        return ()
    say(f"verify {service.name}: {len(endpoints)} connections as a client")
    return wrong(endpoints, deadline=PATIENCE + len(endpoints) / A_SECOND)


def taken_back(name: str, error: ServiceError | OSError) -> ServiceError:
    """Return the error of a change that was taken back."""
    if isinstance(error, OSError):
        remedy = "make room or repair it, then run `proxygen apply`"
        error = ServiceError(f"{name} could not be changed: {error}", remedy=remedy)
    remedy = f"the former files are back in place; {error.remedy}".rstrip("; ")
    return ServiceError(error.what, where=error.where, remedy=remedy, words=error.words)


def undo(service: LiveService, begun: Path) -> None:
    """Put back and reload; what served before was fine with the service."""
    service.put_back()
    service.reload()
    files.remove(begun)


def blame(service: LiveService, target: Target, bad: Wrong) -> None:
    """Find out whether the change is to blame for what clients see; put it back if so.

    With the former files back, an endpoint that shows the same as with the new ones is
    somebody else's doing (another program on the port, an override in a foreign file): then
    the new files serve again, since they harm nobody.
    """
    service.put_back()
    service.reload()
    before = dict(wrong(tuple(endpoint for endpoint, _ in bad), deadline=2.0))
    ours = tuple((endpoint, seen) for endpoint, seen in bad if before.get(endpoint) != seen)
    if ours:
        files.remove(service.live.folder / "begun")
        error = not_served(service.name, ours)
        raise ServiceError(
            f"{service.name} took the new configuration, but serves something else",
            remedy="the former files are back in place; look into its log for the reason",
            words=error.words,
        )
    service.switch(target)
    service.reload()


def not_served(name: str, bad: Wrong) -> NotServed:
    """Return the error that tells what clients see instead."""
    lines = [f"{endpoint}: {seen.words or f'shows {seen.fingerprint}'}" for endpoint, seen in bad]
    more = [f"… and {len(lines) - 20} more"] if len(lines) > 20 else []
    return NotServed(
        f"{name} does not serve what is wanted at {len(bad)} places",
        remedy="see what else listens there or overrides the certificate; then `proxygen apply`",
        words="\n".join(lines[:20] + more),
    )
