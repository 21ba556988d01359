"""The command line: exit codes, JSON, and nothing imported that a command does not use."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxygen.model.certificate import KeyType
from proxygen.model.x509 import new_key, self_signed
from proxygen.stores import VERSION
from tests.certificates import DAY, NOON
from tests.live import forks, needs
from tests.live.machine import LOCKS, temporary_root

MODEL = """\
contact: hostmaster@example.net
global: {url: https://mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: https://www.a.example, certificate: selfsigned}
services: {}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a model file."""
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(MODEL)
    return tmp_path


def proxygen(*arguments: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run the command line; with *more* for subprocess.run it is an interpreter of its own."""
    if not more:
        return forks.run(tuple(map(str, arguments)), os.environ, 100, cwd=str(Path.cwd()))
    return subprocess.run(
        [sys.executable, "-P", "-m", "proxygen", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **more,  # type: ignore[call-overload]
    )


def imported(*arguments: str | Path) -> set[str]:
    """Return the packages that a command imports."""
    program = (
        "import sys, os\n"
        "from proxygen import cli\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n    print('code', end.code)\n"
        "print('modules', *{each.partition('.')[0] for each in sys.modules})\n"
    )
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "code 0" in run.stdout, run.stdout + run.stderr
    return set(run.stdout.rpartition("modules ")[2].split())


HEAVY = {"acme", "requests", "josepy", "rich", "inotify_simple", "dns"}


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        (("--version",), {*HEAVY, "pydantic", "cryptography", "jinja2", "yaml", "psutil", "idna"}),
        (("--help",), {"acme", "requests", "josepy"}),
        (("validate",), {*HEAVY, "jinja2"}),
        (("schema",), {*HEAVY, "jinja2"}),
        (("status",), HEAVY),
        (("plan",), HEAVY),
    ],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_imports_only_what_it_uses(
    root: Path, command: tuple[str, ...], unused: set[str]
) -> None:
    assert not imported("--root", root, *command) & unused


def test_the_version_is_that_of_the_package() -> None:
    run = proxygen("--version")
    assert (run.returncode, run.stdout) == (0, "proxygen 0.1.0\n")


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("--nonsense",), ("plan", "--nonsense"), ("__init__",), ("../cli",), ()],
)
def test_a_wrong_command_line_is_two(arguments: tuple[str, ...]) -> None:
    run = proxygen(*arguments)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (("nonsense", "--json"), "No such command", "see `proxygen --help`"),
        (("aply", "--json"), "No such command 'aply'", "did you mean `apply`?"),
        (("plan", "--jsno", "--json"), "No such option '--jsno'. Did you mean '--json'?", "see"),
        (("status", "--json", "x"), "Got unexpected extra argument", "see `proxygen status"),
        (("plan", "--x", "--json"), "No such option", "see `proxygen plan --help`"),
    ],
)
def test_a_wrong_command_line_is_told_as_json_where_asked_for(
    arguments: tuple[str, ...], what: str, remedy: str
) -> None:
    run = proxygen(*arguments)
    said = json.loads(run.stdout)
    assert (run.returncode, run.stderr, said["exit_code"]) == (2, "", 2)
    assert said["what"].startswith(what)
    assert said["remedy"].startswith(remedy)


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (("aply",), "No such command 'aply'", "did you mean `apply`?"),
        (
            ("instal-service",),
            "No such command 'instal-service'",
            "did you mean `install-service`?",
        ),
        (("apply", "a.exmaple"), "the model has no domain a.exmaple", "did you mean `a.example`?"),
        (("renew", "globl"), "globl: ", "did you mean `global`?"),
        (("names", "globl"), "globl: ", "did you mean `global`?"),
        (("dns", "www.a.example"), "the model has no domain", "is a name of a.example: write that"),
        (("names", "ww.a.example"), "the model has no name ww.a.example", "near it: www.a.example"),
        (("rollback", "ngnix"), "ngnix is no service", "did you mean `nginx`?"),
        (("uninstall", "dovcot"), "dovcot is no service", "did you mean `dovecot`?"),
        (
            ("account", "--authority", "letsencryt"),
            "the model has no",
            "did you mean `letsencrypt`",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unknown_word_is_answered_with_the_nearest_known_one(
    root: Path, arguments: tuple[str, ...], what: str, remedy: str
) -> None:
    run = proxygen("--root", root, *arguments)
    assert run.returncode == 2
    first, _, second = run.stderr.partition("\n  do: ")
    assert first.startswith(what)
    assert remedy in second
    said = json.loads(proxygen("--root", root, *arguments, "--json").stdout)
    assert (said["what"], said["exit_code"]) == (first, 2)
    assert remedy in said["remedy"]


def test_a_missing_model_is_two_and_says_what_to_do(tmp_path: Path) -> None:
    run = proxygen("--root", tmp_path, "validate")
    assert run.returncode == 2
    assert "proxygen init" in run.stderr
    said = json.loads(proxygen("--root", tmp_path, "validate", "--json").stdout)
    assert said["exit_code"] == 2
    assert said["remedy"]


def test_a_right_model_is_zero(root: Path) -> None:
    run = proxygen("--root", root, "validate")
    assert (run.returncode, run.stderr) == (0, "")
    assert "2 certificates; the model is right" in run.stdout
    assert json.loads(proxygen("--root", root, "validate", "--json").stdout)["mistakes"] == []


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "status"])
def test_a_wrong_model_is_three_and_nothing_is_touched(root: Path, command: str) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    model.write_text('global: {url: a}\n"x\\e[31m": 1\n')
    run = proxygen("--root", root, command)
    assert run.returncode == 3
    assert "\x1b" not in run.stderr
    assert f"{model}:2:1" in run.stderr
    said = json.loads(proxygen("--root", root, command, "--json").stdout)
    assert said["exit_code"] == 3
    assert {each["line"] for each in said["mistakes"]} == {1, 2}
    assert not (root / "var").exists()


