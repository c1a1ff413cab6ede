"""Entries of models that are not made here: the folder's address is the pin, and it alone changes, byte for byte."""

from __future__ import annotations

import pytest
from lifecycle.gitops import FileRefused, ModelMismatch
from lifecycle.gitops.file.edit import edit_model
from lifecycle.gitops.file.entry import read_model, read_models
from lifecycle.model.pin import Pin

PATH = "argocd-apps/staging/zoo/values.yaml"
OLD, NEW = "s3://models/zoo/densenet_onnx/1", "s3://models/zoo/densenet_onnx/2"
FILE = f"""# Models of other teams.
models:
  - name: densenet_onnx   # Triton's name
    source:
      s3: {OLD}   # never written twice
    hold: false
  - {{name: inception_graphdef, source: {{s3: "{OLD}"}}, hold: true}}
  - name: digits
    registeredModel: digits-detector
    version: 3
    sha256: "{"a" * 64}"
    runId: "r1"
    hold: false
""".encode()


def folder(uri: str) -> Pin:
    return Pin(None, "", "", uri=uri)


@pytest.mark.parametrize(("model", "quoted"), [("densenet_onnx", False), ("inception_graphdef", True)])
def test_only_the_address_changes(model: str, quoted: bool) -> None:
    edit = edit_model(FILE, model, folder(NEW), path=PATH, registered_model="")
    before, after = (f'"{uri}"' if quoted else uri for uri in (OLD, NEW))
    at = FILE.index(model.encode())
    start = FILE.index(before.encode(), at)
    assert edit.content == FILE[:start] + FILE[start:].replace(before.encode(), after.encode(), 1) or (
        edit.content == FILE[:start] + f'"{NEW}"'.encode() + FILE[start + len(before) :]
    )
    assert (edit.before.pin, edit.after.pin) == (folder(OLD), folder(NEW))
    assert read_model(edit.content, model, path=PATH).pin == folder(NEW)


def test_all_entries_are_read_side_by_side() -> None:
    found = {each.name: each for each in read_models(FILE, path=PATH)}
    assert found["densenet_onnx"].pin.words == OLD
    assert (found["inception_graphdef"].hold, found["inception_graphdef"].registered_model) == (True, "")
    assert found["digits"].pin.version == 3 and not found["digits"].published


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{name: m, source: {s3: s3://b/k, gs: x}, version: 3}", "source and version"),
        ("{name: m, source: s3://b/k}", "not a mapping with the one key s3"),
        ("{name: m, source: {gs: x}}", "not a mapping with the one key s3"),
        ("{name: m, source: {s3: a}, source: {s3: b}}", "has the key source twice"),
    ],
)
def test_an_entry_that_says_two_things_is_refused(entry: str, words: str) -> None:
    with pytest.raises(FileRefused, match=words):
        read_model(f"models:\n  - {entry}\n".encode(), "m", path=PATH)


def test_a_version_is_not_written_over_a_source() -> None:
    with pytest.raises(ModelMismatch, match="no registered model"):
        edit_model(FILE, "densenet_onnx", Pin(1, "a" * 64, "r"), path=PATH, registered_model="digits-detector")


def test_a_release_for_kserve_adds_the_folder_of_the_version() -> None:
    pin = Pin(4, "b" * 64, "r2", "c" * 40, "s3://models/digits-detector/4-bbbbbbbb-1")
    edited = edit_model(FILE, "digits", pin, path=PATH, registered_model="digits-detector").content
    assert f'    storageUri: "{pin.uri}"\n'.encode() in edited
    again = read_model(edited, "digits", path=PATH)
    assert (again.pin, again.published) == (pin, True)
