"""What is planned for this host's services, by what the store holds and what they have."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxygen.deploy import plan_deployment
from proxygen.model.certificate import ADOPTED, GLOBAL
from proxygen.model.x509 import facts_of_pair
from proxygen.observe.site import observe
from proxygen.plan.backoff import RememberedFailure, order_purpose
from proxygen.plan.observed import Candidate, Installed, Observed, ServiceState
from proxygen.plan.steps import Adopt, Forget, Install, Issue, Plan, Reload, Step, Verify
from proxygen.services import Additions, ParameterFacts, WebFacts
from tests import certificates
from tests.certificates import DAY, NOON
from tests.failures import no, too_old
from tests.models import bundles, site
from tests.small_service import LINK, Small

SITE = site("""\
global: {url: mail.example.net, certificate: acme}
acme: {terms_of_service_agreed: true, preflight: false}
domains:
  a.example: {url: www.a.example, certificate: acme}
  b.example: {url: www.b.example, certificate: selfsigned}
  c.example: {url: www.c.example, certificate: {file: {certificate: c.pem, key: c.pem}}}
  d.example: {url: www.d.example}
""")
WANTED = {each.owner: each for each in SITE.certificates}
ROOT = certificates.root()

Make = Callable[[Observed], Observed]
WEB = ["reload web", "verify web"]
POST = ["reload post", "verify post"]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Return both services, of which none has anything of ours."""
    return Small(tmp_path, NOON)


def in_place(small: Small) -> Observed:
    """Return what is when all is stored and both services run, and have what they should."""
    there = observe(SITE, small.parts).services
    running = {name: replace(state, pid=7) for name, state in there.items()}
    what = Observed(bundles(SITE), running, {})
    for name, each in small.wanted(SITE, what).items():
        has = Installed(
            generation=each.id,
            files=each.files,
            links=each.links,
            certificates=frozenset(each.certificates),
            manifest=each.manifest,
            pointer=each.pointer_text,
            written_for=each.version,
        )
        what = service(name, installed=has)(what)
    has_parameters = {"smtpd_tls_chain_files": str(small.layout.live("post").current / LINK)}
    return parameters(has_parameters)(what)


# What is other than that: each row of a table names some of these.


def without(*owners: str) -> Make:
    """Nothing is stored for some owners."""
    return lambda what: replace(
        what, bundles={key: each for key, each in what.bundles.items() if key not in owners}
    )


def nothing_stored(what: Observed) -> Observed:
    """Nothing is stored at all."""
    return replace(what, bundles={})


def stored(owner: str, mark: str = "f" * 64, **more: Any) -> Make:
    """Another bundle is stored for an owner."""
    return lambda what: replace(
        what,
        bundles={
            **what.bundles,
            owner: replace(bundles(SITE)[owner], digest=mark, fingerprint=mark, **more),
        },
    )


def service(name: str, **more: Any) -> Make:
    """Something is other about a service."""
    return lambda what: replace(
        what, services={**what.services, name: replace(what.services[name], **more)}
    )


def has(name: str, **more: Any) -> Make:
    """Something is other about what of ours a service has."""
    return lambda what: service(name, installed=replace(what.services[name].installed, **more))(
        what
    )


def new(what: Observed) -> Observed:
    """No service has anything of ours."""
    for name in what.services:
        what = service(name, installed=Installed())(what)
    return parameters({})(what)


def given(name: str, **more: Any) -> Make:
    """Something is other about the facts of a service."""
    return lambda what: service(name, facts=replace(facts_of(what.services[name]), **more))(what)


def parameters(values: dict[str, str]) -> Make:
    """The parameters of the mail service are these."""
    return given("post", parameters=values)


def facts_of(state: ServiceState) -> WebFacts | ParameterFacts:
    """Return the facts of a service."""
    assert isinstance(state.facts, WebFacts | ParameterFacts)
    return state.facts


