"""The grammar of the model file: each field with its type, its default and its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    WrapValidator,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from proxygen.model.certificate import algorithm_of
from proxygen.model.hosts import BadName
from proxygen.model.instances import FURTHER, MOST_SERVICES, kind_in
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
    validator_of,
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
"""Rate limits of known authorities by directory (letsencrypt.org/docs/rate-limits)."""

Language = Literal["en", "de", "fr"]
Challenge = Literal["http-01", "dns-01", "dns-persist-01"]
Key = Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"]


def kind_of_list(value: Any) -> str:
    """Return which form *value* has: a list, or a single word."""
    return "list" if isinstance(value, list) else "word"


def one_of_each_algorithm(types: list[str]) -> list[str]:
    """Return types of keys that can be served side by side; raise BadName for others.

    A program has one certificate for each algorithm (SSL_CTX_use_certificate(3)): a second one of
    another curve, or of another size, takes the place of the first.
    """
    first, *others = types
    for other in others:
        if other == first:
            raise BadName(
                "{} is there twice", f"write `{first}` alone, or another algorithm", other
            )
        if algorithm_of(other) == algorithm_of(first):
            raise BadName(
                f"services have one certificate for each algorithm, and {first} and {{}} are both"
                f" {algorithm_of(first).upper()}",
                "write one `ecdsa-…` and one `rsa-…`, such as [ecdsa-p256, rsa-2048]",
                other,
            )
    return types


KeyTypes = Annotated[
    Annotated[Key, Tag("word")]
    | Annotated[
        list[Key],
        Field(min_length=1, max_length=2),
        validator_of(one_of_each_algorithm),
        Tag("list"),
    ],
    Discriminator(kind_of_list),
]


class SchemaPart(BaseModel):
    """A mapping of the model; unknown fields are mistakes."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class FileFields(SchemaPart):
    """The files of a certificate that the administrator supplies."""

    certificate: File = Field(description="PEM (leaf, chain and key in any order) or PKCS#12.")
    key: File | None = Field(None, description="PEM; default: the key is in `certificate`.")
    chain: File | None = Field(
        None, description="PEM; the intermediates, if they are in a file of their own."
    )
    password: SecretReference | None = Field(
        None, description="The password of an encrypted key or PKCS#12 file: env:NAME or file:PATH."
    )


class AdoptFields(SchemaPart):
    """Where a certificate stands that another ACME client obtained, with its key."""

    certificate: File = Field(description="PEM: the certificate with its chain.")
    key: File | None = Field(None, description="PEM; without it the key stands in `certificate`.")


class FileCertificate(SchemaPart):
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


Unchecked = Annotated[
    Annotated[bool, Tag("word")]
    | Annotated[list[ExtraName], Field(max_length=MOST_NAMES), Tag("list")],
    Discriminator(kind_of_list),
]


class Global(SchemaPart):
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
    key_type: KeyTypes | None = Field(
        None, description="The type of its private key, or a list of two; default: as in `acme`."
    )
    challenge: Challenge | None = Field(
        None, description="How its names are proven; default: as in `acme`."
    )
    solver: Name | None = Field(
        None, description="Which of `solvers` writes its DNS records; default: the only one."
    )
    strict_names: bool = Field(
        False,
        description="If true, a certificate that cannot cover all names is not ordered at all.",
    )
    skip_preflight: Unchecked = Field(
        False,
        description="Names that are not checked before an order; true: all of them.",
    )
    backend: Name | None = Field(
        None, description="The backend that serves its requests; without one they get 404."
    )
    adopt: AdoptFields | None = Field(
        None, description="A certificate that serves while proxygen has none; as `import` found it."
    )


class Domain(SchemaPart):
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
        None, description="Where its certificate comes from; default: as in `defaults`."
    )
    key_type: KeyTypes | None = Field(
        None,
        description="The type of its private key, or a list of two; default: as in `defaults`.",
    )
    challenge: Challenge | None = Field(
        None, description="How its names are proven; default: as in `defaults`."
    )
    solver: Name | None = Field(
        None, description="Which of `solvers` writes its DNS records; default: the only one."
    )
    strict_names: bool | None = Field(
        None,
        description="If true, a certificate that cannot cover all names is not ordered at all.",
    )
    skip_preflight: Unchecked | None = Field(
        None,
        description="Names that are not checked before an order; true: all of them.",
    )
    contact: Contact | None = Field(
        None, description="Receives alerts, as does the global contact."
    )
    language: Language | None = Field(
        None, description="The language of mails to its contact; default: as in `defaults`."
    )
    backend: Name | None = Field(
        None, description="The backend that serves its requests; default: as in `defaults`."
    )
    adopt: AdoptFields | None = Field(
        None, description="A certificate that serves while proxygen has none; as `import` found it."
    )


