"""Follows the model and every other file whose change is a reason for a round."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxygen import assemble
from proxygen.assemble import ModelFiles
from proxygen.daemon import inputs, model
from proxygen.daemon.bell import Clock
from proxygen.daemon.fingerprints import ABSENT, Fingerprints, differing_paths
from proxygen.daemon.log_lines import ERROR, EventLog
from proxygen.host.logs import log_event
from proxygen.host.watching import Watching
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.stores import Store, applied_model


@dataclass(slots=True)
class ModelFollower:
    """Follows files; *site* is the last model that was right, None before the first.

    *seen* are the fingerprints of the last look, *files* those of the model when it was read, and
    *masks* what it includes.
    """

    layout: Layout
    clock: Clock
    watching: Watching
    lines: EventLog
    site: Site | None = None
    files: frozenset[str] = frozenset()
    masks: tuple[str, ...] = ()
    seen: dict[str, str] = field(default_factory=dict)
    known: Fingerprints = field(default_factory=Fingerprints)
    known_model: Fingerprints = field(default_factory=Fingerprints)
    services: frozenset[str] = frozenset()
    read_before: ModelFiles = field(default_factory=ModelFiles)

    def start(self) -> None:
        """Read the model for the first time; if it is wrong, take the last one that was right."""
        found = model.read_files(self.layout, self.read_before)
        if found.site is None:
            self.site = assemble.last_right(self.layout)
        self.follow(found)
        self.compared()

    def anew(self) -> None:
        """Read everything again, as somebody asked for it."""
        self.watching.again()
        self.read_before = ModelFiles()
        self.read()
        self.compared()

    def changes(self) -> list[str]:
        """Return in words what changed since the last call; the model is read if it did."""
        found: dict[str, None] = {}
        masks: tuple[str, ...] | None = None
        while changed := self.compared(just_read=masks == self.masks):
            others = changed - self.model_files() - self.files - {self.serial}
            found |= dict.fromkeys(map(self.kind, sorted(others)))
            if others == changed:
                break
            masks = self.masks
            if self.read():
                found["model"] = None
        return list(found)

    def compared(self, *, just_read: bool = False) -> set[str]:
        """Return the files that changed, and watch what they now name.

        The files of the model are taken as they were read, if that was just now.
        """
        ours = set(self.files) if just_read else self.model_files()
        others = inputs.of_site(self.site) | inputs.of_administrator(self.layout) | {self.serial}
        self.watch(ours | others)
        present = self.known.of(others - ours)
        if just_read:
            present |= {each: self.seen.get(each, ABSENT) for each in ours}
        else:
            present |= self.known_model.of(ours)
        changed = differing_paths(self.seen, present)
        self.seen = present
        return changed

    def watch(self, files: set[str]) -> None:
        """Watch these files, and every folder in which another one may appear."""
        folders = inputs.input_folders(self.layout, self.masks) | self.services
        self.watching.watch(frozenset(files), folders)

    def model_files(self) -> set[str]:
        """Return the files of the model."""
        return inputs.of_model(self.layout, self.masks)

    def kind(self, path: str) -> str:
        """Return the kind of a changed file that is not part of the model."""
        if path.startswith(f"{self.layout.etc}/templates/"):
            return "template"
        if path.startswith(f"{self.layout.etc}/nginx.d/"):
            return "directives"
        return "certificate file"

    def read(self) -> bool:
        """Read the model; return whether there is more to do than before."""
        return self.follow(model.read_files(self.layout, self.read_before))

    def follow(self, found: model.ModelReading) -> bool:
        """Follow the model that was read; return whether it differs from the one before.

        While it is wrong, the last right one stays in force; that it is right again is logged.
        """
        self.masks = found.masks or self.masks
        if found.texts:
            read = dict(found.texts.fingerprints())
            self.files, self.seen = frozenset(read), self.seen | read
        if found.site is None:
            self.lines.wrong(found.mistakes, served=self.site is not None)
            return False
        was_wrong = bool(self.lines.mistakes)
        self.lines.right(len(found.site.domains))
        self.lines.as_it_was(found.site)
        same = found.site == self.site
        self.site = found.site
        return was_wrong or not same

    # What is kept of it.

    @property
    def serial(self) -> str:
        """The file that changes whenever something else is stored, also by another run."""
        return str(self.layout.store / applied_model.SERIAL)

    def latest(self, store: Store) -> Site | None:
        """Return the model in force, read again if another run has stored something since.

        A person may have confirmed a removal. The caller must hold the lock of a run.
        """
        if applied_model.applied_serial(store) != self.read_before.former.serial:
            self.read()
        return self.site

    def keep(self, store: Store, site: Site) -> None:
        """Store the model that was just applied; if that fails, what was stored before stays."""
        try:
            self.read_before.former = applied_model.keep_model(store, site)
        except OSError as error:
            log_event(
                ERROR, "cannot_write", what=str(error), remedy="make room, or repair the disk"
            )
        self.seen |= self.known.of_one(self.serial)
