"""Rendered and the loaded templates -> the text of a file; every value passes one gate."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import starmap
from pathlib import PurePath
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, nodes
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from proxygen.errors import ServiceError
from proxygen.services import Lines, Rendered

LONGEST_VALUE = 1024
BARE = re.compile(r"[A-Za-z0-9._/:@%+,=~\[\]*-]+")
"""What stands for itself, without quotes, in the files of nginx, postfix and dovecot."""

BYPASSES = (nodes.FilterBlock, nodes.CallBlock, nodes.Import, nodes.FromImport)
"""Blocks whose output, or whose arguments, would not pass ``quote``."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Keeps a template from reaching what is behind the values that it is given."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute; those of our own plain values need no long look (200,000 do)."""
        plain = type(obj).__module__.startswith("proxygen.") and not attribute.startswith("_")
        if plain and hasattr(obj, attribute):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


@dataclass(frozen=True, slots=True)
class Template:
    """The text of a template; *label* is what an error calls it, such as its file's path.

    *trouble*: why there is no text.
    """

    text: str
    label: str
    trouble: str = ""


class Templates:
    """The loaded templates by name, such as ``nginx/proxygen.conf.j2``.

    An administrator's template (*overrides*) takes the place of ours under the same name.
    """

    def __init__(
        self, templates: Mapping[str, Template], overrides: Mapping[str, Template] | None = None
    ) -> None:
        self.own = templates
        self.overrides = overrides or {}
        self.templates = {**templates, **self.overrides}
        self.environment = Sandbox(
            loader=FunctionLoader(self.load),
            undefined=StrictUndefined,
            finalize=quote,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def overriding(self, service: str) -> dict[str, str]:
        """Return the texts of the administrator's templates for a service."""
        found = self.overrides.items()
        return {
            name: each.trouble or each.text
            for name, each in found
            if name.startswith(f"{service}/")
        }

    def instead(self, service: str, texts: Mapping[str, str]) -> Templates:
        """Return these templates with other ones of the administrator's for a service."""
        others = {
            name: each
            for name, each in self.overrides.items()
            if not name.startswith(f"{service}/")
        }
        former = {name: Template(text, f"the former {name}") for name, text in texts.items()}
        return Templates(self.own, others | former)

    def load(self, name: str) -> tuple[str, str, None] | None:
        """Return a template as Jinja wants it, None when there is none of that name."""
        template = self.templates.get(name)
        if template is None:
            return None
        if template.trouble:
            raise TemplateSyntaxError(template.trouble, 1, name, template.label)
        tree = self.environment.parse(template.text, name, template.label)
        for block in tree.find_all(BYPASSES):
            what = f"`{type(block).__name__}` is not allowed: values would pass unquoted"
            raise TemplateSyntaxError(what, block.lineno, name, template.label)
        return template.text, template.label, None

    def line_of(self, error: Exception) -> str | None:
        """Return the place in a template at which *error* arose, as ``label:line``."""
        if isinstance(error, TemplateSyntaxError):
            return f"{error.filename or error.name}:{error.lineno}"
        labels = {template.label for template in self.templates.values()}
        frames = traceback.extract_tb(error.__traceback__)
        places = [
            f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename in labels
        ]
        return places[-1] if places else None


class Unquotable(TemplateError):
    """A value that must not stand in a configuration file."""


def render(templates: Templates, rendered: Rendered) -> str:
    """Return the text of the file; raise ServiceError with the template's path and line."""
    try:
        template = templates.environment.get_template(rendered.template)
        return template.render(rendered.context)
    except TemplateNotFound as error:
        raise ServiceError(
            f"there is no template {error.name}",
            where=rendered.template,
            remedy="put it back, or remove the template that includes it",
        ) from error
    except Unquotable as error:
        raise ServiceError(
            f"{rendered.name} cannot be written: {error}",
            where=templates.line_of(error) or rendered.template,
            remedy="correct that value in the model; if it is not yours, report it as our bug",
        ) from error
    except Exception as error:
        raise ServiceError(
            f"the template {rendered.template} cannot be rendered: {error}",
            where=templates.line_of(error) or rendered.template,
            remedy="correct it, or remove it so that proxygen's own is used",
        ) from error


def quote(value: object) -> str:
    """Return *value* as it may stand bare in a configuration file.

    That is a number that is not negative, or letters, digits and ``._/:@%+,=~[]*-``, also as
    a path, or lines whose values are such. Everything else raises Unquotable: nothing needs it,
    so it can only do harm.
    """
    if isinstance(value, Lines):
        return "\n".join(starmap(line, value.lines))
    if isinstance(value, Undefined):
        str(value)  # raises, and names the variable
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return format(value, "d")
    if isinstance(value, str) and len(value) <= LONGEST_VALUE and BARE.fullmatch(value):
        return str(value)
    raise Unquotable(f"the {type(value).__name__} {shown(value)} may not stand there")


@lru_cache(maxsize=1 << 17)
def line(form: str, *values: str) -> str:
    """Return one of many lines; all but a few are as they were when they were rendered last."""
    return form.format(*map(quote, values))


def shown(value: object) -> str:
    """Return the beginning of a value, without control characters."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
