"""nginx itself reads words and directives as our lexer does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from proxygen.services.nginx_lexer import directives_below, parse_configuration
from tests.live.needs import needs, path_of

ODD = st.text("ab#~$tn{};\"'\\ \n\r\té", max_size=24)
ALSO = (
    *('"\'a b\\"c\'"', "a\\ b", "'\\t\\n\\r\\d\\\\'", "${a}b", "$a{b;}"),
    *("a#b", "a}b", '""a', "a ;"),
)


def refusal(main: Path, text: str) -> str:
    """Return why nginx refuses a configuration."""
    main.write_bytes(text.encode())
    command = (path_of("nginx"), "-t", "-q", "-p", main.parent, "-c", main, "-e", "stderr")
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return done.stderr.decode()


def assert_read_alike(main: Path, odd: str) -> None:
    """See that nginx includes the file that we read there, in that line, or refuses what we do."""
    text = f"# one\ninclude {odd};"
    said = refusal(main, text)
    first = next(directives_below(parse_configuration(text)), None)
    if "unexpected" in said or first is None:
        assert "unexpected" in said or '"include"' in said, said
        return
    assert first.name == "include"
    line = text.count("\n", 0, first.end) + 1
    if text[first.end - 1] == "{":
        assert 'directive "include" is not terminated by ";"' in said
    elif len(first.arguments) != 1:
        assert 'invalid number of arguments in "include" directive' in said
    else:
        assert f'"{main.parent}/{first.arguments[0]}" failed' in said
    assert f" in {main}:{line}\n" in said


@needs("nginx")
def test_nginx_reads_the_words_that_we_read(tmp_path: Path) -> None:
    for odd in ALSO:
        assert_read_alike(tmp_path / "nginx.conf", odd)

    @settings(max_examples=80, deadline=None)
    @given(ODD)
    def with_any(odd: str) -> None:
        assert_read_alike(tmp_path / "nginx.conf", odd)

    with_any()


MAIN = r"""
events {}
http {
    include 'odd dir/*.conf';
    map $uri $x { default '};'; "a b" 1; }
}
"""
INCLUDED = r"""
server { listen 127.0.0.1:8080; # "
    server_name ~^a\{2\}$ "~^(?<n>\d{2,3});$";
}
"""


@needs("nginx")
def test_nginx_tells_the_directives_that_we_read(tmp_path: Path) -> None:
    main = tmp_path / "nginx.conf"
    main.write_text(MAIN)
    (tmp_path / "odd dir").mkdir()
    (tmp_path / "odd dir/a.conf").write_text(INCLUDED)
    program = path_of("nginx")
    command = (program, "-T", "-q", "-p", tmp_path, "-c", main, "-e", "stderr")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = {each.name: each for each in directives_below(parse_configuration(done.stdout))}
    assert found["server_name"].arguments == (r"~^a\{2\}$", r"~^(?<n>\d{2,3});$")
    assert found["a b"].arguments == ("1",)
    assert found["include"].arguments == ("odd dir/*.conf",)
    assert "configuration file" in done.stdout
