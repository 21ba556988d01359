"""Tell people what is worth a message: with a real mail server, and a clock handed in."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble
from proxygen.apply.mails import KEPT, PORTION, MailMemory, not_written, send_mails
from proxygen.apply.outcome import Outcome
from proxygen.assemble import Installation
from proxygen.errors import ServiceError
from proxygen.host import lock
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe.installed import UNSERVED
from proxygen.plan.observed import Observed
from proxygen.stores import PutsIf, Values
from proxygen.stores.bundles import Bundles
from proxygen.stores.outbox import Outbox
from proxygen.texts.alerts import WrongModel
from tests.certificates import DAY, NOON
from tests.failures import full, not_issued, too_old, unserved
from tests.live.mailserver import Mailserver
from tests.mails import HOUR, TEXT, ending, service
from tests.models import bundles, site

ADMIN, CONTACT = "hostmaster@example.net", "it@customer-a.example"
MINUTE = HOUR / 60


class FullStore(PutsIf):
    """A store below which the disk is full while *full* is set; it counts what it writes."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.full = False
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def put_if(self, former: Values, values: Values) -> bool:
        self.change()
        done: bool = self.store.put_if(former, values)
        return done

    def change(self) -> None:
        """Count a write, refuse it when the disk is full."""
        self.writes += 1
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


class TrialHost:
    """An installation whose rounds are told about, at moments handed in."""

    def __init__(self, root: Path, port: int, text: str = TEXT) -> None:
        self.layout = Layout(root, root / "proxygen.yaml")
        self.now = NOON
        settings = f"notifiers: {{email: {{port: {port}, timeout: 5}}}}\n"
        self.site: Site = site(text + settings)
        self.memory = MailMemory()
        self.restart()

    def restart(self) -> None:
        """Forget all that is not stored."""
        parts = assemble.build_installation(self.layout, lambda: self.now)
        self.store = FullStore(parts.store)
        self.parts: Installation = replace(
            parts, store=self.store, bundles=Bundles(self.store), draw=lambda: 0.0
        )
        self.memory = MailMemory()

    def round(
        self, issued: dict[str, Bundle] | None = None, *failures: Any, services: Any = ()
    ) -> tuple[Outcome, datetime | None]:
        """Tell about a round in which these certificates are there; return what came of it."""
        there = bundles(self.site) if issued is None else issued
        observed = Observed(there, {each.name: each for each in services}, {})
        outcome = Outcome(failures=list(failures), observed=observed)
        return outcome, send_mails(self.site, self.parts, outcome, self.memory)

    def waiting(self) -> list[str]:
        """Return to whom letters are on their way."""
        return sorted(Outbox(self.parts.store).waiting())

    @property
    def near(self) -> dict[str, Bundle]:
        """Certificates of which that of customer-a ends in four days."""
        return ending(self.site, a=4 * DAY)


@pytest.fixture
def server() -> Iterator[Mailserver]:
    with Mailserver() as running:
        yield running


@pytest.fixture
def here(server: Mailserver, tmp_path: Path) -> TrialHost:
    return TrialHost(tmp_path, server.port)


def to(server: Mailserver) -> list[str]:
    """Return the recipients of all mails, in order."""
    return [str(each["To"]) for each in server.mails]


def test_nothing_to_tell_writes_nothing_and_connects_to_nobody(tmp_path: Path) -> None:
    here = TrialHost(tmp_path, 1)
    outcome, due = here.round()
    assert (outcome.warnings, here.store.writes) == ([], 0)
    assert due == NOON + 15 * DAY  # customer-b's supplied certificate, at half of its life


def test_nothing_to_tell_of_ten_thousand_domains_is_no_write(tmp_path: Path) -> None:
    lines = (
        f"  d{n}.example: {{url: w.d{n}.example, certificate: acme, contact: a@d{n}.example}}\n"
        for n in range(10_000)
    )
    here = TrialHost(tmp_path, 1, TEXT + "".join(lines))
    there = bundles(here.site)
    here.round(there)
    assert here.store.writes == 0


