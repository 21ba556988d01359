"""`proxygen import` makes nothing worse: what is trusted, protected and renewed stays so."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxygen.importing.finding import lineages
from proxygen.model.layout import Layout
from tests import certificates
from tests.commands.test_import import (
    DAY,
    LE,
    NOW,
    PASSED,
    ROOT,
    domains,
    imported,
    lineage,
    served,
    site,
    text,
)
from tests.importing.test_clients import write
from tests.live.machine import command, environment, proxygen

STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
OTHER_ROOT = certificates.root()
TIMER = "usr/lib/systemd/system/certbot.timer"
DISABLED = "systemctl disable --now certbot.timer"


def main(root: Path) -> dict[str, Any]:
    """Return what the model file says."""
    found = yaml.safe_load((root / "etc/proxygen/proxygen.yaml").read_text())
    assert isinstance(found, dict)
    return found


def validated(root: Path) -> None:
    """See that the model is right."""
    run = proxygen(root, root / "etc/proxygen/proxygen.yaml", "validate")
    assert run.returncode == 0, run.stdout + run.stderr


def trusted(root: Path) -> None:
    """Have the tests' CA known to this system."""
    (root / "trusted.pem").write_bytes(ROOT.pair().fullchain)


def staging(root: Path, *names: str, days: float = 60, name: str = "") -> Path:
    """Make a lineage of the staging authority, whose CA nobody knows."""
    path = lineage(root, *names, days=days, name=name)
    pair = certificates.leaf(OTHER_ROOT, *names, end=NOW + days * DAY, start=NOW - DAY).pair()
    live = root / "etc/letsencrypt/live" / (name or names[0])
    (live / "fullchain.pem").write_bytes(pair.fullchain)
    (live / "privkey.pem").write_bytes(pair.key)
    path.write_text(path.read_text().replace(LE, STAGING))
    return path


def mail(root: Path, **parameters: object) -> None:
    """Have postfix present a certificate."""
    write(root / "etc/postfix/master.cf", "smtp inet n - n - - smtpd\n")
    said = "".join(f"smtpd_tls_{name} = {value}\n" for name, value in parameters.items())
    write(
        root / "etc/postfix/main.cf",
        "compatibility_level = 3.6\nmyhostname = host.corp.example.net\n"
        f"queue_directory = {root}/q\n"
        f"smtpd_tls_security_level = may\n{said}",
    )


# What is served now stays, or becomes better.


@pytest.mark.parametrize("is_served", [True, False])
def test_a_trusted_certificate_comes_before_one_that_lasts_longer(
    tmp_path: Path, is_served: bool
) -> None:
    trusted(tmp_path)
    lineage(tmp_path, "www.a.example", days=20)
    staging(tmp_path, "www.a.example", days=80, name="www.a.example-0001")
    site(tmp_path, "www.a.example", PASSED, "www.a.example" if is_served else "www.a.example-0001")
    imported(tmp_path)
    adopt = domains(tmp_path)["a.example"]["adopt"]["certificate"]
    assert adopt.endswith("live/www.a.example/fullchain.pem")
    assert main(tmp_path)["acme"]["directory"] == "letsencrypt"


def test_of_two_that_are_trusted_the_one_that_nginx_serves_is_adopted(tmp_path: Path) -> None:
    trusted(tmp_path)
    lineage(tmp_path, "www.a.example", days=20)
    lineage(tmp_path, "www.a.example", days=80, name="other")
    site(tmp_path, "www.a.example", PASSED)
    imported(tmp_path)
    assert "live/www.a.example/" in domains(tmp_path)["a.example"]["adopt"]["key"]


def test_the_chain_comes_along_where_a_service_presents_the_leaf_alone(tmp_path: Path) -> None:
    trusted(tmp_path)
    path = lineage(tmp_path, "mail.example.net")
    between = certificates.intermediate(ROOT)
    leaf = certificates.leaf(between, "mail.example.net", end=NOW + 60 * DAY, start=NOW - DAY)
    live = tmp_path / "etc/letsencrypt/live/mail.example.net"
    (live / "fullchain.pem").write_bytes(leaf.pair(between).fullchain)
    (live / "cert.pem").write_bytes(leaf.pair().fullchain)
    (live / "privkey.pem").write_bytes(leaf.pair().key)
    mail(tmp_path, cert_file=live / "cert.pem", key_file=live / "privkey.pem")
    imported(tmp_path, url="")
    found = main(tmp_path)["global"]
    assert found["adopt"]["certificate"] == str(live / "fullchain.pem")
    assert f"# certbot: {path}" in (tmp_path / "etc/proxygen/proxygen.yaml").read_text()


