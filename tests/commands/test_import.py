"""`proxygen import` on prepared folders: what is written, what is left, what is told."""

from __future__ import annotations

import os
import pty
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import certificates
from tests.importing.test_clients import renewal, write
from tests.live import forks
from tests.live.machine import command, environment, proxygen

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ROOT = certificates.root()
LE = "https://acme-v02.api.letsencrypt.org/directory"


def lineage(root: Path, *names: str, more: str = "", days: float = 60, name: str = "") -> Path:
    """Make what certbot has of a certificate; return its renewal file."""
    pair = certificates.leaf(ROOT, *names, end=NOW + days * DAY, start=NOW - 30 * DAY).pair()
    folder = root / "etc/letsencrypt"
    path = renewal(folder, name or names[0], more)
    live = folder / "live" / (name or names[0])
    (live / "fullchain.pem").write_bytes(pair.fullchain)
    (live / "privkey.pem").write_bytes(pair.key)
    return path


def site(root: Path, name: str, inner: str, live: str = "") -> None:
    """Have nginx serve a site with a certificate of certbot's."""
    place = root / "etc/letsencrypt/live" / (live or name)
    write(
        root / "etc/nginx/nginx.conf",
        f"events {{}}\nhttp {{\ninclude {root}/etc/nginx/conf.d/*.conf;\n}}\n",
    )
    write(
        root / f"etc/nginx/conf.d/{name}.conf",
        f"server {{ listen 443 ssl; server_name {name}; ssl_certificate {place}/fullchain.pem;"
        f" ssl_certificate_key {place}/privkey.pem;\n{inner}\n}}\n",
    )


PASSED = "location / { proxy_pass http://10.0.0.1:8080; }"


def imported(root: Path, *more: str, url: str = "mail.example.net") -> str:
    """Run the command; return what it said."""
    given = ("--url", url) if url else ()
    places = ("--root", str(root), "--config", str(root / "etc/proxygen/proxygen.yaml"))
    roots = environment(SSL_CERT_FILE=str(root / "trusted.pem"), SSL_CERT_DIR="/nowhere")
    run = forks.run((*places, "import", *given, *more), roots, 100)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def domains(root: Path) -> dict[str, Any]:
    """Return what the files of domains say."""
    files = sorted((root / "etc/proxygen/domains.d").glob("*.yaml"))
    found = [yaml.safe_load(path.read_text())["domains"] or {} for path in files]
    return {key: fields for each in found for key, fields in each.items()}


def text(root: Path, domain: str) -> str:
    """Return the file of a domain."""
    return (root / f"etc/proxygen/domains.d/{domain}.yaml").read_text()


def served(root: Path, *names: str, more: str = "", inner: str = PASSED) -> Path:
    """Make what certbot has of a site that nginx serves; return its renewal file."""
    site(root, names[0], inner)
    return lineage(root, *names, more=more)


def test_the_model_is_right_once_the_terms_are_agreed_to(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example", "a.example")
    lineage(tmp_path, "mail.example.net")
    said = imported(tmp_path, "--agree-to-terms", "--contact", "me@example.net")
    main = yaml.safe_load((tmp_path / "etc/proxygen/proxygen.yaml").read_text())
    assert main["global"]["url"] == "https://mail.example.net"
    assert main["global"]["adopt"]["key"].endswith("live/mail.example.net/privkey.pem")
    assert main["acme"]["directory"] == "letsencrypt"
    assert domains(tmp_path)["a.example"]["extra_names"] == ["a.example"]
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "validate")
    assert run.returncode == 0, run.stdout + run.stderr
    assert said.count("renewal/") == 4  # two files, each moved to another name
    path = tmp_path / "etc/letsencrypt/renewal/www.a.example.conf"
    assert f"mv {path} {path}.off" in said
    assert (tmp_path / "etc/proxygen/proxygen.yaml").stat().st_mode & 0o777 == 0o644


def test_without_agreement_validate_tells_what_is_still_to_be_said(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.example.net")
    imported(tmp_path)
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "validate")
    assert run.returncode == 3
    assert "terms_of_service_agreed" in run.stdout + run.stderr


