"""What is on this host, as far as it is read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble, registry
from proxygen.apply import refusals
from proxygen.assemble import Installation
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.model.x509 import facts_of_pair
from proxygen.names.states import Answers
from proxygen.observe import answers
from proxygen.observe import services as observe
from proxygen.observe import site as observe_site
from proxygen.observe.installed import LEFT_OUT, REFUSED, UNASKED, UNSERVED, refusal_noted
from proxygen.observe.services import states_with_notes
from proxygen.plan.compare import why_install
from proxygen.plan.culprits import parts_of
from proxygen.plan.left_out import LeftOut, PartKind
from proxygen.plan.observed import Installed, Observed, ServiceRefusal, ServiceState
from proxygen.services import Reading, ServiceSettings, WebFacts, postfix
from proxygen.services.service_includes import matched_by
from proxygen.stores import challenge_answers, keyspace
from proxygen.stores.bundles import Bundles
from proxygen.stores.names import NameStore
from tests import certificates, known_names
from tests.certificates import NOON
from tests.failures import no, too_old
from tests.mails import HOUR
from tests.models import site
from tests.small_service import LINK, THEIRS, Small
from tests.standins import MemoryStore

INCLUDES = matched_by(r"(?m)^include (?P<mask>[^;]*);")


def test_a_configuration_is_read_within_bounds_with_what_it_includes(tmp_path: Path) -> None:
    main = tmp_path / "main.conf"
    main.write_text("include *.part;\n")
    (tmp_path / "a.part").write_text("a\n")
    assert answers.read_file_answer(Reading(main, INCLUDES)).out == "include *.part;\na\n\n"
    for name in ("b", "c"):
        (tmp_path / f"{name}.part").touch()
        os.truncate(tmp_path / f"{name}.part", 40 * 1024 * 1024)
    answer = answers.read_file_answer(Reading(main, INCLUDES))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"{main}: the configuration has more than 64 MiB with its includes"


@pytest.mark.parametrize(
    ("repeated", "expected"),
    [
        pytest.param(False, "include b;\ninclude c;\nc\n\n\ninclude b;\n", id="once"),
        pytest.param(True, 2 * "include b;\ninclude c;\nc\n\n\n", id="as often as included"),
    ],
)
def test_what_is_included_stands_behind_its_include(
    tmp_path: Path, repeated: bool, expected: str
) -> None:
    for name, text in (("a", "include b;\ninclude b;\n"), ("b", "include c;\n"), ("c", "c\n")):
        (tmp_path / name).write_text(text)
    assert answers.read_file_answer(Reading(tmp_path / "a", INCLUDES, repeated)).out == expected


def test_files_that_include_one_another_are_read_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("include a;\ninclude a;\n")
    assert len(answers.read_file_answer(Reading(tmp_path / "a", INCLUDES)).out) < 100
    assert not answers.read_file_answer(Reading(tmp_path / "a", INCLUDES, repeated=True)).code


def test_a_service_that_is_missing_is_told_by_its_name(tmp_path: Path) -> None:
    program = tmp_path / "usr/sbin/postfix"
    layout = Layout(tmp_path, tmp_path / "proxygen.yaml")
    known = replace(
        assemble.build_installation(layout, lambda: datetime.now(UTC)),
        services={"postfix-out": registry.service("postfix", "postfix-out")},
    )
    settings = ServiceSettings(program=str(program))
    state = observe.service_state("postfix-out", settings, known)
    assert state.name == "postfix-out"
    assert state.error
    assert state.error.what == "postfix-out was not found on this host"
    assert "install postfix," in state.error.remedy


def test_a_program_is_looked_for_by_the_word_of_the_kind() -> None:
    service = replace(postfix.SERVICE, programs=()).named("sh", "sh")
    program = observe.program_of(service, ServiceSettings())
    assert program
    assert Path(program).name == "sh"
    nothing_said = site("global: {url: mail.example.net, certificate: selfsigned}")
    assert observe.wanted_services(nothing_said, {service.name: service}) == {
        "sh": ServiceSettings()
    }


def test_why_a_service_was_not_given_what_is_wanted_is_noted_by_a_code(tmp_path: Path) -> None:
    live = Layout(tmp_path, tmp_path / "proxygen.yaml").live("dovecot")
    refusals.note_refusal(live, too_old(), NOON)
    assert refusal_noted(live) is None  # nothing of ours is there yet
    live.folder.mkdir(parents=True)
    refusals.note_refusal(live, too_old(), NOON)
    refusals.note_refusal(live, too_old(), NOON + HOUR)
    assert refusal_noted(live) == ServiceRefusal(NOON, too_old().failure)
    text = (live.folder / REFUSED).read_text()
    assert '"too-old"' in text
    assert "is too old" not in text
    refusals.settle_refusal(live)
    assert refusal_noted(live) is None


def test_what_was_noted_in_sentences_is_known_as_words(tmp_path: Path) -> None:
    live = Layout(tmp_path, tmp_path / "proxygen.yaml").live("nginx")
    live.folder.mkdir(parents=True)
    noted = {"since": NOON.isoformat(), "what": "nginx refused", "where": "a:1", "words": "[emerg]"}
    (live.folder / REFUSED).write_text(json.dumps(noted | {"remedy": "correct it"}))
    found = refusal_noted(live)
    assert found is not None
    assert (found.since, found.failure.code) == (NOON, "noted-before")
    assert (found.failure.words, found.failure.where) == ("[emerg]", "a:1")
    (live.folder / REFUSED).write_text('{"what": 7, "since": "never"}')
    assert refusal_noted(live) is None


# What is made of a root on which generations stand and two small services are.

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, certificate: selfsigned}
""")
WWW = "www.a.example"
ROOT = certificates.root()


