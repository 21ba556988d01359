"""`proxygen import` on hosts that are set up otherwise than most."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests import certificates
from tests.commands.test_import import (
    DAY,
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
from tests.commands.test_import_safety import (
    DISABLED,
    TIMER,
    listens,
    mail,
    main,
    trusted,
    validated,
)
from tests.importing.test_clients import write
from tests.live.dovecot import VERSIONS_2_4, is_2_4
from tests.live.machine import proxygen
from tests.live.needs import path_of


def live(root: Path, name: str) -> Path:
    """Return the folder with the certificate of a lineage."""
    return root / "etc/letsencrypt/live" / name


def bought(root: Path, name: str, *names: str, days: int = 60, rsa: bool = False) -> Path:
    """Make a certificate that no client renews; return its folder."""
    ends = NOW + timedelta(days=days)
    key = certificates.rsa_key() if rsa else None
    pair = certificates.leaf(ROOT, *names, end=ends, start=NOW - DAY, key=key).pair()
    folder = root / "etc/ssl" / name
    write(folder / "fullchain.pem").write_bytes(pair.fullchain)
    write(folder / "privkey.pem").write_bytes(pair.key)
    return folder


def nginx(root: Path, text: str, name: str = "more") -> Path:
    """Give nginx a further file."""
    site(root, "unused.example", PASSED)
    (root / "etc/nginx/conf.d/unused.example.conf").unlink()
    return write(root / f"etc/nginx/conf.d/{name}.conf", text)


def dovecot(root: Path, *lines: str) -> None:
    """Configure dovecot, in the form that the one here reads."""
    text = "\n".join(("protocols = imap", "ssl = yes", *lines, ""))
    first = VERSIONS_2_4 if is_2_4(path_of("dovecot")) else ""
    write(root / "etc/dovecot/dovecot.conf", first + text)


def files(folder: Path) -> tuple[str, str]:
    """Return dovecot's settings for a certificate."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    if is_2_4(path_of("dovecot")):
        return f"ssl_server_cert_file = {certificate}", f"ssl_server_key_file = {key}"
    return f"ssl_cert = <{certificate}", f"ssl_key = <{key}"


# Mail services that show more than one certificate.


def test_a_mail_service_whose_clients_would_lose_by_it_is_left_out(tmp_path: Path) -> None:
    for name in ("mail.example.net", "imap.example.org"):
        lineage(tmp_path, name)
    write(tmp_path / TIMER)
    here = live(tmp_path, "mail.example.net")
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    dovecot(tmp_path, *files(live(tmp_path, "imap.example.org")))
    said = imported(tmp_path, "--agree-to-terms", url="mail.example.net")
    found = main(tmp_path)
    assert "imap.example.org" in found["global"]["extra_names"]
    assert set(found["services"]) == {"nginx", "postfix"}
    assert "dovecot is left out of `services:`" in said
    validated(tmp_path)
    assert "certbot goes on with imap.example.org" in said
    assert "dovecot shows it" in said
    assert DISABLED not in said
    assert "renewal/imap.example.org.conf.off" not in said
    assert "renewal/mail.example.net.conf.off" in said


def test_the_certificate_for_most_names_of_all_mail_services_is_the_global_one(
    tmp_path: Path,
) -> None:
    lineage(tmp_path, "mail.example.net", "imap.example.net")
    lineage(tmp_path, "imap.example.net", days=80)
    imap = live(tmp_path, "imap.example.net")
    mail(tmp_path, cert_file=imap / "fullchain.pem", key_file=imap / "privkey.pem")
    dovecot(tmp_path, *files(live(tmp_path, "mail.example.net")))
    imported(tmp_path, "--agree-to-terms", url="")
    found = main(tmp_path)
    assert found["global"]["url"] == "https://mail.example.net"
    assert "services" not in found


@pytest.mark.parametrize(
    "spoken", ["protocol imap {", "local_name imap.a.example {", "remote 10.0.0.0/8 {"]
)
def test_what_dovecot_goes_on_to_show_is_renewed_by_its_client(tmp_path: Path, spoken: str) -> None:
    for name in ("mail.example.net", "imap.a.example"):
        lineage(tmp_path, name, "smtp.example.net")
    here = live(tmp_path, "mail.example.net")
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    other = files(live(tmp_path, "imap.a.example"))
    dovecot(tmp_path, *files(here), spoken, *other, "}")
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms", url="mail.example.net")
    assert "services" not in main(tmp_path)
    assert "dovecot shows it" in said
    assert "renewal/imap.a.example.conf.off" not in said
    assert DISABLED not in said


