"""What of others' overrides our certificate in mail: told with its place, before it does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.integration.test_mail_live import AUTHORITY, HOST, Mail, serving, settled
from tests.live import client, needs
from tests.live.authority import write_private
from tests.live.dovecot import Dovecot
from tests.live.machine import Machine
from tests.live.postfix import Postfix


def pair_of_others(root: Path) -> tuple[Path, Path]:
    """Write a certificate of somebody else, and return its files."""
    other = AUTHORITY.issue("other.example")
    certificate, key = root / "other.pem", root / "other.key"
    certificate.write_bytes(other.fullchain)
    write_private(key, other.key)
    return certificate, key


def chain_of_others(root: Path) -> Path:
    """Write a key with its chain of somebody else, and return the file."""
    other = AUTHORITY.issue("other.example")
    write_private(root / "other-chain.pem", other.key + other.fullchain)
    return root / "other-chain.pem"


# dovecot.

LATER = {
    "local.conf": ("!include conf.d/*.conf", "!include conf.d/*.conf\n!include_try local.conf"),
    "conf.d/99-zz.conf": ("", ""),
    "other.d/1.conf": ("!include conf.d/*.conf", "!include conf.d/*.conf\n!include other.d/*.conf"),
}


@needs("dovecot")
@pytest.mark.parametrize("name", LATER)
def test_a_file_that_dovecot_reads_after_ours_is_named_before_and_what_is_told_helps(
    name: str, root: Path
) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        text = "# theirs\n" + program.presented(*pair_of_others(root))
        program.write(name, text)
        program.main.write_text(program.main.read_text().replace(*LATER[name]))
        for number in (1, 2):  # before, and once ours is there
            (warning,) = mail.facts.warnings
            assert f"{program.main.parent / name}:2 has `" in warning
            assert f"{program.main.parent / name}:3 has `" in warning
            view = mail.install(str(number), HOST)
        assert len({each.port for each, _ in mail.wrong(view)}) >= 4

        last = re.search(r"write `(!include_try \S+)` below", warning)
        assert last
        program.write(name, f"{text}{last[1]}\n")
        mail.reload()
        assert mail.facts.warnings == ()
        assert mail.wrong(view) == ()
        program.write(name, "# theirs\n")  # the other way: these lines are removed
        mail.reload()
        assert mail.facts.warnings == ()
        assert mail.wrong(view) == ()


@needs("dovecot")
def test_the_end_of_dovecot_conf_is_told_by_its_lines(root: Path) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        before = program.main.read_text()
        certificate, key = pair_of_others(root)
        program.main.write_text(f"{before}{program.presented(certificate, key)}")
        (warning,) = mail.facts.warnings
        number = len(before.splitlines()) + 1
        assert f"{program.main}:{number} has `" in warning
        assert f"{certificate}`" in warning
        assert f"{program.main}:{number + 1} has `" in warning
        # A key alone is as bad: clients come to no TLS at all.
        text = program.presented(certificate, key).splitlines()[1]
        program.main.write_text(f"{before}{text}\n")
        (warning,) = mail.facts.warnings
        assert f"{program.main}:{number} has `" in warning
        assert "remove this line" in warning


@needs("dovecot")
def test_tls_that_is_switched_off_after_ours_is_told(root: Path) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        before = program.main.read_text()
        program.main.write_text(f"{before}ssl = no\n")
        for number in (1, 2):
            (warning,) = mail.facts.warnings
            assert f"{program.main}:{len(before.splitlines()) + 1} has `ssl = no`" in warning
            assert "write `ssl = yes` in its place" in warning
            view = mail.install(str(number), HOST)
        program.main.write_text(f"{before}ssl = yes\n")
        program.stop()  # 2.4 may open ports that it closed only when it starts
        program.start()
        assert mail.facts.warnings == ()
        assert mail.wrong(view) == ()


FILTERS = {
    "protocol imap {{\n{pair}}}\n": "protocol imap",
    "protocol !pop3 {{\n{pair}}}\n": "protocol !pop3",
    "local 127.0.0.1 {{\n{pair}}}\n": "local 127.0.0.1",
    "local_name mail.example.net {{\n{pair}}}\n": "local_name mail.example.net",
    "remote 127.0.0.0/8 {{\n{pair}}}\n": "remote 127.0.0.0/8",
    "local 127.0.0.1 {{\n  protocol imap {{\n{pair}  }}\n}}\n": "local 127.0.0.1 / protocol imap",
}


@needs("dovecot")
@pytest.mark.parametrize(("text", "told"), FILTERS.items(), ids=FILTERS.values())
def test_a_filter_is_named_with_its_lines(text: str, told: str, root: Path) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        pair = program.presented(*pair_of_others(root))
        program.write("conf.d/20-theirs.conf", text.format(pair=pair))
        place = program.main.parent / "conf.d/20-theirs.conf"
        first = text.split("{pair}")[0].count("\n") + 1
        for number in (1, 2):
            (warning,) = mail.facts.warnings
            assert f"dovecot: `{told}" in warning  # 2.4 adds its block
            assert f"{place}:{first} has `" in warning
            assert f"{place}:{first + 1} has `" in warning
            assert "remove these lines" in warning
            view = mail.install(str(number), HOST)
        assert program.imaps in {each.port for each, _ in mail.wrong(view)}
        program.write("conf.d/20-theirs.conf", "")
        mail.reload()
        assert mail.facts.warnings == ()
        assert mail.wrong(view) == ()


@needs("dovecot")
def test_a_protocol_without_tls_is_told_and_not_verified(root: Path) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        program.write("conf.d/20-theirs.conf", "protocol pop3 {\n  ssl = no\n}\n")
        mail.reload()
        (warning,) = mail.facts.warnings
        assert f"{program.main.parent / 'conf.d/20-theirs.conf'}:2 has `ssl = no`" in warning
        assert "write `ssl = yes` in its place" in warning
        assert mail.wrong(mail.install("1", HOST)) == ()
        assert {program.pop3, program.pop3s}.isdisjoint(each.port for each in mail.facts.listeners)


@needs("dovecot")
def test_a_protocol_that_requires_tls_and_one_that_no_client_speaks_are_not_told(
    root: Path,
) -> None:
    program = Dovecot(root)
    with serving("dovecot", program) as mail:
        pair = program.presented(*pair_of_others(root))
        text = f"protocol imap {{\n  ssl = required\n}}\nprotocol lda {{\n{pair}}}\n"
        program.write("conf.d/20-theirs.conf", text)
        mail.reload()
        assert mail.facts.warnings == ()
        assert mail.wrong(mail.install("1", HOST)) == ()


# dovecot.conf without conf.d.


@pytest.fixture
def mail_host(root: Path) -> Iterator[Machine]:
    """Return a machine with mail, and nginx for the rest."""
    programs = ("nginx", "pebble", "postfix", "dovecot")
    require(programs)
    with Machine(root, programs) as running:
        running.model({}, main={"url": f"https://{HOST}", "certificate": "selfsigned"})
        yield running


def succeeded(run: subprocess.CompletedProcess[str]) -> None:
    """Fail with all that was said unless the command succeeded."""
    assert run.returncode == 0, run.stdout + run.stderr


def spelled_out(program: Dovecot) -> str:
    """Have dovecot.conf hold all settings itself, and remove conf.d; return its text."""
    folder = program.main.parent / "conf.d"
    parts = [path.read_text() for path in sorted(folder.iterdir())]
    text = program.main.read_text().replace("!include conf.d/*.conf\n", "".join(parts))
    program.main.write_text(text)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return text


def test_without_conf_d_the_line_that_is_told_includes_our_file_alone(mail_host: Machine) -> None:
    program = mail_host.dovecot
    assert program
    text = spelled_out(program)
    ours = program.main.parent / "conf.d/99-proxygen.conf"
    line = f"!include_try {ours}"
    told = mail_host.proxygen("plan").stderr
    assert f"{program.main} does not include {ours}" in told
    assert f"write `{line}` as the last line of {program.main}" in told
    refused = mail_host.proxygen("apply")
    assert refused.returncode == 4
    assert f"do: write `{line}` into this file" in refused.stderr
    assert program.main.read_text() == text

    # The rest of the folder was never read, and would be wrong.
    program.write("conf.d/10-never-read.conf", "no_such_setting = yes\n")
    program.main.write_text(f"{text}{line}\n")
    succeeded(mail_host.proxygen("apply"))
    assert "does not include" not in mail_host.proxygen("plan").stderr
    assert client.names(client.leaf(program.imaps, HOST)) == {HOST}
    succeeded(mail_host.proxygen("uninstall"))
    assert not ours.exists()
    assert program.main.read_text() == f"{text}{line}\n"


def test_the_folder_of_our_file_is_made_and_removed_with_it(mail_host: Machine) -> None:
    program = mail_host.dovecot
    assert program
    text = spelled_out(program)
    folder = program.main.parent / "conf.d"
    program.main.write_text(f"{text}!include_try {folder}/99-proxygen.conf\n")
    succeeded(mail_host.proxygen("apply"))
    assert [path.name for path in folder.iterdir()] == ["99-proxygen.conf"]
    assert client.names(client.leaf(program.imaps, HOST)) == {HOST}
    succeeded(mail_host.proxygen("uninstall"))
    assert not folder.exists()


def test_uninstall_works_where_dovecot_never_included_ours(mail_host: Machine) -> None:
    program = mail_host.dovecot
    assert program
    text = spelled_out(program)
    assert mail_host.proxygen("apply").returncode == 4
    succeeded(mail_host.proxygen("uninstall"))
    assert program.main.read_text() == text
    assert not (mail_host.root / "var/lib/proxygen/live/dovecot").exists()


@pytest.mark.parametrize("service", ["nginx", "postfix", "dovecot"])
def test_uninstall_changes_nothing_where_nothing_of_ours_is(
    mail_host: Machine, service: str
) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in etc.rglob("*") if path.is_file()}

    etc = mail_host.root / "etc"
    before = contents()
    for arguments in ((), (service,)):
        run = mail_host.proxygen("uninstall", *arguments)
        succeeded(run)
        assert "nothing to do" in run.stdout
    assert contents() == before
    mail_host.nginx.stop()
    for main in ("nginx/nginx.conf", "postfix/main.cf", "dovecot/dovecot.conf"):
        (etc / main).unlink()  # as where its package is purged
    succeeded(mail_host.proxygen("uninstall", service))
    succeeded(mail_host.proxygen("uninstall"))


# postfix.


def given(mail: Mail, options: str) -> Path:
    """Give the last of postfix's services for clients further options; return master.cf."""
    master = mail.facts.main.with_name("master.cf")
    wrapped = "  -o smtpd_tls_wrappermode=yes\n"
    text = master.read_text()
    assert wrapped in text
    master.write_text(text.replace(wrapped, wrapped + options))
    return master


