"""What the model may say about nginx."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from proxygen.model.hosts import BadName
from proxygen.model.types import reporting_bad_names, validator_of
from proxygen.services import ServiceSettings

AT_START_AT_MOST = 200
"""Certificates that nginx loads at its start; more are loaded on demand."""

SOCKET = re.compile(r"(?:(\[[0-9A-Fa-f:.]+\]|[0-9.]+|\*):)?([0-9]{1,5})")
SOCKET_REMEDY = "write PORT, IPV4:PORT or '[IPV6]:PORT', with a port from 1 to 65535"
NETWORK = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?")
NETWORK_REMEDY = (
    "write ADDRESS or ADDRESS/BITS with the first address of the network, such as 192.0.2.0/24"
)


def spell_socket(value: object) -> str:
    """Return an item of ``listen`` in one spelling; PORT alone is every IPv4 address."""
    wrong = BadName("{} is not an address and port", SOCKET_REMEDY, value)
    match = None if isinstance(value, bool) else SOCKET.fullmatch(str(value))
    if not match or not 1 <= int(match[2]) <= 65535:
        raise wrong
    if match[1] in {None, "*", "0.0.0.0"}:
        return str(int(match[2]))
    try:
        address = ipaddress.ip_address(match[1].strip("[]"))
    except ValueError:
        raise wrong from None
    if (address.version == 6) != match[1].startswith("["):
        raise wrong
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{int(match[2])}"


def spell_network(value: str) -> str:
    """Return a network, such as 192.0.2.0/24, or one address."""
    try:
        if NETWORK.fullmatch(value):
            return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    raise BadName("{} is not a network", NETWORK_REMEDY, value)


def distinct_values(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return *values*; none may be there twice."""
    again = [value for index, value in enumerate(values) if value in values[:index]]
    if again:
        raise BadName(f"{again[0]} is listed twice", "keep one of the two")
    return values


def socket_schema() -> WithJsonSchema:
    """Return how editors are told of an item of ``listen``."""
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    return WithJsonSchema({"anyOf": [port, {"type": "string", "pattern": f"^{SOCKET.pattern}$"}]})


Socket = Annotated[str, BeforeValidator(reporting_bad_names(spell_socket)), socket_schema()]
Sockets = Annotated[
    tuple[Socket, ...],
    Field(strict=False, min_length=1, max_length=64),
    validator_of(distinct_values),
]
Network = Annotated[
    str,
    validator_of(spell_network),
    WithJsonSchema({"type": "string", "pattern": f"^{NETWORK.pattern}$"}),
]
Networks = Annotated[tuple[Network, ...], Field(strict=False, min_length=1, max_length=256)]


class NginxPart(BaseModel):
    """A mapping below the settings of nginx."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Listen(NginxPart):
    """Where nginx listens: `443`, `192.0.2.1:443` or `[2001:db8::1]:443`."""

    http: Sockets | None = Field(
        None, description="PORT, IPV4:PORT or [IPV6]:PORT; default: port 80 on IPv4 and IPv6."
    )
    https: Sockets | None = Field(
        None, description="PORT, IPV4:PORT or [IPV6]:PORT; default: port 443 on IPv4 and IPv6."
    )


class ProxyProtocol(NginxPart):
    """Every connection begins with a PROXY protocol header, as a load balancer sends it."""

    sources: Networks = Field(
        alias="from", description="Addresses or networks whose PROXY header is trusted."
    )


class NginxSettings(ServiceSettings):
    """Where nginx listens, and how it serves the URLs."""

    listen: Listen = Field(Listen(), description="Where nginx listens.")
    unknown_names: Literal["reject", "global"] = Field(
        "reject", description="`global`: unknown names are served like the global URL."
    )
    hsts: Annotated[int, Field(ge=0, le=315_360_000)] = Field(
        63_072_000, description="Seconds of Strict-Transport-Security; 0: nginx sends none."
    )
    proxy_protocol: ProxyProtocol | None = Field(
        None, description="Every connection begins with a PROXY protocol header."
    )
    certificates: Literal["auto", "at_start", "on_demand"] = Field(
        "auto",
        description=f"When nginx loads certificates; `auto`: on demand above {AT_START_AT_MOST}.",
    )
