"""A removal that may be an accident is held back, until it is over or a person confirms it."""

from __future__ import annotations

import pytest

from proxygen.errors import HeldBack, ModelError
from proxygen.model.former import Why
from tests.model.test_choosing import BACKENDS, MAIN, Model, domain, hosts, many, model

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


def test_a_name_that_another_took_meanwhile_is_not_held_back() -> None:
    made = model(a=many(*TEN))
    made.apply(**{"a.d": many("x.example")})
    site = made.apply(**{"b.d": domain("y.example", host="www.d1.example")})
    assert hosts(site)["y.example"] == "www.d1.example"
    assert "d1.example" not in hosts(site)
    assert len(site.held_back[0].domains) == 9


def test_what_a_command_removes_on_purpose_is_not_held_back() -> None:
    from dataclasses import replace

    made = model(a=many(*TEN), b=many(*NAMES))
    files = {
        place: replace(each, released=frozenset(TEN)) for place, each in made.former.files.items()
    }
    made.former = replace(made.former, files=files)
    assert not made.apply(**{"a.d": ""}).held_back
    assert set(hosts(made.read())) == set(NAMES)


def test_without_what_they_need_nothing_is_done_until_it_is_confirmed() -> None:
    made = Model(MAIN + BACKENDS)
    text = "domains:\n" + "".join(f"  {n}: {{url: www.{n}, backend: app}}\n" for n in TEN)
    made.apply(**{"a.d": text})
    made.main = MAIN
    made.files["a.d"] = ""
    with pytest.raises(HeldBack, match="needs the backend app"):
        made.read()
    assert not made.apply(confirmed=True).domains


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
    with pytest.raises(ModelError, match=r"a\.d cannot be read"):
        made.read()


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