def test_nothing_is_overwritten_and_a_second_run_writes_what_is_new(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    imported(tmp_path, "--agree-to-terms")
    path = tmp_path / "etc/proxygen/domains.d/a.example.yaml"
    path.write_text(path.read_text() + "  corrected.example: {}\n")
    main = (tmp_path / "etc/proxygen/proxygen.yaml").read_text()
    before = path.read_text()
    served(tmp_path, "www.b.example")
    said = imported(tmp_path)
    assert f"wrote {tmp_path}/etc/proxygen/domains.d/b.example.yaml" in said
    assert said.count("wrote") == 1
    assert path.read_text() == before
    assert (tmp_path / "etc/proxygen/proxygen.yaml").read_text() == main
    assert "nothing new was found" in imported(tmp_path)


def test_a_file_that_the_model_does_not_have_is_left_as_well(tmp_path: Path) -> None:
    lineage(tmp_path, "www.old.example", days=-5)
    imported(tmp_path, "--agree-to-terms")
    path = tmp_path / "etc/proxygen/domains.d/old.example.yaml"
    path.write_text(path.read_text() + "# corrected\n")
    said = imported(tmp_path)
    assert f"{path} is there already and stays as it is" in said
    assert path.read_text().endswith("# corrected\n")


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    lineage(tmp_path, "www.a.example")
    target = tmp_path / "target"
    path = tmp_path / "etc/proxygen/domains.d/a.example.yaml"
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    given = ("--url", "mail.example.net")
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "import", *given)
    assert path.is_symlink()
    assert not target.exists()
    assert "a.example.yaml" in run.stdout + run.stderr


def test_names_that_joined_a_lineage_are_told_not_written(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    imported(tmp_path, "--agree-to-terms")
    lineage(tmp_path, "www.a.example", "new.a.example")
    said = imported(tmp_path)
    assert "the model has www.a.example; certbot has it together with new.a.example" in said
    assert "wrote" not in said


def test_a_wildcard_stays_with_its_client_which_brings_it(tmp_path: Path) -> None:
    served(tmp_path, "a.example", "*.a.example")
    said = imported(tmp_path, "--agree-to-terms")
    fields = domains(tmp_path)["a.example"]
    assert fields["certificate"] == "hook"
    assert fields["extra_names"] == ["*.a.example"]
    assert "adopt" in fields
    assert "call `proxygen hook`" in said
    assert "mv " not in said
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "validate")
    assert run.returncode == 0, run.stdout + run.stderr


def test_what_is_not_good_is_told_and_not_adopted(tmp_path: Path) -> None:
    lineage(tmp_path, "www.old.example", days=-5)
    path = lineage(tmp_path, "www.b.example")
    key = tmp_path / "etc/letsencrypt/live/www.b.example/privkey.pem"
    key.write_bytes(certificates.leaf(ROOT, "x.example", end=NOW + DAY, start=NOW).pair().key)
    said = imported(tmp_path)
    assert "old.example" not in domains(tmp_path)
    assert "its certificate is not adopted" in text(tmp_path, "old.example")
    assert f"{path}:3: " in said
    assert not (tmp_path / "etc/proxygen/domains.d/b.example.yaml").exists()


def test_a_site_that_a_model_cannot_say_stays_as_it_is_with_its_client(tmp_path: Path) -> None:
    path = lineage(tmp_path, "www.php.example")
    lineage(tmp_path, "www.a.example")
    site(tmp_path, "www.php.example", "root /var/www; location ~ \\.php$ { }")
    site(tmp_path, "www.a.example", PASSED)
    write(tmp_path / "etc/systemd/system/certbot.timer")
    said = imported(tmp_path, "--agree-to-terms")
    assert set(domains(tmp_path)) == {"a.example"}
    assert "nginx serves this site otherwise than a model can say: location ~" in text(
        tmp_path, "php.example"
    )
    assert f"certbot goes on with www.php.example ({path}:3)" in said
    assert "certbot.timer" not in said


def test_names_that_nginx_serves_differently_become_domains_with_the_same_certificate(
    tmp_path: Path,
) -> None:
    lineage(tmp_path, "www.a.example", "shop.a.example", "a.example")
    site(tmp_path, "www.a.example", PASSED)
    site(tmp_path, "shop.a.example", PASSED.replace("10.0.0.1", "10.0.0.2"), "www.a.example")
    imported(tmp_path)
    found = domains(tmp_path)
    # nginx has no block for a.example: the default one serves it, which comes first.
    assert found["a.example"]["extra_names"] == ["shop.a.example"]
    assert found["a.example"]["adopt"] == found["www.a.example"]["adopt"]
    assert found["a.example"]["backend"] != found["www.a.example"]["backend"]


def test_a_certificate_that_no_client_renews_is_one_that_is_supplied(tmp_path: Path) -> None:
    pair = certificates.leaf(ROOT, "www.a.example", end=NOW + DAY * 60, start=NOW - DAY).pair()
    live = tmp_path / "etc/letsencrypt/live/www.a.example"
    write(live / "fullchain.pem").write_bytes(pair.fullchain)
    write(live / "privkey.pem").write_bytes(pair.key)
    site(tmp_path, "www.a.example", PASSED)
    said = imported(tmp_path)
    fields = domains(tmp_path)["a.example"]
    assert fields["certificate"] == {
        "file": {"certificate": f"{live}/fullchain.pem", "key": f"{live}/privkey.pem"}
    }
    assert "adopt" not in fields
    assert "after `proxygen apply`" not in said


