"""A backend: what an application knows, and what the model says beside it."""

from __future__ import annotations

import pytest

from proxygen.model.site import Backend, Location
from tests.models import SMALLEST, mistakes, site


def backend(fields: str) -> Backend:
    """Return the backend that *fields* describe."""
    return site(f"{SMALLEST}backends: {{app: {{{fields}}}}}").backends["app"]


def locations(fields: str) -> dict[str, Location]:
    """Return its locations by their paths."""
    return {each.path: each for each in backend(fields).locations}


def test_a_generic_application_passes_everything_to_one_upstream_with_websockets() -> None:
    assert locations("upstreams: {web: ['http://a:1']}") == {
        "/": Location("/", "web", websocket=True)
    }


def test_what_the_model_says_wins_and_the_rest_is_the_applications() -> None:
    found = locations("upstreams: {web: ['http://a:1']}, locations: {/: {body_size: 1g}}")
    assert found["/"] == Location("/", "web", websocket=True, body_size=1 << 30)


def test_a_false_of_the_model_takes_back_what_the_application_says() -> None:
    assert not locations("upstreams: {web: ['http://a']}, locations: {/: {websocket: false}}")[
        "/"
    ].websocket


def test_locations_stand_longest_first_and_only_with_an_upstream_that_is_there() -> None:
    found = backend("application: bluemind, upstreams: {web: ['http://a'], eas: ['http://b:8082']}")
    paths = [each.path for each in found.locations]
    assert paths == sorted(paths, key=lambda path: (-len(path), path))
    passed = [each for each in found.locations if not each.redirect and not each.password]
    assert {each.upstream for each in passed} == {"web", "eas"}
    assert "/mapi" not in paths


def test_bluemind_has_the_paths_and_limits_of_its_parts() -> None:
    found = locations(
        "application: bluemind, upstreams: {web: ['http://a:8080'], core: ['http://a:8090'], "
        "mapi: ['http://a:5001'], eas: ['http://a:8082']}"
    )
    assert found["/Microsoft-Server-ActiveSync"].read_timeout == 20 * 60
    assert (found["/api/"].read_timeout, found["/api/"].buffering) == (210, False)
    assert found["/api/attachment/"].body_size == 200 * 1024 * 1024
    assert found["/eventbus/"].websocket
    assert {found[path].upstream for path in ("/mapi", "/ews", "/autodiscover")} == {"mapi"}
    assert found["/"].upstream == "web"


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        (
            "upstreams: {web: ['http://a']}, locations: {/x: {upstream: wbe}}",
            *("backends.app.locations./x", "unknown upstream `wbe`"),
        ),
        (
            "upstreams: {web: ['http://a']}, locations: {/x: {websocket: true}}",
            *("backends.app.locations./x", "`upstream` is missing"),
        ),
        (
            "application: bluemind, upstreams: {web: ['http://a']}, locations: {/mapi: {}}",
            *("backends.app.locations./mapi", "unknown upstream `mapi`"),
        ),
    ],
)
def test_a_location_without_its_upstream_is_a_mistake(fields: str, field: str, reason: str) -> None:
    (mistake,) = mistakes(f"{SMALLEST}backends: {{app: {{{fields}}}}}")
    assert (mistake.field, mistake.reason) == (field, reason)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/x: {redirect: /x}", "redirect loop: /x sends the browser back here"),
        ("/x: {redirect: /x/y}", "redirect loop: /x/y sends the browser back here"),
        ("/: {redirect: /log}", "redirect loop: /log sends the browser back here"),
        (
            "/x: {redirect: /y, password: true}",
            "nginx asks for no password before a redirect",
        ),
        (
            "/img: {upstream: web, rewrite: /static/}",
            "nginx would pass /img../x on as /static/../x, which leads above /static/",
        ),
        ("/x: {upstream: web, password: true}", "`password` needs a file with passwords"),
        ("/: {password: true}", "`password` needs a file with passwords"),
    ],
)
def test_a_redirect_in_a_circle_and_a_password_of_nobody_are_mistakes(
    location: str, reason: str
) -> None:
    fields = f"upstreams: {{web: ['http://a']}}, locations: {{{location}}}"
    (mistake,) = mistakes(f"{SMALLEST}backends: {{app: {{{fields}}}}}")
    assert mistake.reason == reason


def test_redirects_in_a_circle_of_several_are_a_mistake_of_each() -> None:
    fields = "upstreams: {web: ['http://a']}, locations: {/a: {redirect: /b}, /b: {redirect: /a}}"
    found = mistakes(f"{SMALLEST}backends: {{app: {{{fields}}}}}")
    assert [each.field for each in found] == [
        "backends.app.locations./a",
        "backends.app.locations./b",
    ]


