"""How nginx is told to log requests for names that wait, and no other log is lost by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.model.layout import Layout
from proxygen.services import EVERYWHERE, Additions
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.nginx_lexer import parse_configuration
from proxygen.services.nginx_waiting import usual_log, waiting_log

BUILT = "/var/log/nginx/access.log"
FACTS = NginxFacts("/usr/sbin/nginx", (1, 22, 1), Path("/etc/nginx/nginx.conf"))


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        pytest.param("http { access_log /var/log/a.log; }", "", id="named in http"),
        pytest.param("http { access_log off; }", "", id="switched off"),
        pytest.param("http { server { access_log /x; } }", BUILT, id="named in a server block"),
        pytest.param("stream { access_log /x; } http { }", BUILT, id="named for something else"),
        pytest.param("", BUILT, id="nothing"),
    ],
)
def test_the_log_that_nginx_has_by_itself_stays(text: str, usual: str) -> None:
    assert usual_log(parse_configuration(text), BUILT) == usual


def test_what_nginx_was_built_with_may_not_be_told() -> None:
    assert usual_log(parse_configuration(""), None) == "logs/access.log"


@pytest.mark.parametrize(
    ("root", "there"),
    [("/", True), ("/srv/" + "x" * 60, True), ("/srv/" + "x" * 100, False), ("/a,b", False)],
)
def test_a_socket_that_nginx_cannot_name_is_not_written(root: str, there: bool) -> None:
    layout = Layout(Path(root), Path("/etc/proxygen/proxygen.yaml")).of("nginx")
    assert (waiting_log(layout, FACTS) is not None) is there


@pytest.mark.parametrize(
    ("text", "own"),
    [
        pytest.param("access_log /var/log/a.log;", True, id="a log"),
        pytest.param("location /x { access_log off; }", False, id="in a location"),
        pytest.param("if ($x) { access_log /x; }", False, id="in a block"),
        pytest.param("# access_log /x;", False, id="a comment"),
        pytest.param("add_header X access_log;", False, id="a word"),
    ],
)
def test_a_log_of_the_administrators_in_a_server_block_is_known(text: str, own: bool) -> None:
    layout = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml")).of("nginx")
    for scope in (EVERYWHERE, "a.example"):
        given = {scope: Additions(scope, (("log.conf", text),), "d" * 64)}
        log = waiting_log(layout, replace(FACTS, additions=given))
        assert log is not None
        assert log.everywhere is (own and scope == EVERYWHERE)
        assert bool(log.own) is own
