"""One change of a service: what is done in which order, and what is in place in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from proxygen.apply.change import switch_to
from proxygen.apply.outcome import Progress, tell_nobody
from proxygen.apply.service import LiveService, SwitchTarget
from proxygen.errors import CheckFailed, NotServed, ProxygenError, ServiceError
from proxygen.host import files
from proxygen.host.processes import run
from proxygen.model.certificate import GLOBAL
from proxygen.model.x509 import facts_of_pair
from proxygen.observe.site import observe
from proxygen.plan.rendering import Rendering
from proxygen.services import Command
from tests import certificates
from tests.apply.test_probe import listening
from tests.certificates import NOON
from tests.models import site
from tests.small_service import THEIRS, Small

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, certificate: selfsigned}
""")
ROOT = certificates.root()

OLD, NEW, BOTH = "OLD", "NEW", "www.a.example"
"""Words by which ``web`` is told what not to take: of the certificate that a.example had, of the
one that it gets, and of every configuration of ours; THEIRS is the administrator's alone."""


@dataclass(slots=True)
class Stage:
    """The service ``web``, which serves, and for whom a new certificate of a.example came."""

    small: Small
    marks: dict[str, str]
    names: dict[str, str]
    wanted: Rendering
    deaf: set[int] = field(default_factory=set)

    def answer(self, connection: socket) -> None:
        """Answer as ``web``, unless it is *deaf* since so many reloads."""
        reloads = sum(line.startswith("reload") for line in self.small.said)
        if reloads in self.deaf:
            self.small.note("asked for nothing, as it is deaf")
        else:
            self.small.shake(connection)

    def tell(self, what: str, word: str) -> None:
        """Have ``web`` do *what* where a word stands."""
        self.small.tell(what, self.marks.get(word, word))

    def bring(
        self, *, runs: bool = True, stop: bool = False, before: str | None = OLD
    ) -> ProxygenError | None:
        """Bring ``web`` to what is wanted; return what that raised."""
        parts = self.small.parts
        state = observe(SITE, parts).services["web"]
        service = LiveService(replace(state, pid=os.getpid() if runs else None), parts)
        built = service.generations.build(self.wanted, parts.bundles)
        self.names[built] = NEW
        known = {short: name for name, short in self.names.items()}
        target = SwitchTarget(built, {})
        progress = Progress(
            lambda line: self.small.note(f"say: {line}"), tell_nobody, leave=lambda: stop
        )
        try:
            switch_to(
                *(service, target, self.wanted.endpoints, progress),
                before=known[before] if before else None,
            )
        except (ServiceError, NotServed) as error:
            return error
        return None

    @property
    def said(self) -> list[str]:
        """What was done, in order; what was done several times in a row stands once."""
        lines = (self.short(line) for line in self.small.said)
        return [line for line, _ in groupby(lines)]

    def short(self, line: str) -> str:
        """Return a line with the short names of generations."""
        if line.startswith("asked for"):
            return "asked"
        if line.startswith("reload"):
            return f"reload {self.names.get(Path(line).name, 'without ours')}"
        return line.partition(": 2 connections")[0]

    @property
    def in_place(self) -> str | None:
        """The generation that is in place, None for none."""
        live = self.small.layout.live("web")
        target = files.link_target(live.current)
        assert self.small.pointer.exists() == (target is not None)
        return self.names[Path(target).name] if target else None

    @property
    def noted(self) -> set[str]:
        """What is noted beside the generations."""
        folder = self.small.layout.live("web").folder
        return set(files.names(folder)) & {"begun", "unserved", "unasked", "former"}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stage]:
    """Return the service without anything of ours."""
    with listening(lambda connection: found.answer(connection)) as port:
        small = Small(tmp_path, NOON, port)
        (small.folder / "other.pem").write_bytes(certificates.leaf(ROOT, "other").pair().pem)
        marks = {"GLOBAL": saved(small, GLOBAL, "mail.example.net")}
        marks[NEW] = saved(small, "a.example", "www.a.example")
        found = Stage(small, marks, {}, small.wanted(SITE, observe(SITE, small.parts))["web"])
        yield found


