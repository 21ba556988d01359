"""Generations: what is on the disk once one was built, switched to, kept, or purged."""

from __future__ import annotations

import json
import pwd
import stat
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.apply.generations import Generations
from proxygen.apply.service import LiveService, SwitchTarget
from proxygen.errors import ServiceError
from proxygen.host import files
from proxygen.host.own_part import own_part
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.layout import Live
from proxygen.model.x509 import facts_of_pair
from proxygen.observe.installed import read_installed
from proxygen.observe.services import former_parameters
from proxygen.observe.site import observe
from proxygen.plan.observed import Installed
from proxygen.plan.rendering import Rendering
from proxygen.services import Additions, ServiceSettings
from tests import certificates
from tests.certificates import DAY, NOON
from tests.models import site
from tests.small_service import LINK, Small

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, certificate: selfsigned}
""")
ROOT = certificates.root()
ADDED = Additions("a.example", (("a.conf", "deny all;\n"),), "0" * 64)


class Shelf:
    """What ``web`` reads, and what is wanted of it, in a store that holds two bundles."""

    def __init__(self, small: Small) -> None:
        self.small, self.parts = small, small.parts
        self.live: Live = small.layout.live("web")
        for owner, name in ((GLOBAL, "mail.example.net"), ("a.example", "www.a.example")):
            self.save(owner, name)

    def save(self, owner: str, name: str, days: int = 30) -> Bundle:
        """Store a new bundle for an owner, as it came from somewhere."""
        pair = certificates.leaf(ROOT, name, end=NOON + days * DAY).pair()
        bundle = facts_of_pair(pair, owner, "selfsigned")
        self.parts.bundles.save(pair, bundle)
        return bundle

    @property
    def wanted(self) -> Rendering:
        """What ``web`` should have by what the store holds now."""
        return self.small.wanted(SITE, observe(SITE, self.parts))["web"]

    @property
    def installed(self) -> Installed:
        """What of ours ``web`` has."""
        service, settings = self.parts.services["web"], ServiceSettings()
        own = own_part(
            service, settings, self.small.layout, former_parameters(self.parts.own, "web")
        )
        return read_installed(self.live, own, None, self.parts.latest)

    @property
    def now(self) -> Generations:
        """The generations, as a run finds them that begins now."""
        return Generations("web", self.live, self.installed)

    def build(self, wanted: Rendering | None = None, damaged: Collection[str] = ()) -> str:
        """Build what is wanted, as a run does that begins now."""
        return self.now.build(wanted or self.wanted, self.parts.bundles, damaged)

    def serve(self, wanted: Rendering | None = None) -> str:
        """Build what is wanted and switch to it."""
        observed = observe(SITE, self.parts)
        name = self.build(wanted)
        LiveService(observed.services["web"], self.parts).switch(SwitchTarget(name, {}))
        return name

    def names(self, folder: Path) -> set[str]:
        """Return what is in a folder."""
        return set(files.names(folder))

    def stamps(self) -> dict[str, int]:
        """Return when each file and link of ours was made."""
        return {str(each): each.lstat().st_ino for each in sorted(self.live.folder.rglob("*"))}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Return a service that has nothing of ours."""
    return Shelf(Small(tmp_path, NOON))


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


# Building.


def test_a_generation_is_all_that_is_wanted_beside_what_serves(shelf: Shelf) -> None:
    wanted = shelf.wanted
    name = shelf.build(wanted)
    path = shelf.live.generations / name
    assert name == wanted.id
    assert shelf.names(path) == {"sites.conf", LINK, "generation.json"}
    assert (path / "sites.conf").read_text() == wanted.files["sites.conf"]
    pair = shelf.parts.bundles.material(observe(SITE, shelf.parts).bundles[GLOBAL])
    assert pair
    assert (path / LINK).resolve().read_bytes() == pair.pem
    assert json.loads((path / "generation.json").read_text()) == (
        json.loads(json.dumps(wanted.manifest)) | {"version": [1, 2]}
    )
    assert shelf.names(shelf.live.folder) == {"generations", "certificates"}  # and no `current`
    assert shelf.names(shelf.live.certificates) == set(wanted.certificates)


@pytest.mark.parametrize(
    ("readers", "folder", "file"),
    [
        pytest.param(None, 0o700, 0o600, id="root alone reads certificates"),
        pytest.param("nobody", 0o750, 0o640, id="the service's user does, too"),
    ],
)
def test_who_can_read_what_is_built(
    shelf: Shelf, readers: str | None, folder: int, file: int
) -> None:
    name = shelf.build(replace(shelf.wanted, readers=readers, additions={"a.example": ADDED}))
    assert mode(shelf.live.certificates) == folder
    keys = [shelf.live.certificates / each for each in shelf.names(shelf.live.certificates)]
    assert {mode(each) for each in keys} == {file}
    group = pwd.getpwnam(readers).pw_gid if readers else 0
    assert {each.stat().st_gid for each in keys} == {group}
    assert mode(shelf.live.generations / name) == 0o755
    assert mode(shelf.live.generations / name / "sites.conf") == 0o644
    assert mode(shelf.live.additions / ADDED.digest) == 0o700  # there may be passwords in it
    assert mode(shelf.live.additions / ADDED.digest / "a.conf") == 0o600


