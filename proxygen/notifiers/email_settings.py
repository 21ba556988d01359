"""The fields of the model about the mail server through which mails are sent."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from proxygen.model.hosts import BadName
from proxygen.model.schema import SchemaPart
from proxygen.model.types import Contact, Seconds, SecretReference, Server, vars_of

CHECKED = ("starttls", "tls")
"""The kinds of security with which the server's certificate is checked."""


class EmailSettings(SchemaPart):
    """The mail server through which mails are sent."""

    host: Server = Field(
        "localhost", description="The mail server's name; its certificate must be for it."
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Its port; default: 25, or 465 for `tls`, 587 for `starttls`."
    )
    security: Literal["opportunistic", "starttls", "tls", "none"] = Field(
        "opportunistic",
        description="TLS if offered, unchecked; by STARTTLS or at once, checked; or none.",
    )
    username: str | None = Field(None, description="To log in as; needs `starttls` or `tls`.")
    password: SecretReference | None = Field(
        None, description="To log in with: env:NAME or file:PATH."
    )
    sender: Contact | None = Field(
        None, description="The sender of mails; default: proxygen@ and the global host name."
    )
    timeout: Seconds = Field(30, description="For each step of a delivery; seconds or 1m.")

    @model_validator(mode="after")
    def login_is_whole_and_encrypted(self) -> Self:
        """A login has name and password, and goes only to a server whose certificate is checked."""
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise settings_mistake(f"a login needs `{missing}` as well", f"add `{missing}`")
        if self.username is not None and self.security not in CHECKED:
            raise settings_mistake(
                f"the password would be sent to an unverified server (`security: {self.security}`)",
                "set `security: starttls` or `security: tls`",
            )
        return self


def settings_mistake(reason: str, remedy: str) -> PydanticCustomError:
    """Return a mistake as pydantic wants it."""
    return PydanticCustomError("value", "{reason}", vars_of(BadName(reason, remedy)))