def shows(owner: str, name: str, by: str = "web", *, ends: float = 30) -> Make:
    """A service is configured with a certificate for a name of an owner."""
    pair = certificates.leaf(ROOT, name, end=NOON + ends * DAY).pair()
    found = Candidate(
        by, (Path("/k.pem"),), pair, facts_of_pair(pair, owner, ADOPTED), is_trusted=True
    )
    return lambda what: replace(what, candidates={**what.candidates, owner: (found,)})


def failed(owner: str, source: str, until: int = 1) -> Make:
    """What was supplied for an owner could not be used; *source* is what stood for it then."""
    found = RememberedFailure(
        *(owner, NOON - DAY, NOON - DAY, 1, NOON + until * DAY, no(), order_purpose(WANTED[owner])),
        source=source,
    )
    return lambda what: replace(what, failures={owner: found}, marks={owner: "as it is"})


ADDED = Additions("a.example", (("a.conf", "deny all;\n"),), "0" * 16)


def planned(small: Small, *changes: Make, **how: Collection[str]) -> Plan:
    """Return the plan for what is once some things are other."""
    what = in_place(small)
    for change in changes:
        what = change(what)
    return plan_deployment(SITE, small.parts, what, **how)


def words(plan: Plan) -> list[str]:
    """Return the steps of a plan in short, each installation with its reason's code."""
    return [short(step) for step in plan.steps]


def short(step: Step) -> str:
    """Return a step in short."""
    match step:
        case Issue(certificate, _, stand_in):
            how = "stand-in" if stand_in else certificate.issuer
            return f"{how} {certificate.owner}"
        case Forget(bundle):
            return f"forget {bundle.owner}"
        case Adopt(bundle):
            return f"adopt {bundle.owner}"
        case Install(installation, reason):
            return f"install {installation.service}: {reason.code}"
        case Reload(name):
            return f"reload {name}"
        case Verify(name, _, reason):
            return f"verify {name}" + (f": {reason.code}" if reason else "")
    return type(step).__name__


