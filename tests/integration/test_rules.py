"""The rules of the model (DESIGN section 1), each seen from outside on real services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.live import client
from tests.live.authority import Authority
from tests.live.machine import LOCKS, PROGRAMS, Machine, temporary_root
from tests.live.pebble import Manners

REFUSED = r"(?i)unrecognized|alert|EOF"
GLOBAL_NAMES = frozenset({"mail.example.net", "smtp.example.net", "imap.example.net"})
OWN_NAMES = frozenset({"webmail.customer-a.example", "autodiscover.customer-a.example"})

DOMAINS = {
    "customer-a.example": {
        "url": "https://webmail.customer-a.example",
        "extra_names": ["autodiscover.customer-a.example"],
        "certificate": "acme",
    },
    "customer-b.example": {"url": "https://mail.customer-b.example"},
    "customer-c.example": {},
    "customer-d.example": {
        "url": "https://post.customer-d.example",
        "certificate": {"file": {"certificate": "d/all.pem"}},
    },
    "customer-e.example": {"url": "https://bücher.example", "certificate": "selfsigned"},
}

GLOBAL = {
    "url": "https://mail.example.net",
    "extra_names": ["smtp.example.net", "imap.example.net"],
    "certificate": "acme",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Machine]:
    """Return a machine on which one `apply` took the model to certificates that are served.

    Its authority refuses every fifth nonce, as RFC 8555 section 6.5 allows at any time.
    """
    require(PROGRAMS)
    with temporary_root() as root, Machine(root, manners=Manners(nonces_rejected=20)) as machine:
        machine.model(DOMAINS, main=GLOBAL)
        supply(machine, "post.customer-d.example")
        applied = machine.proxygen("apply")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        yield machine


def supply(machine: Machine, *names: str) -> None:
    """Put a customer's certificate where the model says, leaf, chain and key in one file."""
    folder = machine.config.parent / "d"
    folder.mkdir(exist_ok=True)
    issued = Authority().issue(*names)
    (folder / "all.pem").write_bytes(issued.fullchain + issued.key)


def mail_ports(machine: Machine) -> list[tuple[int, str | None]]:
    """Return every port of the mail services, with the protocol before STARTTLS."""
    assert machine.postfix
    assert machine.dovecot
    return [
        (machine.postfix.smtp, "smtp"),
        (machine.postfix.submission, "smtp"),
        (machine.postfix.smtps, None),
        (machine.dovecot.imap, "imap"),
        (machine.dovecot.imaps, None),
        (machine.dovecot.pop3, "pop3"),
        (machine.dovecot.pop3s, None),
    ]


def web_names(machine: Machine, name: str) -> frozenset[str]:
    """Return the names of the certificate that nginx shows for *name*."""
    return client.names(client.leaf(machine.nginx.https, name))


def test_the_global_url_is_served_with_the_global_certificate(served: Machine) -> None:
    assert web_names(served, "mail.example.net") == GLOBAL_NAMES


def test_the_global_certificate_is_one_that_clients_of_the_authority_accept(
    served: Machine,
) -> None:
    root = served.pebble.issuing_root
    assert client.leaf(served.nginx.https, "mail.example.net", trust=root)
    assert served.postfix
    assert client.leaf(served.postfix.submission, "smtp.example.net", starttls="smtp", trust=root)


def test_a_domain_without_a_url_has_no_server_block(served: Machine) -> None:
    with pytest.raises(OSError, match=REFUSED):
        client.leaf(served.nginx.https, "customer-c.example")


def test_a_domain_with_a_certificate_of_its_own_is_served_with_it(served: Machine) -> None:
    assert web_names(served, "webmail.customer-a.example") == OWN_NAMES


def test_a_domain_without_a_certificate_is_served_with_the_global_one(served: Machine) -> None:
    assert web_names(served, "mail.customer-b.example") == GLOBAL_NAMES


def test_a_name_that_the_global_certificate_does_not_cover_is_warned_about(
    served: Machine,
) -> None:
    assert (
        "the global certificate is used for mail.customer-b.example, but does not cover this name"
        in (served.proxygen("plan").stderr)
    )


def test_a_supplied_certificate_is_served(served: Machine) -> None:
    assert web_names(served, "post.customer-d.example") == {"post.customer-d.example"}


def test_an_internationalised_name_is_served_by_its_a_label(served: Machine) -> None:
    assert web_names(served, "xn--bcher-kva.example") == {"xn--bcher-kva.example"}


@pytest.mark.parametrize(
    "name",
    ["mail.example.net", "webmail.customer-a.example", "post.customer-d.example", "other.test", ""],
)
def test_mail_presents_the_global_certificate_whatever_name_is_asked_for(
    served: Machine, name: str
) -> None:
    shown = {
        (port, client.names(client.leaf(port, name, starttls=starttls)))
        for port, starttls in mail_ports(served)
    }
    assert {names for _, names in shown} == {GLOBAL_NAMES}


def test_no_file_of_a_mail_service_holds_the_certificate_of_a_domain(served: Machine) -> None:
    folders = [served.root / "var/lib/proxygen/live" / name for name in ("postfix", "dovecot")]
    certificates = [path.name for folder in folders for path in folder.rglob("*.pem")]
    assert certificates
    assert all(name.startswith("global") for name in certificates)


def test_extra_names_are_covered_and_answered_for(served: Machine) -> None:
    for name in OWN_NAMES:
        assert web_names(served, name) == OWN_NAMES
        # no backend in this model: the block answers 404, an unknown host would get 421
        assert client.get(served.nginx.https, name).status == 404


def test_a_request_for_another_tenant_than_its_sni_gets_421(served: Machine) -> None:
    reply = client.get(
        served.nginx.https, "post.customer-d.example", sni="webmail.customer-a.example"
    )
    assert reply.status == 421


def test_nothing_due_means_no_write_no_reload_no_request(served: Machine) -> None:
    before = (written(served), served.pebble.new_orders, served.nginx.workers)
    again = served.proxygen("apply")
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")
    assert (written(served), served.pebble.new_orders, served.nginx.workers) == before


def written(machine: Machine) -> dict[str, tuple[int, int]]:
    """Return inode and change time of every file below the root, the lock and logs aside."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns)
        for folder in ("etc", "var/lib/proxygen")
        for path in (machine.root / folder).rglob("*")
        if path.name not in LOCKS and path.is_file()
    }


def test_keys_are_for_root_alone(served: Machine) -> None:
    store = served.root / "var/lib/proxygen/store"
    assert store.stat().st_mode & 0o777 == 0o700
    secrets = [
        path
        for path in (served.root / "var/lib/proxygen").rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert len(secrets) > 4
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


def test_status_tells_of_every_certificate(served: Machine) -> None:
    lines = {line.split()[0]: line for line in served.proxygen("status").stdout.splitlines()}
    assert "own" in lines["customer-a.example"]
    assert "Pebble" in lines["customer-a.example"]
    assert "dovecot nginx postfix" in lines["global"]
    assert "by you" in lines["customer-d.example"]
    assert "global URL" in lines["customer-c.example"]
