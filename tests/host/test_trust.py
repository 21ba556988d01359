"""The roots of this system, as OpenSSL finds them in a file or a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.host.trust import system_roots
from tests import certificates
from tests.certificates import openssl, pem


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which is all that OpenSSL finds roots in."""
    folder = tmp_path / "certs"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    return folder


def test_those_of_the_file_are_found(nowhere: Path) -> None:
    one, two = certificates.root(), certificates.root()
    (nowhere.parent / "roots.pem").write_bytes(pem(one.certificate, two.certificate))
    assert set(system_roots()) == {one.certificate, two.certificate}


def test_those_of_the_folder_are_found_where_there_is_no_file(nowhere: Path) -> None:
    own = certificates.root()
    (nowhere / "ours.pem").write_bytes(pem(own.certificate))
    (nowhere / "00000000.0").write_text("no certificate")
    openssl("rehash", nowhere)
    assert system_roots() == (own.certificate,)


def test_a_system_that_trusts_nobody_has_none(nowhere: Path) -> None:
    assert system_roots() == ()
    nowhere.rmdir()
    assert system_roots() == ()
