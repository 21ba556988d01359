"""Letters: a digest in its reader's language, as text and as HTML.

``GOLDEN=update pytest tests/texts/test_mails.py`` writes the looked-at copies anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from proxygen.errors import ServiceError
from proxygen.failure import not_obtained
from proxygen.host import languages
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Site
from proxygen.names.states import NameState
from proxygen.plan.render import Template, Templates
from proxygen.texts.alerts import RoundResult, WrongModel
from proxygen.texts.digests import ToldAlerts
from proxygen.texts.mails import TEMPLATE, Mail, mail_of
from proxygen.texts.remedies import REASONS
from tests.certificates import DAY, NOON
from tests.failures import not_issued, unserved
from tests.known_names import FINDINGS, NOT_GRAVE, by_name, finding, moved, refused
from tests.known_names import waiting as late
from tests.mails import (
    DIRECTORY,
    HOUR,
    SENDER,
    SITE,
    TEMPLATE_OF_OURS,
    TEXT,
    URN,
    authority_failure,
    digests,
    ending,
    everything,
    noting_language,
    remembered_failure,
    round_result,
    service,
    speaking,
    waiting,
)
from tests.models import bundle, bundles, site, stand_in

ADMIN, CONTACT = "hostmaster@example.net", "it@customer-a.example"
GOLDEN = Path(__file__).parents[1] / "golden/mails"
CODES = languages.known_codes()


def mails_by_reader(found: RoundResult, code: str = "en") -> dict[str, Mail]:
    """Return what everybody is written in one language."""
    of = speaking(SITE, code)
    return {
        who: mail_of(each, languages.load(code), TEMPLATE_OF_OURS, SENDER, NOON)
        for who, each in digests(found, of=of).items()
    }


def rounds() -> Iterator[tuple[str, RoundResult]]:
    """Yield rounds that make use of all that can be told."""
    yield "all at once", everything()
    yield "ended", round_result(ending(a=-DAY, b=-DAY, **{GLOBAL: -DAY}), remembered_failure())
    yield "not tried", round_result(ending(a=DAY, **{GLOBAL: HOUR}))
    yield (
        "at a limit",
        round_result(ending(a=DAY), waiting=(waiting("customer-a.example", "limit"),)),
    )
    yield (
        "an authority away",
        round_result(ending(a=DAY), troubles={DIRECTORY: authority_failure()}),
    )
    for kind in (*REASONS, "unheardOf"):
        failed = remembered_failure(problem=f"{URN}:{kind}", count=1)
        yield kind, round_result(ending(a=DAY), failed)
    yield (
        "no remedy",
        round_result(
            ending(a=DAY), remembered_failure(failure=not_obtained("long-chain", count=11))
        ),
    )
    yield (
        "account",
        round_result(
            ending(a=DAY), troubles={DIRECTORY: authority_failure(problem=f"{URN}:unauthorized")}
        ),
    )
    error = unserved()
    yield "unserved", round_result(services=(service(),), failures=(("nginx", error),))
    yield "set aside", replace(round_result(), aside=WrongModel(NOON, "b.yaml is set aside"))
    yield "held back", replace(round_result(), held=WrongModel(NOON, "the removal of 9 domains"))
    yield "never obtained", missing()
    for code in sorted(set(FINDINGS) - NOT_GRAVE):
        yield code, left_out(late(AUTODISCOVER, finding(code)))
    yield "refused", left_out(refused(AUTODISCOVER))
    yield "moved", left_out(moved(AUTODISCOVER))
    yield "held up", postponed_round(WEBMAIL)
    yield "held up, operator", postponed_round("post.customer-c.example")


A = "customer-a.example"
WEBMAIL, AUTODISCOVER = f"webmail.{A}", f"autodiscover.{A}"
WITH_ANOTHER = site(TEXT.replace(f"[{AUTODISCOVER}]", f"[{AUTODISCOVER}, old.{A}]"))


def left_out(*known: NameState, of: Site = SITE) -> RoundResult:
    """Return a round in which a certificate serves without some names of its owner."""
    wanted = next(each for each in of.certificates if each.owner == A)
    rest = replace(wanted, names=(WEBMAIL,))
    return round_result(bundles(of) | {A: bundle(rest)}, names={A: by_name(known)})


def postponed_round(host: str) -> RoundResult:
    """Return a round in which the name of a URL has led elsewhere for days, near the end."""
    owner = host.partition(".")[2]
    name = owner.partition(".")[0].removeprefix("customer-")
    return round_result(ending(**{name: DAY}), names={owner: by_name([late(host)])})


def missing(of: Site = SITE) -> RoundResult:
    """Return a round in which no certificate was ever obtained, for days."""
    stood = replace(stand_in(of), not_before=NOON - 2 * DAY)
    tried = (
        remembered_failure(),
        remembered_failure("customer-b.example", problem=None, words="/etc/b.pem is empty"),
    )
    return round_result({GLOBAL: stood}, *tried)


def solved(code: str) -> dict[str, Mail]:
    """Return what everybody is written when all is solved."""
    told = {who: each.then for who, each in digests(everything()).items()}
    of = speaking(SITE, code)
    found = digests(round_result(services=(service(),)), told, NOON + DAY, of=of)
    return {
        who: mail_of(each, languages.load(code), TEMPLATE_OF_OURS, SENDER, NOON)
        for who, each in found.items()
    }


class Words(HTMLParser):
    """The visible words of a page; tags that do not match are an error."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    @property
    def text(self) -> str:
        """All words with single blanks."""
        return " ".join(" ".join(self.found).split())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("name", "found"), [*rounds()], ids=lambda each: str(each)[:20])
