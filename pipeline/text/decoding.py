"""Files as text: compression, byte order marks, and errors that name the byte."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from pipeline.schema import InputError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 20
#: Longest line, and longest text file, in characters once unpacked: a compressed file of a few
#: kilobytes can hold gigabytes.
LONGEST = 1 << 26
COMPRESSED = (".gz", ".zst")
STDIN = "-"


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file, or what is inside it where its name ends in `.gz` or `.zst`; "-" is standard input.

    Raises
    ------
    InputError
        Where it cannot be read or is damaged.
    """
    suffix = path.suffix.lower()
    try:
        with ExitStack() as stack:
            file = sys.stdin.buffer if str(path) == STDIN else stack.enter_context(_Watched(path))
            if suffix == ".gz":
                file = stack.enter_context(gzip.open(file))
            elif suffix == ".zst":
                import pyarrow as pa

                file = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"))
                file = io.BufferedReader(cast("io.RawIOBase", file), _CHUNK)
            yield cast("io.BufferedReader", file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); compress it again") from error
    except OSError as error:
        if suffix == ".zst" and error.errno is None:
            raise InputError(f"{path}: damaged zstd file ({error}); compress it again") from error
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


class _Watched(io.BufferedReader):
    """A file that counts what is read of it, in `bytes_read`."""

    def __init__(self, path: Path) -> None:
        super().__init__(_Counted(path), _CHUNK)


class _Counted(io.FileIO):
    def readinto(self, buffer: Any) -> int:
        """Read and count."""
        global _read
        size = super().readinto(buffer) or 0
        _read += size
        return size


_read = 0


def bytes_read() -> int:
    """Return how many bytes of files this process has read through this module, as they lie on disk."""
    return _read


def lines(stream: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """Yield the lines of a stream; raises InputError for one longer than `LONGEST`."""
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise InputError(
                f"{path}: line {number}: longer than {LONGEST:,} characters; is it what it should be?"
            )
        yield line


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
        text = stream.read(LONGEST)
    if len(text) == LONGEST:
        raise InputError(f"{path}: longer than {LONGEST:,} characters; split it into articles")
    return text


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
