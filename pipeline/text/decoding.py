"""Files as text: compression, byte order marks, and errors that name the byte."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pipeline.schema import InputError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 20


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file, or what is inside it where its name ends in `.gz`.

    Raises
    ------
    InputError
        Where it cannot be read or is damaged.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as raw:
            yield cast("io.BufferedReader", raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); compress it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def open_text(path: Path, *, newline: str | None = None) -> Iterator[io.TextIOWrapper]:
    """Open UTF-8 (a byte order mark is accepted) or UTF-16 with a byte order mark.

    Raises
    ------
    InputError
        For an empty or binary file, and for bytes of another encoding, naming the first.
    """
    with open_bytes(path) as raw:
        head = raw.peek(4096)[:4096]
        if not head:
            raise InputError(f"{path}: is empty")
        encoding = "utf-16" if head.startswith(_UTF16) else "utf-8-sig"
        if encoding == "utf-8-sig" and b"\0" in head:
            raise InputError(f"{path}: looks binary (a NUL at byte {head.index(0)}); save it as UTF-8 text")
        try:
            with io.TextIOWrapper(raw, encoding=encoding, newline=newline) as stream:
                yield stream
        except UnicodeError as error:
            raise InputError(_undecodable(path, encoding)) from error


def read_text(path: Path) -> str:
    """Return the text of a whole file; see `open_text`."""
    with open_text(path) as stream:
        return stream.read()


def _undecodable(path: Path, encoding: str) -> str:
    """Find the first bad byte again: a text stream counts from its last chunk only."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done, lines = 0, 1
    with open_bytes(path) as raw:
        while True:
            pending = len(decoder.getstate()[0])
            chunk = raw.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                at = done - pending + error.start
                byte = error.object[error.start]
                name = "UTF-8" if encoding.startswith("utf-8") else "UTF-16"
                line = lines + (error.object.count(b"\n", pending, error.start) if name == "UTF-8" else 0)
                where = f"byte {at}, line {line}" if name == "UTF-8" else f"byte {at}"
                return f"{path}: not {name} at {where} (0x{byte:02x}); save it as UTF-8"
            if not chunk:
                return f"{path}: not UTF-8; save it as UTF-8"
            done += len(chunk)
            lines += chunk.count(b"\n")
