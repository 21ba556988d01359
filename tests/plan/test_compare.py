"""Wanted against observed: the right steps in the right order, and none when nothing is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.model.certificate import GLOBAL
from proxygen.model.layout import Layout
from proxygen.names.states import Evidence, Finding, state_after_check
from proxygen.plan.compare import (
    SAMPLE,
    bundles_to_forget,
    changes_of,
    due_issues,
    in_order,
    is_renewal,
    names_to_check,
    stand_in,
)
from proxygen.plan.observed import Installed, Observed, ServiceState
from proxygen.plan.rendering import Rendering
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import (
    Change,
    CheckNames,
    Forget,
    Install,
    Issue,
    Plan,
    Reload,
    Step,
    Verify,
)
from proxygen.services import Endpoint, Facts, ParameterFacts, ServiceSettings, nginx
from tests.certificates import DAY, NOON
from tests.models import bundle, bundles, site

TEXT = """\
global: {url: mail.example.net, certificate: acme}
acme: {terms_of_service_agreed: true}
domains:
  a.example: {url: www.a.example, certificate: acme}
  b.example: {url: www.b.example, certificate: selfsigned}
"""
SITE = site(TEXT)
ALL = bundles(SITE)
LIVE = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml")).live("nginx")
FACTS = ParameterFacts(
    *("nginx", (1, 22, 1), Path("/etc/nginx/nginx.conf")), parameters={"level": "may"}
)
POINTER = nginx.pointer(Path("/etc/nginx/nginx.conf"))


def endpoint(name: str, owner: str) -> Endpoint:
    """Return a place where a client meets an owner's certificate."""
    return Endpoint("nginx", "127.0.0.1", 443, name, ALL[owner])


WANTED = Rendering(
    service="nginx",
    live=LIVE,
    files={"proxygen.conf": "new\n"},
    links={"global.pem": "global-1.pem"},
    certificates={"global-1.pem": ALL[GLOBAL]},
    pointer=POINTER,
    parameters={"level": "may"},
    readers=None,
    endpoints=(endpoint("mail.example.net", GLOBAL), endpoint("www.a.example", "a.example")),
    id="0123456789abcdef",
)
IN_PLACE = Installed(
    generation=WANTED.id,
    files=WANTED.files,
    links=WANTED.links,
    certificates=frozenset(WANTED.certificates),
    manifest=WANTED.manifest,
    pointer=WANTED.pointer_text,
)


def serving(served: Mapping[str, str]) -> dict[str, object]:
    """Return the manifest of a generation with which clients saw these fingerprints."""
    shown = [["127.0.0.1", 443, name, None, False, print_] for name, print_ in served.items()]
    return WANTED.manifest | {"endpoints": shown}


def observed(installed: Installed = IN_PLACE, facts: Facts = FACTS, **issued: object) -> Observed:
    """Return what is; *issued* takes the place of all bundles."""
    state = ServiceState("nginx", ServiceSettings(), facts, installed, pid=1)
    return Observed(issued.get("issued", ALL), {"nginx": state}, {})  # type: ignore[arg-type]


def steps(what: Observed, wanted: Rendering = WANTED, *, reload: bool = False) -> list[Step]:
    """Return the steps for nginx."""
    return list(changes_of(wanted, what.services["nginx"], reload=reload))


def kinds(found: Iterable[Step]) -> list[str]:
    """Return what kinds of steps there are, an issue with its owner."""
    return [
        f"Issue {step.certificate.owner}" if isinstance(step, Issue) else type(step).__name__
        for step in found
    ]


def test_nothing_due_is_no_step() -> None:
    assert due_issues(SITE, observed(), NOON) == ((), ())
    assert stand_in(SITE, observed()) is None
    assert steps(observed()) == []
    assert Plan((), ()).as_json() == {
        "steps": [],
        "shown": [],
        "failures": [],
        "warnings": [],
        "postponed": [],
        "forecast": None,
    }


def test_what_asks_nobody_is_issued_first() -> None:
    due, _ = due_issues(SITE, observed(issued={}), NOON)
    assert kinds(due) == ["Issue b.example", "Issue global", "Issue a.example"]


def test_what_was_tried_in_this_run_is_not_due_again() -> None:
    due, _ = due_issues(SITE, observed(issued={}), NOON, tried={GLOBAL, "b.example"})
    assert kinds(due) == ["Issue a.example"]