def test_files_of_a_chain_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    one = certificates.intermediate(ROOT)
    two = certificates.intermediate(one)
    leaf = certificates.leaf(two, "mail.example.net", end=NOW + 60 * DAY, start=NOW - DAY)
    folder = tmp_path / "etc/ssl"
    write(folder / "leaf").write_bytes(leaf.pair().fullchain)
    write(folder / "secret").write_bytes(leaf.pair().key)
    write(folder / "more").write_bytes(two.pair(one).fullchain)
    mail(tmp_path, chain_files=" ".join(f"{folder}/{name}" for name in ("secret", "leaf", "more")))
    imported(tmp_path, "--agree-to-terms", url="")
    assert main(tmp_path)["global"]["certificate"]["file"] == {
        "certificate": f"{folder}/leaf",
        "key": f"{folder}/secret",
        "chain": f"{folder}/more",
    }
    validated(tmp_path)


def test_a_self_signed_certificate_serves_until_the_first_real_one_is_there(
    tmp_path: Path,
) -> None:
    alone = certificates.leaf(None, "mail.example.net", end=NOW + 60 * DAY, start=NOW - DAY)
    folder = tmp_path / "etc/ssl"
    write(folder / "own.pem").write_bytes(alone.pair().fullchain)
    write(folder / "own.key").write_bytes(alone.pair().key)
    mail(tmp_path, cert_file=folder / "own.pem", key_file=folder / "own.key")
    imported(tmp_path, "--agree-to-terms", url="")
    found = main(tmp_path)["global"]
    assert found["certificate"] == "acme"
    assert found["adopt"]["certificate"] == f"{folder}/own.pem"
    validated(tmp_path)