def saved(parts: Installation, owner: str, name: str) -> Bundle:
    """Store a new bundle for an owner, and return it."""
    pair = certificates.leaf(ROOT, name).pair()
    bundle = facts_of_pair(pair, owner, "selfsigned")
    parts.bundles.save(pair, bundle)
    return bundle


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Return both services with all that they should have."""
    made = Small(tmp_path, NOON)
    saved(made.parts, GLOBAL, "mail.example.net")
    saved(made.parts, "a.example", WWW)
    made.set_up(SITE)
    return made


def web(small: Small, of: Site = SITE) -> ServiceState:
    """Return what is observed of the web server."""
    return observe_site.observe(of, small.parts).services["web"]


def reason(small: Small, name: str) -> str | None:
    """Return why a service is to be given its files anew, None while it has them."""
    what = observe_site.observe(SITE, small.parts)
    found = why_install(small.wanted(SITE, what)[name], what.services[name])
    return found.code if found else None


Act = Callable[[Small], object]
Then = Callable[[Installed], Installed]


def same(was: Installed) -> Installed:
    """Nothing is other."""
    return was


def current(small: Small) -> Path:
    """Return the link to what serves."""
    return small.layout.live("web").current


def key(small: Small) -> Path:
    """Return the file of the global certificate."""
    return (current(small) / LINK).resolve()


def point_elsewhere(small: Small) -> None:
    """Have the link lead to a generation that is not there."""
    current(small).unlink()
    current(small).symlink_to("generations/other")


def note(name: str, text: str) -> Act:
    """Note something beside the generations."""
    return lambda small: (small.layout.live("web").folder / name).write_text(text)


def written(name: str, text: str) -> Act:
    """Write a file of the generation that serves."""
    return lambda small: (current(small) / name).write_text(text)


def noted_version(numbers: object) -> Act:
    """Note another version for which the generation was written."""

    def act(small: Small) -> None:
        path = current(small) / "generation.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"version": numbers}))

    return act


NOWHERE = {"generation": "other", "files": {}, "links": {}, "manifest": {}, "written_for": ()}


@pytest.mark.parametrize(
    ("act", "then", "why"),
    [
        pytest.param(lambda _: None, same, None, id="nobody did anything"),
        pytest.param(
            written("sites.conf", "x"),
            lambda was: replace(was, files={"sites.conf": "x"}),
            "changed",
            id="a file was edited",
        ),
        pytest.param(
            lambda small: (current(small) / "sites.conf").unlink(),
            lambda was: replace(was, files={}),
            "changed",
            id="a file was removed",
        ),
        pytest.param(
            written("more.conf", "x"),
            lambda was: replace(was, files={**was.files, "more.conf": "x"}),
            "changed",
            id="a file was added",
        ),
        pytest.param(
            lambda small: (current(small) / "more").mkdir(), same, None, id="a folder is no file"
        ),
        pytest.param(
            lambda small: (current(small) / LINK).unlink(),
            lambda was: replace(was, links={}),
            "changed",
            id="a link was removed",
        ),
        pytest.param(
            written("generation.json", "["),
            lambda was: replace(was, manifest={}, written_for=()),
            "changed",
            id="what is noted of it was damaged",
        ),
        pytest.param(
            noted_version([1, 1]),
            lambda was: replace(was, written_for=(1, 1)),
            None,
            id="it was written for another version",
        ),
        pytest.param(
            noted_version(["x"]),
            lambda was: replace(was, written_for=()),
            None,
            id="for which one nobody knows",
        ),
        pytest.param(
            point_elsewhere,
            lambda was: replace(was, **NOWHERE),
            "changed",
            id="the link leads elsewhere",
        ),
        pytest.param(
            lambda small: current(small).unlink(),
            lambda was: replace(was, **NOWHERE | {"generation": None}),
            "first",
            id="the link is gone",
        ),
        pytest.param(
            lambda small: key(small).chmod(0o644),
            lambda was: replace(was, certificates=others(was), shared=others(was)),
            "changed",
            id="everybody can read a key",
        ),
        pytest.param(
            lambda small: key(small).unlink(),
            lambda was: replace(was, certificates=others(was), shared=others(was)),
            "changed",
            id="a key is gone",
        ),
        pytest.param(
            lambda small: small.pointer.unlink(),
            lambda was: replace(was, pointer=None),
            "pointer",
            id="the pointer is gone",
        ),
        pytest.param(
            lambda small: small.pointer.write_text("# mine\n"),
            lambda was: replace(was, pointer="# mine\n"),
            "pointer",
            id="the pointer was edited",
        ),
        pytest.param(
            note("begun", "{}"),
            lambda was: replace(was, begun=True),
            "interrupted",
            id="a run was killed",
        ),
        pytest.param(
            note(UNSERVED, '{"names": ["www.a.example", 7]}'),
            lambda was: replace(was, unserved=True, wrong_names=frozenset({WWW})),
            None,
            id="clients saw something else",
        ),
        pytest.param(
            note(UNSERVED, "["),
            lambda was: replace(was, unserved=True),
            None,
            id="for which names nobody knows",
        ),
        pytest.param(
            note(UNASKED, '{"names": ["www.a.example"]}'),
            lambda was: replace(was, unasked=frozenset({WWW})),
            None,
            id="nobody asked at a place yet",
        ),
    ],
)
def test_what_of_ours_a_service_has(small: Small, act: Act, then: Then, why: str | None) -> None:
    was = web(small).installed
    assert was.generation == current(small).readlink().name
    assert was.certificates == set(was.manifest["certificates"])
    act(small)
    assert web(small).installed == then(was)
    assert reason(small, "web") == why
    assert reason(small, "post") is None


def others(was: Installed) -> frozenset[str]:
    """Return the certificate files but the global one."""
    return frozenset(name for name in was.certificates if not name.startswith(GLOBAL))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("{ours}", None, id="nobody edited it"),
        pytest.param("{ours}mynetworks = 127.0.0.0/8\n", None, id="another parameter was set"),
        pytest.param("myhostname = x\n", "parameters", id="ours is gone"),
        pytest.param("smtpd_tls_chain_files = /k.pem\n", "parameters", id="ours is another"),
        pytest.param("", "parameters", id="all are gone"),
    ],
)
def test_what_parameters_a_service_has(small: Small, text: str, why: str | None) -> None:
    main = small.root / "etc/post/main.cf"
    main.write_text(text.replace("{ours}", main.read_text()))
    assert reason(small, "post") == why
    assert reason(small, "web") is None


# What a service is found to be.


@contextmanager
def running(small: Small, pid: int | None = None) -> Iterator[int]:
    """Have the web server run, or leave its file with another process's *pid*."""
    path = small.root / "run/web.pid"
    path.parent.mkdir()
    with subprocess.Popen([small.program, "run"], stdin=subprocess.PIPE) as process:
        path.write_text(f"{pid or process.pid}\n")
        yield process.pid


