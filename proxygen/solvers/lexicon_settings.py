"""What the model may say about a provider of dns-lexicon."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from proxygen.model.hosts import BadName
from proxygen.model.types import Host, SecretReference, Text, pattern_check, validator_of, vars_of
from proxygen.solvers import WriterSettings

SECRET = re.compile(r"token|secret|passw|key\b|key$|credential", re.ASCII)
WORD = pattern_check(
    r"[a-z][a-z0-9_]{0,60}",
    "an option of dns-lexicon",
    "write it as dns-lexicon spells it: lower-case letters, digits and `_`",
)
Word = Annotated[str, validator_of(WORD)]
Value = Annotated[
    str,
    Text(
        r"[^\x00-\x1f\x7f]{0,500}",
        "the value of an option",
        "write at most 500 letters; put numbers in quotes",
        secret=True,
    ),
]


class LexiconSettings(WriterSettings):
    """One of the providers of dns-lexicon (dns-lexicon.readthedocs.io), by its API."""

    provider: Word = Field(
        description="The provider's name in dns-lexicon, such as ovh, cloudflare or hetzner."
    )
    credentials: Annotated[dict[Word, SecretReference], Field(max_length=20)] = Field(
        {}, description="Options that are secret, such as auth_token: env:NAME or file:PATH."
    )
    options: Annotated[dict[Word, Value], Field(max_length=20)] = Field(
        {}, description="Other options, such as auth_entrypoint: ovh-eu."
    )
    zone: Host | None = Field(
        None, description="The zone as the provider calls it; default: the one in the DNS."
    )
    ttl: Annotated[int, Field(ge=0, le=86_400)] = Field(
        300, description="TTL of a record in seconds; providers have a minimum."
    )

    @field_validator("options")
    @classmethod
    def no_secrets(cls, options: dict[str, str]) -> dict[str, str]:
        """A secret does not stand in the model."""
        for name in options:
            if SECRET.search(name):
                flaw = BadName(
                    f"`{name}` seems to be a secret",
                    "move it to `credentials`, as env:NAME or file:PATH",
                )
                raise PydanticCustomError("value", "{reason}", vars_of(flaw))
        return options