FIRST = ["install web: first", *WEB, "install post: first", *POST]
CHANGED = ["install web: changed", *WEB]
SELF, FILE = "selfsigned b.example", "file c.example"


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        pytest.param((), [], id="all is as it should be"),
        pytest.param((nothing_stored, new), ["stand-in global", SELF, FILE], id="nothing is there"),
        pytest.param((nothing_stored,), ["stand-in global", SELF, FILE], id="the store is lost"),
        pytest.param((without(GLOBAL),), ["stand-in global"], id="the global one is gone"),
        pytest.param((without(GLOBAL), new), ["stand-in global"], id="nor is anything set up"),
        pytest.param((new,), FIRST, id="all is stored, and nothing set up"),
        pytest.param(
            (without("a.example"), new), FIRST, id="what is ordered of others is not waited for"
        ),
        pytest.param((without("b.example"),), [SELF, *CHANGED], id="the self-signed one is gone"),
        pytest.param((without("c.example"),), [FILE, *CHANGED], id="the supplied one is gone"),
        pytest.param(
            (stored("b.example", not_after=NOON + DAY / 24),),
            [SELF, *CHANGED],
            id="the self-signed one is about to end, and another than serves",
        ),
        pytest.param((stored("a.example"),), CHANGED, id="a bundle came for a domain"),
        pytest.param(
            (stored(GLOBAL),),
            [*CHANGED, "install post: changed", *POST],
            id="a bundle came for the global URL",
        ),
        pytest.param(
            (stored(GLOBAL, stand_in=True),),
            [*CHANGED, "install post: changed", *POST],
            id="the stand-in was made",
        ),
    ],
)
def test_what_is_planned_by_what_the_store_holds(
    small: Small, changes: Collection[Make], steps: list[str]
) -> None:
    plan = planned(small, *changes)
    assert words(plan) == steps
    assert plan.failures == ()


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        pytest.param((has("web", generation=None),), ["install web: first", *WEB], id="none"),
        pytest.param((has("web", generation="f" * 16),), CHANGED, id="another generation"),
        pytest.param((has("web", files={}),), CHANGED, id="a file is gone"),
        pytest.param((has("web", files={"sites.conf": "x"}),), CHANGED, id="a file is edited"),
        pytest.param((has("web", links={}),), CHANGED, id="a link is gone"),
        pytest.param((has("web", links={LINK: "x.pem"}),), CHANGED, id="a link leads elsewhere"),
        pytest.param((has("web", manifest={}),), CHANGED, id="nobody knows what it needs"),
        pytest.param((has("web", certificates=frozenset()),), CHANGED, id="certificates are gone"),
        pytest.param((has("web", pointer=None),), ["install web: pointer", *WEB], id="no pointer"),
        pytest.param((has("web", pointer="x"),), ["install web: pointer", *WEB], id="another one"),
        pytest.param(
            (has("web", begun=True),), ["install web: interrupted", *WEB], id="a run was killed"
        ),
        pytest.param(
            (service("web", refusal="no"),), ["install web: in-the-way", *WEB], id="it refuses ours"
        ),
        pytest.param((has("web", written_for=(1,)),), [], id="it was upgraded, and takes the same"),
        pytest.param(
            (parameters({}),), ["install post: parameters", *POST], id="a parameter is gone"
        ),
        pytest.param(
            (parameters({"smtpd_tls_chain_files": "/k.pem"}),),
            ["install post: parameters", *POST],
            id="a parameter is another",
        ),
        pytest.param(
            (has("post", links={}), has("web", files={})),
            [*CHANGED, "install post: changed", *POST],
            id="both differ",
        ),
        pytest.param((service("web", pid=None),), [], id="it does not run"),
        pytest.param(
            (service("web", pid=None), stored("a.example")),
            CHANGED,
            id="it does not run, and a bundle came",
        ),
        pytest.param(
            (has("web", unserved=True),), ["verify web: unserved"], id="clients saw something else"
        ),
        pytest.param(
            (has("web", unasked=frozenset({"www.a.example"})),),
            ["verify web: unasked"],
            id="nobody asked at a place yet",
        ),
        pytest.param(
            (has("web", unasked=frozenset({"www.a.example"})), service("web", pid=None)),
            [],
            id="nor can anybody",
        ),
        pytest.param(
            (given("web", dropped=frozenset({"a.example"})),), CHANGED, id="an owner is refused"
        ),
        pytest.param(
            (given("web", closed=frozenset({"a.example"})),), CHANGED, id="an owner is closed"
        ),
        pytest.param(
            (given("web", additions={"a.example": ADDED}),), CHANGED, id="directives were added"
        ),
    ],
)
def test_what_is_planned_by_what_a_service_has(
    small: Small, changes: Collection[Make], steps: list[str]
) -> None:
    plan = planned(small, *changes)
    assert words(plan) == steps
    assert plan.failures == ()


@pytest.mark.parametrize(
    ("changes", "reloaded", "steps"),
    [
        pytest.param(
            (has("web", unserved=True),),
            ["web"],
            ["reload web", "verify web: unserved"],
            id="its files are as wanted",
        ),
        pytest.param((service("web", pid=None),), ["web"], [], id="it does not run"),
        pytest.param((stored("a.example"),), ["web"], CHANGED, id="it is changed anyway"),
        pytest.param(
            (has("web", unserved=True), has("post", unserved=True)),
            ["post"],
            ["verify web: unserved", "reload post", "verify post: unserved"],
            id="the other one is only looked at",
        ),
    ],
)
def test_what_serves_something_else_is_reloaded_once(
    small: Small, changes: Collection[Make], reloaded: Collection[str], steps: list[str]
) -> None:
    plan = planned(small, *changes, reload=reloaded)
    assert words(plan) == steps


