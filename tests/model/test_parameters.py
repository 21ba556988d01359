"""What reading a key would cost is told by its parameters."""

from __future__ import annotations

import pytest

from proxygen.model.parameters import costly_parameters
from tests import hostile
from tests.certificates import key_pem, rsa_key


@pytest.mark.parametrize(
    ("der", "words"),
    [
        pytest.param(hostile.rsa_der(8192), None, id="the longest RSA key"),
        pytest.param(hostile.rsa_der(8200), "8200 bits", id="a longer one"),
        pytest.param(hostile.dh_der(), "Diffie-Hellman", id="Diffie-Hellman"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\x30\x84\xff\xff\xff\xff", None, id="less than it says"),
        pytest.param(b"\x30\x80" * 100_000, None, id="no end"),
        pytest.param(key_pem(rsa_key()), None, id="no DER"),
    ],
)
def test_parameters(der: bytes, words: str | None) -> None:
    said = costly_parameters(der)
    assert (words in said.what) if words and said else said is words


def test_very_many_elements_are_not_walked_through() -> None:
    assert costly_parameters(hostile.sequence(b"\x30\x00" * 300_000)) is None
