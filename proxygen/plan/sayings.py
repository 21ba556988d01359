"""Sayings: what a look says in its own English words, known again to be told in other languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from proxygen.plan.findings import SENTENCES
from proxygen.plan.language import Language, one_line

SAYINGS = {
    "none-of-ours": "it is none of our addresses",
    "no-family": "no {family} here",
    "nobody-answers": "nobody answers challenges here now",
    "no-time": "no time was left",
    "in-time": "there was no answer in time",
    "no-answer": "no answer within {seconds} s",
    "cut-short": "the connection ended before the answer did",
    "long-head": "the head of the answer is longer than {size} KiB",
    "no-web-server": "what answers there is no web server",
    "no-url": "a redirect to what is no URL",
    "off-web": "a redirect to {place}, which is not on the web",
    "other-port": "a redirect to port {port}, where authorities do not ask",
    "redirects": "more than {most} redirects",
    "private": "its address cannot be reached from the internet",
    "no-address": "it has no address that can be asked from here",
    "redirected": "after a redirect to {place}: {words}",
    "content": "{words}, but with another content",
    "refused": "connection refused",
    "timed-out": "connection timed out",
    "no-route": "no route to host",
    "no-network": "network is unreachable",
    "not-among": "{who} is not among them",
    "critical": "the property {tag} is critical and not known",
    "malformed": "the value of {tag} is malformed, and so allows nobody",
    "accounts": "accounturi stands there more than once, and so allows nobody",
    "account": "accounturi is not that of this installation, {account}",
    "methods": "validationmethods is malformed, and so allows nobody",
    "method": "validationmethods does not name {challenge}",
}
"""By the key of the phrase below ``words`` in a language; in braces what is different each time."""

QUOTED = ("servers-silent", "servers-lame", "servfail", "dnssec", "no-delegation")
"""Findings whose sentence another finding quotes."""


def translated(words: str, host: str, language: Language) -> str:
    """Return words about *host* in a language; what is none of ours stays as it was said."""
    words = one_line(words)
    for key, pattern in patterns().items():
        if found := pattern.fullmatch(words):
            facts: dict[str, str] = {"host": host} | found.groupdict()
            if "words" in facts:
                facts["words"] = translated(facts["words"], host, language)
            return language.say(key, **facts)
    return words


@cache
def patterns() -> Mapping[str, re.Pattern[str]]:
    """Return by the key of a phrase what it says in English, as a pattern."""
    return {key: re.compile(as_pattern(template)) for key, template in templates()}


def templates() -> Iterator[tuple[str, str]]:
    """Yield the key of each phrase with its English words."""
    yield from ((f"words.{key}", template) for key, template in SAYINGS.items())
    yield from ((f"finding.{code}", SENTENCES[code]) for code in QUOTED)


def as_pattern(template: str) -> str:
    """Return what matches a template, with a group for each placeholder."""
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(template))
