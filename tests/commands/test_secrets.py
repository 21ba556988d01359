"""What was written in the wrong place of a model, or is no model at all, is never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxygen import registry
from proxygen.model.schema import main_type
from tests.live.machine import proxygen
from tests.live.processes import Process, environment, until

CANARY = "hunter2-Canary"
NUMBER = 86753098675
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICanaryCanary7\n-----END PRIVATE KEY-----\n"
BARE_KEY = "MC4CAQAwBQYDK2VwBCIEICanaryCanary7CanaryCanary7CanaryCanary7abcd"
USERINFO = "https://canary-user:s3cretCanary@ca.example.net/directory"
BASE64 = "Y2FuYXJ5Q2FuYXJ5MTIzNDU2Nzg5MA=="
HEX = "c4a2a27c4a2a27c4a2a27c4a2a27dead"
TOKEN = "ghp_Canary1234567890Canary1234567890abcd"
HASH = "$6$canarysalt$CanaryCanaryCanaryCanary/Canary.x"
TOLD = (
    *(CANARY, "unter2", str(NUMBER), "CanaryCanary7", "s3cretCanary", "canary-user"),
    *(BASE64.rstrip("="), HEX, TOKEN[4:], "canarysalt", "CanaryCanary"),
)
"""What must be nowhere: each canary, or the part of it that is secret."""
LOOKS_SECRET = (PEM, BARE_KEY, USERINFO, BASE64, HEX, TOKEN, HASH)
"""What is not shown wherever it stands."""
ANYTHING = (CANARY, NUMBER, [CANARY], {CANARY: CANARY}, True, *LOOKS_SECRET)
"""What is not shown where a reference to a secret belongs, nor beside it."""

GLOBAL = {"url": "mail.example.net", "certificate": "selfsigned"}


def grammar() -> dict[str, Any]:
    """Return the JSON Schema of the whole model."""
    return main_type(registry.settings()).model_json_schema(by_alias=True)


SCHEMA = grammar()


def forms(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what a node of the schema may be."""
    if "$ref" in node:
        yield from forms(SCHEMA["$defs"][node["$ref"].rpartition("/")[2]])
    alternatives = [each for word in ("anyOf", "oneOf", "allOf") for each in node.get(word, ())]
    for each in alternatives:
        yield from forms(each)
    if "$ref" not in node and not alternatives:
        yield node


Path_ = tuple[str | int, ...]


def fields(node: Mapping[str, Any], path: Path_ = ()) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    """Yield every place of a model with its schema; names of one's own choice are ``a``."""
    yield path, node
    for form in forms(node):
        for name, below in form.get("properties", {}).items():
            yield from fields(below, (*path, name))
        if isinstance(form.get("additionalProperties"), dict):
            key = {"domains": "a.example", "locations": "/"}.get(str(path[-1]), "a")
            yield from fields(form["additionalProperties"], (*path, key))
        if isinstance(form.get("items"), dict):
            yield from fields(form["items"], (*path, 0))


FIELDS = dict(fields(SCHEMA))


def has_secret(node: Mapping[str, Any]) -> bool:
    """Return whether a secret belongs there, or directly below."""
    return any(
        each.get("writeOnly")
        or any(
            form.get("writeOnly")
            for below in (*each.get("properties", {}).values(), each.get("additionalProperties"))
            if isinstance(below, dict)
            for form in forms(below)
        )
        for each in forms(node)
    )


SECRET = {path for path, node in FIELDS.items() if has_secret(node)}


def plant(model: dict[str, Any], path: Path_, value: Any) -> None:
    """Put a value at *path* of a model, unless something else stands above it."""
    node: Any = model
    for index, step in enumerate(path[:-1]):
        empty: Any = [None] if isinstance(path[index + 1], int) else {}
        if isinstance(node, list):
            node[0] = node[0] or empty
        elif isinstance(node, dict) and node.get(str(step)) is None:
            node[step] = empty
        node = node[step]
        if not isinstance(node, dict | list):
            return
    node[path[-1]] = value