@pytest.mark.parametrize(
    ("pid", "runs"),
    [
        pytest.param(None, True, id="its own process"),
        pytest.param(os.getpid(), False, id="a process of another program"),
        pytest.param(4_194_305, False, id="a process that cannot be"),
    ],
)
def test_which_process_is_a_services_own(small: Small, pid: int | None, runs: bool) -> None:
    assert web(small).pid is None
    with running(small, pid) as started:
        assert web(small).pid == (started if runs else None)
    assert web(small).pid is None


def as_pipe(small: Small) -> None:
    """Put a pipe in the place of the main file: who reads it waits for ever."""
    small.main.unlink()
    os.mkfifo(small.main)


def upgraded(*words: str) -> Act:
    """The service is of another version than its files, and refuses what holds a word."""

    def act(small: Small) -> None:
        noted_version([1, 1])(small)
        small.tell("refuses", *words)

    return act


@pytest.mark.parametrize(
    ("act", "error", "refusal"),
    [
        pytest.param(lambda _: None, None, "", id="it can be worked with"),
        pytest.param(
            lambda small: small.program.unlink(), "service-not-found", "", id="it has no program"
        ),
        pytest.param(as_pipe, "service-not-seen", "", id="its configuration is no file"),
        pytest.param(
            lambda small: small.tell("refuses", "serve"),
            None,
            "",
            id="it does not run, and what it would say of ours is not asked",
        ),
        pytest.param(upgraded("serve"), None, "unknown word", id="it was upgraded, refuses ours"),
        pytest.param(upgraded(THEIRS), None, "", id="and the administrator's likewise"),
        pytest.param(upgraded("x y z"), None, "", id="it was upgraded, and takes ours"),
    ],
)
def test_what_is_found_out_about_a_service(
    small: Small, act: Act, error: str | None, refusal: str
) -> None:
    act(small)
    there = replace(SITE, services={"web": None, "post": None})
    state = web(small, there)
    assert (state.error and state.error.failure.code) == error
    assert (state.facts is None) == (error is not None)
    assert bool(state.refusal) == bool(refusal)
    assert refusal in state.refusal
    other = observe_site.observe(there, small.parts).services["post"]
    assert other.facts is not None


