"""An administrator's template that reads, writes, or does not end: one error, nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxygen.errors import ServiceError
from proxygen.host import templates
from proxygen.plan.render import Template
from proxygen.services import Lines, Rendered
from tests.conftest import require
from tests.live.machine import Machine

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
WEB = ("nginx", "pebble")
NAME = "nginx/proxygen.conf.j2"


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone, and a model that is right."""
    require(WEB)
    with Machine(root, WEB) as running:
        running.model({"a.example": {"url": "https://www.a.example"}}, main=MAIN)
        yield running


COSTLY = {
    "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}": "time",
    "{% set x = 'a' * 10**10 %}": "",
    "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x=n.x~n.x %}{% endfor %}": "",
    "{% set x = '%10000000000d' % 1 %}": "",
    "{% for a in range(99999) %}{% for b in range(9999) %}aaaaaaaaa{% endfor %}{% endfor %}": "",
    "{% include 'nginx/proxygen.conf.j2' %}": "",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "",
    "{{ range(10**12) | list }}": "Range too big",
    "{{ 9 ** (9 ** 9) }}": "",
}


@pytest.mark.timeout(900)
def test_a_template_of_an_administrator_costs_no_more_than_its_limits(web: Machine) -> None:
    place = web.root / "etc/proxygen/templates" / NAME
    place.parent.mkdir(parents=True)
    for text, words in COSTLY.items():
        place.write_text(text)
        run = web.proxygen("plan")
        said = run.stdout + run.stderr
        assert run.returncode == 4, (text, said)
        assert "the template " in said, (text, said)
        assert words in said, (text, said)
        assert str(place) in said, (text, said)
        assert "Traceback" not in said


REACHING = (
    "{{ challenges.joinpath('x').write_text('canary') }}",
    "{{ challenges.write_text('canary') }}",
    "{{ local.parent.joinpath('secret').read_text() }}",
    "{{ (local | attr('read_text'))() }}",
    "{{ blocks[0].__class__.__init__.__globals__ }}",
    "{{ owners.__class__.__mro__[1].__subclasses__() }}",
    "{{ '{0.__class__.__mro__}'.format(owners) }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{% include '/etc/passwd' %}",
    "{% include '../../secret' %}",
)


@pytest.mark.timeout(900)
def test_a_template_of_an_administrator_reaches_no_file(web: Machine) -> None:
    secret = web.root / "etc/proxygen/secret"
    secret.write_text("hunter2")
    place = web.root / "etc/proxygen/templates" / NAME
    place.parent.mkdir(parents=True)
    for text in REACHING:
        place.write_text(text)
        run = web.proxygen("plan")
        assert run.returncode == 4, (text, run.stdout, run.stderr)
        assert "hunter2" not in run.stdout + run.stderr
        assert "root:x" not in run.stdout + run.stderr
        assert not list((web.root / "var/lib/proxygen/challenges").glob("x"))


def test_what_broke_out_of_the_sandbox_is_nobody_and_opens_nothing(tmp_path: Path) -> None:
    """The sandbox is the first wall; this is what stands behind it."""
    (tmp_path / "escaped.py").write_text(
        "import os\n"
        "from proxygen.host import template_writer as writer\n"
        "def answered(question):\n"
        "    try:\n"
        "        open('/etc/hostname').close()\n"
        "    except OSError as error:\n"
        "        return {'opened': error.strerror, 'user': os.getresuid()}\n"
        "    return {'opened': True}\n"
        "writer.answer_question = answered\n"
        "writer.main()\n"
    )
    question = json.dumps({}).encode()
    done = subprocess.run(
        [sys.executable, str(tmp_path / "escaped.py")],
        input=len(question).to_bytes(4, "big") + question,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    said = json.loads(done.stdout[4:])
    assert said["opened"] == "Too many open files", done.stderr
    if os.geteuid() == 0:
        assert said["user"] == [65534] * 3


def test_a_template_of_an_administrator_sees_what_ours_see() -> None:
    lines = Lines((("  {} {};", "a.example", "global"),))
    text = "{{ one.label }} {{ two[0] }} {{ three }}\n{{ lines }}\n{% if four %}yes{% endif %}"
    context = {
        "one": Template("a", "b"),
        "two": (1, "b"),
        "three": Path("/a/b"),
        "four": True,
        "lines": lines,
    }
    both = [
        each.text(Rendered("t/t.j2", "t", context))
        for each in (
            templates.Templates({"t/t.j2": Template(text, "/t")}),
            templates.IsolatedTemplates({}, {"t/t.j2": Template(text, "/t")}),
        )
    ]
    assert both == ["b 1 /a/b\n  a.example global;\nyes"] * 2


def test_a_page_of_an_administrator_escapes_values() -> None:
    found = templates.IsolatedTemplates(
        {"m/l.j2": Template("<p>{{ a }}</p>", "/l"), "m/n.j2": Template("\n{{ b }}", "/n")}
    )
    assert found.page(Rendered("m/l.j2", "l", {"a": "<b>"})) == "<p>&lt;b&gt;</p>"
    with pytest.raises(ServiceError) as refused:
        templates.IsolatedTemplates({"m/l.j2": Template("\n{{ b }}", "/l")}).page(
            Rendered("m/l.j2", "l", {})
        )
    assert refused.value.where == "/l:2"
