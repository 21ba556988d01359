"""The administrator's directives in place of a location that asks for a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.services import EVERYWHERE, Additions, WebFacts
from proxygen.texts.nginx_directives import directive_warnings
from tests.models import site

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, backend: app}
  b.example: {url: www.b.example}
  nameless.example: {}
backends:
  app:
    upstreams: {web: ["http://127.0.0.1:9"]}
    password_file: /etc/nginx/passwords
    locations:
      /: {upstream: web}
      /setup/: {upstream: web, password: true}
      /tick: {upstream: web, password: true, exact: true}
""")


def told(scope: str, text: str) -> list[str]:
    """Return the warnings about one file of directives for a scope."""
    additions = Additions(scope, (("own.conf", text),), "digest")
    main = Path("/etc/nginx/nginx.conf")
    facts = WebFacts("/usr/sbin/nginx", (1, 22, 1), main, additions={scope: additions})
    return list(directive_warnings(SITE, facts))


def gone(where: str, location: str) -> str:
    return (
        f"{where}: `{location}` takes the place of the one for a.example that asks for a password;"
        " write `auth_basic` and `auth_basic_user_file` into it if it should do so, too"
    )


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("location /setup/ { return 204; }", "location /setup/"),
        ("location ^~ /setup/ { return 204; }", "location ^~ /setup/"),
        ("location ^~/setup/ { return 204; }", "location ^~ /setup/"),
        ('location "/setup/" { return 204; }', "location /setup/"),
        ("location = /tick { return 204; }", "location = /tick"),
        ("location =/tick { return 204; }", "location = /tick"),
    ],
)
def test_a_location_in_place_of_one_with_a_password_is_told(text: str, location: str) -> None:
    assert told("a.example", f"\n{text}\n") == [gone("nginx.d/a.example/own.conf:2", location)]
    assert told(EVERYWHERE, f"\n{text}\n") == [gone("nginx.d/own.conf:2", location)]


@pytest.mark.parametrize(
    "text",
    [
        "location / { return 204; }",
        "location /setup/more { return 204; }",
        "location /tick { return 204; }",
        "location ~ ^/setup/ { return 204; }",
        "location /own { location /own/setup/ { return 204; } }",
        "add_header X-Own yes;",
    ],
)
def test_nothing_is_told_of_what_takes_no_password_away(text: str) -> None:
    """A regular expression does not come before a location with a password."""
    assert told("a.example", text) == []
    assert told(EVERYWHERE, text) == []


@pytest.mark.parametrize("scope", ["b.example", "nameless.example"])
def test_nothing_is_told_where_there_was_no_password_or_nothing_is_served(scope: str) -> None:
    assert told(scope, "location /setup/ { return 204; }") == []
