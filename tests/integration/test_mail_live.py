"""The real postfix and dovecot with what their descriptions say: rule 5, ciphers, overrides."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from proxygen import registry
from proxygen.apply.outcome import never_stop
from proxygen.apply.probe import Patience, WrongEndpoints, probe_endpoints
from proxygen.host import processes
from proxygen.host import templates as host_templates
from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.model.layout import Layout, ServiceLayout
from proxygen.model.views import MailView
from proxygen.observe.answers import answer_questions
from proxygen.plan.render import Templates, render_template
from proxygen.plan.rendering import assigned_parameters
from proxygen.services import (
    Answer,
    Command,
    Endpoint,
    Facts,
    ServiceSettings,
    dovecot,
    postfix,
)
from proxygen.services.dovecot import DovecotFacts
from proxygen.services.mail_endpoints import OTHER_NAME
from proxygen.services.postfix import PostfixFacts
from proxygen.services.service_kind import Service
from tests.live import needs, ports
from tests.live.authority import Authority, write_private
from tests.live.dovecot import Dovecot
from tests.live.machine import temporary_root
from tests.live.postfix import Postfix
from tests.live.processes import environment, until

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = ServiceSettings()
HOST = "mail.example.net"
AUTHORITY = Authority()


def run(command: Command) -> Answer:
    """Run a command that a description asked for."""
    done = subprocess.run(
        command.argv, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def wrong_within(seconds: float, places: Iterable[Endpoint]) -> WrongEndpoints:
    """Return the places at which a client sees something else for so many seconds."""
    return probe_endpoints(places, Patience(seconds, seconds, never_stop)).wrong


@dataclass
class Mail:
    """One service below a root, as proxygen sees and changes it."""

    service: Service
    program: str
    root: Path

    @property
    def layout(self) -> ServiceLayout:
        return Layout(self.root, self.root / "etc/proxygen/proxygen.yaml").of(self.name)

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def facts(self) -> Facts:
        asked = self.service.questions(self.program, SETTINGS, self.layout)
        answers = answer_questions(asked)
        return self.service.facts(self.program, SETTINGS, self.layout, answers)

    def install(self, generation: str, *names: str) -> MailView:
        """Put a new certificate and all that is wanted with it in place, and reload."""
        issued = AUTHORITY.issue(*names)
        leaf = issued.certificate.public_bytes(Encoding.DER)
        spare = ("CA", NOON, NOON, "1", hashlib.sha256(leaf).hexdigest(), "", "", "ecdsa-p256")
        view = MailView(HOST, Bundle("global", names, "file", *spare))
        live, facts = self.layout.live(self.name), self.facts
        wanted = self.service.wanted(view, SETTINGS, facts, self.layout)
        folder = live.generations / generation
        folder.mkdir(parents=True)
        for file in wanted.files:
            (folder / file.name).write_text(render_template(templates(), file))
        for name in wanted.links:
            write_private(folder / name, KeyAndChain(issued.key, issued.fullchain).pem)
        for name in wanted.chains:
            (folder / name).write_bytes(issued.fullchain)
        new = live.current.with_name("new")
        new.symlink_to(folder)
        new.rename(live.current)
        if pointer := self.service.pointer(facts.main):
            pointer.path.write_text(pointer.directive(str(live.current / "*.conf")) + "\n")
        if wanted.parameters and (sets := self.service.parameters):
            values = assigned_parameters(render_template(templates(), wanted.parameters))
            facts.main.write_text(sets.edited(facts.main.read_text(), values))
            settled(facts.main)
        self.reload()
        return view

    def reload(self) -> None:
        facts = self.facts
        if command := self.service.reload(facts, SETTINGS):
            self.must(command)
        else:
            pid = until(lambda: processes.master(facts.pid_file, facts.program), "its master")
            assert processes.hang_up(pid).code == 0

    def must(self, command: Command) -> None:
        answer = run(command)
        assert answer.code == 0, answer.words

    @property
    def refusal(self) -> str | None:
        """What the service says against its configuration as it is."""
        facts = self.facts
        commands = self.service.check(facts, SETTINGS, facts.main)
        return self.service.refused([run(command) for command in commands])

    def wrong(self, view: MailView) -> WrongEndpoints:
        return wrong_within(10, self.service.endpoints(self.name, view, SETTINGS, self.facts))


def parameters_of(mail: Mail) -> Mapping[str, str]:
    """Return what postfix's parameters are."""
    facts = mail.facts
    assert isinstance(facts, PostfixFacts)
    return facts.parameters


