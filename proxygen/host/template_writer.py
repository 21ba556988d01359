"""The process that renders an administrator's templates, within limits: a question, an answer.

It can open no file, and is nobody: a template that breaks out of its sandbox finds nothing here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from proxygen.errors import ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.host.limits import (
    allow_seconds,
    be_nobody,
    limit_resources,
    read_questions,
    write_reply,
)
from proxygen.plan.render import Template, Templates, View
from proxygen.services import Lines, Rendered

LATE = (
    *("jinja2.debug", "html", "html.entities", "pprint", "unicodedata"),
    *("encodings.ascii", "encodings.idna", "encodings.punycode", "encodings.unicode_escape"),
)
"""What Python, Jinja and its filters import only when a template needs it, when it is too late."""
SECONDS = 5
"""Of the processor; 10,000 server blocks take about one."""
MEMORY = 1024 * 1024 * 1024
FILES = 3
"""Standard input, output and errors, which are open."""
LARGEST = 64 * 1024 * 1024
"""Octets of a question, and of an answer."""


def main() -> None:
    """Answer questions until there are no more."""
    for each in LATE:
        import_module(each)
    be_nobody()
    limit_resources(memory=MEMORY, files=FILES)
    for question in read_questions(sys.stdin.buffer, LARGEST):
        allow_seconds(SECONDS)
        write_reply(sys.stdout.buffer, json.dumps(answer_question(json.loads(question))).encode())


def answer_question(question: dict[str, Any]) -> dict[str, Any]:
    """Return the text, or why there is none."""
    templates = Templates({name: Template(*each) for name, each in question["templates"].items()})
    write: Callable[[Rendered], str] = getattr(templates, question["form"])
    name = question["template"]
    try:
        text = write(Rendered(name, question["name"], vars(as_values(question["context"]))))
    except ServiceError as error:
        return failure_answer(error.failure)
    if len(text) * 2 > LARGEST:
        label = templates.label(name)
        return failure_answer(
            failure("template-writes-too-much", Scope.HOST, where=label, template=name)
        )
    return {"text": text}


def failure_answer(why: Failure) -> dict[str, Any]:
    """Return why there is no text, as an answer."""
    said = {"code": why.code, "where": why.where, "words": why.words}
    return {**said, "facts": dict(why.facts)}


def as_json(value: Any) -> Any:
    """Return what a template sees as JSON has it; undone by ``as_values``."""
    if isinstance(value, View):
        return {"view": {name: as_json(each) for name, each in vars(value).items()}}
    if isinstance(value, Lines):
        return {"lines": value.lines}
    return [as_json(each) for each in value] if isinstance(value, tuple) else value


def as_values(said: Any) -> Any:
    """Return what ``as_json`` was given."""
    if isinstance(said, list):
        return tuple(map(as_values, said))
    if not isinstance(said, dict):
        return said
    if "lines" in said:
        return Lines(tuple(map(tuple, said["lines"])))
    return View({name: as_values(each) for name, each in said["view"].items()})


if __name__ == "__main__":
    main()
