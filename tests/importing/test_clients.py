"""Files of other clients as values: what is right is found, what is hostile harms nothing."""

from __future__ import annotations

import json
import os
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest

from proxygen.importing import DNS, STANDALONE, acme_sh, certbot, dehydrated, lego, mod_md
from proxygen.importing.reading import LARGEST, MOST_VARIABLES, ClientFiles, expand_variables

LE = "https://acme-v02.api.letsencrypt.org/directory"
ZERO = "https://acme.zerossl.com/v2/DV90"


def write(path: Path, text: str = "-") -> Path:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def renewal(folder: Path, name: str, more: str = "", **said: str) -> Path:
    """Write what certbot has of a lineage."""
    live = folder / "live" / name
    for part in ("fullchain", "privkey"):
        write(live / f"{part}.pem")
    fields = {
        "fullchain": f"{live}/fullchain.pem",
        "privkey": f"{live}/privkey.pem",
        "account": "abc",
        "server": LE,
        "authenticator": "standalone",
        **said,
    }
    text = "# renew_before_expiry = 30 days\nversion = 2.1.0\n"
    text += "".join(f"{key} = {value}\n" for key, value in fields.items())
    return write(folder / "renewal" / f"{name}.conf", text + more)


def test_certbot_tells_paths_account_webroots_and_hooks(tmp_path: Path) -> None:
    place = "accounts/acme-v02.api.letsencrypt.org/directory/abc/private_key.json"
    write(tmp_path / place, '{"kty": "RSA"}')
    more = (
        "webroot_path = /var/www/html,\nrenew_hook = systemctl reload nginx\n"
        "[[webroot_map]]\na.example = /srv/other\n"
    )
    path = renewal(tmp_path, "a.example", more)
    (found,) = certbot.find(tmp_path, reading := ClientFiles()).lineages
    assert not reading.troubles
    assert (found.name, found.directory) == ("a.example", LE)
    assert found.where == f"{path}:3"
    assert found.account
    assert found.account.key == tmp_path / place
    assert found.webroots == ("/var/www/html", "/srv/other")
    assert found.hooks == ("renew_hook = systemctl reload nginx",)
    assert found.stop == f"mv {path} {path}.off"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"fullchain": "/nowhere.pem"}, "not there", id="gone"),
        pytest.param({"fullchain": "relative.pem"}, "no path", id="relative"),
        pytest.param({"privkey": "/dev/zero"}, "no regular file", id="device"),
        pytest.param({"privkey": "/tmp"}, "no regular file", id="folder"),
        pytest.param({"privkey": "/x\x1b[31m"}, "no path", id="escape"),
    ],
)
def test_a_lineage_whose_files_are_none_is_told_and_passed_over(
    tmp_path: Path, said: dict[str, str], words: str
) -> None:
    renewal(tmp_path, "a.example", **said)
    renewal(tmp_path, "b.example")
    (found,) = certbot.find(tmp_path, reading := ClientFiles()).lineages
    assert found.name == "b.example"
    (trouble,) = reading.troubles
    assert words in trouble
    assert "\x1b" not in trouble


@pytest.mark.parametrize(
    ("server", "account"),
    [
        (f"{LE}/../..", "abc"),
        (LE, "../../../../etc"),
        (LE, "a/b"),
        ("file:///etc", "abc"),
        ("https://x y", "abc"),
    ],
)
def test_no_account_is_looked_for_elsewhere(tmp_path: Path, server: str, account: str) -> None:
    renewal(tmp_path, "a.example", server=server, account=account)
    for place in ("abc", "acme-v02.api.letsencrypt.org/directory/a/b"):
        write(tmp_path / "accounts" / place / "private_key.json", '{"kty": "RSA"}')
    (found,) = certbot.find(tmp_path, ClientFiles()).lineages
    assert found.account is None


