"""A model is read whole or refused with every mistake: where, which field, why, what to do."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxygen import registry
from proxygen.errors import MOST_MISTAKES, ModelError
from proxygen.model.certificate import GLOBAL, Authority, KeyType, Secret
from proxygen.model.reading import read_model
from proxygen.model.schema import DIRECTORIES
from proxygen.model.sources import Source, UnreadableFile
from tests.counting import grows_with_the_work
from tests.models import FOLDER, SMALLEST, mistakes, site, source, told

ACME = """\
global: {url: mail.example.net, certificate: acme}
acme: {terms_of_service_agreed: true}
"""
BACKEND = "backends: {app: {upstreams: {web: ['http://10.0.0.1']}}}\n"

# What is read.


def test_lines_of_a_file_that_is_no_model_are_not_shown() -> None:
    found = mistakes("root:$6$salt$hash:19000:0:99999:7:::\n")
    assert "hash" not in "".join(map(str, found))


def test_a_smallest_model() -> None:
    found = site(SMALLEST)
    assert found.main.names == ("mail.example.net",)
    assert found.global_certificate.issuer == "selfsigned"
    assert found.global_certificate.keep_key
    assert (found.domains, dict(found.backends), found.services, found.contact) == (
        (),
        {},
        None,
        None,
    )


def test_the_four_kinds_of_domain() -> None:
    found = site(
        ACME
        + """
domains:
  own.example: {url: https://www.own.example, extra_names: [b.own.example, a.own.example],
                certificate: acme}
  shared.example: {url: www.shared.example}
  none.example: {}
  empty.example:
  file.example: {url: www.file.example, certificate: {file: {certificate: d/c.pem, key: /k.pem}}}
"""
    )
    own, shared, none, empty, supplied = found.domains
    assert own.names == ("www.own.example", "b.own.example", "a.own.example")
    assert own.certificate
    assert own.certificate.names == own.names
    assert own.certificate.authorities == (Authority(DIRECTORIES["letsencrypt"]),)
    assert not own.certificate.keep_key
    assert (shared.names, shared.certificate) == (("www.shared.example",), None)
    assert (none.names, none.host, none.certificate) == ((), None, None)
    assert empty.names == ()
    assert supplied.certificate
    assert supplied.certificate.file
    assert supplied.certificate.file.paths == (FOLDER / "d/c.pem", Path("/k.pem"))


def test_defaults_hold_for_domains_with_a_url_that_say_nothing_else() -> None:
    found = site(
        f"""{ACME}{BACKEND}
defaults: {{certificate: acme, backend: app, contact: it@example.net}}
domains:
  says-nothing.example: {{url: a.says-nothing.example}}
  says-else.example: {{url: a.says-else.example, certificate: global, contact: me@example.org}}
  without-url.example: {{}}
"""
    )
    nothing, otherwise, without = found.domains
    assert nothing.certificate
    assert (nothing.backend, nothing.contact) == ("app", "it@example.net")
    assert (otherwise.certificate, otherwise.contact) == (None, "me@example.org")
    assert (without.certificate, without.backend) == (None, None)


def test_acme_fields_and_secrets_are_references() -> None:
    read = site(
        """\
contact: me@example.net
global: {url: mail.example.net, certificate: acme}
acme:
  directory: https://ca.example/dir
  terms_of_service_agreed: true
  key_type: rsa-3072
  profile: shortlived
  external_account: {key_identifier: kid, hmac_key: "file:secret/hmac"}
  trusted_roots: [root.pem, /etc/root.pem]
  http_port: 8080
