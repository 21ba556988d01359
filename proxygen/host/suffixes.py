"""Registered domains, by the public suffix list (publicsuffix.org) of an installed package."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@cache
def suffix_list() -> PublicSuffixList:
    """Return the list, which takes a moment to read."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def registered_domain(name: str) -> str:
    """Return the registered domain of a name in A-labels; a public suffix is its own."""
    return suffix_list().privatesuffix(name.removeprefix("*.")) or name


@cache
def run_by_registries() -> PublicSuffixList:
    """Return the list without the domains below which companies let others have names.

    Such a company may well have a certificate for its own domain.
    """
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(only_icann=True)


def is_public(name: str) -> bool:
    """Return whether a name in A-labels is a public suffix, which nobody owns."""
    return run_by_registries().is_public(name)