def test_no_mail_of_any_kind_has_a_placeholder_left(
    name: str, found: RoundResult, code: str
) -> None:
    for each in mails_by_reader(found, code).values():
        for said in (each.subject, each.text, Words(each.html).text):
            assert said.strip()
            assert not re.search(r"[{}]|None|\bstub\b|Undefined", said)


@pytest.mark.parametrize("code", CODES)
def test_no_mail_of_good_news_has_a_placeholder_left(code: str) -> None:
    found = solved(code)
    assert {each.kind for each in found.values()} == {"solved"}
    for each in found.values():
        assert not re.search(r"[{}]|None", each.subject + each.text + Words(each.html).text)


@pytest.mark.parametrize("code", CODES)
def test_every_phrase_is_of_use(code: str) -> None:
    language, used = noting_language(code)
    hook = site(TEXT.replace("{file: {certificate: b.pem}}", "hook"))
    crowd = site(TEXT + domains(300))
    rest = [
        round_result(ending(crowd, **{f"d{n}": DAY for n in range(most)})) for most in (41, 300)
    ]
    first = [(SITE, each) for each in (*(found for _, found in rounds()), *one_by_one())]
    first += [(hook, round_result(ending(hook, b=DAY))), *((crowd, each) for each in rest)]
    brought = site(TEXT.replace("certificate: acme", "certificate: hook", 1))
    first += [(brought, missing(brought))]
    cases: list[tuple[Site, RoundResult, dict[str, ToldAlerts]]] = [
        (of, now, {}) for of, now in first
    ]
    for of, now in first:
        told = {who: each.then for who, each in digests(now, of=of).items()}
        issued = ending(of, c=DAY)
        cases.append((of, round_result(bundles(of), services=(service(),)), told))
        cases.append((of, round_result(issued, services=(service(),)), told))
    nobodys = replace(SITE, domains=tuple(replace(each, contact=None) for each in SITE.domains))
    cases.append((nobodys, left_out(late(AUTODISCOVER)), {}))
    for of, now, told in cases:
        when = NOON + DAY if told else NOON
        for each in digests(now, told, when, of=of).values():
            mail_of(each, language, TEMPLATE_OF_OURS, SENDER, when)
    never = {f"finding.{code}" for code in NOT_GRAVE} | {"needed.nothing"}  # no reason to write
    rest = {each for each in language.phrases if each.startswith(ELSEWHERE)}
    assert used - rest == language.phrases.keys() - never - rest


ELSEWHERE = ("explain.", "because.", "terminal.", "failure.", "and")
"""What begins so has tests of its own."""


def domains(many: int) -> str:
    """Return that many domains, as a model has them."""
    lines = (f"  d{n}.example: {{url: w.d{n}.example, certificate: acme}}\n" for n in range(many))
    return "".join(lines)


def one_by_one() -> Iterator[RoundResult]:
    """Yield rounds in which one thing is wrong: the subject tells what."""
    whole = everything()
    yield round_result(unwritable=whole.unwritable)
    yield round_result(wrong=whole.wrong)
    yield round_result(terms=whole.terms)
    yield round_result(ending(b=DAY))
    yield round_result(ending(b=-DAY))
    yield round_result(ending(c=timedelta(minutes=10)))
    yield round_result(ending(c=HOUR))
    yield round_result(
        ending(b=DAY), failures=(("customer-b.example", not_issued("not readable")),)
    )
    yield round_result(ending(a=DAY), troubles={DIRECTORY: authority_failure(count=1)})
    yield round_result(without(GLOBAL), remembered_failure(GLOBAL))
    yield round_result(
        without(GLOBAL) | {GLOBAL: replace(stand_in(SITE), not_before=NOON - 2 * DAY)}
    )
    yield round_result(without("customer-a.example"), remembered_failure())


