"""Staging: the complete configuration as it would be, with nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxygen.errors import ServiceError
from proxygen.host.staging import ASKED, PREFIX, copied_folder, main_leading_to
from proxygen.services import Pointer, dovecot, nginx

GENERATION = Path("/var/lib/proxygen/live/nginx/generations/new")
CURRENT = Path("/var/lib/proxygen/live/nginx/current")
OURS = f"include {GENERATION}/*.conf;"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Return a folder with conf.d and a foreign file in it."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/zz-foreign.conf").write_text("# foreign\n")
    return tmp_path


def web(etc: Path) -> Pointer:
    """Return nginx's pointer."""
    return nginx.pointer(etc / "nginx.conf")


def staged(etc: Path, text: str, target: Path | None = GENERATION) -> str:
    """Return nginx's main file as it is checked; see that all is as before after that."""
    main = etc / "nginx.conf"
    main.write_text(text)
    before = snapshot(etc)
    with main_leading_to(main, web(etc), target, CURRENT) as path:
        found = path.read_text()
        assert path.parent == main.parent  # relative paths keep their meaning
    assert snapshot(etc) == before
    return found


def snapshot(folder: Path) -> dict[str, str | None]:
    """Return the text of everything below a folder."""
    return {str(path): path.read_text() if path.is_file() else None for path in folder.rglob("*")}


def test_the_new_generation_stands_where_our_file_is_included(etc: Path) -> None:
    found = staged(etc, "user www;\nhttp {\n  include conf.d/*.conf;\n}\n")
    assert found == f"user www;\nhttp {{\n  {OURS}\ninclude {etc}/conf.d/zz-foreign.conf;\n}}\n"


def test_our_present_file_is_not_included_besides(etc: Path) -> None:
    (etc / "conf.d/00-proxygen.conf").write_text("include /old/*.conf;\n")
    found = staged(etc, "http { include conf.d/*.conf; }")
    assert found == f"http {{ {OURS}\ninclude {etc}/conf.d/zz-foreign.conf; }}"


def test_without_a_target_it_is_the_configuration_without_us(etc: Path) -> None:
    (etc / "conf.d/00-proxygen.conf").write_text("include /old/*.conf;\n")
    found = staged(etc, "http { include conf.d/*.conf; }", target=None)
    assert found == f"http {{ include {etc}/conf.d/zz-foreign.conf; }}"


def test_paths_with_spaces_are_found_and_written_as_nginx_reads_them(etc: Path) -> None:
    (etc / "our sites").mkdir()
    (etc / "our sites/a b.conf").write_text("# include /x;\ninclude 'conf.d/*.conf';\n")
    found = staged(etc, 'http { include "our sites/*.conf"; }')
    assert found == f'http {{ include "{etc}/our sites/{PREFIX}a b.conf"; }}'


def test_copies_of_a_killed_run_go_when_the_next_ones_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    main = tmp_path / "etc/main.cf"
    main.write_text("a = b\n")
    (tmp_path / "etc/sasl_passwd").write_text("a secret\n")
    live = tmp_path / "live"
    left = live / f"{ASKED}{2**22 + 1}-main"  # no process has that number
    used = live / f"{ASKED}{os.getpid()}-main"
    for each in (left, used):
        each.mkdir(parents=True)
        (each / "sasl_passwd").write_text("a secret\n")
    with copied_folder(main, live / "check"):
        assert not left.exists()
        assert used.exists()


@pytest.mark.parametrize(
    "directive",
    [
        "include conf.d/*.conf;",
        "include\tconf.d/*.conf ;",
        "include\n  conf.d/*.conf\n;",
        "include 'conf.d/*.conf';",
        'include "conf.d/*.conf";',
        "include conf.d/*;",
        "include conf.d/00-proxygen.conf;",
        "include ./conf.d/../conf.d/*.conf;",
        "include conf.d/[0-9]*.conf;",
    ],
)
def test_every_way_to_include_our_file_is_seen(etc: Path, directive: str) -> None:
    assert OURS in staged(etc, f"http {{\n{directive}\n}}\n")
    assert OURS in staged(etc, f"events{{}}http{{{directive}}}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http {\n# include conf.d/*.conf;\n}\n",
        "http { log_format a 'include conf.d/*.conf;'; }",
        'http { log_format a "\\" include conf.d/*.conf;"; }',
        "http { myinclude conf.d/*.conf; }",
        "http { include conf.d; }",
        "http { include *.conf; }",
        "http { include other.d/*.conf; }",
        "http { include conf.d/*.cfg; }",
    ],
)
def test_a_configuration_that_does_not_include_us_is_told_with_what_to_add(
    etc: Path, text: str
) -> None:
    with pytest.raises(ServiceError, match="does not include") as caught:
        staged(etc, text)
    assert f"write `include {etc}/conf.d/00-proxygen.conf;` into this file" in caught.value.remedy
    assert not list(etc.rglob(f"{PREFIX}*"))


