"""Our part of a service's own configuration: the one file that leads to us, or parameters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from proxygen.host import files, staging
from proxygen.host.parameters import Note, Parameters
from proxygen.model.layout import Layout
from proxygen.services import Pointer, ServiceSettings
from proxygen.services.service_kind import Service

MADE = "made-folder"
"""Noted while the folder of the pointer is one that we made."""


@dataclass(frozen=True, slots=True)
class OwnPart:
    """What of ours stands in the configuration whose main file is *main*.

    *pointer* is the file that includes ours; for a service that has no includes it is *parameters*
    instead. *folder* is what both lead to. No program of the service is needed.
    """

    main: Path
    folder: Path
    pointer: Pointer | None
    parameters: Parameters | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """What is ours alone: the folder, and the pointer."""
        return (self.folder, self.pointer.path) if self.pointer else (self.folder,)

    def is_there(self) -> bool:
        """Return whether anything of ours is in the configuration."""
        if self.pointer:
            return files.text(self.pointer.path) is not None
        return self.parameters is not None and self.parameters.is_there()

    def point_to(self, text: str) -> None:
        """Write the pointer; its folder is made if need be, which is noted."""
        if self.pointer is None or files.text(self.pointer.path) == text:
            return
        there = self.pointer.path.parent
        if not there.is_dir():
            files.write(self.folder / MADE, str(there).encode())
            files.folder(there, 0o755)
        files.write(self.pointer.path, files.encode_text(text), 0o644)

    def take_out(self) -> None:
        """Take ours out, by one rename or removal, and then the folder that was made for it."""
        if self.pointer:
            files.remove(self.pointer.path)
            if (self.folder / MADE).exists():
                with suppress(OSError):  # there are files of others in it
                    self.pointer.path.parent.rmdir()
        elif self.parameters:
            self.parameters.give_back()

    @contextmanager
    def left_out(self) -> Iterator[Path]:
        """Have a main file for the time of a block that is the configuration without ours."""
        if self.pointer:
            with staging.left_out(self.main, self.pointer, self.folder / "current") as main:
                yield main
            return
        folder = self.folder / f"{staging.ASKED}{os.getpid()}-main"
        with staging.copied_folder(self.main, folder) as main:
            if self.parameters:
                files.replace_text(main, self.parameters.given_back())
            yield main

    def leading_to_us(self) -> list[Path]:
        """Return the other files of the configuration that name our folder."""
        return staging.files_naming_folder(self.main, self.pointer, self.folder)


def own_part(service: Service, settings: ServiceSettings, layout: Layout, note: Note) -> OwnPart:
    """Return our part of a service's configuration; nothing is read yet.

    *note* is what is noted of its parameters.
    """
    there = layout.of(service.name)
    main, folder = service.main_file(settings, there), there.own.folder
    sets = service.parameters
    parameters = Parameters(sets, main, folder, note) if sets else None
    return OwnPart(main, folder, service.pointer(main), parameters)
