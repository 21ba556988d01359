"""What the main file had before and lacks now, for the domains that are held back.

A main file that was cut short also lacks what domains need: backends, solvers, defaults, how
certificates are obtained. Domains that are held back keep all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from proxygen.model.former import FormerFile
from proxygen.model.schema import Main
from proxygen.model.sources import ParsedFile, ReadBefore, validated_portion
from proxygen.model.yaml import Document, Map, is_said

WHOLE = ("acme", "language")
"""Fields of the main file that say one thing."""
ROOMS = ("backends", "solvers", "defaults")
"""Fields of the main file that say several things, a key each."""
NOT_THESE = ("domains", "include")


def texts_of(former: FormerFile | None, now: ParsedFile, read_once: ReadBefore) -> list[ParsedFile]:
    """Return the earlier texts of the main file that differ from the present one, latest first."""
    if former is None or now.content is None:
        return []
    texts = [former.source.text, *(each.text for each in former.held)]
    source = replace(former.source, name=now.name)
    return [
        read_once.file(replace(source, text=text), type(now.content), nth)
        for nth, text in enumerate(texts)
        if text != now.source.text
    ]


def complete_main(
    now: ParsedFile, before: Iterable[ParsedFile]
) -> tuple[ParsedFile, tuple[bytes, ...]]:
    """Return the main file, completed by what it had before and lacks now, without domains.

    Also return the texts from which something was taken; the latest text that has a field counts.
    """
    value, used = Map(), []
    for key in now.document.value:
        if key not in NOT_THESE:
            copy_field(value, now.document.value, key)
    for read in before:
        if add_former(value, read.document.value):
            used += [read.source.text]
    if not used:
        return now, ()
    document = Document(f"{now.name} (held back)", value)
    grammar = type(now.content) if now.content else Main
    content = validated_portion(document, value, grammar) or now.content
    return ParsedFile(document, now.folder, content, now.source), tuple(used)


def add_former(value: Map, before: Any) -> bool:
    """Add what was there before and is not there now; return whether there is anything."""
    found = False
    if not isinstance(before, Map):
        return found
    for word in WHOLE:
        if is_said(before, word) and not is_said(value, word):
            copy_field(value, before, word)
            found = True
    for word in ROOMS:
        room, known, whole = mapping_at(before, word), mapping_at(value, word), Map()
        missing = [key for key in room if not is_said(known, key)]
        for given, keys in ((known, list(known)), (room, missing)):
            for key in keys:
                copy_field(whole, given, key)
        if missing:
            found, value[word] = True, whole
            value.places.setdefault(word, before.places[word])
    return found


def mapping_at(value: Map, key: str) -> Map:
    """Return the mapping below a key, an empty one for anything else."""
    found = value.get(key)
    return found if isinstance(found, Map) else Map()


def copy_field(value: Map, given: Map, key: str) -> None:
    """Copy the value of a key, with its place."""
    value[key], value.places[key] = given[key], given.places[key]
