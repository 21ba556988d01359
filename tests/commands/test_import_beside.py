"""`proxygen import`: what others go on to show, and answer, beside what is taken over."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import pytest

from proxygen.importing import acme_sh
from tests.commands.test_import import PASSED, domains, imported, lineage, served, site, text
from tests.commands.test_import_safety import TIMER, mail, main, trusted, validated
from tests.commands.test_import_strange_hosts import bought, dovecot, files, live, nginx
from tests.importing.test_clients import write

ACCOUNT = "accounts/acme-v02.api.letsencrypt.org/directory/abc/private_key.json"


def block(names: str, folder: Path, inner: str = PASSED, listen: str = "443 ssl") -> str:
    """Return a server block with the certificate in a folder."""
    return (
        f"server {{ listen {listen}; server_name {names}; {inner}\n"
        f"ssl_certificate {folder}/fullchain.pem; ssl_certificate_key {folder}/privkey.pem; }}\n"
    )


def more(root: Path, words: str) -> None:
    """Give nginx a further file."""
    write(root / "etc/nginx/conf.d/zz.conf", words)


def stays_with_its_client(root: Path, said: str, name: str = "www.a.example") -> bool:
    """Return whether it is told that a client goes on with a lineage, and not how to stop it."""
    return f"goes on with {name}" in said and f"{name}.conf.off" not in said


# What nginx goes on to show.


@pytest.mark.parametrize(
    "words",
    [
        "stream {{ server {{ listen 8883 ssl; {cert}; {key}; proxy_pass 127.0.0.1:1; }} }}",
        "stream {{ {cert}; {key}; server {{ listen 8883 ssl; proxy_pass 127.0.0.1:1; }} }}",
        "mail {{ server {{ listen 993 ssl; protocol imap; {cert}; {key}; }} }}",
        "stream {{ server {{ listen 8883 ssl; ssl_certificate $c; ssl_certificate_key $k; }} }}",
        "http {{ server {{ listen 81; location / {{ proxy_{cert}; proxy_{key}; }} }} }}",
    ],
    ids=["a stream", "all streams", "mail", "by variable", "to a server behind it"],
)
def test_what_nginx_shows_elsewhere_stays_with_its_client(tmp_path: Path, words: str) -> None:
    served(tmp_path, "www.a.example")
    folder, path = live(tmp_path, "www.a.example"), tmp_path / "etc/nginx/nginx.conf"
    said = words.format(
        cert=f"ssl_certificate {folder}/fullchain.pem",
        key=f"ssl_certificate_key {folder}/privkey.pem",
    )
    path.write_text(path.read_text() + said + "\n")
    assert stays_with_its_client(tmp_path, imported(tmp_path, "--agree-to-terms"))
    assert domains(tmp_path) == {}
    assert "nginx uses its certificate elsewhere as well" in text(tmp_path, "a.example")


@pytest.mark.parametrize("listen", ["8443 ssl", "443 ssl", "8443"])
@pytest.mark.parametrize("by", ["$ssl_server_name", "www.a.example"])
def test_a_site_that_stays_keeps_what_it_shows_by_whatever_way(
    tmp_path: Path, listen: str, by: str
) -> None:
    served(tmp_path, "www.a.example")
    inner = "root /x;" if "ssl" in listen else "ssl on; root /x;"
    more(tmp_path, block("other.example", live(tmp_path, by), inner, listen))
    said = imported(tmp_path, "--agree-to-terms")
    assert stays_with_its_client(tmp_path, said)


def test_a_certificate_by_variable_is_the_one_that_it_comes_to(tmp_path: Path) -> None:
    trusted(tmp_path)
    lineage(tmp_path, "www.a.example", days=-1)
    bought(tmp_path, "www.a.example", "www.a.example")
    nginx(tmp_path, block("www.a.example", tmp_path / "etc/ssl/$ssl_server_name"))
    imported(tmp_path, "--agree-to-terms")
    found = domains(tmp_path)["a.example"]["certificate"]["file"]["key"]
    assert found == f"{tmp_path}/etc/ssl/www.a.example/privkey.pem"
    validated(tmp_path)


@pytest.mark.parametrize(
    ("names", "certificate"),
    [("www.a.example", "data:$x"), ("www.a.example", "/$x"), ("~^www", "/etc/$ssl_server_name")],
)
def test_a_site_of_which_nobody_knows_what_it_shows_stays(
    tmp_path: Path, names: str, certificate: str
) -> None:
    lineage(tmp_path, "www.a.example")
    words = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    nginx(tmp_path, f"server {{ listen 443 ssl; server_name {names}; {words} {PASSED} }}\n")
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    assert "ssl_certificate" in text(tmp_path, "a.example")


def test_a_site_at_a_socket_that_the_model_does_not_have_goes_on(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    imported(tmp_path, "--agree-to-terms")
    path = tmp_path / "etc/nginx/conf.d/www.a.example.conf"
    path.write_text(path.read_text().replace("443 ssl", "8443 ssl"))
    assert stays_with_its_client(tmp_path, imported(tmp_path, "--agree-to-terms", url=""))


@pytest.mark.parametrize("name", ["00-first", "zz"])
def test_a_site_that_nginx_reads_before_ours_wins_and_goes_on(tmp_path: Path, name: str) -> None:
    served(tmp_path, "www.a.example")
    folder = tmp_path / "etc/nginx/conf.d"
    (folder / "www.a.example.conf").rename(folder / f"{name}.conf")
    said = imported(tmp_path, "--agree-to-terms")
    wins = name == "00-first"
    assert (domains(tmp_path) == {}) is wins
    assert ("it is read before proxygen's file" in text(tmp_path, "a.example")) is wins
    assert stays_with_its_client(tmp_path, said) is wins
    assert ("is the first server block" in said) is not wins


def test_a_global_url_that_nginx_reads_before_ours_goes_on(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.example.net")
    path = nginx(tmp_path, "").parent.parent / "nginx.conf"
    inline = block("mail.example.net", live(tmp_path, "mail.example.net"))
    path.write_text(path.read_text().replace("include", inline + "include"))
    said = imported(tmp_path, "--agree-to-terms")
    assert stays_with_its_client(tmp_path, said, "mail.example.net")


# Who answers for names that nobody has.


def test_a_default_server_elsewhere_does_not_hide_the_first_one_on_443(tmp_path: Path) -> None:
    a, b = (bought(tmp_path, name, f"www.{name}", name) for name in ("a.example", "b.example"))
    lineage(tmp_path, "mail.example.net")
    elsewhere = block("www.b.example", b, listen="8443 ssl default_server")
    path = nginx(tmp_path, block("www.a.example", a, "root /x;") + elsewhere)
    said = imported(tmp_path, "--agree-to-terms")
    assert f"{path}:1 is the first server block, so that clients who ask for no name or for" in said
    assert "nginx" not in main(tmp_path)["services"]
    assert f"#    # {path}:1" in (tmp_path / "etc/proxygen/proxygen.yaml").read_text()
    path.write_text(path.read_text().replace("443 ssl;", "443 ssl default_server;", 1))
    (tmp_path / "etc/proxygen/proxygen.yaml").unlink()
    assert "is the first server block" not in imported(tmp_path, "--agree-to-terms")
    assert "nginx" in main(tmp_path)["services"]
    validated(tmp_path)


@pytest.mark.parametrize("says_so", [False, True])
def test_challenges_that_the_first_server_block_answers_are_not_taken_from_others(
    tmp_path: Path, says_so: bool
) -> None:
    served(tmp_path, "www.a.example")
    lineage(tmp_path, "php.example")
    more(tmp_path, block("php.example", live(tmp_path, "php.example"), "root /x;"))
    path = tmp_path / "etc/nginx/conf.d/all.conf"
    own = "location /.well-known/acme-challenge/ { root /var/www; }"
    rest = "location / { return 301 https://$host$request_uri; }"
    listen = "80 default_server" if says_so else "80"
    write(path, f"server {{ listen {listen}; {own} {rest} }}\n")
    said = imported(tmp_path, "--agree-to-terms")
    assert (f"{path}:1 is the first server block for HTTP" in said) is not says_so
    assert ("nginx" in main(tmp_path).get("services", {"nginx": {}})) is says_so
    assert ("www.a.example.conf.off" in said) is says_so
    validated(tmp_path)


# Mail.


@pytest.mark.parametrize(
    "table",
    ["inline:{{{{mail.a.example = {0}/privkey.pem {0}/fullchain.pem}}}}", "texthash:/nowhere/sni"],
)
@pytest.mark.parametrize("own", [False, True])
def test_a_table_that_cannot_be_read_may_have_any_certificate(
    tmp_path: Path, table: str, own: bool
) -> None:
    for name in ("mail.example.net", "mail.a.example"):
        lineage(tmp_path, name)
    here, there = live(tmp_path, "mail.example.net"), live(tmp_path, "mail.a.example")
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    said = table.format(there)
    if own:
        option = f"  -o {{tls_server_sni_maps = {said}}}\n"
        path = tmp_path / "etc/postfix/master.cf"
        path.write_text(path.read_text() + f"submission inet n - n - - smtpd\n{option}")
    else:
        path = tmp_path / "etc/postfix/main.cf"
        path.write_text(path.read_text() + f"tls_server_sni_maps = {said}\n")
    told = imported(tmp_path, "--agree-to-terms")
    assert ("postfix" in main(tmp_path).get("services", {"postfix": {}})) is own
    for name in ("mail.example.net", "mail.a.example"):
        assert stays_with_its_client(tmp_path, told, name)
    validated(tmp_path)


def test_what_postfix_shows_by_other_parameters_stays_with_its_client(tmp_path: Path) -> None:
    names = ("mail.example.net", "out.a.example", "screen.example", "sni.example")
    for name in names:
        lineage(tmp_path, name)
        site(tmp_path, name, PASSED)
    here, out, screen, sni = (live(tmp_path, name) for name in names)
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    path = tmp_path / "etc/postfix/main.cf"
    path.write_text(
        path.read_text() + f"smtp_tls_cert_file = {out}/fullchain.pem\n"
        f"smtp_tls_key_file = {out}/privkey.pem\n"
        f"tlsproxy_tls_chain_files = {screen}/privkey.pem {screen}/fullchain.pem\n"
    )
    table = write(
        tmp_path / "etc/postfix/sni", f"sni.example {sni}/privkey.pem {sni}/fullchain.pem\n"
    )
    path = tmp_path / "etc/postfix/master.cf"
    option = f"  -o tls_server_sni_maps=texthash:{table}\n"
    path.write_text(path.read_text() + f"submission inet n - n - - smtpd\n{option}")
    said = imported(tmp_path, "--agree-to-terms")
    assert main(tmp_path)["global"]["adopt"]["key"] == f"{here}/privkey.pem"
    assert all(stays_with_its_client(tmp_path, said, name) for name in names[1:])
    assert domains(tmp_path) == {}
    assert "postfix" in main(tmp_path)["services"]


def test_the_certificate_of_a_url_that_is_given_is_not_mail_s(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.example.net")
    here = live(tmp_path, "mail.example.net")
    mail(tmp_path, cert_file=here / "fullchain.pem", key_file=here / "privkey.pem")
    folder = bought(tmp_path, "a", "www.example.net")
    nginx(tmp_path, block("www.example.net", folder))
    said = imported(tmp_path, "--agree-to-terms", url="www.example.net")
    assert main(tmp_path)["global"]["certificate"]["file"]["key"] == f"{folder}/privkey.pem"
    assert "postfix" not in main(tmp_path)["services"]
    assert stays_with_its_client(tmp_path, said, "mail.example.net")
    validated(tmp_path)


@pytest.mark.parametrize("imap", [("mail.example.net",), ("mail.example.net", "imap.example.net")])
def test_clients_that_know_rsa_alone_lose_nothing(tmp_path: Path, imap: tuple[str, ...]) -> None:
    ec, rsa = bought(tmp_path, "ec", *imap), bought(tmp_path, "rsa", "mail.example.net", rsa=True)
    both = [f"{each}/{part}.pem" for each in (rsa, ec) for part in ("privkey", "fullchain")]
    mail(tmp_path, chain_files=" ".join(both))
    dovecot(tmp_path, *files(ec))
    imported(tmp_path, "--agree-to-terms", url="")
    found = main(tmp_path)["global"]["certificate"]["file"]["key"]
    if len(imap) == 1:
        assert found == f"{rsa}/privkey.pem"
    else:
        assert found == f"{ec}/privkey.pem"
        assert "postfix" not in main(tmp_path)["services"]
    validated(tmp_path)


def test_what_dovecot_shows_although_it_was_set_up_stays_with_its_client(tmp_path: Path) -> None:
    lineage(tmp_path, "mail.example.net")
    dovecot(tmp_path, *files(live(tmp_path, "mail.example.net")))  # as if read after proxygen's
    said = imported(tmp_path, "--agree-to-terms", url="")
    assert "mail.example.net.conf.off" in said
    current = tmp_path / "var/lib/proxygen/live/dovecot/current"
    current.parent.mkdir(parents=True, exist_ok=True)
    (current.parent / "generations/1").mkdir(parents=True)
    current.symlink_to("generations/1")
    said = imported(tmp_path, url="")
    assert stays_with_its_client(tmp_path, said, "mail.example.net")
    assert "dovecot shows it" in said


# What is written is right, and tells no secret.


def test_a_certificate_for_other_names_is_not_what_a_site_is_supplied_with(tmp_path: Path) -> None:
    folder = bought(tmp_path, "a", "other.example")
    lineage(tmp_path, "mail.example.net")
    nginx(tmp_path, block("www.a.example", folder))
    imported(tmp_path, "--agree-to-terms")
    assert "its certificate is for other names: other.example" in text(tmp_path, "a.example")
    validated(tmp_path)


def test_a_key_of_an_account_that_cannot_be_used_is_told_and_not_named(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    write(tmp_path / "etc/letsencrypt" / ACCOUNT, '{"kty": "RSA", "n": "xx"}')
    said = imported(tmp_path, "--agree-to-terms")
    assert f"{ACCOUNT} is no private key of an account that can be used" in said
    assert "account" not in main(tmp_path)["acme"]
    validated(tmp_path)


def test_a_path_that_is_no_text_stays_where_it_is(tmp_path: Path) -> None:
    folder = bought(tmp_path, "a", "www.a.example")
    folder.rename(os.fsdecode(bytes(folder.parent) + b"/f\xfcr"))
    lineage(tmp_path, "mail.example.net")
    path = nginx(tmp_path, "")
    words = block("www.a.example", folder.parent / "f_r").encode()
    path.write_bytes(words.replace(b"/f_r/", b"/f\xfcr/"))
    imported(tmp_path, "--agree-to-terms")
    assert domains(tmp_path) == {}
    validated(tmp_path)


def test_secrets_in_what_others_run_are_not_told(tmp_path: Path) -> None:
    hook = "PASSWORD=hunter2hunter2 curl -H 'Authorization: Bearer abcdefgh12345678' x"
    served(tmp_path, "www.a.example", more=f"renew_hook = {hook}\n")
    write(tmp_path / TIMER)
    write(tmp_path / "etc/cron.d/x", "1 1 * * * root CF_Token=sesame1234567 certbot renew\n")
    said = imported(tmp_path, "--agree-to-terms") + text(tmp_path, "a.example")
    assert "renew_hook = PASSWORD=" in said
    assert "CF_Token=" in said
    for secret in ("hunter2", "abcdefgh", "sesame"):
        assert secret not in said


# Who else depends on a client.


def test_what_a_client_runs_after_renewals_is_told(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    hook = write(tmp_path / "etc/letsencrypt/renewal-hooks/deploy/10-other-host", "#!/bin/sh\n")
    write(tmp_path / "etc/letsencrypt/cli.ini", "post-hook = systemctl restart prosody\n")
    said = imported(tmp_path, "--agree-to-terms")
    for each in (str(hook), "post-hook = systemctl restart prosody"):
        assert f"# certbot will not run this for them any more: {each}" in said
        assert f"# certbot ran after a renewal: {each}" in text(tmp_path, "a.example")


@pytest.mark.parametrize("service", ["dovecot/dovecot.conf", "postfix/main.cf"])
def test_what_a_service_shows_that_cannot_be_asked_may_be_any_lineage(
    tmp_path: Path, service: str
) -> None:
    served(tmp_path, "www.a.example")
    write(tmp_path / "etc" / service, "this is {\nno configuration\n")
    said = imported(tmp_path, "--agree-to-terms")
    assert stays_with_its_client(tmp_path, said)
    assert "may show it (a configuration that cannot be asked)" in said


def test_what_a_file_of_nginx_says_that_cannot_be_read_may_be_any_lineage(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    os.mkfifo(tmp_path / "etc/nginx/conf.d/zz.conf")
    said = imported(tmp_path, "--agree-to-terms")
    assert stays_with_its_client(tmp_path, said)
    assert "nginx may show it" in said


def test_a_timer_for_another_folder_is_told_with_care(tmp_path: Path) -> None:
    served(tmp_path, "www.a.example")
    write(tmp_path / TIMER)
    service = (tmp_path / TIMER).with_suffix(".service")
    write(service, "[Service]\nExecStart=certbot renew --config-dir /srv/le\n")
    said = imported(tmp_path, "--agree-to-terms")
    stop = "systemctl disable --now certbot.timer"
    assert f"# {stop}    # unless it renews something else" in said


def test_dehydrated_goes_on_while_it_waits_for_a_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "etc/dehydrated"
    made = bought(tmp_path, "x", "www.a.example")
    for part in ("fullchain", "privkey"):
        content = (made / f"{part}.pem").read_bytes()
        write(folder / f"certs/www.a.example/{part}.pem").write_bytes(content)
    nginx(tmp_path, block("www.a.example", folder / "certs/www.a.example"))
    write(folder / "domains.txt", "# all\nwww.a.example\n")
    units = tmp_path / "etc/systemd/system"
    write(units / "dehydrated.timer")
    stop = "systemctl disable --now dehydrated.timer"
    assert stop in imported(tmp_path, "--agree-to-terms")
    write(folder / "domains.txt", "www.a.example\nnew.example more.example\n")
    said = imported(tmp_path, "--agree-to-terms", url="")
    assert "dehydrated has no certificate for new.example yet" in said
    assert stop not in said


def test_a_hook_of_several_lines_is_no_command_to_run(tmp_path: Path) -> None:
    folder = tmp_path / "root/.acme.sh"
    made = bought(tmp_path, "x", "www.a.example")
    home = folder / "www.a.example_ecc"
    write(home / "fullchain.cer").write_bytes((made / "fullchain.pem").read_bytes())
    write(home / "www.a.example.key").write_bytes((made / "privkey.pem").read_bytes())
    hook = b64encode(b"true\nrm -rf /srv\n").decode()
    said = f"Le_Domain='www.a.example'\nLe_ReloadCmd='{acme_sh.START}{hook}{acme_sh.END}'\n"
    write(home / "www.a.example.conf", said)
    write(folder / "account.conf")
    words = block("www.a.example", home).replace("fullchain.pem", "fullchain.cer")
    nginx(tmp_path, words.replace("privkey.pem", "www.a.example.key"))
    lines = imported(tmp_path, "--agree-to-terms").splitlines()
    assert any("acme.sh --remove" in line for line in lines)
    (told,) = (line for line in lines if "rm -rf" in line)
    assert told.lstrip().startswith("# acme.sh will not run this")
    validated(tmp_path)
