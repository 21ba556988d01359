"""From a renewal that fails at a real authority to the mails that people get."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble
from proxygen.apply.mails import MailMemory, send_mails
from proxygen.apply.outcome import SILENT, Outcome
from proxygen.model.layout import Layout
from proxygen.model.x509 import describe_bundle
from proxygen.reconcile import reconcile
from tests.certificates import intermediate, leaf, root
from tests.conftest import require
from tests.live.machine import Machine
from tests.live.mailserver import Mailserver

WEB = ("nginx", "pebble")
NAME = "www.a.example"
DOMAINS = {
    "a.example": {
        "url": f"https://{NAME}",
        "certificate": "acme",
        "contact": "it@a.example",
        "language": "fr",
    },
    "b.example": {"url": "https://www.b.example", "certificate": "acme"},
}
MAIN = {"url": "https://mail.example.net", "certificate": "acme"}
DAY = timedelta(days=1)


class Rounds:
    """Rounds of an installation at one moment, each followed by telling people."""

    def __init__(self, machine: Machine, port: int) -> None:
        notifiers = {"email": {"port": port, "timeout": 10}}
        machine.model(DOMAINS, main=MAIN, notifiers=notifiers)
        self.machine = machine
        self.now = datetime.now(UTC)

    def round(self, *only: str, **memory: Any) -> Outcome:
        """Do a round as a new process would."""
        layout = Layout(self.machine.root, self.machine.config)
        site = assemble.read_site(layout)
        parts = assemble.build_installation(layout, lambda: self.now)
        outcome = reconcile(site, parts, SILENT, only)
        send_mails(site, parts, outcome, MailMemory(**memory))
        return outcome

    def nearing(self, owner: str, left: timedelta) -> None:
        """Put a certificate with only so much left in place of the owner's."""
        layout = Layout(self.machine.root, self.machine.config)
        site, parts = (
            assemble.read_site(layout),
            assemble.build_installation(layout, lambda: self.now),
        )
        wanted = next(each for each in site.certificates if each.owner == owner)
        times = {"start": self.now - 60 * DAY, "end": self.now + left}
        top = root(**times)
        below = intermediate(top, **times)
        pair = leaf(below, *wanted.names, **times).pair(below)
        parts.bundles.save(pair, describe_bundle(pair, wanted, wanted.authorities[0]))


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def body(mail: EmailMessage) -> str:
    """Return a mail's text on one line."""
    found = mail.get_body(("plain",))
    assert found
    return " ".join(found.get_content().split())


def test_from_a_renewal_that_fails_to_the_mail_that_it_is_solved(web: Machine) -> None:
    with Mailserver() as server:
        rounds = Rounds(web, server.port)
        assert rounds.round().exit_code == 0
        assert server.mails == []

        rounds.nearing("a.example", 4 * DAY)
        web.pebble.dns.set_servfail(NAME)
        assert rounds.round().exit_code == 5
        (admin,), (contact,) = server.to("hostmaster@example.net"), server.to("it@a.example")
        assert str(admin["Subject"]).startswith(f"Certificate of https://{NAME} expires in")
        assert str(contact["Subject"]).startswith(f"Le certificat de https://{NAME} expire dans")
        for text in (body(admin), body(contact)):
            assert "urn:ietf:params:acme:error:" in text  # the authority's own words
        assert f"{rounds.machine.config}:" in body(admin)
        assert "proxygen.yaml" not in body(contact)

        rounds.round()
        assert len(server.mails) == 2

        web.pebble.dns.clear_servfail(NAME)
        assert rounds.round("a.example").exit_code == 0
        assert [str(each["X-Proxygen"]) for each in server.mails[2:]] == ["solved"] * 2
        assert {str(each["To"]) for each in server.mails[2:]} == {
            "hostmaster@example.net",
            "it@a.example",
        }
        rounds.round()
        assert len(server.mails) == 4


def test_an_authority_that_is_away_is_told_to_the_contact_without_internals(web: Machine) -> None:
    with Mailserver() as server:
        rounds = Rounds(web, server.port)
        rounds.round()
        rounds.nearing("a.example", 4 * DAY)
        web.pebble.stop()
        rounds.round()
        (admin,), (contact,) = server.to("hostmaster@example.net"), server.to("it@a.example")
        assert "has not issued any certificate since" in body(admin)
        assert "n'a émis aucun certificat depuis" in body(contact)
        assert "L'exploitant du serveur est également averti" in body(contact)
        assert "Message d'origine" not in body(contact)


def test_a_mail_server_that_is_away_harms_no_round_and_gets_its_mail_later(web: Machine) -> None:
    with Mailserver() as first:
        port = first.port
    rounds = Rounds(web, port)
    rounds.round()
    rounds.nearing("a.example", 4 * DAY)
    web.pebble.dns.set_servfail(NAME)
    outcome = rounds.round()
    assert outcome.exit_code == 5
    assert [each for each in outcome.warnings if "2 mails wait" in each]
    with Mailserver(port) as server:
        rounds.now += timedelta(minutes=2)
        rounds.round()
        assert len(server.mails) == 2
