"""Certificates from files: read, checked, and watched for changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxygen.errors import IssueFailed, Origin
from proxygen.issuers.file import FileIssuer, files_fingerprint, key_file_warnings
from proxygen.model.certificate import Certificate, FileSource, KeyAndChain, Secret
from tests.certificates import DAY, NOON, intermediate, key_pem, leaf, openssl, pem, root
from tests.live.needs import needs

ORIGIN = Origin("proxygen.yaml", 9, 5)
NAME = "a.example"
CA = intermediate(root())
LEAF = leaf(CA, NAME)
PAIR = LEAF.pair(CA)
SECRET = Secret("env", "CERTIFICATE_PASSWORD")


def issuer(passwords: dict[Secret, bytes] | None = None) -> FileIssuer:
    return FileIssuer(lambda: NOON, (passwords or {}).__getitem__)


def source(folder: Path, password: Secret | None = None, **files: str) -> FileSource:
    paths = {"key": None, "chain": None} | {use: folder / name for use, name in files.items()}
    return FileSource(**paths, password=password, origin=ORIGIN)


def wanted(files: FileSource, *names: str) -> Certificate:
    return Certificate("a.example", names or (NAME,), "file", ORIGIN, file=files)


@pytest.fixture
def three(tmp_path):
    """Certificate, key and chain in a file each."""
    (tmp_path / "own.pem").write_bytes(pem(LEAF.certificate))
    (tmp_path / "key.pem").write_bytes(key_pem(LEAF.key))
    (tmp_path / "chain.pem").write_bytes(pem(CA.certificate))
    (tmp_path / "key.pem").chmod(0o600)
    return source(tmp_path, certificate="own.pem", key="key.pem", chain="chain.pem")


def test_three_files_become_one_pair(three):
    assert issuer().issue(wanted(three), None) == PAIR


def test_one_file_and_links_to_it_will_do(tmp_path):
    (tmp_path / "all.pem").write_bytes(PAIR.pem)
    (tmp_path / "live").symlink_to("all.pem")
    assert issuer().issue(wanted(source(tmp_path, certificate="live")), None) == PAIR


@needs("openssl")
def test_the_password_of_a_pkcs12_file_is_looked_up(tmp_path):
    (tmp_path / "all.pem").write_bytes(PAIR.pem)
    made = openssl("pkcs12", "-export", "-in", tmp_path / "all.pem", "-passout", "pass:secret")
    (tmp_path / "a.pfx").write_bytes(made)
    files = source(tmp_path, SECRET, certificate="a.pfx")
    assert issuer({SECRET: b"secret"}).issue(wanted(files), None) == PAIR
    with pytest.raises(IssueFailed, match="given password"):
        issuer({SECRET: b"wrong"}).issue(wanted(files), None)


def test_what_clients_would_refuse_is_not_issued(three):
    with pytest.raises(IssueFailed, match=r"not covered: b\.example") as caught:
        issuer().issue(wanted(three, NAME, "b.example"), None)
    assert caught.value.where == str(ORIGIN)
    with pytest.raises(IssueFailed, match=r"a\.example expired"):
        FileIssuer(lambda: NOON + 31 * DAY, dict[Secret, bytes]().__getitem__).issue(
            wanted(three), None
        )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda path: None, "No such file", id="missing"),
        pytest.param(os.mkfifo, "a pipe, not a regular file", id="FIFO"),
        pytest.param(Path.mkdir, "directory", id="folder"),
        pytest.param(
            lambda path: path.symlink_to("/dev/zero"), "a device, not a regular file", id="device"
        ),
        pytest.param(lambda path: path.symlink_to(path), "symbolic links", id="circle of links"),
        pytest.param(lambda path: path.write_bytes(b"x" * 1024 * 1025), "1024 KiB", id="huge"),
        pytest.param(lambda path: path.write_bytes(b"x"), "neither PEM", id="something else"),
    ],
)
@pytest.mark.timeout(10)
def test_a_file_that_cannot_be_used_is_named_with_its_place_in_the_model(three, spoil, words):
    three.key.unlink()
    spoil(three.key)
    with pytest.raises(IssueFailed, match=words) as caught:
        issuer().issue(wanted(three), None)
    error = caught.value
    assert str(three.key) in error.what
    assert (error.where, error.failure.final) == (str(ORIGIN), True)
    assert error.remedy


def test_the_fingerprint_changes_with_each_file_and_with_nothing_else(three):
    seen = {files_fingerprint(three), files_fingerprint(three)}
    assert len(seen) == 1
    for path in three.paths:
        path.touch()
        assert files_fingerprint(three) in seen
        path.write_bytes(path.read_bytes() + b"\n")
        assert files_fingerprint(three) not in seen
        seen.add(files_fingerprint(three))
    three.key.unlink()
    assert files_fingerprint(three) == ""


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_can_reach_is_worth_a_warning(three, mode):
    assert key_file_warnings(three) == ()
    three.key.chmod(mode)
    (warning,) = key_file_warnings(three)
    assert f"mode {mode:04o}" in warning
    assert str(three.key) in warning


def test_no_warning_about_a_missing_key(three):
    three.key.unlink()
    assert key_file_warnings(three) == ()


def test_an_error_shows_nothing_of_the_key(three):
    three.key.write_bytes(key_pem(LEAF.key)[:-40])
    with pytest.raises(IssueFailed) as caught:
        issuer().issue(wanted(three), None)
    secret = key_pem(LEAF.key).splitlines()[1].decode()
    assert secret[:8] not in str(caught.value)
    assert "…" in repr(KeyAndChain(b"k", b"c"))
