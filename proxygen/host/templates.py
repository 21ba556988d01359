"""Templates: those of the package, and the administrator's in their place."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import proxygen
from proxygen.errors import ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.host import files
from proxygen.host.processes import Companion, Ended
from proxygen.plan.render import Template, Templates, plain_value
from proxygen.services import Rendered

PACKAGE = Path(proxygen.__file__).parent
LARGEST = 1024 * 1024
"""Octets of a template."""
WRITER = "proxygen.host.template_writer"
PATIENCE = 60.0
"""Seconds by the clock, much more than the writer has of the processor: a machine may be busy."""
LARGEST_ANSWER = 64 * 1024 * 1024
ENDED = {
    1: "template-takes-memory",
    -signal.SIGXCPU: "template-takes-time",
    -signal.SIGABRT: "template-takes-memory",
    -signal.SIGKILL: "template-takes-too-much",
}
"""What is told by how the process ended."""


class IsolatedTemplates(Templates):
    """Templates of which some may be the administrator's: a process that may be lost renders them.

    Their code may run on, fill memory, or find a way out of its sandbox.
    """

    def text(self, rendered: Rendered) -> str:
        """Return the text of a configuration file; raise ServiceError."""
        return self.asked("text", rendered) if self.overrides else super().text(rendered)

    def page(self, rendered: Rendered) -> str:
        """Return the text of a page of HTML; raise ServiceError."""
        return self.asked("page", rendered) if self.overrides else super().page(rendered)

    def asked(self, form: str, rendered: Rendered) -> str:
        """Have the process render it, and return the text; raise ServiceError."""
        from proxygen.host.template_writer import as_json

        question = {
            "templates": {
                name: (each.text, each.label, each.trouble) for name, each in self.templates.items()
            },
            "form": form,
            "template": rendered.template,
            "name": rendered.name,
            "context": as_json(plain_value(rendered.context)),
        }
        companion = Companion(WRITER, LARGEST_ANSWER)
        try:
            answer = json.loads(companion.ask(json.dumps(question).encode(), PATIENCE))
        except (Ended, TimeoutError) as error:
            raise self.lost(rendered.template, error) from error
        finally:
            companion.close()
        if "code" in answer:
            raise ServiceError(failure_from(answer))
        return str(answer["text"])

    def lost(self, name: str, error: Ended | TimeoutError) -> ServiceError:
        """Return the error for a template whose process ended."""
        ended = error.code if isinstance(error, Ended) else -signal.SIGXCPU
        code = ENDED.get(ended, "template-ended-its-writer")
        where = self.label(name)
        return ServiceError(failure(code, Scope.HOST, where=where, template=name, ended=ended))


def failure_from(answer: dict[str, Any]) -> Failure:
    """Return the failure that the process answered with; it may have been broken into."""
    facts = {str(name): str(value) for name, value in dict(answer["facts"]).items()}
    where, words = str(answer["where"]), str(answer["words"])
    return Failure(str(answer["code"]), Scope.HOST, "", tuple(facts.items()), words, where)


def load(overrides: Path, former: Templates | None = None) -> Templates:
    """Return every template by its name; a file below *overrides* stands in for ours.

    One that cannot be read stops the service that needs it, and no other.
    These are the *former* ones, compiled already, while their texts are the same.
    """
    ours, theirs = packaged_templates(), dict(templates_below(overrides))
    if former and (former.own, former.overrides) == (ours, theirs):
        return former
    return IsolatedTemplates(ours, theirs)


def own_templates() -> Templates:
    """Return the templates of the package alone."""
    return Templates(packaged_templates())


@cache
def packaged_templates() -> dict[str, Template]:
    """Return the package's own, which do not change while it runs."""
    folders = (PACKAGE / "templates", PACKAGE.parent / "templates")
    return dict(templates_below(next(path for path in folders if path.is_dir())))


def templates_below(folder: Path) -> Iterator[tuple[str, Template]]:
    """Yield (name, template) for each template below a folder.

    One that cannot be read is in the way of nobody but what is made of it.
    """
    for path in sorted(folder.glob("*/*.j2")):
        name = path.relative_to(folder).as_posix()
        try:
            text = files.text(path, LARGEST)
        except OSError as error:
            yield name, Template("", str(path), error.strerror or str(error))
            continue
        if text is not None:
            yield name, Template(text, str(path))
