"""One service as this host has it: checked, switched, reloaded.

The new files were built beside the old ones; the service itself checks them in its complete
configuration, one rename switches to them, and a reload is proven by new workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxygen.apply.generations import Generations
from proxygen.apply.parameters import Parameters
from proxygen.errors import CheckFailed, ServiceError
from proxygen.host import files, processes, staging
from proxygen.model.layout import Layout
from proxygen.observe import SETTINGS, UNSERVED
from proxygen.plan.installation import pointing
from proxygen.plan.observed import ServiceState


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
        self.pointer = module.pointer(state.facts.main)
        self.generations = Generations(state.name, self.live, state.installed)
        self.former = self.generations.former()
        note = layout.former(state.name)
        self.parameters = Parameters(module, state.facts, self.live.folder, note)

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
            self.switch(self.target(self.former))

    def target(self, generation: str) -> Target:
        """Return a generation that was built before, with its parameters."""
        return Target(generation, self.generations.parameters_of(generation))

    # The running service.

    def reload(self) -> None:
        """Reload, and be sure that it happened; raise ServiceError."""
        if self.state.pid is None:
            return
        workers = processes.workers(self.state.pid) if self.module.WORKERS else frozenset()
        logged = files.size(self.facts.log)
        command = self.module.reload(self.facts, self.settings)
        answer = processes.run(command) if command else processes.hang_up(self.state.pid)
        if answer.code != 0:
            raise ServiceError(f"{self.name} did not reload", words=answer.words)
        if self.module.WORKERS and not processes.replaced(self.state.pid, workers):
            raise ServiceError(
                f"{self.name} was told to reload, but its old workers still serve",
                remedy=f"see its error log {self.facts.log or ''}, then reload it",
                words=self.complaints(logged),
            )

    def complaints(self, since: int) -> str:
        """Return the grave lines that the service wrote into its log, each once."""
        lines = files.added(self.facts.log, since).splitlines() if self.facts.log else []
        grave = (line for line in lines if "[emerg]" in line or "[alert]" in line)
        return "\n".join(dict.fromkeys(line.partition("] ")[2] or line for line in grave))
