"""Who issues the certificate of an owner in a draft."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.importing import DNS, STANDALONE, Lineage
from proxygen.importing.owners import issuer

HERE = Path("/etc/letsencrypt")


def of(challenge: str) -> Lineage:
    """Return a lineage that is proven by a challenge."""
    return Lineage("certbot", "a", HERE / "fullchain.pem", HERE / "key", "a", challenge=challenge)


@pytest.mark.parametrize(
    ("names", "challenge", "has_nginx", "word"),
    [
        pytest.param(("a.example",), "", True, "acme", id="nginx answers challenges"),
        pytest.param(("*.a.example",), "", True, "hook", id="a wildcard"),
        pytest.param(("a.example",), DNS, True, "hook", id="port 80 may not lead here"),
        pytest.param(("a.example",), STANDALONE, False, "acme", id="a listener of its own"),
        pytest.param(("a.example",), "", False, "hook", id="another web server"),
    ],
)
def test_what_cannot_be_proven_here_is_brought_by_its_client(
    names: tuple[str, ...], challenge: str, has_nginx: bool, word: str
) -> None:
    found, why = issuer(names, None, of(challenge), has_nginx=has_nginx)
    assert found == word
    assert bool(why) is (word == "hook")
