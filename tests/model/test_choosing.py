"""An included file with a mistake is set aside: its domains stay as they were last right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import pytest

from proxygen import registry
from proxygen.errors import ModelError
from proxygen.model.former import NOTHING, Former, PastModel
from proxygen.model.reading import Before, settle_model
from proxygen.model.site import Site
from proxygen.model.sources import Source, UnreadableFile
from tests.models import source

BACKENDS = "backends: {app: {upstreams: {web: ['http://10.0.0.1']}}}\n"
MAIN = """\
global: {url: mail.example.net, certificate: selfsigned}
acme: {terms_of_service_agreed: true}
include: ["*.d"]
"""


def domain(name: str, more: str = "certificate: acme", host: str = "") -> str:
    """Return an included file with one domain."""
    return f"domains:\n  {name}: {{url: {host or 'www.' + name}, {more}}}\n"


def many(*names: str) -> str:
    """Return an included file with several domains."""
    return "domains:\n" + "".join(f"  {name}: {{url: www.{name}}}\n" for name in names)


@dataclass(slots=True)
class Model:
    """A model that is read, and applied, again and again; None is a file that cannot be read."""

    main: str = MAIN
    files: dict[str, str | None] = field(default_factory=dict)
    former: Former = NOTHING
    before: Before = field(default_factory=Before)
    public: frozenset[str] = frozenset()
    folder_is_there: bool = True

    def load(self, mask: str) -> Sequence[Source | UnreadableFile]:
        """Return what a mask finds."""
        found = sorted(name for name in self.files if fnmatchcase(name, mask))
        texts = [(name, self.files[name]) for name in found]
        return [
            UnreadableFile(name, "Permission denied") if text is None else source(name, text)
            for name, text in texts
        ]

    def read(self, *, confirmed: bool = False) -> Site:
        """Return the site; what is known from before changes nothing of it."""
        past = PastModel(self.former, confirmed, lambda _: self.folder_is_there)
        given = (source("proxygen.yaml", self.main), self.load, registry.settings())
        rest = (registry.applications(),)
        public = self.public.__contains__
        site = settle_model(*given, *rest, self.before, public, past)
        assert site == settle_model(*given, *rest, Before(), public, past)
        return site

    def apply(self, *, confirmed: bool = False, **files: str | None) -> Site:
        """Change files, and apply the model."""
        self.files |= files
        site = self.read(confirmed=confirmed)
        self.former = site.right
        return site


def model(**files: str) -> Model:
    """Return a model with these included files (NAME.d) that was applied."""
    made = Model(files={f"{name}.d": text for name, text in files.items()})
    assert not made.apply().mistakes
    return made


def hosts(site: Site) -> dict[str, str | None]:
    """Return the domains, and the names of their URLs."""
    return {each.key: each.host for each in site.domains}


def aside(site: Site) -> dict[str, list[str]]:
    """Return the files that are set aside, and the fields of their mistakes."""
    return {each.file: [one.field for one in each.mistakes] for each in site.set_aside}


WRONG = {
    "no YAML": "domains: {",
    "not UTF-8": "domains: {b.example: {url: www.b.example}} #\x00",
    "an unknown field": domain("b.example", "nope: 1"),
    "no mapping": "- b",
    "a second document": domain("b.example") + "---\n",
    "an unknown backend": domain("b.example", "backend: nowhere"),
    "an unknown solver": domain("b.example", "certificate: acme, challenge: dns-01, solver: x"),
    "two unknown backends": domain("b.example", "backend: nowhere")
    + "  d.example: {url: www.d.example, backend: either}\n",
    "two unknown fields": domain("b.example", "nope: 1") + "  d.example: {neither: 1}\n",
    "two names of others": domain("b.example", host="www.a.example")
    + "  d.example: {url: mail.example.net}\n",
    "no solver": domain("b.example", "certificate: acme, challenge: dns-01"),
    "a public suffix": domain("b.example", host="co.uk"),
    "a name of the global URL": domain("b.example", host="mail.example.net"),
    "a certificate without a URL": "domains: {b.example: {certificate: acme}}",
    "a wildcard by http-01": domain("b.example", "certificate: acme, extra_names: ['*.b.example']"),
    "another's name": domain("b.example", host="www.a.example"),
    "another's domain": many("b.example", "a.example"),
    "a domain twice": many("b.example", "b.example"),
    "a name twice": many("b.example") + "  c.example: {url: www.b.example}\n",
    "more than a global name": "global: {url: x.example, certificate: selfsigned}",
    "cannot be read": None,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mistake_sets_its_file_aside_and_nothing_else(wrong: str) -> None:
    made = model(a=many("a.example"), b=domain("b.example"), c=many("c.example"))
    made.public = frozenset({"co.uk"})
    site = made.apply(**{"b.d": WRONG[wrong], "c.d": many("c.example", "new.example")})
    assert list(aside(site)) == ["b.d"]
    assert site.set_aside[0].kept == ("b.example",)
    assert hosts(site) == {
        name: f"www.{name}" for name in ("a.example", "b.example", "c.example", "new.example")
    }
    assert site.mistakes == site.set_aside[0].mistakes
    assert not made.apply(**{"b.d": domain("b.example", host="x.b.example")}).set_aside
    assert hosts(made.read())["b.example"] == "x.b.example"


@pytest.mark.parametrize("wrong", WRONG)
def test_what_never_was_right_is_not_there(wrong: str) -> None:
    made = Model(files={"a.d": many("a.example"), "b.d": WRONG[wrong]}, public=frozenset({"co.uk"}))
    site = made.apply()
    assert list(aside(site)) == ["b.d"]
    assert site.set_aside[0].kept == ()
    assert hosts(site) == {"a.example": "www.a.example"}


def test_a_mistake_in_the_main_file_stops_everything_and_all_are_told() -> None:
    made = model(a=many("a.example"))
    made.main += "nope: 1\n"
    made.files["a.d"] = domain("a.example", "nope: 2")
    with pytest.raises(ModelError) as caught:
        made.read()
    assert [each.where.file for each in caught.value.mistakes] == ["a.d", "proxygen.yaml"]


def test_what_is_not_said_by_the_main_file_is_no_mistake_of_it() -> None:
    made = Model(MAIN.replace("acme: {terms_of_service_agreed: true}\n", ""))
    site = made.apply(
        **{"a.d": domain("a.example"), "b.d": domain("b.example"), "c.d": many("c.example")}
    )
    assert list(aside(site)) == ["a.d", "b.d"]
    made = Model(MAIN.replace("true", "false"))
    assert list(aside(made.apply(**{"a.d": domain("a.example")}))) == ["a.d"]


def test_a_name_stays_with_the_file_that_had_it() -> None:
    made = model(z=many("shared.example"))
    site = made.apply(**{"a.d": many("shared.example", "a.example")})
    assert aside(site) == {"a.d": ["domains.shared.example", "domains.shared.example.url"]}
    assert "z.d:2" in site.mistakes[0].reason
    assert site.domains[0].origin.file == "z.d"


def test_a_name_that_nobody_had_is_the_first_files() -> None:
    made = Model(files={"z.d": many("shared.example"), "a.d": many("shared.example")})
    site = made.apply()
    assert list(aside(site)) == ["z.d"]
    assert "a.d:2" in site.mistakes[0].reason
    assert list(aside(made.read())) == ["z.d"]


def test_a_name_moves_to_another_file_in_one_change() -> None:
    made = model(z=many("one.example", "two.example"), a=many("three.example"))
    site = made.apply(**{"z.d": many("one.example"), "a.d": many("two.example", "three.example")})
    assert not site.mistakes
    assert len(site.domains) == 3


def test_a_name_does_not_move_from_a_file_that_is_wrong() -> None:
    made = model(z=many("one.example", "two.example"), a=many("three.example"))
    site = made.apply(**{"z.d": "domains: {", "a.d": many("two.example", "three.example")})
    assert list(aside(site)) == ["a.d", "z.d"]
    assert set(hosts(site)) == {"one.example", "two.example", "three.example"}


def test_a_ring_of_names_that_change_hands_with_one_wrong_file_stays_as_it_was() -> None:
    count = 400
    names = [f"d{number}.example" for number in range(count)]
    made = model(**{f"f{number:03}": many(names[number]) for number in range(count)})
    moved = {f"f{n:03}.d": many(names[(n + 1) % count]) for n in range(count)}
    assert not made.read().mistakes
    made.files |= moved
    assert not made.read().mistakes
    made.files["f007.d"] = "domains: {"
    site = made.read()
    assert len(site.set_aside) == count
    assert set(hosts(site)) == set(names)
    assert not any(each.lost for each in site.set_aside)


def test_a_copy_of_a_whole_folder_is_set_aside() -> None:
    names = [f"d{number}.example" for number in range(400)]
    made = model(**{f"m{name}": many(name) for name in names})
    site = made.apply(**{f"a{name}.d": many(name) for name in names})
    assert len(site.set_aside) == 400
    assert {each.origin.file[0] for each in site.domains} == {"m"}


def test_the_main_file_has_a_domain_that_an_included_one_has_too() -> None:
    made = model(a=many("a.example", "b.example"))
    made.main += "domains: {a.example: {url: new.a.example}}\n"
    site = made.apply()
    assert aside(site) == {"a.d": ["domains.a.example"]}
    assert hosts(site) == {"a.example": "new.a.example", "b.example": "www.b.example"}


def test_the_main_file_takes_no_name_that_an_included_one_had() -> None:
    made = model(a=many("a.example"))
    made.main += "domains: {other.example: {url: www.a.example}}\n"
    with pytest.raises(ModelError) as caught:
        made.read()
    assert "proxygen.yaml" in {each.where.file for each in caught.value.mistakes}


def test_what_the_main_file_no_longer_has_is_its_mistake_where_a_file_was_right() -> None:
    made = Model(MAIN + BACKENDS, {"a.d": domain("a.example", "backend: app")})
    assert not made.apply().mistakes
    made.main = MAIN
    with pytest.raises(ModelError, match="unknown backend"):
        made.read()


def test_who_puts_a_domain_above_anothers_names_is_set_aside() -> None:
    dns = "certificate: acme, challenge: dns-01, extra_names: [www.above.example]"
    made = Model(
        MAIN + "solvers: {ours: {exec: {program: /p}}}\n", {"a.d": domain("a.example", dns)}
    )
    assert not made.apply().mistakes
    site = made.apply(**{"b.d": many("above.example")})
    assert list(aside(site)) == ["b.d"]
    assert "a.d:2" in site.mistakes[0].reason


@pytest.mark.parametrize("text", [None, "domains: {", "# the same\n"])
def test_who_is_set_aside_for_something_else_is_at_fault_alone(text: str | None) -> None:
    dns = domain(
        "b.example", "certificate: acme, challenge: dns-01, extra_names: [x.above.example]"
    )
    main = MAIN + BACKENDS + "solvers: {ours: {exec: {program: /p}}}\n"
    made = Model(main, {"a.d": many("a.example"), "b.d": dns})
    assert not made.apply().mistakes
    made.main += "# changed\n"
    made.files["b.d"] = text + dns if text and text.startswith("#") else text
    wrong = many("a.example", "above.example") + "  c.example: {url: c.example, backend: no}\n"
    site = made.apply(**{"a.d": wrong})
    assert hosts(site).keys() == {"a.example", "b.example"}
    assert not any(each.lost for each in site.set_aside)
    assert "a.d" in aside(site)


def test_other_rules_of_ours_take_nothing_from_a_file_that_was_right() -> None:
    made = model(a=many("a.example", "b.example"))
    made.public = frozenset({"a.example"})
    site = made.apply()
    assert list(aside(site)) == ["a.d"]
    assert site.set_aside[0].kept == ("a.example", "b.example")
    assert len(site.domains) == 2


@pytest.mark.parametrize("text", [domain("a.example", "nope: 1"), domain("a.example", "url: 3")])
def test_a_files_own_mistake_that_was_right_once_stops_nobody(text: str) -> None:
    made = model(a=domain("a.example"), b=many("b.example"))
    files = {
        place: replace(each, source=replace(each.source, text=text.encode()))
        for place, each in made.former.files.items()
        if each.source.name == "a.d"
    }
    made.former = replace(made.former, files={**made.former.files, **files})
    made.files["a.d"] = text
    made.main += "# changed\n"
    site = made.apply(**{"b.d": many("b.example", "c.example")})
    assert list(aside(site)) == ["a.d"]
    assert {"b.example", "c.example"} <= set(hosts(site))


def test_a_mask_that_leads_past_too_much_takes_nothing_away() -> None:
    made = model(a=many("a.example"), b=many("b.example"))
    load = made.load
    whole = UnreadableFile(
        "/etc/*.d", "the folders that it searches hold more than 250,000 names", whole=True
    )
    past = PastModel(made.former)
    main = source("proxygen.yaml", made.main)
    site = settle_model(
        main, lambda _: [whole], registry.settings(), registry.applications(), past=past
    )
    assert load("*.d")
    assert set(hosts(site)) == {"a.example", "b.example"}
    assert site.set_aside[0].kept == ("a.example", "b.example")


BOUNDED = MAIN.replace('["*.d"]', '[{files: "*.d", certificates: certs/}]')


@pytest.mark.parametrize(
    "files",
    [
        "{certificate: /etc/other.pem}",
        "{certificate: certs/../other.pem}",
        "{certificate: certs/c.pem, key: ../k.pem}",
        "{certificate: certs/c.pem, chain: certs2/c.pem}",
        "{certificate: certs/c.pem, password: 'file:/etc/shadow'}",
    ],
)
def test_what_an_included_file_may_name_is_bounded(files: str) -> None:
    made = Model(BOUNDED, {"a.d": domain("a.example", f"certificate: {{file: {files}}}")})
    (mistake,) = made.apply().mistakes
    assert mistake.field.startswith("domains.a.example.certificate.file.")
    assert "/etc/proxygen/certs" in mistake.remedy


@pytest.mark.parametrize("field", ["certificate", "key"])
def test_a_certificate_to_adopt_stands_in_the_bound_as_well(field: str) -> None:
    named = {"certificate": "certs/c.pem", "key": "certs/k.pem"} | {field: "/etc/x/y.pem"}
    text = ", ".join(f"{key}: {path}" for key, path in named.items())
    made = Model(BOUNDED, {"a.d": domain("a.example", f"adopt: {{{text}}}")})
    (mistake,) = made.apply().mistakes
    assert mistake.field == f"domains.a.example.adopt.{field}"
    assert "/etc/proxygen/certs" in mistake.remedy


def test_what_stands_in_the_bound_is_right() -> None:
    files = "{certificate: certs/./a/../c.pem, password: 'file:certs/p'}"
    made = Model(BOUNDED, {"a.d": domain("a.example", f"certificate: {{file: {files}}}")})
    site = made.apply()
    assert not site.mistakes
    wanted = site.domains[0].certificate
    assert wanted
    assert wanted.file
    assert str(wanted.file.within) == "/etc/proxygen/certs"
    assert not site.unbounded