def test_both_contacts_are_told_each_day_and_in_the_end_that_it_is_solved(
    here: TrialHost, server: Mailserver
) -> None:
    near = here.near
    for hour in range(0, 60, 6):
        here.now = NOON + hour * HOUR
        here.round(near)
    assert to(server) == [ADMIN, CONTACT] * 3
    assert [str(each["X-Proxygen"]) for each in server.mails] == ["warning"] * 6
    here.now += HOUR
    for _ in range(3):
        here.round()
    assert to(server)[6:] == [ADMIN, CONTACT]
    assert str(server.mails[-1]["Subject"]).startswith("Behoben: https://webmail.customer-a")
    assert len({str(each["Message-ID"]) for each in server.mails}) == 8
    here.now += DAY
    here.round()
    assert list(here.parts.store.keys("told")) == list(here.parts.store.keys("mail")) == []


def test_when_there_is_more_to_tell_is_returned(here: TrialHost, server: Mailserver) -> None:
    _, due = here.round(here.near)
    midnight = (NOON.astimezone() + DAY).replace(hour=0)
    assert due == midnight
    here.now = midnight
    here.round(here.near)
    assert len(server.mails) == 4


def test_a_restart_tells_nothing_twice(here: TrialHost, server: Mailserver) -> None:
    here.round(here.near)
    for _ in range(3):
        here.restart()
        here.now += HOUR
        here.round(here.near)
    assert to(server) == [ADMIN, CONTACT]


class Killed(BaseException):
    """A run ends at this very moment."""


@pytest.mark.parametrize("write", range(1, 12))
def test_killed_at_any_write_nobody_misses_it_and_a_repeat_has_the_same_identity(
    write: int, here: TrialHost, server: Mailserver
) -> None:
    change = here.store.change

    def killing() -> None:
        change()
        if here.store.writes == write:
            raise Killed

    here.store.change = killing  # type: ignore[method-assign]
    try:
        here.round(here.near)
    except Killed:
        here.restart()
    here.now += HOUR
    here.round(here.near)
    assert set(to(server)) == {ADMIN, CONTACT}
    assert len({str(each["Message-ID"]) for each in server.mails}) == 2
    assert len(server.mails) <= 3
    assert here.waiting() == []


def test_with_the_mail_server_down_mails_wait_and_go_once_it_is_up(tmp_path: Path) -> None:
    with Mailserver() as first:
        port = first.port
    here = TrialHost(tmp_path, port)
    outcome, due = here.round(here.near)
    (warning,) = outcome.warnings
    assert "cannot be used" in warning
    assert "2 mails wait" in warning
    assert here.waiting() == [ADMIN, CONTACT]
    assert due == NOON + MINUTE
    here.restart()
    with Mailserver(port) as server:
        here.now = NOON + MINUTE / 2
        outcome, _ = here.round(here.near)
        assert (outcome.warnings, server.mails) == ([], [])  # not yet
        here.now = NOON + MINUTE
        here.round(here.near)
        assert to(server) == [ADMIN, CONTACT]
        here.round(here.near)
        assert len(server.mails) == 2
    assert here.waiting() == []


def test_the_pauses_grow_and_are_no_longer_than_100_minutes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = TrialHost(tmp_path, port)
    pauses = []
    for _ in range(5):
        _, due = here.round(here.near)
        assert due
        pauses.append((due - here.now) / MINUTE)
        here.now = due
    assert pauses == [1, 10, 100, 100, 100]


def test_an_undelivered_digest_is_replaced_by_the_newer_one(tmp_path: Path) -> None:
    with Mailserver() as first:
        port = first.port
    here = TrialHost(tmp_path, port)
    here.round(here.near)
    here.now += DAY
    here.round(here.near)
    here.now += DAY
    assert len(here.waiting()) == 2
    with Mailserver(port) as server:
        here.round(here.near)
        assert to(server) == [ADMIN, CONTACT]
        assert "22 Nov 2026" in str(server.mails[0]["Date"])


def test_what_was_solved_before_anybody_was_told_is_not_told(tmp_path: Path) -> None:
    with Mailserver() as first:
        port = first.port
    here = TrialHost(tmp_path, port)
    here.round(here.near)
    with Mailserver(port) as server:
        here.now += HOUR
        here.round()
        assert server.mails == []
    assert here.waiting() == []