def ssl_of(mail: Mail) -> str:
    """Return the administrator's `ssl` of dovecot."""
    facts = mail.facts
    assert isinstance(facts, DovecotFacts)
    return facts.ssl


def templates() -> Templates:
    return host_templates.load(Path("/nowhere"))


def settled(main: Path) -> None:
    """Postfix waits until main.cf was left alone for two seconds; let it look older."""
    before = main.stat().st_mtime - 10
    os.utime(main, (before, before))


@contextmanager
def serving(name: str, program: Postfix | Dovecot) -> Iterator[Mail]:
    path = "/usr/sbin/postfix" if isinstance(program, Postfix) else program.program
    with program:
        yield Mail(registry.services()[name], path, program.root)


@pytest.fixture(scope="module")
def a_postfix() -> Iterator[Postfix]:
    with temporary_root() as root:
        yield Postfix(root)


@pytest.fixture(scope="module")
def mx(a_postfix: Postfix) -> Iterator[tuple[Mail, MailView]]:
    """A postfix that has what proxygen wants."""
    with serving("postfix", a_postfix) as mail:
        yield mail, mail.install("1", HOST, "smtp.example.net")


@pytest.fixture(scope="module")
def a_dovecot() -> Iterator[Dovecot]:
    with temporary_root() as root:
        yield Dovecot(root)


@pytest.fixture(scope="module")
def imap(a_dovecot: Dovecot) -> Iterator[tuple[Mail, MailView]]:
    """A dovecot that has what proxygen wants."""
    with serving("dovecot", a_dovecot) as mail:
        yield mail, mail.install("1", HOST, "imap.example.net")


def s_client(port: int, *options: str) -> str:
    """Return what `openssl s_client` reports of a handshake."""
    done = subprocess.run(
        ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options),
        capture_output=True,
        text=True,
        input="",
        timeout=20,
    )
    return done.stdout + done.stderr


def agreed(port: int, *options: str) -> bool:
    """Return whether a client with *options* comes to TLS."""
    return bool(re.search(r"Cipher is (?!\(NONE\))", s_client(port, *options)))


STARTTLS = ("-starttls", "smtp")
CBC = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA@SECLEVEL=0")
CCM = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM@SECLEVEL=0")
GCM = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
CHACHA = ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")
OLD = ("-tls1_1", "-cipher", "ALL@SECLEVEL=0")


@needs("postfix")
def test_postfix_listeners_come_from_master_cf(
    mx: tuple[Mail, MailView], a_postfix: Postfix
) -> None:
    facts = mx[0].facts
    assert {(each.port, each.starttls) for each in facts.listeners} == {
        (a_postfix.smtp, "smtp"),
        (a_postfix.submission, "smtp"),
        (a_postfix.smtps, None),
    }
    assert facts.pid_file
    assert int(facts.pid_file.read_text()) == a_postfix.pid
    assert facts.warnings == ()


@needs("postfix")
def test_postfix_accepts_its_parameters_and_keeps_all_others(mx: tuple[Mail, MailView]) -> None:
    mail, _ = mx
    assert mail.refusal is None
    text = mail.facts.main.read_text()
    assert "# TLS parameters\n" in text
    assert "smtpd_tls_cert_file=" in text
    assert not re.search(r"(?m)^smtp_", text)


@needs("postfix")
def test_postfix_presents_the_global_certificate_whatever_name_is_asked_for(
    mx: tuple[Mail, MailView],
) -> None:
    mail, view = mx
    assert mail.wrong(view) == ()


@needs("postfix")
def test_postfix_says_when_it_does_not_know_a_parameter(mx: tuple[Mail, MailView]) -> None:
    mail, _ = mx
    main = mail.facts.main
    before = main.read_text()
    try:
        main.write_text(before + "no equals sign\n")
        (command, _) = postfix.check(PostfixFacts(mail.program, (3, 7), main), SETTINGS, main)
        assert "no equals sign" in (postfix.refused([run(command)]) or "")
    finally:
        main.write_text(before)
        settled(main)


