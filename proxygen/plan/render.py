"""Renders templates into the text of a file; every value passes one function, ``quote``."""

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
    """Plain values by name, as a template sees one of our objects: it reaches nothing else."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


class Sandbox(ImmutableSandboxedEnvironment):
    """Keeps a template from what is behind the values that it is given."""

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
        """Return an attribute; those of our own views are not examined (there are 200,000)."""
        if type(obj) is View and attribute in obj.__dict__:
            return obj.__dict__[attribute]
        return super().getattr(obj, attribute)


@dataclass(frozen=True, slots=True)
class Template:
    """The text of a template; *label* is its name in errors, such as its path.

    *trouble* is why there is no text.
    """

    text: str
    label: str
    trouble: str = ""


class Templates:
    """The loaded templates by name, such as ``nginx/proxygen.conf.j2``.

    An administrator's template (*overrides*) replaces ours of the same name. Those of the package
    are trusted to end; ``host/templates.py`` renders the others in a process of their own.
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
        """Return these templates, with other administrator's templates for a service."""
        others = {
            name: each
            for name, each in self.overrides.items()
            if not name.startswith(f"{service}/")
        }
        former = {name: Template(text, f"the former {name}") for name, text in texts.items()}
        return type(self)(self.own, others | former)

    @cached_property
    def environment(self) -> Environment:
        """The Jinja environment of configuration files: every value is quoted."""
        return Sandbox(self.load, finalize=quote, autoescape=False)

    @cached_property
    def pages(self) -> Environment:
        """The Jinja environment of HTML pages: every value is escaped."""
        return Sandbox(self.found, autoescape=True)

    def text(self, rendered: Rendered) -> str:
        """Return the text of a configuration file; raise ServiceError."""
        return self.written(self.environment, rendered)

    def page(self, rendered: Rendered) -> str:
        """Return the text of an HTML page; raise ServiceError."""
        return self.written(self.pages, rendered)

    def written(self, environment: Environment, rendered: Rendered) -> str:
        """Return the text of the file; raise ServiceError with the template's path and line."""
        try:
            template = environment.get_template(rendered.template)
            return template.render(
                {key: plain_value(each) for key, each in rendered.context.items()}
            )
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
            words = error.message if isinstance(error, UnusableTemplate) else said_by(error)
            code = error.code if isinstance(error, UnusableTemplate) else "template-not-rendered"
            raise ServiceError(
                failure(code, Scope.HOST, where=where, words=words, template=label)
            ) from error

    def found(self, name: str) -> tuple[str, str, None] | None:
        """Return a template as Jinja wants it, None if there is none of that name."""
        template = self.templates.get(name)
        if template and template.trouble:
            raise Unread(template.trouble, 1, name, template.label)
        return (template.text, template.label, None) if template else None

    def load(self, name: str) -> tuple[str, str, None] | None:
        """Return it as ``found`` does; raise Bypassing if a value could pass unquoted."""
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
        """Return the name of a template in errors."""
        return self.templates[name].label if name in self.templates else name

    def line_of(self, error: Exception) -> str | None:
        """Return the place in a template where *error* arose, as ``label:line``."""
        if isinstance(error, TemplateSyntaxError):
            return f"{error.filename or error.name}:{error.lineno}"
        labels = {template.label for template in self.templates.values()}
        frames = traceback.extract_tb(error.__traceback__)
        places = [
            f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename in labels
        ]
        return places[-1] if places else None


class Unquotable(TemplateError):
    """A value must not be written into a configuration file; the message is its beginning."""


class UnusableTemplate(TemplateSyntaxError):
    """A template cannot be used; *code* tells why."""

    code: ClassVar[str]


class Unread(UnusableTemplate):
    """A template cannot be read; the message is the system's reason."""

    code = "template-unreadable"


class Bypassing(UnusableTemplate):
    """A template has a tag or filter that lets values pass unquoted."""

    code = "template-bypassing"


def render_template(templates: Templates, rendered: Rendered) -> str:
    """Return the text of the file; raise ServiceError with the template's path and line."""
    return templates.text(rendered)


def said_by(error: Exception) -> str:
    """Return the words of an exception, its kind if it has none (MemoryError)."""
    return str(error) or type(error).__name__


def plain_value(value: Any) -> Any:
    """Return a value as templates see it: text, number, truth, None, or tuples and views of these.

    Raise TypeError for anything else, such as an object with methods.
    """
    if value is None or type(value) in (str, int, bool, View, Lines):
        return value
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        return tuple(map(plain_value, value))
    if isinstance(value, Mapping):
        return View({name: plain_value(each) for name, each in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        return View(
            {name: plain_value(getattr(value, name)) for name in visible_fields(type(value))}
        )
    raise TypeError(f"a template is given no {type(value).__name__}")


@cache
def visible_fields(kind: type) -> tuple[str, ...]:
    """Return what a template sees of one of our objects: its fields and properties."""
    properties = (name for name, each in vars(kind).items() if isinstance(each, property))
    return (*(each.name for each in fields(kind)), *properties)


def quote(value: object) -> str:
    """Return *value* as it may be written bare into a configuration file.

    That is a number that is not negative, or letters, digits and ``._/:@%+,=~[]*-``, or lines with
    such values. Anything else raises Unquotable: no value needs it, so it can only do harm.
    """
    if isinstance(value, Lines):
        return "\n".join(starmap(line, value.lines))
    if isinstance(value, Undefined):
        str(value)  # raises, and names the variable
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return format(value, "d")
    if isinstance(value, str) and len(value) <= LONGEST_VALUE and BARE.fullmatch(value):
        return str(value)
    raise Unquotable(shown_value(value))


@lru_cache(maxsize=1 << 17)
def line(form: str, *values: str) -> str:
    """Return one of many lines; nearly all are the same as in the last rendering."""
    return form.format(*map(quote, values))


def shown_value(value: object) -> str:
    """Return the beginning of a value, without control characters."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
