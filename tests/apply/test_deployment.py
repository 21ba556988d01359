"""What a deployment comes to, with a small service that runs: done, failed, and then nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.apply.outcome import SILENT, Outcome
from proxygen.deploy import deploy
from proxygen.errors import words_json
from proxygen.model.certificate import GLOBAL
from proxygen.model.x509 import facts_of_pair
from tests import certificates
from tests.apply.test_probe import listening
from tests.certificates import NOON
from tests.models import site
from tests.small_service import THEIRS, Small

SITE = replace(
    site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, certificate: selfsigned}
"""),
    services={"web": None},
)
WWW = "www.a.example"
ROOT = certificates.root()

SUPPLIED, BROUGHT = ["issue", "issue"], ["install", "reload", "verify"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """Return the service ``web``, which runs, and has nothing of ours."""
    with listening(lambda connection: made.shake(connection)) as port:
        made = Small(tmp_path, NOON, port)
        (made.folder / "other.pem").write_bytes(certificates.leaf(ROOT, "other").pair().pem)
        (tmp_path / "run").mkdir()
        with subprocess.Popen([made.program, "run"], stdin=subprocess.PIPE) as process:
            (tmp_path / "run/web.pid").write_text(f"{process.pid}\n")
            yield made


def deployed(small: Small) -> Outcome:
    """Deploy what the store holds."""
    return deploy(SITE, small.parts, SILENT)


def kinds(outcome: Outcome) -> list[str]:
    """Return the words of the steps that were done."""
    return [str(words_json(each)["code"]) for each in outcome.done]


def codes(outcome: Outcome) -> dict[str, str]:
    """Return the codes of what failed."""
    return {of: error.failure.code for of, error in outcome.failures}


Act = Callable[[Small], object]


def came(small: Small) -> str:
    """Another certificate of a.example came into the store; return the word of its file."""
    pair = certificates.leaf(ROOT, WWW).pair()
    bundle = facts_of_pair(pair, "a.example", "selfsigned")
    small.parts.bundles.save(pair, bundle)
    return bundle.digest[:16]


def came_refused(small: Small) -> None:
    """The service refuses the one that came."""
    small.tell("refuses", came(small))


def came_not_reloaded(small: Small) -> None:
    """The service does not reload with the one that came."""
    small.tell("does-not-reload", came(small))


def lost(small: Small) -> None:
    """The store has nothing of a.example any more."""
    found = small.parts.bundles.facts("a.example")
    assert found
    small.parts.bundles.forget(found)


def edited(small: Small) -> None:
    """Somebody edited a file of ours."""
    (small.layout.live("web").current / "sites.conf").write_text("serve nobody\n")


def came_refused_and_edited(small: Small) -> None:
    """The service refuses the one that came, and somebody edited a file of ours."""
    came_refused(small)
    edited(small)


def unpointed(small: Small) -> None:
    """Somebody removed the pointer."""
    small.pointer.unlink()


@pytest.mark.parametrize(
    ("act", "done", "failed", "told"),
    [
        pytest.param(lambda _: None, [], {}, 0, id="nothing is due"),
        pytest.param(came, BROUGHT, {}, 1, id="a bundle came"),
        pytest.param(lost, ["issue", *BROUGHT], {}, 1, id="one was lost"),
        pytest.param(edited, BROUGHT, {}, 1, id="a file was edited"),
        pytest.param(unpointed, BROUGHT, {}, 1, id="the pointer was removed"),
        pytest.param(
            came_refused,
            [],
            {"nginx/a.example": "former-certificate-shown"},
            0,
            id="a bundle came that is refused: the former one is shown still",
        ),
        pytest.param(
            came_refused_and_edited,
            BROUGHT,
            {"nginx/a.example": "former-certificate-shown"},
            1,
            id="and a file was edited: it is as it was again",
        ),
        pytest.param(
            came_not_reloaded,
            [],
            {"web": "taken-back"},
            2,
            id="a bundle came that it does not reload with: all is taken back",
        ),
        pytest.param(
            lambda small: small.tell("refuses", THEIRS),
            [],
            {},
            0,
            id="what is the administrator's is refused, and nothing is due",
        ),
    ],
)
def test_what_a_deployment_comes_to(
    small: Small, act: Act, done: list[str], failed: dict[str, str], told: int
) -> None:
    first = deployed(small)
    assert (kinds(first), codes(first)) == ([*SUPPLIED, *BROUGHT], {})
    act(small)
    before = small.said
    found = deployed(small)
    assert kinds(found) == done
    assert codes(found) == failed
    said = small.said[len(before) :]
    assert len([each for each in said if each.startswith("reload")]) == told
    again = deployed(small)
    assert kinds(again) == []
    assert codes(again) == failed


@pytest.mark.parametrize(
    ("word", "failed", "in_place"),
    [
        pytest.param("mail.example.net", {"web": "refused-new"}, False, id="what all of it needs"),
        pytest.param(WWW, {"nginx/a.example": "owner-left-out"}, True, id="one owner"),
        pytest.param(THEIRS, {"web": "refused-without-ours"}, False, id="what is not ours"),
        pytest.param("no such word", {}, True, id="nothing"),
    ],
)
def test_what_is_set_up_of_what_a_service_refuses(
    small: Small, word: str, failed: dict[str, str], in_place: bool
) -> None:
    small.tell("refuses", word)
    found = deployed(small)
    assert codes(found) == failed
    assert kinds(found) == [*SUPPLIED, *(BROUGHT if in_place else [])]
    live = small.layout.live("web")
    assert small.pointer.exists() == live.current.exists() == in_place
    assert small.parts.bundles.all().keys() == {GLOBAL, "a.example"}
    if in_place:
        assert (WWW in (live.current / "sites.conf").read_text()) == (not failed)
    else:
        assert not [*live.certificates.iterdir()]  # no key stays of what was refused


def test_a_service_that_serves_something_else_is_reloaded_and_asked_though_nothing_is_noted(
    small: Small,
) -> None:
    assert not deployed(small).failures
    outcome = deploy(SITE, small.parts, SILENT, unserved=["web"])
    assert (kinds(outcome), outcome.failures) == (["reload", "verify"], [])
