"""A backup of the account at an ACME authority: made from the store, checked with the authority."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proxygen.errors import IssueFailed, UsageError
from proxygen.failure import not_obtained
from proxygen.issuers.acme_account import find_account
from proxygen.issuers.acme_answers import Url, Word
from proxygen.issuers.acme_kept import NEXT, KeptAccount, thumbprint
from proxygen.issuers.acme_key import account_key
from proxygen.issuers.acme_server import AcmeServer

NAME_ONE = "name a file that `proxygen account --export` wrote"
AGAIN = "make a new backup with `proxygen account --export FILE`"


class Backup(BaseModel):
    """What is needed to use the same account elsewhere; *key* is a private key (PEM)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    directory: Url
    url: Url
    contact: Word | None
    made: datetime
    key: str = Field(repr=False)

    @classmethod
    def of(cls, kept: KeptAccount, directory: str, now: datetime) -> Backup:
        """Return a backup of the stored account; raise UsageError if there is none."""
        registered, pem = kept.registered(), kept.read()
        if registered is None or kept.key() is None or pem is None:
            raise no_account(directory)
        if kept.key(NEXT):
            raise UsageError(
                f"the key roll-over at {directory} was interrupted",
                remedy="finish it with `proxygen account --roll-over`",
            )
        return cls(
            directory=directory,
            url=registered.url,
            contact=registered.contact,
            made=now,
            key=pem.decode("ascii"),
        )

    @classmethod
    def read(cls, content: bytes, name: str) -> Backup:
        """Return the backup in a file called *name*; raise UsageError if it is none."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise UsageError(f"{name} is not a backup of an account", remedy=NAME_ONE) from error

    @property
    def content(self) -> bytes:
        """The content of its file."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    def check(self, kept: KeptAccount, server: AcmeServer) -> None:
        """Check that it is of the account in use and that the authority knows its key.

        Raise UsageError for a backup of something else, IssueFailed if the authority does not know
        it, or cannot be asked.
        """
        directory = server.settings.directory
        if self.directory != directory:
            raise UsageError(
                f"this is a backup of the account at {self.directory}, not at {directory}",
                remedy=f"run the command with `--authority {self.directory}`",
            )
        key, present = account_key(self.key.encode()), kept.key()
        if key is None:
            raise UsageError("the key in the backup is damaged", remedy=AGAIN)
        if present is None:
            raise no_account(directory)
        if thumbprint(key) != thumbprint(present):
            raise UsageError("the key in the backup is not the one in use", remedy=AGAIN)
        known = find_account(server, key)
        if known != self.url:
            code = "backup-of-another-account" if known else "backup-not-known"
            raise IssueFailed(
                not_obtained(code, where=directory, account=self.url, known=known or "")
            )


def no_account(directory: str) -> UsageError:
    """Return the error for an authority at which there is no account yet."""
    return UsageError(
        f"proxygen has no account at {directory} yet",
        remedy="run `proxygen apply`: the first order creates it",
    )