class Defaults(SchemaPart):
    """Defaults for every domain with a URL."""

    certificate: Literal["acme", "hook", "selfsigned", "global"] = Field(
        "global", description="Where certificates come from; `global`: the global one serves."
    )
    backend: Name | None = Field(
        None, description="The backend that serves requests; without one they get 404."
    )
    key_type: KeyTypes | None = Field(
        None, description="The type of private keys, or a list of two; default: as in `acme`."
    )
    challenge: Challenge | None = Field(
        None, description="How names are proven; default: as in `acme`."
    )
    solver: Name | None = Field(
        None, description="Which of `solvers` writes DNS records; default: the only one."
    )
    strict_names: bool = Field(
        False,
        description="If true, a certificate that cannot cover all names is not ordered at all.",
    )
    skip_preflight: Unchecked = Field(
        False,
        description="Names that are not checked before an order; true: all of them.",
    )
    contact: Contact | None = Field(
        None, description="Receives alerts, as does the global contact."
    )
    language: Language | None = Field(
        None, description="The language of mails to a domain's contact; default: the global one."
    )


class LocationFields(SchemaPart):
    """How requests below one path are passed on; other fields are the application's."""

    upstream: Name | None = Field(None, description="Which of the backend's upstreams.")
    exact: bool | None = Field(None, description="Match this path only, not what is below it.")
    rewrite: RequestPath | None = Field(
        None, description="Replaces the part of the path that matched."
    )
    redirect: RequestPath | None = Field(None, description="Redirect the browser to this path.")
    host: Host | None = Field(
        None, description="The Host header for the upstream; default: the client's."
    )
    password: bool | None = Field(
        None, description="Whether clients must log in with a name and password of `password_file`."
    )
    websocket: bool | None = Field(
        None, description="Whether WebSocket connections are passed on; default: false."
    )
    connect_timeout: Seconds | None = Field(
        None,
        description="Timeout for connecting to an upstream server; seconds or 1m; default: 10s.",
    )
    read_timeout: Seconds | None = Field(
        None, description="Timeout between two reads of its answer; seconds or 20m; default: 60s."
    )
    send_timeout: Seconds | None = Field(
        None, description="Timeout between two writes of the request; seconds or 20m; default: 60s."
    )
    body_size: Octets | None = Field(
        None, description="Largest request body; bytes or 50m; 0: no limit; default: 50m."
    )
    buffering: bool | None = Field(None, description="Whether answers are buffered; default: true.")
    request_buffering: bool | None = Field(
        None, description="Whether requests are buffered; default: true."
    )


class BackendFields(SchemaPart):
    """Where requests go."""

    application: Name = Field("generic", description="The application whose locations it gets.")
    upstreams: dict[Name, Annotated[list[UpstreamServer], Field(min_length=1, max_length=64)]] = (
        Field(min_length=1, description="Servers by upstream: http://HOST:PORT or https://….")
    )
    locations: dict[RequestPath, LocationFields] = Field(
        {},
        description=(
            "Locations by path; they add to the application's, or change them field by field."
        ),
    )
    password_file: BarePath | None = Field(
        None, description="File with names and hashed passwords, as `htpasswd` writes it."
    )


Count = Annotated[int, Field(ge=1, le=10_000_000)]


class ExternalAccountFields(SchemaPart):
    """Credentials that bind the ACME account to one at the authority (RFC 8555 section 7.3.4)."""

    key_identifier: KeyIdentifier = Field(description="The key identifier from the authority.")
    hmac_key: SecretReference = Field(
        description="The HMAC key from the authority, base64url or base64: env:NAME or file:PATH."
    )


class AccountFields(SchemaPart):
    """An ACME account that is there already, by its key."""

    key: SecretReference = Field(
        description="Its private key, PEM or JWK: env:NAME or file:PATH; read until it is stored."
    )