Act = Callable[[Shelf, Path], None]


def nothing(shelf: Shelf, path: Path) -> None:
    """Leave all as it is."""


def edit(shelf: Shelf, path: Path) -> None:
    """Edit a file of a generation."""
    (path / "sites.conf").write_text("somebody was here\n")


def relink(shelf: Shelf, path: Path) -> None:
    """Have a link of a generation lead elsewhere."""
    files.link(path / LINK, "../../certificates/x.pem")


def unnote(shelf: Shelf, path: Path) -> None:
    """Damage what is noted of a generation."""
    (path / "generation.json").write_text("[")


def lose_key(shelf: Shelf, path: Path) -> None:
    """Lose the certificates that a service reads."""
    for each in shelf.live.certificates.iterdir():
        each.unlink()


def open_key(shelf: Shelf, path: Path) -> None:
    """Let everybody read the certificates."""
    for each in shelf.live.certificates.iterdir():
        each.chmod(0o644)


@pytest.mark.parametrize(
    ("act", "second", "touched"),
    [
        pytest.param(nothing, False, False, id="all is as it was"),
        pytest.param(edit, True, True, id="a file was edited"),
        pytest.param(relink, True, True, id="a link leads elsewhere"),
        pytest.param(unnote, True, True, id="nobody knows what it needs"),
        pytest.param(lose_key, True, True, id="its certificates are gone"),
        pytest.param(open_key, True, True, id="everybody can read its certificates"),
    ],
)
def test_what_serves_is_never_written_again(
    shelf: Shelf, act: Act, second: bool, touched: bool
) -> None:
    name, wanted = shelf.serve(), shelf.wanted
    act(shelf, shelf.live.generations / name)
    before = shelf.stamps()
    assert shelf.build(wanted) == (f"{name}.2" if second else name)
    after = shelf.stamps()
    assert {key: after[key] for key in after if f"/{name}/" in key} == {
        key: before[key] for key in before if f"/{name}/" in key
    }
    assert (after != before) == touched
    keys = [shelf.live.certificates / each for each in wanted.certificates]
    assert {mode(each) for each in keys} == {0o600}


@pytest.mark.parametrize(
    ("act", "again"),
    [
        pytest.param(nothing, False, id="all is as it was"),
        pytest.param(edit, True, id="a file was edited"),
        pytest.param(relink, True, id="a link leads elsewhere"),
        pytest.param(unnote, True, id="nobody knows what it needs"),
    ],
)
def test_what_does_not_serve_is_made_whole_under_its_name(
    shelf: Shelf, act: Act, again: bool
) -> None:
    former = shelf.serve()
    shelf.save("a.example", "www.a.example", days=31)
    name, wanted = shelf.build(), shelf.wanted
    path = shelf.live.generations / name
    act(shelf, path)
    before = path.stat().st_ino
    assert shelf.build(wanted) == name != former
    assert (path.stat().st_ino != before) == again
    assert shelf.now.whole(name, wanted)
    assert not [each for each in shelf.names(shelf.live.generations) if each.endswith(".new")]


def damage_stored(shelf: Shelf, bundle: Bundle) -> None:
    """Damage the key of a stored bundle."""
    shelf.parts.store.put(f"bundles/{bundle.owner}/{bundle.digest[:32]}", b"damaged")


@pytest.mark.parametrize(
    ("damaged", "there", "fails"),
    [
        pytest.param(False, False, False, id="the key comes from the store"),
        pytest.param(True, True, False, id="what is on disk already is not read again"),
        pytest.param(True, False, True, id="a damaged key is not written, and forgotten"),
    ],
)
def test_where_the_key_comes_from(shelf: Shelf, damaged: bool, there: bool, fails: bool) -> None:
    if there:
        shelf.serve()
    wanted = shelf.wanted
    bundle = observe(SITE, shelf.parts).bundles["a.example"]
    if damaged:
        damage_stored(shelf, bundle)
    if fails:
        with pytest.raises(ServiceError) as caught:
            shelf.build(wanted)
        assert caught.value.failure.code == "stored-key-damaged"
        assert shelf.parts.bundles.facts("a.example") is None
        assert not shelf.live.certificate(bundle.owner, bundle.digest).exists()
    else:
        shelf.build(wanted)
        assert shelf.live.certificate(bundle.owner, bundle.digest).exists()


def test_a_certificate_on_disk_that_was_damaged_is_written_when_that_is_told(shelf: Shelf) -> None:
    shelf.serve()
    wanted = shelf.wanted
    name = next(each for each in wanted.certificates if each.startswith("a.example"))
    path = shelf.live.certificates / name
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    path.chmod(0o600)
    assert shelf.now.damaged(wanted) == {name}
    shelf.build(wanted)
    assert path.read_bytes() == b"damaged"  # what has its mode is not read at each build
    shelf.build(wanted, damaged={name})
    assert path.read_bytes() == good


