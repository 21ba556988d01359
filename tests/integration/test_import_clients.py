"""`proxygen import` of what real clients obtained: renewed by their account."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.live import needs
from tests.live.acme_clients import Certbot, Dehydrated, Lego, ModMd
from tests.live.installation import Clock, TrialInstallation, at, challenge_port
from tests.live.machine import proxygen
from tests.live.small_authority import Limits, SmallAuthority

NAMES = ("www.a.example", "a.example")
FREE = Limits(orders=None, registered_domain=None, name_set=None, failed_validations=None)

CLIENTS = {
    "certbot": (Certbot, "etc/letsencrypt"),
    "lego": (Lego, "root/.lego"),
    "dehydrated": (Dehydrated, "etc/dehydrated"),
    "mod_md": (ModMd, "etc/apache2/md"),
}


@pytest.fixture
def ours(root: Path) -> Iterator[TrialInstallation]:
    """Return an installation without a model."""
    with challenge_port() as port:
        yield TrialInstallation(root, Clock(datetime.now(UTC)), port)


@pytest.fixture
def ca(tmp_path: Path, ours: TrialInstallation) -> Iterator[SmallAuthority]:
    """Return an authority with renewal information."""
    with SmallAuthority(tmp_path, clock=ours.clock, http_port=ours.http_port, limits=FREE) as made:
        yield made


def imported(ours: TrialInstallation, *more: str) -> str:
    """Run `proxygen import`; return what it said."""
    run = proxygen(ours.layout.root, ours.layout.config, "import", *more)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def corrected(ours: TrialInstallation, ca: SmallAuthority) -> None:
    """Correct the model as a person does: a private authority, and no services.

    Nothing is known of a backend, so that the domain is a comment first.
    """
    for path in (ours.layout.config.parent / "domains.d").iterdir():
        path.write_text(path.read_text().replace("\n#  ", "\n  "))
    model = yaml.safe_load(ours.layout.config.read_text())
    assert model["acme"]["directory"] == ca.directory
    model["acme"] |= at(ca) | {"http_port": ours.http_port, "preflight": False}
    model["global"] = {"url": "mail.example.net", "certificate": "selfsigned"}
    model["services"] = {}
    ours.layout.config.write_text(yaml.safe_dump(model))


@pytest.mark.parametrize(
    "client",
    [
        "certbot",
        pytest.param("lego", marks=needs("lego")),
        pytest.param("dehydrated", marks=needs("dehydrated")),
        pytest.param("mod_md", marks=needs("apache2")),
    ],
)
def test_what_a_client_has_goes_on_with_its_account(
    client: str, ours: TrialInstallation, ca: SmallAuthority
) -> None:
    make, place = CLIENTS[client]
    obtaining = make(ours.layout.root / place, ca, ours.http_port)
    obtaining.obtain(*NAMES)
    orders, accounts = len(ca.orders), len(ca.accounts)

    said = imported(ours, "--url", "mail.example.net", "--directory", ca.directory)
    assert f"wrote {ours.layout.config}" in said
    corrected(ours, ca)
    (path,) = (ours.layout.config.parent / "domains.d").iterdir()
    assert path.name == "a.example.yaml"
    fields = yaml.safe_load(path.read_text())["domains"]["a.example"]
    assert fields["url"] == "https://www.a.example"
    assert fields["extra_names"] == ["a.example"]
    assert fields["certificate"] == "acme"
    assert f"# {client}: {ours.layout.root}" in path.read_text()

    assert not ours.round().failures
    first = ours.bundle("a.example")
    assert first.adopted == "adopt"
    assert first.issuer == "acme"
    assert (len(ca.orders), len(ca.accounts)) == (orders, accounts)
    ours.round()
    ours.clock.now = first.not_after - timedelta(days=10)
    outcome = ours.round()
    assert not outcome.failures
    assert ours.bundle("a.example").fingerprint != first.fingerprint
    if client != "mod_md":  # which encrypts the keys of its accounts
        assert len(ca.accounts) == accounts
        assert ca.orders[-1].replaces == first.identifier
    assert "nothing new was found" in imported(ours)
