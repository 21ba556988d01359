"""The grammar of the model file: each field with its type, its default and its meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from proxygen.model.hosts import BadName, host_name, is_address, mail_address, url_host

MOST_NAMES = 100
"""Names in one certificate (Let's Encrypt's limit for the profile `classic`)."""

DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}


def checked(check: Callable[[str], Any]) -> AfterValidator:
    """Return a validator from a function that raises BadName."""
    return AfterValidator(reporting(check))


def reporting(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return *check* with its BadName as pydantic wants it."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except BadName as error:
            raise PydanticCustomError("value", "{reason}", vars_of(error)) from error

    return validate


def vars_of(error: BadName) -> dict[str, Any]:
    return {"reason": error.reason, "remedy": error.remedy}


def pattern(expression: str, what: str, remedy: str) -> Callable[[str], str]:
    """Return a check that a text is *what*, that is, matches *expression* as a whole."""
    compiled = re.compile(expression)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise BadName(f"{text[:80]!r} is not {what}", remedy)
        return text

    return check


def quantity(units: Mapping[str, int], most: int, what: str) -> Callable[[Any], int]:
    """Return a reader of numbers with a unit, such as ``20m``; a bare number has unit 1."""

    def read(value: Any) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([a-z]?)", str(value).lower())
        if isinstance(value, bool) or not match or match[2] not in {"", *units}:
            raise BadName(f"{str(value)[:40]!r} is not {what}", "write a number and its unit")
        amount = int(match[1]) * units.get(match[2], 1)
        if amount > most:
            raise BadName(f"{value} is more than anybody needs", f"write at most {most}")
        return amount

    return read


seconds = quantity({"s": 1, "m": 60, "h": 3600, "d": 86400}, 7 * 86400, "a time like 60s or 20m")
octets = quantity({"k": 1024, "m": 1024**2, "g": 1024**3}, 1024**4, "a size like 50m or 1g")

Host = Annotated[str, checked(host_name)]
Url = Annotated[
    str,
    Field(description="`https://` and a host name, nothing else; a bare host name is the same"),
    checked(url_host),
]
Contact = Annotated[str, checked(mail_address)]
Name = Annotated[
    str,
    checked(
        pattern(
            r"[a-z][a-z0-9_-]{0,40}",
            "a name",
            "begin with a letter; use lower-case letters, digits, `-` and `_`",
        )
    ),
]
File = Annotated[
    str,
    checked(
        pattern(
            r"[^\x00-\x1f\x7f]{1,1000}", "a path", "write a path relative to this file, or from /"
        )
    ),
]
SecretReference = Annotated[
    str,
    checked(
        pattern(
            r"(?:env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:[^\x00-\x1f\x7f]{1,1000})",
            "a reference to a secret",
            "write env:NAME or file:PATH; a secret does not stand in the model itself",
        )
    ),
]
RequestPath = Annotated[
    str,
    checked(
        pattern(
            r"/(?!\.well-known/acme-challenge)[A-Za-z0-9._~/@:+=%-]{0,200}",
            "the path of a location",
            "begin with `/`; use letters, digits and . _ ~ / @ : + = % -",
        )
    ),
]
SERVER = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


def upstream_server(text: str) -> str:
    """Return the address of an upstream server if nginx can read it."""
    match = SERVER.fullmatch(text)
    if (
        not match
        or not 1 <= int(match["port"] or 80) <= 65535
        or (match["ipv6"] and not is_address(match["ipv6"]))
    ):
        what = f"{text[:80]!r} is not the address of an upstream server"
        raise BadName(what, "write http://HOST:PORT or https://HOST:PORT")
    return text


UpstreamServer = Annotated[str, checked(upstream_server)]
Directory = Annotated[
    str,
    checked(
        pattern(
            r"letsencrypt|letsencrypt-staging|https://[A-Za-z0-9.:\[\]-]{1,255}(?:/[!-~]{0,500})?",
            "an ACME directory",
            "write letsencrypt, letsencrypt-staging, or the https:// URL of a directory",
        )
    ),
]
Glob = Annotated[
    str,
    checked(
        pattern(r"[^\x00-\x1f\x7f]{1,500}", "a file or glob", "write a path such as domains.d/*")
    ),
]
Quantity = WithJsonSchema({"type": ["integer", "string"]})
Seconds = Annotated[int, BeforeValidator(reporting(seconds)), Quantity]
Octets = Annotated[int, BeforeValidator(reporting(octets)), Quantity]
Key = Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"]


class Part(BaseModel):
    """A mapping of the model; unknown fields are mistakes."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class FileFields(Part):
    """Where the administrator's certificate stands."""

    certificate: File = Field(description="PEM (leaf, chain and key in any order) or PKCS#12")
    key: File | None = Field(None, description="PEM; without it the key stands in `certificate`")
    chain: File | None = Field(None, description="PEM; intermediates, where they stand apart")
    password: SecretReference | None = Field(None, description="of an encrypted key or PKCS#12")