@pytest.mark.parametrize(
    ("named", "programs", "observed", "abandoned", "gone"),
    [
        pytest.param(None, "web post", ["web", "post"], (), (), id="the model names none"),
        pytest.param(None, "post", ["post"], (), ("web",), id="nor is one there any more"),
        pytest.param("web post", "web post", ["web", "post"], (), (), id="it names both"),
        pytest.param("web post", "post", ["web", "post"], (), (), id="one of them is not there"),
        pytest.param("post", "web post", ["post"], ("web",), (), id="it names the other alone"),
        pytest.param("post", "post", ["post"], ("web",), (), id="be the one gone or not"),
        pytest.param("", "web post", [], ("post", "web"), (), id="it wants none"),
    ],
)
def test_which_services_are_worked_with(
    small: Small,
    named: str | None,
    programs: str,
    observed: list[str],
    abandoned: tuple[str, ...],
    gone: tuple[str, ...],
) -> None:
    if "web" not in programs:
        small.program.unlink()
    services = None if named is None else dict.fromkeys(named.split())
    found = observe_site.observe(replace(SITE, services=services), small.parts)
    assert [*found.services] == observed
    assert (found.abandoned, found.gone) == (abandoned, gone)


# Certificates in use that are other ones than what is stored.


def renewed(small: Small) -> None:
    """Another certificate of a.example is stored."""
    saved(small.parts, "a.example", WWW)


def lost(small: Small) -> None:
    """The store has nothing of a.example any more."""
    small.parts.bundles.forget(observe_site.observe(SITE, small.parts).bundles["a.example"])


def then(*acts: Act) -> Act:
    """One after the other."""
    return lambda small: [act(small) for act in acts]


def of_a(small: Small) -> Path:
    """Return the certificate file of a.example."""
    (path,) = small.layout.live("web").certificates.glob("a.example-*.pem")
    return path


@pytest.mark.parametrize(
    ("act", "former"),
    [
        pytest.param(lambda _: None, False, id="what is stored is in use"),
        pytest.param(renewed, True, id="another one is stored"),
        pytest.param(lost, True, id="none is stored"),
        pytest.param(
            then(lambda small: of_a(small).write_text("x"), renewed), False, id="it was damaged"
        ),
        pytest.param(then(lambda small: of_a(small).unlink(), renewed), False, id="it is gone"),
    ],
)
def test_which_former_certificates_a_service_may_go_on_with(
    small: Small, act: Act, former: bool
) -> None:
    name = of_a(small).name
    act(small)
    assert web(small).installed.former == ({name} if former else set())


