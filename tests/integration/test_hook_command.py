"""`proxygen hook`: what certbot, lego and acme.sh obtain is served without anybody's help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxygen.host import lock
from tests.conftest import require
from tests.live import client
from tests.live.authority import Authority, Issued
from tests.live.machine import Machine
from tests.live.needs import needs, path_of
from tests.live.processes import environment

PROGRAMS = ("nginx", "pebble", "postfix")
WEB = ("nginx", "pebble")
GLOBAL = {
    "url": "https://mail.example.net",
    "extra_names": ["smtp.example.net"],
    "certificate": "hook",
}
SELF = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "hook"}}


@pytest.fixture
def mail(root: Path) -> Iterator[Machine]:
    """Return a machine with a web server and a mail server."""
    require(PROGRAMS)
    with Machine(root, PROGRAMS) as running:
        yield running


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with a web server alone."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def succeeded(run: subprocess.CompletedProcess[str]) -> str:
    """Return all that was said; fail with it unless the command succeeded."""
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def hook_of(machine: Machine) -> str:
    """Return the command line that a client is given as its hook."""
    words = (sys.executable, "-P", "-m", "proxygen", "--root", str(machine.root))
    return " ".join((*words, "--config", str(machine.config), "hook"))


def run(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run another ACME client."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(**more),
        cwd="/",
        timeout=100,
        check=False,
    )


def hook(machine: Machine, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the hook as a client does, with what it sets."""
    return run(*hook_of(machine).split(), *arguments, **variables)


def serials(machine: Machine, name: str) -> set[int]:
    """Return the serial numbers of what the services show for a name."""
    shown = [client.leaf(machine.nginx.https, name, trust=machine.pebble.issuing_root)]
    if machine.postfix:
        shown.append(client.leaf(machine.postfix.smtp, name, starttls="smtp"))
        shown.append(client.leaf(machine.postfix.smtps, name))
    return {each.serial_number for each in shown}


CERTBOT = Path(sys.executable).with_name("certbot")


