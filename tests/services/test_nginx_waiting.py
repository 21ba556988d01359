"""How nginx is told to log requests for names that wait, and no other log is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.model.layout import Layout
from proxygen.services.nginx_lexer import parse_configuration
from proxygen.services.nginx_waiting import usual_log, waiting_log

BUILT = "/var/log/nginx/access.log"


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
    assert (waiting_log(layout, "") is not None) is there
