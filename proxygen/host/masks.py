"""The files that a path with wildcards names, bounded whatever the folders hold."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from proxygen.errors import UsageError

MOST_NAMES = 250_000
"""Names that are read for one mask; more are a mistake, or a trap."""
DEEP = "**"


def names(root: Path, mask: str) -> set[str]:
    """Return what a mask names below *root*; raise UsageError if that is too much to read.

    As glob(7), without hidden names. ``**`` is every folder below and no folder itself, and does
    not follow symbolic links: two that lead back up would have no end. A folder that the mask
    itself names may be a link.
    """
    return Search(str(root), mask).names()


def folders(root: Path, mask: str) -> set[str]:
    """Return each folder, existing or not, in which a new name may match a mask.

    Only the first ones if there are too many names to read.
    """
    search = Search(str(root), mask)
    try:
        return search.folders()
    except UsageError:
        return next(search.levels())


@dataclass(slots=True)
class Search:
    """One search for what a mask names; *left* is how many names may still be read.

    Places are prefixes of paths: empty, or with a slash at their end.
    """

    root: str
    mask: str
    left: int = MOST_NAMES

    def names(self) -> set[str]:
        """Return what is named."""
        *_, places = self.levels()
        last = self.parts()[-1]
        found = {each for place in places for each in self.within(place, last)}
        if DEEP in self.parts():
            return {each for each in found if not os.path.isdir(self.path(each))}  # noqa: PTH112
        return found

    def folders(self) -> set[str]:
        """Return the folders that are searched; none for the name of one file."""
        if not any(map(glob.has_magic, self.parts())):
            return set()
        first, *below = self.levels()
        there = (each for level in below for each in level)
        return {*first, *(each for each in there if os.path.isdir(self.path(each)))}  # noqa: PTH112

    def parts(self) -> tuple[str, ...]:
        """Return the parts of the mask; ``**`` at its end means every file."""
        parts = PurePath(self.mask).parts or (".",)
        return (*parts, "*") if parts[-1:] == (DEEP,) else parts

    def levels(self) -> Iterator[set[str]]:
        """Yield the places for the parts before the first wildcard, then for each further part."""
        parts = self.parts()
        magic = (index for index, part in enumerate(parts) if glob.has_magic(part))
        first = next(magic, len(parts) - 1)
        places = {"".join(f"{part.rstrip('/')}/" for part in parts[:first])}
        yield places
        for part in parts[first:-1]:
            places = {each for place in places for each in self.below(place, part)}
            yield places

    def below(self, place: str, part: str) -> Iterator[str]:
        """Yield the places that a part of the mask names in a place."""
        if part == DEEP:
            return self.tree(place)
        return (f"{each}/" for each in self.within(place, part))

    def within(self, place: str, part: str) -> Iterator[str]:
        """Yield the names in a place that a part of the mask names."""
        if not glob.has_magic(part):
            self.count(1)
            if os.path.lexists(self.path(place + part)):
                yield place + part
            return
        present = self.listed(place)
        if not part.startswith("."):
            present = [each for each in present if not each.startswith(".")]
        yield from (place + each for each in fnmatch.filter(present, part))

    def tree(self, place: str) -> Iterator[str]:
        """Yield a place and every real folder below it that is not hidden."""
        left = [place]
        while left:
            yield (folder := left.pop())
            left += [f"{folder}{each}/" for each in self.real_folders(folder)]

    def real_folders(self, place: str) -> list[str]:
        """Return the folders in a place that are neither hidden nor links."""
        try:
            with os.scandir(self.path(place)) as found:
                entries = list(found)
        except OSError:
            return []
        self.count(len(entries) + 1)
        shown = (each for each in entries if not each.name.startswith("."))
        return [each.name for each in shown if each.is_dir(follow_symlinks=False)]

    def listed(self, place: str) -> list[str]:
        """Return the names in a place, none if there is no folder."""
        try:
            found = os.listdir(self.path(place))  # noqa: PTH208 names, not paths
        except OSError:
            found = []
        self.count(len(found) + 1)
        return found

    def count(self, count: int) -> None:
        """Count names that are read; raise UsageError if there are too many."""
        self.left -= count
        if self.left < 0:
            raise UsageError(
                f"the folders that it searches hold more than {MOST_NAMES:,} names",
                remedy="name folders that hold little else",
                where=os.path.join(self.root, self.mask),  # noqa: PTH118
            )

    def path(self, name: str) -> str:
        """Return the path of a name or place."""
        return os.path.join(self.root, name)  # noqa: PTH118 texts: ten thousands of them
