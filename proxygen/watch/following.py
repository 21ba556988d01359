"""Following: the model that the daemon goes by, and every file whose change is a reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxygen.assemble import ModelFiles
from proxygen.host.logs import event
from proxygen.host.watching import Watching
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.watch import inputs, model
from proxygen.watch.bell import Clock
from proxygen.watch.fingerprints import ABSENT, Fingerprints, differing
from proxygen.watch.lines import ERROR, WARNING, Lines

SETTLING = 10.0
"""Seconds for which a model stays as it is before it may lose half of its domains."""
FEW = 10
"""Domains that may go at once without such care."""


@dataclass(slots=True)
class Following:
    """Follows the files: *site* is the last model that was right, None before the first.

    *unkept* are its texts until they are kept.
    *coming* is one that lost so many domains that somebody may be in the middle of replacing
    them; it is followed when it stays so until *settled_at*. *seen* are the fingerprints of
    what was looked at last, *files* are those of the model when it was read, and *masks* what it
    includes.
    """

    layout: Layout
    clock: Clock
    watching: Watching
    lines: Lines
    site: Site | None = None
    coming: Site | None = None
    settled_at: float = float("inf")
    files: frozenset[str] = frozenset()
    masks: tuple[str, ...] = ()
    seen: dict[str, str] = field(default_factory=dict)
    known: Fingerprints = field(default_factory=Fingerprints)
    known_model: Fingerprints = field(default_factory=Fingerprints)
    services: frozenset[str] = frozenset()
    read_before: ModelFiles = field(default_factory=ModelFiles)
    unkept: model.Texts | None = None

    def start(self) -> None:
        """Read the model for the first time; where it is wrong, the last one that was right."""
        found = model.look(self.layout, self.read_before)
        if found.site is None:
            self.site = model.kept(self.layout)
        self.follow(found, careful=False)
        self.compared()

    def anew(self) -> None:
        """Read everything again, since somebody asks for it."""
        self.watching.again()
        self.read_before = ModelFiles()
        self.read(careful=False)
        self.compared()

    def changes(self) -> list[str]:
        """Return what changed since it was asked last, in words; the model is read if it did."""
        found: dict[str, None] = {}
        masks: tuple[str, ...] | None = None
        while changed := self.compared(just_read=masks == self.masks):
            others = changed - self.model_files() - self.files
            found |= dict.fromkeys(map(self.kind, sorted(others)))
            if others == changed:
                break
            masks = self.masks
            if self.read(careful=True):
                found["model"] = None
        if self.coming and self.clock.ticks() >= self.settled_at:
            self.take(self.coming)
            found["model"] = None
        return list(found)

    def compared(self, *, just_read: bool = False) -> set[str]:
        """Return the files that changed; what is watched follows from what they say.

        The files of the model are as they were read, if that was just now.
        """
        ours = set(self.files) if just_read else self.model_files()
        others = self.named() | inputs.of_administrator(self.layout)
        self.watch(ours | others)
        present = self.known.of(others - ours)
        if just_read:
            present |= {each: self.seen.get(each, ABSENT) for each in ours}
        else:
            present |= self.known_model.of(ours)
        changed = differing(self.seen, present)
        self.seen = present
        return changed

    def watch(self, files: set[str]) -> None:
        """Watch these files, and every folder in which one more may appear."""
        folders = inputs.folders(self.layout, self.masks) | self.services
        self.watching.look_at(frozenset(files), folders)

    def model_files(self) -> set[str]:
        """Return the files of the model."""
        return inputs.of_model(self.layout, self.masks)

    def named(self) -> set[str]:
        """Return the other files that the model names."""
        return inputs.of_site(self.site) | inputs.of_site(self.coming)

    def kind(self, path: str) -> str:
        """Return what a changed file is that is none of the model."""
        if path.startswith(f"{self.layout.etc}/templates/"):
            return "template"
        if path.startswith(f"{self.layout.etc}/nginx.d/"):
            return "directives"
        return "certificate file"

    def read(self, *, careful: bool) -> bool:
        """Read the model; return whether there is more to do than before."""
        return self.follow(model.look(self.layout, self.read_before), careful=careful)

    def follow(self, found: model.Reading, *, careful: bool) -> bool:
        """Follow what was read; return whether it says something else than what was followed.

        While it is wrong the last one that was right goes on; that it is right again is told.
        """
        self.masks = found.masks or self.masks
        if found.texts:
            read = dict(found.texts.fingerprints())
            self.files, self.seen = frozenset(read), self.seen | read
        self.coming = None
        if found.site is None:
            self.lines.wrong(found.mistakes, served=self.site is not None)
            return False
        was_wrong = bool(self.lines.mistakes)
        self.lines.right(len(found.site.domains))
        if careful and self.site and shrinks(self.site, found.site):
            self.wait_for(found.site, len(self.site.domains))
            return False
        same = found.site == self.site
        self.take(found.site)
        self.unkept = found.texts
        return was_wrong or not same

    def wait_for(self, site: Site, before: int) -> None:
        """Follow a model only when it stays as it is for a while."""
        self.coming, self.settled_at = site, self.clock.ticks() + SETTLING
        what = f"it is followed when it stays so for {SETTLING:.0f} seconds"
        event(WARNING, "model_shrinks", before=before, after=len(site.domains), what=what)

    def take(self, site: Site) -> None:
        """Follow a model from now on."""
        self.site, self.coming, self.settled_at = site, None, float("inf")

    def keep(self) -> None:
        """Keep the last model that was right; where that fails, the next start goes without it.

        What it changes is served first: this writes all of it, durably.
        """
        if self.unkept is None:
            return
        try:
            model.keep(self.layout, self.unkept)
        except OSError as error:
            event(ERROR, "cannot_write", what=str(error), remedy="make room or repair it")
        self.unkept = None


def shrinks(before: Site, after: Site) -> bool:
    """Return whether a model loses so many domains that it may be half-way to another one."""
    gone = len(before.domains) - len(after.domains)
    return gone > FEW and gone > len(before.domains) / 2
