"""Results are kept as long as what they came from is the same, and not longer."""

import json
from pathlib import Path

import pytest

from pipeline import kept as module
from pipeline.kept import content_key, kept


def test_made_once_for_a_key(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"n": len(made)}

    path = tmp_path / "deep" / "x.json"
    assert [kept(path, key, make)["n"] for key in ("a", "a", "b", "b", "a")] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "a"}', "null"])
def test_a_damaged_file_is_made_anew(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    assert kept(path, "a", lambda: 5) == 5
    assert json.loads(path.read_text()) == {"key": "a", "value": 5}


def test_broken_off_nothing_is_kept(tmp_path):
    path = tmp_path / "x.json"
    kept(path, "a", lambda: 1)

    def broken():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(path, "b", broken)
    assert kept(path, "a", lambda: 2) == 2, "what b wrote before it broke off may lie beside it"


def test_the_key_follows_settings_and_the_files_they_name(tmp_path):
    file, folder = tmp_path / "cues.yaml", tmp_path / "articles"
    folder.mkdir()
    file.write_text("one")

    def key(c=1.0):
        return content_key({"C": c, "steps": [["a", {"cues": str(file)}]]}, [str(folder)])

    keys = [key(), key(2.0)]
    file.write_text("two")
    keys.append(key())
    (folder / "x.txt").write_text("x")
    keys.append(key())
    assert len(set(keys)) == 4
    assert key() == keys[-1]


def test_a_file_of_the_working_folder_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = [content_key("labelled")]
    for content in ("one", "two"):
        Path("labelled").write_text(content)
        keys.append(content_key("labelled"))
    assert len(set(keys)) == 3


def test_the_key_does_not_depend_on_where_files_lie(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("x")
    assert content_key(str(tmp_path / "a")) == content_key(str(tmp_path / "b"))


def test_the_key_follows_the_code(tmp_path, monkeypatch):
    before = content_key("x")
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    monkeypatch.setattr(module, "CODE", ("models",))
    empty = content_key("x")
    (tmp_path / "models" / "new.py").write_text("x = 1\n")
    assert len({before, empty, content_key("x")}) == 3


def test_the_key_follows_the_word_vectors(tmp_path, monkeypatch):
    before = content_key("x")
    monkeypatch.setattr(module, "VECTORS", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert content_key("x") != before