FORMS = {
    "  -o smtpd_tls_chain_files={chain}\n": (1, "-o smtpd_tls_chain_files={chain}"),
    "  -osmtpd_tls_chain_files={chain}\n": (1, "-osmtpd_tls_chain_files={chain}"),
    "  -o {{ smtpd_tls_chain_files = {chain} }}\n": (1, "-o {{ smtpd_tls_chain_files = {chain} }}"),
    "  -o\n  smtpd_tls_chain_files={chain}\n": (2, "-o smtpd_tls_chain_files={chain}"),
    "# one\n  # two\n\n  -o x=y -o smtpd_tls_chain_files={chain} -o z=a\n": (
        *(4, "-o smtpd_tls_chain_files={chain}"),
    ),
    "  -o smtpd_tls_chain_files=/none\n  -o smtpd_tls_chain_files={chain}\n": (
        *(2, "-o smtpd_tls_chain_files={chain}"),
    ),
    "  -vo smtpd_tls_chain_files={chain}\n": (1, "-vo smtpd_tls_chain_files={chain}"),
    "  -o other={chain}\n  -o smtpd_tls_chain_files=$other\n": (
        *(2, "-o smtpd_tls_chain_files=$other"),
    ),
    "  -o other={chain}\n  -o {{smtpd_tls_chain_files=${{other}}}}\n": (
        *(2, "-o {{smtpd_tls_chain_files=${{other}}}}"),
    ),
    "  -o smtpd_tls_chain_files=$(other)\n  -o other={chain}\n": (
        *(1, "-o smtpd_tls_chain_files=$(other)"),
    ),
}