class LimitFields(SchemaPart):
    """Rate limits of the authority; others are those of Let's Encrypt there, or none elsewhere."""

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


class AuthorityFields(SchemaPart):
    """An ACME authority, and how to order there."""

    directory: Directory = Field(
        description="The authority: letsencrypt, letsencrypt-staging or a URL."
    )
    terms_of_service_agreed: bool = Field(
        False, description="Whether you agree to its terms; must be true for ACME certificates."
    )
    profile: Profile | None = Field(
        None, description="A certificate profile of the authority; default: its own choice."
    )
    external_account: ExternalAccountFields | None = Field(
        None,
        description="Credentials from the authority that bind the account to one you have there.",
    )
    account: AccountFields | None = Field(
        None, description="An account that another ACME client has there; default: a new one."
    )
    trusted_roots: list[File] = Field(
        default=[],
        max_length=20,
        description="CA files (PEM) by which a private authority is trusted.",
    )
    limits: LimitFields = Field(LimitFields(), description="Rate limits of the authority.")


class AcmeFields(AuthorityFields):
    """Where and how ACME certificates are obtained."""

    directory: Directory = Field(
        "letsencrypt", description="The authority: letsencrypt, letsencrypt-staging or a URL."
    )
    fallback: AuthorityFields | None = Field(
        None, description="A second authority, which takes over when the first cannot issue."
    )
    challenge: Challenge = Field("http-01", description="How names are proven to the authority.")
    preflight: bool = Field(True, description="Whether names are checked before an order.")
    validation_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        80, description="The port that a private authority connects to for http-01."
    )
    key_type: KeyTypes = Field(
        "ecdsa-p256",
        description="The type of private keys that proxygen makes, or a list of two.",
    )
    http_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        80, description="Port of the built-in listener, on a host without nginx."
    )


class MetricsFields(SchemaPart):
    """Metrics for Prometheus (package `prometheus-client`)."""

    file: HostPath | None = Field(
        None, description="A file for node_exporter (*.prom), written after every run."
    )
    listen: Listener | None = Field(
        None, description="Where `proxygen watch` serves metrics over HTTP, such as 127.0.0.1:9780."
    )


class Application(SchemaPart):
    """A known application: its locations; a backend may lack upstreams that it names."""

    base: Name | None = Field(None, description="The application whose locations it inherits.")
    instead: dict[Name, Name] = Field(
        {},
        description="Upstreams that a backend may lack, each with the one that takes its requests.",
    )
    locations: dict[RequestPath, LocationFields] = Field(description="Locations by path.")


def empty_for_none(value: Any) -> Any:
    """Return an empty mapping for a key with nothing below it."""
    return {} if value is None else value


Domains = Annotated[
    dict[Host, Domain | None],
    BeforeValidator(empty_for_none, json_schema_input_type=dict[Host, Domain | None] | None),
]


class Included(SchemaPart):
    """An included file."""

    domains: Domains = Field({}, description="The domains, by name.")


class IncludeFields(SchemaPart):
    """Further files, whose certificates must be in one folder."""

    files: Glob = Field(description="A path or glob; each file has a `domains:` mapping.")
    certificates: File = Field(
        description="The folder in which certificates and keys that these files name must be."
    )


Include = Annotated[
    Annotated[Glob, Tag("word")] | Annotated[IncludeFields, Tag("mapping")],
    Discriminator(kind_of_include),
]


class Main(Included):
    """The model file."""

    contact: Contact | None = Field(
        None, description="Contact of the ACME account; receives alerts."
    )
    language: Language = Field(
        "en", description="The language of mails to the contact: en, de or fr."
    )
    global_: Global = Field(alias="global", description="The global URL and its certificate.")
    defaults: Defaults = Field(
        Defaults(), description="For every domain with a URL that does not say otherwise."
    )
    backends: dict[Name, BackendFields] = Field({}, description="Backends by name.")
    acme: AcmeFields = Field(AcmeFields(), description="How ACME certificates are obtained.")
    addresses: list[Address] = Field(
        default=[],
        max_length=64,
        description=(
            "The public addresses of this installation; default: those that proxygen finds."
        ),
    )
    resolvers: list[NameServer] = Field(
        default=[],
        max_length=16,
        description=(
            "Resolvers to use instead of asking the domains' own name servers: ADDRESS[:PORT]."
        ),
    )
    services: Any = None
    notifiers: Any = None
    solvers: Any = None
    metrics: MetricsFields = Field(MetricsFields(), description="Metrics for Prometheus.")
    include: list[Include] = Field(
        default=[],
        max_length=1000,
        description="Further files (paths or globs), each with a `domains:` mapping.",
    )