def test_a_redirect_needs_no_upstream_and_may_lead_below_a_path_that_matches_exactly() -> None:
    found = locations(
        "upstreams: {web: ['http://a']}, locations: {/old: {redirect: /}, "
        "/x: {redirect: /x/y, exact: true}}"
    )
    assert found["/old"] == Location("/old", None, redirect="/")
    assert found["/x"] == Location("/x", None, redirect="/x/y", exact=True)


def test_bluemind_keeps_people_out_where_it_would_ask_for_a_password_that_nobody_has() -> None:
    found = backend("application: bluemind, upstreams: {web: ['http://a:8080']}")
    assert found.password_file is None
    closed = {each.path: each.upstream for each in found.locations if each.password}
    assert closed == {"/setup/": "web", "/tick/": None, "/keycloak-admin/": None}


@pytest.mark.parametrize("path", ["x", "/a b", "/$x", "/a;", "/a{", "/'", "/\\n", "/" + "a" * 1000])
def test_a_file_of_passwords_that_nginx_could_read_otherwise_is_a_mistake(path: str) -> None:
    fields = f"upstreams: {{web: ['http://a']}}, password_file: \"{path}\""
    (mistake,) = mistakes(f"{SMALLEST}backends: {{app: {{{fields}}}}}")
    assert "is not an absolute path of plain characters" in mistake.reason


BAD_PATHS = [
    *("x", "", "~ ^/", "= /", "^~ /x", "/a b", "/a;", "/a{", "/a}", "/$uri", '/"', "/'", "/\\\\"),
    *("/a\\n", "/#", "/?q", "/(a)", "/ä", "/a\\0", "/" + "a" * 201, "@named"),
    *("/.well-known/acme-challenge", "/.well-known/acme-challenge/x"),
]


@pytest.mark.parametrize("path", BAD_PATHS)
@pytest.mark.parametrize("place", ["path", "rewrite"])
def test_a_path_that_nginx_could_read_otherwise_is_a_mistake(path: str, place: str) -> None:
    text = f"'{path}'" if '"' in path else f'"{path}"'
    location = f"{text}: {{upstream: web}}" if place == "path" else f"/: {{rewrite: {text}}}"
    fields = f"upstreams: {{web: ['http://a']}}, locations: {{{location}}}"
    (mistake,) = mistakes(f"{SMALLEST}backends: {{app: {{{fields}}}}}")
    assert "is not the path of a location" in mistake.reason


BAD_SERVERS = [
    *("a", "http://", "http://a/", "http://a/x", "http://a:1/x", "ftp://a", "unix:/x", "HTTP://a"),
    *("http://unix:/run/x", "http://a b", "http://a;", "http://a\\n", "http://$a", "http://u@a"),
    *("http://a:0", "http://a:65536", "http://a:99999", "http://a:x", "http://a:", "http://-a"),
    *("http://[::::]:1", "http://[::1", "http://::1", "http://[fe80::1%25lo]", "http://ä.example"),
    *("http://a resolve", "http://a weight=2", "https://a{", "http://*"),
]


@pytest.mark.parametrize("server", BAD_SERVERS)
def test_what_is_no_address_of_a_server_is_a_mistake(server: str) -> None:
    (mistake,) = mistakes(f'{SMALLEST}backends: {{app: {{upstreams: {{web: ["{server}"]}}}}}}')
    assert "is not the address of an upstream server" in mistake.reason


@pytest.mark.parametrize(
    "server",
    ["http://a", "https://a-b.example:65535", "http://10.0.0.1:1", "http://[2001:db8::1]:80"],
)
def test_a_server_is_a_host_and_perhaps_a_port(server: str) -> None:
    (upstream,) = backend(f'upstreams: {{web: ["{server}"]}}').upstreams
    assert upstream.servers == (server,)


@pytest.mark.parametrize("name", ["A", "1", "a b", "a;", "a.b", "", "a" * 42, "ä", "../a"])
def test_names_of_backends_and_upstreams_are_plain_words(name: str) -> None:
    for text in (
        f'backends: {{"{name}": {{upstreams: {{web: ["http://a"]}}}}}}',
        f'backends: {{app: {{upstreams: {{web: ["http://a"], "{name}": ["http://a"]}}}}}}',
    ):
        (mistake,) = mistakes(SMALLEST + text)
        assert "is not a valid name" in mistake.reason
