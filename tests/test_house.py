"""The shape of the house (STYLE.md): imports point left, pure parts touch nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
PACKAGE = HOUSE / "proxygen"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    ("__init__",),
    ("credentials",),
    ("languages",),
    ("failure",),
    ("errors",),
    ("model",),
    ("services",),
    ("names",),
    ("plan",),
    ("hooks", "systemd", "texts"),
    ("host",),
    ("dns", "etcd"),
    ("stores",),
    ("solvers",),
    ("issuers", "notifiers"),
    ("registry",),
    ("assemble",),
    ("preflight",),
    ("observe",),
    ("importing",),
    ("apply",),
    ("deploy", "obtain"),
    ("reconcile",),
    ("reports",),
    ("daemon",),
    ("terminal",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
"""From left to right; a module imports what stands left of it, or beside it in its own folder."""

PURE = (
    *("model", "services", "names", "plan", "hooks", "systemd", "texts"),
    *("applications", "languages"),
)
FORBIDDEN = frozenset(
    {
        *("os", "io", "subprocess", "socket", "shutil", "tempfile", "time", "glob", "threading"),
        *("requests", "urllib", "http", "psutil", "asyncio", "ssl", "acme", "click", "rich"),
        *("random", "secrets", "fcntl", "signal", "multiprocessing", "concurrent", "pwd", "grp"),
    }
)
BUILTINS = frozenset({"open", "input", "print", "exec", "eval", "__import__", "breakpoint"})
METHODS = frozenset(
    {
        *("read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "is_dir"),
        *("iterdir", "rglob", "unlink", "mkdir", "touch", "chmod", "stat", "lstat", "readlink"),
        *("now", "utcnow", "today", "resolve", "expanduser", "symlink_to", "rename"),
    }
)


CONSTANTS = ("__version__", "DOCUMENTS", "SCHEMA")
"""What the package itself says of this installation."""


def name_of(path: Path) -> str:
    """Return a module's path in the package, as a parametrized test is called."""
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    """Return the folder, or the module, that stands in LAYERS."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(part: str) -> int | None:
    """Return where a part stands, None for one that imports nothing and stands nowhere."""
    return next((index for index, parts in enumerate(LAYERS) if part in parts), None)


def tree(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Yield every module that is imported anywhere in a module, late imports among them."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield str(node.module)
            if node.module == "proxygen":
                yield from (f"proxygen.{each.name}" for each in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_left(path: Path) -> None:
    own = layer(part_of(path))
    wrong = []
    for imported in imports(path):
        top, _, below = imported.partition(".")
        part = below.partition(".")[0]
        there = layer(part)
        if top != "proxygen" or not part or part in CONSTANTS:
            continue
        known = own is not None and there is not None
        if not known or there > own or (there == own and part != part_of(path)):
            wrong.append(imported)
    assert not wrong


def dotted(path: Path) -> str:
    """Return a module as it is imported."""
    return (
        f"proxygen/{name_of(path)}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    )


def imported_modules(path: Path, known: frozenset[str]) -> set[str]:
    """Return the modules of ours that a module needs, late and for types alone among them."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            every = {f"{node.module}.{each.name}" for each in node.names}
            found |= every
            if every - known:
                found.add(str(node.module))
    return (found & known) - {dotted(path), "proxygen"}


def test_no_files_import_one_another_in_a_circle() -> None:
    known = frozenset(map(dotted, MODULES))
    needs = {dotted(path): imported_modules(path, known) for path in MODULES}
    while free := [name for name, needed in needs.items() if not needed & needs.keys()]:
        for name in free:
            del needs[name]
    assert not needs


def test_commands_import_no_command() -> None:
    commands = [each for each in MODULES if part_of(each) == "commands"]
    wrong = {
        name_of(path): found
        for path in commands
        if (found := [each for each in imports(path) if each.startswith("proxygen.commands")])
    }
    assert not wrong


@pytest.mark.parametrize("path", [each for each in MODULES if part_of(each) in PURE], ids=name_of)
def test_pure_parts_import_nothing_that_acts(path: Path) -> None:
    assert not {each.partition(".")[0] for each in imports(path)} & FORBIDDEN


@pytest.mark.parametrize("path", [each for each in MODULES if part_of(each) in PURE], ids=name_of)
def test_pure_parts_call_nothing_that_acts(path: Path) -> None:
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {each.id for each in calls if isinstance(each, ast.Name)}
    methods = {each.attr for each in calls if isinstance(each, ast.Attribute)}
    assert not names & BUILTINS
    assert not methods & METHODS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_opens_with_one_line_that_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", "?", "!")) or "->" in docstring


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_public_function_and_class_says_what_it_is(path: Path) -> None:
    silent = [
        f"{node.name}:{node.lineno}"
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and len(node.body) > 2
    ]
    assert not silent