def without(owner: str) -> dict[str, Bundle]:
    """Return the certificates of all owners but one."""
    return {key: each for key, each in bundles(SITE).items() if key != owner}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", ["txt", "html"])
@pytest.mark.parametrize("who", [ADMIN, CONTACT])
def test_a_mail_is_as_it_was_reviewed(code: str, kind: str, who: str) -> None:
    made = mails_by_reader(everything(), code)[who]
    text = made.html if kind == "html" else f"Subject: {made.subject}\n\n{made.text}"
    path = GOLDEN / f"{who.partition('@')[0]}-{code}.{kind}"
    if os.environ.get("GOLDEN") == "update":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("code", CODES)
def test_text_and_html_say_the_same(code: str) -> None:
    for each in mails_by_reader(everything(), code).values():
        html = Words(each.html).text
        for line in re.findall(r"(?m)^(?:https://[^ ]+|  \| .*)", each.text):
            assert " ".join(line.strip("| ").split()) in html


def test_a_mail_tells_all_that_the_design_asks_for() -> None:
    text = mails_by_reader(round_result(ending(a=4 * DAY), remembered_failure()))[ADMIN].text
    joined = " ".join(text.split())
    for part in (
        "https://webmail.customer-a.example: the certificate expires in 4 days",
        "Affected names: webmail.customer-a.example, autodiscover.customer-a.example",
        "Valid until: 2026-11-24 12:00 UTC",
        "Attempts: 4 times in a row since 2026-11-18 12:00 UTC, last on 2026-11-20 11:00 UTC",
        "Reason: The authority refused webmail.customer-a.example: it could not look up the name "
        "in the DNS.",
        "Next attempt: 2026-11-21 11:00 UTC",
        "What to do: On all name servers of the domain, publish an A record",
        "In the model: proxygen.yaml:5:3",
        "| webmail.customer-a.example: DNS problem: NXDOMAIN looking up A",
    ):
        assert part in joined


def test_a_mail_about_a_certificate_that_never_came_tells_the_same() -> None:
    found = mails_by_reader(missing())
    whole, joined = found[ADMIN], " ".join(found[ADMIN].text.split())
    assert whole.subject == "3 alerts about certificates"
    for part in (
        "https://mail.example.net: there is no certificate yet",
        "Since: 2026-11-18 12:00 UTC",
        "Until there is a certificate, these names are served with a self-signed stand-in.",
        "https://webmail.customer-a.example: the certificate cannot be obtained",
        "Until there is a certificate, these names are served with the global certificate",
        "Attempts: 4 times in a row since 2026-11-18 12:00 UTC, last on 2026-11-20 11:00 UTC",
        "Next attempt: 2026-11-21 11:00 UTC",
        "What to do: On all name servers of the domain, publish an A record",
        "| webmail.customer-a.example: DNS problem: NXDOMAIN looking up A",
        "| /etc/b.pem is empty",
        "This message is sent once a day",
    ):
        assert part in joined
    text = " ".join(found[CONTACT].text.split())
    assert found[CONTACT].subject.startswith("No certificate for https://webmail.customer-a")
    assert "This message is sent once a week until the matter is solved." in text
    assert "/etc" not in found["info@customer-b.example"].text


def test_the_contact_of_a_domain_sees_nothing_of_others_and_no_paths() -> None:
    found = everything()
    text = mails_by_reader(found)[CONTACT]
    for said in (text.text, text.html):
        assert "customer-b" not in said
        assert "customer-c" not in said
        assert "proxygen.yaml" not in said
        assert "/var/lib" not in said
    assert text.reply_to == "hostmaster@example.net"
    assert "hostmaster@example.net" in text.text


@pytest.mark.parametrize(
    ("failed", "quoted"),
    [
        pytest.param(remembered_failure(words="NXDOMAIN"), True, id="the authority on their DNS"),
        pytest.param(
            remembered_failure(words="/etc/x", problem=None), False, id="not the authority's"
        ),
        pytest.param(
            remembered_failure(words="no eab", problem=f"{URN}:badCSR"), False, id="not theirs"
        ),
    ],
)
def test_the_contact_of_a_domain_is_quoted_what_concerns_them(failed, quoted: bool) -> None:
    found = mails_by_reader(round_result(ending(a=DAY), failed))
    assert (failed.failure.words in found[CONTACT].text) is quoted
    assert failed.failure.words in found[ADMIN].text
    assert ("operator of the server has been notified" in found[CONTACT].text) is not quoted


HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e {{ 7*7 }} {url}\r\nSubject: spam\n" + "x" * 5000


def test_what_an_authority_says_is_quoted_without_harm() -> None:
    hostile = not_obtained("file-unreadable", place=HOSTILE, words=HOSTILE * 100)
    made = mails_by_reader(round_result(ending(a=DAY), remembered_failure(failure=hostile)))[ADMIN]
    assert len(made.text) < 12_000
    assert "<script" not in made.html
    assert "&lt;script&gt;" in made.html
    for said in (made.text, made.html):
        assert not set("\x1b\u202e\r") & set(said)
    assert "{{ 7*7 }} {url}" in made.text
    assert max(map(len, made.text.splitlines())) < 400
    Words(made.html)


def test_ten_thousand_certificates_make_a_mail_of_a_bounded_size() -> None:
    crowd = site(TEXT + domains(2000))
    found = digests(round_result(ending(crowd, **{f"d{n}": DAY for n in range(2000)})), of=crowd)[
        ADMIN
    ]
    made = mail_of(found, languages.load("en"), TEMPLATE_OF_OURS, SENDER, NOON)
    assert made.subject == "2000 alerts about certificates"
    assert len(made.text) < 100_000
    assert "and 1760 more" in made.text


def test_the_html_is_made_for_plain_mail_programs() -> None:
    page = mails_by_reader(everything())[ADMIN].html
    assert not Words(page).tags & {"img", "script", "link", "style", "svg", "form"}
    assert "http" not in re.sub(r">[^<]*<", "><", page)  # nothing is loaded from anywhere


def page(text: str, label: str) -> Templates:
    """Return templates with that text for messages."""
    return Templates({TEMPLATE: Template(text, label)})


def test_a_template_that_cannot_be_rendered_is_told_with_its_path() -> None:
    digest = digests(everything())[ADMIN]
    broken = page("{{ content.nothing }}", "/etc/proxygen/templates/mail/mail.html.j2")
    with pytest.raises(ServiceError, match=r"templates/mail/mail\.html\.j2"):
        mail_of(digest, languages.load("en"), broken, SENDER, NOON)


def test_a_template_reaches_nothing_but_what_it_is_given() -> None:
    digest = replace(digests(everything())[ADMIN])
    sly = page("{{ content.__class__.__mro__ }}", "sly")
    with pytest.raises(ServiceError):
        mail_of(digest, languages.load("en"), sly, SENDER, NOON)


@pytest.mark.parametrize("code", CODES)
def test_a_mail_about_names_is_as_it_was_reviewed(code: str) -> None:
    found = left_out(late(AUTODISCOVER), moved("old.customer-a.example"), of=WITH_ANOTHER)
    (digest,) = digests(found, of=speaking(WITH_ANOTHER, code)).values()
    made = mail_of(digest, languages.load(code), TEMPLATE_OF_OURS, SENDER, NOON)
    text = f"To: {made.recipient}\nSubject: {made.subject}\n\n{made.text}"
    path = GOLDEN / f"names-{code}.txt"
    if os.environ.get("GOLDEN") == "update":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("code", CODES)
def test_a_mail_about_a_url_that_holds_its_certificate_up_is_as_it_was_reviewed(
    code: str,
) -> None:
    made = mails_by_reader(postponed_round(WEBMAIL), code)[ADMIN]
    text = f"To: {made.recipient}\nSubject: {made.subject}\n\n{made.text}"
    path = GOLDEN / f"held-up-{code}.txt"
    if os.environ.get("GOLDEN") == "update":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "en",
            ("nginx does not serve the right certificate at 1 endpoints", "no answer within 5 s"),
        ),
        (
            "de",
            (
                "liefert an 1 Endpunkten nicht das richtige Zertifikat aus",
                "keine Antwort innerhalb",
            ),
        ),
        ("fr", ("ne présente pas le bon certificat à 1 points d'accès", "pas de réponse en 5 s")),
    ],
)
def test_what_a_client_met_is_told_in_the_language_of_the_reader(
    code: str, said: tuple[str, ...]
) -> None:
    found = round_result(services=(service(),), failures=(("nginx", unserved()),))
    made = mail_of(digests(found)[ADMIN], languages.load(code), TEMPLATE_OF_OURS, SENDER, NOON)
    text = " ".join(made.text.split())
    assert all(each in text for each in said)