@pytest.mark.parametrize(
    ("changes", "how", "steps", "waiting"),
    [
        pytest.param(
            (nothing_stored,), {"only": ["b.example"]}, ["stand-in global", SELF], [], id="only one"
        ),
        pytest.param(
            (nothing_stored,), {"only": ["a.example"]}, ["stand-in global"], [], id="only ordered"
        ),
        pytest.param(
            (nothing_stored,),
            {"supplied": ["c.example"]},
            ["stand-in global", SELF],
            [],
            id="tried",
        ),
        pytest.param(
            (without("c.example"), failed("c.example", "as it is")),
            {},
            CHANGED,
            ["c.example"],
            id="files are as they failed",
        ),
        pytest.param(
            (without("c.example"), failed("c.example", "as it is")),
            {"only": ["c.example"]},
            [FILE, *CHANGED],
            [],
            id="but a person asks",
        ),
        pytest.param(
            (without("c.example"), failed("c.example", "as it was")),
            {},
            [FILE, *CHANGED],
            [],
            id="files changed since they failed",
        ),
        pytest.param(
            (without("c.example"), failed("c.example", "as it is", until=0)),
            {},
            [FILE, *CHANGED],
            [],
            id="the pause is over",
        ),
    ],
)
def test_whose_certificate_is_supplied_and_who_waits(
    small: Small,
    changes: Collection[Make],
    how: dict[str, Collection[str]],
    steps: list[str],
    waiting: list[str],
) -> None:
    plan = planned(small, *changes, **how)
    assert words(plan) == steps
    assert [each.owner for each in plan.waiting] == waiting


MAIN = ("global", "mail.example.net")


@pytest.mark.parametrize(
    ("changes", "supplied", "steps"),
    [
        pytest.param(
            (nothing_stored, new, shows(*MAIN)),
            (),
            ["adopt global", SELF, FILE, *FIRST],
            id="the global one, and with it all can be set up",
        ),
        pytest.param(
            (nothing_stored, new, shows(*MAIN, ends=-0.5)),
            (),
            ["stand-in global", SELF, FILE],
            id="not one that has ended",
        ),
        pytest.param(
            (nothing_stored, new, shows(GLOBAL, "www.other.example")),
            (),
            ["stand-in global", SELF, FILE],
            id="not one for other names",
        ),
        pytest.param(
            (nothing_stored, new, shows(*MAIN)),
            (GLOBAL,),
            ["stand-in global", SELF, FILE],
            id="not one that could not be stored",
        ),
        pytest.param((shows(*MAIN),), (), [], id="not while one is stored"),
        pytest.param(
            (without("a.example"), shows("a.example", "www.a.example")),
            (),
            ["adopt a.example", *CHANGED],
            id="a domain's",
        ),
        pytest.param(
            (without("c.example"), shows("c.example", "www.c.example")),
            (),
            ["adopt c.example", FILE, *CHANGED],
            id="one serves until the supplied one does",
        ),
        pytest.param(
            (without("b.example"), shows("b.example", "www.b.example")),
            (),
            [SELF, *CHANGED],
            id="none for whom a self-signed one is made at once",
        ),
    ],
)
def test_what_is_adopted_of_what_services_are_configured_with(
    small: Small, changes: Collection[Make], supplied: Collection[str], steps: list[str]
) -> None:
    plan = planned(small, *changes, supplied=supplied)
    assert words(plan) == steps


def broken(name: str) -> Make:
    """A service cannot be worked with."""
    return service(name, error=too_old(name), facts=None)


@pytest.mark.parametrize(
    ("changes", "steps", "failing"),
    [
        pytest.param((broken("web"),), [], ["web"], id="nothing is due"),
        pytest.param(
            (new, broken("web")), ["install post: first", *POST], ["web"], id="the other is new"
        ),
        pytest.param(
            (broken("web"), stored(GLOBAL)),
            ["install post: changed", *POST],
            ["web"],
            id="a bundle came for both",
        ),
        pytest.param(
            (broken("post"), stored("a.example")), CHANGED, ["post"], id="a bundle came for one"
        ),
        pytest.param((new, broken("web"), broken("post")), [], ["web", "post"], id="both"),
        pytest.param(
            (broken("web"), nothing_stored),
            ["stand-in global", SELF, FILE],
            [],
            id="what is supplied comes first",
        ),
    ],
)
def test_a_service_that_cannot_be_worked_with_keeps_no_other_from_its_own(
    small: Small, changes: Collection[Make], steps: list[str], failing: list[str]
) -> None:
    plan = planned(small, *changes)
    assert words(plan) == steps
    assert [of for of, _ in plan.failures] == failing