def test_a_stand_in_is_made_where_there_is_no_global_certificate() -> None:
    first = stand_in(SITE, observed(issued={}))
    assert first
    assert str(first).startswith("issue a stand-in for global (selfsigned)")


def test_names_that_are_checked_come_right_before_their_orders() -> None:
    _, first, second = due_issues(SITE, observed(issued={}), NOON)[0]
    name = CheckNames(((second.certificate, "www.a.example"),))
    assert in_order((second, first), (name,)) == (first, name, second)


def test_what_serves_something_else_is_reloaded_though_its_files_are_as_wanted() -> None:
    unserved = observed(replace(IN_PLACE, unserved=True))
    assert kinds(steps(unserved)) == ["Verify"]
    assert kinds(steps(unserved, reload=True)) == ["Reload", "Verify"]
    stopped = replace(unserved.services["nginx"], pid=None)
    assert kinds(changes_of(WANTED, stopped, reload=True)) == ["Verify"]
    changed = observed(replace(IN_PLACE, unserved=True, files={}))
    assert kinds(steps(changed, reload=True)) == ["Install", "Reload", "Verify"]


@pytest.mark.parametrize(
    ("installed", "code"),
    [
        (Installed(), "first"),
        (replace(IN_PLACE, begun=True), "interrupted"),
        (replace(IN_PLACE, files={"proxygen.conf": "old\n"}), "changed"),
        (replace(IN_PLACE, files=IN_PLACE.files | {"more.conf": ""}), "changed"),
        (replace(IN_PLACE, links={}), "changed"),
        (replace(IN_PLACE, certificates=frozenset()), "changed"),
        (replace(IN_PLACE, pointer=None), "pointer"),
        (replace(IN_PLACE, pointer="# mine\n"), "pointer"),
    ],
)
def test_whatever_is_not_as_it_should_be_is_installed_again(
    installed: Installed, code: str
) -> None:
    install, reload, verify = steps(observed(installed))
    assert isinstance(install, Install)
    assert install.reason.code == code
    assert (reload, type(verify)) == (Reload("nginx"), Verify)


def test_a_parameter_that_somebody_changed_is_set_again_and_shown() -> None:
    facts = replace(FACTS, parameters={"level": "none"})
    install = steps(observed(facts=facts))[0]
    assert isinstance(install, Install)
    assert install.reason.code == "parameters"
    assert install.changes == (Change("/etc/nginx/nginx.conf", "level = none", "level = may"),)


def test_spare_certificate_files_are_no_reason() -> None:
    more = replace(IN_PLACE, certificates=IN_PLACE.certificates | {"old.pem"})
    assert steps(observed(more)) == []


def test_the_changes_are_those_an_administrator_would_see() -> None:
    install = steps(observed(replace(IN_PLACE, files={"gone.conf": "x"}, pointer=None)))[0]
    assert isinstance(install, Install)
    assert [(each.path, each.before, each.after) for each in install.changes] == [
        (str(LIVE.current / "gone.conf"), "x", None),
        (str(LIVE.current / "proxygen.conf"), None, "new\n"),
        (str(POINTER.path), None, WANTED.pointer_text),
    ]
    assert list(install.changes[0].diff())[:2] == [
        f"--- {LIVE.current}/gone.conf",
        "+++ /dev/null",
    ]


def test_the_reason_names_what_joined_left_and_was_renewed() -> None:
    served = {"mail.example.net": "0" * 16, "old.example": "1" * 16}
    before = replace(IN_PLACE, files={}, manifest=serving(served))
    install = steps(observed(before))[0]
    assert isinstance(install, Install)
    assert str(install.reason) == (
        "added names: www.a.example; removed names: old.example; "
        "new certificate for mail.example.net"
    )


def test_changed_names_are_verified_and_a_sample_of_the_others() -> None:
    many = tuple(endpoint(f"n{number}.example", GLOBAL) for number in range(SAMPLE + 50))
    wanted = replace(WANTED, endpoints=(*many, endpoint("www.a.example", "a.example")))
    served = {each.server_name: ALL[GLOBAL].fingerprint[:16] for each in many}
    for begun, unserved, count in (
        *((False, False, SAMPLE + 1), (True, False, SAMPLE + 51)),
        (False, True, SAMPLE + 51),  # what was wrong may be any of them
    ):
        state = replace(IN_PLACE, files={}, manifest=serving(served))
        state = replace(state, begun=begun, unserved=unserved)
        found = steps(observed(state), wanted)
        assert isinstance(found[2], Verify)
        assert len(found[2].endpoints) == count
    assert isinstance(found[2], Verify)


