"""Which authority, and which account there, a draft has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

from proxygen.importing import FoundAccount, Lineage
from proxygen.importing.host import HostInventory, JudgedLineage
from proxygen.model.schema import DIRECTORIES


def usual_directory(renewed: Iterable[JudgedLineage], main: Lineage | None) -> str:
    """Return the directory that the model has: that of the global URL, else of most lineages.

    Of those that are good, whose CA clients know where there are any: Let's Encrypt's without.
    """
    good = [
        each for each in renewed if is_directory(each.lineage.directory) and not each.pair.refusal
    ]
    staging = DIRECTORIES["letsencrypt-staging"]
    trusted = [each for each in good if each.pair.known]
    counting = trusted or [each for each in good if each.lineage.directory != staging]
    counted = Counter(each.lineage.directory for each in counting)
    if main and main.directory in counted:
        return main.directory
    return counted.most_common(1)[0][0] if counted else DIRECTORIES["letsencrypt"]


def is_directory(url: str) -> bool:
    """Return whether it is the URL of a directory; lego notes that of a host alone."""
    return bool(urlsplit(url).path.strip("/"))


def account_of(seen: HostInventory, directory: str) -> FoundAccount | None:
    """Return the account at the authority by which most of what is good was ordered."""
    ordered = Counter(
        each.lineage.account
        for each in seen.renewed
        if each.lineage.account and not each.pair.refusal
    )
    found = [each for each, _ in ordered.most_common()] + seen.everything.accounts
    return next((each for each in found if same_authority(each.directory, directory)), None)


def same_authority(noted: str, directory: str) -> bool:
    """Return whether a directory is that of the model; lego notes the host alone."""
    if noted == directory:
        return True
    return not is_directory(noted) and urlsplit(noted).netloc == urlsplit(directory).netloc