def test_a_url_that_the_presented_certificate_lacks_gets_its_names_as_well(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.old.example")
    live = tmp_path / "etc/letsencrypt/live/mail.old.example"
    mail(tmp_path, cert_file=live / "fullchain.pem", key_file=live / "privkey.pem")
    imported(tmp_path, "--agree-to-terms", url="mail.new.example")
    found = main(tmp_path)["global"]
    assert found["url"] == "https://mail.new.example"
    assert found["extra_names"] == ["mail.old.example"]
    assert found["adopt"]["key"] == f"{live}/privkey.pem"
    validated(tmp_path)  # it judges as `apply` does, which adopts it


def test_a_bought_certificate_that_nginx_serves_is_not_replaced_by_a_lineage(
    tmp_path: Path,
) -> None:
    trusted(tmp_path)
    staging(tmp_path, "www.a.example")
    pair = certificates.leaf(ROOT, "www.a.example", end=NOW + 60 * DAY, start=NOW - DAY).pair()
    live = tmp_path / "etc/letsencrypt/live/bought"
    write(live / "fullchain.pem").write_bytes(pair.fullchain)
    write(live / "privkey.pem").write_bytes(pair.key)
    site(tmp_path, "www.a.example", PASSED, "bought")
    imported(tmp_path)
    fields = domains(tmp_path)["a.example"]
    assert fields["certificate"]["file"]["key"] == f"{live}/privkey.pem"


# The authority and its account.


def test_lineages_of_another_authority_stay_with_their_client(tmp_path: Path) -> None:
    for name in ("www.s.example", "www.t.example", "www.u.example"):
        staging(tmp_path, name)
        site(tmp_path, name, PASSED)
    served(tmp_path, "www.a.example")
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms")
    assert main(tmp_path)["acme"]["directory"] == "letsencrypt"
    assert set(domains(tmp_path)) == {"a.example"}
    assert f"another authority than the model has: {STAGING}" in text(tmp_path, "s.example")
    assert DISABLED not in said


def jwk() -> str:
    """Return a key of an account as certbot keeps it."""
    numbers = certificates.ec_key().private_numbers()
    public = numbers.public_numbers
    parts = {"d": numbers.private_value, "x": public.x, "y": public.y}
    words = {
        name: urlsafe_b64encode(value.to_bytes(32, "big")).decode().rstrip("=")
        for name, value in parts.items()
    }
    return json.dumps({"kty": "EC", "crv": "P-256", **words})


def test_the_account_is_that_of_most_good_lineages(tmp_path: Path) -> None:
    for name, account, days in (
        ("aa.example", "dead", -5),
        ("www.b.example", "alive", 60),
        ("www.c.example", "alive", 60),
    ):
        path = lineage(tmp_path, name, days=days)
        path.write_text(path.read_text().replace("account = abc", f"account = {account}"))
        folder = tmp_path / "etc/letsencrypt/accounts/acme-v02.api.letsencrypt.org/directory"
        write(folder / account / "private_key.json", jwk())
    imported(tmp_path)
    assert main(tmp_path)["acme"]["account"]["key"].endswith("/alive/private_key.json")


def of_lego(root: Path, name: str) -> None:
    """Make what lego has of a certificate of ZeroSSL's."""
    base = root / "etc/lego"
    pair = certificates.leaf(ROOT, name, end=NOW + DAY * 60, start=NOW - DAY).pair()
    write(base / f"certificates/{name}.crt").write_bytes(pair.fullchain)
    write(base / f"certificates/{name}.key").write_bytes(pair.key)
    noted = {"domain": name, "certUrl": "https://acme.zerossl.com/v2/DV90/cert/x"}
    write(base / f"certificates/{name}.json", json.dumps(noted))
    account = base / "accounts/acme.zerossl.com/me@a.example"
    write(account / "account.json", json.dumps({"email": "me@a.example"}))
    key = write(account / "keys/me@a.example.key")
    key.write_bytes(certificates.key_pem(certificates.ec_key()))


def test_the_host_of_an_authority_is_no_directory(tmp_path: Path) -> None:
    of_lego(tmp_path, "www.a.example")
    site(tmp_path, "www.a.example", PASSED)
    imported(tmp_path, "--agree-to-terms")
    assert main(tmp_path)["acme"]["directory"] == "letsencrypt"
    assert "account" not in main(tmp_path)["acme"]
    assert "give --directory" in text(tmp_path, "a.example")
    validated(tmp_path)


def test_the_directory_is_asked_for_where_the_global_url_needs_it(tmp_path: Path) -> None:
    of_lego(tmp_path, "mail.example.net")
    config = tmp_path / "etc/proxygen/proxygen.yaml"
    given = ("import", "--url", "mail.example.net")
    run = proxygen(tmp_path, config, *given)
    assert run.returncode == 2
    assert "--directory URL" in run.stderr
    assert not config.exists()
    run = proxygen(tmp_path, config, *given, "--directory", "https://acme.zerossl.com/v2/DV90")
    assert run.returncode == 0
    assert main(tmp_path)["acme"]["account"]["key"].endswith("keys/me@a.example.key")


# What is told to be switched off.


def test_a_lineage_with_a_name_that_stays_is_left_whole_to_its_client(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example", "static.a.example")
    site(tmp_path, "static.a.example", "root /var/www;", "www.a.example")
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "certbot renews it together with static.a.example" in text(tmp_path, "www.a.example")
    assert f"mv {path}" not in said
    assert DISABLED not in said
    assert "certbot goes on with www.a.example" in said


def test_a_lineage_of_which_a_part_is_brought_by_its_client_goes_on(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example", "*.a.example", "b.example")
    site(tmp_path, "b.example", PASSED.replace("10.0.0.1", "10.0.0.2"), "www.a.example")
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path)["a.example"]["certificate"] == "hook"
    assert domains(tmp_path)["b.example"]["certificate"] == "acme"
    assert f"mv {path}" not in said
    assert DISABLED not in said
    assert "cannot renew www.a.example by http-01 any more" in said


def test_what_the_global_url_takes_from_a_lineage_that_goes_on_is_told(tmp_path: Path) -> None:
    path = served(tmp_path, "mail.example.net", "static.example.net")
    site(tmp_path, "static.example.net", "root /var/www;", "mail.example.net")
    said = imported(tmp_path, "--agree-to-terms")
    assert f"mv {path}" not in said
    assert "proxygen answers challenges for mail.example.net" in said


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_text(path.read_text() + "#" * 300_000), id="large"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"# \xe9\n"), id="latin-1"),
        pytest.param(lambda path: path.write_text("fullchain = /nowhere\n"), id="gone"),
    ],
)
def test_a_client_of_which_something_cannot_be_read_goes_on(tmp_path: Path, spoil: Any) -> None:
    path = served(tmp_path, "www.a.example")
    spoil(served(tmp_path, "www.b.example"))
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms")
    assert f"mv {path} {path}.off" in said
    assert DISABLED not in said
    assert "certbot may have more than could be read" in said