class FileCertificate(Part):
    """A certificate that the administrator supplies."""

    file: FileFields


def kind_of(value: Any) -> str:
    """Return which form of certificate *value* has: a mapping or a word."""
    return "mapping" if isinstance(value, dict | FileCertificate) else "word"


Supplied = Annotated[FileCertificate, Tag("mapping")]
OwnCertificate = Annotated[
    Annotated[Literal["acme", "selfsigned"], Tag("word")] | Supplied, Discriminator(kind_of)
]
DomainCertificate = Annotated[
    Annotated[Literal["acme", "selfsigned", "global"], Tag("word")] | Supplied,
    Discriminator(kind_of),
]


class Global(Part):
    """The global URL and the global certificate."""

    url: Url
    extra_names: list[Host] = Field(default=[], max_length=MOST_NAMES - 1)
    certificate: OwnCertificate
    backend: Name | None = None


class Domain(Part):
    """A domain; one without `url` is reached through the global URL."""

    url: Url | None = None
    extra_names: list[Host] = Field(default=[], max_length=MOST_NAMES - 1)
    certificate: DomainCertificate | None = None
    contact: Contact | None = None
    backend: Name | None = None


class Defaults(Part):
    """What holds for every domain with a URL that does not say otherwise."""

    certificate: Literal["acme", "selfsigned", "global"] = "global"
    backend: Name | None = None
    contact: Contact | None = None


class LocationFields(Part):
    """How requests below one path are passed on; what is not said is the application's."""

    upstream: Name | None = None
    exact: bool | None = Field(None, description="match this path alone, not what is below it")
    rewrite: RequestPath | None = Field(None, description="replaces the path that matched")
    websocket: bool | None = None
    connect_timeout: Seconds | None = None
    read_timeout: Seconds | None = None
    send_timeout: Seconds | None = None
    body_size: Octets | None = Field(None, description="largest request body; 0: no limit")
    buffering: bool | None = Field(None, description="whether answers are buffered")
    request_buffering: bool | None = Field(None, description="whether requests are buffered")


class BackendFields(Part):
    """Where requests go."""

    application: Name = Field("generic", description="the locations of a known application")
    upstreams: dict[Name, Annotated[list[UpstreamServer], Field(min_length=1, max_length=64)]] = (
        Field(min_length=1)
    )
    locations: dict[RequestPath, LocationFields] = {}


class ExternalAccountFields(Part):
    """What the authority gave to bind the ACME account to one of its own."""

    key_identifier: Annotated[str, Field(min_length=1, max_length=500)]
    hmac_key: SecretReference


class AcmeFields(Part):
    """Where and how ACME certificates are obtained."""

    directory: Directory = "letsencrypt"
    terms_of_service_agreed: bool = False
    challenge: Literal["http-01"] = "http-01"
    key_type: Key = "ecdsa-p256"
    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] | None = None
    external_account: ExternalAccountFields | None = None
    trusted_roots: list[File] = Field(default=[], description="for a private authority")
    http_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        80, description="of the built-in listener, on a host without nginx"
    )


class Application(Part):
    """A known application: where its requests go; an upstream it names may be missing."""

    locations: dict[RequestPath, LocationFields]


def empty_for_none(value: Any) -> Any:
    """Return what a key with nothing below it means: an empty mapping."""
    return {} if value is None else value


Domains = Annotated[
    dict[Host, Domain | None],
    BeforeValidator(empty_for_none, json_schema_input_type=dict[Host, Domain | None] | None),
]


class Included(Part):
    """An included file."""

    domains: Domains = {}


class Main(Included):
    """The model file."""

    contact: Contact | None = Field(None, description="ACME account contact, expiry warnings")
    global_: Global = Field(alias="global")
    defaults: Defaults = Defaults()
    backends: dict[Name, BackendFields] = {}
    acme: AcmeFields = AcmeFields()
    services: Any = None
    include: list[Glob] = []


def main_type(services: Mapping[str, type[BaseModel]]) -> type[Main]:
    """Return the type of the model file, with the settings of every known service."""
    fields: dict[str, Any] = {
        name: (settings | None, Field(None, description=settings.__doc__))
        for name, settings in services.items()
    }
    known = create_model("Services", __base__=Part, **fields)
    model = create_model("Main", __base__=Main, services=(known | None, None))
    model.__doc__ = Main.__doc__
    return model