def test_no_mail_is_tried_for_more_than_five_days_and_the_dropping_is_said(
    tmp_path: Path,
) -> None:
    here = TrialHost(tmp_path, 1)
    said: list[str] = []
    while here.now < NOON + KEPT + 4 * HOUR:
        outcome, _ = here.round(here.near)
        said += [each for each in outcome.warnings if "was deleted" in each]
        here.now += HOUR
    assert len(said) == 2
    assert said[0].startswith(f"a mail to {ADMIN} could not be delivered for 5 days")
    with Mailserver() as server:
        here.site = replace(here.site, notifiers=TrialHost(tmp_path, server.port).site.notifiers)
        here.now += DAY
        here.round(here.near)
        assert to(server) == [ADMIN, CONTACT]  # it holds still, so it is told anew


def test_a_refused_contact_blocks_nobody_and_is_tried_again_only_on_the_next_day(
    here: TrialHost, server: Mailserver
) -> None:
    server.answers["RCPT"] = lambda said: "550 unknown" if said == CONTACT else None
    outcome, _ = here.round(here.near)
    (warning,) = outcome.warnings
    assert warning.startswith(f"the mail server refused a mail to {CONTACT}; 550 unknown")
    assert to(server) == [ADMIN]
    assert here.waiting() == []
    here.now += HOUR
    outcome, _ = here.round(here.near)
    assert outcome.warnings == []
    here.now += DAY
    outcome, _ = here.round(here.near)
    assert len(outcome.warnings) == 1


def test_a_contact_that_is_refused_for_now_is_tried_again_alone(
    here: TrialHost, server: Mailserver
) -> None:
    server.answers["RCPT"] = lambda said: "450 later" if said == CONTACT else None
    _, due = here.round(here.near)
    assert (to(server), here.waiting(), due) == ([ADMIN], [CONTACT], NOON + MINUTE)
    server.answers.clear()
    here.round(here.near)
    assert to(server) == [ADMIN]  # its pause is not over
    here.now += MINUTE
    here.round(here.near)
    assert to(server) == [ADMIN, CONTACT]


def test_a_service_that_does_not_serve_is_told_at_once_and_when_it_does(
    here: TrialHost, server: Mailserver
) -> None:
    here.round(here.near)
    error = unserved()
    here.now += HOUR
    here.round(here.near, ("nginx", error), services=(service(),))
    assert [str(each["Subject"]) for each in server.to(ADMIN)][1:] == [
        "nginx does not serve the right certificate"
    ]
    here.round(here.near, services=(service(unserved=True),))
    mark = here.layout.live("nginx").folder / UNSERVED
    assert "Solved: nginx" in str(server.to(ADMIN)[-1]["Subject"])  # the mark is not there
    mark.parent.mkdir(parents=True)
    mark.touch()
    here.round(here.near, services=(service(),))
    assert "nginx does not serve" in str(server.to(ADMIN)[-1]["Subject"])
    assert len(server.to(ADMIN)) == 4
    assert len(server.to(CONTACT)) == 1


def test_failures_of_this_very_round_are_told(here: TrialHost, server: Mailserver) -> None:
    error = not_issued("NXDOMAIN", problem="x:dns")
    wanted = next(each for each in here.site.certificates if each.owner == "customer-a.example")
    here.parts.bundles.failed(wanted, error.failure, NOON, 0.0)
    here.round(here.near, ("customer-a.example", error))
    body = server.to(CONTACT)[0].get_body(("plain",))
    assert body
    assert "NXDOMAIN" in body.get_content()


def test_a_full_disk_is_told_once_although_nothing_can_be_stored(
    here: TrialHost, server: Mailserver
) -> None:
    here.store.full = True
    failure = ("customer-a.example", full())
    for _ in range(4):
        here.round(None, failure)
        here.now += HOUR
    assert [str(each["Subject"]) for each in server.mails] == ["proxygen cannot store anything"]
    here.now += DAY
    here.round(None, failure)
    assert len(server.mails) == 2
    here.round()
    assert len(server.mails) == 2  # nothing was stored yet, so it is not known to be solved
    here.store.full = False
    here.round()
    assert str(server.mails[-1]["Subject"]) == "Solved: proxygen can write to its store again"
    assert len(server.mails) == 3
    assert here.memory.unwritten == {}
    here.restart()
    here.round()
    assert len(server.mails) == 3