@pytest.fixture
def stage(fresh: Stage) -> Stage:
    """Return the service as it serves, with a new certificate for a.example."""
    small = fresh.small
    wanted = small.set_up(SITE)["web"]
    assert run(Command((str(small.program), "reload"))).code == 0
    (small.folder / "said").unlink()
    marks = {OLD: fresh.marks[NEW], NEW: saved(small, "a.example", "www.a.example")}
    newer = small.wanted(SITE, observe(SITE, small.parts))["web"]
    fresh.marks, fresh.names, fresh.wanted = marks, {wanted.id: OLD}, newer
    return fresh


def saved(small: Small, owner: str, name: str) -> str:
    """Store a new bundle for an owner; return the word by which its file is known."""
    pair = certificates.leaf(ROOT, name).pair()
    bundle = facts_of_pair(pair, owner, "selfsigned")
    small.parts.bundles.save(pair, bundle)
    return bundle.digest[:16]


CHECK, SAY, LOOK = "check", "say: reload web", "say: probe web"
SWITCHED = [CHECK, "asked", SAY, "reload NEW"]
"""What serves is probed before it is changed."""
SHOWN = [*SWITCHED, LOOK, "asked"]


@pytest.mark.parametrize(
    ("told", "said", "failed", "in_place", "noted"),
    [
        pytest.param({}, SHOWN, None, NEW, {"former"}, id="taken, reloaded, seen"),
        pytest.param(
            {"refuses": NEW},
            [CHECK],
            (CheckFailed, "refused-new"),
            OLD,
            set(),
            id="refused by the check",
        ),
        pytest.param(
            {"refuses": THEIRS},
            [CHECK],
            (CheckFailed, "refused-without-ours"),
            OLD,
            set(),
            id="what is the administrator's is refused likewise",
        ),
        pytest.param(
            {"does-not-reload": NEW},
            [*SWITCHED, CHECK, "reload OLD"],
            (ServiceError, "taken-back"),
            OLD,
            set(),
            id="not reloaded, and taken back",
        ),
        pytest.param(
            {"does-not-reload": BOTH},
            [*SWITCHED, CHECK, "reload OLD"],
            (ServiceError, "not-taken-back"),
            OLD,
            {"begun"},
            id="not reloaded with the former files either",
        ),
        pytest.param(
            {"does-not-reload": NEW, "refuses": OLD},
            [*SWITCHED, CHECK],
            (ServiceError, "new-files-stay"),
            NEW,
            {"begun"},
            id="not reloaded, and the former files would be refused",
        ),
        pytest.param(
            {"mixes-up": NEW},
            [*SHOWN, CHECK, "reload OLD", "asked"],
            (ServiceError, "serves-otherwise"),
            OLD,
            set(),
            id="another certificate is shown since the change, which is taken back",
        ),
        pytest.param(
            {"mixes-up": BOTH},
            [*SHOWN, CHECK, "reload OLD", "asked", "reload NEW"],
            (NotServed, "not-served"),
            NEW,
            {"former", "unserved"},
            id="another one is shown with the former files, too",
        ),
        pytest.param(
            {"mixes-up": NEW, "refuses": OLD},
            [*SHOWN, CHECK],
            (NotServed, "not-served"),
            NEW,
            {"former", "unserved"},
            id="another one is shown, but the former files would be refused",
        ),
    ],
)
def test_what_a_change_comes_to(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, str],
    said: list[str],
    failed: tuple[type[ProxygenError], str] | None,
    in_place: str,
    noted: Collection[str],
) -> None:
    if "mixes-up" in told:  # what never becomes right is not waited for
        monkeypatch.setattr("proxygen.apply.change.QUIET", 0.0)
    for what, word in told.items():
        stage.tell(what, word)
    error = stage.bring()
    assert (error and (type(error), error.failure.code)) == failed
    assert stage.said == said
    assert stage.in_place == in_place
    assert stage.noted == noted
    if "former" in noted:
        assert set(stage.names.values()) == {OLD, NEW}
        folder = stage.small.layout.live("web").folder
        assert stage.names[(folder / "former").read_text()] == OLD
    if "unserved" in noted:
        text = json.loads((folder / "unserved").read_text())
        assert text == {"names": ["www.a.example"]}


