"""The grammar of the model file: each field with its type, its default and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    create_model,
)

from proxygen.model.types import (
    Address,
    BarePath,
    Contact,
    Directory,
    ExtraName,
    File,
    Glob,
    Host,
    HostPath,
    KeyIdentifier,
    Listener,
    Name,
    NameServer,
    Octets,
    Profile,
    RequestPath,
    Seconds,
    SecretReference,
    UpstreamServer,
    Url,
)

T = TypeVar("T", bound=BaseModel)

MOST_NAMES = 100
"""Names in one certificate (Let's Encrypt's limit for the profile `classic`)."""

DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
LIMITS: dict[str, dict[str, int]] = {
    DIRECTORIES["letsencrypt"]: {
        "orders": 300,
        "registered_domain": 50,
        "name_set": 5,
        "failed_validations": 5,
    },
    DIRECTORIES["letsencrypt-staging"]: {"orders": 1500, "failed_validations": 200},
}
"""The limits of known authorities by directory (letsencrypt.org/docs/rate-limits)."""

Language = Literal["en", "de", "fr"]
Challenge = Literal["http-01", "dns-01", "dns-persist-01"]
Key = Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"]


class Part(BaseModel):
    """A mapping of the model; unknown fields are mistakes."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class FileFields(Part):
    """Where the administrator's certificate stands."""

    certificate: File = Field(description="PEM (leaf, chain and key in any order) or PKCS#12.")
    key: File | None = Field(None, description="PEM; without it the key stands in `certificate`.")
    chain: File | None = Field(None, description="PEM; intermediates, where they stand apart.")
    password: SecretReference | None = Field(
        None, description="Of an encrypted key or PKCS#12: env:NAME or file:PATH."
    )


class FileCertificate(Part):
    """A certificate that the administrator supplies."""

    file: FileFields = Field(description="The files of a certificate that you supply.")


def kind_of(value: Any) -> str:
    """Return which form of certificate *value* has: a mapping or a word."""
    return "mapping" if isinstance(value, dict | FileCertificate) else "word"


Supplied = Annotated[FileCertificate, Tag("mapping")]
OwnCertificate = Annotated[
    Annotated[Literal["acme", "hook", "selfsigned"], Tag("word")] | Supplied,
    Discriminator(kind_of),
]
DomainCertificate = Annotated[
    Annotated[Literal["acme", "hook", "selfsigned", "global"], Tag("word")] | Supplied,
    Discriminator(kind_of),
]


def kind_of_include(value: Any) -> str:
    """Return which form of `include` *value* has: a mapping or a word."""
    return "mapping" if isinstance(value, dict | BaseModel) else "word"


def kind_of_list(value: Any) -> str:
    """Return which form *value* has: a list, or a single word."""
    return "list" if isinstance(value, list) else "word"


Unchecked = Annotated[
    Annotated[bool, Tag("word")]
    | Annotated[list[ExtraName], Field(max_length=MOST_NAMES), Tag("list")],
    Discriminator(kind_of_list),
]


class Global(Part):
    """The global URL and the global certificate."""

    url: Url = Field(description="The global URL: `https://` and a host name, or the name alone.")
    extra_names: list[ExtraName] = Field(
        default=[],
        max_length=MOST_NAMES - 1,
        description="Further names of its server block and certificate; wildcards: `*.HOST`.",
    )
    certificate: OwnCertificate = Field(
        description="Where the global certificate comes from: acme, hook, selfsigned, or files."
    )
    challenge: Challenge | None = Field(
        None, description="How its names are proven; default: what `acme` says."
    )
    solver: Name | None = Field(
        None, description="Which of `solvers` writes its DNS records; default: the only one."
    )
    strict_names: bool = Field(
        False, description="Whether its certificate has to cover all names, or there is none."
    )
    skip_preflight: Unchecked = Field(
        False,
        description="Names that are not looked at before the authority is asked; true: all.",
    )
    backend: Name | None = Field(
        None, description="Where its requests go; without one they get 404."
    )


