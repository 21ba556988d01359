"""Who is told what now: one digest per recipient and day, alarms at once, nothing twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from proxygen.model.certificate import GLOBAL
from proxygen.names.states import NameState
from proxygen.texts.alerts import RoundResult, WrongModel, alerts
from proxygen.texts.digests import Item, ToldAlerts, plan_mails
from tests.certificates import DAY, NOON
from tests.failures import unserved
from tests.known_names import by_name, moved
from tests.known_names import waiting as late
from tests.mails import (
    DIRECTORY,
    HOUR,
    SITE,
    TEXT,
    digests,
    ending,
    remembered_failure,
    round_result,
    service,
)
from tests.models import bundle, bundles, site

ADMIN, CONTACT = "hostmaster@example.net", "it@customer-a.example"
FAILING = round_result(ending(a=4 * DAY), remembered_failure())
FINE = round_result()


def subjects(found, who: str = ADMIN) -> list[str]:
    """Return what one recipient is told of."""
    return [each.key for each in found[who].alerts] if who in found else []


def good(found, who: str = ADMIN) -> list[str]:
    """Return what one recipient is told to be solved."""
    return [each.key for each in found[who].solved] if who in found else []


def after(found) -> dict[str, ToldAlerts]:
    """Return what is known to have been told once all is delivered."""
    return {who: each.then for who, each in found.items()}


def test_nothing_to_tell_is_nobody_told() -> None:
    found = plan_mails(SITE, FINE, alerts(SITE, FINE, NOON), {}, NOON)
    assert (found.digests, found.gone, found.later, found.nobody) == ((), (), None, ())


def test_the_global_contact_and_the_domains_own_are_told_each_in_their_language() -> None:
    found = digests(FAILING)
    assert {who: (each.reader.language, each.reader.operator) for who, each in found.items()} == {
        ADMIN: ("en", True),
        CONTACT: ("de", False),
    }


def test_the_global_certificate_is_told_to_the_global_contact_alone() -> None:
    assert digests(round_result(ending(**{GLOBAL: DAY}))).keys() == {ADMIN}


def test_a_contact_is_told_of_its_own_domains_alone() -> None:
    found = digests(round_result(ending(a=DAY, b=DAY, c=DAY)))
    assert subjects(found, CONTACT) == ["certificate:customer-a.example"]
    assert len(found[ADMIN].alerts) == 3


def test_a_contact_of_several_domains_gets_one_digest() -> None:
    both = site(TEXT.replace("info@customer-b.example", "IT@customer-a.example"))
    found = digests(round_result(ending(both, a=DAY, b=DAY)), of=both)
    assert len(found[CONTACT].alerts) == 2
    assert found.keys() == {ADMIN, CONTACT}


def test_who_is_the_global_contact_as_well_is_told_once_in_the_global_language() -> None:
    same = site(TEXT.replace("it@customer-a.example", "HostMaster@example.net"))
    found = digests(round_result(ending(same, a=DAY)), of=same)
    assert found.keys() == {ADMIN}
    reader = found[ADMIN].reader
    assert (reader.language, reader.operator) == ("en", True)
    assert subjects(found) == ["certificate:customer-a.example"]


def test_the_same_is_not_told_again_on_that_day_and_is_on_the_next_one() -> None:
    told = after(digests(FAILING))
    assert digests(FAILING, told, NOON + 11 * HOUR) == {}
    assert subjects(digests(FAILING, told, NOON + 12 * HOUR)) == ["certificate:customer-a.example"]


def test_a_day_is_one_of_the_hosts_own_time() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=11)))  # 23:00 there
    told = after(digests(FAILING, now=east))
    assert digests(FAILING, told, east + HOUR).keys() == {ADMIN, CONTACT}
    found = plan_mails(SITE, FAILING, alerts(SITE, FAILING, east), told, east)
    assert found.later == east + HOUR


def test_a_missing_certificate_is_told_weekly_and_when_it_is_there() -> None:
    issued = {key: each for key, each in bundles(SITE).items() if key != "customer-a.example"}
    told: dict[str, ToldAlerts] = {}
    days = []
    for day in range(15):
        failed = remembered_failure(at=NOON + day * DAY, again=NOON + (day + 1) * DAY)
        found = digests(round_result(issued, failed), told, NOON + day * DAY)
        told |= after(found)
        days += [day] * len(found)
    assert days == [0, 0, 7, 7, 14, 14]
    found = digests(FINE, told, NOON + 14 * DAY + HOUR)
    assert good(found) == good(found, CONTACT) == ["certificate:customer-a.example"]


def test_a_missing_certificate_that_came_and_is_near_its_end_is_news() -> None:
    issued = {key: each for key, each in bundles(SITE).items() if key != "customer-a.example"}
    told = after(digests(round_result(issued, remembered_failure())))
    found = digests(FAILING, told, NOON + DAY)
    assert [each.kind for each in found[ADMIN].alerts] == ["renewal"]


@pytest.mark.parametrize("day", ["2027-01-01", "nonsense"])
def test_a_record_with_a_day_that_cannot_be_keeps_nothing_from_being_told(day: str) -> None:
    issued = {key: each for key, each in bundles(SITE).items() if key != "customer-a.example"}
    found = digests(round_result(issued, remembered_failure()))
    items = {"certificate:customer-a.example": Item("missing", day)}
    told = {who: replace(each, day="", items=items) for who, each in after(found).items()}
    assert subjects(digests(round_result(issued, remembered_failure()), told)) == [*items]


def test_a_message_that_was_given_up_was_not_told() -> None:
    new = round_result(
        ending(a=4 * DAY), remembered_failure(), terms={DIRECTORY: "https://ca.example/new"}
    )
    given_up = {who: each.untold for who, each in digests(new).items()}
    assert digests(new, given_up, NOON + HOUR) == {}
    again = subjects(digests(new, given_up, NOON + DAY))
    assert again == ["certificate:customer-a.example", f"terms:{DIRECTORY}"]


def test_what_comes_up_after_the_days_digest_waits_for_the_next_one() -> None:
    told = after(digests(FAILING))
    both = round_result(ending(a=4 * DAY, c=4 * DAY), remembered_failure())
    assert digests(both, told, NOON + HOUR) == {}
    assert len(digests(both, told, NOON + 13 * HOUR)[ADMIN].alerts) == 2


def test_a_certificate_that_ends_before_the_next_day_does_not_wait() -> None:
    told = after(digests(FAILING))
    soon = round_result(ending(a=4 * DAY, c=11 * HOUR), remembered_failure())
    assert subjects(digests(soon, told, NOON + HOUR)) == ["certificate:customer-c.example"]


def test_an_alert_goes_out_at_once_and_then_daily() -> None:
    told = after(digests(FAILING))
    alarm = replace(FAILING, observed=replace(FAILING.observed, services={"nginx": service()}))
    alarm = replace(alarm, failures=(("nginx", unserved()),))
    now = digests(alarm, told, NOON + HOUR)
    assert subjects(now) == ["unserved:nginx"]
    assert now.keys() == {ADMIN}
    told |= after(now)
    assert digests(alarm, told, NOON + 2 * HOUR) == {}
    assert len(subjects(digests(alarm, told, NOON + DAY))) == 2


def test_what_is_solved_is_told_once_to_those_who_were_warned() -> None:
    told = after(digests(FAILING))
    found = digests(FINE, told, NOON + HOUR)
    assert good(found) == good(found, CONTACT) == ["certificate:customer-a.example"]
    assert subjects(found) == []
    assert digests(FINE, told | after(found), NOON + 2 * HOUR) == {}
    assert digests(FINE, told | after(found), NOON + DAY) == {}


def test_good_news_is_told_once_a_day_and_more_of_it_waits() -> None:
    two = round_result(ending(a=4 * DAY, c=4 * DAY), remembered_failure())
    told = after(digests(two))
    one = digests(round_result(ending(c=4 * DAY)), told, NOON + HOUR)
    assert good(one) == ["certificate:customer-a.example"]
    told |= after(one)
    assert digests(FINE, told, NOON + 2 * HOUR) == {}
    assert good(digests(FINE, told, NOON + DAY)) == ["certificate:customer-c.example"]


def test_an_alert_that_comes_back_on_the_same_day_goes_out_again_with_another_identity() -> None:
    alarm, calm = (
        round_result(services=(service(unserved=True),)),
        round_result(services=(service(),)),
    )
    first = digests(alarm)
    over = digests(calm, after(first), NOON + HOUR)
    again = digests(alarm, after(over), NOON + 2 * HOUR)
    assert good(over) == subjects(again) == ["unserved:nginx"]
    assert len({first[ADMIN].id, over[ADMIN].id, again[ADMIN].id}) == 3


def test_a_service_that_flaps_makes_four_messages_a_day_at_most() -> None:
    told: dict[str, ToldAlerts] = {}
    sent = 0
    for minute in range(0, 11 * 60, 10):
        found = digests(
            round_result(services=(service(unserved=minute % 20 == 0),)),
            told,
            NOON + minute * HOUR / 60,
        )
        sent += len(found)
        told |= after(found)
    assert sent <= 4


@pytest.mark.parametrize("days", [1, 2])
def test_the_same_is_told_with_the_same_identity_until_it_was_delivered(days: int) -> None:
    now = NOON + days * DAY
    first, second = (digests(FAILING, {}, now + hours * HOUR)[ADMIN].id for hours in (0, 1))
    assert first == second
    assert digests(FAILING, {}, now + DAY)[ADMIN].id != first


def test_a_renewed_certificate_that_ends_as_well_is_not_called_solved() -> None:
    told = after(digests(FAILING))
    other = site(TEXT.replace("    certificate: acme\n", "    certificate: hook\n", 1))
    found = digests(round_result(ending(other, a=4 * DAY)), told, NOON + DAY, of=other)
    assert good(found) == []
    assert [each.kind for each in found[ADMIN].alerts] == ["supplied"]


def test_nothing_is_called_solved_that_could_not_be_checked() -> None:
    told = after(digests(round_result(ending(a=DAY), services=(service(unserved=True),))))
    blind = round_result()
    blind = replace(blind, observed=None)
    assert digests(blind, told, NOON + DAY) == {}
    gone = round_result(ending(a=DAY), services=(service(unserved=True),))
    assert gone.observed
    issued = {key: each for key, each in gone.observed.bundles.items() if "-a" not in key}
    lost = replace(gone, observed=replace(gone.observed, bundles=issued))
    assert good(digests(lost, told, NOON + DAY)) == []


def test_what_left_the_model_is_neither_told_nor_remembered() -> None:
    told = after(digests(FAILING))
    smaller = site(TEXT.replace("it@customer-a.example", "new@customer-a.example"))
    found = plan_mails(smaller, FINE, (), told, NOON + DAY)
    assert found.gone == (CONTACT,)
    without = site(TEXT.partition("  customer-a")[0].replace("domains:\n", ""))
    found = plan_mails(without, round_result({}), (), told, NOON + DAY)
    assert sorted(found.gone) == sorted(told)
    assert found.digests == ()


def test_a_record_is_kept_until_its_day_is_over() -> None:
    told = after(digests(FAILING))
    told |= after(digests(FINE, told, NOON + HOUR))
    assert plan_mails(SITE, FINE, (), told, NOON + 2 * HOUR).gone == ()
    assert sorted(plan_mails(SITE, FINE, (), told, NOON + DAY).gone) == sorted(told)


def test_new_terms_are_a_note_once_even_if_the_process_forgets_them() -> None:
    new = round_result(terms={DIRECTORY: "https://ca.example/new"})
    told = after(digests(new))
    assert told[ADMIN].items == {f"terms:{DIRECTORY}": Item("https://ca.example/new", "2026-11-20")}
    assert digests(new, told, NOON + DAY) == {}
    assert digests(FINE, told, NOON + DAY) == {}
    newer = round_result(terms={DIRECTORY: "https://ca.example/newer"})
    assert digests(newer, told, NOON + DAY).keys() == {ADMIN}


def test_a_model_that_is_wrong_for_a_day_is_told_until_it_is_right() -> None:
    wrong = WrongModel(NOON - DAY + HOUR, "a mistake")
    assert digests(round_result(wrong=wrong)) == {}
    found = digests(round_result(wrong=wrong), now=NOON + HOUR)
    assert subjects(found) == ["model:"]
    again = WrongModel(NOON + 2 * HOUR, "another mistake")
    assert digests(round_result(wrong=again), after(found), NOON + DAY) == {}
    assert good(digests(FINE, after(found), NOON + DAY)) == ["model:"]


def test_an_alert_without_a_contact_is_nobodys() -> None:
    nobody = site(TEXT.replace("contact: hostmaster@example.net\n", ""))
    found = round_result(ending(nobody, a=DAY, c=DAY))
    said = plan_mails(nobody, found, alerts(nobody, found, NOON), {}, NOON)
    assert [each.of for each in said.nobody] == ["customer-c.example"]
    assert [each.reader.key for each in said.digests] == [CONTACT]


@pytest.mark.parametrize(
    ("found", "hours"),
    [
        pytest.param(FAILING, 12, id="daily while it lasts"),
        pytest.param(FINE, None, id="nothing holds"),
        pytest.param(round_result(terms={DIRECTORY: "x"}), None, id="a note that was told"),
    ],
)
def test_there_is_more_to_tell_at_midnight_while_something_holds(found, hours) -> None:
    later = plan_mails(SITE, found, alerts(SITE, found, NOON), {}, NOON).later
    assert later == (hours and NOON + hours * HOUR)


# Names.

A = "customer-a.example"
WEBMAIL, AUTODISCOVER = f"webmail.{A}", f"autodiscover.{A}"
NOBODYS = site(TEXT.replace("    contact: it@customer-a.example\n", ""))


def without(*known: NameState) -> RoundResult:
    """Return a round in which a certificate serves without some names of its owner."""
    wanted = next(each for each in SITE.certificates if each.owner == A)
    rest = bundle(replace(wanted, names=(WEBMAIL,)))
    return round_result(bundles(SITE) | {A: rest}, names={A: by_name(known)})


def test_names_are_told_to_the_domains_contact_and_to_the_operator_only_without_one() -> None:
    found = digests(without(late(AUTODISCOVER)))
    assert subjects(found, CONTACT) == [f"names:{A}"]
    assert found.keys() == {CONTACT}
    found = digests(without(late(AUTODISCOVER)), of=NOBODYS)
    assert found.keys() == {ADMIN}


def test_so_is_a_certificate_that_only_the_domains_dns_holds_up() -> None:
    rest = {key: each for key, each in bundles(SITE).items() if key != A}
    assert digests(round_result(rest, names={A: by_name([late(WEBMAIL)])})).keys() == {CONTACT}
    assert digests(round_result(rest, remembered_failure())).keys() == {ADMIN, CONTACT}


def test_names_are_told_weekly_and_that_all_are_covered_once() -> None:
    first = without(late(AUTODISCOVER))
    told = after(digests(first))
    assert digests(first, told, NOON + 6 * DAY) == {}
    assert subjects(digests(first, told, NOON + 7 * DAY), CONTACT) == [f"names:{A}"]
    found = digests(round_result(), told, NOON + DAY)
    assert good(found, CONTACT) == [f"names:{A}"]
    assert digests(round_result(), after(found), NOON + 2 * DAY) == {}


def test_a_name_that_waits_no_more_without_being_covered_is_not_called_solved() -> None:
    told = after(digests(without(late(AUTODISCOVER))))
    assert digests(without(), told, NOON + DAY) == {}


def test_a_name_that_moved_away_is_told_once_whatever_others_do() -> None:
    one = moved(AUTODISCOVER)
    told = after(digests(without(one)))
    assert digests(without(one), told, NOON + 8 * DAY) == {}
    both = site(TEXT.replace(f"[{AUTODISCOVER}]", f"[{AUTODISCOVER}, old.{A}]"))
    two = replace(one, name=f"old.{A}")
    found = digests(without(one, two), told, NOON + DAY, of=both)
    assert subjects(found, CONTACT) == [f"moved:{A}"]
    told = after(found)
    assert digests(without(two), told, NOON + 2 * DAY, of=both) == {}  # one came back
    again = replace(one, dropped=NOON + 90 * DAY)
    found = digests(without(again, two), told, NOON + 91 * DAY, of=both)
    assert f"moved:{A}" in subjects(found, CONTACT)


def test_what_was_told_of_names_is_forgotten_with_their_owner() -> None:
    told = after(digests(without(late(AUTODISCOVER), moved(AUTODISCOVER))))
    gone = replace(SITE, domains=tuple(each for each in SITE.domains if each.key != A))
    found = plan_mails(gone, FINE, (), told, NOON + DAY)
    assert (found.digests, found.gone) == ((), (CONTACT,))


def test_an_ended_certificate_of_a_url_that_moved_is_never_called_solved_by_that() -> None:
    book = {A: by_name([late(WEBMAIL, since=NOON - 5 * DAY)])}
    ended = round_result(ending(a=-DAY), names=book)
    told = after(digests(ended))
    assert digests(ended, told, NOON + DAY) == {}
    assert subjects(digests(ended, told, NOON + 7 * DAY)) == [f"certificate:{A}"]
    assert f"certificate:{A}" not in subjects(digests(ended, told, NOON + 60 * DAY))
