"""Rendered and the loaded templates -> the text of a file; every value passes one gate."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property, lru_cache
from itertools import starmap
from pathlib import PurePath
from typing import Any, ClassVar

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError, nodes
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from proxygen.errors import ServiceError
from proxygen.failure import Scope, failure
from proxygen.services import Lines, Rendered

LONGEST_VALUE = 1024
BARE = re.compile(r"[A-Za-z0-9._/:@%+,=~\[\]*-]+")
"""What stands for itself, without quotes, in the files of nginx, postfix and dovecot."""

BYPASSES = (nodes.FilterBlock, nodes.CallBlock, nodes.Import, nodes.FromImport)
"""Blocks whose output, or whose arguments, would not pass ``quote``."""


GLOBALS = ("range", "namespace")
"""Of what Jinja gives every template: no more objects with methods of their own."""


class View:
    """Plain values by name, as a template sees one of our own: there is nothing behind them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


class Sandbox(ImmutableSandboxedEnvironment):
    """Keeps a template from reaching what is behind the values that it is given."""

    def __init__(self, load: Callable[[str], Any], **options: Any) -> None:
        super().__init__(
            loader=FunctionLoader(load),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            **options,
        )
        self.globals = {name: self.globals[name] for name in GLOBALS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute; those of our views need no long look (200,000 do)."""
        if type(obj) is View and attribute in obj.__dict__:
            return obj.__dict__[attribute]
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

    An administrator's template (*overrides*) takes the place of ours under the same name. Those of
    the package are trusted to end; ``host/templates.py`` has what renders the others.
    """

    def __init__(
        self, templates: Mapping[str, Template], overrides: Mapping[str, Template] | None = None
    ) -> None:
        self.own = templates
        self.overrides = overrides or {}
        self.templates = {**templates, **self.overrides}

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
        return type(self)(self.own, others | former)

    @cached_property
    def environment(self) -> Environment:
        """What renders configuration files: every value is quoted."""
        return Sandbox(self.load, finalize=quote, autoescape=False)

    @cached_property
    def pages(self) -> Environment:
        """What renders HTML: every value is escaped."""
        return Sandbox(self.found, autoescape=True)

    def text(self, rendered: Rendered) -> str:
        """Return the text of a configuration file; raise ServiceError."""
        return self.written(self.environment, rendered)

    def page(self, rendered: Rendered) -> str:
        """Return the text of a page of HTML; raise ServiceError."""
        return self.written(self.pages, rendered)

    def written(self, environment: Environment, rendered: Rendered) -> str:
        """Return the text of the file; raise ServiceError with the template's path and line."""
        try:
            template = environment.get_template(rendered.template)
            return template.render({key: plain(each) for key, each in rendered.context.items()})
        except TemplateNotFound as error:
            name = str(error.name)
            raise ServiceError(
                failure("no-template", Scope.HOST, where=rendered.template, name=name)
            ) from error
        except Unquotable as error:
            where = self.line_of(error) or self.label(rendered.template)
            name, value = rendered.name, str(error)
            raise ServiceError(
                failure("value-not-written", Scope.MODEL, where=where, name=name, value=value)
            ) from error
        except Exception as error:
            label = self.label(rendered.template)
            where = self.line_of(error) or label
            words = error.message if isinstance(error, Unusable) else said_by(error)
            code = error.code if isinstance(error, Unusable) else "template-not-rendered"
            raise ServiceError(
                failure(code, Scope.HOST, where=where, words=words, template=label)
            ) from error

    def found(self, name: str) -> tuple[str, str, None] | None:
        """Return a template as Jinja wants it, None when there is none of that name."""
        template = self.templates.get(name)
        if template and template.trouble:
            raise Unread(template.trouble, 1, name, template.label)
        return (template.text, template.label, None) if template else None

    def load(self, name: str) -> tuple[str, str, None] | None:
        """Return one likewise in which no value passes unquoted."""
        template = self.templates.get(name)
        if template is None:
            return None
        if template.trouble:
            raise Unread(template.trouble, 1, name, template.label)
        tree = self.environment.parse(template.text, name, template.label)
        for block in tree.find_all(BYPASSES):
            raise Bypassing(type(block).__name__, block.lineno, name, template.label)
        return template.text, template.label, None

    def label(self, name: str) -> str:
        """Return what an error calls a template."""
        return self.templates[name].label if name in self.templates else name

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
    """A value that must not stand in a configuration file: how it begins."""


class Unusable(TemplateSyntaxError):
    """A template of which nothing can be made; *code* tells why."""

    code: ClassVar[str]


class Unread(Unusable):
    """A template that cannot be read: what the system said."""

    code = "template-unreadable"


class Bypassing(Unusable):
    """A template with what would let values pass unquoted: what that is called."""

    code = "template-bypassing"


def render(templates: Templates, rendered: Rendered) -> str:
    """Return the text of the file; raise ServiceError with the template's path and line."""
    return templates.text(rendered)


def said_by(error: Exception) -> str:
    """Return the words of an exception, its kind where it has none (MemoryError)."""
    return str(error) or type(error).__name__


def plain(value: Any) -> Any:
    """Return a value as templates see it: text, numbers, truth, nothing, tuples and views of such.

    Raise TypeError for what is none of it, such as an object that does something.
    """
    if value is None or type(value) in (str, int, bool, View, Lines):
        return value
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    if isinstance(value, Mapping):
        return View({name: plain(each) for name, each in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        return View({name: plain(getattr(value, name)) for name in seen(type(value))})
    raise TypeError(f"a template is given no {type(value).__name__}")


@cache
def seen(kind: type) -> tuple[str, ...]:
    """Return what a template sees of one of our own values: its fields and properties."""
    properties = (name for name, each in vars(kind).items() if isinstance(each, property))
    return (*(each.name for each in fields(kind)), *properties)


def quote(value: object) -> str:
    """Return *value* as it may stand bare in a configuration file.

    That is a number that is not negative, or letters, digits and ``._/:@%+,=~[]*-``, or lines
    whose values are such. Everything else raises Unquotable: nothing needs it, so it can only do
    harm.
    """
    if isinstance(value, Lines):
        return "\n".join(starmap(line, value.lines))
    if isinstance(value, Undefined):
        str(value)  # raises, and names the variable
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return format(value, "d")
    if isinstance(value, str) and len(value) <= LONGEST_VALUE and BARE.fullmatch(value):
        return str(value)
    raise Unquotable(shown(value))


@lru_cache(maxsize=1 << 17)
def line(form: str, *values: str) -> str:
    """Return one of many lines; all but a few are as they were when they were rendered last."""
    return form.format(*map(quote, values))


def shown(value: object) -> str:
    """Return the beginning of a value, without control characters."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
