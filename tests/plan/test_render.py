"""Every value passes one gate, whatever a template does with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxygen.errors import ServiceError
from proxygen.model.site import Location
from proxygen.plan.render import (
    Template,
    Templates,
    Unquotable,
    View,
    plain_value,
    quote,
    render_template,
)
from proxygen.services import Lines, Rendered
from proxygen.services.nginx import UnknownNames
from proxygen.services.nginx_blocks import NginxBlock, Passing

EVIL = "x; return 200"


def rendered(text: str, others: dict[str, str] | None = None, **context: Any) -> str:
    """Render *text* as the template main.j2, with *others* beside it."""
    texts = {"main.j2": text, **(others or {})}
    templates = {name: Template(each, f"/etc/{name}") for name, each in texts.items()}
    return render_template(Templates(templates), Rendered("main.j2", "main.conf", context))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (63072000, "63072000"),
        ("a.example", "a.example"),
        ("[::1]:443", "[::1]:443"),
        ("/var/lib/x_1/@+%,=~*", "/var/lib/x_1/@+%,=~*"),
        ("x" * 1024, "x" * 1024),
    ],
)
def test_plain_values_stand_as_they_are(value: object, text: str) -> None:
    assert quote(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, None, 1.5, -1, 1 << 63, b"bytes", ["a"], ("a",), {"a": 1}),
        *("", " ", "a b", "a\n", "a\tb", "\x00", "a;", "a{", "a}", "$a", "'", '"', "\\", "#", "`"),
        *("(", "|", "&", "<", ">", "!", "?", "^", "ä", "\u0430.example", "\u202e", "x" * 1025),
        *(Path("/a"), View({"a": 1}), object()),
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(Unquotable):
        quote(value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ v }}",
        "a\n{{ v | upper }}",
        "{{ v | safe }}",
        "{{ v | e }}",
        "{{ v | string }}",
        "{{ 'a' ~ v }}",
        "{{ ['a', v] | join }}",
        "{% for one in [v] %}{{ one }}{% endfor %}",
        "{% set w = v %}{{ w }}",
        "{% set w %}{{ v }}{% endset %}{{ w }}",
        "{% set w | replace('A', v) %}A{% endset %}{{ w }}",
        "{% with w = v %}{{ w }}{% endwith %}",
        "{% macro m(w) %}{{ w }}{% endmacro %}{{ m(v) }}",
        "{% macro m() %}{{ 'x' | replace('x', v) }}{% endmacro %}{{ m() }}",
        "{% filter replace('A', v) %}A{% endfilter %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ v }}{% endcall %}",
        "{% include 'other.j2' %}",
        "{% import 'other.j2' as other with context %}{{ other }}",
        "{{ 'x; return 200' }}",
        "{% autoescape false %}{{ v }}{% endautoescape %}",
    ],
)
def test_no_expression_gets_past_the_gate(text: str) -> None:
    with pytest.raises(ServiceError) as refused:
        rendered(text, {"other.j2": "{{ v }}"}, v=EVIL)
    assert "return 200" not in str(refused.value) or "is not allowed there" in str(refused.value)


def test_what_the_template_itself_says_stays_as_it_is() -> None:
    text = 'location ~ "^/a b" {\n    return 200 "$host;\\n";\n}\n'
    assert rendered(text) == text


def test_blocks_leave_no_lines_behind() -> None:
    inner = "    {% if n %}\nserver_name {{ n }};\n    {% endif %}\n"
    text = f"{{% for n in names %}}\n{inner}{{% endfor %}}\n"
    assert rendered(text, names=["a", "b"]) == "server_name a;\nserver_name b;\n"


def test_a_refused_value_is_told_with_template_and_line() -> None:
    with pytest.raises(ServiceError) as refused:
        rendered("a\n\n{% include 'other.j2' %}\n", {"other.j2": "b\nc {{ v }}\n"}, v=EVIL)
    assert refused.value.where == "/etc/other.j2:2"
    assert "'x; return 200'" in refused.value.what
    assert refused.value.remedy


def test_a_refused_value_is_shown_in_part_and_without_control_characters() -> None:
    with pytest.raises(ServiceError) as refused:
        rendered("{{ v }}", v="\x1b[31m" + "a" * 5000)
    assert len(str(refused.value)) < 400
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param("a\n{% if %}\n", "/etc/main.j2:2", id="syntax"),
        pytest.param("a\n\n{{ missing }}\n", "/etc/main.j2:3", id="unknown variable"),
        pytest.param("{{ v.missing.more }}\n", "/etc/main.j2:1", id="unknown attribute"),
        pytest.param("a\n{% include 'other.j2' %}\n", "/etc/other.j2:2", id="in an include"),
        pytest.param("a\n{{ 1 // 0 }}\n", "/etc/main.j2:2", id="a failing expression"),
        pytest.param("a\n{% filter upper %}b{% endfilter %}", "/etc/main.j2:2", id="a bypass"),
    ],
)
def test_a_wrong_template_is_told_with_path_and_line(text: str, where: str) -> None:
    with pytest.raises(ServiceError) as refused:
        rendered(text, {"other.j2": "b\n{{ v | nonsense }}"}, v="fine")
    assert refused.value.where == where
    assert "remove it to use the one of proxygen" in refused.value.remedy


def test_a_missing_template_is_told_by_name() -> None:
    with pytest.raises(ServiceError, match=r"there is no template gone\.j2"):
        rendered("{% include 'gone.j2' %}")


def test_a_path_is_a_text_and_nothing_more() -> None:
    assert rendered("{{ path }}", path=Path("/var/lib")) == "/var/lib"
    with pytest.raises(ServiceError, match="read_text"):
        rendered("{{ path.read_text() }}", path=Path("/etc/passwd"))
    with pytest.raises(ServiceError, match="is not allowed there"):
        rendered("{{ path }}", path=Path("/a b"))


class Doing:
    """Something that is no value."""

    def write(self) -> None:
        """Do it."""


@pytest.mark.parametrize("value", [Doing(), Doing().write, iter("ab"), b"a", 1.5, {1}, Doing])
def test_what_is_no_plain_value_reaches_no_template(value: object) -> None:
    with pytest.raises(TypeError, match="a template is given no"):
        plain_value((value,))


def test_our_own_values_are_seen_without_their_methods() -> None:
    wanted = Location("/", "web")
    passing = plain_value(
        NginxBlock(
            server_names=Lines(()),
            certificates=(Path("/c"),),
            additions=None,
            closed=None,
            passings=(Passing(wanted, "http://a", False, None),),
            takes_root=False,
            plain=Lines(()),
        )
    )
    assert vars(passing).keys() == {
        "server_names",
        "certificates",
        "additions",
        "closed",
        "passings",
        "takes_root",
        "plain",
        "whole",
    }
    assert passing.certificates == ("/c",)
    assert passing.whole is True
    assert passing.passings[0].location.path == "/"
    assert type(plain_value(UnknownNames.REFUSE)) is str


@pytest.mark.parametrize(
    "expression",
    [
        *("lipsum(1)", "cycler(1, 2).next()", "joiner(',')()", "dict(a=1).a"),
        "value | attr('__class__')",
        "value | attr('__init__') | attr('__globals__')",
        "'{0.__class__}' | format(value)",
        "'{0.__class__.__init__.__globals__}'.format(value)",
        "'a'.format.__func__",
        "'a'.encode().__class__",
        "(value for value in [1]).gi_frame",
        "self.__init__.__globals__",
        "self._TemplateReference__context",
        "range.__call__.__self__",
        "namespace.__init__.__globals__",
        "value.__class__",
        "value.__init__.__globals__",
        "cycler.__init__.__globals__.os",
        "().__class__.__mro__",
    ],
)
def test_a_template_reaches_nothing_behind_its_values(expression: str) -> None:
    templates = Templates({"t": Template(f"{{{{ {expression} }}}}", "t")})
    with pytest.raises(ServiceError):
        render_template(templates, Rendered("t", "t", {"value": Template("a", "b")}))


def test_many_lines_are_written_as_one_value() -> None:
    lines = Lines((("  {} {};", "a", "b"), ("  ~^{}$;", "c[.]d"), ("  {} {};", "a", "c")))
    assert rendered("{\n{{ v }}\n}", v=lines) == "{\n  a b;\n  ~^c[.]d$;\n  a c;\n}"


@pytest.mark.parametrize(
    "text", ["{{ v }}", "{{ [v] | join }}", "{{ v ~ '' }}", "{{ v | string }}"]
)
def test_no_value_in_a_line_gets_past_the_gate(text: str) -> None:
    with pytest.raises(ServiceError, match="cannot be"):
        rendered(text, v=Lines((("{} {};", "a", "b"), ("{} {};", "a", EVIL))))
