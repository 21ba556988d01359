"""What the model may say about dynamic updates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxygen.model.types import Seconds, SecretReference, Server, Text
from proxygen.solvers import WriterSettings

KeyName = Annotated[
    str,
    Text(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}",
        "the name of a TSIG key",
        "write it as in the name server's configuration: letters, digits and . _ -",
    ),
]
Algorithm = Literal["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"]


class Rfc2136Settings(WriterSettings):
    """Dynamic updates at a name server, such as BIND, Knot or PowerDNS."""

    server: Server = Field(
        description="The primary name server, which accepts updates: an address or a name."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(53, description="Its port, over TCP.")
    key_name: KeyName | None = Field(
        None, description="The name of the TSIG key; default: the one in the key file."
    )
    key: SecretReference = Field(
        description="The TSIG key: its secret in base64, or a key file of BIND's (tsig-keygen)."
    )
    algorithm: Algorithm | None = Field(
        None,
        description="Algorithm of the TSIG key; default: the one in the key file, or hmac-sha256.",
    )
    ttl: Annotated[int, Field(ge=0, le=86_400)] = Field(
        60, description="TTL of a record in seconds."
    )
    timeout: Seconds = Field(
        30, description="Timeout of an exchange with the server; seconds or 1m."
    )
