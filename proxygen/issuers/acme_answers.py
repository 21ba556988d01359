"""The answers of an ACME authority, read as hostile: types, sizes and characters are bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from itertools import islice
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from proxygen.errors import IssueFailed
from proxygen.failure import not_obtained
from proxygen.model.hosts import BadName, host_name, is_address

URN = "urn:ietf:params:acme:error:"
UNTYPED = "about:blank"
LONGEST_TEXT = 1000
MOST_NAMES = 1000
MOST_IDENTITIES = 20
OWN_REASONS = frozenset({"caa", "rejectedIdentifier", "rateLimited"})
"""Types of problems that a name has with one authority, and maybe not with another."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,200}", re.ASCII)
"""RFC 8555 section 8.3: base64url of at least 128 bits; bounded, as it becomes a file name."""


def https_url(url: str) -> str:
    """Return *url* if it is a plain HTTPS URL; the host may be any (RFC 8555 section 7.1)."""
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ValueError("not an https:// URL")
    return url


def printable_text(text: str) -> str:
    """Return *text* for a person: one line, bounded, nothing invisible."""
    shown = text[: 2 * LONGEST_TEXT]
    visible = "".join(letter if letter.isprintable() else " " for letter in shown)
    return " ".join(visible.split())[:LONGEST_TEXT]


def said_only(value: Any) -> Any:
    """Return a JSON value without what says nothing: null, an empty text, an empty object.

    Private authorities write these where RFC 8555 leaves a field out. Of profiles the names count,
    whatever is told about them.
    """
    if isinstance(value, list):
        return [said_only(each) for each in value if each is not None]
    if not isinstance(value, dict):
        return value
    kept = {name: said_in(name, each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each not in (None, "", {})}


def said_in(name: str, value: Any) -> Any:
    """Return the value of a field without what says nothing; profiles keep their names."""
    if name != "profiles" or not isinstance(value, dict):
        return said_only(value)
    return {each: text if isinstance(text, str) else "" for each, text in value.items()}


def plain_json(body: bytes) -> str:
    """Return the JSON of a body, without what says nothing; raise ValueError for none.

    A byte order mark before it is passed over (RFC 8259 section 8.1).
    """
    try:
        return json.dumps(said_only(json.loads(body.decode("utf-8-sig"))))
    except RecursionError as error:
        raise ValueError("too deep") from error


Url = Annotated[str, Field(max_length=2000), AfterValidator(https_url)]
Text = Annotated[str, AfterValidator(printable_text)]
Word = Annotated[str, Field(max_length=1000), AfterValidator(printable_text)]


class AnswerUnreadable(IssueFailed):
    """An answer of the authority is not what was asked for."""


class AcmeObject(BaseModel):
    """A JSON object of the authority; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Return the object in *body*; raise IssueFailed if it is not of this kind."""
        kind = cls.__name__.lower()
        try:
            return cls.model_validate_json(plain_json(body))
        except ValueError as error:
            words = printable_text(flaw_words(error))
            raise AnswerUnreadable(
                not_obtained("answer-unreadable", kind=kind, words=words)
            ) from error


def flaw_words(error: ValueError) -> str:
    """Return what is wrong with an answer, and at which field."""
    if not isinstance(error, ValidationError):
        return f"JSON: {error}"
    flaw = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, flaw["loc"])) or "JSON"
    return f"{where}: {flaw['msg']}"


class Identifier(AcmeObject):
    """A name as the authority writes it (RFC 8555 section 9.7.7, RFC 8738 section 3)."""

    type: Annotated[Word, AfterValidator(str.lower)]
    value: Annotated[str, Field(max_length=300), AfterValidator(printable_text)]

    @classmethod
    def of(cls, name: str) -> Identifier:
        """Return a name of ours as an identifier."""
        return cls(type="ip" if is_address(name) else "dns", value=name)

    @property
    def name(self) -> str:
        """The name as we write names: in lower case, an address in its shortest form."""
        try:
            if self.type == "ip":
                return str(ip_address(self.value))
            return self.value.lower().removesuffix(".")
        except ValueError:
            return self.value


class Problem(AcmeObject):
    """A problem document (RFC 8555 section 6.7)."""

    type: Word = UNTYPED
    title: Text = ""
    detail: Text = ""
    instance: Word | None = None
    identifier: Identifier | None = None
    subproblems: Annotated[tuple[Problem, ...], Field(max_length=MOST_NAMES)] = ()

    @property
    def kind(self) -> str:
        """The last part of an ACME error's type, such as ``rateLimited``; else empty."""
        return self.type.removeprefix(URN) if self.type.startswith(URN) else ""

    @property
    def leaves(self) -> Iterator[Problem]:
        """The subproblems, or the problem itself; at most as many as names may be ordered."""
        yield from islice(self.parts(), MOST_NAMES)

    def parts(self) -> Iterator[Problem]:
        """Yield the subproblems, or the problem itself."""
        if not self.subproblems:
            yield self
        for part in self.subproblems:
            named = part.identifier or self.identifier
            yield from part.model_copy(update={"identifier": named}).parts()

    def about(self, name: str) -> Problem:
        """Return the same problem as one with *name*, a name of ours."""
        return self.model_copy(update={"identifier": Identifier.of(name)})


