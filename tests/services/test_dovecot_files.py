"""dovecot's files: the settings about its certificate, with their lines and what is around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.services import FilePart
from proxygen.services.dovecot_files import DovecotFiles, read_files

MAIN, LOCAL = Path("/etc/dovecot/dovecot.conf"), Path("/etc/dovecot/local.conf")
OURS = FilePart(Path("/etc/dovecot/conf.d/99-proxygen.conf"), 1, "", ours=True)


def read(text: str) -> DovecotFiles:
    """Return what one file says that is read after ours."""
    return read_files((FilePart(MAIN, 1, "a = b\n"), OURS, FilePart(LOCAL, 1, text)))


@pytest.mark.parametrize(
    ("text", "name", "value", "line"),
    [
        pytest.param("ssl_cert = </x\n", "ssl_cert", "</x", 1, id="2.3"),
        pytest.param("\n#\n  ssl_key=</x # why\n", "ssl_key", "</x", 3, id="after a comment"),
        pytest.param("ssl_server_cert_file = /x", "ssl_server_cert_file", "/x", 1, id="2.4"),
        pytest.param(
            "ssl_server {\n  cert_file = /x\n}\n",
            "ssl_server_cert_file",
            "/x",
            2,
            id="in its block",
        ),
        pytest.param(
            "ssl_server {\n  ssl_server_key_file = /x\n}",
            "ssl_server_key_file",
            "/x",
            2,
            id="in its block by its full name",
        ),
        pytest.param('ssl_alt_cert = "</a#b c"\n', "ssl_alt_cert", "</a#b c", 1, id="quoted"),
        pytest.param("ssl_cert = \\\n  </x\n", "ssl_cert", "</x", 1, id="over two lines"),
        pytest.param("ssl = no\n", "ssl", "no", 1, id="whether there is TLS"),
    ],
)
def test_a_setting_is_found_with_its_line(text: str, name: str, value: str, line: int) -> None:
    (found,) = read(text).settings
    assert (found.name, found.value, found.line, found.path) == (name, value, line, LOCAL)
    assert found.later
    assert not found.filters


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("protocol imap {\n  ssl_cert = </x\n}\n", {"protocol imap"}),
        ("protocol !pop3 {\nssl_cert = </x\n}", {"protocol !pop3"}),
        ('local_name "a.example" {\nssl_cert = </x\n}', {"local_name a.example"}),
        (
            "local 192.0.2.1 {\n protocol imap {\n  ssl_cert = </x\n }\n}\n",
            {"local 192.0.2.1", "protocol imap"},
        ),
        ("local_name a {\n ssl_server {\n  cert_file = /x\n }\n}\n", {"local_name a"}),
    ],
)
def test_a_setting_within_filters_is_not_one_for_all(text: str, filters: set[str]) -> None:
    found = read(text)
    (setting,) = found.settings
    assert setting.filters == filters
    assert list(found.later()) == []
    assert found.within(filters) == [setting]


@pytest.mark.parametrize(
    "text",
    [
        "#ssl_cert = </x\n",
        "ssl_cert_username_field = x\n",
        "ssl_client_cert_file = /x\n",
        "passdb ldap {\n  ssl_cert = x\n}\n",
        "ssl_client {\n  cert_file = /x\n}\n",
        'a = "ssl_cert = </x\n',
        "a = b \\\nssl_cert = </x\n",
    ],
)
def test_what_concerns_no_client_is_not_found(text: str) -> None:
    assert read(text).settings == ()


def test_what_is_read_after_ours_is_told_from_what_is_read_before() -> None:
    parts = (
        FilePart(MAIN, 1, "ssl_cert = </before\nprotocol imap {\n"),
        OURS,  # within a block, which is none
        FilePart(MAIN, 4, "}\n"),
        OURS,
        FilePart(MAIN, 6, "\nssl_cert = </after\n"),
    )
    found = read_files(parts)
    assert [(each.value, each.line, each.later) for each in found.settings] == [
        ("</before", 1, False),
        ("</after", 7, True),
    ]
    assert found.includes_ours
    assert not read_files(parts[:3]).includes_ours
    assert read_files(()).includes_ours  # nothing is known


def test_where_ours_is_read_twice_the_last_time_counts() -> None:
    found = read_files((OURS, FilePart(MAIN, 2, "ssl_cert = </x\n"), OURS))
    assert list(found.later()) == []


def test_a_value_that_may_be_a_secret_is_not_shown() -> None:
    (found,) = read("ssl_key = MIIEvQIBADANBg\n").settings
    assert found.written == "`ssl_key = …`"
    (long,) = read(f"ssl_cert = </{'x' * 5000}\n").settings
    assert len(long.written) < 200


@pytest.mark.parametrize(
    "hostile", ["", "}\n}\n", "a {\n" * 3000, "\x00='\"#", "ssl = \\", "'" * 9999]
)
def test_any_text_can_be_read(hostile: str) -> None:
    assert len(read(hostile).settings) <= 1