def test_an_unreadable_supplied_certificate_is_five_and_its_place_is_named(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    file = '{file: {certificate: "d\\u202e.pem"}}'
    model.write_text(
        MODEL.replace(
            "www.a.example, certificate: selfsigned", f"www.a.example, certificate: {file}"
        )
    )
    run = proxygen("--root", root, "validate")
    assert run.returncode == 5
    assert f"{model}:4:" in run.stdout
    assert "\u202e" not in run.stdout
    said = json.loads(proxygen("--root", root, "validate", "--json").stdout)
    assert [each["usable"] for each in said["files"]] == [False]


SUPPLIED = "certificate: {file: {certificate: a.pem}}"


def test_plan_and_apply_tell_of_a_supplied_certificate_what_validate_tells(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    line = "www.a.example, certificate: selfsigned"
    model.write_text(MODEL.replace(line, f"www.a.example, {SUPPLIED}"))
    other = self_signed(["other.example"], new_key(KeyType.ECDSA_P256), datetime.now(UTC), DAY)
    right = self_signed(["www.a.example"], new_key(KeyType.ECDSA_P256), datetime.now(UTC), DAY)
    file = model.parent / "a.pem"
    first = f"the certificate of a.example ({model}:4:"
    for content, words in (
        (None, f"cannot read {file}: No such file or directory"),
        (b"nothing", "neither PEM nor PKCS#12"),
        (other.key + other.fullchain, "not covered: www.a.example (it covers other"),
    ):
        if content is not None:
            file.write_bytes(content)
        told = proxygen("--root", root, "validate")
        block = told.stdout[told.stdout.index(first) : told.stdout.index(f"{model}: 1 domain")]
        assert words in block
        assert "    do: " in block
        plan = proxygen("--root", root, "plan")
        assert (told.returncode, plan.returncode) == (5, 5)
        assert block in plan.stderr
        files = json.loads(proxygen("--root", root, "plan", "--json").stdout)["files"]
        assert files == json.loads(proxygen("--root", root, "validate", "--json").stdout)["files"]
        applied = proxygen("--root", root, "apply")
        assert applied.returncode == 5
        assert words in applied.stderr
        assert f"  at: {model}:4:" in applied.stderr
        assert block.rpartition("  do: ")[2] in applied.stderr
    file.write_bytes(right.key + right.fullchain)
    assert proxygen("--root", root, "plan").returncode == 0
    assert proxygen("--root", root, "apply").returncode == 0
    file.unlink()  # what was taken serves, but who looks for a change should know
    assert first in proxygen("--root", root, "plan").stderr


def test_plan_tells_what_acme_names_and_cannot_be_used(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    model.write_text(MODEL + ACME % "env:PROXYGEN_NO_SUCH_VARIABLE")
    told = proxygen("--root", root, "validate")
    plan = proxygen("--root", root, "plan")
    assert (told.returncode, plan.returncode) == (5, 5)
    assert "acme.external_account.hmac_key" in plan.stderr
    assert told.stdout.rpartition(f"{model}: ")[0] in plan.stderr
    acme = json.loads(proxygen("--root", root, "plan", "--json").stdout)["acme"]
    assert acme == json.loads(proxygen("--root", root, "validate", "--json").stdout)["acme"]


ACME = """\
acme:
  trusted_roots: [ca.pem, /no/such.pem, key.pem, empty.pem, pipe.pem]
  external_account: {key_identifier: kid, hmac_key: %s}
"""


def test_what_acme_names_and_cannot_be_used_is_five(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    ca = self_signed(["ca.example"], new_key(KeyType.ECDSA_P256), NOON, DAY)
    (model.parent / "ca.pem").write_bytes("# é\n".encode() + ca.fullchain)
    (model.parent / "key.pem").write_bytes(ca.key)
    (model.parent / "empty.pem").touch()
    os.mkfifo(model.parent / "pipe.pem")
    model.write_text(MODEL + ACME % "file:hmac")
    run = proxygen("--root", root, "validate", timeout=20)
    assert run.returncode == 5
    assert (
        f"acme.trusted_roots[1] ({model}:7:3):\n  cannot read /no/such.pem: No such file"
        in run.stdout
    )
    assert "key.pem contains no CA certificate in PEM format" in run.stdout
    assert "pipe.pem: it is a pipe, not a regular file" in run.stdout
    assert "see above" in run.stdout
    said = json.loads(proxygen("--root", root, "validate", "--json").stdout)
    assert [each["field"] for each in said["acme"]] == [
        *(f"acme.trusted_roots[{index}]" for index in range(5)),
        "acme.external_account.hmac_key",
    ]
    assert [each["usable"] for each in said["acme"]] == [True, False, False, False, False, False]
    assert f"the secret file:{model.parent}/hmac does not exist" in said["acme"][5]["error"]["what"]


def test_what_the_second_authority_needs_is_looked_for_too(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    other = "{directory: 'https://ca.example/dir', trusted_roots: [/no/such.pem]}"
    model.write_text(MODEL + f"acme:\n  fallback: {other}\n")
    run = proxygen("--root", root, "validate")
    assert run.returncode == 5
    assert "acme.fallback.trusted_roots[0]" in run.stdout
    assert "cannot read /no/such.pem" in run.stdout


def test_what_acme_names_and_can_be_used_is_zero(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    (model.parent / "hmac").write_text("c2VjcmV0\n")
    text = ACME.replace("ca.pem, /no/such.pem, key.pem, empty.pem, pipe.pem", "")
    model.write_text(MODEL + text % "file:hmac")
    run = proxygen("--root", root, "validate")
    assert (run.returncode, run.stderr) == (0, "")
    model.write_text(MODEL + text % "env:NO_SUCH_VARIABLE")
    run = proxygen("--root", root, "validate")
    assert run.returncode == 5
    assert "the secret env:NO_SUCH_VARIABLE does not exist" in run.stdout


def test_a_missing_password_is_five(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    ca = self_signed(["www.a.example"], new_key(KeyType.ECDSA_P256), NOON, DAY)
    (model.parent / "all.pem").write_bytes(ca.pem)
    file = '{file: {certificate: all.pem, password: "file:password"}}'
    model.write_text(
        MODEL.replace(
            "www.a.example, certificate: selfsigned", f"www.a.example, certificate: {file}"
        )
    )
    said = json.loads(proxygen("--root", root, "validate", "--json").stdout)
    assert not said["files"][0]["usable"]
    assert (
        f"the secret file:{model.parent}/password does not exist"
        in said["files"][0]["error"]["what"]
    )


# Included files, whatever somebody puts there.


def including(root: Path) -> Path:
    """Let the model include a folder; return it."""
    model = root / "etc/proxygen/proxygen.yaml"
    model.write_text(MODEL + "include: [domains.d/*.yaml]\n")
    folder = model.parent / "domains.d"
    folder.mkdir()
    return folder


def test_hidden_files_folders_and_other_files_are_not_included(root: Path) -> None:
    folder = including(root)
    (folder / "b.yaml").write_text("domains: {b.example: {}}")
    (folder / ".half.yaml").write_text("domains: {")
    (folder / ".#b.yaml").symlink_to("somebody@editing")
    (folder / "notes.txt").write_text("no model")
    (folder / "folder").mkdir()
    run = proxygen("--root", root, "validate")
    assert "2 domains" in run.stdout, run.stderr


def test_an_included_file_has_at_most_four_mebibytes(root: Path) -> None:
    folder = including(root)
    most, line = 4 * 1024 * 1024, "# nothing\n"
    (folder / "a.yaml").write_text((line * most)[:most])
    assert proxygen("--root", root, "validate").returncode == 0
    (folder / "a.yaml").write_text((line * most)[: most + 1])
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3
    assert "a.yaml cannot be read: it is larger than 4 MiB" in run.stderr


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("  {number}.example: {{wrong: 1}}\n", id="grammar"),
        pytest.param("  d{number}.example: {{wrong: 1}}\n", id="unknown fields"),
        pytest.param("  d.example: {{}}\n", id="a key again"),
    ],
)
def test_a_few_hundred_mistakes_are_told(root: Path, line: str) -> None:
    folder = including(root)
    lines = "".join(line.format(number=number) for number in range(2000))
    (folder / "a.yaml").write_text(f"domains:\n{lines}")
    told_at_most_300(root)


def test_a_few_hundred_mistakes_of_many_files_are_told(root: Path) -> None:
    folder = including(root)
    for number in range(400):
        (folder / f"{number}.yaml").write_text("wrong: 1\n")
    told_at_most_300(root)


def told_at_most_300(root: Path) -> None:
    """See that a wrong model is told in a bounded number of lines."""
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3, run.stderr
    assert "more than 300 mistakes" in run.stderr
    assert len([line for line in run.stderr.splitlines() if line.startswith("  at: ")]) == 300


def test_folders_below_are_looked_into_where_the_glob_says_so(root: Path) -> None:
    folder = including(root)
    model = root / "etc/proxygen/proxygen.yaml"
    model.write_text(MODEL + "include: ['domains.d/**']\n")
    (folder / "b.yaml").write_text("domains: {b.example: {}}")
    (folder / "below").mkdir()
    (folder / "below/c.yaml").write_text("domains: {c.example: {}}")
    run = proxygen("--root", root, "validate")
    assert "3 domains" in run.stdout, run.stderr


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("fifo", "it is a pipe, not a regular file"),
        ("nowhere", "No such file or directory"),
        ("evil.yaml", "Too many levels of symbolic links"),
        ("/dev/zero", "it is a device, not a regular file"),
        ("folder", "Is a directory"),
    ],
)
def test_what_is_no_file_is_told_with_all_else_and_waited_for_by_nobody(
    root: Path, kind: str, words: str
) -> None:
    evil = including(root) / "evil.yaml"
    (evil.parent / "b.yaml").write_text("domain: {}")
    if kind == "fifo":
        os.mkfifo(evil)
    elif kind == "folder":
        evil.mkdir()
    else:
        evil.symlink_to(kind)
    run = proxygen("--root", root, "validate", "--json", timeout=20)
    said = json.loads(run.stdout)
    assert run.returncode == 3
    assert [each["field"] for each in said["mistakes"]] == ["domain", "include[0]"]
    assert said["mistakes"][1]["reason"] == f"{evil} cannot be read: {words}"
    assert said["mistakes"][1]["line"] == 6


def test_a_file_name_that_is_no_text_is_shown_escaped(root: Path) -> None:
    folder = os.fsencode(including(root))
    for name in (b"\xff.yaml", b"\x1b[31m.yaml"):
        Path(os.fsdecode(folder + b"/" + name)).write_text("domain: {}")
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3, run.stderr
    assert "\\udcff.yaml:1:1" in run.stderr
    assert "\\x1b[31m.yaml:1:1" in run.stderr
    assert json.loads(proxygen("--root", root, "validate", "--json").stdout)["exit_code"] == 3


def opened(hold: Path) -> str:
    """Return the commands that let everybody enter the folders of this Python and checkout.

    They are for a mount namespace: there, above each of them, an empty folder takes the place of
    the first one that is closed. *hold* is a folder in which they are kept meanwhile.
    """
    places = {Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[2]}
    barred = {
        place: next(each for each in reversed(place.parents) if each.stat().st_mode & 5 != 5)
        for place in places
        if any(each.stat().st_mode & 5 != 5 for each in place.parents)
    }
    kept = {place: hold / str(number) for number, place in enumerate(sorted(barred))}
    lines = [f"mkdir -p {held}; mount --bind {place} {held}" for place, held in kept.items()]
    lines += [f"mount -t tmpfs -o mode=755 opened {each}" for each in set(barred.values())]
    lines += [f"mkdir -p {place}; mount --bind {held} {place}" for place, held in kept.items()]
    return "\n".join(lines)


@needs("unshare", "setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", ["status", "plan", "apply"])
def test_somebody_who_is_not_root_is_told_so(command: str) -> None:
    with temporary_root() as root:
        model = root / "etc/proxygen/proxygen.yaml"
        model.parent.mkdir(parents=True)
        model.write_text(MODEL)
        (root / "var/lib/proxygen/store/certificates").mkdir(parents=True)
        (root / "var/lib/proxygen/store").chmod(0o700)
        somebody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
        script = f'{opened(root / "hold")}\nexec "$@"'
        program = (sys.executable, "-P", "-m", "proxygen", "--root", str(root), command)
        run = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script, "sh", *somebody, *program],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
    assert run.returncode == 2, run.stderr
    assert "run the command as root" in run.stderr
    assert "warning" not in run.stderr


def test_help_says_of_each_command_in_a_whole_sentence_what_it_does() -> None:
    lines = proxygen("--help").stdout.split("Commands:")[1].split("\n\n")[0].splitlines()
    assert len(lines) > 10
    assert [line for line in lines if line and not line.endswith(".")] == []
    assert [line for line in lines if line.endswith("...")] == []


@pytest.mark.parametrize("command", ["status", "plan", "apply", "check", "uninstall"])
def test_a_store_of_a_newer_proxygen_is_left_alone(root: Path, command: str) -> None:
    store = root / "var/lib/proxygen/store"
    store.mkdir(parents=True)
    (store / "version").write_text(f"{VERSION + 1}\n")
    run = proxygen("--root", root, command, timeout=60)
    assert run.returncode == (3 if command == "check" else 2), run.stderr
    told = f"a newer proxygen wrote the store: it has version {VERSION + 1}"
    assert told in run.stdout + run.stderr
    assert [each.name for each in store.iterdir()] == ["version"]


@pytest.mark.parametrize(
    "noted",
    [
        "",
        "\n",
        "0000000010",
        "1" + " " * 20 + "2",
        "\u0662",
        "\u0661",
        "-1",
        "1\x1b[31m",
        "9" * 5000,
    ],
)
def test_a_version_that_is_none_of_ours_is_a_newer_one(root: Path, noted: str) -> None:
    store = root / "var/lib/proxygen/store"
    store.mkdir(parents=True)
    (store / "version").write_text(noted)
    run = proxygen("--root", root, "plan", timeout=60)
    assert run.returncode == 2
    assert "a newer proxygen wrote the store" in run.stderr
    assert "\x1b" not in run.stderr
    assert len(run.stderr) < 1000


# schema, init, status.


def test_the_schema_knows_every_field(root: Path) -> None:
    schema = json.loads(proxygen("schema").stdout)
    assert {"contact", "global", "domains", "backends", "acme", "services", "include"} <= set(
        schema["properties"]
    )
    location = schema["$defs"]["LocationFields"]["properties"]
    assert "integer" in json.dumps(location["read_timeout"])
    assert "string" in json.dumps(location["read_timeout"])
    included = json.loads(proxygen("schema", "--included").stdout)
    assert set(included["properties"]) == {"domains"}


def init(root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Write a first model without questions."""
    given = (
        "--url",
        "mail.example.net",
        "--certificate",
        "selfsigned",
        "--application",
        "bluemind",
    )
    return proxygen("--root", root, "init", *given, *more)


@pytest.mark.parametrize(
    "contact", ["hostmaster@example.net", "&x@example.net", "*x@example.net", "!x@example.net",
                "'x@example.net", "{x}@example.net", "|x@example.net", "#x@example.net",
                "%x@example.net", "`x`@example.net", "?x@example.net", "-@example.net"]
)  # fmt: skip
def test_a_first_model_is_right_whatever_the_contact(tmp_path: Path, contact: str) -> None:
    run = init(tmp_path, "--contact", contact)
    assert run.returncode == 0, run.stderr
    assert proxygen("--root", tmp_path, "validate").returncode == 0
    assert init(tmp_path, "--contact", contact).returncode == 2  # nothing is overwritten


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (
            (),
            "--url, --contact, --certificate, --agree-to-terms or --no-agree-to-terms, "
            "--application",
        ),
        (("--certificate", "selfsigned", "--contact", "a@example.net"), "--url, --application"),
        (
            ("--certificate", "acme", "--url", "a.example", "--application", "none"),
            "--contact, --agree-to-terms or --no-agree-to-terms",
        ),
    ],
)
def test_without_a_terminal_the_options_to_give_are_named(
    tmp_path: Path, given: tuple[str, ...], missing: str
) -> None:
    run = proxygen("--root", tmp_path, "init", *given)
    assert run.returncode == 2
    assert run.stderr.endswith(f"\n  do: give {missing}\n")
    assert "apply" not in run.stderr
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize("contact", ["nobody", "a@b.example\nglobal: x"])
def test_a_wrong_answer_writes_nothing(tmp_path: Path, contact: str) -> None:
    assert init(tmp_path, "--contact", contact).returncode == 2
    assert not (tmp_path / "etc").exists()


def test_init_leaves_the_mode_of_a_folder_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    given = ("--url", "mail.example.net", "--certificate", "selfsigned", "--application", "none")
    run = proxygen("--config", folder / "p.yaml", "init", *given, "--contact", "a@example.net")
    assert run.returncode == 0, run.stderr
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert (folder / "p.yaml").stat().st_mode & 0o777 == 0o644


def test_status_before_the_first_apply(root: Path) -> None:
    run = proxygen("--root", root, "status")
    assert run.returncode == 0
    assert "nothing yet" in run.stdout
    said = json.loads(proxygen("--root", root, "status", "--json").stdout)
    assert [each["owner"] for each in said["owners"]] == ["global", "a.example"]
    assert said["owners"][1]["certificate"] is None


def test_nothing_to_do_is_said_and_touches_nothing(root: Path) -> None:
    assert proxygen("--root", root, "apply").returncode == 0
    before = touched(root)
    run = proxygen("--root", root, "apply")
    assert (run.returncode, run.stdout) == (0, "nothing to do\n")
    assert touched(root) == before
    status = json.loads(proxygen("--root", root, "status", "--json").stdout)
    assert status["owners"][1]["served_with"] == "own"


def touched(root: Path) -> dict[Path, int]:
    """Return when each file below a root was written, but for locks."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name not in LOCKS}


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "words"])
def test_where_standard_output_takes_nothing_it_is_said_once_to_standard_error(
    root: Path, options: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-P", "-m", "proxygen", "--root", root, "validate", *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 4
    assert run.stderr.count("No space left on device") == 1
    assert "Traceback" not in run.stderr


def test_a_folder_in_place_of_the_model_is_told_as_one(tmp_path: Path) -> None:
    run = proxygen("--config", tmp_path, "validate")
    assert run.returncode == 2
    assert "do: name the model file in it" in run.stderr


CALLED = (
    "import socket, sys\n"
    "host = sys.argv.pop(1)\n"
    "socket.getfqdn = lambda: host\n"
    "from proxygen import cli\n"
    "cli.main()\n"
)


def asked(root: Path, host: str, typed: str, *given: str) -> tuple[int, str]:
    """Run ``init`` on a host called so, on a terminal on which *typed* is typed.

    Return its exit code and what it said. The terminal ends where nothing more is typed.
    """
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-c", CALLED, host, "--root", str(root), "init", *given]
    try:
        os.write(ours, f"{typed}\x04".encode())
        run = subprocess.run(
            command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return run.returncode, run.stdout + run.stderr


ENTER = "\n"
FIRST = "etc/proxygen/proxygen.yaml"


@pytest.mark.parametrize("host", ["vm", "localhost", "debian.localdomain", "mail.example.net"])
def test_enter_alone_takes_no_name_that_stands_for_another(tmp_path: Path, host: str) -> None:
    rest = ("--certificate", "selfsigned", "--application", "none")
    code, said = asked(tmp_path, host, ENTER * 3, *rest)
    assert code == 130, said
    assert said.count("The global URL (such as https://mail.example.net): ") >= 3
    assert not (tmp_path / "etc").exists()
    code, said = asked(tmp_path, host, ENTER * 3, "--url", "mail.example.net", *rest)
    assert code == 130, said
    assert said.count("Contact (such as hostmaster@example.net): ") >= 3
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    ("url", "contact"),
    [
        ("mail.hoster.de", "hostmaster@hoster.de"),
        ("hoster.de", "hostmaster@hoster.de"),
        ("hoster.co.uk", "hostmaster@hoster.co.uk"),
    ],
)
def test_the_usual_contact_is_at_the_domain_of_the_url(
    tmp_path: Path, url: str, contact: str
) -> None:
    rest = ("--certificate", "selfsigned", "--application", "none")
    code, said = asked(tmp_path, "vm", ENTER, "--url", url, *rest)
    assert code == 0, said
    assert f"contact: {contact} " in (tmp_path / FIRST).read_text()
    assert "note:" not in said


def test_a_host_with_a_name_is_offered_it(tmp_path: Path) -> None:
    rest = ("--certificate", "selfsigned", "--application", "none")
    code, said = asked(tmp_path, "mx1.hoster.de", ENTER * 2, *rest)
    assert code == 0, said
    text = (tmp_path / FIRST).read_text()
    assert "url: https://mx1.hoster.de\n" in text
    assert "contact: hostmaster@hoster.de " in text


def test_names_for_examples_are_taken_when_they_are_typed(tmp_path: Path) -> None:
    typed = "https://mail.example.net\nadmin@example.net\n\n\n"
    code, said = asked(tmp_path, "vm", typed, "--no-agree-to-terms")
    assert code == 0, said
    text = (tmp_path / FIRST).read_text()
    assert "url: https://mail.example.net\n" in text
    assert "contact: admin@example.net " in text
    assert "certificate: acme " in text
    assert "note: it has names for examples and tests" in said