@needs("postfix", "openssl")
def test_postfix_offers_mozillas_ciphers_where_tls_is_mandatory(
    mx: tuple[Mail, MailView], a_postfix: Postfix
) -> None:
    for port, starttls in ((a_postfix.smtps, ()), (a_postfix.submission, STARTTLS)):
        assert agreed(port, *starttls, *GCM)
        assert agreed(port, *starttls, *CHACHA)
        assert not agreed(port, *starttls, *CBC)
        assert not agreed(port, *starttls, *CCM)
        assert not agreed(port, *starttls, *OLD)


@needs("postfix", "openssl")
def test_postfix_prefers_old_tls_to_plain_text_on_port_25(
    mx: tuple[Mail, MailView], a_postfix: Postfix
) -> None:
    assert agreed(a_postfix.smtp, *STARTTLS, *CBC)
    assert agreed(a_postfix.smtp, *STARTTLS, *OLD)


@needs("postfix", "openssl")
def test_postfix_hands_out_no_tickets(mx: tuple[Mail, MailView], a_postfix: Postfix) -> None:
    assert "TLS session ticket:" not in s_client(a_postfix.smtps, "-tls1_2")


@needs("postfix")
def test_postfix_serves_a_renewed_certificate_after_a_reload(
    mx: tuple[Mail, MailView],
) -> None:
    mail, former = mx
    renewed = mail.install("renewed", HOST)
    assert mail.wrong(renewed) == ()
    assert len(wrong_within(0.2, postfix.endpoints("postfix", former, SETTINGS, mail.facts))) == 6
    mail.install("again", HOST)


@needs("postfix")
def test_an_sni_map_is_noticed_and_emptied() -> None:
    with temporary_root() as root, serving("postfix", Postfix(root)) as mail:
        other = AUTHORITY.issue("other.example")
        pair = root / "other.pem"
        write_private(pair, other.key + other.fullchain)
        table = root / "sni"
        table.write_text(f"{OTHER_NAME} {pair}\n{HOST} {pair}\n")
        subprocess.run(["postmap", "-F", f"texthash:{table}"], check=False, capture_output=True)
        subprocess.run(["postmap", "-F", f"hash:{table}"], check=True)
        main = mail.facts.main
        main.write_text(f"{main.read_text()}tls_server_sni_maps = hash:{table}\n")
        settled(main)
        assert parameters_of(mail)["tls_server_sni_maps"] == f"hash:{table}"
        view = mail.install("1", HOST)
        assert mail.wrong(view) == ()

        # Where master.cf has one, it is the administrator's: told, and seen from outside.
        master = main.with_name("master.cf")
        override = f"  -o smtpd_tls_wrappermode=yes\n  -o tls_server_sni_maps=hash:{table}"
        master.write_text(master.read_text().replace("  -o smtpd_tls_wrappermode=yes", override))
        mail.reload()
        (warning,) = mail.facts.warnings
        assert "tls_server_sni_maps" in warning
        assert len(wrong_within(0.5, postfix.endpoints("postfix", view, SETTINGS, mail.facts))) == 2


@needs("dovecot")
def test_dovecot_listeners_come_from_doveconf(
    imap: tuple[Mail, MailView], a_dovecot: Dovecot
) -> None:
    facts = imap[0].facts
    expected = {
        (a_dovecot.imap, "imap"),
        (a_dovecot.imaps, None),
        (a_dovecot.pop3, "pop3"),
        (a_dovecot.pop3s, None),
    }
    if a_dovecot.has_sieve:
        expected.add((a_dovecot.sieve, "sieve"))
    assert {(each.port, each.starttls) for each in facts.listeners} == expected
    assert facts.pid_file
    assert int(facts.pid_file.read_text()) == a_dovecot.pid
    assert ssl_of(imap[0]) == "yes"
    assert facts.warnings == ()


@needs("dovecot")
def test_dovecot_accepts_its_file_and_hides_the_key(imap: tuple[Mail, MailView]) -> None:
    mail, _ = imap
    assert mail.refusal is None
    (command,) = mail.service.check(mail.facts, SETTINGS, mail.facts.main)
    said = run(command)
    shown = "BEGIN CERTIFICATE" if mail.facts.version < dovecot.RENAMED else dovecot.CHAIN
    assert shown in said.out
    assert "PRIVATE KEY" not in said.words


@needs("dovecot")
def test_dovecot_presents_the_global_certificate_whatever_name_is_asked_for(
    imap: tuple[Mail, MailView],
) -> None:
    mail, view = imap
    assert mail.wrong(view) == ()


