"""Credentials: what is one, or looks like one, is taken out of whatever is shown, kept or logged.

Two ways: secrets that were read are known from then on, in every spelling that others may give
them back in; keys, tokens and passwords of anybody else are told by their shape.
"""

from __future__ import annotations

import re
from functools import cache

HIDDEN = "…"
SHORTEST = 6
"""Characters of a secret that is looked for: shorter ones stand in every text."""
MOST_KNOWN = 200

SHAPES = (
    (r"-----BEGIN [\s\S]*?(?:-----END [^-]*-----|\Z)", HIDDEN),
    (r"\b([a-z][a-z0-9+.-]{0,30}:/{1,2})[^\s'\"<>]{0,500}@", rf"\1{HIDDEN}@"),
    (r"(?<![\w.-])(?!mailto:)[\w.%+-]{1,80}:[^\s:/@'\"<>]{1,200}@(?=[\w.-])", f"{HIDDEN}@"),
    (r"\beyJ[\w-]{8,2000}\.[\w-]+(?:\.[\w-]*)?", HIDDEN),
    (
        r"\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w{0,2}|scrypt|pbkdf2[\w-]{0,10})\$[./A-Za-z0-9$=,+-]+",
        HIDDEN,
    ),
    (
        r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|[rsp]k[_-](?:live|test)[_-]|AKIA|ASIA"
        r"|dop_v1_|hf_|ya29\.|AIza|SG\.|hvs\.|npm_|pypi-|EAA)[\w.-]{8,}",
        HIDDEN,
    ),
)
"""Keys (PEM), users with passwords in URLs, JSON web tokens, hashes of passwords, tokens."""

MARKS = (*"@$_-", "AKIA", "ASIA", "ya29.", "AIza", "SG.", "hvs.", "EAA", "eyJ")
"""A text without any of these has none of the shapes."""

SAID = (
    (
        r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)"
        r"[^\s\"',;]+",
        rf"\1{HIDDEN}",
    ),
    (r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}", rf"\1 {HIDDEN}"),
    (
        r"(?i)\b([\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|api[_-]?key|(?:access|auth|api)[_-]?token"
        r"|hmac[_-]?key|credentials?)[\"']?\s*[:=]\s*[\"']?)(?!env:|file:|…)[^\s\"',;&]+",
        rf"\1{HIDDEN}",
    ),
)
"""What other programs say of a secret by its name."""

LONG = re.compile(r"[A-Za-z0-9+/=_-]{16,}")
SEPARATORS = re.compile("[/_-]")
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
PADDED = re.compile(r"[A-Za-z0-9+/_-]{6,}={1,2}")
LONGEST_WORD = 32
LONGEST_VALUE = 1000
"""Characters of a value of the model; longer ones are no longer looked at."""
MOST_SHOWN = 100_000
"""From here on a number is hardly a port or a count, and may be a secret."""


class KnownSecrets:
    """The secrets that this process has read, in each spelling; threads share it."""

    def __init__(self) -> None:
        self.forms: tuple[str, ...] = ()

    def add(self, secret: bytes) -> None:
        """Know a secret from now on."""
        forms = dict.fromkeys((*self.forms, *forms_of(secret)))
        self.forms = tuple(sorted(forms, key=len, reverse=True))[: MOST_KNOWN * 8]


KNOWN = KnownSecrets()


def forms_of(secret: bytes) -> tuple[str, ...]:
    """Return the spellings in which others give back a secret; of a key file that of each part."""
    import base64
    from urllib.parse import quote, quote_plus

    text = secret.decode("utf-8", "replace").strip()
    parts = (text, *(LONG.findall(text) if len(text.split()) > 1 else ()))
    found = [
        form
        for part in parts
        for form in (
            *(part, quote(part), quote(part, safe=""), quote_plus(part), repr(part)[1:-1]),
            base64.b64encode(part.encode()).decode(),
            part.encode().hex(),
        )
    ]
    return tuple(form for form in found if len(form) >= SHORTEST)


@cache
def compile_shapes(shapes: tuple[tuple[str, str], ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the shapes, compiled when the first text is looked at."""
    return tuple((re.compile(shape), instead) for shape, instead in shapes)


def conceal(text: str) -> str:
    """Return a text without the secrets that are known, and without what has the shape of one."""
    for form in KNOWN.forms:
        if form in text:
            text = text.replace(form, HIDDEN)
    if any(mark in text for mark in MARKS):
        for shape, instead in compile_shapes(SHAPES):
            text = shape.sub(instead, text)
    return text


def concealed_words(text: str) -> str:
    """Return what another program said without secrets, nor what it calls one."""
    text = conceal(text)
    for shape, instead in compile_shapes(SAID):
        text = shape.sub(instead, text)
    return text


def may_be_secret(text: str) -> bool:
    """Return whether a value of the model may be a key or a credential: it is not shown then.

    To hide too much costs little, as a message names line and column.
    """
    return (
        len(text) > LONGEST_VALUE
        or conceal(text) != text
        or bool(PADDED.search(text) or UUID.search(text))
        or any(map(is_random, LONG.findall(text)))
    )


def is_random(run: str) -> bool:
    """Return whether a long run of letters and digits is hardly a word, a name or a path."""
    if len(SEPARATORS.findall(run)) * 16 > len(run):
        return any(map(is_random, LONG.findall(SEPARATORS.sub(" ", run))))
    digits = any(letter.isdigit() for letter in run)
    mixed = any(map(str.islower, run)) and any(map(str.isupper, run))
    hexadecimal = re.fullmatch(r"[0-9A-Fa-f]+", run) is not None
    return hexadecimal or (mixed and digits) or (len(run) >= LONGEST_WORD and (digits or mixed))


def is_pasted(path: str) -> bool:
    """Return whether what should be a path is a key, a token or a URL that somebody pasted."""
    if "://" in path or conceal(path) != path:
        return True
    mixed = any(map(str.islower, path)) and any(map(str.isupper, path))
    return "." not in path and may_be_secret(path) and ("/" not in path or mixed)


def quote_value(value: object, most: int = 80) -> str:
    """Return a value of the model as a message quotes it, bounded, unless it may be a secret."""
    if isinstance(value, str):
        return NOT_SHOWN if may_be_secret(value) else repr(value[:most])
    return str(value) if type(value) is int and abs(value) < MOST_SHOWN else kind_of(value)


def kind_of(value: object) -> str:
    """Return what was written, but not which: any text or number may be a secret."""
    if isinstance(value, dict | list | tuple):
        what = "mapping" if isinstance(value, dict) else "list"
        return f"a {what}" if value else f"an empty {what}"
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    return "a number" if isinstance(value, int | float) else "a string"


NOT_SHOWN = "what stands here"
"""In the place of a value that may be a secret."""
