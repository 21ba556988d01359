"""One service of this host: checked, switched, reloaded.

The new files are built beside the old ones; the service itself checks them in its complete
configuration, one rename switches to them, and new workers prove a reload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from errno import EADDRINUSE
from pathlib import Path

from proxygen.apply.generations import Generations
from proxygen.assemble import Installation
from proxygen.errors import CheckFailed, ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.host import files, processes, staging
from proxygen.host.own_part import own_part
from proxygen.host.parameters import Parameters
from proxygen.observe.installed import SETTINGS, UNASKED, UNSERVED, written_for
from proxygen.observe.services import former_parameters, why_refused
from proxygen.plan.observed import ServiceState, dotted_version
from proxygen.plan.rendering import pointer_text

PORT_IN_USE = re.compile(rf" bind\(\) to .* failed \({EADDRINUSE}: ")
MOST_NOTED = 1000
"""Names that are noted of a service that shows something else; of more, nothing is known."""


@dataclass(frozen=True, slots=True)
class SwitchTarget:
    """What to switch to; a *generation* of None removes everything of ours.

    *code* is the failure if the service refuses it; *version*: for which it was written.
    """

    generation: str | None
    parameters: Mapping[str, str]
    code: str = "refused-new"
    version: str = ""


class LiveService:
    """One service of this host, with the means to change it."""

    def __init__(self, state: ServiceState, installation: Installation) -> None:
        if state.facts is None:
            unknown = failure("service-not-observed", Scope.SERVICE, state.name)
            raise state.error or ServiceError(unknown)
        service, layout = installation.services[state.name], installation.layout
        self.name = state.name
        self.service = service
        self.state = state
        self.facts = state.facts
        self.settings = state.settings
        self.live = layout.live(state.name)
        self.local = layout.etc / "nginx.d"
        self.own = own_part(
            service, state.settings, layout, former_parameters(installation.own, state.name)
        )
        self.pointer = self.own.pointer
        self.parameters = self.own.parameters
        self.generations = Generations(state.name, self.live, state.installed)
        self.former = self.generations.former()

    def note_settings(self) -> None:
        """Store the settings with which the service can be restored without the model."""
        text = self.settings.model_dump_json(by_alias=True).encode()
        if files.read(self.live.folder / SETTINGS) != text:
            files.write(self.live.folder / SETTINGS, text)

    def note_served(self) -> None:
        """Note that clients see what is wanted."""
        (self.live.folder / UNSERVED).unlink(missing_ok=True)

    def note_unserved(self, names: Iterable[str]) -> None:
        """Note that clients who ask for *names* see something else: the next run probes them.

        Without names, it is unknown what clients see. What is noted already is not written again.
        """
        wrong = sorted(set(names))
        text = json.dumps({"names": wrong if len(wrong) <= MOST_NOTED else []}).encode()
        if files.read(self.live.folder / UNSERVED) != text:
            files.write(self.live.folder / UNSERVED, text)

    def note_unasked(self, names: Collection[str]) -> None:
        """Note that clients of *names* were not probed yet: the next run does that."""
        path = self.live.folder / UNASKED
        text = json.dumps({"names": sorted(set(names))}).encode()
        if not names:
            path.unlink(missing_ok=True)
        elif files.read(path) != text:
            files.write(path, text)

    # Checking, while what serves is untouched.

    def check(self, target: SwitchTarget) -> None:
        """Have the service check its complete configuration; raise CheckFailed."""
        words = self.refusal(target)
        if words is None:
            return
        if foreign := self.refusal_without_ours():
            raise CheckFailed(self.failure("refused-without-ours", foreign))
        raise CheckFailed(self.failure(target.code, words, target.version))

    def failure(self, code: str, words: str, version: str = "") -> Failure:
        """Return the failure about its configuration, with its own words."""
        place = self.facts.main
        return failure(code, Scope.SERVICE, self.name, where=place, words=words, version=version)

    def refusal(self, target: SwitchTarget) -> str | None:
        """Return why the service refuses the configuration with *target*, None if it does not."""
        folder = self.live.generations / target.generation if target.generation else None
        if self.pointer:
            with staging.main_leading_to(
                self.facts.main, self.pointer, folder, self.live.current
            ) as main:
                return self.asked(main)
        with staging.copied_folder(self.facts.main, self.live.folder / "check") as main:
            if self.parameters:
                files.replace_text(main, self.text_with(self.parameters, target, folder))
            return self.asked(main)

    def text_with(self, parameters: Parameters, target: SwitchTarget, folder: Path | None) -> str:
        """Return the text of the main file with the generation in *folder*, or with none."""
        if folder is None:
            return parameters.given_back()
        values = {
            name: value.replace(str(self.live.current), str(folder))
            for name, value in target.parameters.items()
        }
        return parameters.with_values(values)

    def refusal_without_ours(self) -> str | None:
        """Return why the service refuses the configuration without our part."""
        return self.refusal(SwitchTarget(None, {}))

    def may_go_back(self) -> bool:
        """Return whether the service would accept what served before.

        After an upgrade, it may refuse a former generation, which would then keep it from starting.
        If it cannot be asked, for instance as the disk is full, nothing has changed.
        """
        if self.former is None:
            return True
        try:
            return self.refusal(self.target(self.former)) is None
        except (ServiceError, OSError):
            return True

    def asked(self, main: Path) -> str | None:
        """Return the refusal of the configuration whose main file is *main*."""
        return why_refused(self.service, self.facts, self.settings, main)

    # Switching.

    def switch(self, target: SwitchTarget) -> None:
        """Put *target* in place; at every instant, the service could be started."""
        if target.generation is None:
            self.take_out()
            return
        files.link(self.live.current, f"generations/{target.generation}")
        if self.pointer:
            self.own.point_to(pointer_text(self.pointer, self.live.current))
        elif self.parameters:
            self.parameters.set(target.parameters)

    def take_out(self) -> None:
        """Remove our part from the service's own configuration, the pointer first."""
        self.own.take_out()
        files.remove(self.live.current)

    def put_back(self) -> bool:
        """Make what served before serve again; return False if the service would refuse it."""
        if not self.may_go_back():
            return False
        if self.former is None:
            self.take_out()
        else:
            self.switch(self.target(self.former))
        return True

    def target(self, generation: str) -> SwitchTarget:
        """Return a generation that was built before, with its parameters."""
        version = written_for(self.live.generations / generation)
        other = version != self.facts.version and version
        return SwitchTarget(
            generation,
            self.generations.parameters_of(generation),
            "refused-former-of-version" if other else "refused-former",
            dotted_version(version) if other else "",
        )

    # The running service.

    def reload(self) -> None:
        """Reload, and make sure that it happened; raise ServiceError."""
        if self.state.pid is None:
            return
        workers = processes.workers(self.state.pid) if self.service.workers else frozenset()
        logged = files.size(self.facts.log)
        command = self.service.reload(self.facts, self.settings)
        answer = processes.run(command) if command else processes.hang_up(self.state.pid)
        if answer.code != 0:
            words = answer.words
            raise ServiceError(failure("not-reloaded", Scope.SERVICE, self.name, words=words))
        if self.service.workers and not processes.wait_for_new_workers(
            self.state.pid, workers, lambda: self.has_given_up(logged)
        ):
            log, words = self.facts.log or "", self.complaints(logged)
            raise ServiceError(
                failure("old-workers-serve", Scope.SERVICE, self.name, where=log, words=words)
            )

    def has_given_up(self, since: int) -> bool:
        """Return whether the master logged why it stays with its former configuration."""
        if not self.facts.log or files.size(self.facts.log) == since:
            return False
        return has_refused(files.read_added(self.facts.log, since), self.state.pid)

    def complaints(self, since: int) -> str:
        """Return the error lines that the service wrote into its log, each once."""
        lines = files.read_added(self.facts.log, since).splitlines() if self.facts.log else []
        grave = (line for line in lines if "[emerg]" in line or "[alert]" in line)
        return "\n".join(dict.fromkeys(line.partition("] ")[2] or line for line in grave))


def has_refused(logged: str, pid: int | None) -> bool:
    """Return whether nginx's master *logged* that it stays with its former configuration.

    It stays at the first grave error, unless a port is in use: this it tries five times before it
    says that it "still could not bind" (``ngx_open_listening_sockets`` of nginx).
    """
    grave = [line for line in logged.splitlines() if f"[emerg] {pid}#" in line]
    return bool(grave) and PORT_IN_USE.search(grave[-1]) is None
