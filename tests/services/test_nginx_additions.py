"""What nginx.d says: which locations take the place of ours, and which are for port 80."""

from __future__ import annotations

import pytest

from proxygen.services import Additions
from proxygen.services.nginx_additions import plain_lines, taken_paths, written_locations


def additions(text: str, scope: str = "a.example", **more: str) -> Additions:
    """Return directives; *more* are files elsewhere that they include."""
    included = tuple((f"/etc/nginx/{name}.conf", each) for name, each in more.items())
    return Additions(scope, (("own.conf", text),), "0", included=included)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        pytest.param("location / { }", {("/", False)}, id="a prefix"),
        pytest.param("location ^~ / { }", {("/", False)}, id="as nginx compares them"),
        pytest.param("location ^~/ { }", {("/", False)}, id="glued"),
        pytest.param('location "/login" { }', {("/login", False)}, id="quoted"),
        pytest.param("location = / { }", {("/", True)}, id="exact"),
        pytest.param("location =/ { }", {("/", True)}, id="exact and glued"),
        pytest.param("location / { location /login { } }", {("/", False)}, id="nested"),
        pytest.param("location ~ ^/ { } location ~* / { }", set(), id="patterns"),
        pytest.param("location ~\\.php$ { }", set(), id="a glued pattern"),
        pytest.param("location @app { }", {("@app", False)}, id="named"),
        pytest.param("# location / { }\nroot /srv; index a; return 404;", set(), id="none at all"),
        pytest.param("location / { ", {("/", False)}, id="a brace that is open"),
        pytest.param("location;", set(), id="what nginx refuses"),
    ],
)
def test_locations_that_nginx_accepts_once(text: str, taken: set[tuple[str, bool]]) -> None:
    assert taken_paths([additions(text)]) == taken


def test_locations_are_told_by_file_and_line_as_the_administrator_has_them() -> None:
    found = written_locations(
        additions("\n\nlocation / { }\nlocation = /x { }", php="\nlocation /y { }")
    )
    assert [(each.where, str(each)) for each in found] == [
        ("nginx.d/a.example/own.conf:3", "location /"),
        ("nginx.d/a.example/own.conf:4", "location = /x"),
        ("/etc/nginx/php.conf:2", "location /y"),
    ]
    (everywhere,) = written_locations(additions("location / { }", ""))
    assert everywhere.where == "nginx.d/own.conf:1"


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("location /.well-known/autoconfig/ { }", ['~ "^/[.]well-known/autoconfig/"']),
        ("location ^~ /.well-known/pki-validation/ { }", ['~ "^/[.]well-known/pki-validation/"']),
        ("location = /mail/config-v1.1.xml { }", ['= "/mail/config-v1.1.xml"']),
        ("location /autodiscover { }", ['~ "^/autodiscover"']),
        ("location /Autodiscover/ { }", ['~ "^/Autodiscover/"']),
        ("location ~* ^/autodiscover/autodiscover\\.xml$ { }",
         ['~* "^/autodiscover/autodiscover[.]xml"']),
        ("location ~ ^/(\\.well-known/autoconfig/)?mail/config-v1\\.1\\.xml$ { }",
         ['= "/.well-known/autoconfig/mail/config-v1.1.xml"', '= "/mail/config-v1.1.xml"']),
        ("rewrite ^/\\.well-known/autoconfig/(.*)$ /ac/$1 last;",
         ['~ "^/[.]well-known/autoconfig/"']),
        ("location ~ ^/.well-known/pki-validation/ { }",
         ['~ "^/[.]well-known/pki-validation/"']),
        ("location / { }", []),
        ("location /login { } location = /secret { } location ~ \\.php$ { }", []),
        ("location /.well-known/acme-challenge/ { }", []),
        ("location ~ /\\.(?!well-known) { deny all; }", []),
        ('location "/.well-known/a b" { }', []),
        ("location ~ (((well-known { }", []),
    ],
)  # fmt: skip
def test_what_is_asked_for_without_tls_is_reached_and_nothing_else(
    text: str, conditions: list[str]
) -> None:
    lines = [form.format(*values) for form, *values in plain_lines([additions(text)]).lines]
    expected = [f"    if ($uri {each}) {{ set $proxygen_plain yes; }}" for each in conditions]
    assert lines == expected


def test_the_same_path_is_one_condition() -> None:
    same = additions("location /.well-known/x { }")
    assert len(plain_lines([same, same]).lines) == 1
