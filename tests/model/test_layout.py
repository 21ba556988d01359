"""Every path is below the root, and every owner a file name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.model.layout import LONGEST_STEM, Layout, certificate_file, chain_file, file_stem

DIGEST = "0123456789abcdef" * 4


def test_all_that_is_written_is_below_the_root() -> None:
    layout = Layout(Path("/r"), Path("/elsewhere/model.yaml"))
    live = layout.live("nginx")
    places = [layout.etc, layout.var, layout.store, layout.challenges, layout.lock]
    places += [live.folder, live.current, live.generations, live.certificates]
    assert all(place.is_relative_to("/r") for place in places)
    assert layout.host("/etc/nginx") == Path("/r/etc/nginx")
    assert len(set(places)) == len(places)


def test_keys_are_apart_from_what_services_read() -> None:
    layout = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml"))
    assert not layout.live("nginx").folder.is_relative_to(layout.store)
    assert not layout.challenges.is_relative_to(layout.store)


def test_a_certificate_file_is_named_after_owner_and_digest() -> None:
    assert certificate_file("a.example", DIGEST) == "a.example-0123456789abcdef.pem"
    assert chain_file("a.example", DIGEST) == "a.example-0123456789abcdef.chain.pem"


@pytest.mark.parametrize(
    "owner",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "../a",
        "/etc",
        "A.example",
        "a\n",
        "a\x00",
        "ä.example",
        "a b",
    ],
)
def test_what_is_no_owner_is_our_own_bug(owner: str) -> None:
    with pytest.raises(ValueError, match="not the name of an owner"):
        file_stem(owner)


NAMES = st.text("abc-.", min_size=1, max_size=253).filter(lambda text: not text.startswith("."))


@given(NAMES, NAMES)
def test_stems_are_bounded_and_different_for_different_owners(one: str, other: str) -> None:
    assert len(certificate_file(one, DIGEST)) <= 255
    assert "/" not in file_stem(one)
    assert (file_stem(one) == file_stem(other)) == (one == other)


def test_long_names_with_the_same_beginning_differ() -> None:
    names = [f"{'a' * LONGEST_STEM}{end}" for end in ("", "b", "c")]
    assert len({file_stem(name) for name in names}) == 3