SHIPPED = [
    *MODULES,
    *sorted((HOUSE / "templates").rglob("*.j2")),
    *sorted(each for each in (HOUSE / "examples").rglob("*") if each.suffix in (".yaml", ".md")),
    *(HOUSE / name for name in ("pyproject.toml", "README.md", "CHANGELOG.md")),
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_no_path_of_a_developers_machine_is_in_what_is_shipped(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(?:home|Users|work|root)/|/tmp/[a-z]", text)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_message_names_a_document_where_it_is_on_this_machine(path: Path) -> None:
    texts = [each.value for each in ast.walk(tree(path)) if isinstance(each, ast.Constant)]
    named = [
        each for each in texts if isinstance(each, str) and re.search(r"(?<![\w./])docs/", each)
    ]
    assert not named, "write {DOCUMENTS}/ in its place"


def test_a_process_is_started_in_one_place_and_never_by_a_shell() -> None:
    starting = [name_of(path) for path in MODULES if "subprocess" in set(imports(path))]
    assert starting == ["host/processes.py"]
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "shell=True" not in text, path
        assert "os.system" not in text, path


OPENING = frozenset(
    {
        *("open", "fdopen", "read_text", "read_bytes", "load_cert_chain", "FileSystemLoader"),
        *("copy2", "copyfile", "copytree", "load_verify_file", "from_file", "fileinput"),
    }
)
DOORS = frozenset({"host/files.py", "host/lock.py"})
"""Who opens files: what others may have put there passes the first; the lock is our own."""


@pytest.mark.parametrize(
    "path", [each for each in MODULES if name_of(each) not in DOORS], ids=name_of
)
def test_files_are_opened_by_one_module_that_knows_what_is_none(path: Path) -> None:
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    opening = [node.lineno for node in calls if called(node) in OPENING]
    by_path = [
        node.lineno
        for node in calls
        if called(node) == "load_verify_locations"
        and [each.arg for each in node.keywords] != ["cadata"]
    ]
    assert not opening, "read it by proxygen.host.files"
    assert not by_path, "read it by proxygen.host.files, and give its content"


def called(node: ast.Call) -> str:
    """Return the last word of what is called."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


UNTYPED = frozenset({"Any", "hasattr", "getattr", "ModuleType"})
OF_A_SERVICE = frozenset({"service", "module", "facts", "settings", "view", "kind", "state"})
"""What a value is called that is a service, or is of one."""


@pytest.mark.parametrize(
    "path", [each for each in MODULES if part_of(each) == "services"], ids=name_of
)
def test_what_a_service_says_is_typed(path: Path) -> None:
    names = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    assert not names & UNTYPED


WITH_SETTINGS_OF_OTHERS = frozenset(
    {"notifiers/__init__.py", "solvers/__init__.py", "model/site.py"}
)
"""Where ``settings`` are not those of a service."""


ASKING_OTHERS = frozenset({"registry.py", "host/logs.py"})
"""Who asks what something has that is no service."""


@pytest.mark.parametrize(
    "path", [each for each in MODULES if name_of(each) not in WITH_SETTINGS_OF_OTHERS], ids=name_of
)
def test_who_is_given_a_service_knows_what_it_can_do(path: Path) -> None:
    nodes = list(ast.walk(tree(path)))
    given = [node for node in nodes if isinstance(node, ast.arg) and node.arg in OF_A_SERVICE]
    held = [
        node
        for node in nodes
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id in OF_A_SERVICE
    ]
    untyped = [
        node.lineno
        for node in (*given, *held)
        if node.annotation and re.search(r"\bAny\b|ModuleType", ast.unparse(node.annotation))
    ]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    asked = [node.lineno for node in calls if called(node) == "hasattr"]
    asked += [
        node.lineno
        for node in calls
        if called(node) == "getattr" and re.search(r"services?\b", ast.unparse(node.args[0]))
    ]
    assert not untyped, "say which: Service, ServiceSettings, Facts, View"
    assert not asked or name_of(path) in ASKING_OTHERS, "an optional ability is an attribute"


REPLACED = frozenset(
    {
        *("look", "looks", "looking", "looked", "verdict", "verdicts", "namebook"),
        *("alarm", "alarms", "letter", "letters", "letterbox", "stranger", "strangers"),
        *("attempt", "attempts", "trouble", "troubles", "troubled", "standing", "proving"),
    }
)
"""Words for which the glossary has others: check, probe, poll, read; alert; mail; failure."""


def words_of(name: str) -> set[str]:
    """Return the words that the name of a function or class is made of."""
    return {each.lower() for each in re.findall(r"[A-Z]?[a-z0-9]+", name)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_and_classes_are_called_by_the_words_of_the_glossary(path: Path) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [node.name for node in ast.walk(tree(path)) if isinstance(node, kinds)]
    assert not [each for each in names if words_of(each) & REPLACED]


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name_of(path))
    assert not {name: where for name, where in places.items() if len(where) > 1}


VALUE = re.compile(r"\{\{(.*?)\}\}")


@pytest.mark.parametrize("path", sorted((HOUSE / "templates").rglob("*.j2")), ids=lambda p: p.name)
def test_no_template_lets_a_value_pass_unquoted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [each for each in VALUE.findall(text) if "safe" in each or "|" in each]
    assert not re.search(r"\{%-?\s*(filter|call|import|from|autoescape|macro)\b", text)