@needs("postfix")
@pytest.mark.parametrize("form", FORMS)
def test_an_option_of_master_cf_is_named_with_its_line_in_whatever_form(
    form: str, root: Path
) -> None:
    program = Postfix(root)
    with serving("postfix", program) as mail:
        chain = chain_of_others(root)
        lines, words = FORMS[form]
        before = mail.facts.main.with_name("master.cf").read_text()
        master = given(mail, form.format(chain=chain))
        first = before.split("smtpd_tls_wrappermode=yes")[0].count("\n") + 1
        for number in (1, 2):
            (warning,) = mail.facts.warnings
            assert f"{master}:{first + lines}: `127.0.0.1:{program.smtps}`" in warning
            assert f"remove `{words.format(chain=chain)}`" in warning
            view = mail.install(str(number), HOST)
        assert {each.port for each, _ in mail.wrong(view)} == {program.smtps}
        master.write_text(before)
        mail.reload()
        assert mail.facts.warnings == ()
        assert mail.wrong(view) == ()


@needs("postfix")
def test_a_pair_of_master_cf_gives_way_to_ours_and_that_is_told_before(root: Path) -> None:
    program = Postfix(root)
    with serving("postfix", program) as mail:
        certificate, key = pair_of_others(root)
        options = f"  -o smtpd_tls_cert_file={certificate}\n  -o smtpd_tls_key_file={key}\n"
        master = given(mail, options)
        (warning,) = mail.facts.warnings
        assert re.search(rf"{master}:\d+: .*postfix ignores once proxygen sets", warning)
        view = mail.install("1", HOST)
        assert mail.facts.warnings == ()
        assert mail.wrong(view) == ()
        # Unless files of chains are set to nothing there.
        given(mail, "  -o smtpd_tls_chain_files=\n")
        mail.reload()
        (warning,) = mail.facts.warnings
        assert "remove `-o smtpd_tls_chain_files=`" in warning
        assert {each.port for each, _ in mail.wrong(view)} == {program.smtps}