# What a service goes without, while that is as it was refused.


def refused(kind: PartKind, name: str, version: str = "") -> Act:
    """Note that a part was refused: as it is, or of another version."""

    def act(small: Small) -> None:
        what = observe_site.observe(SITE, small.parts)
        state = what.services["web"]
        assert state.facts
        present = state.whole or state.facts
        found = {each.kind: each for each in parts_of(SITE, what.bundles, present, "web")}
        part = replace(found.get(kind, NO_PART), name=name)
        part = replace(part, version=version) if version else part
        noted = {"left_out": [LeftOut(part, "no", "x:1").as_json(), "garbage"]}
        note(LEFT_OUT, json.dumps(noted))(small)

    return act


NO_PART = next(iter(parts_of(SITE, {}, WebFacts("web", (1,), Path("/web.conf")), "web")))


def directives(small: Small) -> None:
    """The administrator has directives for a.example."""
    folder = small.layout.etc / "nginx.d/a.example"
    folder.mkdir(parents=True)
    (folder / "x.conf").write_text("deny all;\n")


def unreadable(small: Small) -> None:
    """One of them cannot be read."""
    (small.layout.etc / "nginx.d/a.example/y.conf").mkdir(parents=True)


A = "a.example"


@pytest.mark.parametrize(
    ("act", "out", "given"),
    [
        pytest.param(lambda _: None, [], {}, id="nothing was refused"),
        pytest.param(refused(PartKind.OWNER, A), [A], {"dropped": {A}}, id="an owner"),
        pytest.param(refused(PartKind.OWNER, A, "x"), [], {}, id="an owner that is other since"),
        pytest.param(
            refused(PartKind.OWNER, "b.example"), [], {}, id="an owner that is there no more"
        ),
        pytest.param(
            refused(PartKind.CERTIFICATE, A), [A], {"shown": {A: None}}, id="a certificate"
        ),
        pytest.param(
            then(refused(PartKind.CERTIFICATE, A), renewed), [], {}, id="which was renewed since"
        ),
        pytest.param(directives, [], {"additions": {A}}, id="directives that nobody refused"),
        pytest.param(
            then(directives, refused(PartKind.ADDITIONS, A)), [A], {}, id="directives that are new"
        ),
        pytest.param(
            then(directives, refused(PartKind.ADDITIONS, A, "x")),
            [],
            {"additions": {A}},
            id="directives that are other since",
        ),
        pytest.param(then(directives, unreadable), [A], {}, id="directives that cannot be read"),
        pytest.param(note(LEFT_OUT, "["), [], {}, id="what is noted was damaged"),
    ],
)
def test_what_a_service_goes_without(
    small: Small, act: Act, out: list[str], given: Mapping[str, Any]
) -> None:
    plain = web(small).facts
    assert isinstance(plain, WebFacts)
    act(small)
    state = web(small)
    assert isinstance(state.facts, WebFacts)
    assert [each.part.name for each in state.left_out] == out
    assert (state.whole is not None) == bool(out)
    assert state.facts.dropped == given.get("dropped", set())
    assert state.facts.shown == given.get("shown", {})
    assert state.facts.additions.keys() == given.get("additions", set())
    assert state.facts.closed == set()


# What was noted since.


@pytest.mark.parametrize(
    ("act", "then"),
    [
        pytest.param(lambda _: None, same, id="nothing"),
        pytest.param(
            note(UNSERVED, '{"names": ["www.a.example"]}'),
            lambda was: replace(was, unserved=True, wrong_names=frozenset({WWW})),
            id="clients see something else",
        ),
        pytest.param(
            note(UNASKED, '{"names": ["www.a.example"]}'),
            lambda was: replace(was, unasked=frozenset({WWW})),
            id="nobody asked at a place",
        ),
        pytest.param(
            lambda small: refusals.note_refusal(small.layout.live("web"), too_old("web"), NOON),
            lambda was: replace(was, refused=ServiceRefusal(NOON, too_old("web").failure)),
            id="it was not given what is wanted",
        ),
        pytest.param(note("begun", "{}"), same, id="that a change was begun is observed alone"),
        pytest.param(written("sites.conf", "x"), same, id="so are files"),
    ],
)
def test_what_was_noted_since_it_was_observed(small: Small, act: Act, then: Then) -> None:
    services = observe_site.observe(SITE, small.parts).services
    act(small)
    found = states_with_notes(services, small.layout)
    assert found["web"].installed == then(services["web"].installed)
    assert found["post"] is services["post"]
    assert replace(found["web"], installed=services["web"].installed) == services["web"]