def test_comments_and_quotes_beside_the_include_stay_as_they_are(etc: Path) -> None:
    text = "# it's \"mine\nhttp { # include conf.d/*.conf;\nadd_header x 'a; # b'; "
    text += "include conf.d/*.conf; }"
    assert staged(etc, text).startswith(text.rpartition("include")[0])


def test_a_nested_include_is_spelled_out_in_a_copy_of_its_file(etc: Path) -> None:
    (etc / "http.conf").write_text("include conf.d/*.conf;\ngzip on;\n")
    main = etc / "nginx.conf"
    main.write_text("http { include mime.types; include http.conf; }")
    (etc / "mime.types").write_text("types {}\n")
    before = snapshot(etc)
    with main_leading_to(main, web(etc), GENERATION, CURRENT) as path:
        copy = etc / f"{PREFIX}http.conf"
        assert path.read_text() == f"http {{ include mime.types; include {copy}; }}"
        assert copy.read_text().startswith(OURS)
    assert snapshot(etc) == before


@pytest.mark.parametrize("mask", ["conf.d/*.conf", "{real}/*.conf"])
def test_a_linked_folder_is_the_folder_that_it_leads_to(tmp_path: Path, mask: str) -> None:
    etc, real = tmp_path / "etc", tmp_path / "srv"
    etc.mkdir()
    real.mkdir()
    (real / "foreign.conf").write_text("")
    (etc / "conf.d").symlink_to(real)
    assert OURS in staged(etc, f"http {{ include {mask.format(real=real)}; }}")
    (real / "00-proxygen.conf").write_text("include /old/*.conf;")
    found = staged(etc, f"http {{ include {mask.format(real=real)}; }}")
    assert found.count("include") == 2
    assert OURS in found


def test_files_that_include_each_other_come_to_an_end(etc: Path) -> None:
    for number in range(40):
        (etc / f"conf.d/{number}.conf").write_text("include conf.d/*.conf;\n" * 10)
    assert OURS in staged(etc, "http { include conf.d/*.conf; }")


def test_what_is_no_file_is_left_to_the_service_to_refuse(etc: Path) -> None:
    (etc / "conf.d/folder.conf").mkdir()
    (etc / "conf.d/dangling.conf").symlink_to("nowhere")
    assert "folder.conf;" in staged(etc, "http { include conf.d/*.conf; }")


def test_an_error_while_it_is_checked_leaves_nothing_behind(etc: Path) -> None:
    main = etc / "nginx.conf"
    main.write_text("http { include conf.d/*.conf; }")
    before = snapshot(etc)
    with pytest.raises(ZeroDivisionError), main_leading_to(main, web(etc), GENERATION, CURRENT):
        raise ZeroDivisionError
    assert snapshot(etc) == before


def test_what_a_killed_run_left_is_replaced_and_removed(etc: Path) -> None:
    rest = etc / f"{PREFIX}nginx.conf"
    rest.write_text("half")
    main = etc / "nginx.conf"
    main.write_text("http { include conf.d/*.conf; }")
    with main_leading_to(main, web(etc), GENERATION, CURRENT) as path:
        assert path == rest
        assert OURS in path.read_text()
    assert not rest.exists()


def test_dovecot_includes_are_below_the_file_that_includes(etc: Path) -> None:
    main = etc / "dovecot.conf"
    pointer = dovecot.pointer(main)
    main.write_text("# !include conf.d/*.conf\nprotocols = imap\n!include conf.d/*.conf\n")
    before = snapshot(etc)
    with main_leading_to(main, pointer, GENERATION, CURRENT) as path:
        found = path.read_text().splitlines()
    assert snapshot(etc) == before
    assert found[:2] == ["# !include conf.d/*.conf", "protocols = imap"]
    assert set(found[2:]) == {
        f"!include_try {GENERATION}/*.conf",
        f"!include_try {etc}/conf.d/zz-foreign.conf",
    }


def test_the_copy_of_a_folder_is_private_and_goes(tmp_path: Path) -> None:
    main = tmp_path / "etc/main.cf"
    main.parent.mkdir()
    for name in ("main.cf", "master.cf", "aliases", "notes.txt", "sasl.db"):
        (main.parent / name).write_text(name)
    (main.parent / "sub").mkdir()
    stage = tmp_path / "stage"
    with pytest.raises(ZeroDivisionError), copied_folder(main, stage) as path:  # noqa: PT012
        assert path == stage / "main.cf"
        assert {each.name for each in stage.iterdir()} == {"main.cf", "master.cf", "aliases"}
        assert stage.stat().st_mode & 0o777 == 0o700
        raise ZeroDivisionError
    assert not stage.exists()