def test_what_a_service_of_master_cf_goes_on_to_show_is_renewed_by_its_client(
    tmp_path: Path,
) -> None:
    for name in ("mail.example.net", "submission.example.net"):
        lineage(tmp_path, name)
    here, there = live(tmp_path, "mail.example.net"), live(tmp_path, "submission.example.net")
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    options = f"  -o {{ smtpd_tls_chain_files = {there}/privkey.pem, {there}/fullchain.pem }}\n"
    path = tmp_path / "etc/postfix/master.cf"
    path.write_text(path.read_text() + "submission inet n - n - - smtpd\n" + options)
    said = imported(tmp_path, "--agree-to-terms", url="mail.example.net")
    assert "services" not in main(tmp_path)
    assert "submission.example.net" in said
    assert "postfix shows it" in said
    assert "renewal/submission.example.net.conf.off" not in said


def test_a_pair_of_master_cf_that_ours_would_take_the_place_of_is_not_taken_from_its_clients(
    tmp_path: Path,
) -> None:
    for name in ("mail.example.net", "submission.example.net"):
        lineage(tmp_path, name)
    here, there = live(tmp_path, "mail.example.net"), live(tmp_path, "submission.example.net")
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    options = "".join(
        f"  -o smtpd_tls_{what}_file={there}/{name}.pem\n"
        for what, name in (("cert", "fullchain"), ("key", "privkey"))
    )
    path = tmp_path / "etc/postfix/master.cf"
    path.write_text(path.read_text() + "submission inet n - n - - smtpd\n" + options)
    said = imported(tmp_path, "--agree-to-terms", url="mail.example.net")
    assert "postfix" not in main(tmp_path)["services"]
    assert "postfix is left out of `services:`" in said
    assert "renewal/submission.example.net.conf.off" not in said


def test_certificates_that_postfix_chooses_by_sni_are_not_taken_from_its_clients(
    tmp_path: Path,
) -> None:
    for name in ("mail.example.net", "mail.a.example"):
        lineage(tmp_path, name)
    here, there = live(tmp_path, "mail.example.net"), live(tmp_path, "mail.a.example")
    table = write(
        tmp_path / "etc/postfix/sni", f"mail.a.example {there}/privkey.pem {there}/fullchain.pem\n"
    )
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    path = tmp_path / "etc/postfix/main.cf"
    path.write_text(path.read_text() + f"tls_server_sni_maps = texthash:{table}\n")
    said = imported(tmp_path, "--agree-to-terms", url="mail.example.net")
    assert "postfix" not in main(tmp_path)["services"]
    assert main(tmp_path)["global"]["extra_names"] == ["mail.a.example"]
    assert "postfix shows it for mail.a.example" in said
    validated(tmp_path)


def test_of_rsa_and_ecdsa_side_by_side_the_one_is_adopted_that_all_clients_can_do_with(
    tmp_path: Path,
) -> None:
    ec, rsa = (
        bought(tmp_path, kind, "mail.example.net", rsa=kind == "rsa") for kind in ("ec", "rsa")
    )
    chains = " ".join(
        f"{each}/{part}.pem" for each in (ec, rsa) for part in ("privkey", "fullchain")
    )
    mail(tmp_path, chain_files=chains)
    imported(tmp_path, "--agree-to-terms", url="")
    assert main(tmp_path)["global"]["certificate"]["file"]["key"] == f"{rsa}/privkey.pem"


# Who can prove its names here.


@pytest.mark.parametrize(
    "more",
    ["authenticator = dns-cloudflare\n", "authenticator = manual\npref_challs = dns-01,\n"],
)
def test_what_is_proven_by_dns_stays_with_its_client_which_brings_it(
    tmp_path: Path, more: str
) -> None:
    path = served(tmp_path, "www.a.example", more=more)
    write(tmp_path / TIMER)
    said = imported(tmp_path, "--agree-to-terms")
    fields = domains(tmp_path)["a.example"]
    assert fields["certificate"] == "hook"
    assert "adopt" in fields
    assert f"mv {path}" not in said
    assert DISABLED not in said
    assert "have certbot call `proxygen hook`" in said
    assert "cannot renew" not in said
    validated(tmp_path)


# Names and server blocks.


@pytest.mark.parametrize(
    "pattern", [r"~^\h*(?<who>.+)\.a\.example$", r"~^\Qwww.a.example\E$", "~^(" + "x" * 2000]
)
def test_a_site_whose_regular_expression_cannot_be_read_keeps_all_that_it_may_have(
    tmp_path: Path, pattern: str
) -> None:
    lineage(tmp_path, "www.a.example")
    here = live(tmp_path, "www.a.example")
    nginx(
        tmp_path,
        f'server {{ listen 443 ssl; server_name "{pattern}"; {PASSED}\n'
        f"ssl_certificate {here}/fullchain.pem; ssl_certificate_key {here}/privkey.pem; }}\n",
    )
    said = imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "server_name ~" in text(tmp_path, "a.example")
    assert "mv " not in said