def test_files_that_are_too_large_no_text_or_pipes_are_told_and_nobody_waits(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "renewal"
    write(folder / "large.conf").write_bytes(b"#" * (LARGEST + 1))
    write(folder / "binary.conf").write_bytes(b"\xff\xfe")
    os.mkfifo(folder / "pipe.conf")
    (folder / "loop.conf").symlink_to("loop.conf")
    (folder / "zero.conf").symlink_to("/dev/zero")
    write(folder / "new\nline.conf")
    reading = ClientFiles()
    assert certbot.find(tmp_path, reading).lineages == ()
    told = "\n".join(reading.troubles)
    for word in ("large.conf", "binary.conf", "pipe.conf", "loop.conf", "zero.conf", r"new\nline"):
        assert word in told, word


def test_lego_tells_certificates_and_the_account(tmp_path: Path) -> None:
    held = tmp_path / "certificates"
    write(held / "_.a.example.crt")
    write(held / "_.a.example.key")
    told = {"domain": "*.a.example", "certUrl": "https://acme-v02.api.letsencrypt.org/acme/cert/1"}
    write(held / "_.a.example.json", json.dumps(told))
    write(held / "issuer.json", "[1")
    place = tmp_path / "accounts/acme-v02.api.letsencrypt.org/me@x.example"
    write(place / "account.json", '{"email": "me@x.example"}')
    key = write(place / "keys/me@x.example.key")
    (found,) = lego.find(tmp_path, reading := ClientFiles()).lineages
    assert (found.certificate, found.key) == (held / "_.a.example.crt", held / "_.a.example.key")
    assert found.directory == LE
    assert found.account
    assert (found.account.key, found.account.contact) == (key, "me@x.example")
    assert reading.troubles == [f"{held / 'issuer.json'} is no JSON"]


def test_dehydrated_s_config_is_data(tmp_path: Path) -> None:
    state, mark = tmp_path / "state", tmp_path / "executed"
    write(
        tmp_path / "config",
        f'CONFIG_D={tmp_path}/conf.d\nBASEDIR={state}\nCERTDIR="${{BASEDIR}}/certs"\n'
        f"HOOK=`touch {mark}`\nACCOUNTDIR=$(touch {mark})\n",
    )
    write(tmp_path / "conf.d/more.sh", "CA=zerossl # theirs\nCONTACT_EMAIL='x@y.example'\n")
    for part in ("fullchain", "privkey"):
        write(state / "certs/a.example" / f"{part}.pem")
    named = urlsafe_b64encode(f"{ZERO}\n".encode()).decode().rstrip("=")
    key = write(state / f"accounts/{named}/account_key.pem")
    (found,) = dehydrated.find(tmp_path, ClientFiles()).lineages
    assert found.directory == ZERO
    assert found.account
    assert (found.account.key, found.account.contact) == (key, "x@y.example")
    assert found.hooks == ()
    assert not mark.exists()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("/a/b", "/a/b"),
        ("$A/b", "/x/b"),
        ("${A}b", "/xb"),
        ("${A:-y}", None),
        ("$(id)", None),
        ("`id`", None),
        ("$NO/b", None),
        ("a\\b", None),
    ],
)
def test_a_value_of_a_shell_is_taken_where_nothing_is_executed(
    written: str, value: str | None
) -> None:
    assert expand_variables(written, {"A": "/x"}) == value


def test_values_of_a_shell_are_bounded(tmp_path: Path) -> None:
    doubled = "A=" + "x" * 100 + "\n" + 'A="$A$A"\n' * 40 + "B=" + "y" * 5000 + "\nC=c\n"
    many = "".join(f'V{number}="$C"\n' for number in range(MOST_VARIABLES))
    found = (reading := ClientFiles()).variables(write(tmp_path / "config", doubled + many))
    assert "A" not in found
    assert "B" not in found
    assert found["C"] == "c"
    assert len(found) == MOST_VARIABLES
    assert "variables" in reading.troubles[0]
    assert expand_variables("$A" * 100_000, {"A": "x" * 4000}) is None


def test_acme_sh_tells_both_kinds_of_certificates_and_the_account(tmp_path: Path) -> None:
    write(tmp_path / "account.conf", "ACCOUNT_EMAIL='x@y.example'\n")
    key = write(tmp_path / "ca/acme.zerossl.com/v2/DV90/account.key")
    write(key.with_name("ca.conf"), "CA_EMAIL='x@y.example'\n")
    for folder in ("a.example", "a.example_ecc"):
        for part in ("fullchain.cer", "a.example.key"):
            write(tmp_path / folder / part)
        reload = b64encode(b"systemctl reload nginx").decode()
        write(
            tmp_path / folder / "a.example.conf",
            f"Le_Domain='a.example'\nLe_Alt='no'\nLe_Webroot='/var/www'\nLe_API='{ZERO}'\n"
            f"Le_ReloadCmd='__ACME_BASE64__START_{reload}__ACME_BASE64__END_'\n",
        )
    first, second = acme_sh.find(tmp_path, ClientFiles()).lineages
    assert first.stop == f"{tmp_path}/acme.sh --remove -d a.example"
    assert second.stop == f"{tmp_path}/acme.sh --remove -d a.example --ecc"
    assert second.certificate == tmp_path / "a.example_ecc/fullchain.cer"
    assert first.webroots == ("/var/www",)
    assert first.hooks == ("Le_ReloadCmd=systemctl reload nginx",)
    assert first.account
    assert (first.account.key, first.account.contact) == (key, "x@y.example")


