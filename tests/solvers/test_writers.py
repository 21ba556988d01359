"""Every writer passes the contract, at a real name server; and what goes wrong is told."""

from __future__ import annotations

import base64
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxygen.errors import IssueFailed
from proxygen.solvers import Writer
from proxygen.solvers.exec import ExecSettings
from proxygen.solvers.lexicon_provider import Provider
from proxygen.solvers.lexicon_settings import LexiconSettings
from proxygen.solvers.rfc2136_key import Key, read_key
from tests.live import needs
from tests.live.needs import path_of
from tests.solvers.contract import FIRST, Contract
from tests.solvers.zones import APEX, NOBODY, TARGETS, Zones

pytestmark = needs("named", "nsupdate", "ip")
NAME = f"_acme-challenge.{APEX}"

HOOK = """\
#!/bin/sh
set -eu
case "$1" in
    present) change="update add $2 60 TXT \\"$3\\"" ;;
    cleanup) change="update delete $2 TXT \\"$3\\"" ;;
esac
printf 'server %s\\n%s\\nsend\\n' "{server}" "$change" | "{nsupdate}" -k "{key}"
"""


def script(folder: Path, text: str, name: str = "hook") -> Path:
    """Return an executable file."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def failing(action: Callable[[], Any]) -> IssueFailed:
    """Return how something fails."""
    with pytest.raises(IssueFailed) as failed:
        action()
    return failed.value


class TestRfc2136(Contract):
    """Dynamic updates."""

    @pytest.fixture
    def writer(self, zones: Zones) -> Writer:
        return zones.updates(delegated=[TARGETS])


class TestLexicon(Contract):
    """dns-lexicon, by its provider for dynamic updates."""

    @pytest.fixture
    def writer(self, zones: Zones) -> Writer:
        return zones.writer(
            "lexicon",
            provider="ddns",
            credentials={"auth_token": "env:SECRET"},
            options={"ddns_server": zones.server.address},
            delegated=[TARGETS],
        )


class TestExec(Contract):
    """A program, here one that calls nsupdate."""

    @pytest.fixture
    def writer(self, zones: Zones) -> Writer:
        text = HOOK.format(
            server=zones.place.replace(":", " "),
            nsupdate=path_of("nsupdate"),
            key=zones.key_file,
        )
        program = str(script(zones.folder, text))
        return zones.writer("exec", program=program, delegated=[TARGETS])


# rfc2136


def test_the_bare_secret_is_a_key_too(zones: Zones) -> None:
    bare = zones.folder / "bare.key"
    bare.write_text(f"{zones.server.tsig_key.secret}\n")
    writer = zones.updates(key="file:bare.key", key_name="updates")  # relative: below the model
    writer.add(NAME, FIRST)
    assert FIRST in zones.values(NAME)
    writer.remove(NAME, FIRST)


def test_a_wrong_key_is_told_with_what_to_compare(zones: Zones) -> None:
    other = zones.folder / "other.key"
    other.write_text("bm90IHRoZSBzZWNyZXQgdGhhdCB0aGUgc2VydmVyIGhhcw==")
    wrong = zones.updates(key=f"file:{other}", key_name="updates")
    badsig = failing(lambda: wrong.add(NAME, FIRST))
    assert "has another secret for the TSIG key updates (BADSIG)" in badsig.what
    unknown = zones.updates(key=f"file:{other}", key_name="nobody")
    badkey = failing(lambda: unknown.add(NAME, FIRST))
    assert "does not know the TSIG key nobody (BADKEY)" in badkey.what
    assert "`key_name`" in badkey.remedy
    assert badkey.failure.final
    assert badkey.failure.refused == ()  # nothing is wrong with the name


def test_a_name_that_the_server_does_not_serve_is_refused_alone(zones: Zones) -> None:
    error = failing(lambda: zones.updates().add("_acme-challenge.elsewhere.example", FIRST))
    assert "serves no zone of _acme-challenge.elsewhere.example" in error.what
    assert "CNAME" in error.remedy
    assert [each.name for each in error.failure.refused] == ["_acme-challenge.elsewhere.example"]


def test_a_server_that_is_away_is_told(zones: Zones) -> None:
    away = zones.updates(server=zones.at(NOBODY), timeout=1)
    error = failing(lambda: away.add(NAME, FIRST))
    assert "`server`" in error.remedy
    assert error.failure.refused == ()


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        ("c2VjcmV0", None, "`key_name`"),
        ("not base64 at all!", "k", "as it was created"),
        ("c2VjcmV0==", "k", "as it was created"),  # Python 3.11 would take it, 3.13 does not
        ('key "a" { algorithm hmac-sha256; secret "c2VjcmV0"; };', "b", "`key_name`"),
        ('key "a" { algorithm hmac-sha512; secret "c2VjcmV0"; };', "a", "`algorithm`"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_showing_it(
    zones: Zones, content: str, name: str | None, why: str
) -> None:
    (zones.folder / "odd.key").write_text(content)
    error = failing(
        lambda: zones.updates(key="file:odd.key", key_name=name, algorithm="hmac-sha256")
    )
    assert why in error.remedy
    assert "c2VjcmV0" not in str(error)
    assert "not base64 at all" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        'key "a." {\n\talgorithm hmac-sha512;\n\tsecret "c2Vj//cmV0+w";\n};\n',
        "// a key\nkey a { secret c2Vj//cmV0+w; algorithm HMAC-SHA512; }; # its end",
        '/* secret "b3RoZXI="; */ key "a" { algorithm hmac-sha512; secret "c2Vj//cmV0+w"; };',
    ],
)
def test_a_key_file_is_read_as_bind_does(text: str) -> None:
    found = read_key(text.encode(), None, None)
    assert found == Key("a", "hmac-sha512", base64.b64decode("c2Vj//cmV0+w"))
    assert "secret=" not in repr(found)


# lexicon


def test_a_package_that_is_missing_is_told_when_it_is_needed(
    zones: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lexicon.config", None)
    error = failing(lambda: zones.writer("lexicon", provider="ddns"))
    assert "pip install 'proxygen[lexicon]'" in error.remedy


def test_a_provider_that_there_is_not_is_told(zones: Zones) -> None:
    assert "`nobody`" in failing(lambda: zones.writer("lexicon", provider="nobody")).what


def test_the_words_of_a_provider_hold_no_secret() -> None:
    settings = LexiconSettings(provider="ddns", credentials={"auth_token": "env:TOKEN"})
    provider = Provider(settings, {"auth_token": "s3cret/=x"}, zone=str)
    said = "401 for https://api.example/?token=s3cret%2F%3Dx&other=s3cret/=x"
    error = provider.failed("a.example", RuntimeError(said))
    assert error.words == "RuntimeError: 401 for https://api.example/?token=…&other=…"


def test_what_a_provider_raises_is_told(zones: Zones) -> None:
    options = {"ddns_server": "no address"}
    credentials = {"auth_token": "env:SECRET"}
    writer = zones.writer("lexicon", provider="ddns", credentials=credentials, options=options)
    error = failing(lambda: writer.add(NAME, FIRST))
    assert error.what == f"the provider ddns did not change the zone {APEX}"
    assert error.words.startswith("ValueError")


def test_a_provider_that_does_not_answer_is_given_up() -> None:
    """PowerDNS's API, which dns-lexicon waits for without any time limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = LexiconSettings(
            provider="powerdns",
            credentials={"auth_token": "env:TOKEN"},
            options={"pdns_server": place, "pdns_server_id": "localhost"},
        )
        zone = "a.example"
        writer = Provider(settings, {"auth_token": "x"}, zone=lambda _: zone, longest=0.5)
        for _ in range(2):  # the second waits for the first, and no longer
            error = failing(lambda: writer.add(f"_acme-challenge.{zone}", FIRST))
            assert f"did not change the zone {zone} within" in error.what