@pytest.mark.parametrize(
    "block",
    [
        "server { server_name www.a.example; root /var/www; }",
        "server { listen 80; server_name *.a.example; root /var/www; }",
        "server { listen [::]:80; server_name ~^www; root /var/www; }",
        "server { listen 80; server_name .a.example; location / { proxy_pass http://x; } }",
    ],
)
def test_a_site_that_is_served_by_http_as_well_stays(tmp_path: Path, block: str) -> None:
    path = served(tmp_path, "www.a.example")
    write(tmp_path / "etc/nginx/conf.d/plain.conf", block)
    said = imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "by HTTP it serves something as well" in text(tmp_path, "a.example")
    assert f"mv {path}" not in said


def test_one_that_redirects_by_its_name_comes_before_a_pattern_that_serves(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    write(
        tmp_path / "etc/nginx/conf.d/plain.conf",
        "server { listen 80; server_name *.a.example; root /var/www; }\n"
        "server { listen 80; server_name www.a.example; return 301 https://$host$request_uri; }\n",
    )
    imported(tmp_path, "--agree-to-terms")
    assert set(domains(tmp_path)) == {"a.example"}


def test_names_that_the_first_site_serves_without_naming_them_come_along(tmp_path: Path) -> None:
    folder = bought(tmp_path, "a", "www.a.example", "a.example", "*.b.example")
    nginx(
        tmp_path,
        f"server {{ listen 443 ssl; server_name www.a.example; {PASSED}\n"
        f"ssl_certificate {folder}/fullchain.pem; ssl_certificate_key {folder}/privkey.pem; }}\n",
    )
    imported(tmp_path, "--agree-to-terms")
    (fields,) = domains(tmp_path).values()
    assert fields["url"] == "https://www.a.example"
    assert set(fields["extra_names"]) == {"a.example", "*.b.example"}
    validated(tmp_path)


def test_the_default_server_shows_its_certificate_still_which_is_told(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    listens(tmp_path, "www.a.example", "listen 443 ssl default_server;")
    said = imported(tmp_path, "--agree-to-terms")
    assert "take that server block away before it ends" in said


def test_a_wildcard_alone_is_told_to_go_on(tmp_path: Path) -> None:
    lineage(tmp_path, "*.a.example", name="a.example")
    said = imported(tmp_path)
    assert "certbot goes on with a.example" in said
    assert "can be no URL" in said


def test_a_certificate_of_http_that_all_sites_share(tmp_path: Path) -> None:
    lineage(tmp_path, "www.a.example", "www.b.example")
    here = live(tmp_path, "www.a.example")
    block = "server {{ listen [::]:443 ssl; server_name {}; {} }}\n"
    nginx(tmp_path, "".join(block.format(f"www.{x}.example", PASSED) for x in "ab"))
    path = tmp_path / "etc/nginx/nginx.conf"
    pair = f"ssl_certificate {here}/fullchain.pem; ssl_certificate_key {here}/privkey.pem;"
    path.write_text(path.read_text().replace("http {", "http {\n" + pair))
    imported(tmp_path, "--agree-to-terms")
    found = domains(tmp_path)
    assert set(found) == {"a.example", "b.example"}
    assert found["a.example"]["adopt"] == found["b.example"]["adopt"]
    assert found["a.example"]["backend"] == found["b.example"]["backend"]
    validated(tmp_path)


def test_sites_that_are_links_and_snippets_that_are_read_twice(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    folder = tmp_path / "etc/nginx"
    snippet = write(folder / "snippets/common.conf", "client_max_body_size 7m;\n")
    path = folder / "conf.d/www.a.example.conf"
    target = write(folder / "sites-available/a", path.read_text())
    twice = f"include {snippet}; location / {{ include {snippet};"
    target.write_text(target.read_text().replace("location / {", twice))
    path.unlink()
    path.symlink_to(target)
    imported(tmp_path, "--agree-to-terms")
    (backend,) = main(tmp_path)["backends"].values()
    assert backend["locations"]["/"]["body_size"] == "7m"
    assert f"# nginx: {path}:" in text(tmp_path, "a.example")
    validated(tmp_path)


def test_certificates_by_variables_are_those_of_the_lineages(tmp_path: Path) -> None:
    path = served(tmp_path, "www.a.example")
    file = tmp_path / "etc/nginx/conf.d/www.a.example.conf"
    file.write_text(file.read_text().replace("live/www.a.example/", "live/$ssl_server_name/"))
    said = imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path)["a.example"]["adopt"]["key"].endswith("live/www.a.example/privkey.pem")
    assert f"mv {path}" in said


# Others who depend on this host, or on its clients.


@pytest.mark.parametrize(
    "inner",
    [
        "location /.well-known/acme-challenge/ {{ proxy_pass http://10.0.0.9; }}",
        "location ^~ /.well-known/acme-challenge {{ return 302 http://10.0.0.9$request_uri; }}",
        "location /.well-known/acme-challenge/ {{ rewrite ^ http://10.0.0.9/x permanent; }}",
    ],
)
@pytest.mark.parametrize("names", ["server_name www.a.example;", "server_name _;", ""])
def test_challenges_that_port_80_passes_on_are_told(tmp_path: Path, inner: str, names: str) -> None:
    served(tmp_path, "www.a.example")
    away = "location / { return 301 https://$host$request_uri; }"
    write(
        tmp_path / "etc/nginx/conf.d/plain.conf",
        f"server {{ listen 80; {names} {inner.format()} {away} }}\n",
    )
    said = imported(tmp_path, "--agree-to-terms")
    assert set(domains(tmp_path)) == {"a.example"}
    assert "challenges are passed on to http://10.0.0.9 (" in said


def test_whoever_else_reads_the_files_of_a_client_can_be_found(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    said = imported(tmp_path, "--agree-to-terms")
    assert f"grep -rlF --exclude-dir=proxygen {tmp_path}/etc/letsencrypt/live /etc" in said


def test_a_certificate_of_a_private_authority_is_not_exchanged_for_one_as_unknown(
    tmp_path: Path,
) -> None:
    trusted(tmp_path)
    (tmp_path / "trusted.pem").write_bytes(certificates.root().pair().fullchain)  # another one
    lineage(tmp_path, "www.a.example")
    folder = bought(tmp_path, "own", "www.a.example")
    nginx(
        tmp_path,
        f"server {{ listen 443 ssl; server_name www.a.example; {PASSED}\n"
        f"ssl_certificate {folder}/fullchain.pem; ssl_certificate_key {folder}/privkey.pem; }}\n",
    )
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path)["a.example"]["certificate"]["file"]["key"] == f"{folder}/privkey.pem"


def test_proxygen_s_own_files_are_nobody_else_s(tmp_path: Path) -> None:
    folder = bought(tmp_path, "own", "mail.example.net")
    own = tmp_path / "var/lib/proxygen/live/postfix/current"
    write(own / "chain.pem").write_bytes(
        (folder / "privkey.pem").read_bytes() + (folder / "fullchain.pem").read_bytes()
    )
    mail(tmp_path, chain_files=own / "chain.pem")
    imported(tmp_path, "--agree-to-terms", url="")
    found = main(tmp_path)["global"]
    assert found["certificate"] == "acme"
    assert "adopt" not in found
    run = proxygen(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml", "validate")
    assert run.returncode == 0, run.stdout + run.stderr


def test_clients_that_ask_for_no_name_are_shown_the_global_certificate_where_they_are_now(
    tmp_path: Path,
) -> None:
    served(tmp_path, "mail.example.net")
    imported(tmp_path, "--agree-to-terms")
    assert main(tmp_path)["services"]["nginx"] == {"unknown_names": "global"}
    validated(tmp_path)


@pytest.mark.parametrize("inner", [PASSED, "root /var/www;"])
def test_what_they_are_shown_by_the_first_site_is_told_before_it_is_refused(
    tmp_path: Path, inner: str
) -> None:
    lineage(tmp_path, "mail.example.net")
    folder = bought(tmp_path, "a", "www.a.example", "a.example")
    path = nginx(
        tmp_path,
        f"server {{ listen 443 ssl; server_name www.a.example; {inner}\n"
        f"ssl_certificate {folder}/fullchain.pem; ssl_certificate_key {folder}/privkey.pem; }}\n",
    )
    said = imported(tmp_path, "--agree-to-terms")
    assert f"{path}:1 is the first server block" in said
    assert ("or for a.example" in said) is (inner != PASSED)
    path.write_text(path.read_text().replace("443 ssl;", "443 ssl default_server;"))
    (tmp_path / "etc/proxygen/proxygen.yaml").unlink()
    assert "is the first server block" not in imported(tmp_path, "--agree-to-terms")


def test_a_timer_is_known_by_what_its_service_starts(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    units = tmp_path / "etc/systemd/system"
    write(units / "certbot-renew.timer")
    write(units / "renewal.timer", "[Timer]\nUnit = le.service\nOnCalendar=daily\n")
    write(units / "le.service", "[Service]\nExecStart=/usr/bin/certbot -q renew\n")
    write(units / "other.timer")
    write(units / "other.service", "# certbot\n[Service]\nExecStart=/bin/true\n")
    (units / "masked.timer").symlink_to("/dev/null")
    said = imported(tmp_path, "--agree-to-terms")
    told = {line.split()[-1] for line in said.splitlines() if "systemctl disable" in line}
    assert told == {"certbot-renew.timer", "renewal.timer"}