class Domain(Part):
    """A domain; one without `url` is reached through the global URL."""

    url: Url | None = Field(
        None, description="A URL of its own: `https://` and a host name, or the name alone."
    )
    extra_names: list[ExtraName] = Field(
        default=[],
        max_length=MOST_NAMES - 1,
        description="Further names of its server block and certificate; wildcards: `*.HOST`.",
    )
    certificate: DomainCertificate | None = Field(
        None, description="Where its certificate comes from; default: what `defaults` say."
    )
    challenge: Challenge | None = Field(
        None, description="How its names are proven; default: what `defaults` say."
    )
    solver: Name | None = Field(
        None, description="Which of `solvers` writes its DNS records; default: the only one."
    )
    strict_names: bool | None = Field(
        None, description="Whether its certificate has to cover all names, or there is none."
    )
    skip_preflight: Unchecked | None = Field(
        None,
        description="Names that are not looked at before the authority is asked; true: all.",
    )
    contact: Contact | None = Field(None, description="Warned besides the global contact.")
    language: Language | None = Field(
        None, description="Of what its contact is told; default: what `defaults` say."
    )
    backend: Name | None = Field(
        None, description="Where its requests go; default: what `defaults` say."
    )


class Defaults(Part):
    """What holds for every domain with a URL that does not say otherwise."""

    certificate: Literal["acme", "hook", "selfsigned", "global"] = Field(
        "global", description="Where certificates come from; `global`: the global one serves."
    )
    backend: Name | None = Field(None, description="Where requests go; without one they get 404.")
    challenge: Challenge | None = Field(
        None, description="How names are proven; default: what `acme` says."
    )
    solver: Name | None = Field(
        None, description="Which of `solvers` writes DNS records; default: the only one."
    )
    strict_names: bool = Field(
        False, description="Whether a certificate has to cover all names, or there is none."
    )
    skip_preflight: Unchecked = Field(
        False,
        description="Names that are not looked at before the authority is asked; true: all.",
    )
    contact: Contact | None = Field(None, description="Warned besides the global contact.")
    language: Language | None = Field(
        None, description="Of what a domain's contact is told; default: the global one."
    )


class LocationFields(Part):
    """How requests below one path are passed on; what is not said is the application's."""

    upstream: Name | None = Field(None, description="Which of the backend's upstreams.")
    exact: bool | None = Field(None, description="Match this path alone, not what is below it.")
    rewrite: RequestPath | None = Field(None, description="Replaces the path that matched.")
    redirect: RequestPath | None = Field(
        None, description="Sends the browser to this path; nothing is passed on."
    )
    host: Host | None = Field(
        None, description="The name that the upstream is asked for; default: the client's."
    )
    password: bool | None = Field(
        None, description="Whether a name and password of `password_file` are asked for."
    )
    websocket: bool | None = Field(
        None, description="Whether websockets are passed on; default: false."
    )
    connect_timeout: Seconds | None = Field(
        None, description="For the connection to an upstream server; seconds or 1m; default: 10s."
    )
    read_timeout: Seconds | None = Field(
        None, description="Between two pieces of its answer; seconds or 20m; default: 60s."
    )
    send_timeout: Seconds | None = Field(
        None, description="Between two pieces of the request; seconds or 20m; default: 60s."
    )
    body_size: Octets | None = Field(
        None, description="Largest request body; bytes or 50m; 0: no limit; default: 50m."
    )
    buffering: bool | None = Field(None, description="Whether answers are buffered; default: true.")
    request_buffering: bool | None = Field(
        None, description="Whether requests are buffered; default: true."
    )


