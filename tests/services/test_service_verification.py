"""Which places the model leaves out of verification."""

from __future__ import annotations

import pytest

from proxygen.services import Endpoint, ServiceSettings
from proxygen.services.service_verification import matching_nothing, place_words


def left_out(*items: object) -> ServiceSettings:
    """Return the settings of a service with these listeners left out."""
    return ServiceSettings.model_validate({"verify": {"except": list(items)}})


@pytest.mark.parametrize(
    ("item", "address", "port", "covered"),
    [
        pytest.param(25, "127.0.0.1", 25, False, id="a port is every address"),
        pytest.param(25, "::1", 25, False, id="of both families"),
        pytest.param("25", "192.0.2.1", 25, False, id="also in quotes"),
        pytest.param("*:25", "192.0.2.1", 25, False, id="and with an asterisk"),
        pytest.param(25, "127.0.0.1", 2525, True, id="another port"),
        pytest.param("192.0.2.1:25", "192.0.2.1", 25, False, id="an address"),
        pytest.param("192.0.2.1:25", "192.0.2.11", 25, True, id="another address"),
        pytest.param("192.0.2.1:25", "192.0.2.1", 465, True, id="its other port"),
        pytest.param("[2001:DB8:0::1]:25", "2001:db8::1", 25, False, id="IPv6"),
        pytest.param("[::]:25", "2001:db8::1", 25, False, id="all of IPv6"),
        pytest.param("[::]:25", "192.0.2.1", 25, True, id="and not of IPv4"),
    ],
)
def test_what_is_verified(item: object, address: str, port: int, covered: bool) -> None:
    settings = left_out(item)
    place = Endpoint("postfix", address, port, "mail.example.net", None, "smtp")
    assert settings.verified([place]) == ((place,) if covered else ())
    nothing = matching_nothing(settings.verify, [(address, port)])
    assert bool(nothing) is covered


def test_settings_are_written_and_read_again() -> None:
    """`rollback` uses the settings that were noted when the service was set up."""
    settings = left_out(25, "[::1]:465")
    text = settings.model_dump_json(by_alias=True)
    assert ServiceSettings.model_validate_json(text) == settings


def test_a_place_is_told_as_the_model_writes_it() -> None:
    for words, place in (("127.0.0.1:25", ("127.0.0.1", 25)), ("[::1]:25", ("::1", 25))):
        assert place_words(*place) == words
        assert not left_out(words).verify.covers(*place)