@needs("postfix")
def test_an_option_that_leads_to_ours_is_not_told(root: Path) -> None:
    program = Postfix(root)
    with serving("postfix", program) as mail:
        ours = mail.layout.live("postfix").current / "global.pem"
        given(mail, f"  -o smtpd_tls_chain_files={ours}\n")
        assert mail.facts.warnings == ()
        assert mail.wrong(mail.install("1", HOST)) == ()
        assert mail.facts.warnings == ()


@needs("postfix")
def test_wrapper_mode_is_known_in_all_its_forms(root: Path) -> None:
    program = Postfix(root)
    with serving("postfix", program) as mail:
        main, master = mail.facts.main, mail.facts.main.with_name("master.cf")
        before = master.read_text()
        view = mail.install("1", HOST)
        for option in (
            "{ smtpd_tls_wrappermode = yes }",
            "smtpd_tls_wrappermode=YES",
            "smtpd_tls_wrappermode=$wrapped",
        ):
            master.write_text(before.replace("smtpd_tls_wrappermode=yes", option))
            text = main.read_text().removesuffix("wrapped = yes\n")
            main.write_text(f"{text}wrapped = yes\n")
            settled(main)
            mail.reload()
            assert (program.smtps, None) in {(e.port, e.starttls) for e in mail.facts.listeners}
            assert mail.wrong(view) == ()


@needs("postfix")
def test_parameters_that_are_set_twice_are_set_once_and_come_back(mail_host: Machine) -> None:
    program = mail_host.postfix
    assert program
    text = (
        f"{program.main.read_text()}smtpd_tls_chain_files =\nsmtpd_tls_security_level = encrypt\n"
        "smtpd_tls_chain_files =\n  /none\nsmtpd_use_tls=yes\nsmtpd_tls_security_level\n =may\n"
        "mine = $smtpd_tls_chain_files\n# no newline"
    )
    program.main.write_text(text)
    settled(program.main)
    succeeded(mail_host.proxygen("apply"))
    ours = program.main.read_text()
    assert len(re.findall(r"(?m)^smtpd_tls_(?:chain_files|security_level)\b", ours)) == 2
    assert client.names(client.leaf(program.smtps, HOST)) == {HOST}
    succeeded(mail_host.proxygen("uninstall"))
    assert program.main.read_text() == text