def leaves() -> Iterator[Path_]:
    """Yield the places below which there is nothing."""
    above = {path[:index] for path in FIELDS for index in range(len(path))}
    return (path for path in FIELDS if path not in above)


def models() -> Iterator[dict[str, Any]]:
    """Yield models with a canary in every field; then in each that should hold more than one."""
    for value in ANYTHING:
        model: dict[str, Any] = {"services": {}}
        for path in leaves():
            if path in SECRET or path[:-1] in SECRET or value in LOOKS_SECRET:
                plant(model, path, value)
        yield model
    for path in sorted(set(FIELDS) - set(leaves()) - {()}, key=str):
        for value in (CANARY if path in SECRET else HEX, BASE64, NUMBER):
            model = {"global": dict(GLOBAL), "services": {}}
            plant(model, path, value)
            yield model


def test_the_schema_tells_where_secrets_belong() -> None:
    names = {path[-1] for path in SECRET}
    assert {"password", "hmac_key", "key", "credentials", "external_account", "email"} <= names


def assert_none_told(said: str, about: object) -> None:
    """Nothing of a canary stands in what was said."""
    assert not [each for each in TOLD if each in said], (about, said)


IN_PROCESS = """
import json, sys
from pathlib import Path
from click.testing import CliRunner
from proxygen.cli import entry
from proxygen.errors import ProxygenError
folder = Path(sys.argv[1])
for line in (folder / "models").open():
    (folder / "m.yaml").write_text(json.dumps(json.loads(line)))
    options = ["--root", str(folder), "--config", str(folder / "m.yaml"), "validate"]
    run = CliRunner().invoke(entry, options, standalone_mode=False)
    said = run.output
    if isinstance(run.exception, ProxygenError):
        said += str(run.exception) + json.dumps(run.exception.as_json())
    elif run.exception:
        said += f"BUG {run.exception!r}"
    print(json.dumps(said))
"""