def certbot(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real certbot; nginx answers its challenges from our folder."""
    folder = machine.root / "letsencrypt"
    return run(
        str(CERTBOT),
        *arguments,
        *("--config-dir", str(folder), "--work-dir", str(folder / "work")),
        *("--logs-dir", str(folder / "logs"), "--server", machine.pebble.directory),
        *("--non-interactive", "--agree-tos", "--register-unsafely-without-email"),
        *("--no-random-sleep-on-renew",) * (arguments[0] == "renew"),
        REQUESTS_CA_BUNDLE=str(machine.pebble.trusted_root),
    )


def test_what_certbot_obtains_and_renews_is_served_by_all(mail: Machine) -> None:
    mail.model({}, main=GLOBAL)
    said = succeeded(mail.proxygen("apply"))
    assert "call `proxygen hook`" in said
    names = ("-d", "mail.example.net", "-d", "smtp.example.net")
    challenges = str(mail.root / "var/lib/proxygen/challenges")
    obtained = certbot(
        mail,
        *("certonly", "--webroot", "-w", challenges, *names, "--deploy-hook", hook_of(mail)),
    )
    assert "global: certificate adopted from certbot" in succeeded(obtained)
    (first,) = serials(mail, "mail.example.net")

    succeeded(certbot(mail, "renew", "--force-renewal"))
    (second,) = serials(mail, "mail.example.net")
    assert second != first
    assert mail.pebble.new_orders == 2  # both were certbot's

    (owner,) = json.loads(mail.proxygen("status", "--json").stdout)["owners"]
    assert owner["certificate"]["source"] == "hook"
    assert owner["certificate"]["renew_at"] is None
    assert "by `proxygen hook`" in mail.proxygen("status").stdout
    assert "nothing to do" in succeeded(mail.proxygen("apply"))


def lego(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real lego; nginx answers its challenges from our folder."""
    return run(
        path_of("lego"),
        *("--server", machine.pebble.directory, "--path", str(machine.root / "lego")),
        *("--email", "a@a.example", "--accept-tos", "--domains", "www.a.example"),
        *("--http", "--http.webroot", str(machine.root / "var/lib/proxygen/challenges")),
        *arguments,
        LEGO_CA_CERTIFICATES=str(machine.pebble.trusted_root),
    )


@needs("lego")
def test_what_lego_obtains_and_renews_is_served(web: Machine) -> None:
    web.model(A, main=SELF)
    succeeded(web.proxygen("apply"))
    assert client.names(client.leaf(web.nginx.https, "www.a.example")) == {"mail.example.net"}
    obtained = lego(web, "run", "--run-hook", hook_of(web))
    assert "a.example: certificate adopted from lego" in succeeded(obtained)
    (first,) = serials(web, "www.a.example")

    renew = ("renew", "--days", "9999", "--no-random-sleep", "--renew-hook", hook_of(web))
    succeeded(lego(web, *renew))
    (second,) = serials(web, "www.a.example")
    assert second != first


# By hand, or with the environment that a client sets; another authority's certificates.

AUTHORITY = Authority()


def written(folder: Path, issued: Issued) -> dict[str, str]:
    """Write a certificate as acme.sh does; return what it sets for ``--reloadcmd``."""
    folder.mkdir(exist_ok=True)
    texts = {
        "CERT_PATH": issued.leaf,
        "CERT_KEY_PATH": issued.key,
        "CA_CERT_PATH": issued.intermediate,
        "CERT_FULLCHAIN_PATH": issued.fullchain,
    }
    for name, text in texts.items():
        (folder / f"{name}.pem").write_bytes(text)
    return {name: str(folder / f"{name}.pem") for name in texts} | {"Le_Domain": "www.a.example"}


def shown(machine: Machine, name: str) -> int:
    """Return the serial number of what nginx shows for a name, with a chain that holds."""
    trust = AUTHORITY.root_pem
    return client.leaf(machine.nginx.https, name, trust=trust).serial_number


def test_what_acme_sh_installs_is_served(web: Machine) -> None:
    web.model(A, main=SELF)
    succeeded(web.proxygen("apply"))
    for _ in range(2):
        issued = AUTHORITY.issue("www.a.example")
        said = succeeded(hook(web, **written(web.root / "acme.sh", issued)))
        assert "adopted from acme.sh" in said
        assert shown(web, "www.a.example") == issued.certificate.serial_number
    assert web.pebble.new_orders == 0


def test_one_certificate_is_taken_for_all_whom_it_covers_and_deployed(web: Machine) -> None:
    names = {"a.example": "www.a.example", "b.example": "b.a.example"}
    wanted = {
        owner: {"url": f"https://{host}", "certificate": "hook"} for owner, host in names.items()
    }
    web.model(wanted, main=SELF)
    succeeded(web.proxygen("apply"))
    deploy = web.root / "etc/proxygen/hooks/deploy.d/x"
    deploy.parent.mkdir(parents=True)
    deploy.write_text(f"#!/bin/sh\necho $PROXYGEN_OWNER $RENEWED_DOMAINS >>{web.root}/said\n")
    deploy.chmod(0o755)
    issued = AUTHORITY.issue("*.a.example")
    (web.root / "one.pem").write_bytes(issued.fullchain)
    (web.root / "key.pem").write_bytes(issued.key)
    files = ("--certificate", str(web.root / "one.pem"), "--key", str(web.root / "key.pem"))
    for _ in range(2):
        succeeded(hook(web, *files))
        assert {shown(web, host) for host in names.values()} == {issued.certificate.serial_number}
    assert (web.root / "said").read_text().splitlines() == [
        "a.example *.a.example",
        "b.example *.a.example",
    ]


def test_a_file_that_the_model_names_is_applied(web: Machine) -> None:
    paths = written(web.root / "acme.sh", AUTHORITY.issue("www.a.example"))
    files = {"certificate": paths["CERT_FULLCHAIN_PATH"], "key": paths["CERT_KEY_PATH"]}
    web.model({"a.example": {"url": "www.a.example", "certificate": {"file": files}}}, main=SELF)
    succeeded(web.proxygen("apply"))
    issued = AUTHORITY.issue("www.a.example")
    assert "renewed by acme.sh" in succeeded(hook(web, **written(web.root / "acme.sh", issued)))
    assert shown(web, "www.a.example") == issued.certificate.serial_number


def test_what_is_brought_in_place_of_our_own_is_renewed_by_us(web: Machine) -> None:
    acme = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
    web.model(acme, main=SELF)
    issued = AUTHORITY.issue("www.a.example")
    said = succeeded(hook(web, **written(web.root / "acme.sh", issued)))
    assert "proxygen renews it itself from now on" in said
    assert shown(web, "www.a.example") == issued.certificate.serial_number
    succeeded(web.proxygen("apply"))
    assert web.pebble.new_orders == 0


def test_our_own_is_not_replaced_by_another_authoritys(web: Machine) -> None:
    acme = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
    web.model(acme, main=SELF)
    succeeded(web.proxygen("apply"))
    before = serials(web, "www.a.example")
    now = datetime.now(UTC)
    issued = AUTHORITY.issue("www.a.example", not_before=now, not_after=now + timedelta(days=390))
    other = written(web.root / "acme.sh", issued)
    refused(hook(web, **other), 2, "was not issued by the authority", "`certificate: hook`")
    assert serials(web, "www.a.example") == before
    # One that the whole system trusts may be from our authority.
    (web.root / "trusted.pem").write_bytes(AUTHORITY.root_pem)
    trusted = hook(web, **other, SSL_CERT_FILE=str(web.root / "trusted.pem"))
    assert "adopted from acme.sh" in succeeded(trusted)
    assert shown(web, "www.a.example") == issued.certificate.serial_number


def test_certbot_at_the_same_authority_takes_the_place_of_our_own(web: Machine) -> None:
    acme = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
    web.model(acme, main=SELF)
    succeeded(web.proxygen("apply"))
    before = serials(web, "www.a.example")
    challenges = str(web.root / "var/lib/proxygen/challenges")
    names = ("--webroot", "-w", challenges, "-d", "www.a.example")
    run = certbot(web, "certonly", *names, "--deploy-hook", hook_of(web))
    assert "proxygen renews it itself from now on" in succeeded(run)
    assert serials(web, "www.a.example") != before
    assert web.pebble.new_orders == 2


def test_a_certificate_of_nobody_known_is_a_warning_for_whom_it_is_brought_to(
    alone: Machine,
) -> None:
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    assert "trusts no root of the certificate" in succeeded(hook(alone, **paths))
    older = AUTHORITY.issue("www.a.example", not_after=datetime.now(UTC) + timedelta(days=3))
    said = succeeded(hook(alone, **written(alone.root / "y", older)))
    assert "is it the newest one?" in said


def test_the_former_certificate_serves_on_until_the_hook_brings_one(web: Machine) -> None:
    acme = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
    web.model(acme, main=SELF)
    succeeded(web.proxygen("apply"))
    before = serials(web, "www.a.example")
    web.model(A, main=SELF)
    assert "uses a certificate from acme" in succeeded(web.proxygen("apply"))
    assert serials(web, "www.a.example") == before
    issued = AUTHORITY.issue("www.a.example")
    succeeded(hook(web, **written(web.root / "acme.sh", issued)))
    assert shown(web, "www.a.example") == issued.certificate.serial_number
    web.model(acme, main=SELF)
    succeeded(web.proxygen("apply"))
    assert serials(web, "www.a.example") != before
    assert web.pebble.new_orders == 2


# What is refused, in words.


@pytest.fixture
def alone(root: Path) -> Machine:
    """Return a machine on which nothing runs: what is refused comes to no service."""
    machine = Machine(root, WEB)
    machine.config.parent.mkdir(parents=True)
    fields = {"global": SELF, "domains": A, "services": {}}
    machine.config.write_text(json.dumps(fields))
    return machine


def refused(run: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Fail unless the command was refused with these words."""
    assert run.returncode == code, run.stdout + run.stderr
    for each in words:
        assert each in run.stderr


def test_no_client_at_all_is_told_how_to_install_it(alone: Machine) -> None:
    nobody = hook(alone)
    refused(nobody, 2, "--deploy-hook", "--renew-hook", "--reloadcmd", "--certificate FILE")
    lines = [line.strip() for line in nobody.stderr.splitlines()]
    for who in ("certbot:", "lego 4:", "lego 5:", "acme.sh:", "by hand:"):
        assert [line.startswith(who) for line in lines].count(True) == 1
    post = hook(alone, RENEWED_DOMAINS="www.a.example", FAILED_DOMAINS="")
    refused(post, 2, "post hook", "--deploy-hook")
    refused(hook(alone, "--key", "/x"), 2, "belong together")


def test_nobodys_names_are_told_with_what_to_write(alone: Machine) -> None:
    paths = written(alone.root / "x", AUTHORITY.issue("www.other.example"))
    refused(hook(alone, **paths), 2, "www.other.example", "`certificate: hook`")


def test_a_name_that_is_not_covered_is_told(alone: Machine) -> None:
    more = {"a.example": A["a.example"] | {"extra_names": ["a.example"]}}
    fields = json.loads(alone.config.read_text()) | {"domains": more}
    alone.config.write_text(json.dumps(fields))
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    refused(hook(alone, **paths), 5, "a.example: the certificate does not cover a.example")
    assert not list((alone.root / "var/lib/proxygen/store").glob("certificates/*/a.example"))


def test_what_no_client_would_accept_is_refused(alone: Machine) -> None:
    issued = AUTHORITY.issue("www.a.example")
    past = issued.certificate.not_valid_before_utc
    expired = AUTHORITY.issue("www.a.example", not_before=past.replace(year=2020), not_after=past)
    refused(hook(alone, **written(alone.root / "x", expired)), 5, "expired on")
    paths = written(alone.root / "x", issued)
    Path(paths["CERT_KEY_PATH"]).write_bytes(expired.key)
    refused(hook(alone, **paths), 5, "belongs to none of the certificates")
    Path(paths["CERT_KEY_PATH"]).unlink()
    refused(hook(alone, **paths), 5, "CERT_KEY_PATH.pem: No such file", "acme.sh")


def test_files_that_a_person_gives_are_told_as_such(alone: Machine) -> None:
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    other = written(alone.root / "y", AUTHORITY.issue("www.b.example"))
    both = ("--certificate", paths["CERT_PATH"], "--key")
    missing = hook(alone, *both, str(alone.root / "missing"))
    refused(missing, 5, "missing: No such file", "name files that exist, are readable")
    mixed = hook(alone, *both, other["CERT_KEY_PATH"])
    refused(mixed, 5, "has the certificate of www.a.example, issued by")
    assert "you wrote" not in missing.stderr + mixed.stderr


@pytest.mark.parametrize("bad", ["/dev/zero", "fifo", "/"])
def test_what_is_no_file_is_refused_without_waiting(alone: Machine, bad: str) -> None:
    if bad == "fifo":
        bad = str(alone.root / "fifo")
        os.mkfifo(bad)
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    for name in ("CERT_KEY_PATH", "CERT_PATH"):
        refused(hook(alone, **(paths | {name: bad})), 5, bad)


def test_a_wrong_model_is_told_and_nothing_touched(alone: Machine) -> None:
    alone.config.write_text("global: {url: x")
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    refused(hook(alone, **paths), 3)
    assert not (alone.root / "var/lib/proxygen").exists()


def test_another_run_is_waited_for_as_long_as_told(alone: Machine) -> None:
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    with lock.hold(alone.root / "var/lib/proxygen/lock"):
        refused(hook(alone, "--wait", "0", **paths), 7)
    succeeded(hook(alone, "--wait", "0", **paths))


def test_it_is_told_as_json(alone: Machine) -> None:
    paths = written(alone.root / "x", AUTHORITY.issue("www.a.example"))
    said = json.loads(succeeded(hook(alone, "--json", **paths)))
    assert "a.example: certificate adopted from acme.sh" in said["done"][0]["words"]
    refusal = hook(alone, "--json")
    assert json.loads(refusal.stdout)["exit_code"] == refusal.returncode == 2
