"""Writes into the tree of a package all that is not the environment itself.

    python3 packaging/contents.py TREE PYTHON

It is run in the source's folder, by the environment that is packed. PYTHON is the Debian package
of the program that this environment leads to.
"""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

from control import changelog, control, copyright_of, version
from manpage import page
from units import package_script, package_units

import proxygen
from proxygen.cli import entry
from proxygen.commands.install_service import PACKAGED_SCRIPTS
from proxygen.systemd.units import SCRIPT

SHELLS = {
    "bash": "usr/share/bash-completion/completions/proxygen",
    "zsh": "usr/share/zsh/vendor-completions/_proxygen",
    "fish": "usr/share/fish/vendor_completions.d/proxygen.fish",
}
SCHEMAS = {"proxygen.schema.json": (), "included.schema.json": ("--included",)}
MAINTAINER_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def main() -> None:
    """Write all of it."""
    tree, python = Path(sys.argv[1]), sys.argv[2]
    changed = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    release = platform.freedesktop_os_release()
    own = version(proxygen.__version__, changed, release["VERSION_ID"])
    documents(tree)
    reference = Path("docs/commands.md").read_text("utf-8")
    packed(
        tree / "usr/share/man/man8/proxygen.8.gz",
        page(entry, proxygen.__version__, changed, reference),
    )
    for shell, place in SHELLS.items():
        written(tree / place, by_proxygen(tree, _PROXYGEN_COMPLETE=f"{shell}_source"))
    for name, options in SCHEMAS.items():
        written(tree / "usr/share/proxygen" / name, by_proxygen(tree, "schema", *options))
    for name, text in package_units(release["VERSION_ID"]).items():
        written(tree / "usr/lib/systemd/system" / name, text)
    written(tree / PACKAGED_SCRIPTS.lstrip("/") / SCRIPT, package_script())
    maintainer = whose()
    folder = tree / "usr/share/doc/proxygen"
    written(folder / "copyright", copyright_of(bundled(tree)))
    packed(
        folder / "changelog.Debian.gz",
        changelog(own, release["VERSION_CODENAME"], maintainer, changed),
    )
    control_files(tree, own, python, maintainer)


def control_files(tree: Path, own: str, python: str, maintainer: str) -> None:
    """Write what dpkg reads, and for the one that calls this the package's name."""
    architecture = said("dpkg", "--print-architecture").strip()
    for name in MAINTAINER_SCRIPTS:
        written(tree / "DEBIAN" / name, Path("packaging/debian", name).read_text("utf-8"))
    size = sum(each.lstat().st_size // 1024 + 1 for each in tree.rglob("*"))
    written(tree / "DEBIAN/control", control(own, architecture, python, maintainer, size))
    written(tree.parent / "name", f"proxygen_{own}_{architecture}.deb\n")


def documents(tree: Path) -> None:
    """Copy the documents so that their links lead on, and the examples of models."""
    folder = tree / "usr/share/doc/proxygen"
    folder.mkdir(parents=True)
    for name in ("README.md", "CHANGELOG.md"):
        shutil.copy(name, folder)
    no_page = shutil.ignore_patterns("build", "*.lock")
    shutil.copytree("docs", folder / "docs", ignore=no_page)
    no_model = shutil.ignore_patterns("run", "*.py", "README.md")
    shutil.copytree("examples", folder / "examples", ignore=no_model)


def bundled(tree: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, version, licence and folder of every Python package but proxygen."""
    for found in metadata.distributions(path=[each for each in sys.path if str(tree) in each]):
        told, name = cast(Message, found.metadata), found.metadata["Name"]
        classes = (each for each in told.get_all("Classifier") or () if each.startswith("License"))
        words = "; ".join(each.rpartition(" :: ")[2] for each in classes)
        licence = told.get("License-Expression") or words or told.get("License") or "see there"
        folder = next(each for each in found.files or () if each.name == "METADATA").parent
        place = Path(str(found.locate_file(folder))).relative_to(tree)
        if name != "proxygen":
            yield name, found.version, licence.splitlines()[0], f"/{place}"


def whose() -> str:
    """Return who builds it, as Debian's tools are told (DEBFULLNAME, DEBEMAIL)."""
    name = os.environ.get("DEBFULLNAME", "proxygen")
    return f"{name} <{os.environ.get('DEBEMAIL', 'root@localhost')}>"


def by_proxygen(tree: Path, *arguments: str, **more: str) -> str:
    """Return what the packed program prints."""
    program = tree / "opt/proxygen/bin/proxygen"
    return said(sys.executable, str(program), *arguments, **more)


def said(*command: str, **more: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, env=os.environ | more, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def packed(path: Path, text: str) -> None:
    """Write a file as `gzip -9n` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def written(path: Path, text: str) -> None:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