ROOMS = {
    "services": "The services to set up; default: nginx, postfix and dovecot, as far as installed.",
    "notifiers": "How alerts are delivered; default: mail through this host's mail server.",
}
"""The fields of the model in which a key is the name of a module of proxygen.

That of a further service begins with it: `postfix-out`.
"""

Known = Mapping[str, Mapping[str, type[BaseModel]]]
"""By folder and module name: the type of its settings."""


def main_type(known: Known) -> type[Main]:
    """Return the type of the model file, with the settings of all known modules."""
    rooms: dict[str, Any] = {
        room: (room_type(room, words) | None, Field(None, description=ROOMS[room]))
        for room, words in known.items()
        if room in ROOMS
    }
    if "services" in known:
        services = services_type(known["services"]) | None
        rooms["services"] = services, Field(None, description=ROOMS["services"])
    rooms["solvers"] = solvers_type(known.get("solvers", {}))
    return create_model("Main", __base__=Main, __doc__=Main.__doc__, **rooms)


def room_type(
    room: str, words: Mapping[str, type[BaseModel]], base: type[SchemaPart] = SchemaPart
) -> type[SchemaPart]:
    """Return the type of `services` or `notifiers`, with a field for each known module."""
    fields: dict[str, Any] = {
        word: (settings | None, Field(None, description=settings.__doc__))
        for word, settings in words.items()
    }
    return create_model(room.title(), __base__=base, __doc__=ROOMS[room], **fields)


class ServiceFields(SchemaPart):
    """The services by name: each kind by its word, and further ones that are named after theirs."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Tell editors of further services."""
        schema = handler.resolve_ref_schema(handler(core))
        kinds = schema.get("properties", {})
        schema["patternProperties"] = {f"^{kind}{FURTHER}$": node for kind, node in kinds.items()}
        return schema


def services_type(kinds: Mapping[str, type[BaseModel]]) -> Any:
    """Return the type of `services`: a field for each kind, and for each further service named."""

    @lru_cache(maxsize=8)
    def naming(further: tuple[str, ...]) -> type[SchemaPart]:
        more = {name: kinds[kind] for name in further if (kind := kind_in(name, kinds))}
        return room_type("services", {**kinds, **more}, ServiceFields)

    def validated(value: Any, validate: Callable[[Any], Any]) -> Any:
        named = value if isinstance(value, dict) else ()
        further = [name for name in named if name not in kinds and kind_in(str(name), kinds)]
        if not further:
            return validate(value)
        return naming(tuple(further[:MOST_SERVICES])).model_validate(value)

    return Annotated[naming(()), WrapValidator(validated)]


MOST_SOLVERS = 64


def solvers_type(words: Mapping[str, type[BaseModel]]) -> tuple[Any, Any]:
    """Return type and default of `solvers`: under each name one kind with its settings."""
    kinds: dict[str, Any] = {
        word: (settings | None, Field(None, description=settings.__doc__))
        for word, settings in words.items()
    }
    one = create_model(
        "SolverFields", __base__=SchemaPart, __doc__="A solver, which writes DNS records.", **kinds
    )
    told = "Solvers for dns-01, each under a name of your choice."
    return dict[Name, one], Field(default={}, max_length=MOST_SOLVERS, description=told)


UNUSABLE = ""
"""Stands for the host of a URL that was typed wrong, about which nothing more is reported."""


class Rest(Global):
    """What is left of `global` without the mistakes in it."""

    url: Url = UNUSABLE
    certificate: OwnCertificate = "selfsigned"


def rest_type(grammar: type[T]) -> type[T]:
    """Return *grammar* for what is left of a file, in which `global` may lack required fields."""
    if not issubclass(grammar, Main):
        return grammar
    return create_model("Rest", __base__=grammar, global_=(Rest, Field(Rest(), alias="global")))