def test_a_disk_that_is_found_full_still_is_not_called_solved(
    here: TrialHost, server: Mailserver
) -> None:
    here.round(None, ("customer-a.example", full()))
    here.store.full = True
    here.round()
    assert len(server.mails) == 1
    here.store.full = False
    here.round()
    assert [str(each["X-Proxygen"]) for each in server.mails] == ["warning", "solved"]


def test_a_round_that_came_to_nothing_is_told_as_well(here: TrialHost, server: Mailserver) -> None:
    failures = [("the store", full())]
    send_mails(here.site, here.parts, Outcome(failures=list(failures)), here.memory)
    assert to(server) == [ADMIN]


def test_alerts_are_kept_in_memory_while_neither_disk_nor_mail_server_work(tmp_path: Path) -> None:
    with Mailserver() as first:
        port = first.port
    here = TrialHost(tmp_path, port)
    here.store.full = True
    failure = ("x", full())
    here.round(None, failure)
    with Mailserver(port) as server:
        here.now += MINUTE
        here.round(None, failure)
        here.round(None, failure)
        assert to(server) == [ADMIN]


def chained(number: int) -> ServiceError:
    """Return an error of a service whose cause is the system's."""
    error = too_old("nginx")
    error.__cause__ = OSError(number, "…")
    return error


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        pytest.param(full(), True, id="the store"),
        pytest.param(chained(errno.EROFS), True, id="a service's folder"),
        pytest.param(chained(errno.ECONNREFUSED), False, id="no disk"),
        pytest.param(too_old("nginx"), False, id="another failure"),
    ],
)
def test_what_means_that_nothing_can_be_written(error: Any, is_it: bool) -> None:
    assert bool(not_written(error)) is is_it


def test_a_model_that_is_wrong_for_long_is_told_and_when_it_is_right_again(
    here: TrialHost, server: Mailserver
) -> None:
    here.memory.wrong = WrongModel(NOON - DAY, "domains.x: `url` is missing")
    outcome, _ = here.round()
    assert outcome.warnings == [
        "the model has been wrong since 2026-11-19 12:00 UTC; the last right version stays in force"
    ]
    here.memory.wrong = None
    here.round()
    assert [str(each["Subject"]) for each in server.mails] == [
        "The model of proxygen has had mistakes for more than a day",
        "Solved: the model has no mistakes any more",
    ]


TERMS = "https://ca.example/terms"


def speaks(here: TrialHost, *failures: Any) -> Outcome:
    """Do a round in which the authority speaks of new terms."""
    observed = Observed(bundles(here.site), {}, {})
    directory = here.site.acme.directory
    outcome = Outcome(failures=[*failures], observed=observed, terms={directory: TERMS})
    send_mails(here.site, here.parts, outcome, here.memory)
    return outcome


def test_new_terms_are_a_note_once_across_restarts(here: TrialHost, server: Mailserver) -> None:
    for _ in range(3):
        speaks(here)
        here.restart()
        here.now += DAY
    assert len(server.mails) == 1
    body = server.mails[0].get_body(("plain",))
    assert body
    assert TERMS in body.get_content()
    assert not here.parts.store.has("mail-terms")


def test_new_terms_are_kept_until_somebody_is_told(tmp_path: Path) -> None:
    with Mailserver() as first:
        port = first.port
    here = TrialHost(tmp_path, port)
    speaks(here)
    for _ in range(6):
        here.restart()
        here.now += DAY
        outcome, _ = here.round()
    assert f"{here.site.acme.directory} has new terms of service: {TERMS}" in outcome.warnings
    with Mailserver(port) as server:
        here.restart()
        here.now += DAY
        here.round()
        here.now += DAY
        here.round()
        assert [str(each["Subject"]) for each in server.mails] == [
            "A certificate authority has new terms of service"
        ]
    assert not here.parts.store.has("mail-terms")


