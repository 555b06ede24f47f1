"""Output that a killed job can go on with: a partial file, and beside it how far it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from pipeline.files import atomic, unwritable
from pipeline.schema import InputError


class Partial:
    """A file that grows piece by piece, and appears under its name when it is whole.

    Parameters
    ----------
    path : path
        The output. Partial file and state are hidden files beside it.
    key : object
        What the output follows from, as JSON: a partial file of another key is begun anew.

    Attributes
    ----------
    done : int
        Pieces that the file has already.
    notes : object
        What was noted with the last piece; None at the beginning.

    Raises
    ------
    InputError
        Where the folder cannot be written to, or another process is writing the same output.
    """

    def __init__(self, path: str | Path, key: object) -> None:
        self.path = Path(path)
        self._data = self.path.with_name(f".{self.path.name}.partial")
        self._state = self.path.with_name(f".{self.path.name}.state")
        self._key = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        self.done = 0
        self.notes: Any = None
        with unwritable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self._data.open("a+b")
            self._lock()
            self._file.truncate(self._take_up())

    def append(self, piece: bytes, notes: object) -> None:
        """Write a piece; once it is written, so is that it was."""
        with unwritable(self.path):
            self._file.write(piece)
            self._file.flush()
            self.done, self.notes = self.done + 1, notes
            state = {"key": self._key, "done": self.done, "bytes": self._file.tell(), "notes": notes}
            with atomic(self._state) as temporary:
                temporary.write_text(json.dumps(state), encoding="utf-8")

    def finish(self, convert: Callable[[Path, Path], None] | None = None) -> None:
        """Give the file its name, or the name to what `convert(partial, temporary)` makes of it."""
        self._file.close()
        if convert:
            with atomic(self.path) as temporary:
                convert(self._data, temporary)
            self._data.unlink()
        else:
            with unwritable(self.path):
                self._data.replace(self.path)
        self._state.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._data.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{self.path}: another process is writing it; choose another output") from None

    def _take_up(self) -> int:
        """Return how many bytes of the partial file are good."""
        try:
            state: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
            good = state["key"] == self._key and state["bytes"] <= os.fstat(self._file.fileno()).st_size
        except (OSError, ValueError, LookupError, TypeError):
            return 0
        if not good:
            return 0
        self.done, self.notes = state["done"], state["notes"]
        return state["bytes"]