def test_a_file_that_does_not_have_the_domain_leaves_it_to_its_client(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example")
    imported(tmp_path, "--agree-to-terms")
    (tmp_path / "etc/proxygen/domains.d/a.example.yaml").write_text("domains: {}\n")
    write(tmp_path / TIMER)
    said = imported(tmp_path)
    assert f"mv {path}" not in said
    assert DISABLED not in said


def test_a_second_run_says_the_same(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example")
    write(tmp_path / TIMER)
    for given in (("--agree-to-terms",), ()):
        said = imported(tmp_path, *given)
        assert f"mv {path} {path}.off" in said
        assert DISABLED in said
        assert "goes on" not in said


def test_while_the_model_is_not_right_nothing_is_told_to_be_switched_off(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example")
    said = imported(tmp_path)
    assert f"mv {path}" not in said
    assert "run `proxygen import` again" in said
    config = tmp_path / "etc/proxygen/proxygen.yaml"
    config.write_text(config.read_text().replace("agreed: false", "agreed: true"))
    assert f"mv {path}" in imported(tmp_path)


# What nginx does for a site.


def test_sites_with_different_rules_have_different_backends(tmp_path: Path) -> None:
    host = "proxy_set_header Host intranet.corp.example;"
    rules = ("", "client_max_body_size 5m;", "proxy_buffering off;", host, "")
    for number, more in enumerate(rules):
        inner = f"location / {{ {more} proxy_pass http://10.0.0.1:8080; }}"
        served(tmp_path, f"www.a{number}.example", inner=inner)
    imported(tmp_path, "--agree-to-terms")
    found = domains(tmp_path)
    assert len(found) == len(rules)
    assert found["a0.example"]["backend"] == found["a4.example"]["backend"]
    assert len({fields["backend"] for fields in found.values()}) == len(rules) - 1
    asked = main(tmp_path)["backends"][found["a3.example"]["backend"]]["locations"]["/"]
    assert asked["host"] == "intranet.corp.example"
    validated(tmp_path)


def test_a_protected_site_stays_as_it_is(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example", inner="auth_pam Secure; " + PASSED)
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "auth_pam (" in text(tmp_path, "a.example")


@pytest.mark.parametrize(
    "inner",
    [
        PASSED + " location = / { proxy_pass http://10.0.0.1:8080; }",
        "location / { proxy_pass http://10.0.0.1:8080; proxy_read_timeout 30d; }",
    ],
)
def test_what_would_make_the_model_wrong_is_a_comment(tmp_path: Path, inner: str) -> None:
    served(tmp_path, "www.a.example", inner=inner)
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    validated(tmp_path)


def test_values_of_http_count_for_a_site(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    path = tmp_path / "etc/nginx/nginx.conf"
    more = "http {\nclient_max_body_size 2g; proxy_read_timeout 900;\n"
    path.write_text(path.read_text().replace("http {", more))
    imported(tmp_path, "--agree-to-terms")
    (backend,) = main(tmp_path)["backends"].values()
    assert backend["locations"]["/"] == {
        "upstream": "web",
        "body_size": "2g",
        "read_timeout": 900,
    }
    validated(tmp_path)


def test_a_name_that_nginx_serves_by_http_alone_stays(tmp_path: Path) -> None:
    path = lineage(tmp_path, "xmpp.b.example")
    served(tmp_path, "www.a.example", "xmpp.c.example")
    plain = "server {{ listen 80; server_name {}; root /var/www/x; }}\n"
    names = ("xmpp.b.example", "xmpp.c.example")
    away = "server { listen 80; server_name d.example; return 301 https://www.d.example; }\n"
    write(tmp_path / "etc/nginx/conf.d/x.conf", "".join(map(plain.format, names)) + away)
    served(tmp_path, "www.d.example", "d.example")
    said = imported(tmp_path, "--agree-to-terms")
    assert set(domains(tmp_path)) == {"d.example"}
    assert "nginx serves it by HTTP alone" in text(tmp_path, "b.example")
    assert f"mv {path}" not in said


def listens(root: Path, name: str, listen: str) -> None:
    """Have a site listen elsewhere."""
    path = root / f"etc/nginx/conf.d/{name}.conf"
    path.write_text(path.read_text().replace("listen 443 ssl;", listen))


def test_a_site_that_listens_elsewhere_stays_and_443_comes_first(tmp_path: Path) -> None:
    for name in ("admin.c.example", "www.a.example", "shop.b.example"):
        served(tmp_path, name)
    for name in ("www.a.example", "shop.b.example"):
        listens(tmp_path, name, "listen 127.0.0.2:9443 ssl; listen 127.0.0.2:443 ssl;")
    listens(tmp_path, "admin.c.example", "listen 127.0.0.1:9443 ssl;")
    imported(tmp_path, "--agree-to-terms")
    assert set(domains(tmp_path)) == {"a.example", "b.example"}
    listen = main(tmp_path)["services"]["nginx"]["listen"]
    assert listen == {"https": ["127.0.0.2:443", "127.0.0.2:9443"]}
    assert "it listens on 127.0.0.1:9443" in text(tmp_path, "c.example")
    validated(tmp_path)


def test_sockets_behind_a_proxy_protocol_are_not_taken_for_others(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    listens(tmp_path, "www.a.example", "listen 127.0.0.1:8443 ssl proxy_protocol; listen 443 ssl;")
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "services" not in main(tmp_path)
    assert "proxy_protocol" in text(tmp_path, "a.example")


def test_what_stands_behind_another_server_is_not_listened_on(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example", inner=PASSED.replace("10.0.0.1:8080", "127.0.0.1:6081"))
    inner = "server {{ listen {}; server_name www.a.example; {} }}\n"
    write(
        tmp_path / "etc/nginx/conf.d/y.conf",
        inner.format("127.0.0.1:8080", "root /var/www;")
        + inner.format("127.0.0.2:80", "return 301 https://$host$request_uri;"),
    )
    imported(tmp_path, "--agree-to-terms")
    assert set(domains(tmp_path)) == {"a.example"}
    assert main(tmp_path)["services"]["nginx"]["listen"] == {"http": ["127.0.0.2:80"]}


def test_a_name_that_is_served_on_two_ports_by_two_server_blocks_stays(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example")
    site(tmp_path, "www.a.example:8443", PASSED, "www.a.example")
    other = tmp_path / "etc/nginx/conf.d/www.a.example:8443.conf"
    written = other.read_text().replace("www.a.example:8443;", "www.a.example;")
    other.write_text(written.replace("listen 443", "listen 8443"))
    said = imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert f"mv {path}" not in said


def test_a_certificate_that_a_site_that_stays_presents_goes_on(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example")
    site(tmp_path, "old.a.example", "root /var/www;", "www.a.example")
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms")
    assert "a.example" in domains(tmp_path) or "www.a.example" in domains(tmp_path)
    assert f"mv {path}" not in said
    assert DISABLED not in said


def test_a_self_signed_certificate_of_a_site_stays(tmp_path: Path) -> None:
    alone = certificates.leaf(None, "www.a.example", end=NOW + 60 * DAY, start=NOW - DAY)
    live = tmp_path / "etc/letsencrypt/live/own"
    write(live / "fullchain.pem").write_bytes(alone.pair().fullchain)
    write(live / "privkey.pem").write_bytes(alone.pair().key)
    site(tmp_path, "www.a.example", PASSED, "own")
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "self-signed" in text(tmp_path, "a.example")


def test_names_for_which_mail_services_present_other_certificates_are_the_global_one_s(
    tmp_path: Path,
) -> None:
    for name in ("mail.example.net", "smtp.example.net"):
        lineage(tmp_path, name)
    live = tmp_path / "etc/letsencrypt/live"
    mail(
        tmp_path,
        chain_files=" ".join(
            f"{live}/{name}/{part}.pem"
            for name in ("mail.example.net", "smtp.example.net")
            for part in ("privkey", "fullchain")
        ),
    )
    said = imported(tmp_path, "--agree-to-terms", url="")
    found = main(tmp_path)["global"]
    names = {found["url"].removeprefix("https://"), *found["extra_names"]}
    assert names == {"mail.example.net", "smtp.example.net"}
    assert "postfix is left out of `services:`" in said
    assert "postfix" not in main(tmp_path)["services"]
    validated(tmp_path)


# A model that is there.


def test_a_domain_of_the_model_without_a_url_is_not_written_again(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.example.net")
    imported(tmp_path, "--agree-to-terms")
    path = tmp_path / "etc/proxygen/proxygen.yaml"
    path.write_text(path.read_text() + "domains: {c.example: , d.example: , www.d.example: }\n")
    served(tmp_path, "www.c.example")
    served(tmp_path, "www.d.example")
    said = imported(tmp_path)
    assert "the model has www.d.example, without this URL" in said
    validated(tmp_path)
    assert "c.example.yaml" in said
    assert (tmp_path / "etc/proxygen/domains.d/www.c.example.yaml").exists()


def test_while_a_file_is_set_aside_nothing_is_written(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    imported(tmp_path, "--agree-to-terms")
    folder = tmp_path / "etc/proxygen/domains.d"
    mine = (folder / "a.example.yaml").rename(folder / "mine.yaml")
    mine.write_text(mine.read_text() + "    oops: 1\n")
    before = sorted(folder.iterdir())
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "import")
    assert run.returncode == 2
    assert f"{mine}:" in run.stderr
    assert sorted(folder.iterdir()) == before


def test_a_backend_of_the_model_is_taken_only_where_it_is_the_same(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    imported(tmp_path, "--agree-to-terms")
    path = tmp_path / "etc/proxygen/proxygen.yaml"
    path.write_text(path.read_text().replace("to-www-a-example:", "to-www-b-example:"))
    mine = tmp_path / "etc/proxygen/domains.d/a.example.yaml"
    mine.write_text(mine.read_text().replace("to-www-a-example", "to-www-b-example"))
    served(tmp_path, "www.b.example", inner=PASSED.replace("10.0.0.1", "10.0.0.2"))
    served(tmp_path, "www.c.example")
    said = imported(tmp_path)
    assert domains(tmp_path)["c.example"]["backend"] == "to-www-b-example"
    assert "b.example" not in domains(tmp_path)
    assert "to-www-b-example-2:" in said
    validated(tmp_path)


# What others wrote.


def test_a_path_with_any_character_can_stand_in_the_model(tmp_path: Path) -> None:
    site(tmp_path, "www.a.example", PASSED, "w\U0001f600é")
    lineage(tmp_path, "www.a.example", name="w\U0001f600é")
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path)["a.example"]["adopt"]["key"].endswith("w\U0001f600é/privkey.pem")
    validated(tmp_path)


@contextmanager
def nobody() -> Iterator[None]:
    """Be an ordinary user for a block."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_ordinary_user_is_told_what_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "root/.acme.sh/account.conf")
    write(tmp_path / "etc/letsencrypt/renewal/a.conf")
    for path in (tmp_path / "root", tmp_path / "etc/letsencrypt"):
        path.chmod(0o700)
    tmp_path.chmod(0o755)
    for above in tmp_path.parents[:2]:
        above.chmod(0o755)
    with nobody():
        found = lineages(Layout(tmp_path, tmp_path / "proxygen.yaml"), ())
    assert not found.lineages
    assert {"acme.sh", "certbot"} <= found.unsure
    assert any("Permission denied" in each for each in found.troubles)


def test_what_can_be_no_path_is_told(tmp_path: Path) -> None:
    write(tmp_path / "etc/dehydrated/config", 'BASEDIR="/x\0y"\n')
    said = imported(tmp_path)
    assert "dehydrated" in said or "null" in said
    assert "Traceback" not in said


def test_values_that_double_themselves_come_to_an_end(tmp_path: Path) -> None:
    bomb = 'A="%s"\n' % ("x" * 100) + 'A="$A$A"\n' * 30
    more = 'B="' + "$A" * 50_000 + '"\n' + "".join(f'V{n}="$A$A"\n' for n in range(9_000))
    write(tmp_path / "etc/dehydrated/config", bomb + more)
    config = tmp_path / "etc/proxygen/proxygen.yaml"
    limit = f'ulimit -v {1536 * 1024}; exec "$@"'
    run = subprocess.run(
        ["sh", "-c", limit, "sh", *command(tmp_path, config, "import", "--url", "mail.a.example")],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
