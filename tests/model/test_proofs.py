"""Names that a challenge cannot prove, and who is to prove them, are told with every mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from proxygen import registry
from proxygen.errors import Mistake, ModelError
from proxygen.host.suffixes import is_public
from proxygen.model.certificate import Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.proofs import ADDRESS_PROFILES
from proxygen.model.reading import Before, read_model
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import DnsSolver, Site
from proxygen.model.sources import Source
from tests.models import source, told


class Words(BaseModel):
    """Settings of a solver of this test's own."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    server: str = Field(description="Where it writes.")


KNOWN: Mapping[str, Mapping[str, type[BaseModel]]] = {
    **{room: words for room, words in registry.settings().items() if room != "solvers"},
    "solvers": {"first": Words, "second": Words},
}


def site(text: str, suffixes: Callable[[str], bool] = is_public, **included: str) -> Site:
    """Return the site of a model, with solvers of this test's own and the real public suffixes."""
    others = [source(f"{name}.yaml", each) for name, each in included.items()]

    def load(mask: str) -> Sequence[Source]:
        return [each for each in others if fnmatchcase(each.name, mask)]

    main = source("proxygen.yaml", text)
    return read_model(main, load, KNOWN, registry.applications(), Before(), suffixes)


def mistakes(text: str, **more: Any) -> list[tuple[str, str, str, str]]:
    """Return place, field, reason and remedy of all that is wrong with a model."""
    with pytest.raises(ModelError) as caught:
        site(text, **more)
    found: tuple[Mistake, ...] = caught.value.mistakes
    return told(*found)


def model(main: str = "", acme: str = "", domain: str | None = None, more: str = "") -> str:
    """Return a model with further fields in its parts; the domain stands in line 4."""
    shown = "" if domain is None else f"  a.example: {{url: www.a.example, {domain}}}"
    return (
        f"global: {{url: mail.example.net, certificate: acme{main}}}\n"
        f"acme: {{terms_of_service_agreed: true{acme}}}\n"
        f"domains:\n{shown}\n{more}\n"
    )


def certificate(found: Site) -> Certificate:
    """Return the certificate of the first domain."""
    wanted = found.domains[0].certificate
    assert wanted
    return wanted


ONE, TWO = "solvers: {ours: {first: {server: x}}}", "{second: {server: y}}"
BOTH = f"{ONE[:-1]}, theirs: {TWO}}}"
WILD = "extra_names: ['*.a.example']"
BY_DNS = "write `challenge: dns-01` for this certificate, with a solver below `solvers`"

# Wildcards.


@pytest.mark.parametrize(
    ("domain", "more"),
    [
        (f"certificate: acme, challenge: dns-01, {WILD}", ONE),
        (f"certificate: acme, challenge: dns-persist-01, {WILD}", ""),
        (f"certificate: acme, {WILD}", f"defaults: {{challenge: dns-01}}\n{ONE}"),
        (f"certificate: {{file: {{certificate: c.pem}}}}, {WILD}", ""),
        (f"certificate: hook, {WILD}", ""),
        (f"certificate: selfsigned, {WILD}", ""),
        (f"certificate: global, {WILD}", ""),
        (WILD, ""),
    ],
)
def test_a_wildcard_is_an_extra_name_where_it_can_be_proven(domain: str, more: str) -> None:
    assert site(model(domain=domain, more=more)).domains[0].names == (
        "www.a.example",
        "*.a.example",
    )


