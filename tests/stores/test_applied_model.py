"""The model as it was last right, in the store."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.model.former import NOTHING, Former, FormerFile, Held, Source
from proxygen.model.layout import Layout
from proxygen.model.yaml import LARGEST_MAIN
from proxygen.stores import Values, applied_model
from proxygen.stores.filesystem import FileStore
from tests.standins import MemoryStore

FOLDER = Path("/etc/proxygen/domains.d")


OLD = b'{"name": "a.yaml", "folder": "/", "mask": "", "text": "", "held": ["a"], "released": []}'


def file(name: str, text: bytes = b"domains: {}") -> FormerFile:
    """Return an included file."""
    return FormerFile(Source(f"{FOLDER}/{name}", FOLDER, text), "domains.d/*.yaml")


def model(*files: FormerFile) -> Former:
    """Return a model with these included files."""
    main = FormerFile(Source("/etc/proxygen/proxygen.yaml", FOLDER.parent, b"global: {}"))
    return Former(main, {each.source.place: each for each in files})


def test_every_octet_of_texts_and_names_comes_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    odd = file(os.fsdecode(b"\xff\x1b.yaml"), bytes(range(256)))
    held = (Held(bytes(range(256)), frozenset("b")),)
    kept = applied_model.write_model(store, NOTHING, model(odd, replace(file("b.yaml"), held=held)))
    found = applied_model.former_model(store)
    assert found == kept
    assert found.serial == kept.serial
    assert applied_model.former_model(store, kept) is kept
    assert applied_model.is_kept(store)


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    first = applied_model.write_model(store, NOTHING, model(file("a.yaml"), file("b.yaml")))
    assert (
        applied_model.write_model(store, first, model(file("a.yaml"), file("b.yaml"))).serial
        == first.serial
    )
    second = applied_model.write_model(store, first, model(file("a.yaml", b"")))
    assert second.serial != first.serial
    assert applied_model.former_model(store).files == {f"{FOLDER}/a.yaml": file("a.yaml", b"")}
    assert applied_model.former_model(store, first) == second


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b'{"name": 1}', b"\xff", b"[" * 100_000, OLD])
def test_what_is_damaged_counts_for_nothing(tmp_path: Path, value: bytes) -> None:
    store = FileStore(tmp_path)
    applied_model.write_model(store, NOTHING, model(file("a.yaml"), file("b.yaml")))
    store.put(applied_model.key_of(f"{FOLDER}/a.yaml"), value)
    found = applied_model.former_model(store)
    assert list(found.files) == [f"{FOLDER}/b.yaml"]
    store.put(applied_model.MAIN, value)
    assert applied_model.former_model(store).main is None


def test_what_is_removed_on_purpose_goes_without_a_question(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml")
    folder = layout.config.parent / "domains.d"
    folder.mkdir(parents=True)
    layout.config.write_text(
        "global: {url: mail.example.net, certificate: selfsigned}\ninclude: [domains.d/*.yaml]\n"
    )
    (folder / "a.yaml").write_text("domains: {a.example: {}}")
    (folder / "b.yaml").write_text("domains: {b.example: {}}")
    store = FileStore(layout.store)
    applied_model.keep_model(store, assemble.read_site(layout))
    applied_model.release_domains(store, ["a.example"])
    (folder / "a.yaml").write_text("domains: {}")
    site = assemble.read_site(layout)
    assert not site.held_back
    assert [each.key for each in site.domains] == ["b.example"]
    applied_model.keep_model(store, site)
    (folder / "b.yaml").write_text("domains: {}")
    assert [each.domains for each in assemble.read_site(layout).held_back] == [("b.example",)]


def test_what_another_run_kept_meanwhile_stays(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml")
    layout.config.parent.mkdir(parents=True)
    main = "global: {url: mail.example.net, certificate: selfsigned}\n"
    layout.config.write_text(main + "domains: {a.example: {}}")
    store = FileStore(layout.store)
    applied_model.keep_model(store, assemble.read_site(layout))
    layout.config.write_text(main)
    held = assemble.read_site(layout)
    assert held.held_back
    applied_model.keep_model(store, assemble.read_site(layout, confirmed=True))
    applied_model.keep_model(store, held)
    assert not assemble.read_site(layout).held_back


def test_the_largest_model_file_is_kept_and_read_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    main = FormerFile(Source("proxygen.yaml", tmp_path, "ü".encode() * (LARGEST_MAIN // 2)))
    kept = applied_model.write_model(store, NOTHING, Former(main))
    assert applied_model.former_model(store) == kept


def test_what_is_left_of_a_model_whose_serial_is_lost_does_not_come_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    applied_model.write_model(store, NOTHING, model(file("a.yaml"), file("b.yaml")))
    store.delete(applied_model.SERIAL)
    assert applied_model.former_model(store) == NOTHING
    applied_model.write_model(store, applied_model.former_model(store), model(file("a.yaml")))
    assert list(applied_model.former_model(store).files) == [f"{FOLDER}/a.yaml"]


@pytest.mark.parametrize("key", [applied_model.MAIN, applied_model.SERIAL])
def test_a_folder_where_a_value_should_be_counts_for_nothing(tmp_path: Path, key: str) -> None:
    store = FileStore(tmp_path)
    applied_model.write_model(store, NOTHING, model(file("a.yaml")))
    store.delete(key)
    (tmp_path / key).mkdir()
    assert applied_model.former_model(store).main is None


def test_a_model_is_the_same_however_its_path_is_spelled(tmp_path: Path) -> None:
    real = tmp_path / "etc/proxygen"
    (real / "domains.d").mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    (real / "proxygen.yaml").write_text(
        "global: {url: mail.example.net, certificate: selfsigned}\ninclude: [domains.d/*.yaml]\n"
    )
    (real / "domains.d/a.yaml").write_text("domains: {a.example: {}}")
    (real / "domains.d/b.yaml").write_text("domains: {b.example: {}}")
    plain = Layout(tmp_path, real / "proxygen.yaml")
    store = FileStore(plain.store)
    kept = applied_model.keep_model(store, assemble.read_site(plain))
    for text, aside in (("domains: {b.example: {}}", 0), ("domains: {", 1)):
        (real / "domains.d/b.yaml").write_text(text)
        for spelled in ("link/proxygen.yaml", "etc/proxygen/../proxygen/proxygen.yaml"):
            site = assemble.read_site(Layout(tmp_path, tmp_path / spelled))
            assert [each.key for each in site.domains] == ["a.example", "b.example"]
            assert len(site.set_aside) == aside
            assert site.right.files.keys() == kept.files.keys()
    (real / "domains.d/b.yaml").unlink()
    (real / "domains.d/b.yaml").mkdir()
    site = assemble.read_site(Layout(tmp_path, tmp_path / "link/proxygen.yaml"))
    assert [each.kept for each in site.set_aside] == [("b.example",)]
    assert not site.held_back


def test_a_file_that_was_kept_before_lost_domains_were_noted_is_read() -> None:
    value = applied_model.encode_file(file("a.yaml"))
    assert applied_model.file_from(value.replace(b', "lost": []', b"")) == file("a.yaml")
    noted = replace(file("a.yaml"), lost=frozenset({"a.example"}))
    assert applied_model.file_from(applied_model.encode_file(noted)) == noted


@pytest.mark.parametrize("serial", [b"", b"\xff", b"other"])
def test_a_serial_that_is_damaged_keeps_nothing_from_being_kept(serial: bytes) -> None:
    store = MemoryStore()
    applied_model.write_model(store, NOTHING, model(file("a.yaml")))
    store.put(applied_model.SERIAL, serial)
    assert applied_model.write_model(
        store, applied_model.former_model(store), model(file("b.yaml"))
    )
    assert applied_model.former_model(store) == model(file("b.yaml"))


def test_what_another_run_keeps_meanwhile_is_not_overwritten() -> None:
    """Neither by who read the model before, nor in part."""
    store, first = MemoryStore(), model(file("a.yaml"))
    was = applied_model.former_model(store)
    assert applied_model.write_model(store, was, first)
    assert applied_model.write_model(store, was, model(file("b.yaml"))) is None
    assert list(applied_model.former_model(store).files) == [f"{FOLDER}/a.yaml"]


def test_a_model_is_kept_at_once() -> None:
    puts: list[Values] = []

    class Recording(MemoryStore):
        def put_if(self, former: Values, values: Values) -> bool:
            puts.append(values)
            return super().put_if(former, values)

    store = Recording()
    kept = applied_model.write_model(
        store, applied_model.former_model(store), model(file("a.yaml"), file("b.yaml"))
    )
    assert kept
    applied_model.write_model(store, kept, model(file("b.yaml", b"else")))
    assert [len(each) for each in puts] == [4, 3]
    assert applied_model.former_model(store) == model(file("b.yaml", b"else"))