"""
    )
    found = read.acme
    assert found.directory == "https://ca.example/dir"
    assert (found.profile, found.http_port) == ("shortlived", 8080)
    assert read.global_certificate.key_type == KeyType.RSA_3072
    assert found.trusted_roots == (FOLDER / "root.pem", Path("/etc/root.pem"))
    assert found.external_account
    assert found.external_account.hmac_key == Secret("file", f"{FOLDER}/secret/hmac")
    assert found.contact == "me@example.net"


def test_services_stand_in_the_order_of_the_model() -> None:
    for names in itertools.permutations(("nginx", "postfix", "dovecot")):
        text = ", ".join(f"{name}: {{}}" for name in names)
        found = site(f"{SMALLEST}services: {{{text}}}")
        assert found.services is not None
        assert tuple(found.services) == names
    assert site(f"{SMALLEST}services: {{}}").services == {}
    assert site(f"{SMALLEST}services: {{nginx: }}").services == {"nginx": None}


def test_included_files_hold_domains_as_the_main_file_does() -> None:
    found = site(
        f"{SMALLEST}include: ['*.yaml']\ndomains: {{a.example: {{}}}}",
        b="domains: {b.example: {url: www.b.example}}",
        c="",
        d="domains: {d.example: {}}",
    )
    assert [owner.key for owner in found.domains] == ["a.example", "b.example", "d.example"]
    assert found.domains[1].origin.file == "b.yaml"


def test_a_glob_that_names_nothing_is_no_mistake() -> None:
    assert site(f"{SMALLEST}include: [domains.d/*.yaml, 'x?', 'y[ab]']").domains == ()


def test_a_file_that_two_globs_name_is_read_once() -> None:
    text = f"{SMALLEST}include: ['*.yaml', b.yaml, '*']"
    assert len(site(text, b="domains: {b.example: {}}").domains) == 1


# What is refused: (text, place, field, reason, remedy).

NAME_REMEDY = "write letters, digits and hyphens, with dots between: host.domain.example"
MAPPING_REMEDY = "write `key: value` lines below the key, or {}"
TOP = (
    "write one of: acme, addresses, backends, contact, defaults, domains, global, include, "
    "language, metrics, notifiers, resolvers, services, solvers"
)
IN_DOMAIN = (
    "write one of: adopt, backend, certificate, challenge, contact, extra_names, key_type, "
    "language, skip_preflight, solver, strict_names, url"
)
SERVER_REMEDY = "write http://HOST:PORT or https://HOST:PORT"

ONE_MISTAKE = [
    ("", "1:1", "", "the file is empty", "begin with `global:`"),
    ("- a", "1:1", "", "this is not a mapping", "begin with `global:`"),
    ("{}", "1:1", "global", "`global` is missing", "add `global:` here"),
    ("global:", "1:8", "global", "an empty value is not a mapping", MAPPING_REMEDY),
    (
        "global: {url: a.example}",
        "1:9",
        "global.certificate",
        "`certificate` is missing",
        "add `certificate:` here",
    ),
    (
        "global: {url: a.example, certificate: [acme]}",
        *(
            "1:39",
            "global.certificate",
            "a list is not allowed here",
            "write 'acme', 'hook' or 'selfsigned'",
        ),
    ),
    (
        "global: {url: a.example, certificate: global}",
        *("1:39", "global.certificate", "'global' is not allowed here"),
        "write 'acme', 'hook' or 'selfsigned'",
    ),
    (
        "global: {url: a.example, certificate: {file: {key: k.pem}}}",
        *(
            "1:46",
            "global.certificate.file.certificate",
            "`certificate` is missing",
            "add `certificate:` here",
        ),
    ),
    (
        "global: {url: 'http://a.example', certificate: selfsigned}",
        *(
            "1:15",
            "global.url",
            "a URL of the model begins with https://, not with `http://`",
            "write https:// and the host name",
        ),
    ),
    (
        "global: {url: a.example, certificate: acme}",
        *("1:39", "acme.terms_of_service_agreed"),
        "a.example wants an ACME certificate, but you have not agreed to the authority's terms of "
        "service",
        "read them at https://letsencrypt.org/repository/, then write "
        "`terms_of_service_agreed: true` below `acme`",
    ),
    (SMALLEST + "domain: {}", "2:1", "domain", "unknown field `domain`", "did you mean `domains`?"),
    (SMALLEST + "xyz: {}", "2:1", "…", "unknown field", TOP),
    (SMALLEST + "domains: [a]", "2:10", "domains", "a list is not a mapping", MAPPING_REMEDY),
    (SMALLEST + "services: [nginx]", "2:11", "services", "a list is not a mapping", MAPPING_REMEDY),
    (
        SMALLEST + "services: nginx",
        *("2:11", "services", "a string is not a mapping", MAPPING_REMEDY),
    ),
    (
        SMALLEST + "services: {ngnix: {}}",
        *("2:12", "services.ngnix", "unknown field `ngnix`", "did you mean `nginx`?"),
    ),
    (SMALLEST + "acme: [1]", "2:7", "acme", "a list is not a mapping", MAPPING_REMEDY),
    (SMALLEST + "defaults: [1]", "2:11", "defaults", "a list is not a mapping", MAPPING_REMEDY),
    (SMALLEST + "backends: [[1]]", "2:11", "backends", "a list is not a mapping", MAPPING_REMEDY),
    (
        SMALLEST + "acme: {terms_of_service_agreed: yes}",
        *("2:33", "acme.terms_of_service_agreed", "'yes' is not a boolean", "write true or false"),
    ),
    (
        SMALLEST + "acme: {http_port: '80'}",
        *("2:19", "acme.http_port", "a string is not a whole number", "write a whole number"),
    ),
    (
        SMALLEST + "acme: {directory: 'http://ca.example'}",
        *("2:19", "acme.directory", "'http://ca.example' is not an ACME directory"),
        "write letsencrypt, letsencrypt-staging, or the https:// URL of a directory",
    ),
    (
        SMALLEST + "acme: {external_account: {key_identifier: k, hmac_key: c2VjcmV0}}",
        *(
            "2:56",
            "acme.external_account.hmac_key",
            "what stands here is not a reference to a secret",
        ),
        "write env:NAME or file:PATH; the model itself holds no secrets",
    ),
    (
        SMALLEST + "contact: nobody",
        *("2:10", "contact", "'nobody' is not a mail address", "write it as name@domain.example"),
    ),
    (
        SMALLEST + "domains:\n  a.example: {urll: b.example}\n",
        *("3:15", "domains.a.example.urll", "unknown field `urll`", "did you mean `url`?"),
    ),
    (
        SMALLEST + "domains: {a.example: {zzz: 1}}",
        *("2:23", "domains.a.example.…", "unknown field", IN_DOMAIN),
    ),
    (
        SMALLEST + "domains: {localhost: {}}",
        *("2:11", "domains.…", "what stands here has no domain"),
        "write it with its domain: host.domain.example",
    ),
    (
        SMALLEST + "domains: {a.example: {url: '*.a.example'}}",
        *("2:28", "domains.a.example.url"),
        *("'*.a.example' is a wildcard, not a host name", "write it in `extra_names`"),
    ),
    (
        SMALLEST + "domains: {a.example: {certificate: selfsigned}}",
        *("2:23", "domains.a.example.certificate"),
        "only a domain with a URL of its own can have this field",
        "add `url`, or remove `certificate`",
    ),
    (
        SMALLEST + "domains: {a.example: {}, A.Example.: {}}",
        *("2:26", "domains.A.Example."),
        "duplicate domain: it stands at proxygen.yaml:2:11 already",
        "keep one of the two",
    ),
    (
        SMALLEST + "defaults: {backend: ap}\n" + BACKEND,
        *("2:21", "defaults.backend", "unknown backend `ap`", "did you mean `app`?"),
    ),
    (
        SMALLEST + "domains: {a.example: {url: www.a.example, backend: x}}",
        *("2:52", "domains.a.example.backend", "unknown backend `x`", "add it below `backends:`"),
    ),
    (
        SMALLEST + "backends: {app: {application: bluemin, upstreams: {web: ['http://a']}}}",
        *("2:31", "backends.app.application", "unknown application `bluemin`"),
        "did you mean `bluemind`?",
    ),
    (
        SMALLEST + "backends: {app: {upstreams: {web: []}}}",
        *("2:35", "backends.app.upstreams.web"),
        "an empty list has too few items",
        "write at least 1 item",
    ),
    (
        SMALLEST + "backends: {app: {upstreams: {other: ['http://a']}}}",
        *("2:29", "backends.app.upstreams", "no location uses any of these upstreams"),
        "rename one of them to web, or add `locations`",
    ),
    (
        SMALLEST + "backends: {app: {upstreams: {web: ['http://a', 'https://a']}}}",
        *(
            "2:35",
            "backends.app.upstreams.web",
            "one upstream has both http:// and https:// servers",
        ),
        "make two upstreams of them",
    ),
    (
        SMALLEST + "backends: {app: {upstreams: {web: ['http://a:99999']}}}",
        *("2:36", "backends.app.upstreams.web[0]"),
        "'http://a:99999' is not the address of an upstream server",
        SERVER_REMEDY,
    ),
    (
        SMALLEST + "include: [x.yaml]",
        *("2:11", "include[0]", "x.yaml does not exist"),
        "create it, or correct the path, which is relative to the folder of this file",
    ),
    (
        SMALLEST + "include: x.yaml",
        *("2:10", "include", "a string is not a list"),
        "write [a, b], or one `- item` a line",
    ),
]


@pytest.mark.parametrize(("text", "place", "field", "reason", "remedy"), ONE_MISTAKE)
def test_a_mistake_is_told_with_place_field_reason_and_remedy(
    text: str, place: str, field: str, reason: str, remedy: str
) -> None:
    assert told(*mistakes(text)) == [(f"proxygen.yaml:{place}", field, reason, remedy)]


LOCATION = SMALLEST + (
    "backends: {app: {upstreams: {web: ['http://a']}, locations: {/: {upstream: web, %s}}}}"
)


@pytest.mark.parametrize(
    "value", ["[1]", "{int: 2}", "true", "x", "1.5", "-1", "20 m", "20x", "9d"]
)
def test_a_wrong_time_is_one_mistake(value: str) -> None:
    (mistake,) = mistakes(LOCATION % f"read_timeout: {value}")
    assert mistake.field == "backends.app.locations./.read_timeout"


@pytest.mark.parametrize(("value", "seconds"), [("90", 90), ("20m", 1200), ("'1H'", 3600)])
def test_a_time_has_a_unit_or_counts_seconds(value: str, seconds: int) -> None:
    (location,) = site(LOCATION % f"read_timeout: {value}").backends["app"].locations
    assert location.read_timeout == seconds


@pytest.mark.parametrize("text", ["[[a]]", "{a: b}", "[999999]", "['[zz]:1']", "443"])
def test_a_wrong_socket_is_a_mistake_and_no_second_one(text: str) -> None:
    (mistake,) = mistakes(f"{SMALLEST}services: {{nginx: {{listen: {{https: {text}}}}}}}")
    assert mistake.field.startswith("services.nginx.listen.https")
    assert "at least" not in mistake.reason


def test_every_mistake_of_all_files_is_told_in_one_run() -> None:
    found = mistakes(
        """\