class Status(StrEnum):
    """The states of orders, authorizations and challenges (RFC 8555 section 7.1.6)."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


def domain_names(names: object) -> tuple[str, ...]:
    """Return the host names in a list, bounded; other values are ignored."""
    found = []
    for each in names[:MOST_IDENTITIES] if isinstance(names, list | tuple) else ():
        try:
            found.append(host_name(each) if isinstance(each, str) else "")
        except BadName:
            continue
    return tuple(dict.fromkeys(filter(None, found)))


Domains = Annotated[tuple[str, ...], BeforeValidator(domain_names)]
"""Domain names of issuers (RFC 8659 section 4.2)."""


class Meta(AcmeObject):
    """What a directory tells about its authority (RFC 8555 section 9.7.6)."""

    terms: Annotated[Word | None, Field(alias="termsOfService")] = None
    binding: Annotated[bool, Field(alias="externalAccountRequired")] = False
    caa_identities: Annotated[Domains, Field(alias="caaIdentities")] = ()
    profiles: dict[Word, Text] = {}


class Directory(AcmeObject):
    """Where the requests go (RFC 8555 section 7.1.1, RFC 9773 section 3)."""

    new_nonce: Annotated[Url, Field(alias="newNonce")]
    new_account: Annotated[Url, Field(alias="newAccount")]
    new_order: Annotated[Url, Field(alias="newOrder")]
    key_change: Annotated[Url | None, Field(alias="keyChange")] = None
    renewal_info: Annotated[Url | None, Field(alias="renewalInfo")] = None
    meta: Meta = Meta()

    @property
    def shared(self) -> frozenset[str]:
        """The URLs that every certificate needs."""
        return frozenset({self.new_nonce, self.new_account, self.new_order})


class Order(AcmeObject):
    """An order (RFC 8555 section 7.1.3, RFC 9773 section 5)."""

    status: Status
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=MOST_NAMES)] = ()
    authorizations: Annotated[tuple[Url, ...], Field(max_length=MOST_NAMES)] = ()
    finalize: Url | None = None
    certificate: Url | None = None
    error: Problem | None = None
    replaces: Word | None = None

    def is_for(self, names: tuple[str, ...]) -> bool:
        """Return whether it is for exactly *names*, as far as it names any."""
        asked = {(one.type, one.name) for one in map(Identifier.of, names)}
        said = {(one.type, one.name) for one in self.identifiers}
        return not said or said == asked


class Challenge(AcmeObject):
    """One way to prove an authorization (RFC 8555 section 7.1.5).

    *issuers* are the names of the authority for a record of dns-persist-01; that has no token.
    """

    type: Word = ""
    url: Url | None = None
    token: Annotated[str, Field(max_length=500)] | None = None
    status: Status = Status.PENDING
    error: Problem | None = None
    issuers: Annotated[Domains, Field(alias="issuer-domain-names")] = ()


class Authorization(AcmeObject):
    """What must be proven for one identifier (RFC 8555 section 7.1.4)."""

    identifier: Identifier
    status: Status
    challenges: Annotated[tuple[Challenge, ...], Field(max_length=50)] = ()
    wildcard: bool = False

    @property
    def name(self) -> str:
        """The name to prove, as it was ordered: ``*.`` and its parent for a wildcard."""
        return f"*.{self.identifier.name}" if self.wildcard else self.identifier.name

    @property
    def problem(self) -> Problem:
        """Why it is not valid, as far as the authority tells."""
        told = next((one.error for one in self.challenges if one.error), None)
        unsaid = Problem(detail=f"the authorization is {self.status.value}, without a reason")
        return (told or unsaid).about(self.name)

    @property
    def is_unproven(self) -> bool:
        """Whether its validation failed, so that no other authority would succeed."""
        invalid = self.status is Status.INVALID
        return invalid and not any(leaf.kind in OWN_REASONS for leaf in self.problem.leaves)


S = TypeVar("S", bound=AcmeObject)


def problem_in(body: bytes) -> Problem:
    """Return the problem document in *body*; anything else becomes one, shortened."""
    try:
        return Problem.model_validate_json(plain_json(body))
    except ValueError:
        text = body[: 2 * LONGEST_TEXT].decode("utf-8", "replace")
        return Problem(detail=printable_text(text)[:200])