# What is kept, and the way back.


def generations(shelf: Shelf, count: int) -> list[str]:
    """Serve one generation after the other, each with another certificate; return their names."""
    found = []
    for number in range(count):
        shelf.save("a.example", "www.a.example", days=40 + number)
        found.append(shelf.serve())
    return found


def noted(former: int | None, begun: int | None) -> Callable[[Shelf, list[str]], None]:
    """Note the generation that served before, and the one that a killed run began at."""

    def note(shelf: Shelf, made: list[str]) -> None:
        shelf.now.note_former(None if former is None else made[former])
        if begun is not None:
            text = json.dumps({"former": made[begun]})
            (shelf.live.folder / "begun").write_text(text)

    return note


@pytest.mark.parametrize(
    ("former", "begun", "purged", "refused"),
    [
        pytest.param(None, None, [2], [2], id="what serves"),
        pytest.param(1, None, [1, 2], [1, 2], id="and what served before it"),
        pytest.param(0, None, [0, 2], [0, 2], id="be it older"),
        pytest.param(None, 1, [2], [1, 2], id="what a killed run began at, when it is refused"),
        pytest.param(0, 1, [0, 2], [0, 1, 2], id="and what served before that"),
    ],
)
def test_which_generations_are_kept(
    shelf: Shelf, former: int | None, begun: int | None, purged: list[int], refused: list[int]
) -> None:
    made = generations(shelf, 3)
    noted(former, begun)(shelf, made)
    there = observe(SITE, shelf.parts).bundles["a.example"]
    for purge, kept in (
        (Generations.purge_refused, refused),
        (Generations.purge, purged),
    ):
        purge(shelf.now)
        assert shelf.names(shelf.live.generations) == {made[each] for each in kept}
        keys = [each for each in shelf.names(shelf.live.certificates) if each[0] == "a"]
        assert len(keys) == len(kept)  # a key of what is gone is gone, too
    assert shelf.live.certificate("a.example", there.digest).exists()


def test_no_certificate_goes_while_nobody_knows_what_is_needed(shelf: Shelf) -> None:
    first, second, _ = made = generations(shelf, 3)
    noted(1, None)(shelf, made)
    unnote(shelf, shelf.live.generations / second)
    before = shelf.names(shelf.live.certificates)
    shelf.now.purge()
    assert first not in shelf.names(shelf.live.generations)
    assert shelf.names(shelf.live.certificates) == before


def test_directives_go_with_the_last_generation_that_includes_them(shelf: Shelf) -> None:
    first = shelf.serve(replace(shelf.wanted, additions={"a.example": ADDED}))
    (second,) = generations(shelf, 1)
    shelf.now.note_former(first)
    shelf.now.purge()
    assert shelf.names(shelf.live.additions) == {ADDED.digest}
    shelf.now.note_former(second)
    shelf.now.purge()
    assert shelf.names(shelf.live.additions) == set()


@pytest.mark.parametrize(
    ("former", "begun", "back", "rollback"),
    [
        pytest.param(None, None, 2, None, id="nothing served before"),
        pytest.param(1, None, 2, 1, id="one served before"),
        pytest.param(2, None, 2, None, id="the same did"),
        pytest.param(0, 1, 1, 1, id="a killed run began at another one"),
        pytest.param(0, 2, 2, None, id="a killed run did not switch"),
    ],
)
def test_what_is_gone_back_to(
    shelf: Shelf, former: int | None, begun: int | None, back: int, rollback: int | None
) -> None:
    made = generations(shelf, 3)
    noted(former, begun)(shelf, made)
    assert shelf.now.former() == made[back]
    assert shelf.now.before_present() == (None if rollback is None else made[rollback])
    files.remove(shelf.live.generations / made[0])
    files.remove(shelf.live.generations / made[1])
    assert shelf.now.before_present() is None  # what is not there cannot be gone back to


@pytest.mark.parametrize(
    ("before", "after", "modes"),
    [
        pytest.param("nobody", None, {0o600}, id="the user reads none any more"),
        pytest.param("nobody", "nobody", {0o640}, id="the user reads them still"),
    ],
)
def test_certificates_are_closed_once_no_kept_generation_needs_the_user(
    shelf: Shelf, before: str | None, after: str | None, modes: set[int]
) -> None:
    shelf.serve(replace(shelf.wanted, readers=before))
    opened = replace(shelf.installed, shared=frozenset(shelf.names(shelf.live.certificates)))
    wanted = replace(shelf.wanted, readers=after, id="f" * 16)
    name = Generations("web", shelf.live, opened).build(wanted, shelf.parts.bundles)
    keys = [shelf.live.certificates / each for each in shelf.names(shelf.live.certificates)]
    assert {mode(each) for each in keys} == {0o640}  # what serves needs them until it does not
    files.link(shelf.live.current, f"generations/{name}")
    Generations("web", shelf.live, opened).purge()
    assert {mode(each) for each in keys} == modes
