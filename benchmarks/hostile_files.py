"""How long files as large as they are read take, right or wrong throughout, and how much memory.

    .venv/bin/python -m benchmarks.hostile_files [WORD]...

Each kind is written into one included file of 4 MiB, those that say so into as many as are read,
or into the model file itself; what is measured is `proxygen validate` in a process of its own: its
processor time and its largest size. WORD chooses the kinds that have it in their name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory

MEBIBYTE = 1024 * 1024
MODEL = """\
global: {url: https://mail.example.net, certificate: selfsigned}
services: {}
"""
INCLUDING = f"{MODEL}include: [domains.d/*.yaml]\n"
FULL = " c{0}.example: {{url: w.c{0}.example, extra_names: [a.c{0}.example], certificate: acme}}\n"
AGREED = "acme: {terms_of_service_agreed: true}\n"
FILE = "{{file: {{certificate: a{0}, key: b{0}, chain: c{0}, password: 1}}}}"

LINES = {
    "right: names alone": ("domains:\n", " c{0}.example:\n"),
    "right: all have a URL": ("domains:\n", FULL),
    "right: 99 extra names": (
        "domains:\n",
        " c{0}.example: {{url: w.c{0}.example, extra_names: ["
        + ", ".join(f"n{each}.c{{0}}.example" for each in range(99))
        + "]}}\n",
    ),
    "names: none right": ("domains:\n", " {0}_:\n"),
    "names: numbers, in a flow": ("domains: {", "{0},"),
    "names: international": ("domains:\n", " ü{0}.example:\n"),
    "names: international, as long as can be": ("domains:\n", " " + "ü" * 40 + "{0}_.example:\n"),
    "names: each twice, spelled otherwise": ("domains:\n", " c{0}.example:\n C{0}.example:\n"),
    "names: all have the same URL": ("domains:\n", " c{0}.example: {{url: same.example}}\n"),
    "fields: unknown in the file": ("", "{0}:\n"),
    "fields: unknown in each domain": ("domains:\n", " c{0}.example: {{x: 1}}\n"),
    "fields: many unknown in each domain": (
        "domains:\n",
        " c{0}.example: {{" + ",".join(map(str, range(900))) + "}}\n",
    ),
    "fields: unknown in one domain": ("domains:\n a.example:\n", "  {0}:\n"),
    "fields: one in each wrong": ("domains:\n", " c{0}.example: {{url: 1}}\n"),
    "fields: all extra names wrong": (
        "domains:\n",
        " c{0}.example: {{extra_names: [" + ",".join("1" * 99) + "]}}\n",
    ),
    "fields: no end of extra names": ("domains:\n a.example:\n  extra_names:\n", "  - {0}_\n"),
    "fields: certificates of files": (
        "domains:\n",
        " c{0}.example: {{certificate: " + FILE + "}}\n",
    ),
    "YAML: a key again": ("domains:\n", " c.example:\n"),
    "YAML: anchors": ("domains:\n", " c{0}.example: &a{0}\n"),
    "YAML: aliases": ("domains:\n", " c{0}.example: *a{0}\n"),
    "YAML: tags": ("domains:\n", " c{0}.example: !a{0}\n"),
    "YAML: keys that are lists": ("domains:\n", " ? [{0}]\n : 1\n"),
    "YAML: long keys": ("domains:\n", " " + "x" * 1000 + "{0}:\n"),
    "YAML: nested as deep as can be": ("domains:\n", " a{0}: " + "[" * 14 + "]" * 14 + "\n"),
    "YAML: one nested without end": ("domains: ", "[" * 1000),
    "YAML: empty lists": ("domains: [", "[],"),
    "YAML: one letter each": ("domains: [", "a,"),
    "YAML: one long text": ("domains: ", "x" * 1000),
    "YAML: many documents": ("", "---\n"),
    "YAML: comments": ("", "#\n"),
}
"""What a file begins with and its lines, by the name of the kind."""


def main() -> None:
    """Measure each kind and print it."""
    for kind, (begin, line) in LINES.items():
        measure(kind, {"domains.d/a.yaml": up_to(4 * MEBIBYTE, begin, line)})
        if kind.startswith(("right", "names", "YAML: nested")):
            measure(f"{kind}; 16 files", dict(files(16, 4 * MEBIBYTE, begin, line)))
    for kind in ("names: none right", "YAML: nested as deep as can be", "right: all have a URL"):
        begin, line = LINES[kind]
        whole = up_to(32 * MEBIBYTE, MODEL + AGREED + begin, line)
        measure(f"{kind}; the model file, 32 MiB", {"proxygen.yaml": whole})
    whole = chain([MODEL, AGREED, "domains:\n"], map(FULL.format, range(100_000)))
    measure("100,000 domains in the model file", {"proxygen.yaml": whole})
    each = {f"domains.d/{n}.yaml": ("domains:\n", FULL.format(n)) for n in range(100_000)}
    measure("100,000 domains in a file each", each)


def up_to(largest: int, begin: str, line: str, first: int = 0) -> Iterator[str]:
    """Yield the parts of a file of as many numbered lines as go into it."""
    yield begin
    size = len(begin.encode())
    for number in count(first):
        part = line.format(number)
        size += len(part.encode())
        if size > largest:
            return
        yield part


def files(many: int, largest: int, begin: str, line: str) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield so many files, the lines of all numbered as one."""
    for number in range(many):
        yield f"domains.d/{number:02}.yaml", up_to(largest, begin, line, number * 10_000_000)


def measure(kind: str, parts: dict[str, Iterable[str]]) -> None:
    """Write the files of a model, and print what `validate` takes and says."""
    if not all(map(kind.__contains__, sys.argv[1:])):
        return
    with TemporaryDirectory() as root:
        folder = Path(root, "etc/proxygen")
        (folder / "domains.d").mkdir(parents=True)
        for name, texts in ({"proxygen.yaml": (INCLUDING, AGREED)} | parts).items():
            with (folder / name).open("w", encoding="utf-8") as file:
                file.writelines(texts)
        print(f"{kind:50} {measured(root)}", flush=True)


def measured(root: str) -> str:
    """Return what `validate` took, and the last line that it said."""
    argv = [sys.executable, "-m", "proxygen", "--root", root, "validate"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    last = (said.strip().splitlines() or [""])[-1].rpartition(".yaml: ")[2]
    seconds = used.ru_utime + used.ru_stime
    return f"{seconds:5.1f} s {used.ru_maxrss // 1024:5} MiB  {process.returncode}  {last}"


if __name__ == "__main__":
    main()