global: {url: mail.example.net, certificate: selfsigned, urls: x}
contact: nobody
include: ["*.yaml", missing.yaml]
domains:
  a.example: {url: mail.example.net}
  b.example: {url: https://b.example:8443}
""",
        i="domains:\n  c.example: {certficate: acme}\n  a.example: {}\n",
        j="domains: {d.example: &x {}}\n",
        k="domains: [\n",
    )
    assert [str(each.where) for each in found] == [
        "i.yaml:2:15",
        "i.yaml:3:3",
        "j.yaml:1:22",
        "k.yaml:2:1",
        "proxygen.yaml:1:58",
        "proxygen.yaml:2:10",
        "proxygen.yaml:3:21",
        "proxygen.yaml:5:20",
        "proxygen.yaml:6:20",
    ]
    assert all(each.reason and each.remedy for each in found)
    assert "9 mistakes" in str(ModelError(found))
    assert json.loads(json.dumps(ModelError(found).as_json()))["mistakes"][0] == {
        "code": "unknown-field",
        "file": "i.yaml",
        "line": 2,
        "column": 15,
        "field": "domains.c.example.certficate",
        "reason": "unknown field `certficate`",
        "remedy": "did you mean `certificate`?",
    }


def test_an_included_file_cannot_say_more_than_domains() -> None:
    for word in ("global", "acme", "include", "services", "defaults", "backends", "contact"):
        (mistake,) = mistakes(f"{SMALLEST}include: [i.yaml]", i=f"{word}: {{}}")
        assert told(mistake) == [("i.yaml:1:1", "…", "unknown field", "write one of: domains")]


# What is wrong hides nothing else, and tells of nothing that is right.

ELSEWHERE = """
backends: {app: {upstreams: {web: ['http://a']}}}
domains:
  a.example: {url: a.example, extra_names: [imap.example.net]}
  b.example: {url: b.example, extra_names: [a.example], backend: ap}
  c.example: {url: c.example, certificate: acme}
"""
SEEN_ELSEWHERE = [
    "domains.b.example.extra_names[0]",
    "domains.b.example.backend",
    "acme.terms_of_service_agreed",
]


@pytest.mark.parametrize(
    ("broken", "fields"),
    [
        ("global: {url: mail.example.net, certificat: acme}", 2),
        ("global: {url: mail.example.net, certificate: acmee}", 1),
        ("global: {url: mail.example.net, certificate: {file: {key: k.pem}}}", 1),
        ("global: {url: 'http://x', certificate: selfsigned}", 1),
        ("global: {certificate: selfsigned}", 1),
        ("global: {}", 2),
        ("global:", 1),
        ("global: acme", 1),
        ("contact: me@example.net", 1),
        (f"{SMALLEST}acme: {{directory: x, http_port: 0}}", 2),
        (f"{SMALLEST}defaults: {{certificate: acm, backend: [1]}}", 2),
        (f"{SMALLEST}services: {{nginx: {{hsts: x, program: nginx}}}}", 2),
        (f"{SMALLEST}include: 5", 1),
        (f"{SMALLEST}include: [5, {{}}]", 3),
    ],
)
def test_what_is_wrong_at_the_top_hides_no_rule(broken: str, fields: int) -> None:
    found = [each.field for each in mistakes(broken + ELSEWHERE)]
    assert sorted(each for each in found if each in SEEN_ELSEWHERE) == sorted(SEEN_ELSEWHERE)
    others = [each for each in found if each not in SEEN_ELSEWHERE]
    assert len(others) == fields
    assert not {each.partition(".")[0] for each in others} & {"domains", "backends"}


@pytest.mark.parametrize(
    "wrong",
    [
        *("contact: x", "certificate: acm", "certificate: {file: {key: k}}", "backend: [1]"),
        *("extra_names: [www.a.example, 5]", "extra_names: [x, www.a.example]", "unknown: 1"),
        "certificate: [acme]",
    ],
)
def test_a_domain_with_a_wrong_field_keeps_its_other_names(wrong: str) -> None:
    found = mistakes(
        f"""{SMALLEST}
defaults: {{certificate: acme}}
acme: {{terms_of_service_agreed: true}}
domains:
  a.example: {{url: a.example, {wrong}}}
  b.example: {{url: b.example, extra_names: [a.example]}}
"""
    )
    wrong_field, taken = sorted(each.field for each in found)
    assert wrong_field.startswith("domains.a.example.")
    assert taken == "domains.b.example.extra_names[0]"


@pytest.mark.parametrize("url", ["'http://a.example'", "5", "[a.example]"])
def test_a_domain_with_a_wrong_url_keeps_its_extra_names_and_lacks_no_url(url: str) -> None:
    found = mistakes(
        f"""{SMALLEST}
domains:
  a.example: {{url: {url}, extra_names: [x.example], certificate: selfsigned, backend: no}}
  b.example: {{url: {url}}}
  c.example: {{url: x.example}}
"""
    )
    assert [each.field for each in found] == [
        "domains.a.example.url",
        "domains.a.example.backend",
        "domains.b.example.url",
        "domains.c.example.url",
    ]


def test_a_wrong_domain_asks_for_nothing_by_default() -> None:
    text = (
        f"{SMALLEST}defaults: {{certificate: acme}}\ndomains: {{a.example: {{url: a.example, %s}}}}"
    )
    assert [each.field for each in mistakes(text % "certificate: acmee")] == [
        "domains.a.example.certificate"
    ]
    assert len(mistakes(text % "contact: x")) == 2


def test_a_field_that_is_wrong_is_told_once() -> None:
    (terms,) = mistakes(ACME.replace("true", "yes"))
    assert terms.reason == "'yes' is not a boolean"
    (default,) = mistakes(f"{SMALLEST}defaults: {{backend: A B}}")
    assert default.reason == "'A B' is not a valid name"


def test_a_location_with_a_wrong_field_hides_no_other_mistake_of_its_backend() -> None:
    locations = "/: {upstream: web, read_timeout: x}, /a: {upstream: wbe}"
    backend = f"{{upstreams: {{web: ['http://a']}}, locations: {{{locations}}}}}"
    found = mistakes(f"{SMALLEST}backends: {{app: {backend}}}")
    assert [each.field for each in found] == [
        "backends.app.locations./.read_timeout",
        "backends.app.locations./a",
    ]


@pytest.mark.parametrize(
    "backend",
    [
        "upstreams: {web: [x], other: ['http://a']}",
        "upstreams: {web: ['http://a']}, locations: {/: {upstream: [web]}}",
        "upstreams: {other: ['http://a']}, locations: {/: {upstream: X Y}}",
    ],
)
def test_a_wrong_upstream_is_one_mistake_and_its_backend_is_there(backend: str) -> None:
    text = f"{SMALLEST}defaults: {{backend: app}}\nbackends: {{app: {{{backend}}}}}"
    (mistake,) = mistakes(text)
    assert "upstream" in mistake.field


def test_a_file_that_cannot_be_read_hides_nothing() -> None:
    def load(mask: str) -> list[Source | UnreadableFile]:
        return [source("i.yaml", "domain: {}"), UnreadableFile("j.yaml", "Permission denied")]

    main = source("proxygen.yaml", f"{SMALLEST}contact: x\ninclude: ['*.yaml']")
    with pytest.raises(ModelError) as caught:
        read_model(main, load, registry.settings(), registry.applications())
    assert told(*caught.value.mistakes)[2] == (
        "proxygen.yaml:3:11",
        "include[0]",
        "j.yaml cannot be read: Permission denied",
        "make it readable for root, or take it out of `include`",
    )
    assert [each.field for each in caught.value.mistakes] == ["domain", "contact", "include[0]"]


# One name, two owners (rule 8).

SPELLINGS = ("bücher.example", "BÜCHER.Example", "xn--bcher-kva.example", "Xn--Bcher-KVA.example.")


@pytest.mark.parametrize(("first", "second"), [*itertools.product(SPELLINGS, SPELLINGS)])
@pytest.mark.parametrize("swapped", [False, True])
def test_two_owners_for_one_name_in_any_order_and_spelling(
    first: str, second: str, swapped: bool
) -> None:
    lines = [
        f"  a.example: {{url: 'https://{first}'}}",
        f"  b.example: {{url: b.example, extra_names: [x.example, '{second}']}}",
    ]
    if swapped:
        lines.reverse()
    (mistake,) = mistakes(SMALLEST + "domains:\n" + "\n".join(lines))
    earlier, later = ("b.example", "a.example") if swapped else ("a.example", "b.example")
    columns = {"a.example": 20, "b.example": 56}
    assert told(mistake) == [
        (
            f"proxygen.yaml:4:{columns[later]}",
            {"a.example": "domains.a.example.url", "b.example": "domains.b.example.extra_names[1]"}[
                later
            ],
            f"bücher.example (xn--bcher-kva.example) already belongs to {earlier}, "
            f"at proxygen.yaml:3:{columns[earlier]}",
            "remove the name at one of the two places",
        )
    ]


def test_a_domain_cannot_take_a_name_of_the_global_url() -> None:
    text = (
        "global: {url: mail.example.net, extra_names: [Imap.example.net], certificate: selfsigned}"
    )
    for name in ("mail.example.net", "imap.example.net"):
        (mistake,) = mistakes(
            f"{text}\ninclude: [i.yaml]", i=f"domains: {{a.example: {{url: {name}}}}}"
        )
        assert "already belongs to the global URL, at proxygen.yaml:1:" in mistake.reason
        assert mistake.field == "domains.a.example.url"
        assert mistake.where.file == "i.yaml"


def test_a_name_twice_with_the_same_owner_is_one_name() -> None:
    (owner,) = site(
        SMALLEST
        + "domains: {a.example: {url: www.a.example, extra_names: [WWW.a.example, b.a.example]}}"
    ).domains
    assert owner.names == ("www.a.example", "b.a.example")


def test_a_domain_may_be_the_name_of_its_url_and_anothers_is_not_taken() -> None:
    found = site(f"{SMALLEST}domains: {{a.example: {{url: a.example}}, b.example: {{}}}}")
    assert found.domains[0].names == ("a.example",)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_domain_in_two_files_names_both_places(spelling: str) -> None:
    (mistake,) = mistakes(
        f"{SMALLEST}include: ['*.yaml']",
        i="domains: {bücher.example: {}}",
        j=f"domains: {{'{spelling}': {{}}}}",
    )
    assert mistake.where.file == "j.yaml"
    assert mistake.reason == "duplicate domain: it stands at i.yaml:1:11 already"


# Hostile input.


@given(st.text())
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    read_or_refused(text.encode("utf-8", "surrogatepass"))


@given(st.binary())
@settings(max_examples=100, deadline=None)
def test_any_octets_are_read_or_refused(text: bytes) -> None:
    read_or_refused(text)


WORDS = st.sampled_from(
    [
        *("global", "url", "certificate", "acme", "domains", "a.example", "file", "backends"),
        *("upstreams", "web", "locations", "/", "read_timeout", "services", "nginx", "listen"),
        *("https", "defaults", "backend", "include", "x.yaml", "extra_names", "contact", "app"),
        *("selfsigned", "http://a", "proxy_protocol", "from", "external_account", "hmac_key"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=6))
@settings(max_examples=120, deadline=None)
def test_any_shape_of_the_known_words_is_read_or_refused(value: dict[str, object]) -> None:
    base = {"global": {"url": "mail.example.net", "certificate": "acme"}}
    read_or_refused(json.dumps(base | value).encode())
    read_or_refused(json.dumps(value).encode())


def read_or_refused(text: bytes) -> None:
    """See that a main file, and an included one, are read or refused, never anything else."""
    for main, included in ((text, b""), (f"{SMALLEST}include: [i.yaml]".encode(), text)):
        error = refusal(main, included)
        if error is not None:
            assert error.mistakes
            assert all(each.reason and each.remedy for each in error.mistakes)
            assert str(error).replace("\n", "").replace("\t", "").isprintable()


def refusal(main: bytes, included: bytes) -> ModelError | None:
    """Return what is wrong with a model, None when nothing is."""
    try:
        site(main, i=included)
    except ModelError as error:
        return error
    return None


def test_nothing_that_is_quoted_can_steer_a_terminal() -> None:
    evil = "\\e]0;x\\a\\x9b2J\\u202e"
    found = mistakes(
        f'{SMALLEST}include: ["*.yaml", "missing{evil}"]\n"x{evil}": 1\n',
        i=f'domains: {{"{evil}.example": {{}}, a.example: {{url: "{evil}.example"}}}}',
    )
    text = str(ModelError(found))
    assert text.replace("\n", "").isprintable()
    assert "\\x1b]0;x\\x07\\x9b2J\\u202e" in text


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("x{0}: 1", 2_000),
        ("domains{0}: 1", 2_000),
    ],
)
def test_thousands_of_mistakes_in_the_main_file_cost_what_they_are(line: str, count: int) -> None:
    def read(some: int) -> None:
        text = SMALLEST + "\n".join(line.format(number) for number in range(some))
        assert len(mistakes(text)) == min(some, MOST_MISTAKES)

    assert grows_with_the_work(read, count)


NAMES = ", ".join(f"é{number}.example" for number in range(90))


@pytest.mark.parametrize(
    ("line", "count", "expected"),
    [
        ("  d{0}.example: {{urll: 1}}", 2_000, 2_000),
        ("  d{0}_.example: {{}}", 2_000, 2_000),
        ("  d{0}.example: {{url: mail.example.net}}", 2_000, 2_000),
        ("  d{0}.example: {{url: w{0}.example, backend: b{0}}}", 2_000, 2_000),
        ("  d{0}.example: {{url: d{0}.example, extra_names: [" + NAMES + "]}}", 100, 8910),
        ("  d.example: {{}}", 2_000, 1_999),
        ("  d{0}.example: *a", 2_000, 2_000),
    ],
    ids=["field", "name", "owner", "backend", "names", "again", "alias"],
)
def test_thousands_of_mistakes_in_a_customers_file_cost_what_they_are(
    line: str, count: int, expected: int
) -> None:
    backends = ", ".join(
        f"x{number}: {{upstreams: {{web: ['http://a']}}}}" for number in range(500)
    )
    main = f"{SMALLEST}include: [i.yaml]\nbackends: {{{backends}}}"

    def read(some: int) -> int:
        lines = "\n".join(line.format(number) for number in range(some))
        return len(mistakes(main, i=f"domains:\n{lines}"))

    assert read(count) == min(expected, MOST_MISTAKES)
    assert grows_with_the_work(read, count)


def test_many_domains_cost_what_they_are() -> None:
    def read(some: int) -> None:
        lines = "\n".join(f"  d{each}.example: {{url: w{each}.example}}" for each in range(some))
        assert len(site(f"{SMALLEST}include: [i.yaml]", i=f"domains:\n{lines}").domains) == some

    assert grows_with_the_work(read, 4_000)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "a/../b.example", "a\\0.example", GLOBAL]
)
def test_no_domain_is_a_path_or_the_global_owner(name: str) -> None:
    (mistake,) = mistakes(f'{SMALLEST}domains: {{"{name}": {{}}}}')
    assert mistake.where.column == 11


def test_a_model_that_names_no_notifier_tells_nobody() -> None:
    assert dict(site(SMALLEST).notifiers) == {"email": None}
    assert dict(site(f"{SMALLEST}notifiers: {{}}\n").notifiers) == {}