@needs("dovecot", "openssl")
def test_dovecot_offers_mozillas_ciphers(imap: tuple[Mail, MailView], a_dovecot: Dovecot) -> None:
    for port, starttls in ((a_dovecot.imaps, ()), (a_dovecot.pop3, ("-starttls", "pop3"))):
        assert agreed(port, *starttls, *GCM)
        assert agreed(port, *starttls, *CHACHA)
        assert not agreed(port, *starttls, *CBC)
        assert not agreed(port, *starttls, *CCM)
        assert not agreed(port, *starttls, *OLD)
    assert "TLS session ticket:" not in s_client(a_dovecot.imaps, "-tls1_2")


@needs("dovecot")
def test_dovecot_serves_a_renewed_certificate_after_a_reload(
    imap: tuple[Mail, MailView],
) -> None:
    mail, former = imap
    renewed = mail.install("renewed", HOST)
    assert mail.wrong(renewed) == ()
    assert wrong_within(0.2, mail.service.endpoints(mail.name, former, SETTINGS, mail.facts))


@needs("dovecot")
def test_a_local_name_is_told_and_seen_from_outside() -> None:
    with temporary_root() as root:
        program = Dovecot(root)
        with serving("dovecot", program) as mail:
            view = mail.install("1", HOST)
            other = AUTHORITY.issue("other.example")
            key, certificate = root / "other.key", root / "other.pem"
            write_private(key, other.key)
            certificate.write_bytes(other.fullchain)
            program.write(
                "conf.d/95-theirs.conf",
                f"local_name {HOST} {{\n{program.presented(certificate, key)}}}\n",
            )
            mail.reload()
            (warning,) = mail.facts.warnings
            assert f"local_name {HOST}" in warning
            bad = wrong_within(0.5, mail.service.endpoints(mail.name, view, SETTINGS, mail.facts))
            assert {endpoint.server_name for endpoint, _ in bad} == {HOST}


@needs("dovecot")
def test_dovecot_whose_tls_is_off_is_switched_on_for_good() -> None:
    with temporary_root() as root:
        program = Dovecot(root)
        program.configure()
        with serving("dovecot", program) as mail:
            program.write("conf.d/10-ssl.conf", "ssl = no\n")
            mail.reload()
            assert ssl_of(mail) == "no"
            view = mail.install("1", HOST)
            assert mail.wrong(view) == ()
            assert ssl_of(mail) == "no"


@needs("dovecot")
def test_a_missing_generation_stops_neither_dovecot_nor_its_check(root: Path) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        mail.install("1", HOST)
        mail.layout.live("dovecot").current.unlink()
        assert mail.refusal is None
        program.stop()
        program.start()


@needs("dovecot")
def test_a_generation_without_its_certificate_is_refused(root: Path) -> None:
    with serving("dovecot", Dovecot(root)) as mail:
        mail.install("1", HOST)
        (mail.layout.live("dovecot").current / dovecot.CHAIN).unlink()
        assert "global-chain.pem" in (mail.refusal or "")


PROXIED = """\
service imap-login {{
  inet_listener proxied {{
    port = {proxied}
    haproxy = yes
  }}
}}
"""
LMTP = """\
protocols = {protocols} lmtp
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""


@needs("dovecot")
def test_a_listener_for_trusted_proxies_is_left_alone(root: Path) -> None:
    program, proxied = Dovecot(root), ports.reserve()
    with serving("dovecot", program) as mail:
        program.write("conf.d/90-more.conf", PROXIED.format(proxied=proxied))
        mail.reload()
        assert proxied not in {each.port for each in mail.facts.listeners}
        assert mail.wrong(mail.install("1", HOST)) == ()


@needs("dovecot")
@pytest.mark.skipif(not Path("/usr/lib/dovecot/lmtp").exists(), reason="no dovecot-lmtpd")
def test_lmtp(root: Path) -> None:
    program, lmtp = Dovecot(root), ports.reserve()
    with serving("dovecot", program) as mail:
        program.write("conf.d/90-more.conf", LMTP.format(protocols=program.protocols, lmtp=lmtp))
        mail.reload()
        assert (lmtp, "lmtp") in {(each.port, each.starttls) for each in mail.facts.listeners}
        assert mail.wrong(mail.install("1", HOST)) == ()
