"""Applied: the model as it was last right, in the store, a value for each of its files.

``model/main`` and ``model/files/HASH`` hold the texts; ``model/serial`` is another one whenever
something else is kept, so that who knows all of it need not read it again. What changes is put at
once, unless another has put something meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxygen.model.former import NOTHING, Former, FormerFile, Held, Source
from proxygen.model.site import Site
from proxygen.stores import LARGEST, Store
from proxygen.stores.codec import Codec

MAIN, FILES, SERIAL = "model/main", "model/files", "model/serial"


@dataclass(frozen=True, slots=True)
class HeldValue:
    """What is held back of a file, as it is stored."""

    text: str
    domains: list[str]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it is stored."""

    name: str
    folder: str
    home: str
    mask: str
    text: str
    held: list[HeldValue]
    released: list[str]
    lost: list[str] = field(default_factory=list)


VALUE = Codec[StoredFile](StoredFile, largest=LARGEST)


def applied_serial(store: Store) -> str:
    """Return what changes whenever something else is kept, empty before anything is."""
    return serial_in(value_of(store, SERIAL))


def serial_in(value: bytes | None) -> str:
    """Return the serial that is stored, empty if there is none."""
    return (value or b"").decode("ascii", "replace")


def value_of(store: Store, key: str) -> bytes | None:
    """Return a value, None for what cannot be one; raise PermissionError if that is untold."""
    try:
        return store.get(key)
    except PermissionError:
        raise
    except OSError:
        return None


def former_model(store: Store, known: Former = NOTHING) -> Former:
    """Return the model as it was last right, what is *known* of it while nothing else is kept.

    What is damaged counts for nothing.
    """
    now = applied_serial(store)
    if now and known.serial == now:
        return known
    if not now:
        return NOTHING
    found = (file_from(value_of(store, key)) for key in store.keys(FILES))
    main = file_from(value_of(store, MAIN))
    return Former(main, {each.source.place: each for each in found if each}, now)


def keep_model(store: Store, site: Site) -> Former:
    """Keep the files of a site that was applied, and return what is kept then.

    What is kept already is not written again.

    Where another run kept something since the site was read, that counts: who confirms a removal
    has to have read it.
    """
    was = former_model(store, site.past.former)
    stale = was.serial != site.past.former.serial
    kept = None if stale else write_model(store, was, site.right)
    return kept or former_model(store, was)


def write_model(store: Store, was: Former, now: Former) -> Former | None:
    """Write what differs; return what is kept then, None if *was* is not what is kept."""
    values: dict[str, bytes | None] = {
        key_of(place): encode_file(each)
        for place, each in now.files.items()
        if was.files.get(place) != each
    }
    gone = {key_of(place) for place in was.files.keys() - now.files.keys()}
    if not was.serial:  # nothing is known of what may be there all the same
        gone = set(store.keys(FILES)) - set(map(key_of, now.files))
    values |= dict.fromkeys(gone)
    if now.main and was.main != now.main:
        values[MAIN] = encode_file(now.main)
    if not values:
        return replace(now, serial=was.serial)
    new, stored = secrets.token_hex(8), value_of(store, SERIAL)
    if serial_in(stored) != was.serial:
        return None
    kept = store.put_if({SERIAL: stored}, {SERIAL: new.encode(), **values})
    return replace(now, serial=new) if kept else None


def release_domains(store: Store, domains: Collection[str]) -> None:
    """Note that somebody removes domains on purpose, so that their removal is not held back.

    For a command that does it, before it changes a file.
    """
    names = frozenset(domains)

    def released(file: FormerFile) -> FormerFile:
        held = tuple(replace(each, domains=each.domains - names) for each in file.held)
        return replace(file, released=file.released | names, held=held)

    while True:
        was = former_model(store)
        files = {place: released(each) for place, each in was.files.items()}
        if write_model(store, was, Former(was.main and released(was.main), files)):
            return


def is_kept(store: Store) -> bool:
    """Return whether there is a model that was right once."""
    return store.has(MAIN)


def key_of(place: str) -> str:
    """Return the key of an included file."""
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()
    return f"{FILES}/{digest[:32]}"


def encode_file(file: FormerFile) -> bytes:
    """Return a file as it is kept; latin-1 gives every octet of text and paths back."""
    source = file.source
    value = StoredFile(
        octets(source.name),
        octets(str(source.folder)),
        octets(source.home),
        octets(file.mask),
        source.text.decode("latin-1"),
        [HeldValue(each.text.decode("latin-1"), sorted(each.domains)) for each in file.held],
        sorted(file.released),
        sorted(file.lost),
    )
    return VALUE.written(value)


def file_from(value: bytes | None) -> FormerFile | None:
    """Return a file that was kept, None for what is none."""
    found = VALUE.read(value)
    if found is None:
        return None
    try:
        name, folder, mask = map(path_of, (found.name, found.folder, found.mask))
        source = Source(name, Path(folder), found.text.encode("latin-1"), path_of(found.home))
        held = tuple(
            Held(each.text.encode("latin-1"), frozenset(each.domains)) for each in found.held
        )
    except ValueError:
        return None
    return FormerFile(source, mask, held, frozenset(found.released), frozenset(found.lost))


def octets(path: str) -> str:
    """Return the octets of a path, which need not be UTF-8, a character each."""
    return os.fsencode(path).decode("latin-1")


def path_of(kept: str) -> str:
    """Return the path of such octets."""
    return os.fsdecode(kept.encode("latin-1"))