# What the store alone tells.


@pytest.fixture
def parts(tmp_path: Path) -> Installation:
    """Return parts with a store that is no disk's."""
    whole = MemoryStore()
    store, own = keyspace.shared_part(whole), keyspace.own_part(whole)
    usual = assemble.build_installation(Layout(tmp_path, tmp_path / "proxygen.yaml"), lambda: NOON)
    bundles, known = Bundles(store), NameStore(store)
    return replace(usual, store=store, own=own, bundles=bundles, names=known)


DIRECTORY = "https://ca.example/directory"
WANTED = {each.owner: each for each in SITE.certificates}
KNOWN = known_names.waiting(WWW)


def stored(parts: Installation) -> dict[str, object]:
    """A bundle is stored."""
    return {"bundles": {A: saved(parts, A, WWW)}}


def without_key(parts: Installation) -> dict[str, object]:
    """The key of a stored bundle is gone."""
    parts.store.delete(f"bundles/{A}/{saved(parts, A, WWW).digest[:32]}")
    return {}


def damaged(parts: Installation) -> dict[str, object]:
    """What is stored of one bundle was damaged; another one is whole."""
    saved(parts, A, WWW)
    (kept,) = parts.store.keys("certificates")
    parts.store.put(kept, b"{")
    return {"bundles": {GLOBAL: saved(parts, GLOBAL, "mail.example.net")}}


def not_obtained(parts: Installation) -> dict[str, object]:
    """A certificate could not be obtained."""
    parts.bundles.failed(WANTED[A], no(), NOON, 0.5)
    return {"failures": parts.bundles.failures()}


OBSERVED_AS = {"troubles": "authority_failures", "looks": "poll_failures"}
"""What is stored of authorities, and where it is observed."""


def held(prefix: str) -> Callable[[Installation], dict[str, object]]:
    """An authority is left alone."""

    def act(parts: Installation) -> dict[str, object]:
        parts.bundles.remember_failure(prefix, DIRECTORY, no(), NOON, 0.5)
        return {OBSERVED_AS[prefix]: parts.bundles.failures_below(prefix)}

    return act


def of_a_name(parts: Installation) -> dict[str, object]:
    """Something is known of a name."""
    parts.names.note(A, [KNOWN])
    return {"names": {A: {WWW: KNOWN}}}


def answering(parts: Installation) -> dict[str, object]:
    """A web server of this host answers challenges for a name."""
    found = Answers(frozenset({WWW}))
    challenge_answers.note_answers(parts.own, "web", found)
    return {"answers": found}


@pytest.mark.parametrize(
    "acts",
    [
        pytest.param((), id="nothing"),
        pytest.param((stored,), id="a bundle"),
        pytest.param((without_key,), id="a bundle without its key counts for none"),
        pytest.param((damaged,), id="nor does a damaged one, which harms no other"),
        pytest.param((not_obtained,), id="a failure"),
        pytest.param((held("troubles"),), id="an authority that issues no certificates"),
        pytest.param((held("looks"),), id="an authority without renewal information"),
        pytest.param((of_a_name,), id="a name"),
        pytest.param((answering,), id="what a web server answers for"),
        pytest.param(
            (stored, not_obtained, held("troubles"), held("looks"), of_a_name, answering),
            id="all at once",
        ),
    ],
)
def test_what_the_store_alone_tells(
    parts: Installation, acts: Collection[Callable[[Installation], dict[str, object]]]
) -> None:
    told: dict[str, Any] = {}
    for act in acts:
        told |= act(parts)
    assert all(told.values())
    expected = replace(Observed({}, {}, {}), **told)
    assert observe_site.observe_store(SITE, parts) == expected
    whole = observe_site.observe(replace(SITE, services={}), parts)
    assert whole == expected  # what is on this host besides is nothing
