"""A removal that may be an accident is held back, until it is over or a person confirms it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxygen.errors import ModelError
from proxygen.model.certificate import Certificate
from proxygen.model.former import FormerFile, Why
from proxygen.model.site import Owner, Site
from tests.model.test_choosing import BACKENDS, MAIN, Model, domain, hosts, many, model
from tests.models import source

TEN = [f"d{number}.example" for number in range(10)]
NAMES = [f"n{number:02}.example" for number in range(60)]


def held(made: Model) -> dict[str, tuple[int, Why]]:
    """Return by file how many domains are held back, and why."""
    return {each.file: (len(each.domains), each.why) for each in made.read().held_back}


def test_a_file_that_is_being_written_takes_nothing_away() -> None:
    made = model(a=many(*TEN), b=many("b.example"))
    for text in ("", "# soon\n", "domains:\n", "domains: {}\n"):
        site = made.apply(**{"a.d": text, "b.d": many("b.example", "c.example")})
        assert held(made) == {"a.d": (10, Why.EMPTY)}
        assert set(hosts(site)) == {*TEN, "b.example", "c.example"}
    assert not made.apply(**{"a.d": many(*TEN)}).held_back


def test_one_domain_of_a_file_that_has_none_is_held_back_too() -> None:
    made = model(a=many("a.example"), b=many("b.example"))
    made.files["a.d"] = ""
    assert held(made) == {"a.d": (1, Why.EMPTY)}


def test_a_file_cut_short_loses_nothing() -> None:
    made = model(a=many(*NAMES))
    made.apply(**{"a.d": many(*NAMES[:40])})
    assert held(made) == {"a.d": (20, Why.MANY)}
    assert set(hosts(made.read())) == set(NAMES)


@pytest.mark.parametrize(
    ("total", "gone", "many_"), [(10, 5, 0), (10, 6, 6), (60, 6, 0), (60, 7, 7)]
)
def test_more_than_five_and_more_than_a_tenth(total: int, gone: int, many_: int) -> None:
    made = model(a=many(*NAMES[:total]))
    site = made.apply(**{"a.d": many(*NAMES[gone:total])})
    assert sum(len(each.domains) for each in site.held_back) == many_
    assert len(site.domains) == total - gone + many_


def test_domains_of_the_main_file_are_held_back_too() -> None:
    made = Model(MAIN + many(*NAMES))
    made.apply()
    made.main = MAIN + many(*NAMES[:20], "new.example")
    site = made.apply()
    assert held(made) == {"proxygen.yaml": (40, Why.MANY)}
    assert len(site.domains) == 61
    made.apply(confirmed=True)
    assert len(made.read().domains) == 21


def test_a_mask_that_finds_nothing_any_more_takes_nothing_away() -> None:
    made = model(a=many("a.example"), b=many("b.example"))
    made.files.clear()
    made.apply()
    assert held(made) == {"a.d": (1, Why.NO_FILES), "b.d": (1, Why.NO_FILES)}
    assert set(hosts(made.read())) == {"a.example", "b.example"}
    assert not made.apply(confirmed=True).domains
    assert not made.read().held_back


def test_one_customer_leaves_without_a_question() -> None:
    made = model(a=many("a.example"), b=many("b.example"))
    del made.files["a.d"]
    assert set(hosts(made.apply())) == {"b.example"}
    del made.files["b.d"]
    made.folder_is_there = False
    assert held(made) == {"b.d": (1, Why.NO_FILES)}
    made.folder_is_there = True
    assert not made.apply().domains


def test_a_few_domains_go_with_their_file() -> None:
    made = model(a=many("a.example", "b.example", "c.example"), z=many("z.example"))
    del made.files["a.d"]
    assert set(hosts(made.apply())) == {"z.example"}


def test_a_file_that_is_renamed_loses_nothing() -> None:
    made = model(a=many(*TEN), z=many("z.example"))
    made.files["b.d"] = made.files.pop("a.d")
    assert not made.apply().held_back
    assert len(made.read().domains) == 11


def test_a_domain_that_loses_its_name_goes() -> None:
    made = model(a=many(*TEN))
    made.apply(**{"a.d": "domains:\n" + "".join(f"  {name}: {{}}\n" for name in TEN)})
    assert held(made) == {"a.d": (10, Why.MANY)}
    assert hosts(made.read())["d1.example"] == "www.d1.example"


def test_what_was_held_back_stays_so_until_all_of_it_is_back() -> None:
    made = model(a=many(*TEN), b=many(*NAMES))
    made.apply(**{"a.d": many(TEN[0])})
    assert held(made) == {"a.d": (9, Why.MANY)}
    for count in range(2, 10):
        made.apply(**{"a.d": many(*TEN[:count])})
        assert held(made) == {"a.d": (10 - count, Why.MANY)}
    assert not made.apply(**{"a.d": many(*TEN)}).held_back


def test_what_is_confirmed_is_the_new_beginning() -> None:
    made = model(a=many(*TEN), b=many(*NAMES))
    made.apply(**{"a.d": ""})
    made.apply(confirmed=True)
    assert not made.read().held_back
    assert set(hosts(made.read())) == set(NAMES)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("taker", ["in a new file", "in one that is there", "as an extra name"])
def test_a_name_that_is_held_back_is_not_taken(later: bool, taker: str) -> None:
    made = model(a=many(*TEN), c=many("c.example"))
    made.files["a.d"] = many("x.example")
    if later:
        made.apply()
    new = domain("y.example", host="www.d1.example")
    if taker == "in one that is there":
        made.files["c.d"] = many("c.example") + new.partition("\n")[2]
    elif taker == "as an extra name":
        made.files["b.d"] = domain("y.example", "extra_names: [www.d1.example]")
    else:
        made.files["b.d"] = new
    for _ in range(2):
        site = made.apply()
        assert held(made) == {"a.d": (10, Why.MANY)}
        (told,) = site.set_aside
        assert "already belongs to d1.example, at a.d (held back):" in told.mistakes[0].reason
        assert hosts(site).keys() == {*TEN, "x.example", "c.example"}
        assert hosts(site)["d1.example"] == "www.d1.example"
    made.apply(confirmed=True)
    assert hosts(made.read()).keys() == {"x.example", "y.example", "c.example"}
    assert not made.read().set_aside


def test_a_name_that_is_held_back_is_not_taken_by_the_main_file() -> None:
    made = model(a=many(*TEN))
    made.apply(**{"a.d": ""})
    for taking in (many("x.example").replace("www.x", "www.d1"), ""):
        names = "" if taking else ", extra_names: [www.d1.example]"
        made.main = MAIN.replace("selfsigned", "selfsigned" + names) + taking
        with pytest.raises(ModelError) as caught:
            made.read()
        assert "this takes something from a.d (held back):3:21" in caught.value.mistakes[0].reason
        assert "--confirm-removal" in caught.value.mistakes[0].remedy
        assert "d1.example" not in hosts(made.read(confirmed=True))


def test_who_puts_a_domain_above_held_names_is_set_aside() -> None:
    dns = "certificate: acme, challenge: dns-01, extra_names: [www.above.example]"
    main = MAIN + "solvers: {ours: {exec: {program: /p}}}\n"
    made = Model(main, {"a.d": domain("a.example", dns), "b.d": many("b.example")})
    made.apply()
    site = made.apply(**{"a.d": "", "b.d": many("b.example", "above.example")})
    assert [each.file for each in site.set_aside] == ["b.d"]
    assert held(made) == {"a.d": (1, Why.EMPTY)}
    assert not site.held_back[0].lost
    mine = domain("new.example", "certificate: acme, challenge: dns-01", host="x.a.example")
    site = made.apply(**{"b.d": many("b.example"), "c.d": mine})
    assert [each.file for each in site.set_aside] == ["c.d"]


def renamed(text: str, old: str, new: str) -> str:
    """Return a file in which a domain is called otherwise, with the names that it had."""
    return text.replace(f"  {old}:", f"  {new}:")


SINGLE = {f"s{number}": many(f"s{number}.example") for number in range(8)}


@pytest.mark.parametrize(
    ("before", "steps"),
    [
        pytest.param(
            {"a": many(*TEN)},
            [{"a.d": None, "b.d": many(*TEN)}],
            id="a file is renamed",
        ),
        pytest.param(
            SINGLE,
            [{**{f"{k}.d": None for k in SINGLE}, **{f"t{k}.d": v for k, v in SINGLE.items()}}],
            id="all files are renamed",
        ),
        pytest.param(
            {"a": many(*TEN), "b": many("b.example")},
            [{"a.d": many(*TEN[1:]), "b.d": many("b.example", TEN[0])}],
            id="a domain moves",
        ),
        pytest.param(
            {"a": many(*TEN), "b": many("b.example")},
            [{"a.d": many(*TEN[1:])}, {"b.d": many("b.example", TEN[0])}],
            id="a domain moves in two steps",
        ),
        pytest.param(
            {"a": many(*TEN), "b": many("b.example")},
            [{"a.d": many(TEN[0]), "b.d": many("b.example", *TEN[1:])}],
            id="many domains move",
        ),
        pytest.param(
            {"a": many(*TEN), "b": many("b.example")},
            [{"b.d": many("b.example", *TEN)}, {"a.d": None}],
            id="all are copied first, the old file goes then",
        ),
        pytest.param(
            {"a": many(*TEN), "b": many("b.example")},
            [{"a.d": renamed(many(*TEN), TEN[0], "new.example")}],
            id="a domain is called otherwise",
        ),
        pytest.param(
            {"a": many("a.example")},
            [{"a.d": renamed(many("a.example"), "a.example", "new.example")}],
            id="the only domain is called otherwise",
        ),
        pytest.param(
            {"a": many(*TEN)},
            [{"a.d": many(*TEN).replace("  d", "  e")}],
            id="all domains of a file are called otherwise",
        ),
        pytest.param(
            {"a": many("a.example", "b.example"), "c": many("c.example")},
            [{"a.d": many("a.example"), "c.d": domain("c.example", host="www.b.example")}],
            id="one customer takes over the name of another who leaves",
        ),
    ],
)
def test_a_move_needs_no_confirmation(
    before: dict[str, str], steps: list[dict[str, str | None]]
) -> None:
    made = model(**before)
    names = set(filter(None, hosts(made.read()).values())) - {"www.c.example"}
    for step in steps:
        for name, text in step.items():
            if text is None:
                del made.files[name]
            else:
                made.files[name] = text
        assert not made.apply().held_back
    site = made.apply()
    assert not site.set_aside
    assert set(hosts(site).values()) == names


def test_what_moves_in_two_steps_is_held_back_in_between() -> None:
    made = model(a=many(*TEN), b=many("b.example"))
    del made.files["a.d"]
    assert len(made.apply().domains) == 11
    assert held(made) == {"a.d": (10, Why.MANY)}
    site = made.apply(**{"c.d": many(*TEN)})
    assert not site.held_back
    assert not site.set_aside
    assert len(site.domains) == 11


def test_what_a_command_removes_on_purpose_is_not_held_back() -> None:
    made = model(a=many(*TEN), b=many(*NAMES))
    files = {
        place: replace(each, released=frozenset(TEN)) for place, each in made.former.files.items()
    }
    made.former = replace(made.former, files=files)
    assert not made.apply(**{"a.d": ""}).held_back
    assert set(hosts(made.read())) == set(NAMES)


NEEDED = """\
defaults: {backend: app, certificate: acme, challenge: dns-01, solver: ours, contact: c@example.net}
backends: {app: {upstreams: {web: ['http://h']}}, own: {upstreams: {web: ['http://i']}}}
solvers: {ours: {exec: {program: /p}}, mine: {exec: {program: /q}}}
language: de
acme: {terms_of_service_agreed: true, directory: letsencrypt-staging, key_type: rsa-4096}
"""
KINDS = ("", "backend: own, certificate: selfsigned", "solver: mine", "certificate: {file: {%s}}")
NEEDING = "domains:\n" + "".join(
    f"  d{number}.example: {{url: d{number}.example, {kind % 'certificate: certs/d.pem'}}}\n"
    if "%" in kind
    else f"  d{number}.example: {{url: d{number}.example, {kind}}}\n"
    for number, kind in enumerate(KINDS * 3)
)
OURS = MAIN.partition("\n")[0] + "\n"
BOUNDED = "include: [{files: '*.d', certificates: certs/}]\n"


def as_built(site: Site) -> dict[str, tuple[Owner, Certificate | None]]:
    """Return the domains and their certificates, wherever they stand."""
    found = {}
    for each in site.domains:
        nowhere, wanted = site.main.origin, each.certificate
        if wanted:
            file = wanted.file and replace(wanted.file, origin=nowhere)
            wanted = replace(wanted, origin=nowhere, file=file)
        found[each.key] = replace(each, certificate=None, origin=nowhere), wanted
    return found


@pytest.mark.parametrize("where", ["an included file", "the main file", "a folder"])
def test_what_is_held_back_stays_with_all_that_it_needs(where: str) -> None:
    more = NEEDING if where == "the main file" else ""
    made = Model(OURS + BOUNDED + NEEDED + more)
    if not more:
        made.files["a.d"] = NEEDING
    first = made.apply()
    assert not first.mistakes
    made.main = OURS + ("" if where == "a folder" else BOUNDED)
    made.files.clear()
    if where == "an included file":
        made.files["a.d"] = ""
    for count in range(4):
        site = made.apply(**{"b.d": many(*NAMES[: count + 1])})
        (told,) = site.held_back
        assert (len(told.domains), told.lost) == (12, ())
        after = as_built(site)
        assert (NAMES[count] in after) is not (where == "a folder")
        assert {key: each for key, each in after.items() if key not in NAMES} == as_built(first)
        assert site.backends.keys() == {"app", "own"}
        assert site.solvers.keys() == {"ours", "mine"}
        assert [each.directory for each in site.authorities] == [
            each.directory for each in first.authorities
        ]
    site = made.apply(confirmed=True)
    assert not site.backends
    assert made.former.main == FormerFile(source("proxygen.yaml", made.main))


def test_what_the_main_file_says_now_holds_for_what_is_held_back_too() -> None:
    made = Model(OURS + BOUNDED + NEEDED, {"a.d": NEEDING})
    made.apply()
    made.main = OURS + BOUNDED + NEEDED.replace("http://i", "http://new").replace("-staging", "")
    made.main = made.main.replace("c@example.net", "d@example.net")
    site = made.apply(**{"a.d": ""})
    assert len(site.held_back) == 1
    assert {each.contact for each in site.domains} == {"d@example.net"}
    assert site.backends["own"].upstreams[0].servers == ("http://new",)
    asked = {one.directory for each in site.certificates for one in each.authorities}
    assert asked == {each.directory for each in site.authorities}
    assert not any("staging" in each for each in asked)


def test_what_is_held_back_and_wants_what_is_refused_by_now_is_not_there() -> None:
    made = Model(OURS + BOUNDED + NEEDED, {"a.d": NEEDING})
    made.apply()
    made.main = OURS + BOUNDED + NEEDED.replace("agreed: true", "agreed: false")
    for _ in range(2):
        site = made.apply(**{"a.d": "", "b.d": "domains: {b.example: {}}"})
        (told,) = site.held_back
        assert len(told.domains) == 12
        assert told.lost == tuple(f"d{n}.example" for n in range(12) if n % 4 in (0, 2))
        assert "not served, as what they need is gone: d0.example" in str(told)
        assert len(site.domains) == 7
    made.main = OURS + BOUNDED + NEEDED
    assert len(made.apply().domains) == 13


def test_a_backend_that_nothing_needs_does_not_stay() -> None:
    made = Model(OURS + BOUNDED + BACKENDS, {"a.d": many(*TEN), "b.d": many("b.example")})
    made.apply()
    made.main = OURS + BOUNDED
    site = made.apply(**{"a.d": ""})
    assert held(made) == {"a.d": (10, Why.EMPTY)}
    assert not site.backends


def test_a_file_that_names_what_is_only_held_back_is_wrong() -> None:
    made = Model(OURS + BOUNDED + NEEDED, {"a.d": NEEDING})
    made.apply()
    made.main = OURS + BOUNDED
    site = made.apply(**{"a.d": "", "b.d": domain("b.example", "backend: own")})
    assert [each.file for each in site.set_aside] == ["b.d"]
    assert len(site.domains) == 12


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("a.example: {url: a.example, backend: own}", 1),
        ("a.example: {url: a.example, challenge: dns-01, certificate: acme, solver: mine}", 1),
        ("a.example: {url: a.example, challenge: dns-01, certificate: acme}", 1),
        ("a.example: {url: a.example, certificate: acme}", 1),
        ("a.example: {url: a.example}", 0),
    ],
)
@pytest.mark.parametrize("wrong", ["domains: {", None])
def test_a_file_that_is_set_aside_loses_only_what_does_not_fit(
    text: str, lost: int, wrong: str | None
) -> None:
    words = "defaults: {solver: ours}\n" + NEEDED.partition("\n")[2]
    made = Model(OURS + BOUNDED + words, {"a.d": f"domains:\n  {text}\n  z.example: {{}}\n"})
    assert not made.apply().mistakes
    made.main = OURS + BOUNDED
    made.files["a.d"] = wrong
    for count in range(3):
        site = made.apply(**{"b.d": f"domains: {{n{count}.example: {{}}}}"})
        (told,) = site.set_aside
        assert (told.file, told.lost) == ("a.d", ("a.example",) * lost)
        assert f"n{count}.example" in hosts(site)
        assert ("a.example" in hosts(site)) is not bool(lost)
        assert "z.example" in hosts(site)
        assert len(told.mistakes) > lost
    made.files["a.d"] = f"domains:\n  {text}\n  z.example: {{}}\n"
    for more in ("", "", "# changed\n", ""):
        made.main += more
        site = made.apply()
        assert [each.lost for each in site.set_aside] == [("a.example",)] * lost
        assert "z.example" in hosts(site)
    made.main = OURS + BOUNDED + words
    assert "a.example" in hosts(made.apply())


@pytest.mark.parametrize("wrong", ["domains: {", None])
def test_what_only_a_file_that_is_set_aside_wanted_stops_nobody(wrong: str | None) -> None:
    made = Model(OURS + BOUNDED + NEEDED, {"a.d": "domains: {a.example: {url: a.example}}"})
    assert not made.apply().mistakes
    made.main = OURS + BOUNDED + "defaults: {certificate: acme}\n"
    made.files["a.d"] = wrong
    site = made.apply(**{"b.d": "domains: {b.example: {}}"})
    (told,) = site.set_aside
    assert told.lost == ("a.example",)
    assert "terms of service" in told.mistakes[-1].reason or len(told.mistakes) == 2


def test_a_set_aside_file_and_a_removal_at_once() -> None:
    made = model(a=many(*TEN), b=many("b.example"))
    site = made.apply(**{"a.d": "", "b.d": "domains: {"})
    assert [each.file for each in site.set_aside] == ["b.d"]
    assert [each.file for each in site.held_back] == ["a.d"]
    assert len(site.domains) == 11


def test_a_file_that_is_included_by_its_name_takes_nothing_away() -> None:
    made = Model(MAIN.replace("*.d", "a.d"), {"a.d": many("a.example")}, folder_is_there=True)
    made.apply()
    del made.files["a.d"]
    for _ in range(2):
        made.apply()
        assert held(made) == {"a.d": (1, Why.NO_FILES)}
    made.apply(confirmed=True)
    for _ in range(2):
        assert made.apply().missing == ("a.d",)
        assert not made.read().domains


def test_a_wildcard_of_another_does_not_hide_a_removal() -> None:
    hers = "url: x.b.example, extra_names: ['*.a.example']"
    wide = f"domains:\n  b.example: {{{hers}}}\n"
    made = model(a=domain("a.example"), b=many("b.example"))
    made.apply(**{"a.d": "", "b.d": wide})
    assert held(made) == {"a.d": (1, Why.EMPTY)}
    own = "domains: {a.example: {url: a.example, extra_names: ['*.a.example']}}"
    made = model(a=domain("a.example"), b=many("b.example"))
    assert not made.apply(**{"a.d": own}).held_back


def test_of_two_that_are_held_back_each_name_is_in_the_site_once() -> None:
    made = model(a=many(*NAMES[:10]), b=many(*NAMES[10:20]))
    made.apply(**{"a.d": ""})
    made.files["a.d"] = ""
    made.files["b.d"] = many(*NAMES[10:20]) + f"  {NAMES[0]}: {{url: www.{NAMES[0]}}}\n"
    made.apply()
    site = made.apply(**{"b.d": ""})
    keys = [each.key for each in site.domains]
    names = [name for each in site.domains for name in each.names]
    assert sorted(keys) == NAMES[:20]
    assert len(names) == len(set(names)) == 20
    told = [key for each in site.held_back for key in each.domains]
    assert sorted(told) == NAMES[:20]


def test_two_held_domains_that_changed_hands_do_not_both_have_a_name() -> None:
    made = model(a=many(*TEN), b=domain("x.example", host="x.d1.example"))
    made.apply(**{"a.d": ""})
    wants = "domains:\n  a.example: {url: x.a.example, extra_names: [x.d1.example]}\n"
    made.apply(**{"b.d": "", "c.d": many("c.example")})
    made.apply(**{"c.d": many("c.example") + wants.partition("\n")[2]})
    site = made.apply(**{"c.d": ""})
    names = [name for each in site.domains for name in each.names]
    assert len(names) == len(set(names))
    assert "x.d1.example" in names


def test_what_was_added_beside_what_is_held_back_is_right_too() -> None:
    made = model(a=many(*TEN), b=many(*NAMES))
    made.apply(**{"a.d": many("new.example")})
    assert held(made) == {"a.d": (10, Why.MANY)}
    site = made.apply(**{"a.d": "domains: {", "b.d": many(*NAMES, "new.example")})
    assert {each.file for each in site.set_aside} == {"a.d", "b.d"}
    assert hosts(site).keys() == {*TEN, *NAMES, "new.example"}
    made.apply(**{"a.d": many(*TEN, "new.example"), "b.d": many(*NAMES)})
    assert not made.read().held_back
    assert not made.read().set_aside


def test_what_is_held_back_of_the_main_file_does_not_keep_its_old_text() -> None:
    made = Model(MAIN + BACKENDS + many(*NAMES))
    made.apply()
    made.main = MAIN + BACKENDS + many(*NAMES[:20], "new.example")
    made.apply()
    made.main = MAIN + BACKENDS + many(*NAMES[:20])
    site = made.apply()
    assert set(hosts(site)) == {*NAMES, "new.example"}
    main = made.former.main
    assert main is not None
    assert main.source.text == made.main.encode()
    assert len(main.held) == 2


def test_what_is_held_back_of_a_file_that_is_gone_stays() -> None:
    made = model(a=many(*NAMES), b=many(*TEN))
    del made.files["a.d"]
    made.apply()
    assert held(made) == {"a.d": (60, Why.MANY)}
    made.apply(**{"b.d": "domains: {"})
    assert set(hosts(made.read())) == {*NAMES, *TEN}
    assert set(hosts(made.apply(confirmed=True))) == set(TEN)
    assert len(made.former.files) == 1


def test_one_customer_leaves_while_another_domain_goes_elsewhere() -> None:
    main = MAIN.replace('["*.d"]', '["*.d", "*.e"]')
    made = Model(main, {"a.d": many("a.example"), "b.e": many("b.example", "c.example")})
    made.apply()
    del made.files["a.d"]
    assert set(hosts(made.apply(**{"b.e": many("b.example")}))) == {"b.example"}


def test_a_file_that_is_renamed_and_wrong_at_once_loses_nothing() -> None:
    made = model(a=many("a.example", "b.example"), z=many("z.example"))
    del made.files["a.d"]
    for text in (None, "domains: {"):
        site = made.apply(**{"b.d": text})
        assert set(hosts(site)) == {"a.example", "b.example", "z.example"}
        assert held(made) == {"a.d": (2, Why.MANY)}
    assert not made.apply(**{"b.d": many("a.example", "b.example")}).held_back
    assert len(made.read().domains) == 3