def test_what_is_another_user_s_is_not_to_be_run_as_root(tmp_path: Path) -> None:
    write(tmp_path / "account.conf")
    write(tmp_path / "a.example/a.example.conf", "Le_Domain='a.example'\n")
    write(tmp_path / "a.example/fullchain.cer")
    write(tmp_path / "a.example/a.example.key")
    for owner, begins in ((0, f"{tmp_path}/acme.sh"), (1000, "# not as root")):
        os.chown(tmp_path, owner, -1)
        (found,) = acme_sh.find(tmp_path, ClientFiles()).lineages
        assert found.stop.startswith(begins)


def test_mod_md_tells_domains_and_that_its_accounts_are_encrypted(tmp_path: Path) -> None:
    place = tmp_path / "domains/a.example"
    write(place / "md.json", json.dumps({"name": "a.example", "ca": {"urls": [LE]}}))
    write(place / "pubcert.secp256r1.pem")
    write(place / "privkey.secp256r1.pem")
    write(tmp_path / "accounts/ACME-x-0000/account.pem")
    (found,) = mod_md.find(tmp_path, reading := ClientFiles()).lineages
    assert found.certificate == place / "pubcert.secp256r1.pem"
    assert found.directory == LE
    (trouble,) = reading.troubles
    assert "encrypts" in trouble


@pytest.mark.parametrize("client", [certbot, lego, dehydrated, acme_sh, mod_md])
def test_a_folder_of_somebody_else_has_nothing(tmp_path: Path, client: object) -> None:
    write(tmp_path / "etc/passwd")
    assert client.find(tmp_path, reading := ClientFiles()).lineages == ()  # type: ignore[attr-defined]
    assert not reading.troubles


def test_names_of_the_greatest_length_harm_nothing(tmp_path: Path) -> None:
    long = "x" * 255
    write(tmp_path / "account.conf")
    for place in (long, f"domains/{long}", f"certificates/{long}", f"accounts/{long}/{long}"):
        (tmp_path / place).mkdir(parents=True)
    for place in (f"certificates/{'y' * 250}.json", f"renewal/{'y' * 250}.conf"):
        write(tmp_path / place, '{"domain": "a"}')
    for client in (certbot, lego, dehydrated, acme_sh, mod_md):
        assert client.find(tmp_path, ClientFiles()).lineages == ()


@pytest.mark.parametrize(
    ("said", "challenge"),
    [
        ({"authenticator": "dns-rfc2136"}, DNS),
        ({"authenticator": "certbot-dns-inwx:dns-inwx"}, DNS),
        ({"authenticator": "manual", "pref_challs": "dns-01,"}, DNS),
        ({"authenticator": "standalone"}, STANDALONE),
        ({"authenticator": "nginx"}, ""),
    ],
)
def test_certbot_tells_by_which_challenge_a_lineage_is_proven(
    tmp_path: Path, said: dict[str, str], challenge: str
) -> None:
    renewal(tmp_path, "a.example", **said)
    (found,) = certbot.find(tmp_path, ClientFiles()).lineages
    assert found.challenge == challenge


@pytest.mark.parametrize(
    ("way", "challenge"),
    [("dns_cf", DNS), ("/var/www,dns_cf", DNS), ("no", STANDALONE), ("/var/www", "")],
)
def test_acme_sh_tells_by_which_challenge_a_certificate_is_proven(
    tmp_path: Path, way: str, challenge: str
) -> None:
    write(tmp_path / "account.conf")
    for name in ("a.example.conf", "fullchain.cer", "a.example.key"):
        write(tmp_path / "a.example" / name, f"Le_Domain='a.example'\nLe_Webroot='{way}'\n")
    (found,) = acme_sh.find(tmp_path, ClientFiles()).lineages
    assert found.challenge == challenge


def test_dehydrated_and_mod_md_tell_what_is_proven_by_dns(tmp_path: Path) -> None:
    write(tmp_path / "config", "CHALLENGETYPE=dns-01\n")
    place = tmp_path / "certs/a.example"
    for name in ("fullchain.pem", "privkey.pem"):
        write(place / name)
    (found,) = dehydrated.find(tmp_path, ClientFiles()).lineages
    assert found.challenge == DNS
    place = tmp_path / "domains/a.example"
    for name in ("pubcert.pem", "privkey.pem"):
        write(place / name)
    write(place / "md.json", json.dumps({"ca": {"urls": [LE], "challenges": [DNS]}}))
    (found,) = mod_md.find(tmp_path, ClientFiles()).lineages
    assert found.challenge == DNS