def test_new_terms_are_kept_while_another_process_tells_people(
    here: TrialHost, server: Mailserver
) -> None:
    with lock.hold(here.layout.telling):
        speaks(here)
        here.restart()  # as a command ends
    assert server.mails == []
    here.round()
    assert [str(each["Subject"]) for each in server.mails] == [
        "A certificate authority has new terms of service"
    ]


def test_people_are_told_of_a_full_disk_while_certificates_are_obtained(
    here: TrialHost, server: Mailserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def refuses(path: Any, flags: int, *more: Any, **where: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(here.layout.var)):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return really(path, flags, *more, **where)

    here.layout.var.mkdir(parents=True, exist_ok=True)
    here.store.full = True
    monkeypatch.setattr(os, "open", refuses)
    with lock.hold(here.layout.obtaining):
        here.round(None, ("x", full()))
    assert to(server) == [ADMIN]


def test_new_terms_survive_a_disk_that_is_full(here: TrialHost, server: Mailserver) -> None:
    server.answers["RCPT"] = lambda said: "450 later"
    here.store.full = True
    speaks(here, ("x", full()))
    here.store.full = False
    server.answers.clear()
    here.now += DAY
    here.round()
    assert len(server.mails) == 1
    assert "has new terms" in str(server.mails[0]["Subject"])


def test_terms_of_an_authority_that_left_the_model_are_forgotten(here: TrialHost) -> None:
    here.parts.store.put("mail-terms", b'{"https://former.example/dir": "https://x.example"}')
    outcome, _ = here.round()
    assert outcome.warnings == []
    assert not here.parts.store.has("mail-terms")


def test_a_model_without_a_contact_is_warned_about_once_when_there_is_something(
    tmp_path: Path,
) -> None:
    here = TrialHost(
        tmp_path,
        1,
        TEXT.replace("contact: hostmaster@example.net\n", "").replace(
            "    contact: it@customer-a.example\n", ""
        ),
    )
    assert here.round()[0].warnings == []
    assert here.round(here.near)[0].warnings == [
        "1 alert is not mailed to anybody, as the model has no `contact`; add one"
    ]
    assert here.store.writes == 0


def test_an_administrators_broken_template_stops_no_alert(
    here: TrialHost, server: Mailserver
) -> None:
    own = here.layout.etc / "templates/mail/mail.html.j2"
    own.parent.mkdir(parents=True)
    own.write_text("{{ nothing }}")
    here.restart()
    outcome, _ = here.round(here.near)
    assert to(server) == [ADMIN, CONTACT]
    assert str(own) in outcome.warnings[0]


def test_told_to_stop_the_rest_goes_later(here: TrialHost, server: Mailserver) -> None:
    outcome = Outcome(observed=Observed(here.near, {}, {}))
    due = send_mails(here.site, here.parts, outcome, here.memory, lambda: True)
    assert to(server) == [ADMIN]
    assert due == NOON + MINUTE
    here.now += MINUTE
    here.round(here.near)
    assert to(server) == [ADMIN, CONTACT]


CROWD = TEXT + "".join(
    f"  d{n}.example: {{url: w.d{n}.example, certificate: acme, contact: it@d{n}.example}}\n"
    for n in range(120)
)


@pytest.fixture
def crowd(server: Mailserver, tmp_path: Path) -> TrialHost:
    """An installation in which 120 contacts are to be told something."""
    return TrialHost(tmp_path, server.port, CROWD)


def all_near(here: TrialHost) -> dict[str, Bundle]:
    """Return certificates that end in four days, each with a contact of its own."""
    return ending(here.site, **{f"d{n}": 4 * DAY for n in range(120)})


def test_told_to_stop_no_further_mail_is_written(crowd: TrialHost, server: Mailserver) -> None:
    outcome = Outcome(observed=Observed(all_near(crowd), {}, {}))
    due = send_mails(crowd.site, crowd.parts, outcome, crowd.memory, lambda: True)
    assert to(server) == [ADMIN]
    assert crowd.store.writes == 2  # the letter, and what it told, by which it is gone
    assert due == NOON + MINUTE


def test_once_the_time_is_up_the_rest_is_neither_written_nor_lost(
    crowd: TrialHost, server: Mailserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = all_near(crowd)
    with monkeypatch.context() as hurried:
        hurried.setattr("proxygen.apply.mails.MOST_SECONDS", 0)
        crowd.round(near)
        crowd.round(near)
    assert len(to(server)) == 2
    assert crowd.store.writes == 4
    assert crowd.waiting() == []
    crowd.round(near)
    assert len(to(server)) == len({*to(server)}) == 121


def test_with_the_mail_server_down_only_some_mails_are_written(tmp_path: Path) -> None:
    with Mailserver() as first:
        port = first.port
    crowd = TrialHost(tmp_path, port, CROWD)
    near = all_near(crowd)
    outcome, due = crowd.round(near)
    assert "121 mails wait" in outcome.warnings[0]
    assert 0 < len(crowd.waiting()) <= PORTION
    assert due == NOON + MINUTE
    writes = crowd.store.writes
    crowd.round(near)
    assert crowd.store.writes == writes  # the pause is not over
    with Mailserver(port) as server:
        crowd.now += MINUTE
        crowd.round(near)
        assert len(to(server)) == len({*to(server)}) == 121
    assert crowd.waiting() == []


def test_a_reader_whose_mail_cannot_be_made_silences_nobody(
    here: TrialHost, server: Mailserver
) -> None:
    domains = tuple(replace(each, contact="=?utf-8?q?x?=@a.example") for each in here.site.domains)
    odd = replace(here.site, domains=(domains[0], *here.site.domains[1:]))
    near = ending(odd, a=4 * DAY, b=4 * DAY)
    outcome = Outcome(observed=Observed(near, {}, {}))
    send_mails(odd, here.parts, outcome, here.memory)
    assert to(server) == [ADMIN, "info@customer-b.example"]
    (warning,) = outcome.warnings
    assert "=?utf-8?q?x?=@a.example cannot be sent" in warning
    strange = replace(here.site.domains[0], language="xx")
    odd = replace(here.site, domains=(strange, *here.site.domains[1:]))
    outcome = Outcome(observed=Observed(near, {}, {}))
    here.now += DAY
    assert send_mails(odd, here.parts, outcome, here.memory) == here.now + HOUR
    assert to(server)[2:] == [ADMIN, "info@customer-b.example"]
    assert f"a bug of proxygen: no mail was written to {CONTACT}" in outcome.warnings[-1]


def test_where_nobody_is_to_be_told_nothing_is_written(tmp_path: Path) -> None:
    here = TrialHost(tmp_path, 1)
    here.site = replace(here.site, notifiers={})
    _, due = here.round(here.near)
    assert here.store.writes == 0
    assert due == (NOON.astimezone() + DAY).replace(hour=0)


def test_a_first_certificate_that_never_comes_is_told_and_that_it_came(
    here: TrialHost, server: Mailserver
) -> None:
    error = not_issued("NXDOMAIN", problem="x:dns")
    wanted = next(each for each in here.site.certificates if each.owner == "customer-a.example")
    issued = {key: each for key, each in bundles(here.site).items() if key != wanted.owner}
    for _ in range(9):
        here.parts.bundles.failed(wanted, error.failure, here.now, 0.0)
        here.round(issued, (wanted.owner, error))
        here.now += DAY
    assert to(server) == [ADMIN, CONTACT] * 2
    here.round()
    assert to(server)[4:] == [ADMIN, CONTACT]
    assert str(server.mails[-1]["Subject"]).startswith("Behoben: https://webmail.customer-a")


def test_our_own_bug_is_a_warning_and_no_end_of_the_round(here: TrialHost) -> None:
    strange = replace(here.site, language="xx")
    outcome = Outcome(observed=Observed(here.near, {}, {}))
    assert send_mails(strange, here.parts, outcome, here.memory) is not None
    assert "a bug of proxygen" in outcome.warnings[-1]


def test_damaged_records_are_no_reason_to_say_nothing(here: TrialHost, server: Mailserver) -> None:
    here.round(here.near)
    for key in list(here.parts.store.keys("told")):
        here.parts.store.put(key, b"{damaged")
    here.parts.store.put("mail/0123", b"\xff")
    here.now += HOUR
    here.round(here.near)
    assert to(server) == [ADMIN, CONTACT] * 2