class BackendFields(Part):
    """Where requests go."""

    application: Name = Field("generic", description="The locations of a known application.")
    upstreams: dict[Name, Annotated[list[UpstreamServer], Field(min_length=1, max_length=64)]] = (
        Field(min_length=1, description="Servers by upstream: http://HOST:PORT or https://….")
    )
    locations: dict[RequestPath, LocationFields] = Field(
        {}, description="By path; added to the application's, or changing them field by field."
    )
    password_file: BarePath | None = Field(
        None, description="Names with hashed passwords for nginx, as `htpasswd` writes them."
    )


Count = Annotated[int, Field(ge=1, le=10_000_000)]


class ExternalAccountFields(Part):
    """What the authority gave to bind the ACME account to one of its own."""

    key_identifier: KeyIdentifier = Field(description="The key identifier that it gave.")
    hmac_key: SecretReference = Field(
        description="The HMAC key that it gave, base64url or base64: env:NAME or file:PATH."
    )


class LimitFields(Part):
    """How much the authority allows; what is not said is as Let's Encrypt's, or unlimited."""

    orders: Count | None = Field(None, description="New orders per account and 3 hours.")
    registered_domain: Count | None = Field(
        None, description="Certificates per registered domain and 7 days."
    )
    name_set: Count | None = Field(
        None, description="Certificates for the same set of names per 7 days."
    )
    failed_validations: Count | None = Field(
        None, description="Failed validations per name and hour."
    )


class AuthorityFields(Part):
    """An authority and how it is asked."""

    directory: Directory = Field(
        description="The authority: letsencrypt, letsencrypt-staging or a URL."
    )
    terms_of_service_agreed: bool = Field(
        False, description="Whether you agree to its terms; must be true for ACME certificates."
    )
    profile: Profile | None = Field(
        None, description="One of the authority's certificate profiles; default: its own choice."
    )
    external_account: ExternalAccountFields | None = Field(
        None, description="What the authority gave to bind the account to one of its own."
    )
    trusted_roots: list[File] = Field(
        default=[],
        max_length=20,
        description="CA files (PEM) that are trusted for a private authority.",
    )
    limits: LimitFields = Field(LimitFields(), description="How much the authority allows.")


class AcmeFields(AuthorityFields):
    """Where and how ACME certificates are obtained."""

    directory: Directory = Field(
        "letsencrypt", description="The authority: letsencrypt, letsencrypt-staging or a URL."
    )
    fallback: AuthorityFields | None = Field(
        None, description="A second authority, which takes over when the first cannot issue."
    )
    challenge: Challenge = Field("http-01", description="How names are proven to the authority.")
    preflight: bool = Field(
        True, description="Whether names are looked at before the authority is asked."
    )
    validation_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        80, description="Port at which the authority asks for http-01; for private ones alone."
    )
    key_type: Key = Field("ecdsa-p256", description="Of all private keys that proxygen makes.")
    http_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        80, description="Port of the built-in listener, on a host without nginx."
    )


class MetricsFields(Part):
    """Figures for Prometheus (package `prometheus-client`)."""

    file: HostPath | None = Field(
        None, description="A file that is rewritten after every run, for node_exporter: *.prom."
    )
    listen: Listener | None = Field(
        None, description="Where `proxygen watch` answers over HTTP, such as 127.0.0.1:9780."
    )


class Application(Part):
    """A known application: where its requests go; an upstream it names may be missing."""

    base: Name | None = Field(None, description="The application whose locations it has as well.")
    instead: dict[Name, Name] = Field(
        {}, description="By an upstream that a backend may lack: the one that takes its requests."
    )
    locations: dict[RequestPath, LocationFields] = Field(description="By path.")


def empty_for_none(value: Any) -> Any:
    """Return what a key with nothing below it means: an empty mapping."""
    return {} if value is None else value


Domains = Annotated[
    dict[Host, Domain | None],
    BeforeValidator(empty_for_none, json_schema_input_type=dict[Host, Domain | None] | None),
]


class Included(Part):
    """An included file."""

    domains: Domains = Field({}, description="The domains, by name.")