def test_only_what_has_ended_and_nobody_wants_is_forgotten() -> None:
    without = site(TEXT.replace("  a.example: {url: www.a.example, certificate: acme}\n", ""))
    ended = bundle(replace(SITE.global_certificate, owner="gone.example"), ends=NOON - DAY)
    wanted_and_ended = bundle(without.global_certificate, ends=NOON - DAY)
    what = observed(issued={**ALL, "gone.example": ended, GLOBAL: wanted_and_ended})
    found = list(bundles_to_forget(without, what, NOON))
    assert found == [Forget(ended, Reason("gone", "it has ended, and the model has no use for it"))]


def test_a_plan_as_json_has_a_word_for_every_step() -> None:
    what = observed(Installed(), issued={})
    plan = Plan((*due_issues(SITE, what, NOON)[0], *steps(what)), ("careful",))
    said = plan.as_json()
    assert [each["step"] for each in said["steps"]] == [
        *("issue", "issue", "issue", "install", "reload", "verify")
    ]
    assert said["steps"][1]["names"] == ["mail.example.net"]
    assert said["steps"][3]["diff"] is None
    assert said["steps"][3]["files"][0] == {
        "path": "/var/lib/proxygen/live/nginx/current/proxygen.conf",
        "change": "new",
        "added": 1,
        "removed": 0,
    }
    assert "+new" in plan.as_json(diffs=True)["steps"][3]["diff"]
    assert said["warnings"] == [{"code": "other", "of": None, "words": "careful"}]


def test_names_that_were_never_checked_come_first() -> None:
    """Or those whose servers are silent would be looked at over and over, and others never."""
    wanted = {each.owner: each for each in ACME.certificates}
    known = {
        owner: {name: state_after_check(None, name, Evidence(NOON - ago, findings=(NOWHERE,)), 0.0)}
        for owner, ago in (("a.example", DAY / 2), ("b.example", DAY))
        for name in wanted[owner].names
    }
    due = [Issue(wanted["c.example"], Reason("absent", ""))]
    found = names_to_check(ACME.certificates, Observed({}, {}, {}, names=known), due, NOON)
    assert [each.owner for each, _ in found] == ["c.example", "b.example", "a.example"]


NOWHERE = Finding("no-address")
ACME = site(
    """\
global: {url: mail.example.net, certificate: selfsigned}
acme: {terms_of_service_agreed: true}
defaults: {certificate: acme}
domains:
  a.example: {url: www.a.example}
  b.example: {url: www.b.example}
  c.example: {url: www.c.example}
"""
)


REFUSING = ServiceState(
    *(
        "nginx",
        ServiceSettings(),
        replace(FACTS, version=(1, 26, 3)),
        replace(IN_PLACE, written_for=(1, 31, 3)),
    ),
    refusal='nginx: [emerg] unknown directive "x"\nnginx: more',
)


def test_what_a_service_refuses_of_ours_is_replaced_and_told_with_its_versions() -> None:
    now = Observed(ALL, {"nginx": REFUSING}, {})
    found = steps(now)
    step = found[0]
    assert isinstance(step, Install)
    assert step.reason == Reason(
        "in-the-way",
        "nginx 1.26.3 refuses proxygen's part of its configuration, which was written for"
        " nginx 1.31.3",
    )
    assert is_renewal(Plan(tuple(found)), now)  # a timer does not wait for a person


@pytest.mark.parametrize("written_for", [(), (1, 26, 3)])
def test_what_was_damaged_is_told_in_the_services_words(written_for: tuple[int, ...]) -> None:
    installed = replace(IN_PLACE, written_for=written_for)
    assert replace(REFUSING, installed=installed).in_the_way == (
        'nginx refuses proxygen\'s part of its configuration: nginx: [emerg] unknown directive "x"'
    )


def test_another_version_alone_is_no_reason() -> None:
    other = observed(replace(IN_PLACE, written_for=(1, 18, 0)))
    assert steps(other) == []


def test_what_another_version_wants_is_told_so() -> None:
    before = replace(IN_PLACE, files={"proxygen.conf": "old\n"}, written_for=(1, 18, 0))
    wanted = replace(WANTED, version=(1, 22, 1))
    (step, *_) = steps(observed(before), wanted)
    assert isinstance(step, Install)
    assert step.reason.words == "it was written for nginx 1.18.0, and nginx 1.22.1 is installed"