def test_a_secret_does_not_stand_among_the_options() -> None:
    with pytest.raises(ValidationError, match="seems to be a secret"):
        LexiconSettings(provider="ovh", options={"auth_application_secret": "s3cret"})


# exec


def test_a_program_is_told_all_it_needs(zones: Zones, tmp_path: Path) -> None:
    told = tmp_path / "told"
    text = (
        f'#!/bin/sh\necho "$@" "$PROXYGEN_EVENT" "$PROXYGEN_RECORD" "$PROXYGEN_VALUE" >> {told}\n'
    )
    writer = zones.writer("exec", program=str(script(zones.folder, text, "telling")))
    writer.add(NAME, FIRST)
    writer.remove(NAME, FIRST)
    assert told.read_text().splitlines() == [
        f"present {NAME}. {FIRST} present {NAME}. {FIRST}",
        f"cleanup {NAME}. {FIRST} cleanup {NAME}. {FIRST}",
    ]


def test_a_program_that_fails_is_told_in_its_own_words(zones: Zones) -> None:
    path = script(zones.folder, "#!/bin/sh\necho no such zone >&2\nexit 3\n", "bad")
    error = failing(lambda: zones.writer("exec", program=str(path)).add(NAME, FIRST))
    assert f"exited with status 3 for `present {NAME}.`" in error.what
    assert error.words == "no such zone"


def test_a_program_that_hangs_is_ended(zones: Zones) -> None:
    path = script(zones.folder, "#!/bin/sh\necho begun\nexec sleep 60\n", "slow")
    error = failing(lambda: zones.writer("exec", program=str(path), timeout=1).add(NAME, FIRST))
    assert "did not finish within 1 seconds" in error.what
    assert error.words == "begun"


def test_a_program_that_others_may_change_is_not_run(zones: Zones, tmp_path: Path) -> None:
    path = script(zones.folder, f"#!/bin/sh\ntouch {tmp_path}/ran\n", "open")
    path.chmod(0o777)
    error = failing(lambda: zones.writer("exec", program=str(path)).add(NAME, FIRST))
    assert "the program" in error.what
    assert "users other than its owner may write" in error.what
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        pytest.param("echo present\n", "with #! and an interpreter, such as #!/bin/sh", id="no #!"),
        pytest.param("#!/no/such/shell\n", "after its #!", id="no such interpreter"),
    ],
)
def test_a_program_that_cannot_be_started_is_told_with_what_helps(
    zones: Zones, text: str, remedy: str
) -> None:
    path = script(zones.folder, text, "odd")
    error = failing(lambda: zones.writer("exec", program=str(path)).add(NAME, FIRST))
    assert "cannot be started" in error.what
    assert remedy in error.remedy
    assert "services" not in error.remedy


def test_a_relative_path_is_no_program() -> None:
    with pytest.raises(ValidationError, match="absolute path"):
        ExecSettings(program="bin/hook")
