"""Why a text is not a host name, in words that say which character or label is wrong.

The rules are those of RFC 1123 section 2.1 and IDNA 2008 (RFC 5891, mapped as UTS 46 says).
"""

from __future__ import annotations

import unicodedata

LONGEST_LABEL = 63
HOST_REMEDY = "write letters, digits and hyphens, with dots between: host.domain.example"
SPOKEN = {
    "_": "an underscore",
    " ": "a space",
    "\t": "a tab",
    ",": "a comma",
    ";": "a semicolon",
    ":": "a colon",
    "/": "a slash",
    "\\": "a backslash",
    "*": "an asterisk",
    "'": "a quotation mark",
    '"': "a quotation mark",
    "`": "a backtick",
}
"""What is easily overlooked, or hard to quote, by its name."""
LIST = "write several names as a list: [a.example, b.example]"
INSTEAD = {
    "_": "write a hyphen (`-`) where the name has one; certificates cannot name others",
    ",": LIST,
    ";": LIST,
    " ": f"remove the space; {LIST}",
    "/": "write the host name alone, without a path",
    ":": "write the host name alone, without a port",
}
"""What to do about a character, where that is more than HOST_REMEDY says."""


def name_flaw(name: str) -> tuple[str, str]:
    """Return what keeps *name* (in lower case) from being a host name, and what to do about it.

    The reason quotes one character of the name at most; it is empty if none is found.
    """
    if wrong := next(filter(is_forbidden, name), None):
        return f"{character_words(wrong)} may not stand in a host name", INSTEAD.get(
            wrong, HOST_REMEDY
        )
    labels = [part for label in name.split(".") for part in map_text(label).split(".")]
    for number, label in enumerate(labels):
        if why := flaw_of_label(label, is_first=number == 0):
            return why
    if not labels[-1][:1].isalpha():
        return "its last label does not begin with a letter", HOST_REMEDY
    return ("it is too long for DNS", "shorten it") if len(name) > LONGEST_LABEL else ("", "")


def flaw_of_label(label: str, *, is_first: bool) -> tuple[str, str] | None:
    """Return what is wrong with a label, and what to do about it; None if nothing is found."""
    import idna

    if not label:
        place = "it begins with a dot" if is_first else "nothing stands between two of its dots"
        return place, "remove one dot"
    if label.startswith("-") or label.endswith("-"):
        return "a label may not begin or end with a hyphen", "remove the hyphen"
    if label.startswith("xn--"):
        return flaw_of_a_label(label)
    if label[2:4] == "--":
        return "only a label that begins with `xn--` may have `--` there", "remove one hyphen"
    if unicodedata.category(label[0]).startswith("M"):
        return "a label may not begin with a combining mark", HOST_REMEDY
    try:
        encoded = label.encode("ascii") if label.isascii() else idna.alabel(label)
    except idna.IDNABidiError:
        return "letters of both writing directions stand in one label (RFC 5893)", HOST_REMEDY
    except idna.InvalidCodepointContext:
        return "a character stands where only other scripts use it (RFC 5892)", HOST_REMEDY
    except (idna.IDNAError, UnicodeError):
        return f"a label is longer than {LONGEST_LABEL} octets", "shorten it"
    if len(encoded) > LONGEST_LABEL:
        return f"a label is longer than {LONGEST_LABEL} octets", "shorten it"
    return None


def flaw_of_a_label(label: str) -> tuple[str, str] | None:
    """Return what is wrong with what looks like an A-label (RFC 5890 section 2.3.2.1)."""
    import idna

    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        return (
            "a label that begins with `xn--` does not stand for any letters",
            "write the name in its own letters",
        )
    return None


def is_forbidden(letter: str) -> bool:
    """Return whether a character may stand in no host name at all, whatever is beside it."""
    import idna

    if letter.isascii():
        return not (letter.isalnum() or letter in "-.")
    try:
        for each in map_text(letter):
            if each != ".":
                idna.check_label(each)
    except idna.InvalidCodepointContext:
        return False
    except idna.InvalidCodepoint:
        return True
    except (idna.IDNAError, UnicodeError):
        return False
    return False


def map_text(text: str) -> str:
    """Return a text as UTS 46 maps it; itself where it maps nothing."""
    import idna

    try:
        return idna.uts46_remap(text, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):
        return text


def character_words(letter: str) -> str:
    """Return a character as a message calls it: those that a screen does not show have a name."""
    if letter in SPOKEN:
        return SPOKEN[letter]
    if letter.isascii() and letter.isprintable():
        return f"`{letter}`"
    name = unicodedata.name(letter, "control character")
    shown = f"`{letter}` " if letter.isprintable() and not letter.isspace() else ""
    return f"the character {shown}(U+{ord(letter):04X}, {name.lower()})"
