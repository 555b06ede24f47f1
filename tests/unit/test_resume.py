"""Output that a killed process leaves can be gone on with; nothing else can."""

import pytest

from pipeline.resume import Partial
from pipeline.schema import InputError


def left(path):
    return sorted(one.name for one in path.parent.iterdir())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.txt"


def interrupted(path, key="key", pieces=(b"one\n", b"two\n"), torn=b""):
    partial = Partial(path, key)
    for i, piece in enumerate(pieces):
        partial.append(piece, {"n": i})
    partial._file.write(torn)
    partial._file.close()


def test_whole(path):
    partial = Partial(path, "key")
    partial.append(b"one\n", None)
    assert not path.exists()
    partial.finish()
    assert path.read_bytes() == b"one\n"
    assert left(path) == ["out.txt"]


@pytest.mark.parametrize("torn", [b"", b"half a li"])
def test_going_on(path, torn):
    interrupted(path, torn=torn)
    partial = Partial(path, "key")
    assert (partial.done, partial.notes) == (2, {"n": 1})
    partial.append(b"three\n", None)
    partial.finish()
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert left(path) == ["out.txt"]


def test_another_key_begins_anew(path):
    interrupted(path)
    partial = Partial(path, "another")
    assert (partial.done, partial.notes) == (0, None)
    partial.append(b"new", None)
    partial.finish()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("state", ["", "{", "[]", '{"key": 1}'])
def test_a_damaged_state_begins_anew(path, state):
    interrupted(path)
    (path.parent / ".out.txt.state").write_text(state)
    assert Partial(path, "key").done == 0


def test_a_partial_file_shorter_than_its_state_begins_anew(path):
    interrupted(path)
    (path.parent / ".out.txt.partial").write_bytes(b"on")
    assert Partial(path, "key").done == 0


def test_two_at_once_are_refused(path):
    one = Partial(path, "key")
    one.append(b"one", None)
    with pytest.raises(InputError, match="another process is writing it"):
        Partial(path, "key")
    one.finish()
    assert path.read_bytes() == b"one"


def test_discarding_leaves_an_old_output(path):
    path.write_text("old")
    partial = Partial(path, "key")
    partial.append(b"new", None)
    partial.discard()
    assert path.read_text() == "old"
    assert left(path) == ["out.txt"]


def test_a_folder_that_cannot_be_made(path):
    path.write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        Partial(path / "out.txt", "key")