def test_a_wildcard_that_http_cannot_prove_is_told_where_it_stands() -> None:
    reason = "http-01 cannot prove the wildcard *.a.example"
    said = ("domains.a.example.extra_names[1]", reason, BY_DNS)
    names = "extra_names: [b.a.example, '*.A.example.'], certificate: acme"
    assert mistakes(model(domain=names)) == [("proxygen.yaml:4:62", *said)]
    inherited = model(domain=names, acme=", challenge: dns-01", more=ONE).replace(
        "certificate: acme}\n", "certificate: acme, challenge: http-01}\n"
    )
    assert mistakes(inherited) == [("proxygen.yaml:4:62", *said)]
    in_global = model(main=", extra_names: ['*.example.net']")
    assert [each[1] for each in mistakes(in_global)] == ["global.extra_names[0]"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("*", "'*' is not a wildcard: `*` may stand only for the whole first label"),
        ("a.*.b.example", "'a.*.b.example' is not a wildcard: "),
        ("*.*.a.example", "'*.*.a.example' is not a wildcard: "),
        ("a*.a.example", "'a*.a.example' is not a wildcard: "),
        ("**.a.example", "'**.a.example' is not a wildcard: "),
        ("*.com", "'com' has no domain"),
        ("*.192.0.2.1", "'192.0.2.1' is an IP address, not a host name"),
        ("*.", "the host name is empty"),
    ],
)
def test_what_is_no_wildcard_is_a_mistake(name: str, reason: str) -> None:
    ((place, field, said, remedy),) = mistakes(model(domain=f"extra_names: ['{name}']"))
    assert (place, field) == ("proxygen.yaml:4:49", "domains.a.example.extra_names[0]")
    assert said.startswith(reason)
    assert remedy


@pytest.mark.parametrize(
    ("domains", "field"),
    [
        ("'*.a.example': {}", "domains.…"),
        ("a.example: {url: '*.a.example'}", "domains.a.example.url"),
        ("a.example: {url: 'https://*.a.example'}", "domains.a.example.url"),
    ],
)
def test_a_wildcard_is_neither_a_domain_nor_a_url(domains: str, field: str) -> None:
    ((_, told_of, reason, remedy),) = mistakes(
        model(more="").replace("domains:\n", f"domains: {{{domains}}}\n")
    )
    assert (told_of, remedy) == (field, "write it in `extra_names`")
    assert "is a wildcard, not a host name" in reason


def test_two_owners_of_one_wildcard_are_told_whatever_its_spelling() -> None:
    one = "{url: www.a.example, extra_names: ['*.X.example']}"
    two = "{url: www.b.example, extra_names: ['*.x.example.']}"
    domains = f"{{a.example: {one}, b.example: {two}}}"
    ((_, field, reason, _),) = mistakes(model().replace("domains:\n", f"domains: {domains}\n"))
    assert field == "domains.b.example.extra_names[0]"
    assert reason.startswith("*.x.example already belongs to a.example, at proxygen.yaml:")


# Addresses.

