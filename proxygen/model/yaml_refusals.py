"""What the YAML library refuses -> where exactly, what is wrong there, and what to write instead.

The library names the rule of its grammar that did not fit, at the place where it noticed. A person
looks for the character that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

Place = tuple[int, int]
"""Line and column, from 0."""

FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What is no `c-printable` (YAML 1.2 section 5.1); a byte order mark stands only at the start."""
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What the library counts as the end of a line."""
NAMES = {"\0": "NUL", "\ufeff": "a byte order mark", "\x1b": "ESC", "\x7f": "DEL"}

ALIAS = "a value that begins with `*` is an alias in YAML, and the model has none"
ANCHOR = "a value that begins with `&` is an anchor in YAML, and the model has none"
TAG = "a value that begins with `!` is a tag in YAML, and the model has none"
MERGE = "the merge key `<<` is not allowed in the model"
ASTERISK = "put the value in quotes, such as '*.customer.example'; write out an alias"
QUOTES = "put the value in quotes if it begins so, or remove what stands here"


@dataclass(frozen=True, slots=True)
class YamlRefusal:
    """A *place* in a text, what is wrong there, and what to do about it."""

    place: Place
    reason: str
    remedy: str


def forbidden_character(text: str) -> YamlRefusal:
    """Return the first character that no YAML text may have (YAML 1.2 section 5.1)."""
    found = FORBIDDEN.search(text)
    if found is None:
        return YamlRefusal((0, 0), "a character is not allowed in YAML", "remove it")
    letter = found.group()
    name = NAMES.get(letter, "a control character" if ord(letter) < 0xA0 else "a character")
    reason = f"{name} (U+{ord(letter):04X}) is not allowed in YAML"
    if letter == "\0" and text.count("\0") * 3 > len(text):
        return YamlRefusal(place_of(text, found.start()), reason, UTF_16)
    shown = f"; editors show it as ^{chr(ord(letter) ^ 64)}" if ord(letter) < 0x20 else ""
    return YamlRefusal(place_of(text, found.start()), reason, f"remove it{shown}")


UTF_16 = "save the file as UTF-8, or convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`"
LATIN_1 = "save the file as UTF-8, or convert it: `iconv -f ISO-8859-1 -t UTF-8 FILE > NEW`"


def not_utf_8(error: UnicodeDecodeError) -> YamlRefusal:
    """Return the first octet that is no part of a UTF-8 text."""
    data = error.object
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return YamlRefusal((0, 0), "the file is UTF-16 text, not UTF-8", UTF_16)
    place = place_of(data[: error.start].decode("utf-8-sig"), None)
    return YamlRefusal(place, f"the byte 0x{data[error.start]:02X} is not UTF-8 text", LATIN_1)


def place_of(text: str, index: int | None) -> Place:
    """Return line and column of the character at *index*; None: of what follows the text."""
    before = text[:index]
    ends = list(BREAK.finditer(before))
    return len(ends), len(before) - (ends[-1].end() if ends else 0)


@dataclass(frozen=True, slots=True)
class AtMark:
    """What is at a mark of the library's.

    *letter* is the character there, *before* the line up to it; what is not right *began* there.
    """

    letter: str
    before: str
    began: tuple[int, int]

    @property
    def is_first(self) -> bool:
        """Whether nothing but spaces precedes it in its line."""
        return not self.before.strip()


def always_holds(seen: AtMark) -> bool:  # noqa: ARG001
    """Return True: a rule holds whatever is there."""
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """A *problem* of the library's, in its *context*, in words for people.

    *at_start*: the place is where the construct begins, not where the library noticed.
    """

    problem: str
    reason: str
    remedy: str
    context: str = ""
    at_start: bool = False
    when: Callable[[AtMark], bool] = always_holds


def yaml_refusal(error: yaml.MarkedYAMLError, text: str) -> YamlRefusal:
    """Return what the grammar of YAML refuses in a text."""
    end = error.problem_mark or error.context_mark
    start = error.context_mark or end
    context, problem = error.context or "", error.problem or ""
    said = "; ".join(part for part in (context, problem) if part)
    if end is None or start is None:
        return YamlRefusal((0, 0), f"this is not YAML: {said}", CHECK)
    seen = AtMark(
        text[end.index : end.index + 1],
        text[end.index - end.column : end.index],
        (start.line + 1, start.column + 1),
    )
    for rule in RULES:
        if rule.problem in problem and rule.context in context and rule.when(seen):
            mark = start if rule.at_start else end
            line, column = seen.began
            reason = rule.reason.format(
                letter=character_name(seen.letter), line=line, column=column
            )
            return YamlRefusal((mark.line, mark.column), reason, rule.remedy)
    return YamlRefusal((end.line, end.column), f"this is not YAML: {said}", CHECK)


def character_name(letter: str) -> str:
    """Return a character as a message names it."""
    if letter == "`":
        return "a backtick"
    return f"`{letter}`" if letter and letter.isprintable() else "what stands here"


CHECK = "check indentation, colons and quotes"
TAB = "replace each tab by spaces: `expand -t 2 FILE > NEW`"
WHOLE = "put the whole value in quotes"
RULES = (
    Rule("tab character", "a tab stands here; YAML is indented with spaces", TAB),
    Rule(
        "start any token",
        "a tab stands here; YAML is indented with spaces",
        TAB,
        when=lambda seen: seen.letter == "\t",
    ),
    Rule("start any token", "a value cannot begin with {letter}", WHOLE),
    Rule(
        "mapping values are not allowed",
        "a second colon stands in this line",
        "put a value with a colon in quotes: key: 'a: b'",
        when=lambda seen: ": " in seen.before,
    ),
    Rule(
        "mapping values are not allowed",
        "this key follows a line that ends without a colon",
        "write `key:` in the line above, with a colon, or indent this line as that one",
    ),
    Rule(
        "could not find expected ':'",
        "a colon is missing after this key",
        "write `key: value`",
        at_start=True,
    ),
    Rule(
        "did not find expected key",
        "this line does not fit the mapping that begins in line {line}",
        "indent it with as many spaces as the keys it belongs to",
        when=lambda seen: seen.is_first,
    ),
    Rule("did not find expected key", "text follows the end of a value", WHOLE),
    Rule(
        "did not find expected '-' indicator",
        "this line does not fit the list that begins in line {line}",
        "begin it with `- `, or indent it like the key above",
    ),
    Rule(
        "did not find expected ',' or ']'",
        "the list that `[` begins in line {line}, column {column} is not closed",
        "write `]` where the list ends, and a comma between its values",
    ),
    Rule(
        "did not find expected ',' or '}'",
        "the mapping that `{{` begins in line {line}, column {column} is not closed",
        "write `}` where the mapping ends, and a comma between its keys",
    ),
    Rule(
        "did not find expected node content",
        "the file ends before a bracket is closed",
        "write the missing `]` or `}`",
        when=lambda seen: not seen.letter,
    ),
    Rule(
        "did not find expected node content",
        "a value is missing here",
        "write one, or remove a comma",
        context="flow",
    ),
    Rule("did not find expected node content", "a value cannot begin with {letter}", WHOLE),
    Rule(
        "block sequence entries are not allowed",
        "a list cannot begin in the line of its key",
        "write each `- item` in a line of its own below the key, or write [a, b]",
    ),
    Rule(
        "did not find expected <document start>",
        "this does not belong to the mapping above it",
        "begin every key of the file in the first column, without quotes or brackets around it",
    ),
    Rule(
        "escape",
        "double quotes know no such escape",
        "use single quotes, in which a backslash stands for itself",
    ),
    Rule(
        "found unexpected",
        "the quotation mark that stands here is not closed",
        "write the same mark at the end of the value",
        context="quoted scalar",
        at_start=True,
    ),
    Rule("", ALIAS, ASTERISK, context="alias", at_start=True),
    Rule("", ANCHOR, QUOTES, context="anchor", at_start=True),
    Rule("tag", TAG, QUOTES, at_start=True),
    Rule("", TAG, QUOTES, context="tag", at_start=True),
    Rule(
        "",
        "a line that begins with `%` is a directive in YAML",
        QUOTES,
        context="directive",
        at_start=True,
    ),
)
"""In order: the first rule that fits counts."""