class IncludeFields(Part):
    """Further files, whose certificates stand in one folder."""

    files: Glob = Field(description="A path or glob; each file has a `domains:` mapping.")
    certificates: File = Field(
        description="The folder in which all files stand that these name as certificates and keys."
    )


Include = Annotated[
    Annotated[Glob, Tag("word")] | Annotated[IncludeFields, Tag("mapping")],
    Discriminator(kind_of_include),
]


class Main(Included):
    """The model file."""

    contact: Contact | None = Field(None, description="ACME account contact, expiry warnings.")
    language: Language = Field("en", description="Of what the contact is told: en, de or fr.")
    global_: Global = Field(alias="global", description="The global URL and its certificate.")
    defaults: Defaults = Field(
        Defaults(), description="For every domain with a URL that does not say otherwise."
    )
    backends: dict[Name, BackendFields] = Field({}, description="Where requests go, by name.")
    acme: AcmeFields = Field(AcmeFields(), description="How ACME certificates are obtained.")
    addresses: list[Address] = Field(
        default=[],
        max_length=64,
        description="The public addresses of this installation; default: those found out.",
    )
    resolvers: list[NameServer] = Field(
        default=[],
        max_length=16,
        description="Resolvers to ask instead of the domains' own name servers: ADDRESS[:PORT].",
    )
    services: Any = None
    notifiers: Any = None
    solvers: Any = None
    metrics: MetricsFields = Field(MetricsFields(), description="Figures for Prometheus.")
    include: list[Include] = Field(
        default=[],
        max_length=1000,
        description="Further files (paths or globs), each with a `domains:` mapping.",
    )


ROOMS = {
    "services": "The services to set up; default: those of nginx, postfix and dovecot found.",
    "notifiers": "Who tells people; default: e-mail through this host's mail server.",
}
"""The fields of the model below which each word is the name of one of our modules."""

Known = Mapping[str, Mapping[str, type[BaseModel]]]
"""By room and word: the type of its settings."""


def main_type(known: Known) -> type[Main]:
    """Return the type of the model file, with the settings of all that is known by a word."""
    rooms: dict[str, Any] = {
        room: (room_type(room, words) | None, Field(None, description=ROOMS[room]))
        for room, words in known.items()
        if room in ROOMS
    }
    rooms["solvers"] = solvers_type(known.get("solvers", {}))
    return create_model("Main", __base__=Main, __doc__=Main.__doc__, **rooms)


def room_type(room: str, words: Mapping[str, type[BaseModel]]) -> type[Part]:
    """Return the type of what stands below a room's name."""
    fields: dict[str, Any] = {
        word: (settings | None, Field(None, description=settings.__doc__))
        for word, settings in words.items()
    }
    return create_model(room.title(), __base__=Part, __doc__=ROOMS[room], **fields)


MOST_SOLVERS = 64


def solvers_type(words: Mapping[str, type[BaseModel]]) -> tuple[Any, Any]:
    """Return type and default of `solvers`: by a name of the administrator's, one word each."""
    kinds: dict[str, Any] = {
        word: (settings | None, Field(None, description=settings.__doc__))
        for word, settings in words.items()
    }
    one = create_model("SolverFields", __base__=Part, __doc__="Who writes DNS records.", **kinds)
    told = "Who writes DNS records for dns-01, each by a name of your choice."
    return dict[Name, one], Field(default={}, max_length=MOST_SOLVERS, description=told)


UNUSABLE = ""
"""Stands for the name of a URL that was typed wrong, of which nothing more is told."""


class Rest(Global):
    """What is left of `global` when the mistakes in it are taken out."""

    url: Url = UNUSABLE
    certificate: OwnCertificate = "selfsigned"


def rest_type(grammar: type[T]) -> type[T]:
    """Return *grammar* for what is left of a file: `global` may lack whatever it needs."""
    if not issubclass(grammar, Main):
        return grammar
    return create_model("Rest", __base__=grammar, global_=(Rest, Field(Rest(), alias="global")))