@pytest.mark.timeout(900)
def test_no_field_of_the_model_shows_a_secret(tmp_path: Path) -> None:
    """Every field that the schema has, with canaries, by the command `validate`."""
    wanted = [json.dumps(each) for each in models()]
    (tmp_path / "models").write_text("".join(f"{each}\n" for each in wanted))
    run = subprocess.run(
        [sys.executable, "-c", IN_PROCESS, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    answers = run.stdout.splitlines()
    assert len(answers) == len(wanted)
    for model, line in zip(wanted, answers, strict=True):
        said = json.loads(line)
        assert "BUG" not in said, (model, said)
        assert_none_told(said, model)


RICH: dict[str, Any] = {
    "contact": HEX,
    "global": GLOBAL | {"password": CANARY, "url": USERINFO},
    "acme": {
        "directory": USERINFO,
        "trusted_roots": [USERINFO, BARE_KEY],
        "external_account": {"key_identifier": NUMBER, "hmac_key": BASE64},
        "fallback": {"directory": "letsencrypt", "external_account": CANARY},
    },
    "solvers": {
        "a": {"rfc2136": {"server": "ns.example.net", "key_name": BASE64, "key": CANARY}},
        "b": {"lexicon": {"provider": "ovh", "credentials": {"auth_token": TOKEN, "x": NUMBER}}},
        "c": {"lexicon": {"provider": "ovh", "options": {"auth_pin": NUMBER, "y": [CANARY]}}},
        "d": CANARY,
    },
    "notifiers": {"email": {"username": "u", "password": CANARY, "security": "tls"}},
    "backends": {"web": {"upstreams": {"a": [USERINFO.partition("/directory")[0]]}}},
    "domains": {
        "a.example": {
            "url": USERINFO,
            "certificate": {"file": {"certificate": PEM, "key": BARE_KEY, "password": CANARY}},
        },
        "b.example": {"url": TOKEN, "extra_names": [HASH, HEX]},
        CANARY: {},
        "c.example": {CANARY: CANARY},
    },
    "include": [USERINFO, "i.yaml"],
    CANARY: "x",
}
COMMANDS = (
    *(("validate",), ("plan",), ("apply",), ("status",), ("renew",), ("names",), ("dns",)),
    *(("check",), ("account",), ("install-service",), ("rollback",), ("uninstall", "--yes")),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_no_command_shows_a_secret_of_a_wrong_model(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    config = tmp_path / "m.yaml"
    config.write_text(json.dumps(RICH))
    (tmp_path / "i.yaml").write_text(
        f"domains:\n  x.example: *{CANARY}\n  y.example: !{CANARY} 1\n  z.example: &{CANARY} {{}}\n"
        f"{CANARY}: 1\n{CANARY}: 2\n"
    )
    for form in ((), ("--json",)):
        run = proxygen(tmp_path, config, *command, *form)
        assert_none_told(run.stdout + run.stderr, command)
        assert "Traceback" not in run.stderr
        assert run.returncode in (0, 2, 3), (command, run.returncode, run.stderr)
        assert run.returncode or command[0] == "uninstall"  # which asks for no model


NO_MODELS = {
    "shadow": f"root:{HASH}:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
    "passwords": f"admin: {CANARY}\n{CANARY}: admin\ndatabase:\n  password: {CANARY}\n",
    "key": PEM,
    "tsig": f'key "x" {{ algorithm hmac-sha256; secret "{BASE64}"; }};\n',
    "ini": f"[client]\npassword = {CANARY}\n",
    "environment": f"TOKEN={TOKEN}\nPASSWORD={CANARY}\n",
    "json": json.dumps({"token": TOKEN, "auths": {"x": {"auth": BASE64}}, "n": NUMBER}),
    "compose": f"services:\n  {CANARY}:\n    image: x\n  nginx: {CANARY}\ncontact: {CANARY}\n",
    "known": f"contact: {CANARY}\nlanguage: {CANARY}\nresolvers: [{CANARY}]\n",
    "broken": f"a: {CANARY}: {CANARY}\n",
    "quoted": f"a: '{CANARY}\n",
    "tagged": f"password: !{CANARY}\nb: &{CANARY} 1\nc: *{CANARY}\n{CANARY}: 1\n{CANARY}: 2\n",
    "binary": f"{CANARY}\x00\x01",
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_no_file_that_is_no_model_is_quoted(tmp_path: Path, name: str) -> None:
    """The administrator named it by mistake, or a customer's link leads to it."""
    (tmp_path / "other").write_text(NO_MODELS[name])
    main = tmp_path / "m.yaml"
    main.write_text(json.dumps({"global": GLOBAL, "services": {}, "include": ["other"]}))
    for config in (tmp_path / "other", main):
        for command in ("validate", "apply"):
            for form in ((), ("--json",)):
                run = proxygen(tmp_path, config, command, *form)
                assert run.returncode in (3, 9), run.stderr
                assert_none_told(run.stdout + run.stderr, (config, command))


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_daemon_logs_no_secret(tmp_path: Path, form: str) -> None:
    config, log = tmp_path / "m.yaml", tmp_path / "log"
    config.write_text(json.dumps({"global": GLOBAL, "services": {}, "notifiers": {}}))
    command = (*(sys.executable, "-P", "-m", "proxygen"), "--root", str(tmp_path))
    options = ("--config", str(config), "watch", "--log-format", form, "--log-level", "debug")
    daemon = Process([*command, *options], log=log, env=environment())
    try:
        until(lambda: "round_ended" in log.read_text(), "the daemon", 60)
        config.write_text(json.dumps(RICH))
        until(lambda: "hmac_key" in log.read_text(), "the mistakes", 60)
        config.write_text(NO_MODELS["passwords"])
        until(lambda: "`global` is missing" in log.read_text(), "the mistake", 60)
    finally:
        daemon.stop()
    assert_none_told(log.read_text(), form)
