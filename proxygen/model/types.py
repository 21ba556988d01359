"""The types of values in the model: each allow-lists what may be typed, with reason and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema

from proxygen.credentials import NOT_SHOWN, is_pasted
from proxygen.model.hosts import (
    BadName,
    extra_name,
    host_name,
    is_address,
    mail_address,
    shortest_address,
    url_host,
)


def validator_of(check: Callable[[str], Any]) -> AfterValidator:
    """Return a validator from a function that raises BadName."""
    return AfterValidator(reporting_bad_names(check))


def reporting_bad_names(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return *check*, with each BadName raised as an error of pydantic's."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except BadName as error:
            raise PydanticCustomError("value", "{reason}", vars_of(error)) from error

    return validate


def vars_of(error: BadName) -> dict[str, Any]:
    return {"reason": error.reason, "remedy": error.remedy, "hidden": error.hidden}


def pattern_check(expression: str, what: str, remedy: str) -> Callable[[str], str]:
    """Return a check that a string is *what*, that is, matches *expression* as a whole."""
    compiled = re.compile(expression)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise BadName(f"{{}} is not {what}", remedy, text)
        return text

    return check


@dataclass(frozen=True, slots=True)
class Text:
    """Marks a string that is checked as by ``pattern``; editors get the expression.

    Not for keys of a mapping: JSON Schema accepts keys that match no pattern. The value of a
    *secret*, and values beside it, are never shown. A key or token pasted as a *path* is refused
    without being shown, as messages quote paths.
    """

    expression: str
    what: str
    remedy: str
    secret: bool = False
    path: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        check = reporting_bad_names(self.check())
        return core_schema.no_info_after_validator_function(check, handler(source))

    def check(self) -> Callable[[str], str]:
        """Return the check, which raises BadName."""
        matches = pattern_check(self.expression, self.what, self.remedy)

        def check(text: str) -> str:
            if self.path and is_pasted(text.removeprefix("file:").removeprefix("env:")):
                raise BadName(f"{NOT_SHOWN} is not {self.what}", self.remedy)
            return matches(text)

        return check

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        about = {"writeOnly": True} if self.secret else {}
        return {"type": "string", "pattern": f"^(?:{self.expression})$"} | about


def quantity_reader(units: Mapping[str, int], most: str, remedy: str) -> Callable[[Any], int]:
    """Return a function that reads a number with a unit, such as ``20m``; the default unit is 1."""
    largest = int(most[:-1]) * units[most[-1]]

    def read(value: Any) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([a-z]?)", str(value).lower())
        if isinstance(value, bool) or not match or match[2] not in {"", *units}:
            raise BadName("{} is not a number with a unit", remedy, value)
        amount = int(match[1]) * units.get(match[2], 1)
        if amount > largest:
            raise BadName(f"{value} is too large", f"write at most {most}")
        return amount

    return read


def quantity_schema(units: str) -> WithJsonSchema:
    """Return the JSON Schema of a number with one of the *units*, in either case."""
    typed = {"type": "string", "pattern": f"^[0-9]{{1,9}}[{units}{units.upper()}]?$"}
    return WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, typed]})


seconds = quantity_reader(
    {"s": 1, "m": 60, "h": 3600, "d": 86400},
    "7d",
    "write seconds, or a number with s, m, h or d, such as 20m",
)
octets = quantity_reader(
    {"k": 1024, "m": 1024**2, "g": 1024**3},
    "1024g",
    "write bytes, or a number with k, m or g, such as 50m",
)

SERVER = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


def upstream_server(text: str) -> str:
    """Return the URL of an upstream server that nginx can parse; raise BadName."""
    match = SERVER.fullmatch(text)
    if (
        not match
        or not 1 <= int(match["port"] or 80) <= 65535
        or (match["ipv6"] and not is_address(match["ipv6"]))
    ):
        what = "{} is not the address of an upstream server"
        raise BadName(what, "write http://HOST:PORT or https://HOST:PORT", text)
    return text


Host = Annotated[str, validator_of(host_name)]
ExtraName = Annotated[str, validator_of(extra_name)]
Url = Annotated[str, validator_of(url_host)]
Contact = Annotated[str, validator_of(mail_address)]
UpstreamServer = Annotated[str, validator_of(upstream_server)]
Seconds = Annotated[int, BeforeValidator(reporting_bad_names(seconds)), quantity_schema("smhd")]
Octets = Annotated[int, BeforeValidator(reporting_bad_names(octets)), quantity_schema("kmg")]
LISTENER = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})"
)


def listener(text: str) -> str:
    """Return a socket to listen on, an address or ``localhost`` and a port; raise BadName."""
    match = LISTENER.fullmatch(text)
    host = match["host"].strip("[]") if match else ""
    if not match or not 1 <= int(match["port"]) <= 65535 or not is_listened_on(host):
        what = "{} is not an address and port"
        raise BadName(what, "write it as 127.0.0.1:9780 or '[::1]:9780'", text)
    return text


def is_listened_on(host: str) -> bool:
    """Return whether *host* is an address or ``localhost``."""
    return host == "localhost" or is_address(host)


def server(text: str) -> str:
    """Return the name or address of a server, or ``localhost``; raise BadName."""
    return text if is_listened_on(text) else host_name(text)


def address(text: str) -> str:
    """Return an IPv4 or IPv6 address in its shortest form (RFC 5952); raise BadName."""
    if found := shortest_address(text):
        return found
    raise BadName("{} is not an IP address", "write 192.0.2.1 or 2001:db8::1", text)


def name_server(text: str) -> str:
    """Return address and port of a name server: ``192.0.2.1:53`` or ``[2001:db8::1]:53``."""
    match = LISTENER.fullmatch(text)
    bare, port = (match["host"], match["port"]) if match else (text, "53")
    found = shortest_address(bare)
    if not found or not 1 <= int(port) <= 65535:
        what = "{} is not the address of a name server"
        raise BadName(what, "write 192.0.2.53, 192.0.2.53:5353 or '[2001:db8::53]:53'", text)
    return f"[{found}]:{int(port)}" if ":" in found else f"{found}:{int(port)}"


Address = Annotated[str, validator_of(address)]
NameServer = Annotated[str, validator_of(name_server)]
Server = Annotated[str, validator_of(server)]
Listener = Annotated[str, validator_of(listener)]
Name = Annotated[
    str,
    validator_of(
        pattern_check(
            r"[a-z][a-z0-9_-]{0,40}",
            "a valid name",
            "begin with a letter; use lower-case letters, digits, `-` and `_`",
        )
    ),
]
RequestPath = Annotated[
    str,
    validator_of(
        pattern_check(
            r"/(?!\.well-known/acme-challenge)[A-Za-z0-9._~/@:+=%-]{0,200}",
            "the path of a location",
            "begin with `/`; use letters, digits and . _ ~ / @ : + = % -",
        )
    ),
]
File = Annotated[
    str,
    Text(
        r"[^\x00-\x1f\x7f]{1,1000}",
        "a path",
        "write an absolute path, or one relative to this file",
        path=True,
    ),
]
HostPath = Annotated[
    str,
    Text(
        r"/[^\x00-\x1f\x7f]{1,999}",
        "an absolute path",
        "begin it with `/`, such as /usr/sbin/nginx",
        path=True,
    ),
]
BarePath = Annotated[
    str,
    validator_of(
        pattern_check(
            r"/[A-Za-z0-9._/@:%+,=~-]{1,999}",
            "an absolute path of plain characters",
            "begin it with `/`; use letters, digits and . _ / @ : % + , = ~ -",
        )
    ),
]
Glob = Annotated[
    str,
    Text(
        r"[^\x00-\x1f\x7f]{1,500}",
        "a file or glob",
        "write a path such as domains.d/*.yaml",
        path=True,
    ),
]
SecretReference = Annotated[
    str,
    Text(
        r"env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:[^\x00-\x1f\x7f]{1,1000}",
        "a reference to a secret",
        "write env:NAME or file:PATH; the model itself holds no secrets",
        secret=True,
        path=True,
    ),
]
Directory = Annotated[
    str,
    Text(
        r"letsencrypt|letsencrypt-staging|https://[A-Za-z0-9.:\[\]-]{1,255}(?:/[!-~]{0,500})?",
        "an ACME directory",
        "write letsencrypt, letsencrypt-staging, or the https:// URL of a directory",
    ),
]
Profile = Annotated[
    str,
    Text(
        r"[A-Za-z0-9._-]{1,100}",
        "the name of a certificate profile",
        "write it as the authority spells it: letters, digits and . _ -",
    ),
]
KeyIdentifier = Annotated[
    str, Text(r"[ -~]{1,500}", "a key identifier", "write it exactly as the authority gave it")
]
