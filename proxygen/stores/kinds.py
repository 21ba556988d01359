"""Kinds: what is kept, below which first part of a key, and whose it is.

What an installation shares is one server's work, or one person's will, whichever server that is;
what is a host's own tells of programs that run there.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxygen.model.certificate import KeyType

SHARED: Mapping[str, str] = {
    "accounts": "the account at each ACME authority, with its key",
    "attempts": "the last failure of a certificate",
    "bundles": "key and chain of a certificate",
    "certificates": "facts of a certificate",
    "ledger": "what counts towards the limits of an authority, by hour",
    "looks": "why an authority is not polled for renewal information",
    "mail": "a mail that is not delivered yet",
    "mail-probe": "nothing: written to find out whether the store can be written to",
    "mail-terms": "new terms of service until they are mailed",
    "mail-trouble": "why no mail can be delivered at all",
    "model": "the last version without mistakes of each file of the model",
    "names": "what is known of names that no certificate covers yet",
    "orders": "an order that was begun, with the key of its certificate",
    "records": "TXT records of dns-01 that are, or may still be, in place",
    "told": "the alerts that a recipient was mailed",
    "troubles": "why an authority is not asked for certificates",
    "unusable": "why supplied files cannot be used, until they change",
    "version": "the version of the store",
}
OWN: Mapping[str, str] = {
    "answered": "the names for which a web server answers challenges, and what came for others",
    "former": "what a service's parameters were before, and which of ours took their place",
    "hooks": "which certificates deploy hooks of this host ran for, and how hooks ended",
}

OTHER = "other"
KEY_TYPES = (*map(str, KeyType), OTHER)
"""The folders of facts about certificates, by the type of their key; others are supplied ones."""


def type_part(key_type: str) -> str:
    """Return the folder for a type of key."""
    return key_type if key_type in KEY_TYPES else OTHER