SHORTLIVED = ", profile: shortlived"
PRIVATE = ", directory: 'https://ca.example/dir'"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("'2001:DB8:0:0::1'", "2001:db8::1"),
        ("'[2001:db8::1]'", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_an_address_has_one_form(typed: str, name: str) -> None:
    found = site(model(main=f", extra_names: [{typed}]", acme=SHORTLIVED))
    assert found.global_certificate.names == ("mail.example.net", name)


def test_two_spellings_of_an_address_are_one_name() -> None:
    found = site(model(main=", extra_names: ['::1', '0:0::1', '[::1]']", acme=PRIVATE))
    assert found.main.extra_names == ("::1",)


@pytest.mark.parametrize(
    "typed", ["fe80::1%eth0", "[192.0.2.1]", "[::1", "::1]", "192.0.2.256", "192.0.2.01", "1.2.3"]
)
def test_what_is_no_address_is_a_mistake(typed: str) -> None:
    ((_, field, _, remedy),) = mistakes(model(main=f", extra_names: ['{typed}']", acme=PRIVATE))
    assert field == "global.extra_names[0]"
    assert remedy


def test_an_address_is_a_name_of_the_global_url_alone() -> None:
    for certificate_of in ("acme", "selfsigned", "global"):
        domain = f"certificate: {certificate_of}, extra_names: [192.0.2.1]"
        ((place, field, reason, remedy),) = mistakes(model(domain=domain))
        assert place.startswith("proxygen.yaml:4:")
        assert field == "domains.a.example.extra_names[0]"
        assert reason.startswith(
            "192.0.2.1 is an IP address: a client that connects to one sends no name"
        )
        assert remedy == "move it to `extra_names` of `global`"


@pytest.mark.parametrize("field", ["url: 192.0.2.1", "url: 'https://[2001:db8::1]'"])
def test_an_address_is_no_url(field: str) -> None:
    text = "global: {%s, certificate: selfsigned}"
    (found,) = mistakes(text % field)
    assert found[1] == "global.url"


@pytest.mark.parametrize("challenge", ["dns-01", "dns-persist-01"])
def test_an_address_is_proven_over_http_alone(challenge: str) -> None:
    main = f", challenge: {challenge}, extra_names: [192.0.2.1]"
    ((place, field, reason, remedy),) = mistakes(model(main=main, acme=PRIVATE, more=ONE))
    assert (place[:16], field) == ("proxygen.yaml:1:", "global.extra_names[0]")
    assert reason == f"{challenge} cannot prove the IP address 192.0.2.1; only http-01 can"
    assert remedy.startswith("write `challenge: http-01` for this certificate")


@pytest.mark.parametrize("directory", ["letsencrypt", "letsencrypt-staging"])
@pytest.mark.parametrize("profile", ["", ", profile: classic", ", profile: tlsserver"])
def test_lets_encrypt_issues_for_addresses_by_one_profile(directory: str, profile: str) -> None:
    acme = f", directory: {directory}{profile}"
    ((_, field, reason, remedy),) = mistakes(model(main=", extra_names: ['::1']", acme=acme))
    assert field == "global.extra_names[0]"
    assert DIRECTORIES[directory] in reason
    assert "shortlived" in reason
    assert remedy == "write `profile: shortlived` below `acme`, or remove the address"


def test_each_authority_that_refuses_addresses_is_told() -> None:
    fallback = ", fallback: {directory: %s, terms_of_service_agreed: true%s}"
    main = ", extra_names: [192.0.2.1]"
    both = model(main=main, acme=fallback % ("letsencrypt-staging", ""))
    remedies = [each[3].partition(",")[0] for each in mistakes(both)]
    assert remedies == [
        f"write `profile: shortlived` below `{of}`" for of in ("acme", "acme.fallback")
    ]
    second = model(main=main, acme=SHORTLIVED + fallback % ("letsencrypt-staging", ""))
    assert [each[3].partition(",")[0] for each in mistakes(second)] == remedies[1:]
    for right in (("https://ca.example/dir", ""), ("letsencrypt-staging", SHORTLIVED)):
        assert site(model(main=main, acme=SHORTLIVED + fallback % right))


def test_other_authorities_and_other_sources_decide_on_addresses_themselves() -> None:
    assert site(model(main=", extra_names: [192.0.2.1]", acme=PRIVATE))
    for issuer in ("hook", "selfsigned", "{file: {certificate: c.pem}}"):
        text = model(main=", extra_names: [192.0.2.1], challenge: dns-01", more=ONE)
        assert site(text.replace("certificate: acme", f"certificate: {issuer}"))
    assert set(ADDRESS_PROFILES) == set(DIRECTORIES.values())


# Public suffixes.


@pytest.mark.parametrize(
    ("domains", "field", "suffix"),
    [
        ("co.uk: {}", "domains.co.uk", "co.uk"),
        ("CO.UK.: {}", "domains.CO.UK.", "co.uk"),
        ("a.example: {url: co.uk}", "domains.a.example.url", "co.uk"),
        ("a.example: {url: www.a.example, extra_names: [co.uk]}", "…extra_names[0]", "co.uk"),
        ("a.example: {url: www.a.example, extra_names: ['*.co.uk']}", "…extra_names[0]", "co.uk"),
        ("a.example: {url: x.kobe.jp}", "domains.a.example.url", "x.kobe.jp"),
        ("個人.香港: {}", "domains.個人.香港", "xn--gmqw5a.xn--j6w193g"),
    ],
)
def test_a_public_suffix_is_nobodys(domains: str, field: str, suffix: str) -> None:
    ((_, told_of, reason, remedy),) = mistakes(
        model().replace("domains:\n", f"domains: {{{domains}}}\n")
    )
    assert told_of == field.replace("…", "domains.a.example.")
    assert reason.startswith(
        f"{readable_name(suffix)} is a public suffix: anybody can register names"
    )
    assert remedy == f"write the registered domain, such as customer.{suffix}"


def test_where_a_company_lets_names_the_names_and_its_own_are_somebodys() -> None:
    domains = (
        "{github.io: {url: github.io}, x.github.io: {url: x.github.io}, a.co.uk: {url: a.co.uk}}"
    )
    assert len(site(model().replace("domains:\n", f"domains: {domains}\n")).domains) == 3


def test_without_a_list_no_name_is_a_public_suffix() -> None:
    assert site("global: {url: co.uk, certificate: selfsigned}", lambda name: False)
    ((place, field, *_),) = mistakes("global: {url: co.uk, certificate: selfsigned}")
    assert (place, field) == ("proxygen.yaml:1:15", "global.url")


def test_of_a_url_that_was_typed_wrong_nothing_more_is_told() -> None:
    domain = "url: 'a b', skip_preflight: [www.a.example], certificate: acme, challenge: dns-01"
    text = model(domain="").replace("url: www.a.example, ", domain)
    assert [each[1] for each in mistakes(text, suffixes=lambda name: not name)] == [
        "domains.a.example.url"
    ]


# Solvers.


def test_solvers_have_names_of_the_administrators_choice() -> None:
    found = site(model(more=BOTH)).solvers
    assert {name: (each.word, each.settings.server) for name, each in found.items()} == {
        "ours": ("first", "x"),
        "theirs": ("second", "y"),
    }
    assert isinstance(found["ours"], DnsSolver)
    assert str(found["theirs"].origin) == "proxygen.yaml:5:47"


@pytest.mark.parametrize(
    ("solver", "found"),
    [
        ("{first: {server: x}, second: {server: y}}", "this one has 2: first, second"),
        ("{}", "this one has none"),
        ("{first: }", "this one has none"),
    ],
)
def test_a_solver_is_of_one_kind(solver: str, found: str) -> None:
    said = mistakes(model(more=f"solvers: {{ours: {solver}}}"))
    reason = f"a solver has one kind with its settings; {found}"
    remedy = "write one kind, such as `ours: {rfc2136: {…}}`"
    assert said == [("proxygen.yaml:5:17", "solvers.ours", reason, remedy)]


def test_a_wrong_solver_is_told_once_and_not_at_those_that_it_serves() -> None:
    for wrong in ("{third: {server: x}}", "{first: {servr: x}}", "{}", "5", ""):
        domain = f"certificate: acme, solver: ours, challenge: dns-01, {WILD}"
        text = model(domain=domain, more=f"solvers: {{ours: {wrong}}}")
        assert {each[1].partition(".ours")[0] for each in mistakes(text)} == {"solvers"}
        assert {
            each[1].partition(".ours")[0] for each in mistakes(text.replace("solver: ours, ", ""))
        } == {"solvers"}


def test_an_unknown_solver_is_told_where_it_is_named() -> None:
    said = ("unknown solver `our`", "did you mean `ours`?")
    for domain in ("solver: our", "solver: our, certificate: acme, challenge: dns-01"):
        (found,) = mistakes(model(domain=domain, more=ONE))
        assert found[1:] == ("domains.a.example.solver", *said)
    assert mistakes(model(main=", solver: our", more=ONE))[0][1:] == ("global.solver", *said)
    text = model(domain="certificate: acme", more="defaults: {solver: our}")
    place = "proxygen.yaml:5:20"
    assert mistakes(text) == [(place, "defaults.solver", said[0], "add it below `solvers:`")]


def test_dns_without_anybody_who_writes_the_records_is_told_where_dns_is_asked_for() -> None:
    reason = "dns-01 needs a solver that writes the DNS records of {}"
    none = "add one below `solvers:`: `ours: {rfc2136: {…}}`"
    own = model(domain="certificate: acme, challenge: dns-01")
    said = ("domains.a.example.challenge", reason.format("www.a.example"))
    assert mistakes(own) == [("proxygen.yaml:4:65", *said, none)]
    several = mistakes(own + BOTH)
    assert several[0][3] == "write `solver:` for it, or in `defaults`: one of ours, theirs"
    inherited = (
        "global: {url: mail.example.net, certificate: selfsigned}\n"
        "acme: {terms_of_service_agreed: true}\n"
        "defaults: {certificate: acme, challenge: dns-01}\n"
        "domains: {a.example: {url: www.a.example}, b.example: {url: www.b.example}}\n"
    )
    place = "proxygen.yaml:3:42"
    assert mistakes(inherited) == [
        (place, "defaults.challenge", reason.format("www.a.example"), none)
    ]
    everywhere = model(acme=", challenge: dns-01")
    (found,) = mistakes(everywhere)
    assert found[1:3] == ("acme.challenge", reason.format("mail.example.net"))


def test_who_is_not_asked_by_dns_needs_no_solver() -> None:
    assert certificate(site(model(domain="certificate: acme", more=BOTH))).solver is None
    persist = "certificate: acme, challenge: dns-persist-01"
    assert certificate(site(model(domain=persist))).solver is None
    assert site(model(domain="certificate: hook, challenge: dns-01"))


# What holds: what an owner says, else the defaults, else `acme`.


def test_the_only_solver_is_the_one_that_is_meant() -> None:
    wanted = certificate(site(model(domain="certificate: acme, challenge: dns-01", more=ONE)))
    assert (wanted.challenge, wanted.solver) == ("dns-01", "ours")


@pytest.mark.parametrize(
    ("domain", "defaults", "acme", "expected"),
    [
        ("", "", "", ("http-01", None)),
        ("", "", "dns-persist-01", ("dns-persist-01", None)),
        ("", "challenge: http-01", "dns-persist-01", ("http-01", None)),
        ("challenge: dns-01, solver: theirs", "", "", ("dns-01", "theirs")),
        ("challenge: dns-01", "solver: ours", "", ("dns-01", "ours")),
        ("challenge: dns-01, solver: theirs", "solver: ours", "", ("dns-01", "theirs")),
        ("", "solver: ours, challenge: dns-01", "", ("dns-01", "ours")),
        ("challenge: http-01", "solver: ours, challenge: dns-01", "", ("http-01", None)),
    ],
)
def test_what_a_domain_does_not_say_of_its_proof(
    domain: str, defaults: str, acme: str, expected: tuple[str, str | None]
) -> None:
    found = site(
        model(
            main=", challenge: http-01",
            acme=f", challenge: {acme}" if acme else "",
            domain=f"certificate: acme, {domain}",
            more=f"defaults: {{{defaults}}}\n{BOTH}",
        )
    )
    wanted = certificate(found)
    assert (wanted.challenge, wanted.solver) == expected
    assert found.global_certificate.challenge == "http-01"


def test_defaults_do_not_apply_to_the_global_certificate() -> None:
    defaults = "defaults: {challenge: dns-01, strict_names: true, skip_preflight: true}"
    wanted = site(model(more=f"{defaults}\n{ONE}")).global_certificate
    assert (wanted.challenge, wanted.solver) == ("http-01", None)
    assert (wanted.strict, wanted.unchecked) == (False, ())
    said = ", challenge: dns-01, strict_names: true, skip_preflight: [mail.example.net]"
    wanted = site(model(main=said, more=ONE)).global_certificate
    assert (wanted.challenge, wanted.solver) == ("dns-01", "ours")
    assert (wanted.strict, wanted.unchecked) == (True, ("mail.example.net",))


@pytest.mark.parametrize(
    ("domain", "defaults", "strict"),
    [
        ("", "", False),
        ("strict_names: true", "", True),
        ("", "strict_names: true", True),
        ("strict_names: false", "strict_names: true", False),
    ],
)
def test_strict_names(domain: str, defaults: str, *, strict: bool) -> None:
    text = model(domain=f"certificate: acme, {domain}", more=f"defaults: {{{defaults}}}")
    assert certificate(site(text)).strict is strict


ALL = ("www.a.example", "b.a.example")


@pytest.mark.parametrize(
    ("domain", "more", "unchecked"),
    [
        ("", "", ()),
        ("skip_preflight: false", "", ()),
        ("skip_preflight: true", "", ALL),
        ("skip_preflight: []", "", ()),
        ("skip_preflight: [B.a.example.]", "", ALL[1:]),
        ("", "defaults: {skip_preflight: true}", ALL),
        ("", "defaults: {skip_preflight: [b.a.example, other.example]}", ALL[1:]),
        ("skip_preflight: false", "defaults: {skip_preflight: true}", ()),
        ("skip_preflight: []", "defaults: {skip_preflight: true}", ()),
    ],
)
def test_names_that_are_not_checked(domain: str, more: str, unchecked: tuple[str, ...]) -> None:
    names = f"certificate: acme, extra_names: [b.a.example], {domain}"
    assert certificate(site(model(domain=names, more=more))).unchecked == unchecked


def test_without_preflight_no_name_is_checked() -> None:
    found = site(model(acme=", preflight: false", domain="certificate: acme"))
    assert not found.preflight
    assert certificate(found).unchecked == ("www.a.example",)
    assert site(model()).preflight


def test_an_unknown_name_among_those_not_checked_is_told() -> None:
    remedy = "write one of its names, or remove it"
    domain = "skip_preflight: [www.a.example, c.a.example]"
    assert mistakes(model(domain=domain)) == [
        (
            *("proxygen.yaml:4:67", "domains.a.example.skip_preflight[1]"),
            *("c.a.example is not a name of this domain", remedy),
        )
    ]
    ((_, field, reason, _),) = mistakes(model(main=", skip_preflight: [www.a.example]"))
    assert (field, reason) == (
        "global.skip_preflight[0]",
        "www.a.example is not a name of this URL",
    )


@pytest.mark.parametrize(
    ("typed", "reason", "remedy"),
    [
        ("maybe", "a string is not a boolean", "write true or false"),
        ("{}", "an empty mapping is not a boolean", "write true or false"),
        ("[1]", "1 is not a string", "put it in quotes if it is a number, true or false"),
    ],
)
def test_a_wrong_list_of_names_is_told_once(typed: str, reason: str, remedy: str) -> None:
    ((_, _, *said),) = mistakes(model(domain=f"skip_preflight: {typed}"))
    assert said == [reason, remedy]


@pytest.mark.parametrize(
    "field", ["challenge: http-01", "solver: ours", "strict_names: true", "skip_preflight: true"]
)
def test_without_a_url_nothing_is_to_be_proven(field: str) -> None:
    text = model(more=ONE).replace("domains:\n", f"domains: {{a.example: {{{field}}}}}\n")
    ((_, told_of, reason, remedy),) = mistakes(text)
    name = field.partition(":")[0]
    assert told_of == f"domains.a.example.{name}"
    assert reason == "only a domain with a URL of its own can have this field"
    assert remedy == f"add `url`, or remove `{name}`"


def test_a_challenge_that_was_typed_wrong_hides_what_would_follow_from_it() -> None:
    domain = f"certificate: acme, challenge: dns-1, {WILD}"
    for text in (
        model(domain=domain),
        model(domain=f"certificate: acme, {WILD}", acme=", challenge: dns-1"),
        model(domain=f"certificate: acme, {WILD}", more="defaults: {challenge: dns-1}"),
    ):
        ((_, _, reason, remedy),) = mistakes(text)
        assert reason == "'dns-1' is not allowed here"
        assert remedy == "write 'http-01', 'dns-01' or 'dns-persist-01'"


def test_mistakes_in_included_files_are_told_there() -> None:
    text = model(more="include: ['*.yaml']")
    domain = "a.example: {url: www.a.example, certificate: acme, %s}"
    for field, place, of in (
        (WILD, "b.yaml:1:76", "extra_names[0]"),
        ("solver: x", "b.yaml:1:70", "solver"),
        ("challenge: dns-01", "b.yaml:1:73", "challenge"),
        ("skip_preflight: [x.example]", "b.yaml:1:79", "skip_preflight[0]"),
    ):
        (found,) = mistakes(text, b=f"domains: {{{domain % field}}}")
        assert found[:2] == (place, f"domains.a.example.{of}")


# The installation.


def test_addresses_and_resolvers_have_one_form() -> None:
    found = site(
        model(
            more="addresses: [192.0.2.1, '2001:DB8:0::1', '[2001:db8::1]', 192.0.2.1]\n"
            "resolvers: [192.0.2.53, '192.0.2.54:5353', '2001:DB8::53', '[2001:db8:0::54]:53']"
        )
    )
    assert found.addresses == ("192.0.2.1", "2001:db8::1")
    assert found.resolvers == (
        *(("192.0.2.53", 53), ("192.0.2.54", 5353)),
        *(("2001:db8::53", 53), ("2001:db8::54", 53)),
    )
    assert (site(model()).addresses, site(model()).resolvers) == ((), ())


@pytest.mark.parametrize(
    "typed", ["a.example", "192.0.2.0/24", "'[::1'", "fe80::1%eth0", "192.0.2.1:53", "''"]
)
def test_other_addresses_are_mistakes(typed: str) -> None:
    ((_, field, reason, remedy),) = mistakes(model(more=f"addresses: [{typed}]"))
    assert (field, remedy) == ("addresses[0]", "write 192.0.2.1 or 2001:db8::1")
    assert reason.endswith("is not an IP address")


@pytest.mark.parametrize(
    "typed",
    [
        *("ns.example", "ns.example:53", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:x"),
        *("'[::1'", "'::1]'", "'[::1]:'", "fe80::1%eth0", "192.0.2.53/53", "localhost:53", "''"),
    ],
)
def test_other_resolvers_are_mistakes(typed: str) -> None:
    ((_, field, reason, remedy),) = mistakes(model(more=f"resolvers: [{typed}]"))
    assert field == "resolvers[0]"
    assert reason.endswith("is not the address of a name server")
    assert remedy.startswith("write 192.0.2.53, 192.0.2.53:5353 or ")


def test_the_port_that_the_authority_asks_at() -> None:
    assert site(model()).acme.validation_port == 80
    assert site(model(acme=", validation_port: 5002")).acme.validation_port == 5002
    for wrong in (0, 65536):
        ((_, field, *_),) = mistakes(model(acme=f", validation_port: {wrong}"))
        assert field == "acme.validation_port"


def test_what_many_domains_inherit_is_told_once() -> None:
    domains = "".join(
        f"  d{number}.example: {{url: www.d{number}.example}}\n" for number in range(300)
    )
    text = model(more="defaults: {certificate: acme, challenge: dns-01, solver: nobody}")
    assert [each[1] for each in mistakes(text.replace("domains:\n", f"domains:\n{domains}"))] == [
        "defaults.solver"
    ]


BELOW = """
global: {url: mail.example.net, certificate: selfsigned}
acme: {terms_of_service_agreed: true}
solvers: {ours: {first: {server: x}}}
domains:
  victim.example: {url: www.victim.example}
  evil.example:
    url: www.evil.example
    extra_names: [EXTRA]
    certificate: acme
    challenge: CHALLENGE
"""


@pytest.mark.parametrize("challenge", ["dns-01", "dns-persist-01"])
@pytest.mark.parametrize(
    "name", ["victim.example", "'*.victim.example'", "a.b.victim.example", "'*.mail.example.net'"]
)
def test_a_name_of_somebody_else_is_not_proven_by_dns(name: str, challenge: str) -> None:
    (found,) = mistakes(BELOW.replace("EXTRA", name).replace("CHALLENGE", challenge))
    _, field, reason, remedy = found
    assert field == "domains.evil.example.extra_names[0]"
    assert f"{challenge} would prove it for any other domain too" in reason
    assert "write `challenge: http-01` here" in remedy


@pytest.mark.parametrize(
    ("name", "challenge"),
    [("a.victim.example", "http-01"), ("a.evil.example", "dns-01"), ("other.example", "dns-01")],
)
def test_a_name_of_ones_own_or_of_nobody_is_proven_by_dns(name: str, challenge: str) -> None:
    site(BELOW.replace("EXTRA", name).replace("CHALLENGE", challenge))