def test_what_starts_a_client_of_which_nothing_is_left_is_told(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example", more="webroot_path = /var/www/html\n")
    write(tmp_path / "usr/lib/systemd/system/certbot.timer")
    write(tmp_path / "usr/lib/systemd/system/lego.timer")
    cron = write(tmp_path / "etc/cron.d/certbot", "# certbot\n0 3 * * * root certbot renew\n")
    said = imported(tmp_path, "--agree-to-terms")
    assert "systemctl disable --now certbot.timer" in said
    assert "lego.timer" not in said
    assert f"take out {cron}:2: 0 3 * * * root certbot renew" in said
    assert "challenges in /var/www/html will be answered 404" in said


def test_nothing_that_others_wrote_ends_a_comment_or_is_a_field(tmp_path: Path) -> None:
    more = (
        "renew_hook = x\u2028  certificate: selfsigned\x85y\x0b\x0cz\x1b[31m\n"
        "post_hook = curl https://user:hunter2secret@x.example/\n"
    )
    served(tmp_path, "www.a.example", more=more)
    said = imported(tmp_path, "--agree-to-terms")
    fields = domains(tmp_path)["a.example"]
    assert fields["certificate"] == "acme"
    assert "\x1b" not in said + text(tmp_path, "a.example")
    assert "hunter2secret" not in text(tmp_path, "a.example")
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "validate")
    assert run.returncode == 0, run.stdout + run.stderr


def test_without_a_url_it_is_told_what_to_give(tmp_path: Path) -> None:
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "import")
    assert run.returncode == 2
    assert "--url" in run.stderr
    assert not (tmp_path / "etc/proxygen").exists()


@pytest.mark.parametrize(
    "given", [("--directory", "ftp://x"), ("--contact", "nobody"), ("--url", "https://x.example/y")]
)
def test_a_wrong_option_writes_nothing(tmp_path: Path, given: tuple[str, str]) -> None:
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "import", *given)
    assert run.returncode == 2, run.stdout + run.stderr
    assert not (tmp_path / "etc/proxygen").exists()


INIT = (
    *("init", "--url", "mail.a.example", "--contact", "x@a.example", "--certificate", "selfsigned"),
    *("--application", "none"),
)


def test_init_tells_of_import_where_nobody_can_be_asked(tmp_path: Path) -> None:
    lineage(tmp_path, "www.a.example")
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", *INIT)
    assert run.returncode == 0
    assert "1 of certbot; `proxygen import` writes a model from them" in run.stderr
    assert (tmp_path / "etc/proxygen/proxygen.yaml").exists()


@pytest.mark.parametrize(("answer", "writes"), [("y", False), ("n", True)])
def test_init_offers_import_to_a_person(tmp_path: Path, answer: str, writes: bool) -> None:
    lineage(tmp_path, "www.a.example")
    config = tmp_path / "etc/proxygen/proxygen.yaml"
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    run = subprocess.run(
        command(tmp_path, config, *INIT),
        stdin=theirs,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert run.returncode == 0, run.stderr
    assert config.exists() is writes
    assert ("run `proxygen import`" in run.stdout) is not writes


@pytest.mark.parametrize(
    "names",
    ["*.a.example", ".a.example", "www.a.*", "~^www\\.a\\.example$", "other.a.example", "_"],
)
def test_a_name_that_nginx_serves_by_a_pattern_or_by_default_keeps_its_backend(
    tmp_path: Path, names: str
) -> None:
    lineage(tmp_path, "www.a.example", "other.a.example")
    site(tmp_path, "www.a.example", PASSED)
    path = tmp_path / "etc/nginx/conf.d/www.a.example.conf"
    path.write_text(path.read_text().replace("server_name www.a.example", f"server_name {names}"))
    imported(tmp_path)
    (fields,) = domains(tmp_path).values()
    assert fields["url"] == "https://www.a.example"
    assert fields["backend"]


def test_a_default_server_whose_certificate_is_for_others_serves_nobody_else(
    tmp_path: Path,
) -> None:
    lineage(tmp_path, "www.a.example")
    lineage(tmp_path, "www.b.example")
    site(tmp_path, "www.b.example", PASSED)
    imported(tmp_path)
    assert "no server block of nginx serves it by HTTPS" in text(tmp_path, "a.example")
    assert domains(tmp_path)["b.example"]["backend"]


def test_a_global_url_that_a_model_cannot_say_is_told_loudly(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.example.net")
    site(tmp_path, "mail.example.net", "root /var/www/roundcube;")
    said = imported(tmp_path)
    assert "its requests get 404 after `apply`" in said
    assert f"root ({tmp_path}/etc/nginx/conf.d/mail.example.net.conf:2)" in said
