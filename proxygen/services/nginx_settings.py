"""What the model may say about nginx."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from proxygen.services import ServiceSettings

AT_START_AT_MOST = 200
"""Certificates that nginx loads at its start; more are loaded on demand."""

SOCKET = re.compile(r"(?:(\[[0-9A-Fa-f:.]+\]|[0-9.]+|\*):)?([0-9]{1,5})")
SOCKET_FORM = "write PORT, IPV4:PORT or [IPV6]:PORT"


def socket(value: object) -> str:
    """Return an item of ``listen`` in one spelling; PORT alone is every IPv4 address."""
    match = None if isinstance(value, bool) else SOCKET.fullmatch(str(value))
    if not match or not 1 <= int(match[2]) <= 65535:
        raise ValueError(SOCKET_FORM)
    if match[1] in {None, "*", "0.0.0.0"}:
        return str(int(match[2]))
    address = ipaddress.ip_address(match[1].strip("[]"))
    if (address.version == 6) != match[1].startswith("["):
        raise ValueError(SOCKET_FORM)
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{int(match[2])}"


def network(value: str) -> str:
    """Return a network, such as 192.0.2.0/24, or one address."""
    return str(ipaddress.ip_network(value))


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return *values*; none may be there twice."""
    if len(set(values)) < len(values):
        raise ValueError("the same address and port stand here twice")
    return values


Socket = Annotated[str, BeforeValidator(socket, json_schema_input_type=int | str)]
Sockets = Annotated[
    tuple[Socket, ...],
    Field(strict=False, min_length=1, max_length=64),
    AfterValidator(distinct),
]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(network)], ...],
    Field(strict=False, min_length=1, max_length=256),
]


class Part(BaseModel):
    """A mapping below the settings of nginx."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Listen(Part):
    """Where nginx listens: `443`, `192.0.2.1:443` or `[2001:db8::1]:443`."""

    http: Sockets | None = Field(None, description="default: port 80 on IPv4 and IPv6")
    https: Sockets | None = Field(None, description="default: port 443 on IPv4 and IPv6")


class ProxyProtocol(Part):
    """Every connection begins with a PROXY protocol header, as a load balancer sends it."""

    sources: Networks = Field(alias="from", description="who is believed about the client")


class Settings(ServiceSettings):
    """Where nginx listens, and how it serves the URLs."""

    listen: Listen = Listen()
    unknown_names: Literal["reject", "global"] = Field(
        "reject", description="`global`: a name that is nobody's is served like the global URL"
    )
    hsts: Annotated[int, Field(ge=0, le=315_360_000)] = Field(
        63_072_000, description="seconds of Strict-Transport-Security; 0: none is sent"
    )
    proxy_protocol: ProxyProtocol | None = None
    certificates: Literal["auto", "at_start", "on_demand"] = Field(
        "auto", description=f"when they are loaded; `auto`: above {AT_START_AT_MOST} on demand"
    )