@pytest.mark.parametrize(
    ("told", "said", "code", "in_place", "noted"),
    [
        pytest.param({}, SHOWN, None, NEW, set(), id="taken, and nothing to go back to"),
        pytest.param({"refuses": NEW}, [CHECK], "refused-new", None, set(), id="refused"),
        pytest.param(
            {"does-not-reload": NEW},
            [*SWITCHED, "reload without ours"],
            "taken-back",
            None,
            set(),
            id="not reloaded, and taken out",
        ),
        pytest.param(
            {"does-not-reload": THEIRS},
            [*SWITCHED, "reload without ours"],
            "not-taken-back",
            None,
            {"begun"},
            id="not reloaded without ours either",
        ),
    ],
)
def test_what_the_first_change_comes_to(
    fresh: Stage,
    told: dict[str, str],
    said: list[str],
    code: str | None,
    in_place: str | None,
    noted: Collection[str],
) -> None:
    for what, word in told.items():
        fresh.tell(what, word)
    error = fresh.bring(before=None)
    assert (error and error.failure.code) == code
    assert fresh.said == said
    assert fresh.in_place == in_place
    assert fresh.noted == noted


@pytest.mark.parametrize(
    ("how", "told", "said", "code", "noted"),
    [
        pytest.param(
            {"runs": False},
            {"does-not-reload": NEW},
            [CHECK],
            "not-running",
            {"former", "unserved"},
            id="it does not run: it starts with the new files",
        ),
        pytest.param(
            {"before": NEW}, {}, SHOWN, None, set(), id="what served before this run is the same"
        ),
        pytest.param(
            {"stop": True},
            {"mixes-up": NEW},
            [line for line in SHOWN[:-1] if line != "asked"] + ["asked"],
            None,
            {"former", "unasked"},
            id="told to stop, nobody asked with patience",
        ),
    ],
)
def test_what_a_change_comes_to_by_how_it_is_asked_for(
    stage: Stage,
    how: dict[str, Any],
    told: dict[str, str],
    said: list[str],
    code: str | None,
    noted: Collection[str],
) -> None:
    for what, word in told.items():
        stage.tell(what, word)
    error = stage.bring(**how)
    assert (error and error.failure.code) == code
    assert stage.said == said
    assert stage.in_place == NEW
    assert stage.noted == noted


@pytest.mark.parametrize(
    ("deaf", "said", "code", "in_place"),
    [
        pytest.param({0, 1}, SHOWN, "not-served", NEW, id="before the change, too"),
        pytest.param({0}, SHOWN, None, NEW, id="before the change, and no more"),
        pytest.param(
            {1, 2},
            [*SHOWN, CHECK, "reload OLD", "asked", "reload NEW"],
            "not-served",
            NEW,
            id="since the change, and with the former files no less",
        ),
        pytest.param(
            {1},
            [*SHOWN, CHECK, "reload OLD", "asked", "reload NEW", "asked"],
            None,
            NEW,
            id="for a while after the change",
        ),
        pytest.param(
            {1, 3},
            [*SHOWN, CHECK, "reload OLD", "asked", "reload NEW", "asked", CHECK, "reload OLD"],
            "serves-otherwise",
            OLD,
            id="with the new files alone, twice",
        ),
    ],
)
def test_a_service_that_answers_now_and_then_is_compared_with_itself(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    deaf: set[int],
    said: list[str],
    code: str | None,
    in_place: str,
) -> None:
    """Reloads are counted: none before the change, one after it, two once it was put back."""
    monkeypatch.setattr("proxygen.apply.change.QUIET", 0.0)
    stage.deaf |= deaf
    error = stage.bring()
    assert (error and error.failure.code) == code
    assert stage.said == said
    assert stage.in_place == in_place
    if code == "not-served":
        assert error
        assert ("as before this change" in error.words + str(error)) == (0 in deaf)
